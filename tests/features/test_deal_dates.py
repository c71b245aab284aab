"""The planned close date against today and the quarter, and what is left of month, quarter and fiscal year."""

import pytest

from crm.company import Company
from features.build import build
from tests.features.rows import COMPANY, STAGES, a_change, a_deal, day, describe, follow, spine, view

# So that the close date is logged from January on; the deal asked for never moved its own.
LOGGED = [a_change("2026-01-01", "close_date", "2026-05-01", "2026-05-02", key="d2")]
APRIL_START = Company.parse({"base_currency": "EUR", "stages": {"*": STAGES}, "fiscal": {"start_month": 4}})
FEBRUARY_START = Company.parse({"base_currency": "EUR", "stages": {"*": STAGES}, "fiscal": {"start_month": 2}})


def planned(close_date, as_of="2026-02-10", **more):
    deals = [a_deal(close_date=close_date and day(close_date).date()), a_deal("d2")]
    return describe("deal", as_of, deals=deals, deal_changes=LOGGED, **more)


def test_a_close_date_has_passed_from_the_day_after():
    wanted = {
        "2026-02-09 23:59": (1, 0),
        "2026-02-10 23:59": (0, 0),  # it may still close today
        "2026-02-11 00:00": (-1, 1),
    }
    deals = [a_deal(close_date=day("2026-02-10").date()), a_deal("d2")]
    assert follow("deal", ("close_date_days", "close_date_passed"), wanted, deals=deals, deal_changes=LOGGED) == wanted


PLANNED = {  # by the calendar, and where the year begins in February
    "2026-03-24": (0, 0),  # seven days before the last one
    "2026-03-25": (1, 0),
    "2026-03-31": (1, 0),
    "2026-04-01": (0, 0),
    "2026-04-30": (0, 1),  # February to April is the first quarter then
    "2026-12-31": (1, 0),
    "2027-01-31": (0, 1),
    "2028-02-29": (0, 0),
}


@pytest.mark.parametrize(("company", "which"), [(COMPANY, 0), (FEBRUARY_START, 1)])
def test_planned_for_the_last_week_of_a_fiscal_quarter(company, which):
    tables = view(deals=[*(a_deal(d, close_date=day(d).date()) for d in PLANNED), a_deal("d2")], deal_changes=LOGGED)
    rows = spine("deal_id", *((close_date, "2026-02-10") for close_date in PLANNED))
    found = build(tables, rows, "deal", company=company, only=["close_at_quarter_end"])
    assert found["close_at_quarter_end"].tolist() == [both[which] for both in PLANNED.values()]


def test_without_a_close_date_nothing_is_said_of_it():
    row = planned(None)
    assert (row["close_date_days"], row["close_date_passed"], row["close_at_quarter_end"]) == (None, None, None)


def test_days_left_of_month_quarter_and_fiscal_year():
    # From noon of 10 February 18.5 days of the month are left, 31 more to the end of March.
    row = planned("2026-02-10", "2026-02-10 12:00")
    assert (row["month_end_days"], row["quarter_end_days"]) == (18.5, 49.5)
    assert row["year_end_days"] == 365 - 40.5  # 31 days of January and 9.5 of February are gone
    row = planned("2026-02-10", "2026-02-10 12:00", company=APRIL_START)
    assert (row["month_end_days"], row["quarter_end_days"], row["year_end_days"]) == (18.5, 49.5, 49.5)
