"""A goal split over the teams, people and months below it, as a table, with how fair that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pandas as pd

from crm.errors import NotFound
from crm.lake import View
from planning.capacity import (
    Method,
    NoSuchMethod,
    Person,
    blend,
    capacity,
    history_weights,
    potential_of_accounts,
    without_target,
)
from planning.cascade import COUNT_UNIT, MONEY_UNIT, Fairness, Weight, cascade, fairness, over_months, tree_of
from planning.goals import COMPANY, MONEY_METRICS, Goal
from planning.overview import Plan
from planning.periods import SUMS, months_of, past_results, season_of
from planning.workdays import NoWeight

_MAXIMUM = 4  # like periods that history looks back on


class NoGoal(NotFound):
    """No goal is there to be split or followed."""

    def __init__(self, goal_id: str | None = None) -> None:
        if goal_id is None:
            super().__init__(
                "There is no goal of the company for bookings. Import the table goals, or name another: bellwether "
                "plan goals."
            )
        else:
            super().__init__(
                "There is no goal '{goal_id}' of company or team that adds up. Import the table goals, or name "
                "another: bellwether plan goals.",
                goal_id=goal_id,
            )


class NotInSplit(NotFound):
    """A number is fixed for somebody who takes no part in the split."""

    def __init__(self, name: str, goal_id: str) -> None:
        super().__init__(
            "'{name}' has a fixed number, but takes no part in the split of goal {goal_id}. Give a team or "
            "person below it who carries a target.",
            name=name,
            goal_id=goal_id,
        )


def cascade_table(
    plan: Plan,
    goal_id: str | None = None,
    method: Method = "capacity",
    *,
    shares: Mapping[str, float] | None = None,
    pins: Mapping[str, Decimal] | None = None,
    over_assign: Decimal = Decimal(0),
    unit: Decimal | None = None,
) -> tuple[pd.DataFrame, Fairness | None]:
    """A company's or team's goal split over the teams and people below it, and how fair that is.

    Columns: owner_kind, owner_id, team_id, weight, target, today (their goal as it stands), mean (forecast),
    expected (mean over target), then one column a month. Fairness is None where nobody has a forecast.

    Parameters
    ----------
    goal_id : str, optional
        Without it: the company's bookings of the running quarter or month, the shortest that runs.
    shares : mapping of str to float, optional
        Of methods, for `blend`.

    Raises
    ------
    NoGoal
        If there is no such goal.
    NotInSplit
        If a number is fixed for somebody outside it.
    """
    goal = goal_to_split(plan, goal_id)
    weights = weights_of(plan, goal, method, shares or {})
    unit = unit or (MONEY_UNIT if goal.metric in MONEY_METRICS else COUNT_UNIT)
    team_of = {p.rep_id: p.team_id for p in plan.people if p.team_id and p.rep_id in weights}
    tree = tree_of(_above(plan.view), team_of, None if goal.owner_kind == COMPANY else goal.owner_id)
    parts = cascade(goal.target or Decimal(0), tree, weights, pins, unit, over_assign)
    if unknown := sorted(set(pins or {}) - set(parts)):
        raise NotInSplit(unknown[0], goal.goal_id)
    people = {name: target for name, target in parts.items() if name in weights}
    means = {rep: told for rep in people if (told := mean_of(plan, goal, rep)) is not None}
    rows = [_split_row(plan, goal, name, target, weights, team_of) for name, target in parts.items()]
    table = pd.DataFrame(rows).join(_months(plan, goal, parts, people, team_of, unit))
    told = any(mean > 0 and people[rep] > 0 for rep, mean in means.items())
    return table, fairness(means, people) if told else None


def weights_of(plan: Plan, goal: Goal, method: Method, shares: Mapping[str, float]) -> dict[str, Weight]:
    """Weight of each person that carries a target in a goal's period.

    Raises
    ------
    NoSuchMethod
        If the method is not known, or a blend names none.
    """
    roles = plan.company.plan.no_target_roles
    carry = [p for p in plan.people if p.team_id and not without_target(p, goal.start, roles)]
    ways = {
        "equal": lambda: dict.fromkeys((p.rep_id for p in carry), 1.0),
        "history": lambda: history_weights({p.rep_id: _past(plan, goal, p) for p in carry}),
        "capacity": lambda: {p.rep_id: capacity(p, goal.start, goal.end, plan.workdays) for p in carry},
        "potential": lambda: _potential(plan, goal, carry),
    }
    if method == "blend":
        wanted = [name for name, share in shares.items() if share > 0]
        return dict(blend(shares, {name: ways[name]() for name in wanted if name in ways}))
    if method not in ways:
        raise NoSuchMethod(method)
    return dict(ways[method]())


def goal_to_split(plan: Plan, goal_id: str | None) -> Goal:
    """A goal of the company or a team that adds up; without a name the company's bookings that run.

    Raises
    ------
    NoGoal
        If there is none.
    """
    if goal_id is not None:
        found = [g for g in plan.goals if g.goal_id == goal_id and g.owner_kind != "rep"]
    else:
        mine = [g for g in plan.running if g.owner_kind == COMPANY and g.metric == "bookings" and not g.scope]
        found = sorted(mine, key=lambda g: (g.end - g.start, g.goal_id))
    if not found or not found[0].target or found[0].metric not in SUMS:
        raise NoGoal(goal_id or None)
    return found[0]


def _past(plan: Plan, goal: Goal, person: Person) -> Sequence[float]:
    """Own results of like periods that the person worked from their first day on."""
    own = Goal(goal.goal_id, "rep", person.rep_id, goal.metric, goal.start, goal.end, None)
    results = past_results(own, plan.facts, plan.company, _MAXIMUM)
    if person.hired_on is None:
        return results
    days = (goal.end - goal.start).days
    return [value for place, value in enumerate(results) if (goal.start - person.hired_on).days >= days * (place + 1)]


def _potential(plan: Plan, goal: Goal, carry: Sequence[Person]) -> dict[str, float]:
    told = {p.rep_id: mean_of(plan, goal, p.rep_id) for p in carry}
    if any(value is not None for value in told.values()):
        return {rep: value or 0.0 for rep, value in told.items()}
    accounts = potential_of_accounts(plan.view, plan.company, plan.moment)
    found = {p.rep_id: accounts.get(p.rep_id, 0.0) for p in carry}
    if not any(found.values()):
        raise NoWeight(goal.target or Decimal(0), found)
    return found


def mean_of(plan: Plan, goal: Goal, rep: str) -> float | None:
    """Mean of what is forecast of a person over a goal's period, in its unit."""
    value = plan.forecasts.get(("rep", rep, goal.metric, goal.start, goal.end), {}).get("mean")
    return None if value is None or pd.isna(value) else float(value)


