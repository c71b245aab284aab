"""What moved a forecast between two moments: won, lost, slipped, amounts, new deals, the rest; adds up exactly."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

import pandas as pd

from crm.company import Company
from crm.fiscal import Period
from crm.lake import View, connect
from serving.ledger import Entity, Kind, Ledger, Sealed

Cause = Literal["won", "lost", "slipped", "amount", "created", "hands", "to_come", "model"]
CAUSES: tuple[Cause, ...] = ("won", "lost", "slipped", "amount", "created", "hands", "to_come", "model")
DAYS = 7
_CREDIT = """
select d.deal_id, coalesce(s.rep_id, d.owner_id) as rep_id, coalesce(cast(s.share as double), 1) as share,
       s.rep_id is not null as split
from deals d left join deal_splits s using (deal_id)
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """A period's expected total at a moment, and the open deals behind it.

    Attributes
    ----------
    closed, open, new : float
        Expected from what is closed, from open deals, from deals not yet created; base currency.
    deals : DataFrame, index deal_id
        chance (to be won in the period), worth (amount when won, base currency), in full: not shared out.
    """

    closed: float
    open: float
    new: float
    deals: pd.DataFrame

    @property
    def total(self) -> float:
        """The expected total."""
        return self.closed + self.open + self.new


@dataclass(frozen=True, slots=True)
class Between:
    """What the lake knows of the time between two standings.

    Attributes
    ----------
    closed : DataFrame, index deal_id
        outcome, booked (credit of those looked at): deals that ended in that time.
    created : set of str
        Deals that were not there before.
    later : set of str
        Deals whose planned close date was moved to a later day.
    amounts : set of str
        Deals whose amount was changed.
    share, share_before : Series, index deal_id
        Part of each deal that counts for those looked at, now and then; deals that are not named have none.
    """

    closed: pd.DataFrame
    created: frozenset[str]
    later: frozenset[str]
    amounts: frozenset[str]
    share: pd.Series
    share_before: pd.Series


class Step(NamedTuple):
    """One cause with its amount, and the part of it by deal; `rest` is what no single deal stands for."""

    cause: Cause
    amount: float
    deals: dict[str, float]
    rest: float


def steps(before: Standing, after: Standing, between: Between) -> list[Step]:
    """Why the expected total moved; the amounts add up to `after.total - before.total`.

    What is known of single deals goes to its cause. What is left of the difference (the correction that the simulation
    learnt from past periods, late changes to what was closed) is the model's, and named as its rest.
    """
    found: dict[Cause, dict[str, float]] = {cause: {} for cause in CAUSES}
    for deal in before.deals.index.union(after.deals.index).union(between.closed.index):
        for cause, amount in _of_deal(str(deal), before, after, between):
            if amount:
                found[cause][str(deal)] = amount
    to_come = after.new - before.new
    known = sum(sum(part.values()) for part in found.values()) + to_come
    rests = dict.fromkeys(CAUSES, 0.0) | {"to_come": to_come, "model": after.total - before.total - known}
    return [Step(c, sum(found[c].values()) + rests[c], found[c], rests[c]) for c in CAUSES]


def _of_deal(deal: str, before: Standing, after: Standing, between: Between) -> list[tuple[Cause, float]]:
    chance0, worth0 = _at(before, deal)
    share0, share1 = (float(s.get(deal, 0.0)) for s in (between.share_before, between.share))
    was = chance0 * worth0 * share0
    if deal in between.closed.index:
        row = between.closed.loc[deal]
        return [("won", float(row["booked"]) - was)] if row["outcome"] == "won" else [("lost", -was)]
    chance1, worth1 = _at(after, deal)
    if deal not in before.deals.index:
        return [("created" if deal in between.created else "model", chance1 * worth1 * share1)]
    if deal not in after.deals.index:  # gone to others, or for others to see: then it is part of the rest
        return [("hands", -was)] if share1 < share0 else []
    changed: list[tuple[Cause, float]] = [("hands", chance0 * worth0 * (share1 - share0))]
    left: Cause = "slipped" if deal in between.later else "model"
    if deal in between.amounts:
        return [
            *changed,
            ("amount", chance0 * (worth1 - worth0) * share1),
            (left, (chance1 - chance0) * worth1 * share1),
        ]
    return [*changed, (left, (chance1 * worth1 - chance0 * worth0) * share1)]


def _at(standing: Standing, deal: str) -> tuple[float, float]:
    if deal not in standing.deals.index:
        return 0.0, 0.0
    return float(standing.deals.at[deal, "chance"]), float(standing.deals.at[deal, "worth"])


def standing(row: pd.Series, deals: pd.DataFrame) -> Standing:
    """A standing from a row of reps or teams and rows of deals as score files and ledger have them."""
    closed, opened, new = (
        0.0 if pd.isna(row[name]) else float(row[name]) for name in ("expected_closed", "expected_open", "expected_new")
    )
    rated = deals.drop_duplicates("deal_id").set_index("deal_id")
    chance = rated["win_probability"].astype(float)
    worth = (rated["expected_amount"].astype(float) / chance.where(chance > 0)).fillna(0.0)
    soon = rated["p_win_in_period"].astype(float).fillna(0.0)
    return Standing(closed, opened, new, pd.DataFrame({"chance": soon, "worth": worth}))


def earlier(ledger: Ledger, entity: Entity, *, as_of: datetime, period: Period, company: Company) -> Sealed | None:
    """The forecast of this period to compare with: a week old if there is one, else the oldest; issued before others.

    None where nothing was forecast for this period on an earlier day.
    """
    today = as_of.astimezone(company.zone).date()
    kinds: tuple[Kind, ...] = ("issued", "reconstructed")
    rows = {kind: ledger.sealed(kind=kind, entity=entity) for kind in kinds}
    aged = [
        (row, (today - day).days)
        for kind in kinds
        for row in rows[kind]
        if period.start <= (day := row.as_of.astimezone(company.zone).date()) < today
    ]
    week = [row for row, days in aged if days >= DAYS]
    # Of the runs of that day the first one counted.
    for kind in kinds:
        if found := [row for row in week if row.kind == kind]:
            newest = max(row.as_of for row in found)
            return next(row for row in found if row.as_of == newest)
    return min((row for row, _ in aged), key=lambda row: (row.kind != "issued", row.as_of, row.number), default=None)


def credits_of(view: View) -> pd.DataFrame:
    """Who is credited with which part of each deal now: deal_id, rep_id, share, split (else the owner has it all)."""
    with connect() as con:
        view.attach(con)
        return con.sql(_CREDIT).df()


def shares_of(credit: pd.DataFrame, members: list[str] | None) -> pd.Series:
    """Part of each deal that counts for some people (None: for all), index deal_id."""
    rows = credit if members is None else credit[credit["rep_id"].isin(members)]
    return rows.groupby("deal_id")["share"].sum()


def credit_before(credit: pd.DataFrame, log: pd.DataFrame) -> pd.DataFrame:
    """Credits with the owners before some changes; splits stay.

    Parameters
    ----------
    log : DataFrame
        deal_id, field, was, became: net changes.
    """
    owners = log[log["field"] == "owner_id"].set_index("deal_id")["was"]
    old = credit["deal_id"].map(owners).astype(object) if len(owners) else pd.Series(None, credit.index, dtype=object)
    return credit.assign(rep_id=credit["rep_id"].where(credit["split"] | old.isna(), old))
