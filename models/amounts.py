"""What a deal is worth when it is won: its amount now, moved as past wins' amounts moved until they were won."""

from __future__ import annotations

from typing import Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from crm.company import Company
from crm.lake import View, connect
from crm.money import attach_rates
from features.build import build
from models.learners import Floats, even_rows

_MOVE = np.log(10.0)  # amounts that moved further are a slip of the pen
_PSEUDO = 10.0  # wins of the company that a product's own usual amount is weighed against
_ROWS = 3_000
_CUTS, _APART = 12, pd.Timedelta(days=28)

_WON = """
select d.deal_id, d.created_at, d.closed_at, coalesce(d.pipeline, '*') as pipeline, coalesce(d.kind, '') as kind,
       coalesce(d.product_id, '') as product_id, d.amount::double * fx.rate as amount
from deals d left join fx on fx.currency = coalesce(d.currency, '')
     and d.closed_at >= fx.valid_from and d.closed_at < fx.valid_to
where d.outcome = 'won' and d.closed_at <= $until and d.amount > 0 order by d.closed_at, d.deal_id
"""


class AmountModel(BaseEstimator):
    """Amount in base currency of a deal when it is won.

    Where a deal has an amount (else a list amount), it is multiplied with the ratio 'amount when won to amount then' of
    past wins; where it has neither, amounts of past wins of its kind and product stand in. Where no deal of a kind ever
    had an amount when won (leads, say), it is not known: NaN.

    Parameters
    ----------
    random_state : int
        Seed of the rows looked at.
    """

    def __init__(self, random_state: int = 0) -> None:
        self.random_state = random_state

    def fit(self, view: View, company: Company, *, until: pd.Timestamp, snapshots: pd.DataFrame | None = None) -> Self:
        """Learn from deals won by `until`.

        Parameters
        ----------
        snapshots : shape (n, p), optional
            Deals as known at earlier moments (`deal_id`, `as_of`, `amount`, `list_amount`); unset: made here.
        """
        won = won_deals(view, company, until)
        if snapshots is None:
            snapshots = self._snapshots(view, company, won, pd.Timestamp(until))
        pairs = snapshots.merge(won[["deal_id", "closed_at", "amount"]], on="deal_id", suffixes=("", "_won"))
        pairs = pairs[pairs["as_of"] < pairs["closed_at"]]
        self.moved_ = _ratios(pairs, "amount")
        self.moved_list_ = _ratios(pairs, "list_amount")
        self.usual_: dict[tuple[str, str], float] = {}
        self.usual_kind_: dict[str, float] = {}
        for kind, wins in won.groupby("kind"):
            mean = float(wins["amount"].mean())
            self.usual_kind_[str(kind)] = mean
            for product, own in wins.groupby("product_id"):
                total = float(own["amount"].sum()) + _PSEUDO * mean
                self.usual_[str(kind), str(product)] = total / (len(own) + _PSEUDO)
        self.spread_ = _spread(won)
        return self

    def when_won(self, X: pd.DataFrame) -> Floats:
        """Expected amount when won, base currency, shape (n,); NaN where not known."""
        amount, source = self._known(X)
        means = np.array([self.moved_.mean(), self.moved_list_.mean(), self.spread_.mean()])
        return amount * means[source]

    def draw(self, X: pd.DataFrame, rng: np.random.Generator, n: int) -> Floats:
        """`n` amounts a deal when won, shape (deals, n), with the mean that `when_won` says."""
        amount, source = self._known(X)
        out = np.empty((len(X), n))
        for which, pool in enumerate((self.moved_, self.moved_list_, self.spread_)):
            rows = np.flatnonzero(source == which)
            out[rows] = amount[rows, None] * pool[rng.integers(0, len(pool), (len(rows), n))]
        return out

    def _known(self, X: pd.DataFrame) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.intp]]]:
        amount, listed = _numbers(X, "amount"), _numbers(X, "list_amount")
        source = np.where(amount > 0, 0, np.where(listed > 0, 1, 2))
        usual = self._usual(X)
        value = np.where(source == 0, amount, np.where(source == 1, listed, usual))
        never = np.array([kind not in self.usual_kind_ for kind in _texts(X, "kind")])
        return np.where(never & (source == 2), np.nan, value), source.astype(np.intp)

    def _usual(self, X: pd.DataFrame) -> Floats:
        pairs = zip(_texts(X, "kind"), _texts(X, "product_id"), strict=True)
        found = [self.usual_.get(pair, self.usual_kind_.get(pair[0], np.nan)) for pair in pairs]
        return np.array(found, dtype=np.float64)

    def _snapshots(self, view: View, company: Company, won: pd.DataFrame, until: pd.Timestamp) -> pd.DataFrame:
        cuts = [until - _APART * k for k in range(1, _CUTS + 1)]
        then = [won[(won["created_at"] <= cut) & (won["closed_at"] > cut)].assign(as_of=cut) for cut in cuts]
        spine = pd.concat(then, ignore_index=True)[["deal_id", "as_of"]]
        spine["as_of"] = spine["as_of"].astype("datetime64[us, UTC]")
        spine = spine.iloc[even_rows(len(spine), _ROWS, self.random_state)].reset_index(drop=True)
        return build(view, spine, "deal", company=company)


def won_deals(view: View, company: Company, until: pd.Timestamp) -> pd.DataFrame:
    """Deals won by a moment with an amount: `deal_id`, `created_at`, `closed_at`, `kind`, `amount` in base currency."""
    with connect() as con:
        view.attach(con)
        attach_rates(con, company)
        won = con.execute(_WON, {"until": pd.Timestamp(until).to_pydatetime()}).df()
    for name in ("created_at", "closed_at"):
        won[name] = pd.to_datetime(won[name], utc=True).astype("datetime64[us, UTC]")
    return won[won["amount"] > 0].reset_index(drop=True)


def _ratios(pairs: pd.DataFrame, name: str) -> Floats:
    then = _numbers(pairs, name)
    fit = np.isfinite(then) & (then > 0)
    moved = np.log(pairs["amount_won"].to_numpy(np.float64)[fit] / then[fit])
    moved = moved[np.abs(moved) <= _MOVE]
    return np.exp(moved) if len(moved) else np.ones(1)


def _spread(won: pd.DataFrame) -> Floats:
    """Amounts of past wins against the mean of their kind and product: how one that is not known may turn out."""
    if not len(won):
        return np.ones(1)
    mean = won.groupby(["kind", "product_id"])["amount"].transform("mean")
    shares = (won["amount"] / mean).to_numpy(np.float64)
    return shares / shares.mean()


def _numbers(X: pd.DataFrame, name: str) -> Floats:
    return X[name].to_numpy(np.float64, na_value=np.nan) if name in X else np.full(len(X), np.nan)


def _texts(X: pd.DataFrame, name: str) -> list[str]:
    if name not in X:
        return [""] * len(X)
    return [v if isinstance(v, str) else "" for v in X[name].astype(object)]
