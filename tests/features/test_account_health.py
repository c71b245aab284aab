"""An account's orders, contracts, service and answers, worked out by hand."""

from math import exp

import pytest

from tests.features.rows import a_touch, an_order, day, describe

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


def test_open_tickets_and_satisfaction():
    def ticket(number, opened, closed=None, satisfaction=None, severity="minor"):
        row = {"ticket_id": f"k{number}", "account_id": "a1", "opened_at": day(opened), "severity": severity}
        return row | {"closed_at": closed and day(closed), "satisfaction": satisfaction}

    tickets = [
        ticket(1, "2025-12-31", "2026-01-05", 2),
        ticket(2, "2026-03-01", "2026-03-03", 5),
        ticket(3, "2026-03-11", "2026-04-15", 1),  # still open on 31 March, its grade still to come
        ticket(4, "2026-03-21", severity="Severe"),
    ]
    row = describe("account", "2026-03-31", accounts=ACCOUNT, tickets=tickets)
    old, new = exp(-90 / 90), exp(-30 / 90)
    assert {
        "open_tickets": 2,
        "oldest_ticket_days": 20,
        "severe_open_days": 10,
        "tickets_90d": 3,
        "ticket_satisfaction": pytest.approx((2 * old + 5 * new) / (old + new)),
    }.items() <= row.items()


def test_answers_are_shares_of_their_scale():
    def answer(number, score, scale):
        return {
            "response_id": f"q{number}",
            "account_id": "a1",
            "asked_at": day("2026-03-01"),
            "score": score,
            "scale": scale,
        }

    surveys = [answer(1, 8.0, "nps"), answer(2, 2.0, "1-5"), answer(3, 70.0, None)]
    row = describe("account", "2026-03-01", accounts=ACCOUNT, surveys=surveys)
    assert row["survey_score"] == pytest.approx((0.8 + 0.25) / 2)


def test_contacts_with_the_account():
    touches = [
        a_touch(1, "2025-12-01", "call"),
        a_touch(2, "2026-02-01", "email", "in"),
        a_touch(3, "2026-03-01", "note"),
    ]
    row = describe("account", "2026-03-03", accounts=ACCOUNT, activities=touches)
    assert (row["contacts_90d"], row["account_silent_days"]) == (1, 30)
