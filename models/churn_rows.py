"""Which customers are live at a moment, what they are worth, and whether they left within the horizon after it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from crm.company import Company
from crm.errors import NotReady
from crm.lake import View, connect
from crm.money import attach_rates
from models.learners import Floats

_DAY = 86_400e6  # microseconds
_USUAL_GAPS = 3.0  # gaps of silence after which a customer without contract counts as lost
_LEAST_SILENCE, _MOST_SILENCE = 30.0, 365.0
_OWN_GAPS = 3.0  # gaps a customer needs for the own rhythm to count as much as all customers'
_NEVER = np.iinfo(np.int64).max

_CONTRACTS = """
select account_id, started_on::timestamptz as began, ended_on::timestamptz as ended,
       s.mrr::double * fx.rate * 12 as yearly
from subscriptions s left join fx on fx.currency = coalesce(s.currency, '')
     and s.started_on >= fx.valid_from and s.started_on < fx.valid_to
where account_id is not null and s.started_on <= $until order by account_id, began
"""
_ORDERS = """
select o.account_id, o.ordered_at,
       abs(o.amount::double) * fx.rate * case when o.kind = 'return' then -1 else 1 end as amount,
       coalesce(o.kind, 'sale') = 'sale' as sale
from orders o left join fx on fx.currency = coalesce(o.currency, '')
     and o.ordered_at >= fx.valid_from and o.ordered_at < fx.valid_to
where o.account_id is not null and coalesce(o.recorded_at, o.ordered_at) <= $until and o.ordered_at <= $until
      and (o.cancelled_at is null or o.cancelled_at > $until)
