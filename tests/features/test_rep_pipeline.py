"""A rep's open deals, worked out by hand."""

from datetime import date

import pytest

from features.build import build
from tests.features.rows import COMPANY, a_change, a_deal, a_goal, describe, spine, view

# From 2025 on the company logs stages, amounts and owners.
LOG = [
    a_change("2025-01-01", "stage", "Qualify", "Demo", key="d0"),
    a_change("2025-01-01", "amount", "1", "2", key="d0"),
    a_change("2025-01-01", "owner_id", "r3", "r2", key="d0"),
]
# On 20 April 72 days are left of the quarter; as many were left of the one before on 19 January, and of the one before
# that on 21 October. Then there were open: p1 and p2 in January, p3 and p4 in October; p5 came too late to be seen.
PAST = [
    a_deal("p1", made="2026-01-01", closed="2026-03-01", outcome="won", stage="Demo", owner_id="r2"),
    a_deal("p2", made="2026-01-19", closed="2026-02-01", outcome="lost", stage="Demo", owner_id="r2"),
    a_deal("p3", made="2025-10-01", closed="2025-12-01", outcome="won", stage="Quote", owner_id="r2"),
    a_deal("p4", made="2025-10-01", closed="2026-01-01", outcome="won", stage="Demo", owner_id="r2"),
    a_deal("p5", made="2025-11-01", closed="2025-12-15", outcome="won", stage="Quote", owner_id="r2"),
]
NOW = [
    a_deal("o1", made="2026-03-21", stage="Demo", amount=1300.0, account_id="a1", product_id="p1"),
    a_deal("o2", made="2026-03-22", stage="Quote", amount=1100.0, account_id="a1", product_id="p2", kind="renewal"),
    a_deal("o3", made="2026-04-20", stage="Qualify", amount=100.0, account_id="a2", product_id="p1", kind=None),
    a_deal("o4", made="2026-04-21", stage="Qualify", amount=9000.0, account_id="a3"),  # still to come
]


def test_open_amounts_are_weighed_by_what_deals_of_the_stage_came_to_by_the_quarters_end():
    # Demo: of p1, p2, p4 one was won in time (p4 a moment too late); Quote: p3; all: 2 of 4, which count as 10 more.
    demo, quote, other = (1 + 10 * 0.5) / (3 + 10), (1 + 10 * 0.5) / (1 + 10), 0.5
    goals = [a_goal(1, "2026-04-01", "2026-07-01", 5000.0)]
    row = describe("rep", "2026-04-20", deals=[*PAST, *NOW], deal_changes=LOG, goals=goals)
    assert row["weighted_amount"] == pytest.approx(1300 * demo + 1100 * quote + 100 * other)
    assert row["weighted_cover"] == pytest.approx((1300 * demo + 1100 * quote + 100 * other) / 5000)


def test_other_moments_asked_for_at_once_change_nothing():
    # On 19 January, one of the moments looked back to, this one was made lately but lost already.
    deals = [*PAST, *NOW, a_deal("p6", made="2026-01-02", closed="2026-01-10", outcome="lost", stage="Demo")]
    alone = describe("rep", "2026-04-20", deals=deals, deal_changes=LOG)
    both = spine("rep_id", ("r1", "2026-01-19"), ("r1", "2026-04-20"))
    rows = build(view(deals=deals, deal_changes=LOG), both, "rep", company=COMPANY, late=frozenset())
    assert rows["weighted_amount"].tolist()[1] == alone["weighted_amount"]


def test_a_deal_weighs_by_the_stage_it_was_in():
    moved = [*LOG, a_change("2026-04-25", "stage", "Demo", "Quote", key="o1")]
    moved += [a_change("2026-01-25", "stage", "Demo", "Quote", key="p1")]  # in January p1 was still in Demo
    deals = [*(p | {"stage": "Quote"} if p["deal_id"] == "p1" else p for p in PAST), NOW[0] | {"stage": "Quote"}]
    row = describe("rep", "2026-04-20", deals=deals, deal_changes=moved)
    assert row["weighted_amount"] == pytest.approx(1300 * 6 / 13)


