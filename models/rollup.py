"""Who gets credit for what, who belongs where, who has which target: what figures of reps and teams are summed by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import csr_array

from crm.company import Company
from crm.lake import View, connect
from crm.money import attach_rates
from features.goals import GOAL_HISTORY
from features.session import DUCKDB, opened
from models.learners import Floats

COMPANY = "company"
METRICS = ("bookings", "won_deals", "conversion_rate")
"""What of a period is forecast."""
NOBODY = ""
"""Stands for the owner of deals that name none: counted in the company only."""

# A share that is written down for a deal takes the place of its owner's whole credit.
_CREDITS = """
with shares as (
    select deal_id, rep_id, share from deal_splits where share > 0
    union all
    select d.deal_id, coalesce(d.owner_id, ''), 1.0 from deals d
    where d.deal_id not in (select deal_id from deal_splits where share > 0)
)
select s.deal_id, s.rep_id, s.share, d.created_at, d.closed_at, d.kind,
       d.outcome = 'won' and coalesce(d.kind, '') <> 'lead' as won,
       d.outcome = 'lost' and coalesce(d.kind, '') <> 'lead' as lost,
       case when d.outcome = 'won' then d.amount::double * fx.rate end as amount
from shares s join deals d using (deal_id)
left join fx on fx.currency = coalesce(d.currency, '') and d.closed_at >= fx.valid_from and d.closed_at < fx.valid_to
order by d.deal_id, s.rep_id
"""
_GOALS = f"""
select g.owner_kind, g.holder as owner_id, g.metric, g.period_start, g.period_end,
       case when g.metric = 'bookings' then g.target * fx.rate else g.target end::double as target
from ({GOAL_HISTORY}) g left join fx on fx.currency = coalesce(g.currency, '')
     and $at >= fx.valid_from and $at < fx.valid_to
where g.product_id is null and g.product_family is null and g.segment is null and g.metric in $metrics
      and g.period_start <= $day and g.period_end > $day
      and g.known_at <= $at and coalesce(g.replaced_at > $at, true) and g.target > 0
order by all
"""


@dataclass(frozen=True, slots=True)
class People:
    """Who sold or could sell at a moment, and the teams that sum them.

    Attributes
    ----------
    reps : list of str
        In the order of all arrays of shape (reps, ...); the last is `NOBODY`.
    teams : dict of str to list of int
        Places of the reps of each team and the teams below it, and of the company.
    working : set of str
        Those who are employed at that moment.
    """

    reps: list[str]
    teams: dict[str, list[int]]
    working: frozenset[str]
    began: dict[str, pd.Timestamp]

    @property
    def place(self) -> dict[str, int]:
        """Place of each rep."""
        return {rep: index for index, rep in enumerate(self.reps)}


def credits_of(view: View, company: Company) -> pd.DataFrame:
    """One row a deal and person with credit: deal_id, rep_id, share, created_at, closed_at, kind, won, lost, amount.

    A lead that became a deal counts as neither won nor lost: the deal does. The amount is the whole deal's when won, in
    base currency; NaN otherwise.
    """
    with connect() as con:
        view.attach(con)
        attach_rates(con, company)
        rows = con.sql(_CREDITS).df()
    for name in ("created_at", "closed_at"):
        rows[name] = pd.to_datetime(rows[name], utc=True).astype("datetime64[us, UTC]")
    return rows.astype({"won": bool, "lost": bool})


def is_sale(deals: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Which deals can be won for good: all but leads, shape (n,)."""
    kind = deals["kind"].astype(object) if "kind" in deals else pd.Series("", index=deals.index)
    return (kind != "lead").to_numpy(bool)


def credit_matrix(deals: Iterable[str], owners: Iterable[Any], shares: pd.DataFrame, people: People) -> csr_array:
    """Shares of deals by rep, shape (reps, deals): those written down, else the owner's whole.

    Parameters
    ----------
    deals, owners : shape (n,)
        Deals and who owned each at the moment.
    shares : DataFrame
        As `credits_of` gives it; only deals shared by several are looked up there.
    """
    place, nobody = people.place, len(people.reps) - 1
    deals = list(deals)
    several = shares[(shares["share"] < 1) & shares["deal_id"].isin(set(deals))]
    split = dict(list(several.groupby("deal_id")))
    rows, columns, values = [], [], []
    for column, (deal, owner) in enumerate(zip(deals, owners, strict=True)):
        part = split.get(deal)
        who = [(owner, 1.0)] if part is None else list(zip(part["rep_id"], part["share"], strict=True))
        for rep, share in who:
            rows.append(place.get(rep, nobody))
            columns.append(column)
            values.append(share)
    return csr_array((values, (rows, columns)), shape=(len(people.reps), len(deals)))


