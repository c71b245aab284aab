"""Risks and contingency plans as one viewer sees and changes them, by API or page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import pandas as pd

from crm.errors import NotFound, NotReady
from crm.lake import newest_event
from planning.contingency import rehearse
from planning.outcomes import Outcomes
from planning.risks import Situation
from serving.access import NotYours, Sight, Viewer
from serving.contingency import NoSuchPlan, Plans, PlanView, template_of
from serving.dependencies import Server
from serving.goals import By, WithGoals
from serving.outcomes import read_outcomes
from serving.people_data.subjects import keys_of
from serving.people_data.views import note_looks
from serving.risk_run import situation_of
from serving.risks import BadRiskChange, NoSuchRisk, Register, may_change, money_shown, need_change, sees
from serving.scores import Scores
from serving.tables.risks import RiskChange, StoredRisk


class NoSuchPerson(NotFound):
    """There is no such person, or no figures on the person for this viewer."""

    def __init__(self, rep_id: str) -> None:
        super().__init__(
            "There is no person '{rep_id}' whose leaving you can rehearse: it tells what the person would bring, "
            "which the company may show to that person alone (people.level).",
            rep_id=rep_id[:80],
        )


class NoDraws(NotReady):
    """There are no draws to rehearse on."""

    def __init__(self) -> None:
        super().__init__("There are no draws of this quarter yet. Make them: bellwether score.")


@dataclass
class RiskDesk:
    """One viewer at the register.

    Parameters
    ----------
    scores : Scores
        The newest, as far as the viewer may see them.
    """

    server: Server
    viewer: Viewer
    sight: Sight
    scores: Scores

    @property
    def now(self) -> datetime:
        """The moment that a change is recorded at; the time of a sample company stands still."""
        sample = self.server.company().sample and self.scores.as_of is not None
        return self.scores.as_of if sample and self.scores.as_of else datetime.now(UTC)

    @cached_property
    def register(self) -> Register:
        """The risks."""
        return Register(self.server.store)

    @cached_property
    def plans(self) -> Plans:
        """The contingency plans."""
        return Plans(self.server.store)

    def risks(self, *, closed: bool = False) -> list[StoredRisk]:
        """Risks that the viewer may see, the largest expected loss first."""
        return [r for r in self.register.all() if self._sees(r) and (closed or r.state != "closed")]

    def risk(self, risk_id: int) -> StoredRisk:
        """One risk.

        Raises
        ------
        NoSuchRisk
            If there is none, or not for this viewer.
        """
        risk = self.register.read(risk_id)
        if not self._sees(risk):
            raise NoSuchRisk(risk_id)
        return risk

    def history(self, risk_id: int) -> list[RiskChange]:
        """Changes of a risk that the viewer may see."""
        self.risk(risk_id)
        return self.register.history(risk_id)

    def change(self, risk_id: int, fields: Mapping[str, Any], why: str) -> StoredRisk:
        """Change a risk.

        Raises
        ------
        NoSuchRisk, BadRiskChange, NotYours
            If it cannot be, or not by this viewer.
        """
        need_change(self.viewer, self.sight, self.risk(risk_id))
        self._need_owner(fields)
        return self.register.change(risk_id, fields, By(self.viewer.user_id, self.now, why))

    def undo(self, risk_id: int) -> StoredRisk:
        """Take back the newest change by a person.

        Raises
        ------
        NoSuchRisk, NothingToUndo, NotYours
            If it cannot be, or not by this viewer.
        """
        need_change(self.viewer, self.sight, self.risk(risk_id))
        return self.register.undo(risk_id, By(self.viewer.user_id, self.now, "undone"))

    def may_change(self, risk: StoredRisk) -> bool:
        """Whether the viewer may change a risk."""
        return may_change(self.viewer, self.sight, risk)

    def money(self, risk: StoredRisk, name: str) -> float | None:
        """Money of a risk, where it is shown."""
        return getattr(risk, name) if money_shown(self.sight, risk) else None

    def plan_views(self) -> list[PlanView]:
        """Plans that the viewer may see, running ones first."""
        return [self._seen(view) for view in self.plans.all() if self._sees_plan(view)]

    def plan(self, plan_id: int) -> PlanView:
        """One plan.

        Raises
        ------
        NoSuchPlan
            If there is none, or not for this viewer.
        """
        view = self.plans.read(plan_id)
        if not self._sees_plan(view):
            raise NoSuchPlan(plan_id)
        return self._seen(view)

    def start_plan(self, risk_id: int) -> PlanView:
        """Start the plan that fits a risk, now.

        Raises
        ------
        NoSuchRisk, BadRiskChange, NotYours
            If there is none, it runs already, or the viewer may not.
        """
        risk = self.risk(risk_id)
        need_change(self.viewer, self.sight, risk)
        template = template_of(risk)
        if template is None:
            raise BadRiskChange("risk_id: there is no plan for a risk of kind {kind}.", kind=risk.kind)
        curves = self._frames.get("curves", pd.DataFrame({"deal_id": [], "day": [], "won": []}))
        return self.plan(self.plans.start(template, risk, self.situation, curves))

    def set_step(self, plan_id: int, place: int, fields: Mapping[str, Any]) -> PlanView:
        """Set a step of a plan: managers, administrators, and whose step it is.

        Raises
        ------
        NoSuchPlan, NoSuchStep, BadStepState, BadRiskChange, NotYours
            If it cannot be, or not by this viewer.
        """
        view = self.plan(plan_id)
        mine = any(s.place == place and s.owner_id == self.viewer.rep_id for s in view.steps if self.viewer.rep_id)
        if not mine:
            self._need_lead()
        self._need_owner(fields)
        return self._seen(self.plans.set_step(plan_id, place, fields, By(self.viewer.user_id, self.now, "")))

    def close_plan(self, plan_id: int) -> PlanView:
        """End a plan.

        Raises
        ------
        NoSuchPlan, NotYours
            If there is none, or the viewer may not.
        """
        self.plan(plan_id)
        self._need_lead()
        return self._seen(self.plans.close(plan_id, self.now))

    def rehearsal(self, rep_id: str) -> dict[str, Any]:
        """What if this person left tomorrow: team and company before, after, and after a hand-over.

        Only where figures on the person are shown; of teams and the company only those that the viewer sees.

        Raises
        ------
        NoSuchPerson, NoDraws
            If it cannot be told, or not to this viewer.
        """
        if rep_id not in self._reps or not self.sight.person(rep_id) or self.server.company().people.level == "off":
            raise NoSuchPerson(rep_id)
        if self.outcomes is None:
            raise NoDraws
        found = rehearse(self.situation, rep_id)
        note_looks(self.server.store, self.viewer, [rep_id], keys_of(self.server.view()), what="rehearsal of leaving")
        return {kind: told for kind, told in found.items() if kind != "company" or self.sight.teams is None}

    @cached_property
    def outcomes(self) -> Outcomes | None:
        """The draws of the newest scores."""
        return read_outcomes(self.server.home.scores / self.scores.mark) if self.scores.mark else None

    @cached_property
    def situation(self) -> Situation:
        """What risks were found in at the newest scores, whole."""
        server, company = self.server, self.server.company()
        view = server.view()
        moment = self.scores.as_of or newest_event(view)
        sales = server.selling.read(view, view.cut.number, company, moment)
        return situation_of(WithGoals(view, server.store), company, moment, self._frames, self.outcomes, sales)

    @property
    def _frames(self) -> Mapping[str, pd.DataFrame]:
        return self.server.book.newest(self.server.company()).frames

    @cached_property
    def _reps(self) -> frozenset[str]:
        return frozenset(self.server.view().arrow("reps")["rep_id"].to_pylist())

    def _need_owner(self, fields: Mapping[str, Any]) -> None:
        owner = fields.get("owner_id")
        if owner is not None and not (owner in self._reps and self.sight.owner(owner)):
            raise BadRiskChange("owner_id: there is no person '{owner}'.", owner=str(fields["owner_id"])[:80])

    @cached_property
    def _teams(self) -> frozenset[str]:
        frame = self.scores.frames.get("teams")
        return frozenset() if frame is None else frozenset(frame["team_id"])

    def _sees(self, risk: StoredRisk) -> bool:
        return sees(self.sight, self._teams, risk, self.server.company())

    def _sees_plan(self, view: PlanView) -> bool:
        kind, subject = view.plan.subject_kind, view.plan.subject_id
        if kind == "rep":
            return self.sight.owner(subject) and self.viewer.rep_id != subject
        if kind == "account":
            return self.sight.account(subject)
        if kind == "team":
            return self.sight.team(subject) and (not self.sight.least or subject in self._teams)
        return self.sight.teams is None

    def _seen(self, view: PlanView) -> PlanView:
        """A plan without what the viewer may not see of what fills it."""
        return view.seen_by(self.sight, self._teams, self.scores.index.index)

    def _need_lead(self) -> None:
        if self.viewer.role not in ("admin", "manager"):
            raise NotYours(self.viewer.role, "admin", "manager")
