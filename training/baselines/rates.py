"""Rates as forecasts: of all deals, of the deal's stage, and of the owner's own call."""

from __future__ import annotations

from typing import Self

import numpy as np
import pandas as pd

from models.learners import Floats
from models.prior import PSEUDO_DEALS, RateCurves
from models.win_curve import edges_of, fate
from training.baselines.base import Baseline, NothingToLearn, known_rows

_WEEKS = 60


class BaseRate(Baseline):
    """The share of open deals that was won in time, the same for every deal."""

    by_stage = False

    def fit(self, snapshots: pd.DataFrame, *, until: pd.Timestamp) -> Self:
        """Learn from what was known at `until`; see `Baseline.fit`."""
        rows = snapshots[snapshots["as_of"] < until]
        if not len(rows):
            raise NothingToLearn(self.days)
        self.curves_ = RateCurves(edges_of(_WEEKS), by_stage=self.by_stage).fit(rows, fate(rows, until))
        return self

    def predict_proba_won(self, X: pd.DataFrame) -> Floats:
        """Probability of being won within `days` (or ever), shape (n,)."""
        curves = self.curves_.curves(X)
        return curves.ever if self.days is None else curves.by(float(self.days))[0]


class StageRate(BaseRate):
    """The share of deals in the same stage that was won in time, drawn towards the base rate by ten deals."""

    by_stage = True


class OwnCall(Baseline):
    """What the owner's own call was worth: the past share won of each forecast category.

    A category's share is drawn towards all deals' by ten deals, an owner's share in a category towards the
    category's. Deals without a call have a category of their own.
    """

    def fit(self, snapshots: pd.DataFrame, *, until: pd.Timestamp) -> Self:
        """Learn from what was known at `until`; see `Baseline.fit`."""
        rows, won = known_rows(snapshots, until, self.days, seed=self.random_state, most=len(snapshots))
        # Snapshots of a deal say much the same: counts are of deals.
        deals = 1.0 / (len(rows) / rows["deal_id"].nunique())
        self.share_ = float((won.sum() * deals + 0.5) / (len(rows) * deals + 1))
        table = _keys(rows).assign(won=won * deals, rows=deals)
        calls = table.groupby("call")[["won", "rows"]].sum()
        self.calls_ = (calls["won"] + PSEUDO_DEALS * self.share_) / (calls["rows"] + PSEUDO_DEALS)
        owners = table.groupby(["call", "owner"])[["won", "rows"]].sum()
        prior = self.calls_.reindex(owners.index.get_level_values("call")).to_numpy(np.float64)
        self.owners_ = (owners["won"] + PSEUDO_DEALS * prior) / (owners["rows"] + PSEUDO_DEALS)
        return self

    def predict_proba_won(self, X: pd.DataFrame) -> Floats:
        """Probability of being won within `days` (or ever), shape (n,)."""
        keys = _keys(X)
        category = keys["call"].map(self.calls_).fillna(self.share_).to_numpy(np.float64)
        own = self.owners_.reindex(pd.MultiIndex.from_frame(keys)).to_numpy(np.float64)
        return np.where(np.isnan(own), category, own)


def _keys(X: pd.DataFrame) -> pd.DataFrame:
    def words(name: str) -> pd.Series:
        if name not in X:
            return pd.Series("", index=X.index, dtype=object)
        return X[name].astype(object).where(X[name].notna(), "").astype(str)

    return pd.DataFrame({"call": words("forecast_category"), "owner": words("owner_id")})
