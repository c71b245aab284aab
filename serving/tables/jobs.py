"""Work in the store: jobs and what they told, leases on what only one may write, the first build's steps."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Float, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from serving.tables.base import Base, UtcTime


class StoredJob(Base):
    """A piece of work that someone asked for; a worker process takes it up."""

    __tablename__ = "jobs"
    job_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    state: Mapped[str] = mapped_column(String(20))
    params: Mapped[dict[str, Any]] = mapped_column(JSON)
    asked_by: Mapped[int | None] = mapped_column(ForeignKey("users.user_id", ondelete="SET NULL"))
    asked_how: Mapped[str] = mapped_column(String(40))  # 'user', 'command line', 'schedule', 'message' or 'after job N'
    once: Mapped[str | None] = mapped_column(String(80), unique=True)  # the same wish is put in the queue only once
    asked_at: Mapped[datetime] = mapped_column(UtcTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcTime)
    cancel_at: Mapped[datetime | None] = mapped_column(UtcTime)
    done: Mapped[float] = mapped_column(Float)
    text: Mapped[str] = mapped_column(Text)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    attempt: Mapped[int] = mapped_column(Integer)
    worker: Mapped[str | None] = mapped_column(String(120))
    beat_at: Mapped[datetime | None] = mapped_column(UtcTime)
    __table_args__ = (Index("ix_jobs_state", "state"),)


class JobEvent(Base):
    """What a job told at a moment; streams go on from any of them."""

    __tablename__ = "job_events"
    event_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.job_id", ondelete="CASCADE"))
    at: Mapped[datetime] = mapped_column(UtcTime)
    state: Mapped[str] = mapped_column(String(20))
    done: Mapped[float] = mapped_column(Float)
    text: Mapped[str] = mapped_column(Text)
    __table_args__ = (Index("ix_job_events_job_id", "job_id", "event_id"),)


class Lease(Base):
    """The right to write something, held by one process as long as it says that it lives."""

    __tablename__ = "leases"
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    holder: Mapped[str] = mapped_column(String(120))
    until: Mapped[datetime] = mapped_column(UtcTime)


class BuildStep(Base):
    """A step of a home's first build, which pages show while it goes on."""

    __tablename__ = "build_steps"
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    place: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(20))
    done: Mapped[float] = mapped_column(Float)
    text: Mapped[str] = mapped_column(Text)
    started_at: Mapped[datetime | None] = mapped_column(UtcTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcTime)
