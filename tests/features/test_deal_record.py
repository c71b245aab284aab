"""The record of owner, company, product, source and stage, from deals closed and stages left before."""

import pytest
from sqlglot import exp, parse_one

from features.catalogue import blocks
from tests.features.rows import a_change, a_deal, day, describe, follow


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


PRODUCTS = [
    a_deal(product_id="p1", source="fair", amount=90.0),
    closed("w1", "2026-01-10", "won", product_id="p1", source="web", amount=20.0),
    closed("w2", "2026-01-20", "won", product_id="p1", source="fair", amount=40.0),
    closed("l1", "2026-01-25", "lost", product_id="p1", source="fair"),
    closed("l2", "2026-01-26", "lost", product_id="p2", source="fair"),
    closed("l3", "2026-03-01 00:00:00.000001", "lost", product_id="p1", source="fair"),  # just after
]
AMOUNTS = [a_change("2026-01-01", "amount", "7", "8", key="d0")]  # amounts are logged from January on


def test_rates_of_product_and_source_lean_towards_the_companys_by_ten_deals():
    row = describe("deal", "2026-03-01", deals=PRODUCTS, deal_changes=AMOUNTS)
    company = 2 / 4
    assert row["product_win_rate"] == pytest.approx((2 + 10 * company) / (3 + 10))
    assert row["source_win_rate"] == pytest.approx((1 + 10 * company) / (3 + 10))
    assert row["amount_to_product_usual"] == 90 / 30  # the median of 20 and 40
    later = describe("deal", "2026-03-01 00:00:00.000001", deals=PRODUCTS, deal_changes=AMOUNTS)
    assert later["product_win_rate"] == pytest.approx((2 + 10 * 2 / 5) / (4 + 10))


@pytest.mark.parametrize(
    ("deal", "late", "product", "source"),
    [
        ({"product_id": "p9", "source": "fair"}, (), 0.5, 6 / 13),  # a product never sold yet: the company's rate
        ({"product_id": None, "source": None}, (), None, None),
        ({"product_id": "p1", "source": "fair"}, ("product_id", "source"), None, None),  # filled in late
    ],
)
def test_a_rate_of_an_unknown_product_or_source_is_missing(deal, late, product, source):
    row = describe("deal", "2026-03-01", deals=[a_deal(**deal), *PRODUCTS[1:]], late=frozenset(late))
    assert row["product_win_rate"] == product
    assert row["source_win_rate"] == (source and pytest.approx(source))
    assert row["amount_to_product_usual"] is None


def test_the_owners_usual_cycle_leans_towards_the_companys():
    deals = [
        a_deal(),
        closed("w1", "2026-01-11", "won"),  # 10 days after 1 January
        closed("w2", "2026-01-31", "won"),  # 30 days
        closed("l1", "2026-01-05", "lost"),  # how long a loss took says nothing of a win
        closed("w3", "2026-02-20", "won", owner="r2"),  # 50 days
    ]
    # Median of the owner's two wins: 20 days; of all three: 30.
    assert describe("deal", "2026-02-20", deals=deals)["owner_usual_cycle"] == pytest.approx((2 * 20 + 10 * 30) / 12)
    assert describe("deal", "2026-01-11", deals=deals)["owner_usual_cycle"] == 10
    assert describe("deal", "2026-01-10", deals=deals)["owner_usual_cycle"] is None  # nothing was won yet
    new = [a_deal(owner_id="r9"), *deals[1:]]
    assert describe("deal", "2026-02-20", deals=new)["owner_usual_cycle"] == 30