def test_weights_are_missing_before_a_quarter_has_been_seen():
    row = describe("rep", "2026-04-20", deals=NOW, deal_changes=LOG)
    assert (row["open_amount"], row["weighted_amount"], row["weighted_cover"]) == (2500, None, None)
    assert describe("rep", "2026-04-20", deals=[*PAST, *NOW], deal_changes=LOG, key="r7")["weighted_amount"] == 0


def test_what_the_pipeline_is_made_of():
    row = describe("rep", "2026-04-20", deals=NOW, deal_changes=LOG)
    assert {
        "open_deals": 3,
        "open_accounts": 2,
        "new_share": (1300 + 100) / 2500,  # a deal of no kind counts as new
        "renewal_share": 1100 / 2500,
        "top_product_share": (1300 + 100) / 2500,
    }.items() <= row.items()
    nothing = describe("rep", "2026-04-20", deals=NOW, deal_changes=LOG, key="r7")
    assert [nothing[c] for c in ("open_deals", "open_accounts", "open_amount")] == [0, 0, 0]
    assert [nothing[c] for c in ("new_share", "renewal_share", "top_product_share")] == [None] * 3


def test_pipeline_made_counts_what_was_closed_since_too():
    deals = [
        *NOW,  # o1 was made exactly 30 days before, o2 29, o3 at the moment itself
        a_deal("w", made="2026-04-01", closed="2026-04-10", outcome="won", amount=10.0),
        a_deal("l", made="2026-02-01", closed="2026-02-10", outcome="lost", amount=1.0),
        a_deal("q", made="2026-01-20", closed="2026-02-10", outcome="lost", amount=5.0),  # 90 days before
        a_deal("x", made="2026-04-05", amount=70.0, kind="lead"),
    ]
    log = [*LOG, a_change("2026-04-25", "amount", "1000", "1100", key="o2")]
    log += [a_change("2026-04-15", "owner_id", "r2", "r1", key="o3")]
    row = describe("rep", "2026-04-20", deals=deals, deal_changes=log)
    assert row["made_30d"] == 1000 + 100 + 10
    assert row["made_90d"] == 1000 + 100 + 10 + 1300 + 1
    assert row["deals_made_30d"] == 3


def test_a_deal_belongs_to_who_owned_it_then():
    log = [*LOG, a_change("2026-04-20", "owner_id", "r2", "r1", key="o1")]
    before = describe("rep", "2026-04-19 23:59", deals=NOW, deal_changes=log)
    assert (before["open_amount"], before["made_30d"]) == (1100, 1100)
    after = describe("rep", "2026-04-20", deals=NOW, deal_changes=log)
    assert (after["open_amount"], after["made_90d"]) == (2500, 2500)


def test_amounts_of_other_currencies_count_at_the_rate_of_the_day():
    rates = [{"currency": "USD", "on_date": date(2026, 4, d), "rate_to_base": r} for d, r in ((1, 0.8), (20, 0.5))]
    deals = [NOW[0] | {"currency": "USD"}, NOW[1]]
    row = describe("rep", "2026-04-20", deals=deals, deal_changes=LOG, fx_rates=rates)
    assert (row["open_amount"], row["renewal_share"]) == (650 + 1100, 1100 / 1750)


def test_cover_is_missing_once_the_target_is_reached():
    deals = [*NOW, a_deal("w", closed="2026-04-10", outcome="won", amount=800.0)]

    def covered(target):
        goals = [a_goal(1, "2026-04-01", "2026-07-01", target)]
        return describe("rep", "2026-04-20", deals=deals, deal_changes=LOG, goals=goals)["pipeline_cover"]

    assert covered(1300.0) == 2500 / 500
    assert covered(800.0) is None
    assert covered(700.0) is None
