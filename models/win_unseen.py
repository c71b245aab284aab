"""Rates where closed deals all ended alike, or none is closed: the end that was never seen counts as half a deal."""

from __future__ import annotations

import numpy as np
import pandas as pd

from models.learners import Floats
from models.prior import RateCurves
from models.win_curve import WEEK, Fate, bin_rows, known_bins

UNSEEN = 0.5  # deals that count as ended in a way that no deal ended in
_MOST = 0.5  # of open deals, that end so in a week


def with_unseen(rate: RateCurves, X: pd.DataFrame, what: Fate, *, seed: int | None = None) -> RateCurves:
    """Put half a deal, spread evenly over all weeks that deals were open, where none was won or none lost.

    Half an event is Jeffreys' prior of a Poisson rate. So a company whose deals have been open for few weeks hears
    that little is known, and one whose deals have been open for years that they hardly ever close.

    Parameters
    ----------
    rate : RateCurves
        As fitted on X; changed in place.
    X : shape (n, p)
        Snapshots, several a deal.
    what : Fate
        What became of them.
    seed : int, optional
        Draw the rate instead of taking its mean, for a range.

    References
    ----------
    Jeffreys (1961), "Theory of Probability", 3rd edition, section 3.1.
    """
    hazard = _hazard(rate.edges, weeks_open(X, what), seed)[
        : known_bins(bin_rows(what, rate.edges), len(rate.edges) - 1)
    ]
    if not what.won.any():
        rate.won_ = np.tile(hazard, (len(rate.won_), 1))
    if not (what.closed & ~what.won).any():
        rate.lost_ = np.tile(hazard, (len(rate.lost_), 1))
    return rate


def weeks_open(X: pd.DataFrame, what: Fate) -> float:
    """Weeks that all deals together were seen open, each from its first snapshot on."""
    days = pd.Series(np.minimum(what.closed_in, what.watched), index=X["deal_id"].to_numpy(object))
    return float(days.groupby(level=0).max().sum()) / WEEK


def _hazard(edges: Floats, weeks: float, seed: int | None) -> Floats:
    events = UNSEEN if seed is None else float(np.random.default_rng(seed).gamma(UNSEEN))
    weekly = min(_MOST, events / max(weeks, 1.0))
    return np.asarray(1 - (1 - weekly) ** (np.diff(edges) / WEEK))
