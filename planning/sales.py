"""What reports and risks are read from: closed, open and repeated business as known at a moment, whole or in part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime

import numpy as np
import pandas as pd

from crm.company import Company
from crm.errors import BadInput
from crm.lake import View, connect
from crm.money import attach_rates
from planning.events import local_day
from planning.goals import Facts
from planning.stage_paths import visits

PERIODS = ("month", "quarter", "year", "last-month", "last-quarter", "last-year")

_ABOUT = """
select d.deal_id, coalesce(nullif(d.name, ''), d.deal_id) as name, d.account_id, d.owner_id, d.product_id,
       p.name as product, p.family as product_family, a.region, a.segment, coalesce(d.kind, 'new') as kind,
       coalesce(d.pipeline, '*') as pipeline, d.stage, d.source, d.currency,
       d.amount::double * fx.rate as amount, d.list_amount::double * fx.rate as list_amount,
       case when d.closed_at <= $moment then d.outcome else 'open' end as outcome,
       d.created_at, d.close_date, case when d.closed_at <= $moment then d.closed_at end as closed_at,
       nullif(d.loss_reason, '') as loss_reason, nullif(d.competitor, '') as competitor
from deals d left join accounts a using (account_id) left join products p using (product_id)
left join fx on fx.currency = coalesce(d.currency, '')
     and coalesce(case when d.closed_at <= $moment then d.closed_at end, $moment) >= fx.valid_from
     and coalesce(case when d.closed_at <= $moment then d.closed_at end, $moment) < fx.valid_to
where coalesce(d.kind, '') <> 'lead' and d.created_at <= $moment
order by d.deal_id
"""
_ORDERS = """
select o.account_id, (o.ordered_at at time zone $zone)::date as day, o.product_id, p.family as product_family,
       a.segment, a.region, a.owner_id,
       abs(o.amount::double) * fx.rate * case when o.kind = 'return' then -1 else 1 end as amount,
       coalesce(o.kind, 'sale') = 'sale' as sale
from orders o left join accounts a using (account_id) left join products p using (product_id)
left join fx on fx.currency = coalesce(o.currency, '') and o.ordered_at >= fx.valid_from and o.ordered_at < fx.valid_to
where o.account_id is not null and greatest(o.ordered_at, coalesce(o.recorded_at, o.ordered_at)) <= $moment
      and coalesce(o.cancelled_at > $moment, true)
