"""Where plan and reality part: teams, products and segments behind, a drifting mix, a month outside the trend."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

import numpy as np
import pandas as pd

from crm.company import Company
from planning.goals import COMPANY, Facts, Goal
from planning.periods import before, curve_of
from planning.trend import Trend, market_trend
from planning.workdays import Workdays

Kind = Literal["team_behind", "product_behind", "segment_behind", "segment_drift", "market"]
DRIFT = 0.2
LEAST_PERIODS = 4
_MONTHS = 36
_Z80, _Z90 = 1.2815515594, 1.6448536270


@dataclass(frozen=True, slots=True)
class Signal:
    """One place where plan and reality part.

    Attributes
    ----------
    actual, expected, low : float
        So far, what was to be expected by today, and the least that was still usual; for a drift its size, nothing,
        and the limit.
    basis : str
        What it is measured against: 'forecast issued' or 'own past periods'; for the market the method.
    """

    kind: Kind
    subject: str
    actual: float
    expected: float
    low: float
    basis: str


def signals(
    facts: Facts, company: Company, issued: Mapping[str, tuple[float, float]] | None = None
) -> tuple[list[Signal], Trend | None]:
    """All signals of the running quarter, the largest gap first, and the market's trend.

    Parameters
    ----------
    issued : mapping of team_id to (p10, p50), optional
        The forecast that was issued at the period's start.
    """
    quarter, workdays = company.period_of(facts.today), Workdays.of(company)
    goal = Goal("", COMPANY, COMPANY, "bookings", quarter.start, quarter.end, None)
    due, _ = curve_of(goal, facts, company, workdays)
    last_week = _due_before(facts, company, workdays, goal)
    found = [*_teams(facts, goal, issued or {}, (due, last_week))]
    for kind, column in (("product_behind", "product_id"), ("segment_behind", "segment")):
        found += _parts(facts, company, goal, column, kind, due)  # type: ignore[arg-type]
    found += _drift(facts, company, goal)
    trend = market_trend(monthly(facts, company))
    if trend is not None and trend.outside:
        found.append(Signal("market", trend.month, trend.actual, trend.expected, trend.low, trend.method))
    return sorted(found, key=lambda s: (s.kind == "segment_drift", s.actual - s.expected, s.subject)), trend


def behind(actual: float, p10: float, p50: float, due: float) -> Literal["", "p10", "p5"]:
    """Whether a result lies below the 10 or the 5 % quantile of a forecast, rescaled to the share of the period due."""
    p5 = p50 - (p50 - p10) * _Z90 / _Z80
    if actual < max(p5, 0.0) * due:
        return "p5"
    return "p10" if actual < p10 * due else ""


def psi(now: Mapping[str, float], then: Mapping[str, float], least: float = 0.005) -> float:
    """Population stability index of two mixes; parts of nothing count as half a percent.

    References
    ----------
    Siddiqi (2006), "Credit Risk Scorecards".
    """
    keys = set(now) | set(then)
    pairs = [(max(now.get(key, 0.0), least), max(then.get(key, 0.0), least)) for key in keys]
    return float(sum((a - b) * np.log(a / b) for a, b in pairs))


def monthly(facts: Facts, company: Company) -> pd.Series:
    """Bookings of the whole fiscal months on record, oldest first, by month such as 2026-10."""
    won = _won(facts)
    end, found = company.period_of(facts.today, "month").start, dict[str, float]()
    oldest = facts.first_day
    for _ in range(_MONTHS):
        month = company.period_of(end - timedelta(days=1), "month")
        if month.start < oldest:
            break
        middle = month.start + (month.end - month.start) / 2  # a fiscal month goes by the calendar's month it lies in
        found[f"{middle:%Y-%m}"] = _sum(won, month.start, month.end)
        end = month.start
    return pd.Series(dict(reversed(found.items())), dtype=float)


def _won(facts: Facts) -> pd.DataFrame:
    rows = facts.events[facts.events["what"] == "won"]
    return rows.assign(money=rows["share"] * rows["value"].fillna(0.0))


def _sum(rows: pd.DataFrame, start: date, end: date) -> float:
    return float(rows.loc[(rows["day"] >= pd.Timestamp(start)) & (rows["day"] < pd.Timestamp(end)), "money"].sum())


def _due_before(facts: Facts, company: Company, workdays: Workdays, goal: Goal) -> float | None:
    """Share due a week ago; None where the quarter had not begun."""
    from dataclasses import replace

    then = facts.today - timedelta(days=7)
    return curve_of(goal, replace(facts, today=then), company, workdays)[0] if then >= goal.start else None


def _teams(
    facts: Facts, goal: Goal, issued: Mapping[str, tuple[float, float]], due: tuple[float, float | None]
) -> Iterable[Signal]:
    """Below p10 of the forecast issued at the start two weeks running, or below p5 once."""
    won = _won(facts)
    for team, (p10, p50) in sorted(issued.items()):
        mine = facts.of_owner(won, COMPANY if team == COMPANY else "team", team)
        now = _sum(mine, goal.start, facts.today + timedelta(days=1))
        state = behind(now, p10, p50, due[0])
        if state == "p10" and due[1] is not None:
            then = _sum(mine, goal.start, facts.today - timedelta(days=6))
            state = state if behind(then, p10, p50, due[1]) else ""
        if state:
            yield Signal("team_behind", team, now, p50 * due[0], p10 * due[0], "forecast issued")


def _parts(facts: Facts, company: Company, goal: Goal, column: str, kind: Kind, due: float) -> Iterable[Signal]:
    """Products or segments below the tenth percentile of their own last like periods, rescaled likewise."""
    won = _won(facts)
    periods = before(goal.start, goal.end, company, facts.first_day, 8)
    if len(periods) < LEAST_PERIODS:
        return
    for key, mine in won.groupby(column):
        past = np.array([_sum(mine, *bounds) for bounds in periods])
        mean, spread = float(past.mean()), float(past.std(ddof=1))
        now = _sum(mine, goal.start, facts.today + timedelta(days=1))
        if mean > 0 and behind(now, max(mean - _Z80 * spread, 0.0), mean, due):
            yield Signal(kind, str(key), now, mean * due, (mean - _Z80 * spread) * due, "own past periods")


def _drift(facts: Facts, company: Company, goal: Goal) -> Iterable[Signal]:
    """The mix of segments won this quarter against that of the year before."""
    won = _won(facts)
    won = won[won["segment"].notna()]
    now = won[(won["day"] >= pd.Timestamp(goal.start)) & (won["day"] <= pd.Timestamp(facts.today))]
    start = pd.Timestamp(goal.start)
    then = won[(won["day"] < start) & (won["day"] >= start - pd.Timedelta(days=365))]
    if now["ident"].nunique() < 20 or then["ident"].nunique() < 20:
        return
    mixes = [dict((rows.groupby("segment")["money"].sum() / rows["money"].sum()).items()) for rows in (now, then)]
    size = psi(*mixes)  # type: ignore[arg-type]
    if size > DRIFT:
        moved = max(mixes[0], key=lambda key: abs(mixes[0][key] - mixes[1].get(key, 0.0)))
        yield Signal("segment_drift", str(moved), size, 0.0, DRIFT, "own past periods")
