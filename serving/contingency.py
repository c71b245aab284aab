"""Contingency plans at work: started by their triggers or by hand, filled anew by each scoring, closed when over."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.errors import BadInput, NotFound
from planning.contingency import Template, fill, starts, steps
from planning.events import local_day
from planning.risks import Risk, Situation
from serving.access import Sight
from serving.goals import By
from serving.risks import BadRiskChange
from serving.store import Store
from serving.tables.risks import ContingencyPlan, ContingencyStep, StoredRisk

STEP_STATES = ("open", "done", "dropped")
_WEEK = timedelta(days=7)
_OVER_AFTER = 2


class NoSuchPlan(NotFound):
    """There is no such contingency plan, or not for this viewer."""

    def __init__(self, plan_id: int) -> None:
        super().__init__(
            "There is no contingency plan {plan_id} that you can see. The list is at /api/v1/risks/plans.",
            plan_id=plan_id,
        )


class NoSuchStep(NotFound):
    """A plan has no such step."""

    def __init__(self, plan_id: int, place: int) -> None:
        super().__init__("Plan {plan_id} has no step {place}.", plan_id=plan_id, place=place)


class BadStepState(BadInput):
    """A step cannot be set to this."""

    def __init__(self, state: str) -> None:
        super().__init__(
            "state: '{state}' is none of a step's. Take one of {step_states}.",
            state=state,
            step_states=", ".join(STEP_STATES),
        )


@dataclass(frozen=True)
class PlanView:
    """A plan with its steps in order, and what it is filled with as far as it is shown."""

    plan: ContingencyPlan
    steps: list[ContingencyStep]
    filled: Mapping[str, Any]

    def seen_by(self, sight: Sight, teams: frozenset[str], deals: Container[str]) -> PlanView:
        """The same without what a viewer may not see.

        Parameters
        ----------
        teams : frozenset of str
            Teams whose figures are shown.
        deals : container of str
            Deals that the viewer may see.
        """
        tests: dict[str, Callable[[Any], bool]] = {
            "cover": lambda row: sight.owner(row.get("owner_id")) and _shown(row, sight, deals),
            "call_first": lambda row: _shown(row, sight, deals),
            "handover": lambda row: _shown(row, sight, deals),
            "deals": lambda row: _shown(row, sight, deals),
            "causes": lambda row: row["team"] in teams,
        }
        seen = {
            name: [row for row in value if tests[name](row)] if name in tests else value
            for name, value in self.filled.items()
        }
        if self.plan.subject_kind == "rep" and not sight.person(self.plan.subject_id):
            seen.pop("goal", None)  # what is left of it is a figure on the person
        return replace(self, filled=seen)


def _shown(row: Mapping[str, Any], sight: Sight, deals: Container[str]) -> bool:
    """Whether a line about a deal, or about a customer, may be seen."""
    deal = row.get("deal_id")
    return deal in deals if deal is not None else sight.account(row.get("account_id"))


class Plans:
    """The contingency plans of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self) -> list[PlanView]:
        """All plans, running ones first, the newest first."""
        with self._store.reading() as session:
            plans = list(session.scalars(select(ContingencyPlan)))
            rows = list(session.scalars(select(ContingencyStep).order_by(ContingencyStep.place)))
        plans.sort(key=lambda p: (p.state != "started", -p.plan_id))
        return [PlanView(p, [row for row in rows if row.plan_id == p.plan_id], p.filled) for p in plans]

    def read(self, plan_id: int) -> PlanView:
        """One plan.

        Raises
        ------
        NoSuchPlan
            If there is none.
        """
        found = [view for view in self.all() if view.plan.plan_id == plan_id]
        if not found:
            raise NoSuchPlan(plan_id)
        return found[0]

    def follow(self, found: list[Risk], s: Situation, curves: pd.DataFrame) -> list[int]:
        """Start what is triggered, fill what runs anew, close what was not triggered for two weeks; ids of new ones."""
        at, started = s.sales.moment, list[int]()
        with self._store.session() as session:
            stored = {(r.kind, r.subject_kind, r.subject_id): r for r in session.scalars(select(StoredRisk))}
            running = {
                (p.template, p.subject_id): p
                for p in session.scalars(select(ContingencyPlan).where(ContingencyPlan.state == "started"))
            }
            wanted = set()
            for risk in found:
                row = stored[risk.key]
                template = starts(risk, row.low_runs, s)
                if template is None:
                    continue
                wanted.add((template, risk.subject_id))
                if (template, risk.subject_id) not in running:
                    started.append(_start(session, template, row, risk.facts, s, curves).plan_id)
            for key, plan in running.items():
                _go_on(plan, key in wanted, s, curves, at)
        return started

    def start(self, template: Template, risk: StoredRisk, s: Situation, curves: pd.DataFrame) -> int:
        """Start a plan by hand.

        Raises
        ------
        BadRiskChange
            If it runs already.
        """
        with self._store.session() as session:
            same = select(ContingencyPlan).where(
                ContingencyPlan.template == template, ContingencyPlan.subject_id == risk.subject_id,
                ContingencyPlan.state == "started",
            )  # fmt: skip
            if there := session.scalars(same).first():
                raise BadRiskChange(
                    "Plan {plan_id} for this runs already: /risks/plans/{plan_id}.", plan_id=there.plan_id
                )
            return _start(session, template, risk, {**risk.facts, "by_hand": True}, s, curves).plan_id

    def set_step(self, plan_id: int, place: int, fields: Mapping[str, Any], by: By) -> PlanView:
        """Set a step's state, owner or note.

        Raises
        ------
        NoSuchStep, BadStepState
            If there is no such step or state.
        """
        if fields.get("state", "open") not in STEP_STATES:
            raise BadStepState(str(fields["state"]))
        with self._store.session() as session:
            query = select(ContingencyStep).where(ContingencyStep.plan_id == plan_id, ContingencyStep.place == place)
            step = session.scalars(query).first()
            if step is None:
                raise NoSuchStep(plan_id, place)
            for name, value in fields.items():
                setattr(step, name, value)
            step.changed_at, step.user_id = by.at, by.user_id
        return self.read(plan_id)

    def close(self, plan_id: int, at: datetime) -> PlanView:
        """End a plan; its record stays.

        Raises
        ------
        NoSuchPlan
            If there is none.
        """
        with self._store.session() as session:
            plan = session.get(ContingencyPlan, plan_id)
            if plan is None:
                raise NoSuchPlan(plan_id)
            plan.state, plan.closed_at = "closed", at
        return self.read(plan_id)


