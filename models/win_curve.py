"""Bins of the future, what happened in them, and curves: how likely a deal is won or lost by each day ahead.

A snapshot is a deal on a day while it was open. For a bin (a, b] of days ahead, those snapshots count whose deal was
still open a days later and for which b days later is no later than today, whatever happened in the bin:
adding newer ones only where the outcome is already known would favour deals that end quickly.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.learners import Floats

WEEK = 7.0
_EDGE_WEEKS = (*range(14), 16, 20, 26, 34, 44, 60, 78, 104, 156)
_MIN_ROWS = 30


def edges_of(horizon_weeks: int) -> Floats:
    """Edges of the bins in days, shape (bins + 1,): one week wide up to a quarter, then wider, up to the horizon."""
    inner = [week for week in _EDGE_WEEKS if week < horizon_weeks]
    return np.array([*inner, horizon_weeks], dtype=np.float64) * WEEK


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of snapshots as known at one moment; all arrays of shape (n,).

    `closed_in` is days from snapshot to close (infinite while open), `watched` days from snapshot to that moment.
    """

    closed_in: Floats
    won: npt.NDArray[np.bool_]
    watched: Floats

    def take(self, rows: npt.NDArray[np.intp]) -> Fate:
        """Some snapshots, with repeats allowed."""
        return Fate(self.closed_in[rows], self.won[rows], self.watched[rows])

    @property
    def closed(self) -> npt.NDArray[np.bool_]:
        """Whether the end is known."""
        return np.isfinite(self.closed_in)


def fate(snapshots: pd.DataFrame, until: pd.Timestamp) -> Fate:
    """What was known at `until` of the snapshots' deals; whatever closed later counts as open."""
    as_of = snapshots["as_of"]
    known = snapshots["_closed_at"].notna() & (snapshots["_closed_at"] <= until) & (snapshots["_outcome"] != "open")
    closed_in = _days(snapshots["_closed_at"] - as_of).where(known, np.inf)
    watched = _days(until - as_of)
    return Fate(
        np.maximum(closed_in.to_numpy(np.float64), 1e-9),
        (known & (snapshots["_outcome"] == "won")).to_numpy(bool),
        watched.to_numpy(np.float64),
    )


@dataclass(frozen=True, slots=True)
class BinRows:
    """Pairs of snapshot and bin; `row` and `bin` index them, `won` and `lost` say what happened in the bin."""

    row: npt.NDArray[np.intp]
    bin: npt.NDArray[np.intp]
    won: npt.NDArray[np.bool_]
    lost: npt.NDArray[np.bool_]

    def take(self, pairs: npt.NDArray[np.intp]) -> BinRows:
        """Some pairs."""
        return BinRows(self.row[pairs], self.bin[pairs], self.won[pairs], self.lost[pairs])


def bin_rows(what: Fate, edges: Floats) -> BinRows:
    """All pairs of a snapshot and a bin that was watched to its end and that the deal entered open."""
    rows, bins = [], []
    for index, (start, end) in enumerate(pairwise(edges)):
        eligible = np.flatnonzero((what.closed_in > start) & (what.watched >= end))
        rows.append(eligible)
        bins.append(np.full(len(eligible), index, dtype=np.intp))
    row, bin_ = np.concatenate(rows), np.concatenate(bins)
    ended = what.closed_in[row] <= edges[1:][bin_]
    return BinRows(row, bin_, ended & what.won[row], ended & ~what.won[row])


def known_bins(pairs: BinRows, bins: int) -> int:
    """How many leading bins have enough rows to learn from; at least one."""
    counts = np.bincount(pairs.bin, minlength=bins)
    thin = np.flatnonzero(counts < _MIN_ROWS)
    return max(1, int(thin[0]) if thin.size else bins)


