"""Which open deals a list has: what may be asked for, and the rows that match."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Literal

import pandas as pd
from pydantic import Field

from crm.company import Company
from crm.fiscal import Grain
from serving.lists import BadRange, Order, Paging, within

Sort = Literal[
    "-expected_amount",
    "expected_amount",
    "-win_probability",
    "win_probability",
    "-amount",
    "amount",
    "-close_date",
    "close_date",
    "-created_at",
    "created_at",
    "-deal_id",
    "deal_id",
]
Closing = Literal["overdue", "this_month", "this_quarter", "next_quarter", "this_year"]
_GRAINS: dict[str, Grain] = {"this_month": "month", "this_quarter": "quarter", "this_year": "year"}
_Chance = Annotated[float | None, Field(ge=0, le=1)]
_Keys = Annotated[list[str], Field(max_length=50)]


class DealWish(Paging):
    """Filters, order and page of a list of deals; a repeated filter means any of its values."""

    owner: Annotated[_Keys, Field(default_factory=list, description="Owner's rep_id.")]
    team: Annotated[str | None, Field(description="Deals of reps who are in this team, or one below it, today.")] = None
    stage: Annotated[_Keys, Field(default_factory=list)]
    kind: Annotated[_Keys, Field(default_factory=list, description="Such as new or renewal.")]
    min_amount: Annotated[float | None, Field(description="In base currency.", allow_inf_nan=False)] = None
    max_amount: Annotated[float | None, Field(allow_inf_nan=False)] = None
    min_win_probability: _Chance = None
    max_win_probability: _Chance = None
    closing: Annotated[Closing | None, Field(description="Fiscal period of the close date in the CRM.")] = None
    closing_from: Annotated[date | None, Field(description="First close date.")] = None
    closing_to: Annotated[date | None, Field(description="Last close date.")] = None
    leads: Annotated[bool, Field(description="Leads instead of deals.")] = False
    sort: Annotated[Sort, Field(description="Field, with - before it for the largest first; missing values last.")] = (
        "-expected_amount"
    )

    @property
    def order(self) -> Order:
        """The order wished for."""
        return Order(self.sort, "deal_id")


def matching(
    deals: pd.DataFrame, wish: DealWish, *, company: Company, today: date, members: frozenset[str] | None
) -> pd.DataFrame:
    """The rows that match.

    Parameters
    ----------
    deals : shape (n, p)
        Scores joined with what the deals are.
    today : date
        In the company's time zone.
    members : frozenset of str, optional
        Reps of the team asked for; unset: of any.

    Raises
    ------
    BadRange
        If a lower bound lies above its upper one.
    """
    for column, wanted in (("owner_id", wish.owner), ("stage", wish.stage), ("kind", wish.kind)):
        if wanted:
            deals = deals[deals[column].isin(wanted)]
    if members is not None:
        deals = deals[deals["owner_id"].isin(members)]
    deals = within(deals, "amount", wish.min_amount, wish.max_amount)
    deals = within(deals, "win_probability", wish.min_win_probability, wish.max_win_probability)
    return _closing(deals, wish, company, today)


def _closing(deals: pd.DataFrame, wish: DealWish, company: Company, today: date) -> pd.DataFrame:
    low, high = wish.closing_from, wish.closing_to
    if low is not None and high is not None and low > high:
        raise BadRange("closing_from", low, "closing_to", high)
    bounds = [(low, high), _days_of(wish.closing, company, today) if wish.closing else (None, None)]
    if bounds == [(None, None)] * 2:
        return deals
    days = pd.to_datetime(deals["close_date"])
    kept = pd.Series(True, index=deals.index)
    for first, last in bounds:
        if first is not None:
            kept &= days >= pd.Timestamp(first)
        if last is not None:
            kept &= days <= pd.Timestamp(last)
    return deals[kept]


def _days_of(closing: Closing, company: Company, today: date) -> tuple[date | None, date]:
    """First and last day; what is overdue has no first."""
    if closing == "overdue":
        return None, today - timedelta(days=1)
    period = company.period_of(today, _GRAINS.get(closing, "quarter"))
    if closing == "next_quarter":
        period = company.period_of(period.end)
    return period.start, period.end - timedelta(days=1)
