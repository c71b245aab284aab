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
    for deal in _known(before, after, between):
        for cause, amount in _of_deal(deal):
            if amount:
                found[cause][deal.key] = amount
    to_come = after.new - before.new
    known = sum(sum(part.values()) for part in found.values()) + to_come
    rests = dict.fromkeys(CAUSES, 0.0) | {"to_come": to_come, "model": after.total - before.total - known}
    return [Step(c, sum(found[c].values()) + rests[c], found[c], rests[c]) for c in CAUSES]


class _Deal(NamedTuple):
    """A deal at both moments; a rating is chance and worth, None where it was not open or not seen."""

    key: str
    before: tuple[float, float] | None
    after: tuple[float, float] | None
    share_before: float
    share: float
    outcome: str
    booked: float
    created: bool
    later: bool
    repriced: bool


def _known(before: Standing, after: Standing, between: Between) -> list[_Deal]:
    old, new = (_ratings(side.deals) for side in (before, after))
    outcome, booked = between.closed["outcome"].to_dict(), between.closed["booked"].to_dict()
    keys = list(dict.fromkeys([*old, *new, *outcome]))
    share_before, share = (
        dict(zip(keys, side.reindex(keys, fill_value=0.0), strict=True))
        for side in (between.share_before, between.share)
    )
    return [
        _Deal(
            str(key),
            old.get(key),
            new.get(key),
            float(share_before[key]),
            float(share[key]),
            str(outcome.get(key, "")),
            float(booked.get(key, 0.0)),
            key in between.created,
            key in between.later,
            key in between.amounts,
        )
        for key in keys
    ]


def _ratings(deals: pd.DataFrame) -> dict[str, tuple[float, float]]:
    return dict(zip(deals.index, zip(deals["chance"], deals["worth"], strict=True), strict=True))


def _of_deal(deal: _Deal) -> list[tuple[Cause, float]]:
    chance0, worth0 = deal.before or (0.0, 0.0)
    was = chance0 * worth0 * deal.share_before
    if deal.outcome:
        return [("won", deal.booked - was)] if deal.outcome == "won" else [("lost", -was)]
    if deal.after is None:  # gone to others, or for others to see: then it is part of the rest
        return [("hands", -was)] if deal.share < deal.share_before else []
    chance1, worth1 = deal.after
    if deal.before is None:
        return [("created" if deal.created else "model", chance1 * worth1 * deal.share)]
    changed: list[tuple[Cause, float]] = [("hands", chance0 * worth0 * (deal.share - deal.share_before))]
    left: Cause = "slipped" if deal.later else "model"
    if deal.repriced:
        repriced = chance0 * (worth1 - worth0) * deal.share
        return [*changed, ("amount", repriced), (left, (chance1 - chance0) * worth1 * deal.share)]
    return [*changed, (left, (chance1 * worth1 - chance0 * worth0) * deal.share)]


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
