"""What the pack tells of the plan: the risk register, plans that run, the funnel, where plan and reality part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from crm.errors import NotReady
from planning.goals import COMPANY
from planning.report_parts import Report
from planning.reviews import Rhythm
from planning.signals import Signal
from serving.contingency import Plans, PlanView
from serving.proposals import Proposal, proposals
from serving.reports import Wish, report_for, shown_teams
from serving.reviews.material import Material
from serving.risks import Register, sees
from serving.scenarios import ground_drawn, ground_of, signals_of
from serving.tables.risks import StoredRisk

MOST = 8
_PERIODS = {"monthly": "month", "quarterly": "quarter"}


@dataclass(frozen=True)
class PlanParts:
    """Figures of the plan in a pack.

    Attributes
    ----------
    kept : bool
        Whether the register was ever filled; until then the forecast alone tells of risks.
    risks : sequence of StoredRisk
        The largest that are open.
    others : int
        How many more are open.
    funnel : Report, optional
        Of the period that runs; not in a weekly pack.
    levers : sequence of Proposal, optional
        None where the quarter was not drawn yet.
    """

    kept: bool = False
    risks: Sequence[StoredRisk] = ()
    others: int = 0
    plans: Sequence[PlanView] = ()
    funnel: Report | None = None
    signals: Sequence[Signal] = ()
    levers: Sequence[Proposal] | None = None

    @property
    def persons(self) -> list[str]:
        """People whom a risk that is shown is about."""
        return [risk.subject_id for risk in self.risks if risk.subject_kind == "rep"]


def plan_parts(material: Material, rhythm: Rhythm, team_id: str) -> PlanParts:
    """What the viewer may see of a team's, or the company's, part of the plan."""
    register = Register(material.ledger.store).all()
    risks = [r for r in register if r.state != "closed" and _shown(material, team_id, r)]
    running = [
        p for p in Plans(material.ledger.store).all() if p.plan.state == "started" and _runs(material, team_id, p)
    ]
    plans = [p.seen_by(material.sight, _teams(material), material.scores.index.index) for p in running]
    weekly = rhythm == "weekly"
    signals = [] if weekly else _signals(material, team_id)
    return PlanParts(
        bool(register), risks[:MOST], max(len(risks) - MOST, 0), plans,
        None if weekly else _funnel(material, rhythm, team_id), signals,
        [] if weekly or team_id != COMPANY else _levers(material, signals),
    )  # fmt: skip


def _shown(material: Material, team_id: str, risk: StoredRisk) -> bool:
    """A risk of that part of the company, and the viewer's to see; a pack is passed on, so of persons only figures."""
    if not sees(material.sight, _teams(material), risk, material.company):
        return False
    if risk.subject_kind == "rep" and not material.sight.person(risk.subject_id):
        return False
    return _within(material, team_id, risk.subject_kind, risk.subject_id, risk.facts.get("owner_id"))


def _runs(material: Material, team_id: str, view: PlanView) -> bool:
    plan, sight = view.plan, material.sight
    kind, subject = plan.subject_kind, plan.subject_id
    may = {
        "rep": lambda: sight.person(subject), "account": lambda: sight.account(subject),
        "team": lambda: sight.team(subject) and (not sight.least or subject in _teams(material)),
    }.get(kind, lambda: sight.teams is None)()  # fmt: skip
    return may and _within(material, team_id, kind, subject, None)


def _within(material: Material, team_id: str, kind: str, subject: str, owner: Any) -> bool:
    if team_id == COMPANY:
        return True
    members = material.members(team_id)
    if kind == "team":
        return subject in material.reached.below.get(team_id, frozenset({team_id}))
    if kind == "rep":
        return subject in members
    if kind == "account":
        return material.facts.accounts["owner_id"].get(subject) in members
    return kind == "deal" and owner in members


def _teams(material: Material) -> frozenset[str]:
    frame = material.scores.frames.get("teams")
    return frozenset() if frame is None else frozenset(frame["team_id"])


def _funnel(material: Material, rhythm: Rhythm, team_id: str) -> Report | None:
    teams = shown_teams(material.sight, material.scores.frames.get("teams"))
    wish = Wish(_PERIODS[rhythm], None if team_id == COMPANY else team_id)
    if wish.team is not None and teams is not None and wish.team not in teams:
        return None
    return report_for("funnel", wish, material.sales, material.company, material.sight, teams)


def _signals(material: Material, team_id: str) -> list[Signal]:
    found, _ = signals_of(material)
    if team_id == COMPANY:
        return found
    below = material.reached.below.get(team_id, frozenset({team_id}))
    return [one for one in found if one.kind == "team_behind" and one.subject in below]


def _levers(material: Material, signals: list[Signal]) -> list[Proposal] | None:
    """Levers with their effect; on a page only where the quarter was drawn for the newest scores already."""
    if material.whole is None or material.sight.teams is not None:
        return []
    try:
        ground = ground_drawn(material, material.whole)
        if ground is None and material.draws:
            ground = ground_of(material, material.whole, material.tracking)
    except NotReady:
        return []
    return proposals(material, ground, signals) if ground is not None else None
