"""What an account buys, against its own usual, and its contracts, worked out by hand."""

from datetime import date

import pytest

from tests.features.rows import an_order, day, describe

ACCOUNT = [{"account_id": "a1", "industry": "steel", "created_at": day("2025-01-01")}]


def test_orders_against_the_accounts_own_usual():
    orders = [
        an_order(1, "2025-12-02", 100.0),
        an_order(2, "2025-12-12", 100.0, product_id="p1"),
        an_order(3, "2025-12-22", 100.0),
        an_order(4, "2026-01-01", 100.0),
        an_order(5, "2026-01-31", 40.0, product_id="p2"),
        an_order(6, "2026-03-02", 40.0),
        an_order(7, "2026-02-01", 30.0, kind="return"),
        an_order(8, "2026-04-20", 500.0),
    ]
    row = describe("account", "2026-04-01", accounts=ACCOUNT, orders=orders)
    assert {
        "first_order_days": 120,
        "days_since_order": 30,
        "orders_90d": 2,  # the order of 1 January is exactly 90 days old
        "orders_365d": 6,
        "spend_90d": 50,
        "spend_365d": 450,
        "returns_90d": 1,
        "products_bought": 2,
        "usual_gap_days": 90 / 5,
        "silence_to_usual": 30 / 18,
        "last_amounts_to_usual": pytest.approx((100 + 40 + 40) / 3 / 80),
        "last_gaps_to_usual": pytest.approx((10 + 30 + 30) / 3 / 18),
        "spend_to_usual": pytest.approx(50 / (450 * 90 / 120)),
        "account_age_days": 455,
        "industry": "steel",
    }.items() <= row.items()


def test_an_account_that_never_ordered():
    row = describe("account", "2026-04-01", accounts=ACCOUNT, orders=[an_order(1, "2026-03-01", 5.0, account_id="a2")])
    assert (row["orders_90d"], row["spend_90d"], row["days_since_order"], row["silence_to_usual"]) == (0, 0, None, None)


def test_an_order_counts_until_it_is_cancelled():
    orders = [an_order(1, "2026-01-01", 5.0), an_order(2, "2026-03-01", 5.0, cancelled_at=day("2026-03-11"))]
    assert describe("account", "2026-03-10", accounts=ACCOUNT, orders=orders)["days_since_order"] == 9
    assert describe("account", "2026-03-11", accounts=ACCOUNT, orders=orders)["days_since_order"] == 69


def test_contracts_run_until_the_day_without_service():
    def contract(number, start, end=None):
        row = {"subscription_id": f"s{number}", "account_id": "a1", "started_on": day(start).date()}
        return row | {"ended_on": end and day(end).date()}

    contracts = [
        contract(1, "2025-01-01", "2026-01-01"),
        contract(2, "2026-01-11"),
        contract(3, "2026-02-01", "2026-06-01"),
    ]
    row = describe("account", "2026-03-02", accounts=ACCOUNT, subscriptions=contracts)
    assert (row["running_contracts"], row["ended_contracts"], row["contract_days"]) == (2, 1, 50)


def test_cancelled_orders_and_returns():
    orders = [
        an_order(1, "2026-01-10", 100.0, product_id="p1"),
        an_order(2, "2026-02-10", 60.0, product_id="p2", cancelled_at=day("2026-03-31")),
        an_order(3, "2026-02-20", 20.0, product_id="p1", kind="return"),
        an_order(4, "2026-02-21", -5.0, product_id="p3", kind="return"),  # the sign does not matter
        an_order(5, "2026-02-22", 50.0, product_id="p4", kind="return", cancelled_at=day("2026-02-23")),
    ]
    row = describe("account", "2026-03-30 23:59", accounts=ACCOUNT, orders=orders)
    assert (row["spend_90d"], row["spend_365d"], row["orders_365d"]) == (135, 135, 2)
    assert (row["products_365d"], row["products_bought"], row["returns_90d"]) == (2, 2, 2)
    assert row["return_share_365d"] == pytest.approx(25 / 160)
    row = describe("account", "2026-03-31", accounts=ACCOUNT, orders=orders)  # the second is cancelled
    assert (row["spend_90d"], row["orders_365d"], row["products_365d"]) == (75, 1, 1)
    assert row["return_share_365d"] == pytest.approx(25 / 100)


