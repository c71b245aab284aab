"""The table of deals: views, order, search, pages of rows."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from crm.fiscal import period_of
from serving.format import Formats
from serving.i18n import language
from serving.pages import listing
from serving.pages.wishes import VIEWS, Wish

TODAY = date(2026, 11, 24)
AS_OF = pd.Timestamp("2026-11-24 06:00", tz="UTC")
QUARTER = period_of(TODAY)
EN = Formats(language("en"), "USD", ZoneInfo("UTC"), datetime(2026, 11, 24, 6, tzinfo=UTC))


def a_deal(ident: str, **given: object) -> dict[str, object]:
    usual = {
        "deal_id": ident,
        "name": f"Deal {ident}",
        "account": "Acme",
        "account_id": "a1",
        "owner_id": "r1",
        "stage": "Proposal",
        "amount": 1000.0,
        "close_date": date(2026, 12, 10),
        "last_touch": AS_OF - pd.Timedelta(days=2),
        "win_probability": 0.5,
        "win_probability_low": 0.4,
        "win_probability_high": 0.6,
        "expected_amount": 500.0,
    }
    return {**usual, **given}


def deals(*rows: dict[str, object]) -> pd.DataFrame:
    every = pd.DataFrame(rows)
    scored = ["deal_id", "win_probability", "win_probability_low", "win_probability_high", "expected_amount"]
    facts = every.drop(columns=scored[1:]).set_index("deal_id")
    return listing.open_deals(every[scored], facts, {"r1": "Li Na", "r2": "Wang Fang"}, AS_OF)


def test_views_pick_by_planned_date_and_silence():
    found = deals(
        a_deal("soon"),
        a_deal("late", close_date=date(2026, 11, 23)),
        a_deal("later", close_date=date(2027, 1, 1)),  # the next quarter's first day
        a_deal("silent", close_date=None, last_touch=AS_OF - pd.Timedelta(days=14)),
        a_deal("never", close_date=None, last_touch=None),
        a_deal("nearly", close_date=None, last_touch=AS_OF - pd.Timedelta(days=13, hours=23)),
    )
    picked = {view: set(listing.in_view(found, view, today=TODAY, period=QUARTER).index) for view in VIEWS}
    assert picked == {
        "": set(found.index),
        "closing": {"soon"},
        "past": {"late"},
        "silent": {"silent", "never"},
    }


def test_search_looks_at_deal_customer_and_owner_and_takes_no_pattern():
    found = deals(a_deal("a", name="40 seats (new)"), a_deal("b", account="竹海"), a_deal("c", owner_id="r2"))
    assert list(listing.matching(found, Wish(q="SEATS (")).index) == ["a"]
    assert list(listing.matching(found, Wish(q="竹海")).index) == ["b"]
    assert list(listing.matching(found, Wish(q="wang")).index) == ["c"]
    assert list(listing.matching(found, Wish(owner="r1")).index) == ["a", "b"]


def test_pages_follow_each_other_without_gap_or_double():
    # Many equal amounts: only a second key makes the order one.
    found = deals(*(a_deal(f"d{i:03d}", expected_amount=float(i // 40)) for i in range(120)))
    seen: list[str] = []
    wish, after = Wish(), ""
    while True:
        rows, after = listing.page_of(found, Wish(after=after))
        seen += list(rows.index)
        if not after:
            break
    assert len(seen) == len(set(seen)) == 120
    assert seen[:40] == [f"d{i:03d}" for i in range(80, 120)]  # the largest expectation first
    assert wish.sort == "-expected"


def test_missing_values_come_last_in_either_direction():
    found = deals(a_deal("a", close_date=None), a_deal("b", close_date=date(2026, 12, 1)), a_deal("c"))
    assert list(listing.page_of(found, Wish(sort="close"))[0].index) == ["b", "c", "a"]
    assert list(listing.page_of(found, Wish(sort="-close"))[0].index) == ["c", "b", "a"]


def test_heads_turn_the_order_round():
    by_chance = {head.name: head for head in listing.heads(EN, Wish(sort="-chance", q="x"))}
    assert by_chance["Chance to win"].sorted == "descending"
    assert by_chance["Chance to win"].address == "/deals?q=x&sort=chance"
    assert by_chance["Deal"].address == "/deals?q=x&sort=name"  # names start with A
    assert by_chance["Days silent"].address == "/deals?q=x&sort=-silent"  # the longest silence first
    assert by_chance["Stage"].address is None


@pytest.mark.parametrize("strange", ["", "x", "-", "-x", "expected; drop"])
def test_an_address_that_makes_no_sense_gives_the_usual_order(strange):
    assert Wish.of({"view": "no view", "sort": strange}).sort == "-expected"
    assert Wish.of({"view": "no view", "sort": strange}).view == ""


def test_rows_say_what_is_late_and_what_is_not_known():
    found = deals(
        a_deal("late", close_date=date(2026, 11, 23), amount=None, last_touch=None),
        a_deal("named", name="Acme – 40 seats"),
    )
    late, named = listing.rows_of(EN, found, TODAY, lambda _: "↑ because", lambda _: "")
    assert (late.late, late.close_date, late.amount, late.silent) == (True, "Nov 23", "—", "never")
    assert late.under == "Acme · Li Na"
    assert named.under == "Li Na"  # the name says the customer already
    assert (named.late, named.silent, named.why, named.step) == (False, "2", "↑ because", "")


def test_the_finding_counts_sums_and_expects():
    found = deals(
        a_deal("a", amount=20_000.0, expected_amount=9_000.0), a_deal("b", amount=None, expected_amount=100.0)
    )
    assert listing.finding(EN, found) == "2 open deals, $20K; $9,100 expected to be won."
    assert listing.finding(EN, found.head(1)) == "1 open deal, $20K; $9,000 expected to be won."