order by o.account_id, o.ordered_at
"""


class NoCustomers(NotReady):
    """Nothing tells who is a customer."""

    def __init__(self) -> None:
        super().__init__(
            "There are neither orders nor subscriptions by then, so nobody can be seen to leave. "
            "Import one of these tables."
        )


@dataclass(frozen=True, slots=True)
class Customers:
    """Contracts and orders known at a moment, ready to be asked about earlier ones."""

    contracts: pd.DataFrame
    orders: pd.DataFrame
    silent_days: int | None

    @property
    def first(self) -> pd.Timestamp:
        """The first event on record."""
        starts = [*self.contracts["began"].head(1), *self.orders["ordered_at"].head(1)]
        both = [self.contracts["began"].min(), self.orders["ordered_at"].min()] if starts else []
        return min(m for m in both if not pd.isna(m))

    def live(self, at: pd.Timestamp) -> pd.DataFrame:
        """Customers at a moment: `account_id`, `limit` (days of silence when one is lost; NaN under contract)."""
        began, ended = _micro(self.contracts["began"]), _micro(self.contracts["ended"])
        now = _at(at)
        running = self.contracts.loc[(began <= now) & (ended > now), "account_id"].unique()
        parts = [pd.DataFrame({"account_id": running, "limit": np.nan})]
        rhythm = self._rhythm(at)
        quiet = rhythm[(rhythm["silent"] < rhythm["limit"])]
        # Whoever had a contract by then is judged by contracts alone.
        quiet = quiet[~quiet["account_id"].isin(self.contracts.loc[began <= now, "account_id"])]
        parts.append(quiet[["account_id", "limit"]])
        found = pd.concat([p for p in parts if len(p)], ignore_index=True) if any(map(len, parts)) else parts[0]
        return found.sort_values("account_id").reset_index(drop=True).astype({"account_id": object, "limit": float})

    def left(self, live: pd.DataFrame, at: pd.Timestamp, days: float) -> npt.NDArray[np.bool_]:
        """Whether each customer live at a moment is lost `days` later, shape (n,)."""
        later = pd.Timestamp(at) + pd.Timedelta(days=days)
        now = _at(later)
        still = set(
            self.contracts.loc[
                (_micro(self.contracts["began"]) <= now) & (_micro(self.contracts["ended"]) > now), "account_id"
            ]
        )
        sales = self.orders[self.orders["sale"]]
        last = sales[_micro(sales["ordered_at"]) <= now].groupby("account_id")["ordered_at"].max()
        silent = (now - _micro(last.reindex(live["account_id"]))) / _DAY
        under_contract = live["limit"].isna().to_numpy()
        gone = silent >= live["limit"].fillna(np.inf).to_numpy()
        return np.where(under_contract, ~live["account_id"].isin(still).to_numpy(), gone)

    def yearly_value(self, live: pd.DataFrame, at: pd.Timestamp) -> Floats:
        """Twelve times the monthly fee, or what was bought in the last year, base currency, shape (n,)."""
        now = _at(at)
        began, ended = _micro(self.contracts["began"]), _micro(self.contracts["ended"])
        fees = self.contracts[(began <= now) & (ended > now)].groupby("account_id")["yearly"].sum(min_count=1)
        when = _micro(self.orders["ordered_at"])
        bought = self.orders[(when <= now) & (when > now - 365 * _DAY)].groupby("account_id")["amount"].sum()
        fee = fees.reindex(live["account_id"]).to_numpy(np.float64)
        spent = bought.reindex(live["account_id"]).to_numpy(np.float64)
        return np.maximum(np.where(fee > 0, fee, np.nan_to_num(spent)), 0.0)

    def _rhythm(self, at: pd.Timestamp) -> pd.DataFrame:
        now = _at(at)
        sales = self.orders[self.orders["sale"]]
        when = _micro(sales["ordered_at"])
        past = pd.DataFrame({"account_id": sales["account_id"].to_numpy(object), "when": when})[when <= now]
        # Several orders of one day are one visit.
        past["day"] = past["when"] // int(_DAY)
        per = past.groupby("account_id").agg(first=("when", "min"), last=("when", "max"), days=("day", "nunique"))
        gaps = per["days"] - 1
        span = (per["last"] - per["first"]) / _DAY
        usual = float(span.sum() / gaps.sum()) if gaps.sum() else _MOST_SILENCE / _USUAL_GAPS
        gap = (span + _OWN_GAPS * usual) / (gaps + _OWN_GAPS)
        limit = (_USUAL_GAPS * gap).clip(_LEAST_SILENCE, _MOST_SILENCE)
        if self.silent_days is not None:
            limit = limit * 0 + self.silent_days
        silent = (now - per["last"]) / _DAY
        return pd.DataFrame({"account_id": per.index, "limit": limit.to_numpy(), "silent": silent.to_numpy()})


def customers(view: View, company: Company, until: pd.Timestamp) -> Customers:
    """Contracts and orders as known at a moment.

    Raises
    ------
    NoCustomers
        If there are neither.
    """
    values = {"until": pd.Timestamp(until).to_pydatetime()}
    with connect() as con:
        view.attach(con)
        attach_rates(con, company)
        contracts = con.execute(_CONTRACTS, values).df()
        orders = con.execute(_ORDERS, values).df()
    if not len(contracts) and not len(orders):
        raise NoCustomers
    for frame, name in ((contracts, "began"), (contracts, "ended"), (orders, "ordered_at")):
        frame[name] = pd.to_datetime(frame[name], utc=True).astype("datetime64[us, UTC]")
    orders["sale"] = orders["sale"].astype(bool)
    return Customers(contracts, orders, company.churn.silent_days)


def _micro(moments: pd.Series) -> npt.NDArray[np.int64]:
    """Microseconds since 1970; a missing moment lies beyond all others."""
    whole = pd.to_datetime(moments, utc=True).to_numpy("datetime64[us]").astype(np.int64)
    return np.where(whole == np.iinfo(np.int64).min, _NEVER, whole)


def _at(moment: pd.Timestamp) -> int:
    return int(pd.Timestamp(moment).timestamp() * 1e6)
