"""A deal as it stood: rebuilt from its log, never read from today's row where that could tell the end."""

import pytest

from crm.company import Company
from tests.features.rows import a_change, a_deal, day, describe

DEAL = a_deal(amount=900.0, list_amount=1000.0, stage="Quote", close_date=day("2026-05-01").date(), x_fit="high")
BEFORE = [  # of another deal, so that each field has been logged since December
    a_change("2025-12-01", field, "a", "b", key="d0") for field in ("stage", "amount", "close_date")
]
LOG = [
    *BEFORE,
    a_change("2026-01-10", "stage", "Qualify", "Demo"),
    a_change("2026-02-10", "stage", "Demo", "Quote"),
    a_change("2026-02-01", "amount", "1000", "800"),
    a_change("2026-03-01", "amount", "800.00", "900.00"),
    a_change("2026-02-20", "close_date", "2026-03-31", "2026-05-01"),
]


@pytest.mark.parametrize(
    ("as_of", "stage", "place", "in_stage", "amount", "close_days"),
    [
        ("2026-01-06", "Qualify", 0, 5, 1000, 84),  # before any change: what stood before the first one
        ("2026-01-10", "Demo", 1, 0, 1000, 80),  # a change counts from its own moment on
        ("2026-02-15", "Quote", 2, 5, 800, 44),
        ("2026-03-01", "Quote", 2, 19, 900, 61),
    ],
)
def test_logged_fields_have_the_value_of_that_day(as_of, stage, place, in_stage, amount, close_days):
    row = describe("deal", as_of, deals=[DEAL], deal_changes=LOG)
    assert (row["stage"], row["stage_index"], row["days_in_stage"]) == (stage, place, in_stage)
    assert (row["amount"], row["close_date_days"], row["price_to_list"]) == (amount, close_days, amount / 1000)


def test_a_logged_field_that_never_changed_is_what_it_is_today():
    other = a_deal("d2", amount=70.0)
    row = describe("deal", "2026-03-01", deals=[DEAL, other], deal_changes=LOG, key="d2")
    assert (row["stage"], row["amount"]) == ("Qualify", 70)


def test_a_field_without_a_log_is_missing_even_today():
    row = describe("deal", "2026-03-01", deals=[DEAL], deal_changes=[LOG[3]])
    assert row["stage"] == "Demo"
    assert (row["amount"], row["close_date_days"], row["forecast_category"]) == (None, None, None)
    # How often an unlogged field changed is not known either.
    assert (row["close_date_pushes"], row["amount_cuts"], row["stages_passed"]) == (None, None, 1)
    row = describe("deal", "2026-03-01", deals=[DEAL])
    assert (row["stage"], row["stage_index"], row["days_in_stage"], row["amount"]) == (None, None, None, None)
    assert (row["days_open"], row["kind"], row["list_amount"], row["x_fit"]) == (59, "new", 1000, "high")


def test_before_the_first_change_of_any_deal_a_field_is_missing():
    # That the company would log it was not known yet.
    log = [a_change("2026-02-01", "amount", "5", "6", key="d2")]
    assert describe("deal", "2026-01-31", deals=[DEAL, a_deal("d2")], deal_changes=log)["amount"] is None
    assert describe("deal", "2026-02-01", deals=[DEAL, a_deal("d2")], deal_changes=log)["amount"] == 900


def test_a_change_counts_from_when_it_was_written_down_and_in_the_order_of_the_changes():
    log = [
        a_change("2026-02-01", "amount", "800", "900", recorded_at=day("2026-02-01")),
        # Told afterwards: it had been lowered to 800 in January.
        a_change("2026-01-15", "amount", "1000", "800", recorded_at=day("2026-02-20")),
    ]
    assert describe("deal", "2026-02-10", deals=[DEAL], deal_changes=log)["amount"] == 900
    assert describe("deal", "2026-02-25", deals=[DEAL], deal_changes=log)["amount"] == 900


def test_the_later_of_two_changes_at_one_moment_is_the_one_that_came_in_later():
    log = [a_change("2026-02-01", "stage", "Qualify", "Demo"), a_change("2026-02-01", "stage", "Demo", "Quote")]
    assert describe("deal", "2026-02-01", deals=[DEAL], deal_changes=log)["stage"] == "Quote"


