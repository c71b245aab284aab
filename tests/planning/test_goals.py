"""What counts towards a goal, from when, and for whom."""

from datetime import date
from decimal import Decimal

import pytest

from crm.company import Company
from planning.goals import Facts, Goal, actual, goals_of, revenue_kept, wilson
from tests.builders import a_deal, a_rate, a_rep, an_account, an_activity, an_order, at, view_of

CHINA = Company(base_currency="CNY", time_zone="Asia/Shanghai")
PLAIN = Company()
END = at("2026-07-10")


def a_goal(metric="bookings", owner="company", kind="company", start="2026-04-01", end="2026-07-01", **more):
    bounds = [date.fromisoformat(day) for day in (start, end)]
    return Goal("g1", kind, owner, metric, *bounds, Decimal(1000), **more)


def reached(goal, company=PLAIN, moment=END, **tables):
    return actual(goal, Facts.read(view_of(**tables), company, moment))


def closed(deal_id, closed_at, outcome="won", **values):
    return a_deal(deal_id, closed_at=closed_at, outcome=outcome, **values)


def test_e1_3_local_days_and_the_last_earlier_rate():
    # 30 June 10:00 in Shanghai is 02:00Z: in. 20,000 USD on Sunday the 28th at Friday's 7.10: 142,000.
    # 2026-06-30T17:30Z is 1 July 01:30 there: out. 100,000 + 142,000 = 242,000, two deals.
    deals = [
        closed("d1", "2026-06-30T02:00:00Z", amount="100000"),
        closed("d2", "2026-06-28T03:00:00Z", amount="20000", currency="USD"),
        closed("d3", "2026-06-30T17:30:00Z", amount="999"),
    ]
    rates = [a_rate("USD", "2026-06-25", 7.0), a_rate("USD", "2026-06-26", 7.1), a_rate("USD", "2026-06-29", 9.0)]
    for metric, value in (("bookings", 242_000), ("won_deals", 2)):
        found = reached(a_goal(metric), CHINA, deals=deals, fx_rates=rates)
        assert (found.value, found.n) == (pytest.approx(value), 2)


def test_a_deal_without_a_rate_is_left_out_and_said():
    deals = [closed("d1", "2026-05-02T10:00:00Z", amount="10", currency="JPY"), closed("d2", "2026-05-02T10:00:00Z")]
    found = reached(a_goal(), deals=deals)
    assert (found.value, found.n) == (1000, 1)
    assert found.notes == ("1 left out: no amount or no rate to the base currency",)


def test_e1_4_conversion_with_its_interval():
    # 9 won, 31 lost, 25 open: 9/40. Wilson at z 1.6449: (0.225 + 0.03382 ± 1.6449·√(0.004359 + 0.000423)) / 1.06764.
    deals = [closed(f"w{i}", "2026-05-02T10:00:00Z") for i in range(9)]
    deals += [closed(f"l{i}", "2026-05-02T10:00:00Z", "lost") for i in range(31)]
    deals += [a_deal(f"o{i}", close_date="2026-02-01" if i < 4 else "2026-08-01") for i in range(25)]
    found = reached(a_goal("conversion_rate"), deals=deals)
    assert found.value == pytest.approx(0.225)
    assert wilson(9, 40) == pytest.approx((0.136, 0.349), abs=5e-4)
    # 10 July less 90 days is 11 April: only the four due in February are older.
    assert found.notes == ("4 open deals are more than 90 days past their closing day",)


def test_e1_4_retention_counts_who_is_back_before_the_end():
    # 40 ran on 31 March; 4 ended in April, one of them runs again from June; 6 are new: 37 of 40.
    rows = [
        {"subscription_id": f"s{i}", "account_id": f"a{i}", "started_on": "2025-01-01",
         "ended_on": "2026-04-15" if i < 4 else None}
        for i in range(40)
    ]  # fmt: skip
    rows += [
        {"subscription_id": f"n{i}", "account_id": f"a{i}", "started_on": "2026-06-01"} for i in [0, *range(50, 56)]
    ]
    found = reached(a_goal("retention_rate"), subscriptions=rows)
    assert (found.value, found.numerator, found.denominator) == (pytest.approx(0.925), 37, 40)


