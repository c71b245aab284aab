"""How a deal moved, counted by hand."""

from itertools import pairwise

import pytest

from crm.company import Company
from tests.features.rows import a_change, a_deal, describe, follow

LOG = [
    a_change("2026-01-11", "stage", "Qualify", "Demo"),
    a_change("2026-01-21", "stage", "Demo", "Quote"),
    a_change("2026-02-10", "stage", "Quote", "Demo"),
    a_change("2026-02-20", "stage", "Demo", "Quote"),
    a_change("2026-01-15", "close_date", "2026-02-28", "2026-03-31"),
    a_change("2026-02-14", "close_date", "2026-03-31", "2026-04-30"),
    a_change("2026-02-16", "close_date", "2026-04-30", "2026-04-15"),
    a_change("2026-02-17", "amount", "100", "90"),
    a_change("2026-02-18", "amount", "90", "95.5"),
    a_change("2026-02-19", "owner_id", "r1", "r2"),
    a_change("2026-03-05", "close_date", "2026-04-15", "2026-06-30"),
]


def test_steps_pushes_cuts_and_speed():
    row = describe("deal", "2026-03-02", deals=[a_deal()], deal_changes=LOG)
    assert {
        "stages_passed": 3,
        "steps_back": 1,
        "steps_30d": 1,
        "close_date_pushes": 2,  # the third comes after 2 March
        "close_date_pulls": 1,
        "days_since_push": 16,
        "amount_cuts": 1,
        "amount_rises": 1,
        "owner_changes": 1,
        "days_since_change": 10,
        "stages_a_month": 3 * 30 / 60,  # 1 January to 2 March are 60 days
    }.items() <= row.items()


def test_a_deal_that_never_moved():
    row = describe("deal", "2026-03-02", deals=[a_deal(), a_deal("d2")], deal_changes=LOG, key="d2")
    assert (row["stages_passed"], row["close_date_pushes"], row["days_since_push"]) == (0, 0, None)
    assert (row["days_since_change"], row["days_in_stage"]) == (None, 60)


FIVE = Company.parse({"base_currency": "EUR", "stages": {"*": ["Lead", "Qualify", "Demo", "Quote", "Signing"]}})


@pytest.mark.parametrize(
    ("path", "passed", "back", "skipped"),
    [
        (["Lead", "Qualify", "Demo"], 2, 0, 0),
        (["Lead", "Demo"], 1, 0, 1),
        (["Lead", "Signing"], 1, 0, 3),
        (["Lead", "Demo", "Lead", "Demo"], 2, 1, 2),  # each time anew
        (["Signing", "Lead"], 0, 1, 0),  # a way back skips nothing
        (["Lead", "Elsewhere", "Quote"], 0, 0, 0),  # a stage of no pipeline has no place
    ],
)
def test_stages_passed_stepped_back_over_and_skipped(path, passed, back, skipped):
    log = [a_change(f"2026-01-{i + 2:02}", "stage", old, new) for i, (old, new) in enumerate(pairwise(path))]
    row = describe("deal", "2026-02-01", deals=[a_deal()], deal_changes=log, company=FIVE)
    assert (row["stages_passed"], row["steps_back"], row["stages_skipped"]) == (passed, back, skipped)


def test_days_pushed_add_up_and_what_is_pulled_back_takes_none_off():
    # Pushed by 31 and 30 days by 2 March, pulled by 15 in between; then by 76, from 15 April to 30 June.
    wanted = {"2026-01-14": (0,), "2026-01-15": (31,), "2026-03-02": (61,), "2026-03-05": (137,)}
    assert follow("deal", ("close_date_pushed_days",), wanted, deals=[a_deal()], deal_changes=LOG) == {
        **wanted,
        "2026-01-14": (None,),  # no close date of any deal was logged yet
    }


def test_a_close_date_first_given_or_taken_away_is_no_push():
    log = [
        a_change("2026-01-05", "close_date", None, "2026-03-01"),
        a_change("2026-01-06", "close_date", "2026-03-01", None),
        a_change("2026-01-07", "close_date", None, "2026-04-01"),
    ]
    row = describe("deal", "2026-02-01", deals=[a_deal()], deal_changes=log)
    assert (row["close_date_pushes"], row["close_date_pushed_days"], row["close_date_passed"]) == (0, 0, 0)


def test_the_amount_against_the_one_first_given():
    wanted = {
        "2026-02-16 23:59:59": (100, 1, 0, 0),  # nothing changed yet
        "2026-02-17": (90, 90 / 100, 1, 0),  # at its own moment
        "2026-02-18": (95.5, 95.5 / 100, 1, 1),
    }
    names = ("amount", "amount_to_first", "amount_cuts", "amount_rises")
    since = a_change("2026-01-01", "amount", "7", "8", key="d2")  # amounts are logged from January on
    deals = [a_deal(amount=95.5), a_deal("d2", amount=8.0)]
    assert follow("deal", names, wanted, deals=deals, deal_changes=[since, *LOG]) == wanted


def test_of_two_changes_at_one_moment_the_one_that_came_in_later_is_the_last():
    log = [a_change("2026-02-01", "amount", "100", "80"), a_change("2026-02-01", "amount", "80", "120")]
    assert describe("deal", "2026-02-01", deals=[a_deal(amount=120.0)], deal_changes=log)["amount_to_first"] == 1.2


def test_an_amount_that_was_nothing_at_first_or_is_emptied_has_no_ratio():
    log = [a_change("2026-02-01", "amount", None, "80"), a_change("2026-02-03", "amount", "80", "40")]
    assert describe("deal", "2026-02-02", deals=[a_deal(amount=40.0)], deal_changes=log)["amount_to_first"] == 1
    assert describe("deal", "2026-02-03", deals=[a_deal(amount=40.0)], deal_changes=log)["amount_to_first"] == 0.5
    log = [a_change("2026-02-01", "amount", "80", None)]
    assert describe("deal", "2026-02-02", deals=[a_deal()], deal_changes=log)["amount_to_first"] is None


def test_without_a_log_nothing_is_known_of_the_path():
    row = describe("deal", "2026-02-01", deals=[a_deal()])
    names = ("stages_skipped", "close_date_pushed_days", "amount_to_first", "owner_changes", "days_since_change")
    assert [row[name] for name in names] == [None] * 5
