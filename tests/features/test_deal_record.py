"""The record of owner, customer and company, from deals closed before."""

import pytest

from tests.features.rows import a_change, a_deal, an_order, day, describe


def closed(key, at, outcome, owner="r1", account="a2", **more):
    return a_deal(key, closed=at, outcome=outcome, owner_id=owner, account_id=account, **more)


DEALS = [
    a_deal(list_amount=600.0),
    closed("w1", "2026-01-10", "won", account="a1", amount=100.0),
    closed("w2", "2026-01-20", "won", amount=300.0),
    closed("l1", "2026-01-25", "lost", account="a1"),
    closed("w3", "2026-02-01", "won", owner="r2", amount=500.0),
    closed("l2", "2026-02-02", "lost", owner="r2"),
    closed("w4", "2026-03-02", "won"),  # after 1 March
    closed("lead", "2026-02-03", "won", kind="lead"),  # a lead won is no sale
]


def test_rates_use_deals_closed_before_and_lean_towards_the_companys():
    row = describe("deal", "2026-03-01", deals=DEALS)
    company = 3 / 5
    assert row["owner_win_rate"] == pytest.approx((2 + 10 * company) / (3 + 10))
    assert (row["owner_wins_90d"], row["customer_wins"], row["customer_losses"]) == (2, 1, 1)
    assert row["amount_to_usual"] == 600 / 300  # the median of 100, 300, 500
    assert row["amount_to_owner_usual"] == 600 / 200


def test_before_the_first_closing_the_rate_is_even_and_the_usual_missing():
    row = describe("deal", "2026-01-05", deals=DEALS)
    assert (row["owner_win_rate"], row["owner_wins_90d"], row["amount_to_usual"]) == (0.5, 0, None)


def test_a_win_belongs_to_the_owner_and_has_the_amount_of_its_closing():
    log = [
        a_change("2026-02-10", "owner_id", "r1", "r9", key="w1"),  # handed over after it was won
        a_change("2026-02-10", "amount", "100", "100000", key="w1"),
    ]
    deals = [DEALS[0], closed("w1", "2026-01-10", "won", owner="r9", amount=100_000.0)]
    row = describe("deal", "2026-03-01", deals=deals, deal_changes=log)
    assert (row["owner_wins_90d"], row["amount_to_usual"]) == (1, 600 / 100)


def test_what_the_customer_bought_in_a_year_returns_taken_off():
    orders = [
        an_order(1, "2025-02-01", 1000.0),  # more than a year ago
        an_order(2, "2026-01-05", 200.0),
        an_order(3, "2026-02-05", 50.0, kind="return"),
        an_order(4, "2026-03-05", 400.0),
        an_order(5, "2026-02-01", 77.0, account_id="a2"),
    ]
    row = describe("deal", "2026-03-01", deals=[a_deal()], orders=orders)
    assert (row["customer_orders_1y"], row["customer_spend_1y"]) == (2, 150)
    row = describe("deal", "2026-03-01", deals=[a_deal(account_id="a3")], orders=orders)
    assert (row["customer_orders_1y"], row["customer_spend_1y"]) == (0, 0)
    assert describe("deal", "2026-03-01", deals=[a_deal()])["customer_spend_1y"] is None


def test_what_was_bought_at_no_known_rate_is_not_known():
    orders = [an_order(1, "2026-01-05", 200.0, currency="JPY")]
    row = describe("deal", "2026-03-01", deals=[a_deal()], orders=orders)
    assert (row["customer_orders_1y"], row["customer_spend_1y"]) == (1, None)


def test_the_customer_counts_from_when_its_record_was_made():
    account = {
        "account_id": "a1",
        "segment": "mid",
        "employees": 40,
        "annual_revenue": 5e6,
        "created_at": day("2026-02-01"),
    }
    row = describe("deal", "2026-02-01", deals=[a_deal()], accounts=[account])
    assert (row["segment"], row["employees"], row["annual_revenue"]) == ("mid", 40, 5e6)
    assert describe("deal", "2026-01-31", deals=[a_deal()], accounts=[account])["segment"] is None
