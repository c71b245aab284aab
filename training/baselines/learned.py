"""Learners as they come: ridge logistic regression and CatBoost on the same features and rows."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from crm.errors import NotReady
from models.encoding import Encoder, feature_columns
from models.learners import Blend, Floats, Matrix, one_thread, probability
from training.baselines.base import Baseline, known_rows

_RIDGE = 0.1


class NoCatBoost(NotReady):
    """The package is not installed."""

    def __init__(self) -> None:
        super().__init__("The baseline CatBoost needs the package catboost. Install it: pip install catboost.")


class LogisticBaseline(Baseline):
    """Ridge logistic regression on every feature: numbers standardised, gaps flagged, categories one-hot."""

    def fit(self, snapshots: pd.DataFrame, *, until: pd.Timestamp) -> Self:
        """Learn from what was known at `until`; see `Baseline.fit`."""
        rows, won = known_rows(snapshots, until, self.days, seed=self.random_state)
        self.encoder_ = Encoder().fit(rows)
        with one_thread():
            self.blend_ = Blend(trees=0, ridge=_RIDGE, random_state=self.random_state)
            self.blend_.fit(self._matrix(rows), won, categorical=[])
        return self

    def predict_proba_won(self, X: pd.DataFrame) -> Floats:
        """Probability of being won within `days` (or ever), shape (n,)."""
        return probability(self.blend_.logits(self._matrix(X), 0.0))

    def _matrix(self, X: pd.DataFrame) -> Matrix:
        return Matrix(self.encoder_.trees(X), self.encoder_.linear(X))


class CatBoostBaseline(Baseline):
    """CatBoost on the same features and rows, categories as words, on one thread.

    Parameters
    ----------
    days, random_state
        See `Baseline`.
    trees : int
        How many trees, of depth 4 (on the sample company better than 6, and quicker).

    References
    ----------
    Prokhorenkova et al. (2018), "CatBoost: unbiased boosting with categorical features".
    """

    def __init__(self, days: float | None = None, random_state: int = 0, trees: int = 150) -> None:
        super().__init__(days, random_state)
        self.trees = trees

    def fit(self, snapshots: pd.DataFrame, *, until: pd.Timestamp) -> Self:
        """Learn from what was known at `until`; see `Baseline.fit`.

        Raises
        ------
        NoCatBoost
            If the package is not installed.
        """
        try:
            from catboost import CatBoostClassifier
        except ImportError:
            raise NoCatBoost from None
        rows, won = known_rows(snapshots, until, self.days, seed=self.random_state)
        self.names_ = [name for name in feature_columns(rows) if rows[name].nunique(dropna=False) > 1]
        self.words_ = [name for name in self.names_ if not _is_number(rows[name])]
        self.share_ = float((won.sum() + 0.5) / (len(won) + 1))
        self.model_: Any = None
        if self.names_ and 0 < won.sum() < len(won):
            model = CatBoostClassifier(
                iterations=self.trees, depth=4, learning_rate=0.08, thread_count=1, random_seed=self.random_state,
                verbose=False, allow_writing_files=False, cat_features=self.words_,
            )  # fmt: skip
            self.model_ = model.fit(self._table(rows), won.astype(np.int64))
        return self

    def predict_proba_won(self, X: pd.DataFrame) -> Floats:
        """Probability of being won within `days` (or ever), shape (n,)."""
        if self.model_ is None:
            return np.full(len(X), self.share_)
        said: npt.NDArray[np.float64] = self.model_.predict_proba(self._table(X))[:, 1]
        return said

    def _table(self, X: pd.DataFrame) -> pd.DataFrame:
        found = {}
        for name in self.names_:
            values = X[name] if name in X else pd.Series(np.nan, index=X.index)
            if name in self.words_:
                found[name] = values.astype(object).where(values.notna(), "").astype(str)
            else:
                found[name] = pd.to_numeric(values, errors="coerce").astype(np.float64)
        return pd.DataFrame(found, index=X.index)


def _is_number(values: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(values.dtype))
