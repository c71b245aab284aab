"""The recipe that Odoo's documentation gives for predictive lead scoring, on the company's own words."""

from __future__ import annotations

from typing import Self

import numpy as np
import pandas as pd

from models.learners import Floats, probability
from models.prior import RateCurves
from models.win_curve import edges_of, fate
from training.baselines.base import Baseline, NothingToLearn, known_rows

_ADDED = 0.1
_EDGE = 1e-4  # the recipe shows no chance below 0.01 % or above 99.99 %
_NOT_USED = ("deal_id", "as_of", "stage", "forecast_category", "owner_id")
_MOST_LEVELS = 200
_WEEKS = 60


class OdooBayes(Baseline):
    """Naive Bayes over closed deals: how often a word stood on won deals against lost ones.

    Counts are of deals, each as it stood last, with 0.1 added. A won deal counts in every stage; a lost one in those
    up to where it stood. Words are the stage, the team (`_team`, where given) and every category of the deal; the
    owner's call and the owner are none. A word that is missing is passed over. The recipe knows only 'in the
    end'; within so many days its chance is multiplied by the part of the stage's wins that come in time.

    References
    ----------
    Odoo, "Assign leads with predictive lead scoring", user documentation.
    """

    def fit(self, snapshots: pd.DataFrame, *, until: pd.Timestamp) -> Self:
        """Learn from what was known at `until`; see `Baseline.fit`."""
        rows, won = known_rows(snapshots, until, None, most=len(snapshots))
        last = rows.assign(_won=won).sort_values("as_of").drop_duplicates("deal_id", keep="last")
        ended = last["_won"].to_numpy(bool)
        if not len(last):
            raise NothingToLearn(None)
        self.won_, self.lost_ = float(ended.sum()) + _ADDED, float((~ended).sum()) + _ADDED
        self.words_ = {name: _counts(last[name], ended) for name in _words(last)}
        self.places_ = _stage_places(rows)
        self.stages_ = _reached(last, ended, self.places_)
        known = snapshots[snapshots["as_of"] < until]
        self.timing_ = RateCurves(edges_of(_WEEKS), by_stage=True).fit(known, fate(known, until))
        return self

    def predict_proba_won(self, X: pd.DataFrame) -> Floats:
        """Probability of being won within `days` (or ever), shape (n,)."""
        logit = np.full(len(X), np.log(self.won_ / self.lost_))
        for name, counts in {**self.words_, "stage": self.stages_}.items():
            if name in X and len(counts):
                odds = np.log(counts["won"] / self.won_) - np.log(counts["lost"] / self.lost_)
                logit += X[name].astype(object).map(odds).astype(np.float64).fillna(0.0).to_numpy()
        ever = np.clip(probability(logit), _EDGE, 1 - _EDGE)
        if self.days is None:
            return ever
        curves = self.timing_.curves(X)
        return ever * curves.by(float(self.days))[0] / np.maximum(curves.ever, 1e-9)


def _words(last: pd.DataFrame) -> list[str]:
    named = [c for c in last.columns if c == "_team" or (not str(c).startswith("_") and c not in _NOT_USED)]
    return [c for c in named if not pd.api.types.is_numeric_dtype(last[c]) and last[c].nunique() <= _MOST_LEVELS]


def _counts(words: pd.Series, won: Floats) -> pd.DataFrame:
    words = words.astype(object).reset_index(drop=True)
    table = pd.DataFrame({"won": won.astype(float), "lost": 1.0 - won}).groupby(words).sum()
    return table + _ADDED


def _stage_places(rows: pd.DataFrame) -> pd.Series:
    """Place of each stage in its pipeline, by the feature that counts stages come; in order of age without it."""
    if "stage" not in rows:
        return pd.Series(dtype=np.float64)
    by = "stage_index" if "stage_index" in rows and rows["stage_index"].notna().any() else "days_open"
    places = rows.groupby(rows["stage"].astype(object))[by].median() if by in rows else pd.Series(dtype=np.float64)
    return places.dropna()


def _reached(last: pd.DataFrame, won: Floats, places: pd.Series) -> pd.DataFrame:
    """Deals counted in each stage: won ones in all, lost ones up to where they stood."""
    if not len(places):
        return pd.DataFrame(columns=["won", "lost"])
    stood = last.loc[~won.astype(bool), "stage"].astype(object).map(places).astype(np.float64).to_numpy()
    lost = [float((stood >= place).sum()) + _ADDED for place in places]
    return pd.DataFrame({"won": float(won.sum()) + _ADDED, "lost": lost}, index=places.index)
