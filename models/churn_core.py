"""What forecasts who leaves: monotone trees beside a ridge logistic, and the rate by a customer's own rhythm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import pandas as pd

from models.encoding import Encoder, numeric
from models.fast_contributions import tree_contributions
from models.learners import THREADS, Blend, Floats, Matrix, one_thread, safe_logit

RHYTHM = "silence_to_usual"
_RIDGE = 0.01
# 150 trees were too timid (calibration slopes of 1.05 to 1.15 on eight sample companies), 300 too bold (.97 to 1.06).
_TREES = 200
_BANDS = 5
_PSEUDO_CUSTOMERS = 10.0
# What is known of signs beforehand: it keeps trees on small data from learning the opposite.
_SIGNS = {
    "days_since_order": 1, "silence_to_usual": 1, "order_lateness": 1, "spend_to_usual": -1, "orders_90d": -1,
    "spend_90d": -1, "open_tickets": 1, "oldest_ticket_days": 1, "ticket_satisfaction": -1, "satisfaction_trend": -1,
    "survey_score": -1, "contacts_left_90d": 1,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ChurnMix:
    """Shares, on the log odds, of which a forecast is made.

    Parameters
    ----------
    by_rhythm : bool
        Whether the rate leant on is that by the customer's own rhythm (else everybody's).
    trees : float
        Share of the trees within the fields' model; the ridge logistic has the rest.
    strength : float
        Share of the fields' model against the rate.
    """

    by_rhythm: bool
    trees: float
    strength: float


class RhythmRate:
    """Log odds of leaving by silence against the usual gap: five bands of equal numbers, and one for the unknown.

    Bands are drawn towards everybody's share by ten customers; a customer's dates count together as one.
    """

    def fit(self, X: pd.DataFrame, left: npt.NDArray[np.bool_]) -> Self:
        """Learn from customers on past dates, shape (n, p), and whether they were lost, shape (n,)."""
        share = float((left.sum() + 0.5) / (len(left) + 1))
        silence = numeric(X, RHYTHM)
        known = silence[np.isfinite(silence)]
        inner = np.linspace(0, 1, _BANDS + 1)[1:-1]
        self.edges_: Floats = np.unique(np.quantile(known, inner)) if len(known) else np.zeros(0)
        each = len(X) / max(1, X["account_id"].nunique())
        band = self._band(silence)
        rows, lost = (np.bincount(band, weights=w, minlength=_BANDS + 1) / each for w in (np.ones(len(X)), left * 1.0))
        self.base_ = float(safe_logit(np.array([share]))[0])
        self.bands_: Floats = safe_logit((lost + _PSEUDO_CUSTOMERS * share) / (rows + _PSEUDO_CUSTOMERS))
        return self

    def logits(self, X: pd.DataFrame, *, by_rhythm: bool = True) -> Floats:
        """Log odds of leaving, shape (n,): by rhythm, or everybody's."""
        return self.bands_[self._band(numeric(X, RHYTHM))] if by_rhythm else np.full(len(X), self.base_)

    def _band(self, silence: Floats) -> npt.NDArray[np.intp]:
        return np.where(np.isfinite(silence), np.searchsorted(self.edges_, silence), _BANDS)


class ChurnCore:
    """Monotone LightGBM, a ridge logistic and the rate by rhythm; a mix says what each counts."""

    def __init__(self, random_state: int = 0) -> None:
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, left: npt.NDArray[np.bool_]) -> Self:
        """Learn from customers on past dates, shape (n, p), and whether they were lost, shape (n,)."""
        self.encoder_ = Encoder().fit(X)
        self.rate_ = RhythmRate().fit(X, left)
        matrix = self._matrix(X)
        with one_thread():
            self.linear_ = Blend(trees=0, ridge=_RIDGE).fit(matrix, left, categorical=[])
        self.booster_ = self._fit_trees(matrix.trees, left) if self.encoder_.names_ else None
        return self

    def parts(self, X: pd.DataFrame) -> tuple[Floats, Floats]:
        """Log odds by the trees and by the logistic, each shape (n,)."""
        matrix = self._matrix(X)
        linear = self.linear_.logits(matrix, 0.0)
        if self.booster_ is None:
            return linear, linear
        return np.asarray(self.booster_.predict(matrix.trees, raw_score=True, num_threads=THREADS)), linear

    def logits(self, X: pd.DataFrame, mix: ChurnMix) -> Floats:
        """Log odds of leaving, shape (n,)."""
        return mixed(self.parts(X), self.rate_.logits(X, by_rhythm=mix.by_rhythm), mix)

    def contributions(self, X: pd.DataFrame, mix: ChurnMix) -> Floats:
        """Parts of the log odds by feature, shape (n, features), without the constant."""
        matrix = self._matrix(X)
        fields = self.linear_.contributions(matrix, 0.0, self.encoder_.linear_feature_)[:, :-1]
        if self.booster_ is not None:
            trees = tree_contributions(self.booster_, matrix.trees, threads=THREADS)
            fields = mix.trees * trees[:, :-1] + (1 - mix.trees) * fields
        told = mix.strength * fields
        if mix.by_rhythm and RHYTHM in self.encoder_.names_:
            place = self.encoder_.names_.index(RHYTHM)
            told[:, place] += (1 - mix.strength) * (self.rate_.logits(X) - self.rate_.base_)
        return told

    def _fit_trees(self, T: Floats, left: npt.NDArray[np.bool_]) -> lgb.Booster:
        settings = {
            "objective": "binary", "num_leaves": 7, "max_depth": 4, "learning_rate": 0.03,
            "min_data_in_leaf": int(np.clip(len(left) / 20, 5, 200)), "lambda_l2": 5.0, "max_bin": 127,
            "monotone_constraints": _signs(self.encoder_.names_), "seed": self.random_state, "num_threads": THREADS,
            "deterministic": True, "force_row_wise": True, "verbosity": -1,
        }  # fmt: skip
        rows = lgb.Dataset(T, left.astype(np.float64), categorical_feature=self.encoder_.categorical_, params=settings)
        return lgb.train(settings, rows, num_boost_round=_TREES)

    def _matrix(self, X: pd.DataFrame) -> Matrix:
        return Matrix(self.encoder_.trees(X), self.encoder_.linear(X))


def mixed(fields: tuple[Floats, Floats], rate: Floats, mix: ChurnMix) -> Floats:
    """Log odds of trees and logistic, and of a rate, each shape (n,), in the shares of a mix."""
    trees, linear = fields
    return (1 - mix.strength) * rate + mix.strength * (mix.trees * trees + (1 - mix.trees) * linear)


def _signs(names: Sequence[str]) -> list[int]:
    return [_SIGNS.get(name, 0) for name in names]
