"""Goals and pace of a company as tables, as of a moment, with forecasts where there are any."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

import pandas as pd

from crm.company import Company
from crm.lake import View
from models.simulation import DRAWS
from planning.capacity import Person, people_of
from planning.goals import (
    COMPANY,
    MONEY_METRICS,
    Actual,
    Facts,
    Goal,
    actual,
    goals_of,
    in_scope,
    revenue_kept,
    teams_on,
)
from planning.pace import Needed, Rates, needed, rate_needed, rates_of, standing
from planning.periods import SUMS, curve_of, curves_of, name_of, past_results
from planning.smart import Finding, Forecast, check
from planning.workdays import Workdays

Forecasts = Mapping[tuple[str, str, str, date, date], Mapping[str, float]]
"""By owner kind, owner, metric and period `[start, end)`: p_attain, p50, mean, expected_open."""


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
    SMART that warn or fail), finding, finding_zh, mend, mend_zh (the first that warns or fails), notes; of a retention
    rate also fees_kept and fees_net: the share of monthly fees kept, without and with what customers added.
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
                **_fees(plan, goal),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _fees(plan: Plan, goal: Goal) -> dict[str, float]:
    kept = revenue_kept(goal, plan.facts) if goal.metric == "retention_rate" else None
    return dict(zip(("fees_kept", "fees_net"), kept, strict=True)) if kept else {}


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
