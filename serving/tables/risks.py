"""The risk register and contingency plans: each as it stands, and every change of it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Boolean, Date, Float, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from serving.tables.base import Base, UtcTime


class StoredRisk(Base):
    """A risk as it stands; what is found again later is the same risk."""

    __tablename__ = "risks"
    risk_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    subject_kind: Mapped[str] = mapped_column(String(20))
    subject_id: Mapped[str] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(String(20))
    owner_id: Mapped[str | None] = mapped_column(Text)
    owner_set: Mapped[bool] = mapped_column(Boolean)  # by a person; the rules leave it alone then
    note: Mapped[str] = mapped_column(Text)
    accepted_until: Mapped[date | None] = mapped_column(Date)
    level: Mapped[str] = mapped_column(String(20))
    likelihood: Mapped[float | None] = mapped_column(Float)
    money: Mapped[float | None] = mapped_column(Float)
    exposed: Mapped[float | None] = mapped_column(Float)
    expected_loss: Mapped[float | None] = mapped_column(Float)
    rest: Mapped[float] = mapped_column(Float)
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)
    opened_at: Mapped[datetime] = mapped_column(UtcTime)
    seen_at: Mapped[datetime] = mapped_column(UtcTime)  # the last run that found it
    false_weeks: Mapped[int] = mapped_column(Integer)  # weekly runs in a row that did not
    false_at: Mapped[datetime | None] = mapped_column(UtcTime)
    low_runs: Mapped[int] = mapped_column(Integer)  # runs in a row in which a plan's trigger was near
    closed_at: Mapped[datetime | None] = mapped_column(UtcTime)
    __table_args__ = (UniqueConstraint("kind", "subject_kind", "subject_id"), Index("ix_risks_state", "state"))


class RiskChange(Base):
    """Who changed what of a risk, when and why; no user where the rules did."""

    __tablename__ = "risk_changes"
    change_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    risk_id: Mapped[int] = mapped_column(ForeignKey("risks.risk_id", ondelete="CASCADE"))
    at: Mapped[datetime] = mapped_column(UtcTime)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.user_id", ondelete="SET NULL"))
    what: Mapped[str] = mapped_column(String(20))
    why: Mapped[str] = mapped_column(Text)
    before: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    after: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    undone: Mapped[bool] = mapped_column(Boolean)
    __table_args__ = (Index("ix_risk_changes_risk", "risk_id"),)


class ContingencyPlan(Base):
    """A plan that was started, by itself or by hand, and what it was filled with."""

    __tablename__ = "contingency_plans"
    plan_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    template: Mapped[str] = mapped_column(String(20))
    subject_kind: Mapped[str] = mapped_column(String(20))
    subject_id: Mapped[str] = mapped_column(String(200))
    risk_id: Mapped[int | None] = mapped_column(ForeignKey("risks.risk_id", ondelete="SET NULL"))
    state: Mapped[str] = mapped_column(String(20))
    started_at: Mapped[datetime] = mapped_column(UtcTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcTime)
    trigger: Mapped[dict[str, Any]] = mapped_column(JSON)
    filled: Mapped[dict[str, Any]] = mapped_column(JSON)
    filled_at: Mapped[datetime] = mapped_column(UtcTime)
    false_weeks: Mapped[int] = mapped_column(Integer)
    false_at: Mapped[datetime | None] = mapped_column(UtcTime)
    __table_args__ = (Index("ix_contingency_subject", "template", "subject_id"),)


class ContingencyStep(Base):
    """A step of a plan: whose, by when, how far."""

    __tablename__ = "contingency_steps"
    step_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    plan_id: Mapped[int] = mapped_column(ForeignKey("contingency_plans.plan_id", ondelete="CASCADE"))
    place: Mapped[int] = mapped_column(Integer)
    what: Mapped[str] = mapped_column(String(40))
    owner_id: Mapped[str | None] = mapped_column(Text)
    due: Mapped[date] = mapped_column(Date)
    state: Mapped[str] = mapped_column(String(20))
    note: Mapped[str] = mapped_column(Text)
    changed_at: Mapped[datetime] = mapped_column(UtcTime)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.user_id", ondelete="SET NULL"))
    __table_args__ = (Index("ix_contingency_steps_plan", "plan_id"),)