def test_e1_4_retention_by_mrr():
    # 100,000 a month before: 6,000 left, 2,000 were reduced, 5,000 came on top: 92.0 % kept, 97.0 % net.
    rows = [("a0", 6000, "2026-04-15"), ("a1", 10_000, "2026-04-15"), ("a2", 20_000, None), ("a3", 64_000, None)]
    before = [
        {"subscription_id": f"s{a}", "account_id": a, "started_on": "2025-01-01", "ended_on": end, "mrr": str(mrr)}
        for a, mrr, end in rows
    ]
    after = [
        {"subscription_id": f"n{a}", "account_id": a, "started_on": "2026-04-15", "mrr": str(mrr)}
        for a, mrr in (("a1", 8000), ("a2", 5000), ("new", 50_000))
    ]
    facts = Facts.read(view_of(subscriptions=before + after), Company(), at("2026-07-05"))
    assert revenue_kept(a_goal("retention_rate"), facts) == pytest.approx((0.92, 0.97))
    unpriced = [before[0], before[1] | {"mrr": None}]
    facts = Facts.read(view_of(subscriptions=unpriced), Company(), at("2026-07-05"))
    assert revenue_kept(a_goal("retention_rate"), facts) is None


def test_what_was_written_down_later_was_not_known():
    acts = [
        an_activity(occurred_at="2026-05-04T10:00:00Z", recorded_at="2026-05-20T10:00:00Z"),
        an_activity(occurred_at="2026-05-04T10:00:00Z"),
        an_activity(occurred_at="2026-05-04T10:00:00Z", direction="in"),  # the customer called
        an_activity(occurred_at="2026-05-04T10:00:00Z", kind="note"),
    ]
    for moment, count in (("2026-05-10", 1), ("2026-05-21", 2)):
        assert reached(a_goal("activities"), moment=at(moment), activities=acts).value == count


def test_a_deal_counts_for_the_owner_and_the_team_of_its_closing_day():
    # r1 closed d1 in team T1, moved to T2 in June; d1 was handed to r2 after it was won.
    tables = {
        "deals": [closed("d1", "2026-05-02T10:00:00Z", owner_id="r2"), closed("d2", "2026-06-20T10:00:00Z")],
        "deal_changes": [
            {"deal_id": "d1", "field": "owner_id", "old_value": "r1", "new_value": "r2",
             "changed_at": at("2026-05-09")}
        ],
        "reps": [a_rep("r1", team_id="T2"), a_rep("r2", team_id="T3")],
        "teams": [{"team_id": t, "name": t, "parent_team_id": None if t == "T0" else "T0"} for t in ("T0", "T1", "T2")],
        "team_memberships": [
            {"rep_id": "r1", "team_id": "T1", "valid_from": "2025-01-01", "valid_to": "2026-06-01"},
            {"rep_id": "r1", "team_id": "T2", "valid_from": "2026-06-01"},
        ],
    }  # fmt: skip
    facts = Facts.read(view_of(**tables), PLAIN, END)
    owners = [("rep", "r1"), ("rep", "r2"), ("team", "T1"), ("team", "T2"), ("team", "T0"), ("company", "company")]
    values = [actual(a_goal("won_deals", owner, kind), facts).value for kind, owner in owners]
    assert values == [2, 0, 1, 1, 2, 2]


def test_new_accounts_are_those_whose_first_deal_or_order_falls_in_the_period():
    tables = {
        "accounts": [an_account(a, owner_id="r2") for a in ("a1", "a2", "a3")],
        "deals": [closed("d1", "2026-05-02T10:00:00Z"), closed("d3", "2026-05-02T10:00:00Z", account_id="a3")],
        "orders": [
            an_order("o2", account_id="a2", ordered_at="2026-04-03T10:00:00Z"),
            an_order("o3", account_id="a3", ordered_at="2026-03-03T10:00:00Z"),  # a3 bought before the period
        ],
    }
    facts = Facts.read(view_of(**tables), PLAIN, END)
    found = [actual(a_goal("new_accounts", *who), facts).value for who in (("company",), ("r1", "rep"), ("r2", "rep"))]
    assert found == [2, 1, 1]  # a1 by r1's deal; a2 by an order, so the account's owner r2