def test_recency_frequency_and_money_of_a_year():
    orders = [
        an_order(1, "2025-03-31", 1.0, product_id="p1"),  # 365 days before
        an_order(2, "2025-04-01", 10.0, product_id="p2"),
        an_order(3, "2026-03-31", 100.0, product_id="p2"),  # at the moment itself
        an_order(4, "2026-03-31 00:01", 1000.0, product_id="p3"),
        an_order(5, "2026-03-01", 1000.0, product_id="p4", recorded_at=day("2026-04-01")),
    ]
    row = describe("account", "2026-03-31", accounts=ACCOUNT, orders=orders)
    assert (row["days_since_order"], row["orders_365d"], row["spend_365d"]) == (0, 2, 110)
    assert (row["products_365d"], row["products_bought"]) == (1, 2)
    nothing = describe(
        "account", "2026-03-31", accounts=ACCOUNT, orders=[an_order(1, "2026-01-01", 5.0, account_id="b")]
    )
    assert (nothing["products_365d"], nothing["return_share_365d"], nothing["order_lateness"]) == (0, None, None)


def test_orders_of_other_currencies_count_at_the_rate_of_their_day():
    rates = [{"currency": "USD", "on_date": date(2026, m, 1), "rate_to_base": r} for m, r in ((1, 0.5), (3, 0.25))]
    orders = [
        an_order(1, "2026-02-01", 100.0, currency="USD"),
        an_order(2, "2026-03-02", 100.0, currency="USD"),
        an_order(3, "2026-03-03", 40.0, currency="USD", kind="return"),
        an_order(4, "2026-03-04", 100.0),
    ]
    row = describe("account", "2026-03-31", accounts=ACCOUNT, orders=orders, fx_rates=rates)
    assert (row["spend_90d"], row["return_share_365d"]) == (50 + 25 - 10 + 100, 10 / 175)


def test_lateness_counts_in_spreads_of_the_gaps():
    # Gaps of 10, 20 and 30 days: their mean is 20, their standard deviation 10. Silent for 40 days: 20 too many.
    dates = ["2026-01-01", "2026-01-11", "2026-01-31", "2026-03-02"]
    orders = [an_order(i, at, 5.0) for i, at in enumerate(dates)]
    row = describe("account", "2026-04-11", accounts=ACCOUNT, orders=orders)
    assert row["order_lateness"] == pytest.approx((40 - 20) / 10)
    # All gaps of 20 days: a spread of 0 counts as 5, a quarter of the gap.
    even = [an_order(i, at, 5.0) for i, at in enumerate(["2026-01-01", "2026-01-21", "2026-02-10", "2026-03-02"])]
    row = describe("account", "2026-03-12", accounts=ACCOUNT, orders=even)
    assert row["order_lateness"] == pytest.approx((10 - 20) / 5)
    assert describe("account", "2026-03-12", accounts=ACCOUNT, orders=even[1:])["order_lateness"] is None  # two gaps


def a_contract(number: int, start: str, end: str | None = None) -> dict:
    row = {"subscription_id": f"s{number}", "account_id": "a1", "started_on": date.fromisoformat(start)}
    return row | {"ended_on": end and date.fromisoformat(end)}


def test_contracts_begun_and_ended_in_half_a_year():
    contracts = [
        a_contract(1, "2025-09-03", "2025-09-03"),  # 180 days before
        a_contract(2, "2025-09-04", "2025-09-04"),
        a_contract(3, "2026-03-02", "2026-03-03"),  # begins this day, ends the next
        a_contract(4, "2026-03-03"),
        a_contract(5, "2020-01-01", "2026-03-02"),
    ]
    row = describe("account", "2026-03-02", accounts=ACCOUNT, subscriptions=contracts)
    assert (row["contracts_begun_180d"], row["contracts_ended_180d"]) == (2, 2)


def test_the_next_anniversary_of_a_running_contract():
    contracts = [
        a_contract(1, "2024-07-10"),  # 600 days before
        a_contract(2, "2026-02-20"),  # 10 days before
        a_contract(3, "2025-03-07", "2026-03-01"),  # ended: its anniversary in 5 days says nothing
    ]
    row = describe("account", "2026-03-02", accounts=ACCOUNT, subscriptions=contracts)
    assert row["anniversary_days"] == pytest.approx(2 * 365.25 - 600)
    assert describe("account", "2026-03-02", accounts=ACCOUNT, subscriptions=contracts[2:])["anniversary_days"] is None
