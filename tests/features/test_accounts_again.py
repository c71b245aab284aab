"""Features of customers found a second way: filtered and grouped by pandas, for every customer of a company."""

from functools import cache

import numpy as np
import pandas as pd

from features.build import build
from tests.features.history import known_at
from tests.features.small_company import small_company

AT = pd.Timestamp("2026-09-10 10:00", tz="UTC")


@cache
def features():
    whole, company = small_company()
    spine = pd.DataFrame({"account_id": whole.arrow("accounts").column("account_id").to_pylist(), "as_of": AT})
    rows = build(whole, spine.astype({"as_of": "datetime64[us, UTC]"}), "account", company=company)
    return rows.set_index("account_id")


def seen(name, clock=None):
    """Rows of a table that were known at the moment, and how many days before."""
    rows = small_company()[0].arrow(name).to_pandas()
    known = known_at(name, rows) if clock is None else pd.to_datetime(rows[clock], utc=True)
    rows = rows.assign(ago=(AT - known) / pd.Timedelta(days=1))
    return rows[rows["ago"] >= 0]


def agrees(name, wanted, otherwise=np.nan):
    found = features()[name]
    expected = wanted.reindex(found.index).astype(float)
    expected = expected.fillna(otherwise) if not np.isnan(otherwise) else expected
    assert expected.nunique() > 1, "a figure that all customers share would prove little"
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9, err_msg=name)


def sales_and_returns():
    rows = seen("orders")
    assert set(rows["currency"].dropna()) <= {small_company()[1].base_currency}
    rows = rows[~(pd.to_datetime(rows["cancelled_at"], utc=True) <= AT)]
    rows = rows.assign(amount=rows["amount"].astype(float).abs())
    return rows[rows["kind"] != "return"], rows[rows["kind"] == "return"]


def test_what_was_bought_and_returned():
    sales, returns = (rows[rows["ago"] < 365] for rows in sales_and_returns())
    bought, back = (rows.groupby("account_id")["amount"].sum() for rows in (sales, returns))
    agrees("spend_365d", bought.sub(back, fill_value=0), 0)
    agrees("return_share_365d", back.reindex(bought.index).fillna(0) / bought)
    agrees("products_365d", sales.groupby("account_id")["product_id"].nunique(), 0)
    agrees("returns_90d", returns[returns["ago"] < 90].groupby("account_id").size(), 0)


def test_lateness():
    sales, _ = sales_and_returns()
    every = seen("orders")
    every = every[every["kind"] != "return"].groupby("account_id").size()
    # Whose sale was cancelled is left out: gaps are those between orders as they were placed.
    whole = every[every == sales.groupby("account_id").size()].index
    sales = sales[sales["account_id"].isin(whole)]
    late = {}
    for account, ago in sales.groupby("account_id")["ago"]:
        gaps = -np.diff(np.sort(ago)[::-1])
        if len(gaps) >= 3:
            late[account] = (ago.min() - gaps.mean()) / max(gaps.std(ddof=1), gaps.mean() / 4)
    found = features()["order_lateness"].drop(every.index.difference(whole))
    np.testing.assert_allclose(found, pd.Series(late).reindex(found.index), rtol=1e-9)
    assert len(late) > 10


def test_contracts():
    contracts = seen("subscriptions", "started_on")
    running = contracts[~(pd.to_datetime(contracts["ended_on"], utc=True) <= AT)]
    agrees("running_contracts", running.groupby("account_id").size(), 0)
    agrees("anniversary_days", (365.25 - running["ago"] % 365.25).groupby(running["account_id"]).min())
    agrees("contracts_begun_180d", contracts[contracts["ago"] < 180].groupby("account_id").size(), 0)
    ended = seen("subscriptions", "ended_on")
    agrees("contracts_ended_180d", ended[ended["ago"] < 180].groupby("account_id").size(), 0)


def test_grades_of_tickets():
    tickets = seen("tickets")
    # Graded when closed, or when written down if that was later.
    graded = pd.to_datetime(tickets["closed_at"], utc=True).clip(lower=known_at("tickets", tickets))
    ago = (AT - graded) / pd.Timedelta(days=1)
    tickets = tickets.assign(ago=ago)[(ago >= 0) & (ago <= 365) & tickets["satisfaction"].notna()]
    year = tickets.groupby("account_id")["satisfaction"].mean()
    agrees("satisfaction_trend", tickets[tickets["ago"] < 90].groupby("account_id")["satisfaction"].mean() - year)


def test_contact_both_ways_and_who_left():
    touches = seen("activities")
    touches = touches[~touches["kind"].isin(["note", "task"])]
    coming = touches[touches["direction"] == "in"]
    agrees("contacts_30d", touches[touches["ago"] < 30].groupby("account_id").size(), 0)
    agrees("inbound_90d", coming[coming["ago"] < 90].groupby("account_id").size(), 0)
    agrees("inbound_silent_days", coming.groupby("account_id")["ago"].min())
    left = seen("contacts", "left_at")
    agrees("contacts_left_90d", left[left["ago"] < 90].groupby("account_id").size(), 0)
