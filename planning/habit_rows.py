"""What people did on their deals, one row a deal and habit, beside what the deal is like."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
import pandas as pd

from crm.lake import View, connect
from planning.sales import Sales

Kind = Literal["share", "days", "rate"]
WINDOW_DAYS = 365
LIKE = ("kind", "segment", "size", "product_id")
"""What makes deals alike, coarse to fine; `size` is the third of the amount among deals of its kind."""
COLUMNS = ("habit", "rep_id", "deal_id", "y", *LIKE)
_LONGEST = 0.9  # a stage's deals are watched for as long as nine in ten that left it took
_LEAST_VISITS = 30  # of all people, for a stage to be looked at
_SETTLED = timedelta(days=4)  # a message younger than this may still be answered in time

_MET = """
select v.deal_id, count(distinct v.contact_id) as people,
       count(*) filter (where c.seniority in ('vp', 'c-level')) > 0 as decision_maker
from activities v join contacts c using (contact_id)
where v.kind in ('call', 'meeting', 'demo', 'visit')
      and greatest(v.occurred_at, coalesce(v.recorded_at, v.occurred_at)) <= $moment
group by v.deal_id
"""
# In time: within a day, Saturdays and Sundays not counted.
_ANSWERED = """
with seen as (
    select deal_id, occurred_at, direction from activities
    where deal_id is not null and kind in ('email', 'call')
          and greatest(occurred_at, coalesce(recorded_at, occurred_at)) <= $moment
), asked as (
    select deal_id, occurred_at,
           occurred_at + to_days(case isodow(occurred_at) when 5 then 3 when 6 then 2 else 1 end) as until
    from seen where direction = 'in' and occurred_at >= $start and occurred_at < $settled
), first_answer as (
    select a.deal_id, a.occurred_at, a.until, min(o.occurred_at) as answered
    from asked a left join seen o
         on o.deal_id = a.deal_id and o.direction = 'out' and o.occurred_at > a.occurred_at
    group by all
)
select deal_id, avg(case when answered <= until then 1.0 else 0.0 end) as y from first_answer group by deal_id
"""


@dataclass(frozen=True, slots=True)
class Habit:
    """One way of working that can be counted.

    Attributes
    ----------
    name : str
        `pass:STAGE` for passing on from a stage, else the habit's own name.
    kind : {'share', 'days', 'rate'}
        Share of deals; days, whose logarithm is averaged; a share of the list price.
    more_is_better : bool
        Whether the higher figure is the better one.
    """

    name: str
    kind: Kind
    more_is_better: bool = True

    @property
    def stage(self) -> str:
        """The stage of `pass:STAGE`; empty for others."""
        return self.name.removeprefix("pass:") if self.name.startswith("pass:") else ""


CYCLE = Habit("cycle", "days", more_is_better=False)
DISCOUNT = Habit("discount", "rate", more_is_better=False)
CONTACTS = Habit("contacts", "share")
DECISION_MAKER = Habit("decision_maker", "share")
ANSWERS = Habit("answers", "share")
HABITS = (CYCLE, DISCOUNT, CONTACTS, DECISION_MAKER, ANSWERS)


def habit(name: str) -> Habit:
    """A habit by its name."""
    return next((one for one in HABITS if one.name == name), Habit(name, "share"))


def habit_rows(view: View, sales: Sales, *, start: datetime, end: datetime) -> pd.DataFrame:
    """What was seen of each habit between two moments.

    Parameters
    ----------
    sales : Sales
        Business as known at `end`.
    start, end : datetime
        UTC. Deals count that closed in between; stages that were entered in between, long enough before the end for
        nine in ten of such deals to have left; messages that came in between.

    Returns
    -------
    DataFrame
        Columns `COLUMNS`; at most one row a habit and deal. `y` is 0 or 1, a share, or the logarithm of days.
    """
    deals = sales.deals[sales.deals["owner_id"].notna()].set_index("deal_id")
    like = _like(deals)
    parts = [(name, y) for name, y in _found(view, sales, deals, start, end) if len(y)]
    frames = [
        like.loc[y.index].assign(habit=name, y=y.to_numpy(np.float64)).reset_index(names="deal_id") for name, y in parts
    ]
    if not frames:
        return pd.DataFrame({name: pd.Series(dtype=object) for name in COLUMNS}).astype({"y": np.float64})
    return pd.concat(frames, ignore_index=True)[list(COLUMNS)]


def _found(
    view: View, sales: Sales, deals: pd.DataFrame, start: datetime, end: datetime
) -> Iterator[tuple[str, pd.Series]]:
    """Each habit's figure by deal."""
    closed = deals[(deals["closed_at"] >= start) & (deals["closed_at"] < end)]
    won = closed[closed["outcome"] == "won"]
    yield CYCLE.name, np.log1p((won["closed_at"] - won["created_at"]) / pd.Timedelta(days=1))
    listed = won[(won["list_amount"] > 0) & won["amount"].notna()]
    yield DISCOUNT.name, (1 - listed["amount"] / listed["list_amount"]).clip(-0.5, 1.0)
    with connect() as con:
        view.attach(con)
        if {"contacts", "activities"} <= view.present:
            met = con.execute(_MET, {"moment": end}).df().set_index("deal_id")
            met = met.reindex(closed.index)
            yield CONTACTS.name, (met["people"].fillna(0) >= 2).astype(np.float64)
            yield DECISION_MAKER.name, met["decision_maker"].astype(object).eq(True).astype(np.float64)
        answered = con.execute(_ANSWERED, {"moment": end, "start": start, "settled": end - _SETTLED}).df()
    known = answered[answered["deal_id"].isin(deals.index)]
    yield ANSWERS.name, known.set_index("deal_id")["y"]
    yield from _passing(sales.visits[sales.visits["deal_id"].isin(deals.index)], start, end)


def _passing(visits: pd.DataFrame, start: datetime, end: datetime) -> Iterator[tuple[str, pd.Series]]:
    """By stage, whether deals passed on within the time that nine in ten need to leave it."""
    real = visits[~visits["skipped"].astype(bool)]
    until = real["passed"].fillna(real["lost"])
    days = (until - real["entered"]) / pd.Timedelta(days=1)
    for stage, part in real.groupby("stage", sort=True):
        took = days.loc[part.index].dropna()
        if len(took) < _LEAST_VISITS:
            continue
        longest = pd.Timedelta(days=float(np.ceil(took.quantile(_LONGEST))))
        seen = part[(part["entered"] >= start) & (part["entered"] < pd.Timestamp(end) - longest)]
        passed = (seen["passed"] - seen["entered"] <= longest).astype(np.float64)
        yield f"pass:{stage}", passed.groupby(seen["deal_id"]).max()


def _like(deals: pd.DataFrame) -> pd.DataFrame:
    """Owner and what the deal is like, as words; by deal."""
    size = deals["list_amount"].where(deals["list_amount"].notna(), deals["amount"])
    rank = size.groupby(deals["kind"]).rank(pct=True, method="average")
    third = pd.Series(np.ceil(rank * 3).fillna(0).astype(int).astype(str), index=deals.index)
    words = deals[["kind", "segment", "product_id"]].astype(object).fillna("")
    return words.assign(rep_id=deals["owner_id"].astype(object), size=third.astype(object))
