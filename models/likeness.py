"""Which customers without a deal are like those whose first deal was won; silent where that beats no base rate."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from crm.lake import View, connect
from models.learners import Floats

WORDS = ("segment", "industry", "country", "region")
NUMBERS = ("employees", "annual_revenue")
_CUTS, _APART = 4, pd.Timedelta(days=90)
_FEW = 100  # first deals that ended: fewer tell nothing of traits
_TINY = 1e-6

_FIRST = """
select account_id, arg_min(outcome, created_at) as outcome, arg_min(closed_at, created_at) as closed_at
from deals where coalesce(kind, 'new') <> 'lead' and account_id is not null and created_at <= $until
group by account_id
"""
_WITHOUT = """
select account_id from accounts
where coalesce(created_at, $until) <= $until
  and account_id not in (select account_id from deals where account_id is not null and created_at <= $until)
"""


class Likeness(BaseEstimator):
    """Share of first deals won, by what was known of the customer when its record was made.

    Attributes
    ----------
    base_ : float
        Share of all first deals that were won; NaN where none ended.
    gain_, error_ : float
        Mean gain in log loss over the base rate known at past dates, on the deals that ended in the 90 days after each,
        and its standard error over deals; NaN where the past is too short.
    better_ : bool
        Whether the gain is more than two standard errors; else nothing is ranked.
    deals_ : int
        First deals learnt from.
    """

    def fit(self, view: View, *, until: pd.Timestamp) -> Self:
        """Learn from first deals that ended by a moment, and try it on past dates."""
        rows = _ended(view, until)
        self.deals_, self.base_ = len(rows), float(rows["won"].mean()) if len(rows) else float("nan")
        gains = _gains(rows, pd.Timestamp(until))
        self.gain_ = float(gains.mean()) if len(gains) else float("nan")
        self.error_ = float(gains.std(ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else float("nan")
        self.better_ = bool(self.gain_ > 2 * self.error_)
        self.model_ = _model().fit(rows[[*WORDS, *NUMBERS]], rows["won"]) if self.better_ else None
        return self

    def rank(self, view: View, *, at: pd.Timestamp) -> pd.DataFrame:
        """Customers without a deal, most alike first: account_id, chance, trait, value.

        Returns
        -------
        DataFrame
            `chance` that a first deal would be won; `trait` and `value` are what speaks most for it. Empty where the
            model is no better than the base rate.
        """
        rows = _traits(view)
        with connect() as con:
            view.attach(con)
            without = con.execute(_WITHOUT, {"until": at}).df()["account_id"]
        rows = rows[rows.index.isin(without)]
        if self.model_ is None or rows.empty:
            return pd.DataFrame(columns=["account_id", "chance", "trait", "value"])
        chance = self.model_.predict_proba(rows)[:, 1]
        trait = _strongest(self.model_, rows)
        found = pd.DataFrame({"account_id": rows.index, "chance": chance, "trait": trait})
        found["value"] = [rows.at[a, t] if t else None for a, t in zip(found["account_id"], trait, strict=True)]
        return found.sort_values(["chance", "account_id"], ascending=[False, True], ignore_index=True)


def _traits(view: View) -> pd.DataFrame:
    columns = ", ".join([*WORDS, *(f"cast({n} as double) as {n}" for n in NUMBERS)])
    with connect() as con:
        view.attach(con)
        rows = con.sql(f"select account_id, {columns} from accounts").df().set_index("account_id")
    # Where every record leaves a column out there is nothing to learn from it, and the types stay the same.
    return rows.astype({**dict.fromkeys(WORDS, object), **dict.fromkeys(NUMBERS, float)})


def _ended(view: View, until: pd.Timestamp) -> pd.DataFrame:
    """First deals that ended by a moment with their customer's traits: won, closed_at."""
    with connect() as con:
        view.attach(con)
        first = con.execute(_FIRST, {"until": until}).df()
    first["closed_at"] = pd.to_datetime(first["closed_at"], utc=True)
    first = first[first["outcome"].isin(["won", "lost"]) & (first["closed_at"] <= until)]
    rows = first.merge(_traits(view).reset_index(), on="account_id")
    return rows.assign(won=rows["outcome"] == "won")


def _gains(rows: pd.DataFrame, until: pd.Timestamp) -> Floats:
    """Log loss of the base rate less the model's, of each deal that ended after a past date."""
    found = []
    for back in range(_CUTS, 0, -1):
        at = until - back * _APART
        known = rows[rows["closed_at"] <= at]
        ahead = rows[(rows["closed_at"] > at) & (rows["closed_at"] <= at + _APART)]
        if len(known) < _FEW or known["won"].nunique() < 2 or ahead.empty:
            continue
        said = _model().fit(known[[*WORDS, *NUMBERS]], known["won"]).predict_proba(ahead[[*WORDS, *NUMBERS]])[:, 1]
        base = np.full(len(ahead), known["won"].mean())
        won = ahead["won"].to_numpy(bool)
        found.append(_loss(base, won) - _loss(said, won))
    return np.concatenate(found) if found else np.zeros(0)


def _loss(chance: Floats, won: Any) -> Floats:
    said = np.where(won, chance, 1 - chance)
    return np.asarray(-np.log(np.clip(said, _TINY, 1.0)), dtype=np.float64)


def _model() -> Pipeline:
    words = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="?"),
        OneHotEncoder(handle_unknown="ignore", min_frequency=20, sparse_output=False),
    )
    numbers = make_pipeline(
        FunctionTransformer(_logged, feature_names_out="one-to-one"),
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
    )
    both = ColumnTransformer([("words", words, list(WORDS)), ("numbers", numbers, list(NUMBERS))])
    return make_pipeline(both, LogisticRegression(C=0.3, max_iter=1000))


def _logged(values: Any) -> Any:
    return np.log1p(np.clip(np.asarray(values, dtype=np.float64), 0, None))


def _strongest(model: Pipeline, rows: pd.DataFrame) -> list[str | None]:
    """The trait that raises each chance most against the average of these rows; None where none does."""
    prepared = model[:-1].transform(rows)
    parts = (prepared - prepared.mean(axis=0)) * model[-1].coef_[0]
    names = [_trait_of(name) for name in model[:-1].get_feature_names_out()]
    sums = pd.DataFrame(parts, columns=names).T.groupby(level=0).sum().T
    best = sums.idxmax(axis=1)
    return [str(name) if row[name] > 0 else None for name, (_, row) in zip(best, sums.iterrows(), strict=True)]


def _trait_of(name: str) -> str:
    """'words__segment_small' is of segment, 'numbers__employees' of employees."""
    plain = name.split("__", 1)[1]
    return next(trait for trait in (*NUMBERS, *WORDS) if plain.startswith(trait))
