"""Which product a customer is likely to buy next; silent where that is no better than naming the most sold one."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

from crm.lake import View, connect

WORDS = ("segment", "industry", "country")
COLUMNS = ("account_id", "product_id", "chance")
_CUTS, _APART = 4, pd.Timedelta(days=90)
_FEW = 100  # further purchases: fewer tell nothing of what goes with what
_OWNS = "owns "

# The first time that a customer bought each product.
_BOUGHT = """
select account_id, product_id, min(bought_at) as bought_at from (
    select account_id, product_id, closed_at as bought_at from deals
    where outcome = 'won' and coalesce(kind, 'new') <> 'lead'
    union all
    select d.account_id, l.product_id, d.closed_at from deal_lines l join deals d using (deal_id)
    where d.outcome = 'won' and coalesce(d.kind, 'new') <> 'lead'
    union all
    select account_id, product_id, ordered_at from orders
    where coalesce(kind, 'sale') = 'sale' and (cancelled_at is null or cancelled_at > $until)
    union all
    select account_id, product_id, cast(started_on as timestamptz) from subscriptions
)
where account_id is not null and product_id is not null and bought_at <= $until
group by account_id, product_id order by bought_at, account_id, product_id
"""


class NextProduct(BaseEstimator):
    """The next product that a customer has not bought yet, by what it has and what was known of it from the start.

    Attributes
    ----------
    hits_, base_hits_ : float
        Share of further purchases at past dates, each in the 90 days after it, whose product was named by the model
        and by naming the most sold product that the customer did not have; NaN where the past is too short.
    better_ : bool
        Whether the difference is more than two standard errors; else nothing is named.
    purchases_ : int
        Further purchases learnt from.
    """

    def fit(self, view: View, *, until: pd.Timestamp) -> Self:
        """Learn from purchases up to a moment, and try it on past dates."""
        until = pd.Timestamp(until)
        bought, traits = _bought(view, until), _traits(view)
        self.products_ = sorted(bought["product_id"].unique())
        rows = _further(bought, traits, self.products_)
        self.purchases_ = len(rows)
        ours, base = _hits(rows, self.products_, until)
        self.hits_, self.base_hits_ = (float(h.mean()) if len(h) else float("nan") for h in (ours, base))
        gain = ours - base
        self.better_ = bool(len(gain) > 1 and gain.mean() > 2 * gain.std(ddof=1) / np.sqrt(len(gain)))
        self.model_ = _model(self.products_).fit(rows, rows["product_id"]) if self.better_ else None
        return self

    def suggest(self, view: View, *, at: pd.Timestamp) -> pd.DataFrame:
        """For each customer that has bought something: account_id, product_id, chance.

        Returns
        -------
        DataFrame
            `chance` that the next product new to it, if it buys one, is this one. Empty where the model is no better
            than naming the most sold product.
        """
        bought = _bought(view, pd.Timestamp(at))
        if self.model_ is None or bought.empty:
            return pd.DataFrame(columns=list(COLUMNS))
        owned = _owned(bought, self.products_)
        owned = owned[~owned.all(axis=1)]
        rows = owned.join(_traits(view), how="left").rename(columns=lambda c: _OWNS + c if c in self.products_ else c)
        chance = _chances(self.model_, rows, self.products_)
        best = chance.argmax(axis=1)
        found = pd.DataFrame({"account_id": rows.index, "product_id": np.array(self.products_, dtype=object)[best]})
        return found.assign(chance=chance.max(axis=1)).sort_values("account_id", ignore_index=True)


def _bought(view: View, until: pd.Timestamp) -> pd.DataFrame:
    with connect() as con:
        view.attach(con)
        found = con.execute(_BOUGHT, {"until": until.to_pydatetime()}).df()
    found["bought_at"] = pd.to_datetime(found["bought_at"], utc=True)
    return found.astype({"account_id": object, "product_id": object})


def _traits(view: View) -> pd.DataFrame:
    with connect() as con:
        view.attach(con)
        rows = con.sql(f"select account_id, {', '.join(WORDS)} from accounts").df().set_index("account_id")
    return rows.astype(object)


def _owned(bought: pd.DataFrame, products: list[str]) -> pd.DataFrame:
    """What each customer has, shape (customers, products)."""
    return pd.crosstab(bought["account_id"], bought["product_id"]).reindex(columns=products, fill_value=0) > 0


def _further(bought: pd.DataFrame, traits: pd.DataFrame, products: list[str]) -> pd.DataFrame:
    """A row a first purchase of a product by a customer that had others already, with what it had just before."""
    flags = pd.get_dummies(bought["product_id"]).reindex(columns=products, fill_value=False)
    # What is bought in one go tells nothing of what leads to what: only earlier moments count as having.
    at_once = bought.groupby(["account_id", "bought_at"])["product_id"].transform("size")
    before = flags.groupby(bought["account_id"]).cumsum() - flags
    rows = bought.assign(alone=at_once == 1).join((before > 0).add_prefix(_OWNS))
    had = (before > 0).any(axis=1)
    return rows[had & rows["alone"]].join(traits, on="account_id").reset_index(drop=True)


def _hits(
    rows: pd.DataFrame, products: list[str], until: pd.Timestamp
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Whether the model, and the most sold product, named each purchase in the 90 days after past dates."""
    ours, base = [np.zeros(0)], [np.zeros(0)]
    for back in range(_CUTS, 0, -1):
        at = until - back * _APART
        known = rows[rows["bought_at"] <= at]
        ahead = rows[(rows["bought_at"] > at) & (rows["bought_at"] <= at + _APART)]
        if len(known) < _FEW or known["product_id"].nunique() < 2 or ahead.empty:
            continue
        came = ahead["product_id"].to_numpy(object)
        names = np.array(products, dtype=object)
        named = names[_chances(_model(products).fit(known, known["product_id"]), ahead, products).argmax(axis=1)]
        sold = known["product_id"].value_counts().reindex(products).fillna(0).to_numpy(np.float64)
        most = names[np.where(_has(ahead, products), -1.0, sold[None, :]).argmax(axis=1)]
        ours.append((named == came).astype(np.float64))
        base.append((most == came).astype(np.float64))
    return np.concatenate(ours), np.concatenate(base)


def _has(rows: pd.DataFrame, products: list[str]) -> npt.NDArray[np.bool_]:
    return rows[[_OWNS + p for p in products]].to_numpy(bool)


def _chances(model: Pipeline, rows: pd.DataFrame, products: list[str]) -> npt.NDArray[np.float64]:
    """Chance of each product, shape (n, products): 0 for what the customer has, the others add up to 1."""
    said = pd.DataFrame(model.predict_proba(rows), columns=model.classes_).reindex(columns=products, fill_value=0.0)
    left = np.where(_has(rows, products), 0.0, said.to_numpy(np.float64))
    return np.asarray(left / np.maximum(left.sum(axis=1, keepdims=True), 1e-12), dtype=np.float64)


def _model(products: list[str]) -> Pipeline:
    words = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="?"),
        OneHotEncoder(handle_unknown="ignore", min_frequency=20, sparse_output=False),
    )
    both = ColumnTransformer(
        [("words", words, list(WORDS)), ("owns", "passthrough", [_OWNS + product for product in products])]
    )
    return make_pipeline(both, LogisticRegression(C=0.3, max_iter=1000))
