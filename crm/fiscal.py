"""The fiscal calendar: which year, quarter, month or week a day falls in."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo

Grain = Literal["year", "quarter", "month", "week"]
Months = Literal["calendar", "445", "454", "544"]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)
_MONTHS: dict[str, int] = {"year": 12, "quarter": 3, "month": 1}


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """A period `[start, end)` of whole days in the company's time zone."""

    start: date
    end: date
    name: str

    def bounds(self, time_zone: str) -> tuple[datetime, datetime]:
        """Start and end as moments."""
        zone = ZoneInfo(time_zone)
        return (
            datetime(self.start.year, self.start.month, self.start.day, tzinfo=zone),
            datetime(self.end.year, self.end.month, self.end.day, tzinfo=zone),
        )

    @property
    def days(self) -> int:
        """Length in days."""
        return (self.end - self.start).days


def period_of(
    day: date, grain: Grain = "quarter", *, start_month: int = 1, named_by: Literal["start", "end"] = "end"
) -> Period:
    """Fiscal period that contains a day.

    Parameters
    ----------
    day : date
        A day in the company's time zone.
    grain : Grain
        `year`, `quarter`, `month`, or `week` (Monday to Sunday; the first holds the first day of the fiscal year).
    start_month : int
        First month of the fiscal year, 1 to 12.
    named_by : {'start', 'end'}
        Whether a fiscal year takes the calendar year of its first or of its last day.

    Returns
    -------
    Period
        Named as `FY2027`, `FY2027-Q1`, `FY2027-P02`, `FY2027-W05`.
    """
    if grain == "week":
        # A week belongs to the fiscal year of its Sunday, so that one week never has two names.
        start = day - timedelta(days=day.weekday())
        day = start + timedelta(days=6)
    first = date(day.year if day.month >= start_month else day.year - 1, start_month, 1)
    last = _add_months(first, 12) - timedelta(days=1)
    year = f"FY{(first if named_by == 'start' else last).year}"
    if grain == "week":
        number = (start - (first - timedelta(days=first.weekday()))).days // 7 + 1
        return Period(start, start + timedelta(days=7), f"{year}-W{number:02d}")
    months = _MONTHS[grain]
    number = ((day.year - first.year) * 12 + day.month - first.month) // months
    start = _add_months(first, number * months)
    label = {"year": "", "quarter": f"-Q{number + 1}", "month": f"-P{number + 1:02d}"}[grain]
    return Period(start, _add_months(start, months), year + label)


def week_period_of(
    day: date,
    grain: Grain,
    *,
    months: Months,
    start_month: int = 1,
    week_ends_on: Weekday = "saturday",
    year_ends: Literal["last", "nearest"] = "last",
    named_by: Literal["start", "end"] = "end",
) -> Period:
    """Fiscal period that contains a day, in a calendar of whole weeks.

    Parameters
    ----------
    months : Months
        Weeks of the three months of each quarter, such as `445`. A 53rd week goes to the last month of the year.
    week_ends_on, year_ends : str
        A year ends on the last such weekday of the month before `start_month`, or on the one nearest to its end.

    Notes
    -----
    A year is named by the calendar year of its nominal last (or first) month, also where it ends a few days later.
    """
    named = day.year - 1
    while day > (end := _week_year_end(named, start_month, week_ends_on, year_ends)):
        named += 1
    start = _week_year_end(named - 1, start_month, week_ends_on, year_ends) + timedelta(days=1)
    year = f"FY{named if named_by == 'end' or start_month == 1 else named - 1}"
    if grain == "year":
        return Period(start, end + timedelta(days=1), year)
    weeks = [int(digit) for digit in months] * 4
    weeks[-1] += ((end - start).days + 1) // 7 - sum(weeks)
    sizes = {"quarter": [sum(weeks[q : q + 3]) for q in (0, 3, 6, 9)], "month": weeks, "week": [1] * sum(weeks)}[grain]
    label = {"quarter": "Q{}", "month": "P{:02d}", "week": "W{:02d}"}[grain]
    bounds = [start + timedelta(weeks=sum(sizes[:place])) for place in range(len(sizes) + 1)]
    number = bisect_right(bounds, day)
    return Period(bounds[number - 1], bounds[number], f"{year}-{label.format(number)}")


def _week_year_end(named: int, start_month: int, week_ends_on: Weekday, year_ends: str) -> date:
    """Last day of the year whose nominal last month lies in the calendar year `named`."""
    nominal = (date(named + 1, 1, 1) if start_month == 1 else date(named, start_month, 1)) - timedelta(days=1)
    back = (nominal.weekday() - WEEKDAYS.index(week_ends_on)) % 7
    return nominal + timedelta(days=7 - back if year_ends == "nearest" and back > 3 else -back)


def previous(
    period: Period, grain: Grain, *, start_month: int = 1, named_by: Literal["start", "end"] = "end"
) -> Period:
    """The period just before."""
    return period_of(period.start - timedelta(days=1), grain, start_month=start_month, named_by=named_by)


def _add_months(day: date, months: int) -> date:
    total = day.year * 12 + day.month - 1 + months
    return date(total // 12, total % 12 + 1, 1)