DESK = [
    a_deal(owner_id="r1"),
    a_deal("d2", made="2026-01-10", owner_id="r2"),  # r1's until 1 February
    a_deal("d3", made="2026-01-15", owner_id="r1"),  # r2's until 5 February
    a_deal("d4", closed="2026-01-25", outcome="lost"),
    a_deal("d5", outcome="lost"),  # closed nobody knows when
    a_deal("d6", kind="lead"),
    a_deal("d7", made="2026-01-20", closed="2026-02-03", outcome="won", owner_id="r1"),  # handed over once won
]
HANDED = [
    a_change("2026-02-01", "owner_id", "r1", "r2", key="d2"),
    a_change("2026-02-05", "owner_id", "r2", "r1", key="d3"),
    a_change("2026-02-06", "owner_id", "r2", "r1", key="d7"),
]


def test_open_deals_of_the_owner_follow_hand_overs_and_closings():
    names = ("owner_id", "owner_open_deals")
    first = {
        "2026-01-09": ("r1", 2),  # d1, d4
        "2026-01-10": ("r1", 3),  # and d2, at its own moment
        "2026-01-25": ("r1", 2),  # d4 is closed at that moment
        "2026-02-01": ("r1", 1),  # d2 is handed to r2
        "2026-02-05": ("r1", 2),  # d3 comes
        "2026-02-06": ("r1", 2),  # d7 comes too, but that was won before
    }
    assert follow("deal", names, first, deals=DESK, deal_changes=HANDED) == first
    third = {
        "2026-01-15": ("r2", 1),  # d3
        "2026-01-31 23:59:59": ("r2", 2),  # and d7
        "2026-02-01": ("r2", 3),  # and d2
        "2026-02-03": ("r2", 2),  # d7 is won
        "2026-02-05": ("r1", 2),  # itself handed to r1
    }
    assert follow("deal", names, third, deals=DESK, deal_changes=HANDED, key="d3") == third


def test_a_deal_without_owner_has_no_load_and_without_reps_no_tenure():
    row = describe("deal", "2026-02-01", deals=[a_deal(owner_id=None)])
    assert (row["owner_open_deals"], row["owner_tenure_days"]) == (None, None)
    assert describe("deal", "2026-02-01", deals=[a_deal()])["owner_tenure_days"] is None


def test_tenure_counts_whole_days_since_hired():
    wanted = {"2026-01-31 12:00": (None,), "2026-02-01": (0,), "2026-03-01 12:00": (28,)}
    reps = [{"rep_id": "r1", "hired_on": day("2026-02-01").date()}, {"rep_id": "r2", "hired_on": None}]
    assert follow("deal", ("owner_tenure_days",), wanted, deals=[a_deal()], reps=reps) == wanted


CALLS = [
    a_deal(),
    closed("w1", "2026-01-20", "won", forecast_category="closed"),
    closed("w2", "2026-01-21", "won", forecast_category="closed"),
    closed("l1", "2026-01-22", "lost", forecast_category="omitted"),
    closed("l2", "2026-01-23", "lost", forecast_category="omitted"),
    closed("w3", "2026-01-24", "won", owner="r2", forecast_category=" COMMIT "),
]
CALLED = [
    a_change("2026-01-10", "forecast_category", "pipeline", "Commit", key="w1"),
    a_change("2026-01-20", "forecast_category", "Commit", "closed", key="w1"),
    a_change("2026-01-21", "forecast_category", "best case", "closed", key="w2"),  # never called
    a_change("2026-01-05", "forecast_category", "committed", "pipeline", key="l1"),  # at first
    a_change("2026-01-25", "forecast_category", "pipeline", "commit", key="l2"),  # once it was lost
]


def test_how_right_the_owners_calls_have_been():
    # Called by r1: w1 (won) and l1 (lost). By r2: w3, which nobody changed. In all 2 of 3 were won.
    row = describe("deal", "2026-02-01", deals=CALLS, deal_changes=CALLED)
    assert row["owner_call_rate"] == pytest.approx((1 + 10 * 2 / 3) / (2 + 10))
    row = describe("deal", "2026-01-20", deals=CALLS, deal_changes=CALLED)
    assert row["owner_call_rate"] == 1  # one call, one win: the company's record is the owner's
    assert describe("deal", "2026-01-19", deals=CALLS, deal_changes=CALLED)["owner_call_rate"] is None
    assert describe("deal", "2026-02-01", deals=CALLS)["owner_call_rate"] is None  # calls are not logged