def test_a_value_that_was_emptied_is_missing():
    log = [*BEFORE, a_change("2026-02-01", "amount", "1000", None)]
    assert describe("deal", "2026-02-01", deals=[DEAL], deal_changes=log)["amount"] is None
    assert describe("deal", "2026-01-31", deals=[DEAL], deal_changes=log)["amount"] == 1000


@pytest.mark.parametrize("logged", [True, False])
def test_the_stage_a_deal_ended_in_is_never_where_it_was(logged):
    # The closing is logged an hour before its own time, or not at all: neither may tell on the days before.
    closed = a_deal(closed="2026-02-01 13:00", outcome="lost", stage="Closed lost")
    log = [a_change("2026-01-05", "stage", "Qualify", "Demo", key="d2")]
    if logged:
        log.append(a_change("2026-02-01 12:00", "stage", "Qualify", "Closed lost"))
    row = describe("deal", "2026-02-01 12:30", deals=[closed, a_deal("d2")], deal_changes=log)
    assert (row["stage"], row["stage_index"], row["days_in_stage"]) == ("Qualify", 0, 31 + 12.5 / 24)


def test_the_owner_is_the_one_of_that_day_and_without_a_log_the_one_on_record():
    log = [a_change("2026-02-01", "owner_id", "r1", "r2")]
    deal = a_deal(owner_id="r2")
    assert describe("deal", "2026-01-31", deals=[deal], deal_changes=log)["owner_id"] == "r1"
    assert describe("deal", "2026-02-01", deals=[deal], deal_changes=log)["owner_id"] == "r2"
    assert describe("deal", "2026-01-31", deals=[deal])["owner_id"] == "r2"


def test_columns_filled_in_late_are_missing():
    deal = DEAL | {"referred_by_account_id": "a9"}
    account = [{"account_id": "a1", "industry": "steel"}]
    row = describe("deal", "2026-03-01", deals=[deal], accounts=account)
    assert (row["industry"], row["referred"], row["list_amount"], row["x_fit"]) == ("steel", 1, 1000, "high")
    late = frozenset({"account_id", "referred_by_account_id", "list_amount", "x_fit", "owner_id"})
    row = describe("deal", "2026-03-01", deals=[deal], accounts=account, late=late)
    assert [row[c] for c in ("industry", "referred", "list_amount", "x_fit", "owner_id")] == [None] * 5


def test_custom_fields_are_rebuilt_where_they_are_logged():
    log = [a_change("2026-02-01", "x_fit", "low", "high")]
    assert describe("deal", "2026-01-20", deals=[DEAL], deal_changes=log)["x_fit"] == "low"
    numbers = [a_deal(x_seats=12.5)]
    assert describe("deal", "2026-01-20", deals=numbers)["x_seats"] == 12.5


def test_amounts_are_in_base_currency_at_the_rate_of_the_day():
    rates = [
        {"currency": "CNY", "on_date": day("2026-01-01").date(), "rate_to_base": 0.125},
        {"currency": "CNY", "on_date": day("2026-02-01").date(), "rate_to_base": 0.25},
    ]
    deals = [a_deal(list_amount=800.0, currency="CNY"), a_deal("d2", list_amount=800.0, currency="JPY")]
    assert describe("deal", "2026-01-31", deals=deals, fx_rates=rates)["list_amount"] == 100
    assert describe("deal", "2026-02-01", deals=deals, fx_rates=rates)["list_amount"] == 200
    assert describe("deal", "2026-02-01", deals=deals, fx_rates=rates, key="d2")["list_amount"] is None


def test_days_are_those_of_the_companys_time_zone():
    shanghai = Company.parse({"time_zone": "Asia/Shanghai", "base_currency": "CNY"})
    log = [a_change("2026-01-02", "close_date", "2026-03-01", "2026-04-01")]
    # 20:00 UTC on 31 March is 1 April, 04:00, in Shanghai: the planned day has come and the next quarter has begun.
    row = describe("deal", "2026-03-31 20:00", deals=[DEAL], deal_changes=log, company=shanghai)
    assert (row["close_date_days"], row["quarter_end_days"]) == (0, 91 - 4 / 24)
