"""Suggestions: what people said of them, and which were held back by chance."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Boolean, Float, ForeignKey, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from serving.tables.base import Base, UtcTime


class Feedback(Base):
    """What somebody said of a step suggested for a deal, or of a play suggested for an account."""

    __tablename__ = "feedback"
    feedback_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    entity: Mapped[str] = mapped_column(String(10), server_default="deal")
    entity_id: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(String(80))
    answer: Mapped[str] = mapped_column(String(20))
    why: Mapped[str] = mapped_column(Text)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.user_id", ondelete="CASCADE"))
    as_of: Mapped[datetime] = mapped_column(UtcTime)
    model_version: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(UtcTime)


class HoldBack(Base):
    """Whether an action may be suggested for a deal: drawn once, before anything was shown; see `serving.holdback`."""

    __tablename__ = "hold_back"
    __table_args__ = (UniqueConstraint("deal_id", "action"),)
    hold_back_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    deal_id: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(String(80))
    held_back: Mapped[bool] = mapped_column(Boolean)
    share: Mapped[float] = mapped_column(Float)
    forecast: Mapped[float] = mapped_column(Float)
    owner_id: Mapped[str | None] = mapped_column(Text)
    as_of: Mapped[datetime] = mapped_column(UtcTime)
    model_version: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(UtcTime)
