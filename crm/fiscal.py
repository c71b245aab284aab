"""The fiscal calendar: which year, quarter, month or week a day falls in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

Grain = Literal["year", "quarter", "month", "week"]
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


def previous(
    period: Period, grain: Grain, *, start_month: int = 1, named_by: Literal["start", "end"] = "end"
) -> Period:
    """The period just before."""
    return period_of(period.start - timedelta(days=1), grain, start_month=start_month, named_by=named_by)


def _add_months(day: date, months: int) -> date:
    total = day.year * 12 + day.month - 1 + months
    return date(total // 12, total % 12 + 1, 1)
