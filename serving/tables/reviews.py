"""Review meetings: series, who is invited, each meeting, what was decided, who does what by when."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Date, ForeignKey, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from serving.tables.base import Base, UtcTime


class ReviewSeries(Base):
    """Meetings of a team that come again and again; an ended series keeps its row."""

    __tablename__ = "review_series"
    series_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    rhythm: Mapped[str] = mapped_column(String(20))
    team_id: Mapped[str] = mapped_column(Text)
    weekday: Mapped[int] = mapped_column(Integer)
    begins: Mapped[str] = mapped_column(String(5))  # on the company's clock
    minutes: Mapped[int] = mapped_column(Integer)
    sequence: Mapped[int] = mapped_column(Integer)  # counts changes, as calendars want it
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.user_id", ondelete="SET NULL"))
    made_at: Mapped[datetime] = mapped_column(UtcTime)
    changed_at: Mapped[datetime] = mapped_column(UtcTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcTime)


class ReviewInvitation(Base):
    """Who gets a series' minutes."""

    __tablename__ = "review_invitations"
    invitation_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    series_id: Mapped[int] = mapped_column(ForeignKey("review_series.series_id", ondelete="CASCADE"))
    email: Mapped[str] = mapped_column(String(320))


class Review(Base):
    """One meeting: the data it looked at, the forecast of that hour, and its minutes, which never change."""

    __tablename__ = "reviews"
    review_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    series_id: Mapped[int] = mapped_column(ForeignKey("review_series.series_id", ondelete="CASCADE"))
    day: Mapped[date] = mapped_column(Date)
    since: Mapped[date] = mapped_column(Date)
    as_of: Mapped[datetime] = mapped_column(UtcTime)
    data_cut: Mapped[int] = mapped_column(Integer)
    forecast: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.user_id", ondelete="SET NULL"))
    started_at: Mapped[datetime] = mapped_column(UtcTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcTime)
    minutes: Mapped[str] = mapped_column(Text)
    sent_at: Mapped[datetime | None] = mapped_column(UtcTime)
    __table_args__ = (UniqueConstraint("series_id", "day"),)


class ReviewDecision(Base):
    """What was decided, with the forecast of that hour, so that its effect can be looked up later."""

    __tablename__ = "review_decisions"
    decision_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    review_id: Mapped[int] = mapped_column(ForeignKey("reviews.review_id", ondelete="CASCADE"))
    item: Mapped[str] = mapped_column(String(40))
    text: Mapped[str] = mapped_column(Text)
    forecast: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.user_id", ondelete="SET NULL"))
    made_at: Mapped[datetime] = mapped_column(UtcTime)


class ReviewAction(Base):
    """Who does what by when; it comes back in each meeting of its series until it is done or dropped."""

    __tablename__ = "review_actions"
    action_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    series_id: Mapped[int] = mapped_column(ForeignKey("review_series.series_id", ondelete="CASCADE"))
    review_id: Mapped[int] = mapped_column(ForeignKey("reviews.review_id", ondelete="CASCADE"))
    item: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(Text)  # deal, risk or whatever it is about; '' for nothing in the data
    text: Mapped[str] = mapped_column(Text)
    rep_id: Mapped[str] = mapped_column(Text)
    due: Mapped[date] = mapped_column(Date)
    state: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str] = mapped_column(Text)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.user_id", ondelete="SET NULL"))
    made_at: Mapped[datetime] = mapped_column(UtcTime)
    changed_at: Mapped[datetime] = mapped_column(UtcTime)
    closed_on: Mapped[date | None] = mapped_column(Date)
