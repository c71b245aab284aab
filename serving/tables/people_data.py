"""What persons are owed: who agreed to each use of their figures, who looked at them, what they wrote to that."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Date, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from serving.tables.base import Base, UtcTime


class PurposeRecord(Base):
    """That someone agreed to a use of figures on persons, and that it was withdrawn; never rewritten otherwise."""

    __tablename__ = "purpose_records"
    record_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    purpose: Mapped[str] = mapped_column(String(20))
    agreed_by: Mapped[str] = mapped_column(Text)
    agreed_on: Mapped[date] = mapped_column(Date)
    note: Mapped[str] = mapped_column(Text)
    recorded_by: Mapped[str] = mapped_column(String(320))
    recorded_at: Mapped[datetime] = mapped_column(UtcTime)
    withdrawn_at: Mapped[datetime | None] = mapped_column(UtcTime)
    withdrawn_by: Mapped[str | None] = mapped_column(String(320))
    withdrawn_why: Mapped[str | None] = mapped_column(Text)
    __table_args__ = (Index("ix_purpose_records_purpose", "purpose"),)


class PersonView(Base):
    """That someone looked at figures on another person."""

    __tablename__ = "person_views"
    view_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcTime)
    person_key: Mapped[str] = mapped_column(String(40))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.user_id", ondelete="SET NULL"))
    role: Mapped[str] = mapped_column(String(20))
    what: Mapped[str] = mapped_column(String(80))
    __table_args__ = (Index("ix_person_views_person", "person_key", "at"), Index("ix_person_views_at", "at"))


class PersonRequest(Base):
    """What a person wrote to the figures kept on them, and the answer."""

    __tablename__ = "person_requests"
    request_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    person_key: Mapped[str] = mapped_column(String(40))
    kind: Mapped[str] = mapped_column(String(20))
    about: Mapped[str] = mapped_column(String(80))
    text: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(UtcTime)
    state: Mapped[str] = mapped_column(String(20))
    answer: Mapped[str | None] = mapped_column(Text)
    answered_by: Mapped[str | None] = mapped_column(String(320))
    answered_at: Mapped[datetime | None] = mapped_column(UtcTime)
    __table_args__ = (Index("ix_person_requests_person", "person_key"), Index("ix_person_requests_state", "state"))
