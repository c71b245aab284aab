"""How even people's goals stand: what each is expected to reach of this quarter's, and of the next one's."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal

import pandas as pd

from crm.fiscal import Period
from planning.cascade import Fairness, fairness
from planning.overview import Plan

_METRIC = "bookings"


@dataclass(frozen=True, slots=True)
class PersonLine:
    """One person's goals for bookings beside what is forecast.

    Attributes
    ----------
    target, following : float or None
        Goal of the quarter that runs, and of the next.
    mean, p_attain : float or None
        Of the forecast of the quarter that runs.
    """

    rep_id: str
    target: float | None
    mean: float | None
    p_attain: float | None
    following: float | None

    @property
    def expected(self) -> float | None:
        """Expected attainment of this quarter's goal."""
        return self.mean / self.target if self.target and self.mean is not None else None

    @property
    def expected_following(self) -> float | None:
        """Share of the next quarter's goal that this quarter's forecast would be."""
        return self.mean / self.following if self.following and self.mean is not None else None


@dataclass(frozen=True, slots=True)
class Evenness:
    """People's lines, who is expected to reach least first, and how fair the goals of both quarters are.

    Attributes
    ----------
    now, following : Fairness, optional
        None where nobody has both goal and forecast. The next quarter is measured on this one's forecasts, for it has
        none yet: a season that is the same for all changes nothing in how fair goals are.
    """

    people: tuple[PersonLine, ...] = ()
    now: Fairness | None = None
    following: Fairness | None = None


def evenness(plan: Plan, quarter: Period, following: Period, people: Collection[str]) -> Evenness:
    """How even the goals of some people stand for the quarter that runs and the next.

    Parameters
    ----------
    people : collection of str
        Whose figures may be told; who has no goal for either quarter is left out.
    """
    ours, theirs = _targets(plan, quarter, people), _targets(plan, following, people)
    told = {rep: plan.forecasts.get(("rep", rep, _METRIC, quarter.start, quarter.end), {}) for rep in {*ours, *theirs}}
    means = {rep: float(one["mean"]) for rep, one in told.items() if not pd.isna(one.get("mean", float("nan")))}
    lines = [
        PersonLine(rep, _number(ours.get(rep)), means.get(rep), told[rep].get("p_attain"), _number(theirs.get(rep)))
        for rep in told
    ]
    lines.sort(key=lambda one: (one.expected is None, one.expected or 0.0, one.rep_id))
    return Evenness(tuple(lines), _fair(means, ours), _fair(means, theirs))


def _targets(plan: Plan, period: Period, people: Collection[str]) -> dict[str, Decimal]:
    return {
        goal.owner_id: goal.target
        for goal in plan.goals
        if goal.owner_kind == "rep" and goal.owner_id in people and goal.metric == _METRIC and goal.target
        and not goal.scope and not goal.kinds and (goal.start, goal.end) == (period.start, period.end)
    }  # fmt: skip


def _fair(means: Mapping[str, float], targets: Mapping[str, Decimal]) -> Fairness | None:
    known = any(means.get(rep, 0.0) > 0 for rep in targets)
    return fairness(means, targets) if known else None


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