STAYS = [
    a_deal(),
    a_deal("s1", account_id="big"),
    a_deal("s2", account_id="a1"),
    a_deal("s3", closed="2026-01-31", outcome="lost", account_id="big", stage="Closed lost"),
    a_deal("s4", pipeline="north"),
]
LEFT = [
    a_change("2026-01-11", "stage", "Qualify", "Demo"),
    a_change("2026-01-05", "stage", "Qualify", "Demo", key="s1"),  # 4 days in Qualify
    a_change("2026-01-15", "stage", "Demo", "Quote", key="s1"),  # 10 in Demo
    a_change("2026-01-21", "stage", "Qualify", "Demo", key="s2"),  # 20 in Qualify
    a_change("2026-02-10", "stage", "Demo", "Quote", key="s2"),  # 20 in Demo
    a_change("2026-01-31", "stage", "Qualify", "Closed lost", key="s3"),  # 30 in Qualify, till it was lost
    a_change("2026-01-03", "stage", "Demo", "Quote", key="s4"),  # another pipeline's Demo
]
SEGMENTS = [{"account_id": "a1", "segment": "small"}, {"account_id": "big", "segment": "large"}]


def test_time_in_stage_against_the_usual_and_the_segments():
    drawn = (1 * 20 + 10 * 15) / (1 + 10)
    wanted = {  # d1 is in Demo since 11 January
        "2026-01-14": (3, None, None),  # nobody has left Demo yet
        "2026-01-15": (4, 4 / 10, 4 / 10),  # s1 does at that moment, none of the small segment
        "2026-02-09": (29, 29 / 10, 29 / 10),
        "2026-02-10": (30, 30 / 15, pytest.approx(30 / drawn)),  # medians: of 10 and 20; of s2's 20 in the segment
    }
    names = ("days_in_stage", "stage_days_to_usual", "stage_days_to_segment")
    assert follow("deal", names, wanted, deals=STAYS, deal_changes=LEFT, accounts=SEGMENTS) == wanted


def test_a_stay_ends_with_the_deal_and_no_segment_gives_no_segments_usual():
    # Left Qualify: d1 after 10 days, s1 after 4, s2 after 20, s3 after 30: the median is 15.
    fresh = a_deal("new", made="2026-01-25", account_id="none")
    row = describe("deal", "2026-02-09", deals=[*STAYS, fresh], deal_changes=LEFT, accounts=SEGMENTS, key="new")
    assert (row["stage_days_to_usual"], row["stage_days_to_segment"]) == (1, None)
    row = describe("deal", "2026-01-30 23:59:59", deals=[*STAYS, fresh], deal_changes=LEFT, key="new")
    assert row["stage_days_to_usual"] == pytest.approx(row["days_in_stage"] / 10)  # before s3 was lost: of 4, 10 and 20


def test_without_a_log_no_stage_is_known_and_so_no_usual():
    row = describe("deal", "2026-02-09", deals=STAYS, accounts=SEGMENTS)
    assert (row["stage_days_to_usual"], row["stage_days_to_segment"]) == (None, None)


def test_all_that_rests_on_the_owners_own_record_tells_who_the_owner_is():
    every = {one.name: one for block in blocks("deal") for one in block.features}
    telling = {name for name, one in every.items() if one.identity}
    by_owner = {one.name for block in blocks("deal") if block.by == "owner_id" for one in block.features}
    on_record = {"owner_id", "owner_tenure_days"}
    # What is made of them: an expression on the row that names one.
    made = {n for n, one in every.items() if by_owner & {c.name for c in parse_one(one.sql).find_all(exp.Column)}}
    assert telling == by_owner | on_record | made
    assert {"owner_win_rate", "owner_call_rate", "amount_to_owner_usual"} <= made
    assert not every["owner_changes"].identity  # of the deal, whoever they were
