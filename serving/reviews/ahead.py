"""What a quarterly pack looks ahead with: the next quarter's goals checked, how even they are, rehearsed departures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from crm.fiscal import Period
from planning.contingency import rehearse
from planning.evenness import Evenness, evenness
from planning.goals import COMPANY, Goal
from planning.overview import findings
from planning.risk_people import going
from planning.risks import Situation
from planning.smart import Finding
from serving.reviews.material import Material

MOST_REHEARSED = 3


class NextGoal(NamedTuple):
    """A goal of the next quarter, the like one of this quarter, and what its SMART check finds."""

    goal: Goal
    now: float | None
    off: Sequence[Finding]


class Rehearsal(NamedTuple):
    """What the quarter loses if somebody leaves tomorrow: by 'company' and 'team', each as `rehearse` tells it."""

    rep_id: str
    team_id: str | None
    entered: bool
    told: Mapping[str, Any]


@dataclass(frozen=True)
class Ahead:
    """A quarterly pack's look ahead.

    Attributes
    ----------
    persons_shown : bool
        Whether the people settings let figures on single people be shown to this viewer at all.
    rehearsed : sequence of Rehearsal, optional
        None where there are no draws to rehearse on.
    """

    period: Period | None = None
    goals: Sequence[NextGoal] = ()
    even: Evenness = field(default_factory=Evenness)
    persons_shown: bool = False
    rehearsed: Sequence[Rehearsal] | None = ()

    @property
    def persons(self) -> list[str]:
        """People of whom it shows figures."""
        return [line.rep_id for line in self.even.people] + [one.rep_id for one in self.rehearsed or ()]


def ahead(material: Material, team_id: str, owners: frozenset[str]) -> Ahead:
    """The look ahead for a team or the company.

    Parameters
    ----------
    owners : frozenset of str
        Company and teams whose goals the viewer may see in this pack.
    """
    plan, company = material.plan, material.company
    quarter = company.period_of(material.today)
    following = company.period_of(quarter.end)
    people = _people(material, team_id)
    return Ahead(
        following, _goals(material, quarter, following, owners), evenness(plan, quarter, following, people),
        bool(people), _rehearsed(material, people),
    )  # fmt: skip


def _people(material: Material, team_id: str) -> list[str]:
    """Who sells there today and of whom figures may be shown."""
    if material.company.people.level == "off":
        return []
    here = {p.rep_id for p in material.plan.people if not (p.left_on and p.left_on <= material.today)}
    return sorted(rep for rep in material.members(team_id) & here if material.sight.person(rep))


def _goals(material: Material, quarter: Period, following: Period, owners: frozenset[str]) -> list[NextGoal]:
    mine = [g for g in material.plan.goals if g.owner_kind != "rep" and g.owner_id in owners and g.target]
    now = {_alike(g): float(g.target or 0) for g in mine if (g.start, g.end) == (quarter.start, quarter.end)}
    found = [
        NextGoal(g, now.get(_alike(g)), [f for f in findings(material.plan, g) if f.grade != "ok"])
        for g in mine
        if (g.start, g.end) == (following.start, following.end)
    ]
    return sorted(found, key=lambda n: (n.goal.owner_kind != COMPANY, n.goal.owner_id, n.goal.metric, n.goal.goal_id))


def _alike(goal: Goal) -> tuple[object, ...]:
    return goal.owner_kind, goal.owner_id, goal.metric, tuple(sorted(goal.scope.items())), tuple(goal.kinds or ())


def _rehearsed(material: Material, people: Sequence[str]) -> list[Rehearsal] | None:
    """Who is known to go, then those whose leaving tomorrow would cost most; on the same draws as the forecast."""
    if not people:
        return []
    s = material.situation
    if s is None or s.outcomes is None:
        return None
    left = _still_to_come(material)
    leaving = {p.rep_id for p in s.plan.people if going(p, s) is not None}
    drawn = [rep for rep in people if rep in s.outcomes.place]
    drawn.sort(key=lambda rep: (rep not in leaving, -left.get(rep, 0.0), rep))
    return [_one(material, s, rep, rep in leaving) for rep in drawn[:MOST_REHEARSED]]


def _one(material: Material, s: Situation, rep: str, entered: bool) -> Rehearsal:
    told = rehearse(s, rep)
    team = s.plan.facts.team_of.get(rep)
    company = material.sight.teams is None
    shown = {kind: part for kind, part in told.items() if (company if kind == COMPANY else material.sight.team(team))}
    return Rehearsal(rep, team, entered, shown)


def _still_to_come(material: Material) -> dict[str, float]:
    """What each person is expected to bring from now to the quarter's end: what goes with them."""
    rows = material.scores.frames.get("reps")
    if rows is None:
        return {}
    rows = rows[rows["metric"] == "bookings"]
    sums = (rows["expected_open"].fillna(0.0) + rows["expected_new"].fillna(0.0)).groupby(rows["rep_id"]).max()
    return {str(rep): float(value) for rep, value in sums.items()}
