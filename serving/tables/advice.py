"""What people said of suggestions."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from serving.tables.base import Base, UtcTime


class Feedback(Base):
    """Whether a suggestion helped."""

    __tablename__ = "feedback"
    feedback_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    deal_id: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(String(80))
    answer: Mapped[str] = mapped_column(String(20))
    why: Mapped[str] = mapped_column(Text)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.user_id", ondelete="CASCADE"))
    as_of: Mapped[datetime] = mapped_column(UtcTime)
    model_version: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(UtcTime)
