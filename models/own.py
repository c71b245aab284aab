"""A win model around any scikit-learn classifier: timing, trust, reasons and the note stay, the fields' part is new."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import clone

from models.encoding import Encoder
from models.learners import Floats, even_rows, probability, safe_logit
from models.prior import RateCurves, SmallModel
from models.win import WinModel, _Replicate
from models.win_curve import Fate
from models.win_look import identity_names, span_of
from models.win_params import WinParams
from models.win_past import PastDate

_SURE = 0.01  # no own model is believed beyond this, however sure it is


class OwnFields(SmallModel):
    """A classifier's log odds of winning from a deal's fields, as numbers without gaps, learnt from closed deals.

    Parameters
    ----------
    learner : scikit-learn classifier
        Unfitted, with `predict_proba`.
    """

    def __init__(self, learner: Any) -> None:
        self.learner = learner

    def fit(self, X: pd.DataFrame, what: Fate) -> Self:
        """Learn from snapshots X, shape (n, p), of which only those of closed deals count."""
        rows = np.flatnonzero(what.closed)
        self.encoder_ = Encoder(min_rows=5).fit(X.iloc[rows])
        Z = self.encoder_.linear(X.iloc[rows])
        self.learner_ = clone(self.learner).fit(Z, what.won[rows])
        self.typical_: Floats = Z.mean(axis=0)
        return self

    def logits(self, X: pd.DataFrame) -> Floats:
        """Log odds of winning, shape (n,)."""
        return self._said(self.encoder_.linear(X))

    def contributions(self, X: pd.DataFrame) -> Floats:
        """What setting a feature to what is typical takes away, the last the rest: shape (n, features + 1).

        Works for any classifier; what features do together is shared out by the caller.
        """
        Z, owner = self.encoder_.linear(X), self.encoder_.linear_feature_
        said = self._said(Z)
        parts = np.zeros((len(X), len(self.names) + 1))
        for feature in range(len(self.names)):
            plain = np.where(owner == feature, self.typical_, Z)
            parts[:, feature] = said - self._said(plain)
        parts[:, -1] = said - parts.sum(axis=1)
        return parts

    def _said(self, Z: Floats) -> Floats:
        if not len(Z):
            return np.zeros(0)
        p = np.asarray(self.learner_.predict_proba(Z), dtype=np.float64)[:, 1]
        return safe_logit(np.clip(p, _SURE, 1 - _SURE))


class OwnWinModel(WinModel):
    """Win model whose fields' part is a scikit-learn classifier; it never looks at who works on a deal.

    Parameters
    ----------
    learner : scikit-learn classifier
        Unfitted, with `predict_proba`; only scikit-learn's own classes can be kept without pickle.
    random_state, horizon_weeks, start_month, trees, rows, replicates, cuts, params
        As for `WinModel`.
    """

    def __init__(
        self,
        learner: Any = None,
        random_state: int = 0,
        horizon_weeks: int = 60,
        start_month: int = 1,
        trees: int = 400,
        rows: int = 150_000,
        replicates: int = 0,
        cuts: int = 3,
        params: WinParams | None = None,
    ) -> None:
        super().__init__(random_state, horizon_weeks, start_month, trees, rows, replicates, cuts, params)
        self.learner = learner

    def _past_date(self, rows: pd.DataFrame, cut: pd.Timestamp, last: pd.Timestamp) -> PastDate | None:
        span = span_of(rows, cut, last, edges=self.edges_, start_month=self.start_month, seed=self.random_state)
        if span is None:
            return None
        said = span.stage.scaled(probability(self._own(span.train, span.what).logits(span.open_then)))
        return PastDate(span.cut, span.open_then, span.base, span.stage, fields=said)

    def _fit_fields(self, rows: pd.DataFrame, what: Fate) -> OwnFields:
        return self._own(rows, what)

    def _fit_without_identity(self, rows: pd.DataFrame, what: Fate) -> None:
        return None

    def _fit_replicates(self, rows: pd.DataFrame, what: Fate) -> list[_Replicate]:
        return [self._drawn(rows, what, seed) for seed in range(self.replicates)]

    def _drawn(self, rows: pd.DataFrame, what: Fate, seed: int) -> _Replicate:
        codes, names = pd.factorize(rows["deal_id"])
        rng = np.random.default_rng(self.random_state + 1 + seed)
        times = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))[codes]
        kept = np.repeat(np.arange(len(rows)), times)
        rate = RateCurves(self.edges_, by_stage=self.choice_.by_stage).fit(rows, what, weight=times.astype(np.float64))
        if self.fields_ is None or len(np.unique(what.won[kept][what.closed[kept]])) < 2:
            return _Replicate(None, rate)
        return _Replicate(self._own(rows.iloc[kept].reset_index(drop=True), what.take(kept)), rate)

    def _own(self, rows: pd.DataFrame, what: Fate) -> OwnFields:
        kept = even_rows(len(rows), self.rows, self.random_state)
        seen = rows.iloc[kept].drop(columns=[name for name in identity_names() if name in rows])
        return OwnFields(self.learner).fit(seen, what.take(kept))
