"""Customers who could cover part of a gap: contracts to be renewed, and buyers who are late with their next order.

What either may bring is an upper bound: how many a call wins has not been measured. Customers with an open deal are
left out, since the deal itself is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from planning.report_customers import next_orders
from planning.risk_customers import renewals
from planning.risks import Situation

RENEWAL, LATE_ORDER = "renewal", "late_order"


class CustomerGain(NamedTuple):
    """A customer to speak with, what about, and at most how much that may bring in base currency."""

    account_id: str
    what: str
    gain: float


def customers_to_call(s: Situation, owners: frozenset[str] | None) -> Iterator[CustomerGain]:
    """Renewals due before the quarter's end, then late buyers; each customer once, with the larger of both.

    Parameters
    ----------
    owners : frozenset of str, optional
        Whose customers; None: all.
    """
    best: dict[str, CustomerGain] = {}
    for one in (*_renewals(s), *_late_buyers(s)):
        known = best.get(one.account_id)
        if one.gain > 0 and (known is None or one.gain > known.gain):
            best[one.account_id] = one
    busy = set(s.open["account_id"].dropna())
    for one in best.values():
        mine = owners is None or s.account_owners.get(one.account_id) in owners
        if mine and one.account_id not in busy:
            yield one


def _renewals(s: Situation) -> Iterator[CustomerGain]:
    """What would be lost without a renewal: the chance to leave times a year's fees."""
    end = s.plan.company.period_of(s.sales.today).end
    for row in renewals(s, end).to_dict("records"):
        yield CustomerGain(str(row["account_id"]), RENEWAL, float(row["churn"]) * float(row["yearly"]))


def _late_buyers(s: Situation) -> Iterator[CustomerGain]:
    """The usual order times the chance that the customer stays; who is silent for too long stands as gone."""
    if not len(s.accounts) or not len(s.sales.orders):
        return
    churn = s.accounts.set_index("account_id")["churn_probability"].astype(float)
    sold = s.sales.orders[s.sales.orders["sale"].astype(bool)]
    rows = next_orders(sold, s.sales.today).rows
    rows = rows[(rows["state"] == "late") & rows["usual_amount"].notna() & rows["account_id"].isin(churn.index)]
    for row in rows.to_dict("records"):
        stays = 1 - float(churn[row["account_id"]])
        yield CustomerGain(str(row["account_id"]), LATE_ORDER, stays * float(row["usual_amount"]))
