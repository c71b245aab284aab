"""Pace: where one should be today by the season's curve, what is missing, and what it takes to get there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from math import ceil
from typing import Literal

import numpy as np
import pandas as pd

from planning.goals import Facts, Goal, in_cents, in_scope
from planning.workdays import Workdays

Status = Literal["too early to say", "ahead", "on", "behind", "far behind"]
AHEAD, ON, BEHIND = 1.05, 0.95, 0.80
TOO_EARLY = 0.10
"""Share of the season's curve below which nothing is said."""

_CURVES_FROM = 4  # past like periods from which their own curves count
_K = 20  # events that the team's rate counts like
_IN_TIME = 0.9


@dataclass(frozen=True, slots=True)
class Stretch:
    """A month (or other part) of a period, with its part of the target."""

    start: date
    end: date
    target: Decimal


@dataclass(frozen=True, slots=True)
class Pace:
    """Where one stands against the season's curve at the end of a day.

    Attributes
    ----------
    curve : float
        Share of the target that is due by now.
    expected, gap : Decimal
        Target by now; what was reached less that.
    pace : float or None
        What was reached over the target by now; None where that is nothing.
    basis : str
        What the curve was read from.
    """

    curve: float
    expected: Decimal
    gap: Decimal
    pace: float | None
    status: Status
    basis: str


@dataclass(frozen=True, slots=True)
class Rates:
    """How a person or team works, each drawn towards the team's (or company's) by as much as 20 events.

    Attributes
    ----------
    mean_won : float
        Mean amount of a won deal, base currency.
    conversion : float
        Won over closed deals.
    activities : float
        Outward contacts per closed deal.
    closes_within : float
        Share of won deals that took no longer than the days left.
    """

    mean_won: float
    conversion: float
    activities: float
    closes_within: float


@dataclass(frozen=True, slots=True)
class Needed:
    """What it takes to reach a target; None where own rates say nothing.

    Attributes
    ----------
    rest, uncovered : Decimal
        Still to be made; the part that open deals are not expected to bring.
    deals, opportunities, activities : int or None
        To be won, opened, done for it.
    a_day : float or None
        Activities a working day left.
    in_time : int or None
        Opportunities needed so that enough of them close before the end; None where they close fast enough.
    """

    rest: Decimal
    uncovered: Decimal
    deals: int | None
    opportunities: int | None
    activities: int | None
    a_day: float | None
    in_time: int | None


def due(stretches: Sequence[Stretch], day: date, workdays: Workdays) -> float:
    """Part of the target due at the end of a day: months that are over, working days gone of the one that runs."""
    whole = float(sum((part.target for part in stretches), Decimal(0)))
    return sum(float(part.target) * _gone(part.start, part.end, day, workdays) for part in stretches) / (whole or 1.0)


def mixed(plain: float, past: Sequence[float]) -> float:
    """The season's curve drawn towards past periods' own, once there are four of them.

    Parameters
    ----------
    past : sequence of float
        What share of its result each past like period had at the same share of its working days.
    """
    n = len(past)
    if n < _CURVES_FROM:
        return plain
    weight = n / (n + 4)
    return weight * min(max(sum(past) / n, 0.0), 1.0) + (1 - weight) * plain


def past_shares(
    events: pd.DataFrame, periods: Sequence[tuple[date, date]], gone: float, workdays: Workdays
) -> list[float]:
    """Share of each past period's result that was in when the same share of its working days was gone.

    Parameters
    ----------
    events : DataFrame
        Columns day, share, value: what counts, each value above 0. Periods without any are left out.
    """
    found = []
    for start, end in periods:
        days = list(workdays.days(start, end))
        rows = events[(events["day"] >= pd.Timestamp(start)) & (events["day"] < pd.Timestamp(end))]
        value = (rows["share"] * rows["value"]).to_numpy(np.float64)
        total = float(np.nansum(value))
        if total > 0 and days:
            last = pd.Timestamp(days[min(round(gone * len(days)), len(days)) - 1]) if gone > 0 else pd.Timestamp.min
            found.append(float(np.nansum(value[(rows["day"] <= last).to_numpy()])) / total)
    return found


def standing(target: Decimal, reached: float, curve: float, basis: str) -> Pace:
    """Gap and pace of a target against the share of it that is due."""
    expected = in_cents(Decimal(str(float(target) * curve)))
    gap = in_cents(Decimal(str(reached)) - expected)
    pace = float(reached) / (float(target) * curve) if target and curve > 0 else None
    return Pace(curve, expected, gap, pace, _status(curve, pace), basis)