@dataclass(frozen=True, slots=True)
class Curves:
    """For n deals: edges in days, shape (bins + 1,); shares won and lost by each edge, each shape (n, bins + 1)."""

    edges: Floats
    won: Floats
    lost: Floats

    @property
    def ever(self) -> Floats:
        """Probability of being won within the horizon, shape (n,)."""
        return self.won[:, -1]

    @property
    def hazards(self) -> tuple[Floats, Floats]:
        """P(won in bin | open at its start) and P(lost in bin | open at its start, not won), shape (n, bins)."""
        open_ = np.maximum(1 - self.won - self.lost, 1e-12)[:, :-1]
        w = np.clip(np.diff(self.won) / open_, 0, 1)
        return w, np.clip(np.diff(self.lost) / np.maximum(open_ * (1 - w), 1e-12), 0, 1)

    def by(self, days: Floats | float) -> tuple[Floats, Floats]:
        """Shares won and lost by so many days ahead (a number, or one a deal), straight within a bin."""
        at = np.clip(np.broadcast_to(np.asarray(days, dtype=np.float64), len(self.won)), 0, self.edges[-1])
        index = np.clip(np.searchsorted(self.edges, at, side="right") - 1, 0, len(self.edges) - 2)
        part = (at - self.edges[index]) / (self.edges[index + 1] - self.edges[index])
        row = np.arange(len(self.won))
        return (
            self.won[row, index] + part * (self.won[row, index + 1] - self.won[row, index]),
            self.lost[row, index] + part * (self.lost[row, index + 1] - self.lost[row, index]),
        )

    def scaled(self, ever: Floats) -> Curves:
        """The same timing with another probability of being won in the end, shape (n,)."""
        up = np.divide(ever, self.ever, out=np.ones_like(ever), where=self.ever > 0)
        rest = np.divide(1 - ever, 1 - self.ever, out=np.ones_like(ever), where=self.ever < 1)
        return Curves(self.edges, self.won * up[:, None], self.lost * rest[:, None])

    def mixed(self, other: Curves, share: float) -> Curves:
        """A mixture: `share` of this one, the rest of the other."""
        return Curves(
            self.edges,
            share * self.won + (1 - share) * other.won,
            share * self.lost + (1 - share) * other.lost,
        )

    def days_to_win(self) -> Floats:
        """Median days to a win, given that the deal is won, shape (n,)."""
        half = self.ever / 2
        index = np.clip((self.won < half[:, None]).sum(axis=1) - 1, 0, len(self.edges) - 2)
        row = np.arange(len(self.won))
        low, high = self.won[row, index], self.won[row, index + 1]
        part = np.divide(half - low, high - low, out=np.full(len(half), 0.5), where=high > low)
        return self.edges[index] + np.clip(part, 0, 1) * (self.edges[index + 1] - self.edges[index])


def curves_of(edges: Floats, won: Floats, lost: Floats) -> Curves:
    """Curves from hazards of the leading bins, each shape (n, k); bins beyond go on at the last bin's weekly rate."""
    bins = len(edges) - 1
    won, lost = _extend(won, edges, bins), _extend(lost, edges, bins)
    n = len(won)
    stay = np.empty((n, 2 * bins))
    stay[:, 0::2], stay[:, 1::2] = 1 - won, 1 - lost
    left = np.cumprod(stay, axis=1)  # who is still open: after the wins of a bin, then after its losses
    begun = np.column_stack([np.ones(n), left[:, 1:-1:2]])
    F, L = np.zeros((n, bins + 1)), np.zeros((n, bins + 1))
    F[:, 1:] = np.cumsum(begun * won, axis=1)
    L[:, 1:] = np.cumsum(left[:, 0::2] * lost, axis=1)
    return Curves(edges, F, L)


def _extend(hazard: Floats, edges: Floats, bins: int) -> Floats:
    known = hazard.shape[1]
    if known == bins:
        return hazard
    widths = np.diff(edges)
    still = 1 - np.clip(hazard[:, -1:], 0, 1 - 1e-9)
    beyond = 1 - still ** (widths[known:] / widths[known - 1])[None, :]
    return np.hstack([hazard, beyond])


def _days(span: pd.Series) -> pd.Series:
    return span.dt.total_seconds() / 86_400.0
