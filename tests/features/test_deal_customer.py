"""What happened with the customer before."""

from tests.features.rows import a_change, a_deal, an_order, day, describe, follow


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


def a_ticket(number, opened, closed=None, **more):
    row = {"ticket_id": f"k{number}", "account_id": "a1", "opened_at": day(opened)}
    return row | {"closed_at": closed and day(closed), "severity": "low", "satisfaction": None} | more


TICKETS = [
    a_ticket(1, "2025-02-20", "2025-03-05", satisfaction=1),  # opened more than a year before 1 March 2026
    a_ticket(2, "2025-12-01", "2025-12-05", satisfaction=2),
    a_ticket(3, "2026-01-10", "2026-02-10", satisfaction=5, severity="Critical"),
    a_ticket(4, "2026-02-01", "2026-03-01", satisfaction=3, severity="urgent"),  # closed at that very moment
    a_ticket(5, "2026-02-20", severity="high"),
    a_ticket(6, "2026-02-25", recorded_at=day("2026-03-01 00:00:00.000001")),  # written down just after
    a_ticket(7, "2026-02-25", account_id="a2"),
]


def test_open_tickets_and_satisfaction_of_the_last_year():
    wanted = {
        "2026-01-09": (0, 0, 3 / 2),  # of 1 and 2, as the first was opened 323 days ago
        "2026-01-10": (1, 1, 3 / 2),  # at its own moment
        "2026-02-09": (2, 2, 3 / 2),  # the third's grade is not given yet
        "2026-02-28 23:59:59": (2, 2, 7 / 2),  # of 2 and 5
        "2026-03-01": (1, 1, 10 / 3),  # of 2, 5 and 3
        "2026-03-01 00:00:00.000001": (2, 1, 10 / 3),
    }
    names = ("customer_open_tickets", "customer_severe_tickets", "customer_satisfaction")
    assert follow("deal", names, wanted, deals=[a_deal(made="2025-01-01")], tickets=TICKETS) == wanted


def test_a_customer_without_tickets_has_0_and_one_of_a_company_without_tickets_none():
    row = describe("deal", "2026-03-01", deals=[a_deal(account_id="a3")], tickets=TICKETS)
    assert (row["customer_open_tickets"], row["customer_satisfaction"]) == (0, None)
    row = describe("deal", "2026-03-01", deals=[a_deal()])
    assert (row["customer_open_tickets"], row["customer_severe_tickets"]) == (None, None)


def test_days_since_the_customers_last_order():
    wanted = {
        "2026-01-04": (None,),
        "2026-01-05": (0,),
        "2026-02-06 12:00": (1.5,),  # the second was not cancelled yet
        "2026-02-08": (34,),  # cancelled at that moment, so the first is the last; a return is no order
    }
    orders = [
        an_order(1, "2026-01-05", 200.0),
        an_order(2, "2026-02-05", 50.0, cancelled_at=day("2026-02-08")),
        an_order(3, "2026-02-07", 20.0, kind="return"),
    ]
    assert follow("deal", ("customer_days_since_order",), wanted, deals=[a_deal()], orders=orders) == wanted


def test_people_who_left_the_customer_in_90_days():
    wanted = {
        "2026-01-31 23:59:59": (0,),
        "2026-02-01": (1,),
        "2026-03-01": (2,),
        "2026-05-02": (2,),  # 90 days after the first, to the second
        "2026-05-02 00:00:00.000001": (1,),
    }
    people = [
        {"contact_id": "c1", "account_id": "a1", "left_at": day("2026-02-01")},
        {"contact_id": "c2", "account_id": "a1", "left_at": day("2026-03-01")},
        {"contact_id": "c3", "account_id": "a1", "left_at": None},
        {"contact_id": "c4", "account_id": "a2", "left_at": day("2026-02-01")},
    ]
    assert follow("deal", ("contacts_left_90d",), wanted, deals=[a_deal()], contacts=people) == wanted
    assert follow("deal", ("contacts_left_90d",), ["2026-05-02"], deals=[a_deal()]) == {"2026-05-02": (None,)}


def test_the_amount_against_what_the_customer_usually_signs():
    deals = [
        a_deal(amount=90.0),
        a_deal("w1", closed="2026-01-10", outcome="won", amount=20.0),
        a_deal("w2", closed="2026-01-20", outcome="won", amount=40.0),
        a_deal("l1", closed="2026-01-21", outcome="lost", amount=900.0),
        a_deal("w3", closed="2026-01-22", outcome="won", amount=500.0, account_id="a2"),
    ]
    log = [a_change("2026-01-01", "amount", "7", "8", key="d0")]
    row = describe("deal", "2026-01-22", deals=deals, deal_changes=log)
    assert (row["amount_to_customer_usual"], row["customer_wins"], row["customer_losses"]) == (3, 2, 1)  # 90 to 30
    assert row["amount_to_usual"] == 90 / 40  # of 20, 40 and 500
    assert describe("deal", "2026-01-09", deals=deals, deal_changes=log)["amount_to_customer_usual"] is None