def needed(
    target: Decimal, reached: float, expected_open: float, rates: Rates, workdays_left: int, *, counts: bool = False
) -> Needed:
    """What is still to be made, and the deals, opportunities and activities that would make it.

    Parameters
    ----------
    expected_open : float
        What open deals are expected to bring before the end.
    counts : bool
        The target counts deals, not money.
    """
    rest = max(Decimal(0), target - in_cents(reached))
    uncovered = max(Decimal(0), rest - in_cents(expected_open))
    each = 1.0 if counts else rates.mean_won
    deals = _ceil(float(uncovered), each)
    opportunities = None if deals is None else _ceil(deals, rates.conversion)
    activities = None if opportunities is None else ceil(opportunities * rates.activities - 1e-9)
    a_day = activities / workdays_left if activities is not None and workdays_left else None
    slow = rates.closes_within < _IN_TIME
    in_time = _ceil(deals, rates.conversion * rates.closes_within) if deals is not None and slow else None
    return Needed(rest, uncovered, deals, opportunities, activities, a_day, in_time)


def rate_needed(target: float, won: float, closed: float, to_close: float) -> float | None:
    """Rate that the closings still to come must have for the whole to reach a target rate; None if none is to come.

    Above 1 the target is out of reach.
    """
    return None if to_close <= 0 else (target * (closed + to_close) - won) / to_close


def rates_of(facts: Facts, goal: Goal, peers: tuple[str, str], days_left: int) -> Rates:
    """Rates of the last 365 days of a goal's owner in its scope, drawn towards those of the team or company.

    Parameters
    ----------
    peers : (owner kind, owner)
        Whose they are drawn to, whatever these sell.
    days_left : int
        Calendar days to the end of the period.
    """
    rows = facts.last_year
    mine = _Sums.of(in_scope(facts.of_owner(rows, goal.owner_kind, goal.owner_id), goal), days_left)
    theirs = _Sums.of(facts.of_owner(rows, *peers), days_left)
    return Rates(
        _shrunk(mine.amount, mine.priced, theirs.amount, theirs.priced),
        _shrunk(mine.won, mine.closed, theirs.won, theirs.closed),
        _shrunk(mine.activities, mine.closed, theirs.activities, theirs.closed),
        _shrunk(mine.quick, mine.timed, theirs.quick, theirs.timed),
    )


@dataclass(frozen=True, slots=True)
class _Sums:
    won: float
    closed: float
    amount: float
    priced: float
    activities: float
    quick: float
    timed: float

    @classmethod
    def of(cls, rows: pd.DataFrame, days_left: int) -> _Sums:
        won = rows[rows["what"] == "won"]
        priced, timed = won[won["value"].notna()], won[won["took"].notna()]
        return cls(
            float(won["share"].sum()),
            float(rows.loc[rows["what"].isin(["won", "lost"]), "share"].sum()),
            float((priced["share"] * priced["value"]).sum()),
            float(priced["share"].sum()),
            float((rows["what"] == "activity").sum()),
            float(timed.loc[timed["took"] <= days_left, "share"].sum()),
            float(timed["share"].sum()),
        )


def _shrunk(k: float, n: float, of_peers: float, n_peers: float) -> float:
    prior = of_peers / n_peers if n_peers > 0 else 0.0
    return (k + _K * prior) / (n + _K)


def _gone(start: date, end: date, day: date, workdays: Workdays) -> float:
    if day >= end - timedelta(days=1):
        return 1.0
    if day < start:
        return 0.0
    whole = workdays.count(start, end)
    return workdays.count(start, day + timedelta(days=1)) / whole if whole else 0.0


def _status(curve: float, pace: float | None) -> Status:
    if curve < TOO_EARLY or pace is None:
        return "too early to say"
    steps: tuple[tuple[float, Status], ...] = ((AHEAD, "ahead"), (ON, "on"), (BEHIND, "behind"))
    return next((word for limit, word in steps if pace >= limit), "far behind")


def _ceil(amount: float, each: float) -> int | None:
    if amount <= 0:
        return 0
    return ceil(amount / each - 1e-9) if each > 0 else None  # 3.0000000001 deals are three