def test_market_share_is_bookings_over_the_market_of_the_days_gone():
    # Segment small: 9,100 for the 91 days of the quarter, 100 a day. On 10 May 40 days are gone: 4,000; 1,000 won.
    tables = {
        "accounts": [an_account("a1", segment="small")],
        "deals": [closed("d1", "2026-05-02T10:00:00Z")],
        "market_sizes": [
            {"segment": "small", "period_start": "2026-04-01", "period_end": "2026-07-01", "size": "9100"}
        ],
    }
    assert reached(a_goal("market_share"), moment=at("2026-05-10"), **tables).value == pytest.approx(0.25)
    del tables["market_sizes"]
    assert reached(a_goal("market_share"), **tables).notes == ("needs market_sizes",)


def test_grades_and_money_received_go_to_the_account_s_owner():
    tables = {
        "accounts": [an_account("a1", owner_id="r7")],
        "tickets": [
            {"ticket_id": f"t{i}", "account_id": "a1", "opened_at": "2026-05-01", "closed_at": "2026-05-03",
             "satisfaction": grade} for i, grade in enumerate((5, 4, 3))
        ],
        "payments": [
            {"payment_id": "p1", "account_id": "a1", "paid_at": "2026-05-05", "amount": "70"},
            {"payment_id": "p2", "account_id": "a1", "paid_at": "2026-07-05", "amount": "30"},
        ],
    }  # fmt: skip
    facts = Facts.read(view_of(**tables), PLAIN, END)
    assert actual(a_goal("customer_satisfaction", "r7", "rep"), facts).value == pytest.approx(4.0)
    assert actual(a_goal("collected", "r7", "rep"), facts).value == pytest.approx(70)
    assert actual(a_goal("collected", "r1", "rep"), facts).value == 0


def test_a_scope_narrows_what_counts():
    tables = {
        "products": [{"product_id": "p1", "name": "One", "family": "F"}, {"product_id": "p2", "name": "Two"}],
        "deals": [
            closed("d1", "2026-05-02T10:00:00Z", product_id="p1"),
            closed("d2", "2026-05-02T10:00:00Z", product_id="p2", kind="renewal"),
        ],
    }
    facts = Facts.read(view_of(**tables), PLAIN, END)
    scopes = [{"product_id": "p2"}, {"product_family": "F"}, {"kinds": ("new",)}, {}]
    assert [actual(a_goal("won_deals", **scope), facts).n for scope in scopes] == [1, 1, 1, 2]


def test_a_target_of_nothing_has_no_attainment():
    found = reached(a_goal(), deals=[closed("d1", "2026-05-02T10:00:00Z")])
    assert found.attainment(Decimal(2000)) == pytest.approx(0.5)
    assert found.attainment(None) is None
    assert found.attainment(Decimal(0)) is None


def test_goals_are_read_as_known_at_a_moment_in_base_currency():
    rows = [
        {"goal_id": "g1", "owner_kind": "rep", "owner_id": "r1", "metric": "bookings", "period_start": "2026-04-01",
         "period_end": "2026-07-01", "target": 100.0, "currency": "USD", "recorded_at": "2026-03-20"},
        {"goal_id": "g2", "owner_kind": "rep", "owner_id": "r1", "metric": "conversion_rate",
         "period_start": "2026-04-01", "period_end": "2026-07-01", "target": 0.3, "recorded_at": "2026-04-20"},
    ]  # fmt: skip
    view = view_of(goals=rows, fx_rates=[a_rate("USD", "2026-01-01", 7.2)])
    assert [(g.goal_id, g.target) for g in goals_of(view, CHINA, at("2026-04-01"))] == [("g1", Decimal("720.00"))]
    assert [g.target for g in goals_of(view, CHINA, END)] == [Decimal("720.00"), Decimal("0.3")]
