"""When in the calendar deals close: the pull of a quarter's months, their ends and the weekday, from past closings."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.learners import Floats
from models.win_curve import Curves

Seconds = npt.NDArray[np.int64]
_DAY = 86_400
_TO_END = np.array([2, 5, 10, 16, 32])  # days to the month's end, its last day counted as 1
_MONTHS = 3  # of a quarter: its first tends to be slow, its last busy
_PSEUDO = 10.0  # closings that each group is drawn to the mean by


class ClosingCalendar:
    """How much likelier a deal is to be won, or lost, on a day than on an average one.

    Parameters
    ----------
    start_month : int
        First month of the fiscal year: says which months end a quarter.
    """

    def __init__(self, start_month: int = 1) -> None:
        self.start_month = start_month

    def fit(self, snapshots: pd.DataFrame, until: pd.Timestamp) -> Self:
        """Learn from closings known at `until` against how many deals were open: shapes as in `WinModel.fit`."""
        closed = snapshots.drop_duplicates("deal_id", keep="last")
        closed = closed[closed["_closed_at"].notna() & (closed["_closed_at"] <= until)]
        days, open_deals = _open_by_day(snapshots, until)
        self.won_ = self._rates(days, open_deals, closed.loc[closed["_outcome"] == "won", "_closed_at"])
        self.lost_ = self._rates(days, open_deals, closed.loc[closed["_outcome"] == "lost", "_closed_at"])
        return self

    def pull(self, start: Seconds, low: Floats, high: Floats, *, won: bool) -> Floats:
        """Mean pull of the days from `start + low` to `start + high`, shape (n,); 1 is an average day.

        Parameters
        ----------
        start : shape (n,)
            Seconds since 1970, UTC.
        low, high : shape (n,)
            Days ahead.
        """
        total = self._total(start, high, won=won) - self._total(start, low, won=won)
        return total / np.maximum(high - low, 1e-9)

    def by(self, curves: Curves, start: Seconds, days: Floats) -> tuple[Floats, Floats]:
        """Shares won and lost by so many days ahead, each shape (n,); inside a bin as the calendar pulls."""
        at = np.clip(days, 0, curves.edges[-1])
        index = np.clip(np.searchsorted(curves.edges, at, side="right") - 1, 0, len(curves.edges) - 2)
        low, high = curves.edges[index], curves.edges[index + 1]
        row = np.arange(len(at))
        shares = []
        for won, rising in ((True, curves.won), (False, curves.lost)):
            whole = np.maximum(self.pull(start, low, high, won=won) * (high - low), 1e-9)
            part = np.clip(self.pull(start, low, at, won=won) * (at - low) / whole, 0, 1)
            shares.append(rising[row, index] + part * (rising[row, index + 1] - rising[row, index]))
        return shares[0], shares[1]

    def _rates(self, days: Seconds, open_deals: Floats, closings: pd.Series) -> tuple[Floats, Floats]:
        """Pull by month of the quarter and days to its end, and by weekday."""
        day = closings.to_numpy("datetime64[D]").astype(np.int64)
        counts = np.bincount(day - days[0], minlength=len(days))[: len(days)].astype(np.float64)
        by_end = _pull(self._group(days), counts, open_deals, _MONTHS * len(_TO_END))
        expected = open_deals * by_end[self._group(days)]
        return by_end, _pull(_weekday(days), counts, expected, 7)

    def _total(self, start: Seconds, ahead: Floats, *, won: bool) -> Floats:
        moment = start / _DAY + ahead
        if not len(moment):
            return np.zeros(0)
        first = int(np.floor(min(moment.min(), (start / _DAY).min())))
        days = np.arange(first, int(np.floor(moment.max())) + 2)
        by_end, by_weekday = self.won_ if won else self.lost_
        running = np.concatenate([[0.0], np.cumsum(by_end[self._group(days)] * by_weekday[_weekday(days)])])
        whole = np.floor(moment).astype(np.int64) - first
        return running[whole] + (moment - np.floor(moment)) * (running[whole + 1] - running[whole])

    def _group(self, days: Seconds) -> npt.NDArray[np.intp]:
        date = days.astype("datetime64[D]")
        month = date.astype("datetime64[M]")
        left = ((month + 1).astype("datetime64[D]") - date).astype(np.int64)
        of_quarter = (month.astype(np.int64) - (self.start_month - 1)) % _MONTHS
        return np.searchsorted(_TO_END, left, side="left") + len(_TO_END) * of_quarter


def seconds_of(as_of: pd.Series) -> Seconds:
    """Moments as seconds since 1970, UTC."""
    return as_of.to_numpy("datetime64[s]").astype(np.int64)


def _weekday(days: Seconds) -> npt.NDArray[np.intp]:
    return (days + 3) % 7  # 1970-01-01 was a Thursday


def _open_by_day(snapshots: pd.DataFrame, until: pd.Timestamp) -> tuple[Seconds, Floats]:
    """Each day from the first snapshot to `until`, and how many deals the last snapshots before it held."""
    counts = snapshots.groupby("as_of").size().sort_index()
    dates = counts.index.to_numpy("datetime64[D]").astype(np.int64)
    days = np.arange(dates[0], int(until.timestamp()) // _DAY + 1)
    return days, counts.to_numpy(np.float64)[np.searchsorted(dates, days, side="right") - 1]


def _pull(group: npt.NDArray[np.intp], counts: Floats, exposure: Floats, groups: int) -> Floats:
    """Closings against what an even spread would give, by group, drawn to 1."""
    if not counts.sum() or not exposure.sum():
        return np.ones(groups)
    expected = np.bincount(group, weights=exposure, minlength=groups) * counts.sum() / exposure.sum()
    return (np.bincount(group, weights=counts, minlength=groups) + _PSEUDO) / (expected + _PSEUDO)
