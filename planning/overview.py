"""Goals, cascade and pace of a company as tables, as of a moment, with forecasts where there are any."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

import pandas as pd

from crm.company import Company
from crm.errors import NotFound
from crm.lake import View
from models.simulation import DRAWS
from planning.capacity import (
    Method,
    NoSuchMethod,
    Person,
    blend,
    capacity,
    history_weights,
    people_of,
    potential_of_accounts,
    without_target,
)
from planning.cascade import COUNT_UNIT, MONEY_UNIT, Fairness, Weight, cascade, fairness, over_months, tree_of
from planning.goals import COMPANY, MONEY_METRICS, Actual, Facts, Goal, actual, goals_of, in_scope, teams_on
from planning.pace import Needed, Rates, needed, rate_needed, rates_of, standing
from planning.periods import SUMS, curve_of, curves_of, months_of, name_of, past_results, season_of
from planning.smart import Finding, Forecast, check
from planning.workdays import NoWeight, Workdays

Forecasts = Mapping[tuple[str, str, str, date, date], Mapping[str, float]]
"""By owner kind, owner, metric and period `[start, end)`: p_attain, p50, mean, expected_open."""

_MAXIMUM = 4


class NoGoal(NotFound):
    """No goal is there to be split or followed."""

    def __init__(self, what: str) -> None:
        super().__init__(f"There is no goal {what}. Import the table goals, or name another: bellwether plan goals.")


class NotInSplit(NotFound):
    """A number is fixed for somebody who takes no part in the split."""

    def __init__(self, name: str, goal_id: str) -> None:
        super().__init__(f"'{name}' has a fixed number, but takes no part in the split of goal {goal_id}. Give a team "
                         "or person below it who carries a target.")  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """A company's goals at a moment.

    Parameters
    ----------
    moment : datetime
        As-of, UTC.
    forecasts : Forecasts
        Of the periods that run; may be empty.
    set_by : datetime, optional
        Goals set up to here count, also where the data ends before; unset: the moment.
    read : Facts, optional
        What had happened by the moment, where it was read before.
    """

    view: View
    company: Company
    moment: datetime
    forecasts: Forecasts
    set_by: datetime | None = None
    read: Facts | None = None
    _curves: dict[tuple[str, date, date], tuple[float, str]] = field(default_factory=dict, repr=False)
    _told: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)
    _actuals: dict[Goal, Actual] = field(default_factory=dict, repr=False)
    _paces: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)

    @cached_property
    def facts(self) -> Facts:
        """What had happened and was known."""
        return self.read or Facts.read(self.view, self.company, self.moment)

    @cached_property
    def goals(self) -> list[Goal]:
        """Goals that were set."""
        return goals_of(self.view, self.company, max(self.moment, self.set_by or self.moment))

    @cached_property
    def workdays(self) -> Workdays:
        """The company's working days."""
        return Workdays.of(self.company)

    @cached_property
    def people(self) -> list[Person]:
        """People with the teams of that day."""
        return people_of(self.view, teams_on(self.view, self.facts.today))

    @property
    def running(self) -> list[Goal]:
        """Goals whose period holds the day."""
        return [g for g in self.goals if g.start <= self.facts.today < g.end]

    def curve_of(self, goal: Goal) -> tuple[float, str]:
        """Share of a target that is due, and what that was read from; the same for all of a metric and period."""
        key = (goal.metric, goal.start, goal.end)
        if key not in self._curves:
            self._curves[key] = curve_of(goal, self.facts, self.company, self.workdays)
        return self._curves[key]

    def told(self, goal_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Rows of `goals_table` by goal_id, each worked out once; goals that do not hold are left out."""
        wanted = set(goal_ids)
        fresh = [goal for goal in self.goals if goal.goal_id in wanted and goal.goal_id not in self._told]
        if fresh:
            self._told.update({str(row["goal_id"]): _plain(row) for row in goals_table(self, fresh).to_dict("records")})
        return {name: self._told[name] for name in wanted if name in self._told}

    def actual(self, goal: Goal) -> Actual:
        """What was reached of a goal, worked out once."""
        if goal not in self._actuals:
            self._actuals[goal] = actual(goal, self.facts)
        return self._actuals[goal]

    def followed(self, goal: Goal) -> bool:
        """Whether pace can be told of a goal: it has a target, adds up or is the conversion rate, and there is data."""
        kind = goal.metric in SUMS or goal.metric == "conversion_rate"
        return bool(goal.target) and kind and self.actual(goal).value is not None

    def paces(self, goal_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Rows of `pace_table` by goal_id, each worked out once; of goals that run and can be followed."""
        wanted = set(goal_ids)
        fresh = [goal for goal in self.running if goal.goal_id in wanted and goal.goal_id not in self._paces]
        if fresh:
            self._paces.update({str(row["goal_id"]): _plain(row) for row in pace_table(self, fresh).to_dict("records")})
        return {name: self._paces[name] for name in wanted if name in self._paces}

    def forecast_of(self, goal: Goal) -> Mapping[str, float]:
        """Figures forecast for a whole goal; empty for one narrowed to a product or segment."""
        if goal.scope or goal.kinds:
            return {}
        return self.forecasts.get((goal.owner_kind, goal.owner_id, goal.metric, goal.start, goal.end), {})


def forecasts_of(reps: pd.DataFrame, teams: pd.DataFrame) -> Forecasts:
    """Forecasts as scoring gives them, by whose, metric and period; `mean` is the sum of the expected parts."""
    found = dict[tuple[str, str, str, date, date], Mapping[str, float]]()
    for kind, key, rows in (("rep", "rep_id", reps), ("team", "team_id", teams)):
        rows = rows.assign(mean=rows[["expected_closed", "expected_open", "expected_new"]].sum(axis=1, skipna=False))
        for row in rows.to_dict("records"):
            whose = COMPANY if row[key] == COMPANY else kind
            start, end = (pd.Timestamp(row[name]).date() for name in ("period_start", "period_end"))
            told = {name: row[name] for name in ("p_attain", "p50", "mean", "expected_open") if not pd.isna(row[name])}
            found[whose, row[key], row["metric"], start, end] = told
    return found


def goals_table(plan: Plan, goals: Sequence[Goal] | None = None) -> pd.DataFrame:
    """One row a goal, of those that run unless others are given.

    Columns: goal_id, owner_kind, owner_id, metric, period, target, actual, attainment, p_attain, letters (those of
    SMART that warn or fail), finding, finding_zh, mend, mend_zh (the first that warns or fails), notes.
    """
    rows = []
    for goal in plan.running if goals is None else goals:
        found, reached = findings(plan, goal), plan.actual(goal)
        off = [f for f in found if f.grade != "ok"]
        first = off[0] if off else Finding("", "ok", "", "", "")
        rows.append(
            _head(plan, goal) | {
                "actual": reached.value,
                "attainment": reached.attainment(goal.target),
                "p_attain": plan.forecast_of(goal).get("p_attain"),
                "letters": "".join(dict.fromkeys(f.letter for f in off)),
                "finding": first.en, "finding_zh": first.zh, "mend": first.mend_en, "mend_zh": first.mend_zh,
                "notes": "; ".join(reached.notes),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): None if value is None or value != value else value for name, value in row.items()}


def findings(plan: Plan, goal: Goal) -> list[Finding]:
    """SMART findings on one goal."""
    told = plan.forecast_of(goal)
    forecast = Forecast(told["p_attain"], told["p50"], DRAWS) if told.get("p_attain") is not None else None
    past = past_results(goal, plan.facts, plan.company) if forecast is None else ()
    return check(goal, plan.goals, plan.facts, plan.company, workdays=plan.workdays, forecast=forecast, past=past)


def pace_table(plan: Plan, goals: Sequence[Goal] | None = None) -> pd.DataFrame:
    """One row a running goal, or goal given, of a metric that adds up or of the conversion rate.

    Columns: as in `goals_table` up to actual; due (share), expected, gap, pace, status, expected_open, uncovered,
    deals, opportunities, activities, a_day, in_time, mean_won, conversion, per_deal (activities), rate_needed, basis.
    """
    rows = []
    for goal in plan.running if goals is None else goals:
        if plan.followed(goal):
            follow = _pace_of_sum if goal.metric in SUMS else _pace_of_rate
            target = goal.target or Decimal(0)
            rows.append(_head(plan, goal) | {"actual": plan.actual(goal).value} | follow(plan, goal, target))
    return pd.DataFrame(rows)


def course(plan: Plan, goal: Goal) -> pd.DataFrame:
    """What is due and what was reached by day over a goal's period, for a figure.

    Columns: day, due (target's unit; week by week, today, and the last day), reached (cumulative; missing after today).
    """
    today, last = plan.facts.today, goal.end - timedelta(days=1)
    weeks = range(6, (goal.end - goal.start).days, 7)
    days = sorted({goal.start, *(goal.start + timedelta(days=n) for n in weeks), min(today, last), last})
    shares, _ = curves_of(goal, plan.facts, plan.company, plan.workdays, days)
    rows = in_scope(plan.facts.counted(goal.metric, goal.start, goal.end), goal)
    rows = plan.facts.of_owner(rows, goal.owner_kind, goal.owner_id)
    value = rows["share"] * (rows["value"] if goal.metric in MONEY_METRICS else 1.0)
    sums = [float(value[(rows["day"] <= pd.Timestamp(day)).to_numpy()].sum()) if day <= today else None for day in days]
    due = [float(goal.target or 0) * share for share in shares]
    return pd.DataFrame({"day": days, "due": due, "reached": pd.Series(sums, dtype=float)})


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
    goal = _goal_to_split(plan, goal_id)
    weights = weights_of(plan, goal, method, shares or {})
    unit = unit or (MONEY_UNIT if goal.metric in MONEY_METRICS else COUNT_UNIT)
    team_of = {p.rep_id: p.team_id for p in plan.people if p.team_id and p.rep_id in weights}
    tree = tree_of(_above(plan.view), team_of, None if goal.owner_kind == COMPANY else goal.owner_id)
    parts = cascade(goal.target or Decimal(0), tree, weights, pins, unit, over_assign)
    if unknown := sorted(set(pins or {}) - set(parts)):
        raise NotInSplit(unknown[0], goal.goal_id)
    people = {name: target for name, target in parts.items() if name in weights}
    means = {rep: told for rep in people if (told := _mean(plan, goal, rep)) is not None}
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


def _goal_to_split(plan: Plan, goal_id: str | None) -> Goal:
    if goal_id is not None:
        found = [g for g in plan.goals if g.goal_id == goal_id and g.owner_kind != "rep"]
    else:
        mine = [g for g in plan.running if g.owner_kind == COMPANY and g.metric == "bookings" and not g.scope]
        found = sorted(mine, key=lambda g: (g.end - g.start, g.goal_id))
    if not found or not found[0].target or found[0].metric not in SUMS:
        raise NoGoal(f"'{goal_id}' of company or team that adds up" if goal_id else "of the company for bookings")
    return found[0]


def _pace_of_sum(plan: Plan, goal: Goal, target: Decimal) -> dict[str, Any]:
    reached = plan.actual(goal).value or 0.0
    curve, basis = plan.curve_of(goal)
    where = standing(target, reached, curve, basis)
    found = {"due": curve, "expected": where.expected, "gap": where.gap, "pace": where.pace, "status": where.status}
    if goal.metric not in ("bookings", "won_deals"):
        return found | {"basis": basis}
    need, rates, source = _needed(plan, goal, target, reached)
    found["expected_open"] = plan.forecast_of(goal).get("expected_open")
    names = ("uncovered", "deals", "opportunities", "activities", "a_day", "in_time")
    found |= {"mean_won": rates.mean_won, "conversion": rates.conversion, "per_deal": rates.activities}
    return found | {name: getattr(need, name) for name in names} | {"basis": f"{basis}; open deals {source}"}


def _needed(plan: Plan, goal: Goal, target: Decimal, reached: float) -> tuple[Needed, Rates, str]:
    facts, tomorrow = plan.facts, plan.facts.today + timedelta(days=1)
    team = facts.team_of.get(goal.owner_id) if goal.owner_kind == "rep" else None
    rates = rates_of(facts, goal, ("team", team) if team else (COMPANY, COMPANY), (goal.end - tomorrow).days)
    expected, source = plan.forecast_of(goal).get("expected_open"), "as forecast"
    if expected is None or pd.isna(expected):
        expected, source = 0.0, "not forecast, counted as nothing"
    left = plan.workdays.count(tomorrow, goal.end)
    need = needed(target, reached, float(expected), rates, left, counts=goal.metric == "won_deals")
    return need, rates, source


def _pace_of_rate(plan: Plan, goal: Goal, target: Decimal) -> dict[str, Any]:
    found, tomorrow = plan.actual(goal), plan.facts.today + timedelta(days=1)
    gone, left = (plan.workdays.count(a, b) for a, b in ((goal.start, tomorrow), (tomorrow, goal.end)))
    closed, won = found.denominator or 0.0, found.numerator or 0.0
    rate = rate_needed(float(target), won, closed, closed * left / gone if gone else 0.0)
    status = "out of reach" if rate is not None and rate > 1 else ""
    return {"rate_needed": rate, "status": status, "basis": "closings go on as in the days gone"}


def _head(plan: Plan, goal: Goal) -> dict[str, Any]:
    names = ("goal_id", "owner_kind", "owner_id", "metric")
    period = name_of(goal.start, goal.end, plan.company)
    return {name: getattr(goal, name) for name in names} | {"period": period, "target": goal.target}


def _past(plan: Plan, goal: Goal, person: Person) -> Sequence[float]:
    """Own results of like periods that the person worked from their first day on."""
    own = Goal(goal.goal_id, "rep", person.rep_id, goal.metric, goal.start, goal.end, None)
    results = past_results(own, plan.facts, plan.company, _MAXIMUM)
    if person.hired_on is None:
        return results
    days = (goal.end - goal.start).days
    return [value for place, value in enumerate(results) if (goal.start - person.hired_on).days >= days * (place + 1)]


def _potential(plan: Plan, goal: Goal, carry: Sequence[Person]) -> dict[str, float]:
    told = {p.rep_id: _mean(plan, goal, p.rep_id) for p in carry}
    if any(value is not None for value in told.values()):
        return {rep: value or 0.0 for rep, value in told.items()}
    accounts = potential_of_accounts(plan.view, plan.company, plan.moment)
    found = {p.rep_id: accounts.get(p.rep_id, 0.0) for p in carry}
    if not any(found.values()):
        raise NoWeight(goal.target or Decimal(0), found)
    return found


def _mean(plan: Plan, goal: Goal, rep: str) -> float | None:
    value = plan.forecasts.get(("rep", rep, goal.metric, goal.start, goal.end), {}).get("mean")
    return None if value is None or pd.isna(value) else float(value)


def _split_row(
    plan: Plan, goal: Goal, name: str, target: Decimal, weights: Mapping[str, Weight], team_of: Mapping[str, str]
) -> dict[str, Any]:
    kind = "rep" if name in weights else "team"
    stands = [g.target for g in plan.goals if (g.owner_kind, g.owner_id, g.metric, g.start, g.end, g.scope)
              == (kind, name, goal.metric, goal.start, goal.end, {})]  # fmt: skip
    mean = _mean(plan, goal, name) if kind == "rep" else None
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
