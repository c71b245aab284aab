"""What all baselines share: which question they answer, and the rows from which it can be learnt without bias."""

from __future__ import annotations

from abc import abstractmethod
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator

from crm.errors import NotReady
from models.learners import Floats, even_rows
from models.win_curve import fate

MAX_ROWS = 20_000


class NothingToLearn(NotReady):
    """No snapshot's outcome is known yet."""

    def __init__(self, days: float | None) -> None:
        what = "ended" if days is None else f"was watched for {days:g} days"
        super().__init__(f"No deal {what} by then, so there is nothing to learn from. Import more history, or wait.")


class Baseline(BaseEstimator):
    """A plain forecast of 'won within so many days', or of 'won in the end'.

    Parameters
    ----------
    days : float, optional
        Horizon in days; unset: won in the end.
    random_state : int
        Seed of thinning and learning.
    """

    def __init__(self, days: float | None = None, random_state: int = 0) -> None:
        self.days = days
        self.random_state = random_state

    @abstractmethod
    def fit(self, snapshots: pd.DataFrame, *, until: pd.Timestamp) -> Self:
        """Learn from snapshots as `training.snapshots.deal_snapshots` makes them, as known at `until`.

        Raises
        ------
        NotReady
            If nothing could be learnt by then.
        """

    @abstractmethod
    def predict_proba_won(self, X: pd.DataFrame) -> Floats:
        """Probability of being won within `days` (or ever), shape (n,)."""


def known_rows(
    snapshots: pd.DataFrame, until: pd.Timestamp, days: float | None, *, seed: int = 0, most: int = MAX_ROWS
) -> tuple[pd.DataFrame, npt.NDArray[np.bool_]]:
    """Snapshots whose outcome is known, whatever it was, and whether they were won; thinned evenly to `most`.

    Within so many days: those watched for so long (newer ones whose end is known already would favour quick ends).
    In the end: those of closed deals.

    Raises
    ------
    NothingToLearn
        If there is none.
    """
    rows = snapshots[snapshots["as_of"] < until]
    what = fate(rows, until)
    known = np.flatnonzero(what.closed if days is None else what.watched >= days)
    if not len(known):
        raise NothingToLearn(days)
    known = known[even_rows(len(known), most, seed)]
    won = what.won & (what.closed_in <= (np.inf if days is None else days))
    return rows.iloc[known].reset_index(drop=True), won[known]
