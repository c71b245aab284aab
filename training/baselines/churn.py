"""What churn forecasts must beat: the share that left, the share by how long a customer is silent, a logistic."""

from __future__ import annotations

from abc import abstractmethod
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator

from models.encoding import Encoder
from models.learners import Blend, Floats, Matrix, one_thread, probability

_PSEUDO_CUSTOMERS = 10.0
_BANDS = 5
_RIDGE = 0.05


class ChurnBaseline(BaseEstimator):
    """A plain forecast of 'lost within the horizon'."""

    @abstractmethod
    def fit(self, X: pd.DataFrame, left: npt.NDArray[np.bool_]) -> Self:
        """Learn from customers on past dates, shape (n, p), and whether they were lost."""

    @abstractmethod
    def predict_proba_left(self, X: pd.DataFrame) -> Floats:
        """Probability of being lost, shape (n,)."""


class ChurnRate(ChurnBaseline):
    """The share that was lost, the same for everybody."""

    def fit(self, X: pd.DataFrame, left: npt.NDArray[np.bool_]) -> Self:
        """Learn the share; see `ChurnBaseline.fit`."""
        self.share_ = float((left.sum() + 0.5) / (len(left) + 1))
        return self

    def predict_proba_left(self, X: pd.DataFrame) -> Floats:
        """Probability of being lost, shape (n,)."""
        return np.full(len(X), self.share_)


class SilenceRate(ChurnBaseline):
    """The share that was lost among those as long without an order: five bands of equal numbers.

    Bands are drawn towards everybody's share by ten customers; who never ordered is a band too.
    """

    def fit(self, X: pd.DataFrame, left: npt.NDArray[np.bool_]) -> Self:
        """Learn the bands; see `ChurnBaseline.fit`."""
        silent = _silent(X)
        known = silent[np.isfinite(silent)]
        self.edges_ = np.unique(np.quantile(known, np.linspace(0, 1, _BANDS + 1)[1:-1])) if len(known) else np.zeros(0)
        share = float((left.sum() + 0.5) / (len(left) + 1))
        band, each = self._bands(silent), len(X) / max(1, X["account_id"].nunique())  # dates a customer
        rows, lost = (np.bincount(band, weights=w, minlength=_BANDS + 1) / each for w in (np.ones(len(X)), left * 1.0))
        self.shares_ = (lost + _PSEUDO_CUSTOMERS * share) / (rows + _PSEUDO_CUSTOMERS)
        return self

    def predict_proba_left(self, X: pd.DataFrame) -> Floats:
        """Probability of being lost, shape (n,)."""
        return np.asarray(self.shares_[self._bands(_silent(X))])

    def _bands(self, silent: Floats) -> npt.NDArray[np.intp]:
        return np.where(np.isfinite(silent), np.searchsorted(self.edges_, silent, side="left"), _BANDS)


class ChurnLogistic(ChurnBaseline):
    """Ridge logistic regression on every feature."""

    def fit(self, X: pd.DataFrame, left: npt.NDArray[np.bool_]) -> Self:
        """Learn coefficients; see `ChurnBaseline.fit`."""
        self.encoder_ = Encoder().fit(X)
        with one_thread():
            self.blend_ = Blend(trees=0, ridge=_RIDGE).fit(self._matrix(X), left, categorical=[])
        return self

    def predict_proba_left(self, X: pd.DataFrame) -> Floats:
        """Probability of being lost, shape (n,)."""
        return probability(self.blend_.logits(self._matrix(X), 0.0))

    def _matrix(self, X: pd.DataFrame) -> Matrix:
        return Matrix(self.encoder_.trees(X), self.encoder_.linear(X))


CHURN_BASELINES: dict[str, type[ChurnBaseline]] = {
    "churn_rate": ChurnRate,
    "silence_rate": SilenceRate,
    "logistic": ChurnLogistic,
}


def _silent(X: pd.DataFrame) -> Floats:
    """Days since the last order; not known: NaN."""
    if "days_since_order" not in X:
        return np.full(len(X), np.nan)
    return np.asarray(pd.to_numeric(X["days_since_order"], errors="coerce").to_numpy(np.float64, na_value=np.nan))
