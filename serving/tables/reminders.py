"""Reminders that were sent, so that none is sent twice."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from serving.tables.base import Base, UtcTime


class Reminder(Base):
    """A message to one person on one day; it is noted before it is sent, and sent again where that failed."""

    __tablename__ = "reminders"
    key: Mapped[str] = mapped_column(String(300), primary_key=True)
    made_at: Mapped[datetime] = mapped_column(UtcTime)
    sent_at: Mapped[datetime | None] = mapped_column(UtcTime)
