"""Too little data: rates of the company and of each stage, shrunk, and a strong ridge that may pull from them."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.encoding import Encoder
from models.learners import Blend, Floats, Matrix, safe_logit
from models.win_curve import BinRows, Curves, Fate, bin_rows, curves_of, known_bins

PSEUDO_DEALS = 10.0
HALF_TRUST = 80.0  # closed deals at which the model of the fields and the stage rate weigh the same
SMALL_RIDGE = 0.003


class RateCurves:
    """Win and loss curves of all open deals, or by stage: the base rate and the stage rate as competing risks.

    A stage's rate in a bin is shrunk to the company's by ten pseudo-deals; as snapshots of one deal say much the same,
    counts are divided by the snapshots a deal has.

    Parameters
    ----------
    by_stage : bool
        Whether stages have curves of their own; where the stage is missing or new the company's holds.

    References
    ----------
    Aalen and Johansen (1978), "An empirical transition matrix for non-homogeneous Markov chains".
    """

    def __init__(self, edges: Floats, *, by_stage: bool) -> None:
        self.edges = edges
        self.by_stage = by_stage

    def fit(self, X: pd.DataFrame, what: Fate, *, weight: Floats | None = None, pairs: BinRows | None = None) -> Self:
        """Learn from snapshots X, shape (n, p), and their fate; `weight`, shape (n,), counts some more."""
        pairs = bin_rows(what, self.edges) if pairs is None else pairs
        weight = np.ones(len(X)) if weight is None else weight
        self.stages_: dict[str, int] = {}
        group = np.zeros(len(X), dtype=np.intp)
        if self.by_stage and "stage" in X:
            stage = X["stage"].astype("object")
            names = sorted(str(s) for s in stage.dropna().unique())
            self.stages_ = {name: index for index, name in enumerate(names, start=1)}
            group = self._groups(X)
        bins = len(self.edges) - 1
        known = known_bins(pairs, bins)
        each = float(weight.sum() / max(1.0, X["deal_id"].nunique()))  # snapshots a deal
        tables = [
            _counts(group[pairs.row], pairs.bin, weight[pairs.row] * happened, len(self.stages_) + 1, bins)[:, :known]
            for happened in (np.ones(len(pairs.row)), pairs.won.astype(float), pairs.lost.astype(float))
        ]
        self.won_ = _shrunk(tables[1], tables[0], each)
        self.lost_ = _shrunk(tables[2], tables[0] - tables[1], each)
        return self

    def curves(self, X: pd.DataFrame) -> Curves:
        """Curves of deals X, shape (n, p)."""
        group = self._groups(X) if self.stages_ else np.zeros(len(X), dtype=np.intp)
        per_group = curves_of(self.edges, self.won_, self.lost_)
        return Curves(self.edges, per_group.won[group], per_group.lost[group])

    def _groups(self, X: pd.DataFrame) -> npt.NDArray[np.intp]:
        if "stage" not in X:
            return np.zeros(len(X), dtype=np.intp)
        stage: Any = X["stage"].array
        levels = stage if isinstance(stage, pd.Categorical) else pd.Categorical(stage)
        # A stage that was not there, and a missing one, whose code is -1, are in the company's row.
        return np.array([*(self.stages_.get(str(v), 0) for v in levels.categories), 0], dtype=np.intp)[levels.codes]


def _counts(group: npt.NDArray[np.intp], bin_: npt.NDArray[np.intp], weight: Floats, groups: int, bins: int) -> Floats:
    table = np.bincount(group * bins + bin_, weights=weight, minlength=groups * bins).reshape(groups, bins)
    table[0] = table.sum(axis=0)  # the company's own row stands first
    return np.asarray(table, dtype=np.float64)


def _shrunk(events: Floats, rows: Floats, each: float) -> Floats:
    pooled = events[0] / np.maximum(rows[0], 1.0)
    rates = (events / each + PSEUDO_DEALS * pooled) / (rows / each + PSEUDO_DEALS)
    rates[0] = pooled
    return rates


class SmallModel:
    """Ridge logistic on all fields of closed deals' snapshots, for when there are too few deals for trees."""

    def __init__(self, *, ridge: float = SMALL_RIDGE, random_state: int = 0) -> None:
        self.ridge = ridge
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, what: Fate) -> Self:
        """Learn from snapshots X, shape (n, p), of which only those of closed deals count."""
        rows = np.flatnonzero(what.closed)
        self.encoder_ = Encoder(min_rows=5).fit(X.iloc[rows])
        self.blend_ = Blend(trees=0, ridge=self.ridge, random_state=self.random_state)
        self.blend_.fit(self._matrix(X.iloc[rows]), what.won[rows], categorical=[])
        return self

    @property
    def names(self) -> list[str]:
        """Features in use, in the order of `contributions`."""
        return self.encoder_.names_

    def logits(self, X: pd.DataFrame) -> Floats:
        """Log odds of winning, shape (n,)."""
        return self.blend_.logits(self._matrix(X), 0.0)

    def contributions(self, X: pd.DataFrame) -> Floats:
        """Parts of the log odds by feature, the last the rest: shape (n, features + 1)."""
        return self.blend_.contributions(self._matrix(X), 0.0, self.encoder_.linear_feature_)

    def _matrix(self, X: pd.DataFrame) -> Matrix:
        return Matrix(self.encoder_.trees(X), self.encoder_.linear(X))


def trust(closed_deals: int) -> float:
    """Share k = n / (n + 80) that the model of the fields gets against the stage rate."""
    return closed_deals / (closed_deals + HALF_TRUST)


def pooled_logits(rate: Floats, model: Floats, share: float) -> Floats:
    """Log odds between a rate's probabilities and a model's log odds: (1 - k) logit q + k logit m."""
    return (1 - share) * safe_logit(rate) + share * model
