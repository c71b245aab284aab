"""Views of a list that a user has saved under a name."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from serving.tables.base import Base, UtcTime


class SavedView(Base):
    """What one user wants to find again; one that was removed is kept for a while, so that it can come back."""

    __tablename__ = "saved_views"
    view_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.user_id", ondelete="CASCADE"))
    page: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(String(60))
    query: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(UtcTime)
    removed_at: Mapped[datetime | None] = mapped_column(UtcTime)
    __table_args__ = (Index("ix_saved_views_user", "user_id", "page"),)
