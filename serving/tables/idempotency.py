"""Answers to writes that carried an Idempotency-Key, so that a repeated one is done once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from serving.tables.base import Base, UtcTime


class KeptAnswer(Base):
    """The first answer to a key of one user; without a status it is still being worked on."""

    __tablename__ = "kept_answers"
    user: Mapped[str] = mapped_column("user_key", String(40), primary_key=True)
    key_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    request_hash: Mapped[str] = mapped_column(String(64))
    worker: Mapped[str] = mapped_column(String(40))  # who works on it: only that one may write the answer
    status: Mapped[int | None] = mapped_column(Integer)
    headers: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    made_at: Mapped[datetime] = mapped_column(UtcTime)
    ends_at: Mapped[datetime] = mapped_column(UtcTime)
    __table_args__ = (Index("ix_kept_answers_ends_at", "ends_at"),)
