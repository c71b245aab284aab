"""An account's service, answers, contacts and owners, worked out by hand."""

from math import exp

import pytest

from tests.features.rows import a_change, a_deal, a_touch, day, describe

ACCOUNT = [{"account_id": "a1", "industry": "steel", "created_at": day("2025-01-01")}]


def a_ticket(number: int, opened: str, closed: str | None = None, grade: int | None = None, **more) -> dict:
    row = {"ticket_id": f"k{number}", "account_id": "a1", "opened_at": day(opened), "closed_at": closed and day(closed)}
    return row | {"satisfaction": grade} | more


def an_answer(number: int, at: str, score: float, scale: str | None = "1-5", **more) -> dict:
    row = {"response_id": f"q{number}", "account_id": "a1", "asked_at": day(at), "score": score, "scale": scale}
    return row | more


def test_open_tickets_and_satisfaction():
    tickets = [
        a_ticket(1, "2025-12-31", "2026-01-05", 2),
        a_ticket(2, "2026-03-01", "2026-03-03", 5),
        a_ticket(3, "2026-03-11", "2026-04-15", 1),  # still open on 31 March, its grade still to come
        a_ticket(4, "2026-03-21", severity="Severe"),
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
    surveys = [
        an_answer(1, "2026-03-01", 8.0, "nps"),
        an_answer(2, "2026-03-01", 2.0, "1-5"),
        an_answer(3, "2026-03-01", 70.0, None),
    ]
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


def test_satisfaction_of_the_last_ninety_days_against_the_years():
    tickets = [
        a_ticket(1, "2025-02-20", "2025-03-30", 1),  # over a year ago
        a_ticket(2, "2025-12-20", "2025-12-31", 4),  # graded 90 days ago, no longer one of the last 90
        a_ticket(3, "2025-12-20", "2026-01-01", 2),
        a_ticket(4, "2026-03-30", "2026-03-31", 3),  # graded this very moment
        a_ticket(5, "2026-03-30", "2026-03-31 00:01", 5),  # and one later
        a_ticket(6, "2026-03-30", "2026-03-31"),  # no grade
        a_ticket(7, "2026-03-20", "2026-03-21", 5, recorded_at=day("2026-04-01")),
    ]
    row = describe("account", "2026-03-31", accounts=ACCOUNT, tickets=tickets)
    assert row["satisfaction_trend"] == pytest.approx((2 + 3) / 2 - (4 + 2 + 3) / 3)
    early = describe("account", "2025-12-31", accounts=ACCOUNT, tickets=tickets)
    assert early["satisfaction_trend"] == pytest.approx(4 - (1 + 4) / 2)
    assert describe("account", "2026-06-30", accounts=ACCOUNT, tickets=tickets)["satisfaction_trend"] is None


def test_answers_of_the_last_ninety_days_against_the_years():
    surveys = [
        an_answer(1, "2025-03-31", 5.0),  # a year ago
        an_answer(2, "2025-04-01", 4.0),
        an_answer(3, "2026-02-01", 2.0),
        an_answer(4, "2026-03-31", 5.0, "nps"),
        an_answer(5, "2026-03-01", 9.0, "nps", recorded_at=day("2026-04-01")),
    ]
    row = describe("account", "2026-03-31", accounts=ACCOUNT, surveys=surveys)
    # Shares of the scale: 4 of 1-5 is 3/4, 2 is 1/4, 5 of 0-10 is 1/2.
    assert row["survey_trend"] == pytest.approx((1 / 4 + 1 / 2) / 2 - (3 / 4 + 1 / 4 + 1 / 2) / 3)


def test_contact_both_ways():
    touches = [
        a_touch(1, "2025-11-01", "email", "in"),
        a_touch(2, "2026-01-30", "call", "in"),  # 60 days before
        a_touch(3, "2026-03-01", "email", "out"),  # 30 days before, no longer one of the last 30
        a_touch(4, "2026-03-02", "email", "out"),
        a_touch(5, "2026-03-20", "note", "in"),  # no contact
        a_touch(6, "2026-03-21", "visit"),
        a_touch(7, "2026-03-31", "call", "out"),
        a_touch(8, "2026-03-31 00:01", "call", "in"),
        a_touch(9, "2026-03-31", "call", "in", account_id="a2"),
    ]
    row = describe("account", "2026-03-31", accounts=ACCOUNT, activities=touches)
    assert (row["contacts_30d"], row["contacts_90d"]) == (3, 5)
    assert (row["inbound_90d"], row["inbound_silent_days"], row["account_silent_days"]) == (1, 60, 0)


def test_people_who_left():
    def person(number, left, account="a1"):
        return {"contact_id": f"c{number}", "account_id": account, "left_at": left and day(left)}

    contacts = [person(1, "2025-12-31"), person(2, "2026-01-01"), person(3, "2026-03-31"), person(4, "2026-04-01")]
    contacts += [person(5, None), person(6, "2026-03-01", "a2")]
    row = describe("account", "2026-03-31", accounts=ACCOUNT, contacts=contacts)
    assert row["contacts_left_90d"] == 2  # the first left 90 days before
    assert describe("account", "2026-03-31", accounts=ACCOUNT)["contacts_left_90d"] is None


def test_deals_that_got_another_owner():
    deals = [a_deal("d1"), a_deal("d2", made="2025-02-01"), a_deal("d3", account_id="a2")]
    log = [
        a_change("2025-03-01", "owner_id", "r1", "r2", key="d2"),  # over a year ago
        a_change("2025-03-31", "owner_id", "r2", "r3", key="d2"),  # 365 days ago
        a_change("2026-01-02", "owner_id", None, "r2"),  # the first owner is no other one
        a_change("2026-02-01", "owner_id", "r2", "r1"),
        a_change("2026-03-01", "owner_id", "r1", "r3", recorded_at=day("2026-04-01")),
        a_change("2026-02-01", "owner_id", "r2", "r1", key="d3"),
        a_change("2026-02-01", "amount", "1", "2"),
    ]
    tables = {"accounts": ACCOUNT, "deals": deals, "deal_changes": log}
    assert describe("account", "2026-03-31", **tables)["owner_changes_365d"] == 2
    assert describe("account", "2026-04-01", **tables)["owner_changes_365d"] == 2  # one more, one less
    # A customer that is filled in later tells nothing; nor does a log without owners.
    assert describe("account", "2026-03-31", **tables, late=frozenset({"account_id"}))["owner_changes_365d"] == 0
    assert describe("account", "2025-02-01", **tables)["owner_changes_365d"] is None  # no owner was logged yet


def test_where_a_table_is_absent_what_rests_on_it_is_missing():
    row = describe("account", "2026-03-31", accounts=ACCOUNT)
    names = ["open_tickets", "tickets_90d", "satisfaction_trend", "survey_trend", "contacts_30d", "inbound_90d"]
    assert [row[name] for name in [*names, "owner_changes_365d", "contracts_begun_180d", "orders_365d"]] == [None] * 9
    quiet = describe("account", "2026-03-31", accounts=ACCOUNT, tickets=[a_ticket(1, "2026-01-01", account_id="a2")])
    assert (quiet["open_tickets"], quiet["oldest_ticket_days"], quiet["satisfaction_trend"]) == (0, None, None)
