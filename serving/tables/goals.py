"""Goals set here: each as it stands, every change of it, and what has yet to be copied to the lake."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Date, Float, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from serving.tables.base import Base, UtcTime


class StoredGoal(Base):
    """A goal as it stands; one that ended keeps its row, so that its history can be read."""

    __tablename__ = "goals"
    goal_number: Mapped[int] = mapped_column(Integer, primary_key=True)
    owner_kind: Mapped[str] = mapped_column(String(20))
    owner_id: Mapped[str] = mapped_column(Text)
    metric: Mapped[str] = mapped_column(String(40))
    product_id: Mapped[str | None] = mapped_column(Text)
    product_family: Mapped[str | None] = mapped_column(Text)
    segment: Mapped[str | None] = mapped_column(Text)
    period_start: Mapped[date] = mapped_column(Date)
    period_end: Mapped[date] = mapped_column(Date)
    target: Mapped[float] = mapped_column(Float)
    currency: Mapped[str | None] = mapped_column(String(3))
    parent_goal_id: Mapped[str | None] = mapped_column(Text)
    hides: Mapped[str | None] = mapped_column(Text)  # goal of the CRM that this one took over
    parts: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))  # split anew mid-period
    version: Mapped[int] = mapped_column(Integer)
    made_at: Mapped[datetime] = mapped_column(UtcTime)
    changed_at: Mapped[datetime] = mapped_column(UtcTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcTime)
    __table_args__ = (Index("ix_goals_owner", "owner_kind", "owner_id"),)


class GoalChange(Base):
    """Who changed what of a goal, when and why; the goal before and after."""

    __tablename__ = "goal_changes"
    change_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    goal_number: Mapped[int] = mapped_column(ForeignKey("goals.goal_number", ondelete="CASCADE"))
    version: Mapped[int] = mapped_column(Integer)
    at: Mapped[datetime] = mapped_column(UtcTime)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.user_id", ondelete="SET NULL"))
    what: Mapped[str] = mapped_column(String(20))
    why: Mapped[str] = mapped_column(Text)
    before: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    after: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    batch: Mapped[str | None] = mapped_column(String(32))  # what was done in one go, and is undone in one go
    __table_args__ = (UniqueConstraint("goal_number", "version"), Index("ix_goal_changes_batch", "batch"))


class GoalOutbox(Base):
    """A row for the lake's table of goals; it is taken out once the lake has it."""

    __tablename__ = "goal_outbox"
    outbox_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    row: Mapped[dict[str, Any]] = mapped_column(JSON)