def _split_row(
    plan: Plan, goal: Goal, name: str, target: Decimal, weights: Mapping[str, Weight], team_of: Mapping[str, str]
) -> dict[str, Any]:
    kind = "rep" if name in weights else "team"
    stands = [g.target for g in plan.goals if (g.owner_kind, g.owner_id, g.metric, g.start, g.end, g.scope)
              == (kind, name, goal.metric, goal.start, goal.end, {})]  # fmt: skip
    mean = mean_of(plan, goal, name) if kind == "rep" else None
    return {
        "owner_kind": kind, "owner_id": name, "team_id": team_of.get(name, name),
        "weight": float(weights[name]) if kind == "rep" else None, "target": target,
        "today": stands[0] if stands else None, "mean": mean,
        "expected": mean / float(target) if mean and target else None,
    }  # fmt: skip


def _months(
    plan: Plan, goal: Goal, parts: Mapping[str, Decimal], people: Mapping[str, Decimal],
    team_of: Mapping[str, str], unit: Decimal,
) -> pd.DataFrame:  # fmt: skip
    shares, _ = season_of(goal, plan.facts, plan.company, plan.workdays)
    names = [month.name for month in months_of(goal.start, goal.end, plan.company)]
    rows = {rep: over_months(target, shares, unit) for rep, target in people.items()}
    for team in parts.keys() - people.keys():
        under = plan.facts.below.get(team, frozenset({team}))
        below = [rows[rep] for rep in people if team_of[rep] in under]
        rows[team] = [sum(column, Decimal(0)) for column in zip(*below, strict=True)]
    return pd.DataFrame([rows[name] for name in parts], columns=names)


def _above(view: View) -> dict[str, str | None]:
    teams = view.arrow("teams").to_pylist()
    return {row["team_id"]: row["parent_team_id"] for row in teams}
