"""Periods of a goal's kind: those before it, its months, and how results fell over them in the past."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pandas as pd

from crm.company import Company
from crm.fiscal import Grain, Period
from planning.cascade import season
from planning.goals import MONEY_METRICS, Actual, Facts, Goal, actual
from planning.pace import Stretch, due, mixed, past_shares
from planning.workdays import Workdays

GRAINS: tuple[Grain, ...] = ("week", "month", "quarter", "year")
SUMS = ("bookings", "won_deals", "activities", "new_accounts", "collected")
"""Metrics that add up over a period; the others are rates or marks."""

_CURVES = 8
_YEARS = 3


def grain_of(start: date, end: date, company: Company) -> Grain | None:
    """Which kind of fiscal period these bounds are, if any."""
    found = (grain for grain in GRAINS if (p := company.period_of(start, grain)).start == start and p.end == end)
    return next(found, None)


def name_of(start: date, end: date, company: Company) -> str:
    """Name of a period, such as FY2026-Q2; else its first and last day."""
    grain = grain_of(start, end, company)
    return company.period_of(start, grain).name if grain else f"{start} to {end - timedelta(days=1)}"


def before(start: date, end: date, company: Company, since: date, limit: int) -> list[tuple[date, date]]:
    """The last like periods before a period that begin on `since` or later, newest first."""
    grain, found = grain_of(start, end, company), list[tuple[date, date]]()
    length = end - start
    while len(found) < limit:
        last = start - timedelta(days=1)
        period = company.period_of(last, grain) if grain else Period(start - length, start, "")
        if period.start < since:
            break
        found.append((period.start, period.end))
        start = period.start
    return found


def past_results(goal: Goal, facts: Facts, company: Company, limit: int = 4) -> list[float]:
    """What the goal's owner reached in the last like periods, newest first; those without a figure left out."""
    periods = before(goal.start, goal.end, company, facts.first_day, limit)
    found: list[Actual] = [actual(replace(goal, start=start, end=end), facts) for start, end in periods]
    return [result.value for result in found if result.value is not None]


def months_of(start: date, end: date, company: Company) -> list[Period]:
    """Fiscal months of a period, cut to its bounds."""
    found, day = list[Period](), start
    while day < end:
        month = company.period_of(day, "month")
        found.append(Period(day, min(month.end, end), month.name))
        day = month.end
    return found


def season_of(goal: Goal, facts: Facts, company: Company, workdays: Workdays) -> tuple[list[float], int]:
    """Share of each month of a goal's period, and the number of past years that it was read from.

    The company's own results of the same months one, two and three years before, mixed with plain working days.
    """
    months = months_of(goal.start, goal.end, company)
    days = [workdays.count(month.start, month.end) for month in months]
    if len(months) < 2 or goal.metric not in SUMS:
        return season(days) if sum(days) else [1.0 / len(days)] * len(days), 0
    rows, since = _counted(goal, facts), facts.first_day
    years = list[list[float]]()
    for back in range(1, _YEARS + 1):
        bounds = _months_back(goal, months, back, company)
        if len(bounds) < len(months):
            continue
        sums = [_sum(rows, *bound) for bound in bounds]
        if bounds[0][0] >= since and bounds[-1][1] <= facts.today and sum(sums) > 0:
            years.append([value / sum(sums) for value in sums])
    return season(days, years), len(years)


def curve_of(goal: Goal, facts: Facts, company: Company, workdays: Workdays) -> tuple[float, str]:
    """Share of a goal's target that is due at the end of the facts' day, and what that was read from, in words."""
    (due_now,), basis = curves_of(goal, facts, company, workdays, [facts.today])
    return due_now, basis


def curves_of(
    goal: Goal, facts: Facts, company: Company, workdays: Workdays, days: Sequence[date]
) -> tuple[list[float], str]:
    """As `curve_of`, at the end of each of some days."""
    shares, years = season_of(goal, facts, company, workdays)
    months = months_of(goal.start, goal.end, company)
    stretches = [
        Stretch(month.start, month.end, Decimal(str(share))) for month, share in zip(months, shares, strict=True)
    ]
    periods = before(goal.start, goal.end, company, facts.first_day, _CURVES)
    counted, curves, most = _counted(goal, facts), list[float](), 0
    for day in days:
        plain, gone = due(stretches, day, workdays), _gone(goal, day, workdays)
        past = past_shares(counted, periods, gone, workdays) if 0 < gone < 1 else []
        curves.append(mixed(plain, past))
        most = max(most, len(past))
    return curves, _basis(years, most)


def _gone(goal: Goal, day: date, workdays: Workdays) -> float:
    whole = workdays.count(goal.start, goal.end)
    return workdays.count(goal.start, min(day + timedelta(days=1), goal.end)) / whole if whole else 1.0


def _basis(years: int, curves: int) -> str:
    words = ("straight line: no like period of a past year", "season of the year before")
    season_words = words[years] if years < 2 else f"season of {years} years before"
    return f"{season_words}; curves of {curves} past periods" if curves >= 4 else season_words


def _counted(goal: Goal, facts: Facts) -> pd.DataFrame:
    """The company's events of a metric: how results fall over a period is the company's matter, not a person's."""
    rows = facts.counted(goal.metric)[["day", "share", "value"]]
    return rows if goal.metric in MONEY_METRICS else rows.assign(value=1.0)


def _sum(rows: pd.DataFrame, start: date, end: date) -> float:
    rows = rows[(rows["day"] >= pd.Timestamp(start)) & (rows["day"] < pd.Timestamp(end))]
    return float((rows["share"] * rows["value"]).sum())


def _months_back(goal: Goal, months: Sequence[Period], back: int, company: Company) -> list[tuple[date, date]]:
    """The same months so many years before."""
    a_year = {"year": 1, "quarter": 4, "month": 12}.get(grain_of(goal.start, goal.end, company) or "")
    if company.fiscal.months == "calendar" or a_year is None:
        return [(_years_back(m.start, back), _years_back(m.end, back)) for m in months]
    start, end = before(goal.start, goal.end, company, date.min, a_year * back)[-1]
    return [(m.start, m.end) for m in months_of(start, end, company)]


def _years_back(day: date, years: int) -> date:
    moved = pd.Timestamp(day) - pd.DateOffset(years=years)
    return date(moved.year, moved.month, moved.day)
