"""The weeks of the sample company: quarters, season, rush, working hours, drift."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np

from crm.simulation.randomness import Bools, Floats, Ints

DAY_US = 86_400_000_000
_HOUR_US = 3_600_000_000
TAIL_WEEKS = 78
"""How far the true probabilities look past the end; by then practically every deal is decided."""

# Share of a usual month's new business, January to December: the new years, the summer and December are slow.
_SEASON = np.array([0.95, 0.85, 1.1, 1.05, 1.05, 1.1, 0.95, 0.8, 1.15, 1.1, 1.05, 0.85])


@dataclass(frozen=True)
class Calendar:
    """Weeks from Monday to Sunday, the last one ending at the history's end."""

    start: date
    weeks: int
    drifting: bool = False
    monday_us: Ints = field(init=False)
    season: Floats = field(init=False)
    weeks_left: Ints = field(init=False)
    boundary_day: Ints = field(init=False)
    drift: Floats = field(init=False)

    def __post_init__(self) -> None:
        count = self.weeks + TAIL_WEEKS + 1
        mondays = [self.start + timedelta(weeks=week) for week in range(count)]
        ends = [quarter_start(monday + timedelta(days=6)) for monday in mondays]
        # Day of this week on which a quarter begins; 7 if none does.
        boundary = [(end - monday).days if end > monday else 7 for end, monday in zip(ends, mondays, strict=True)]
        left = [(next_quarter(monday) - monday).days // 7 for monday in mondays]
        epoch = date(1970, 1, 1)
        drift = np.clip(np.arange(count) / max(self.weeks, 1), 0.0, 1.0) if self.drifting else np.zeros(count)
        setter = object.__setattr__
        setter(self, "monday_us", np.array([(monday - epoch).days for monday in mondays], dtype=np.int64) * DAY_US)
        setter(self, "season", _SEASON[[monday.month - 1 for monday in mondays]])
        setter(self, "weeks_left", np.array(left, dtype=np.int64))
        setter(self, "boundary_day", np.array(boundary, dtype=np.int64))
        setter(self, "drift", drift)

    @property
    def end(self) -> date:
        """The first day after the history."""
        return self.start + timedelta(weeks=self.weeks)

    @property
    def start_day(self) -> int:
        """Days from 1970 to the first Monday."""
        return int(self.monday_us[0] // DAY_US)

    def working_time(self, week: int | Ints, draw: Floats) -> Ints:
        """Return moments (microseconds since 1970, UTC) from Monday to Friday, 8 to 17 o'clock."""
        days = draw * 5
        whole = np.floor(days)
        second = np.floor((8 + 9 * (days - whole)) * 3600)
        return np.asarray(self.monday_us[week] + whole * DAY_US + second * 1_000_000, dtype=np.int64)

    def closing_time(self, week: int, draw: Floats, won: Bools) -> Ints:
        """Return when deals close; in a quarter's last days most wins still make it into the quarter."""
        cut = min(int(self.boundary_day[week]), 5) / 5
        if cut >= 1:
            return self.working_time(week, draw)
        early = np.where(draw < 0.85, draw / 0.85 * cut, cut + (draw - 0.85) / 0.15 * (1 - cut))
        return self.working_time(week, np.where(won, early, draw))


def whole_weeks(end: date, months: int) -> tuple[date, int]:
    """Return the first Monday and the number of weeks of a history that ends on the last Sunday up to `end`."""
    after = end - timedelta(days=(end.weekday() + 1) % 7) + timedelta(days=1)
    weeks = round(months * 365.25 / 12 / 7)
    return after - timedelta(weeks=weeks), weeks


def quarter_start(day: date) -> date:
    """Return the first day of the calendar quarter that holds `day`."""
    return date(day.year, 3 * ((day.month - 1) // 3) + 1, 1)


def next_quarter(day: date) -> date:
    """Return the first day of the quarter after the one that holds `day`."""
    return quarter_start(quarter_start(day) + timedelta(days=95))
