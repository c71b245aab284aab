"""Review meetings: their calendar, the agenda's minutes, what to talk about, how actions are carried over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal, get_args

import pandas as pd

from crm.company import Company
from crm.fiscal import Grain
from planning.workdays import Workdays, split_exactly

Rhythm = Literal["weekly", "monthly", "quarterly"]
RHYTHMS: tuple[Rhythm, ...] = get_args(Rhythm)
LENGTH: Mapping[Rhythm, int] = {"weekly": 45, "monthly": 60, "quarterly": 120}
"""Minutes of a meeting."""
OPENING = 15
"""Minutes of it for the opening and the actions."""
LEAST = 3
MOST_DEALS = 5
RENEW_FROM = 3
"""Carried over so often, an action must be decided anew before minutes are sent."""

_GRAIN: Mapping[Rhythm, Grain] = {"weekly": "week", "monthly": "month", "quarterly": "quarter"}


@dataclass(frozen=True, slots=True)
class Item:
    """A part of the agenda and the minutes it gets; 0 where there was no room."""

    key: str
    minutes: int


def agenda(money: Mapping[str, float], minutes: int) -> list[Item]:
    """Share a meeting's minutes by the money at stake, at least 3 each; the largest first.

    Parameters
    ----------
    money : mapping of str to float
        What each item is about, base currency.
    minutes : int
        What is left after opening and actions.
    """
    ordered = sorted(money, key=lambda key: (-abs(money[key]), key))
    room = ordered[: max(minutes // LEAST, 0)]
    given = _shared({key: abs(money[key]) for key in room}, minutes)
    return [Item(key, given.get(key, 0)) for key in ordered]


def _shared(money: Mapping[str, float], minutes: int) -> dict[str, int]:
    """Largest remainder; whoever falls under the least gets it, the others share what is left."""
    least = dict[str, int]()
    rest = dict(money)
    while rest:
        weights = rest if any(rest.values()) else dict.fromkeys(rest, 1.0)
        parts = split_exactly(Decimal(minutes - sum(least.values())), weights, Decimal(1))
        short = [key for key, part in parts.items() if part < LEAST]
        if not short:
            return least | {key: int(part) for key, part in parts.items()}
        least |= dict.fromkeys(short, LEAST)
        rest = {key: value for key, value in rest.items() if key not in least}
    return least


def carried(due: date, packs: Iterable[date], closed: date | None = None) -> int:
    """How often an action was carried over: packs made after its due date while it was open.

    Parameters
    ----------
    packs : iterable of date
        Days of the series' packs up to now.
    closed : date, optional
        When it was done or dropped.
    """
    return sum(day > due and (closed is None or day <= closed) for day in packs)


def worth_talking(deals: pd.DataFrame, most: int = MOST_DEALS) -> pd.DataFrame:
    """The open deals that a decision could move most: money times uncertainty, the largest first.

    Parameters
    ----------
    deals : DataFrame
        `amount` (base currency) and `chance`; those without either are left out.

    Returns
    -------
    DataFrame
        With `stake`: amount times p(1 - p).
    """
    stake = deals["amount"] * deals["chance"] * (1 - deals["chance"])
    found = deals.assign(stake=stake)
    return found[found["stake"] > 0].nlargest(most, "stake")


def since(rhythm: Rhythm, day: date, company: Company) -> date:
    """First day that a review on a day looks back to, where no earlier review says it: a week, month or quarter."""
    if rhythm == "weekly":
        return day - timedelta(days=7)
    return company.period_of(company.period_of(day, _GRAIN[rhythm]).start - timedelta(days=1), _GRAIN[rhythm]).start


def meeting_days(
    rhythm: Rhythm, first: date, last: date, *, weekday: int, company: Company, workdays: Workdays
) -> list[date]:
    """Days of a series from first to last: each week's weekday; else the first such weekday of each month or quarter.

    A day that is not worked moves to the next working day.

    Parameters
    ----------
    weekday : int
        Monday 1 to Sunday 7.
    """
    found, start = list[date](), company.period_of(first, _GRAIN[rhythm]).start
    if rhythm == "weekly":
        start = first - timedelta(days=first.isoweekday() - 1)
    while start <= last:
        day = start + timedelta(days=(weekday - start.isoweekday()) % 7)
        moved = _next_workday(day, workdays)
        if first <= moved <= last:
            found.append(moved)
        if rhythm == "weekly":
            start += timedelta(days=7)
        else:
            start = company.period_of(start, _GRAIN[rhythm]).end
    return found


def _next_workday(day: date, workdays: Workdays) -> date:
    """The same day where it is worked, else the next one that is; after two weeks of none, the day itself."""
    ahead: Sequence[date] = [day + timedelta(days=n) for n in range(14)]
    return next((one for one in ahead if one in workdays), day)