def template_of(risk: StoredRisk) -> Template | None:
    """The plan that fits a kind of risk."""
    fits: dict[str, Template] = {
        "target_missed": "target_missed", "coverage_gap": "target_missed", "key_account_leaving": "account_lost",
        "person_leaving": "person_gone",
    }  # fmt: skip
    if risk.subject_kind == "rep" and risk.kind != "person_leaving":
        return None
    return None if risk.kind == "person_leaving" and risk.subject_kind != "rep" else fits.get(risk.kind)


def _start(
    session: Session, template: Template, risk: StoredRisk, facts: Mapping[str, Any], s: Situation, curves: pd.DataFrame
) -> ContingencyPlan:
    at = s.sales.moment
    plan = ContingencyPlan(
        template=template, subject_kind=risk.subject_kind, subject_id=risk.subject_id, risk_id=risk.risk_id,
        state="started", started_at=at, trigger=_plain({**facts, "likelihood": risk.likelihood, "kind": risk.kind}),
        filled=_plain(fill(template, risk.subject_kind, risk.subject_id, s, curves)), filled_at=at, false_weeks=0,
    )  # fmt: skip
    session.add(plan)
    session.flush()
    manager = s.manager_of("rep" if risk.subject_kind in ("rep", "account") else risk.subject_kind,
                           risk.subject_id if risk.subject_kind != "account" else risk.owner_id or "")  # fmt: skip
    owner = risk.subject_id if risk.subject_kind == "rep" else risk.owner_id
    begins = local_day(s.plan.company, at)
    for place, step in enumerate(
        steps(template, begins, manager or s.manager_of("company", ""), owner, s.plan.workdays)
    ):
        session.add(
            ContingencyStep(plan_id=plan.plan_id, place=place + 1, what=step.what, owner_id=step.owner_id, due=step.due,
                            state="open", note="", changed_at=at)
        )  # fmt: skip
    return plan


def _go_on(plan: ContingencyPlan, wanted: bool, s: Situation, curves: pd.DataFrame, at: datetime) -> None:
    template: Any = plan.template
    filled = fill(template, plan.subject_kind, plan.subject_id, s, curves)
    if filled:
        plan.filled, plan.filled_at = _plain(filled), at
    if wanted:
        plan.false_weeks, plan.false_at = 0, None
    elif plan.false_at is None or at - plan.false_at >= _WEEK:
        plan.false_weeks, plan.false_at = plan.false_weeks + 1, at
    if plan.false_weeks >= _OVER_AFTER and not plan.trigger.get("by_hand"):  # what people started, people end
        plan.state, plan.closed_at = "closed", at


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and value != value else value