order by all
"""


class NoSuchPeriod(BadInput):
    """A report is asked for a period that is not known."""

    def __init__(self, period: str) -> None:
        super().__init__(
            "period: '{period}' is not known. Take one of {periods}.", period=period, periods=", ".join(PERIODS)
        )


@dataclass(frozen=True, slots=True)
class Window:
    """A period `[start, end)` as far as it has gone, and the same days of the one before it."""

    name: str
    start: date
    end: date
    start_before: date
    end_before: date


def window(period: str, company: Company, today: date) -> Window:
    """The running period of a kind up to today, or the last whole one; with the like days of the one before.

    Raises
    ------
    NoSuchPeriod
        If there is no such kind.
    """
    if period not in PERIODS:
        raise NoSuchPeriod(period)
    last, grain = period.startswith("last-"), period.removeprefix("last-")
    now = company.period_of(today, grain)  # type: ignore[arg-type]
    if last:
        now = company.period_of(now.start - pd.Timedelta(days=1).to_pytimedelta(), grain)  # type: ignore[arg-type]
    earlier = company.period_of(now.start - pd.Timedelta(days=1).to_pytimedelta(), grain)  # type: ignore[arg-type]
    end = now.end if last else min(now.end, (pd.Timestamp(today) + pd.Timedelta(days=1)).date())
    gone = earlier.end if last else min(earlier.end, earlier.start + (end - now.start))
    return Window(now.name, now.start, end, earlier.start, gone)


@dataclass(frozen=True)
class Sales:
    """Business as known at a moment.

    Attributes
    ----------
    deals : DataFrame
        One row a deal that is no lead: what it is, `outcome` and `stage` as known then, amounts in base currency.
    closed : DataFrame
        One row a person's share of a deal won or lost: deal_id, day, rep_id, team_id (that day's), share, won, value
        (base currency, times share; of deals won), took (days), and what the deal is.
    visits : DataFrame
        As `planning.stage_paths.visits`, with owner and product.
    orders : DataFrame
        account_id, day, amount (base currency, returns below 0), sale, product, segment, region.
    """

    moment: datetime
    today: date
    deals: pd.DataFrame
    closed: pd.DataFrame
    visits: pd.DataFrame
    orders: pd.DataFrame
    facts: Facts

    @classmethod
    def read(cls, view: View, company: Company, moment: datetime, facts: Facts | None = None) -> Sales:
        """Everything known at a moment (UTC); `facts` where they were read already."""
        facts = facts or Facts.read(view, company, moment)
        with connect() as con:
            view.attach(con)
            attach_rates(con, company)
            deals = con.execute(_ABOUT, {"moment": moment}).df().drop_duplicates("deal_id")
            orders = con.execute(_ORDERS, {"moment": moment, "zone": company.time_zone}).df()
        for name in ("created_at", "closed_at"):
            deals[name] = pd.to_datetime(deals[name], utc=True)
        orders["day"] = orders["day"].astype("datetime64[s]")
        paths = visits(view, company, moment)
        deals = _at_their_stage(deals, paths)
        about = deals[["deal_id", "owner_id", "account_id", "product_id", "product_family", "amount", "kind"]]
        return cls(
            moment, local_day(company, moment), deals, _closed(facts.events, deals),
            paths.merge(about, on="deal_id", how="left"), _or_won(orders, deals, company), facts,
        )  # fmt: skip

    @property
    def team_of(self) -> dict[str, str]:
        """Team of each person today."""
        return self.facts.team_of

    @property
    def below(self) -> dict[str, frozenset[str]]:
        """Each team with all teams under it."""
        return self.facts.below

    @property
    def open(self) -> pd.DataFrame:
        """Open deals."""
        return self.deals[self.deals["outcome"] == "open"]

    def within(self, start: date, end: date) -> pd.DataFrame:
        """What was won or lost in `[start, end)`."""
        day = self.closed["day"]
        return self.closed[(day >= pd.Timestamp(start)) & (day < pd.Timestamp(end))]

    def only(self, owner: Callable[[object], bool], account: Callable[[object], bool]) -> Sales:
        """What belongs to some owners of deals, and orders of some accounts."""
        return replace(
            self,
            deals=_where(self.deals, "owner_id", owner),
            closed=_where(self.closed, "rep_id", owner),
            visits=_where(self.visits, "owner_id", owner),
            orders=_where(self.orders, "account_id", account),
        )

    def of_team(self, team_id: str) -> Sales:
        """What a team and those below it closed while in it, and what they have open; customers they own."""
        teams = self.below.get(team_id, frozenset({team_id}))
        reps = {rep for rep, team in self.team_of.items() if team in teams}
        mine = self.deals["owner_id"].isin(reps)
        return replace(
            self,
            deals=self.deals[mine],
            closed=self.closed[self.closed["team_id"].isin(teams)],
            visits=self.visits[self.visits["owner_id"].isin(reps)],
            orders=self.orders[self.orders["owner_id"].isin(reps)],
        )

    def of_product(self, product: str) -> Sales:
        """What is about a product, or a family of products."""
        parts = {
            name: frame[(frame["product_id"] == product) | (frame["product_family"] == product)]
            for name in ("deals", "closed", "visits", "orders")
            for frame in [getattr(self, name)]
        }
        return replace(self, **parts)


def _where(frame: pd.DataFrame, column: str, test: Callable[[object], bool]) -> pd.DataFrame:
    known = {value: bool(test(value)) for value in frame[column].unique()}
    return frame[frame[column].map(known).astype(bool)] if len(frame) else frame


def _closed(found: pd.DataFrame, deals: pd.DataFrame) -> pd.DataFrame:
    rows = found[found["what"].isin(["won", "lost"])]
    rows = rows[["what", "ident", "day", "rep_id", "team_id", "share", "value", "took"]]
    rows = rows.astype({"what": object, "ident": object, "rep_id": object, "team_id": object})
    rows = rows.rename(columns={"ident": "deal_id"})
    won = rows.pop("what") == "won"
    rows = rows.assign(won=won, value=np.where(won, rows["value"] * rows["share"], 0.0))
    names = (
        "deal_id account_id product_id product product_family region segment kind amount list_amount loss_reason "
        "competitor"
    )
    return rows.merge(deals[names.split()], on="deal_id", how="left").reset_index(drop=True)


def _at_their_stage(deals: pd.DataFrame, paths: pd.DataFrame) -> pd.DataFrame:
    """Open deals with the stage they were in at the moment, its place and since when."""
    here = paths[paths["left"].isna() & ~paths["skipped"].astype(bool)].sort_values("entered")
    here = here.drop_duplicates("deal_id", keep="last").set_index("deal_id")
    known = deals["deal_id"].map(here["stage"].astype(object))
    return deals.assign(
        stage=known.where(known.notna(), deals["stage"]),
        place=here["place"].reindex(deals["deal_id"]).to_numpy(float),
        stage_since=here["entered"].reindex(deals["deal_id"]).array,
    )


def _or_won(orders: pd.DataFrame, deals: pd.DataFrame, company: Company) -> pd.DataFrame:
    """Orders; where a company has none, deals won stand for them."""
    if len(orders):
        return orders
    won = deals[(deals["outcome"] == "won") & deals["account_id"].notna()]
    day = won["closed_at"].dt.tz_convert(company.time_zone).dt.tz_localize(None).dt.floor("D").astype("datetime64[s]")
    names = ["account_id", "product_id", "product_family", "segment", "region", "owner_id", "amount"]
    return won[names].assign(day=day, sale=True).sort_values(["account_id", "day"]).reset_index(drop=True)
