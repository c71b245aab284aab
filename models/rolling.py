"""Forecasts made at past dates from what was known then, and their gain over a rate, with intervals over deals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.learners import Floats
from models.win_curve import Curves, fate

LEVEL = 0.9
_RESAMPLES = 400
_SPACING = pd.Timedelta(days=28)
_EDGE = 1e-6
_NOTHING = 1e-4  # of the rival's loss; less is rounding


@dataclass(frozen=True, slots=True)
class Plan:
    """Spans of past dates, newest first, and how far ahead forecasts are judged.

    A model that knows what was known at a span's first date forecasts all snapshots made from then to its last date.
    """

    spans: tuple[tuple[pd.Timestamp, pd.Timestamp], ...]
    horizon_days: float


def plan(snapshots: pd.DataFrame, until: pd.Timestamp, pooled: Curves, *, cuts: int) -> Plan:
    """Choose spans of the snapshots' own dates whose outcomes within the horizon are all known at `until`.

    The horizon is the time within which nine of ten deals that end do so, no longer than a third of the history.

    Parameters
    ----------
    pooled : Curves
        Curves of all deals together; only the first row is read.
    cuts : int
        How many spans at most, four weeks long each.
    """
    dates = pd.DatetimeIndex(snapshots["as_of"].unique()).sort_values()
    ended = pooled.won[0] + pooled.lost[0]
    nine_of_ten = pooled.edges[int(np.searchsorted(ended, 0.9 * ended[-1]))]
    history = (until - dates[0]).total_seconds() / 86_400
    horizon = float(np.clip(min(nine_of_ten, 26 * 7), 7, max(7.0, history / 3)))
    horizon = float(pooled.edges[max(1, int(np.searchsorted(pooled.edges, horizon, side="right")) - 1)])
    judged = dates[dates <= until - pd.Timedelta(days=horizon)]
    spans: list[tuple[pd.Timestamp, pd.Timestamp]] = []
    while len(spans) < cuts and len(judged):
        span = judged[judged > judged[-1] - _SPACING]
        spans.append((span[0], span[-1]))
        judged = judged[judged < span[0]]
    return Plan(tuple(spans), horizon)


def known_at(snapshots: pd.DataFrame, cut: pd.Timestamp) -> pd.DataFrame:
    """Snapshots made before a past date; what closed later is hidden by `win_curve.fate(..., cut)`."""
    return snapshots[snapshots["as_of"] < cut]


def won_within(snapshots: pd.DataFrame, until: pd.Timestamp, days: float) -> npt.NDArray[np.bool_]:
    """Whether a snapshot's deal was won within so many days, shape (n,)."""
    what = fate(snapshots, until)
    return what.won & (what.closed_in <= days)


def log_loss(y: npt.NDArray[np.bool_], p: Floats) -> Floats:
    """Log loss of each row, shape (n,)."""
    p = np.clip(p, _EDGE, 1 - _EDGE)
    return np.asarray(-np.where(y, np.log(p), np.log1p(-p)))


@dataclass(frozen=True, slots=True)
class Gain:
    """How much lower the mean log loss is than a rival's: as a share of it, with a 90 % interval over deals."""

    skill: float
    low: float
    high: float
    mean: float
    se: float
    rows: int
    deals: int

    @property
    def holds_zero(self) -> bool:
        """Whether 'no better' cannot be ruled out."""
        return not self.low > _NOTHING


def gain(loss: Floats, rival: Floats, deal: pd.Series | npt.NDArray[np.object_], *, seed: int = 0) -> Gain:
    """Gain of losses, shape (n,), against a rival's on the same rows; deals are drawn 400 times."""
    if not len(loss):
        return Gain(0.0, -np.inf, np.inf, 0.0, np.inf, 0, 0)
    codes, names = pd.factorize(np.asarray(deal, dtype=object))
    ours, theirs, rows = (np.bincount(codes, weights=w) for w in (loss, rival, np.ones(len(loss))))
    saved = theirs - ours
    draws = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), _RESAMPLES)
    skills = (draws @ saved) / np.maximum(draws @ theirs, 1e-12)
    low, high = np.quantile(skills, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    means = (draws @ saved) / np.maximum(draws @ rows, 1)
    return Gain(
        float(saved.sum() / max(theirs.sum(), 1e-12)),
        float(low),
        float(high),
        float(saved.sum() / rows.sum()),
        float(means.std()) if len(names) > 1 else np.inf,
        len(loss),
        len(names),
    )