def people_at(view: View, shares: pd.DataFrame, at: pd.Timestamp, today: date) -> People:
    """Reps known at a moment, with the team tree of that day."""
    reps, teams = view.arrow("reps").to_pandas(), view.arrow("teams").to_pandas()
    known = shares[shares["created_at"] <= at]
    names = set(known["rep_id"]) | set(reps["rep_id"])
    hired = {r: d for r, d in zip(reps["rep_id"], reps["hired_on"], strict=True) if _day(d)}
    left = {r: d for r, d in zip(reps["rep_id"], reps["left_on"], strict=True) if _day(d)}
    first = known.groupby("rep_id")["created_at"].min()
    began = {r: pd.Timestamp(hired[r], tz="UTC") if r in hired else first.get(r, at) for r in names}
    ordered = [*sorted(r for r in names - {NOBODY} if not (r in hired and hired[r] > today)), NOBODY]
    working = frozenset(r for r in ordered[:-1] if not (r in left and left[r] <= today))
    return People(ordered, _members(ordered, _team_of(view, reps, today), teams), working, began)


def targets(view: View, company: Company, at: pd.Timestamp, today: date) -> pd.DataFrame:
    """Goals that run at a moment, the newest known then of each, for bookings in base currency; 0 is no goal.

    Columns: owner_kind, owner_id ('company' for the company), metric, period_start, period_end (exclusive), target.
    """
    with opened(DUCKDB, view, company.time_zone) as session:
        attach_rates(session.local, company)
        found = session.local.execute(_GOALS, {"at": at.to_pydatetime(), "day": today, "metrics": list(METRICS)}).df()
    for name in ("period_start", "period_end"):
        found[name] = pd.to_datetime(found[name]).dt.date
    return found


def booked(shares: pd.DataFrame, people: People, start: pd.Timestamp, end: pd.Timestamp, metric: str) -> Floats:
    """Credit for deals won (or lost) in [start, end], shape (reps,): 'bookings', 'won_deals' or 'lost_deals'."""
    ended = shares["lost" if metric == "lost_deals" else "won"]
    won = shares[ended & (shares["closed_at"] >= start) & (shares["closed_at"] <= end)]
    value = won["share"] * (won["amount"].fillna(0.0) if metric == "bookings" else 1.0)
    place, nobody = people.place, len(people.reps) - 1
    where = np.array([place.get(rep, nobody) for rep in won["rep_id"]], dtype=np.intp)
    sums = np.bincount(where, weights=value.to_numpy(np.float64), minlength=len(people.reps))
    return sums.astype(np.float64)


def _team_of(view: View, reps: pd.DataFrame, today: date) -> dict[str, str]:
    team = {r: t for r, t in zip(reps["rep_id"], reps["team_id"], strict=True) if isinstance(t, str)}
    past = view.arrow("team_memberships").to_pandas()
    if len(past):
        over = past["valid_to"].map(lambda d: _day(d) and d <= today).astype(bool)
        member = past[(past["valid_from"] <= today) & ~over]
        moved = set(past["rep_id"])
        team = {r: t for r, t in team.items() if r not in moved}
        team |= dict(zip(member["rep_id"], member["team_id"], strict=True))
    return team


def _members(reps: list[str], team_of: dict[str, str], teams: pd.DataFrame) -> dict[str, list[int]]:
    parents = zip(teams["team_id"], teams["parent_team_id"], strict=True)
    above = {team: parent for team, parent in parents if isinstance(parent, str)}
    found: dict[str, list[int]] = {team: [] for team in sorted(set(teams["team_id"]) | set(team_of.values()))}
    for index, rep in enumerate(reps):
        team, seen = team_of.get(rep), set[str]()
        while team is not None and team not in seen:  # a loop in the tree ends here
            seen.add(team)
            found.setdefault(team, []).append(index)
            team = above.get(team)
    return found | {COMPANY: list(range(len(reps)))}


def _day(value: object) -> bool:
    return isinstance(value, date) and not pd.isna(value)
