"""Periods like a goal's, its months, and how results fell over them in the past."""

from datetime import date
from decimal import Decimal

import pytest

from crm.company import Company
from planning.goals import Facts, Goal
from planning.periods import before, curve_of, months_of, name_of, past_results, season_of
from planning.workdays import Workdays
from tests.builders import a_deal, at, view_of

PLAIN, DAYS = Company(), Workdays()
FISCAL = Company.parse({"fiscal": {"start_month": 4}})
GOAL = Goal("g", "company", "company", "bookings", date(2026, 4, 1), date(2026, 7, 1), Decimal(1000))


def facts_of(*won, moment="2026-05-15T23:00:00Z"):
    deals = [a_deal(f"d{i}", outcome="won", amount=amount, created_at="2023-01-02", closed_at=f"{day}T10:00:00Z")
             for i, (day, amount) in enumerate(won)]  # fmt: skip
    return Facts.read(view_of(deals=deals), PLAIN, at(moment))


def test_e1_1_periods_are_named_by_the_fiscal_year():
    assert name_of(date(2026, 4, 1), date(2026, 7, 1), FISCAL) == "FY2027-Q1"
    assert name_of(date(2026, 5, 1), date(2026, 6, 1), FISCAL) == "FY2027-P02"
    assert name_of(date(2026, 5, 2), date(2026, 6, 1), FISCAL) == "2026-05-02 to 2026-05-31"


def test_periods_before_end_where_the_record_begins():
    quarters = before(date(2026, 4, 1), date(2026, 7, 1), PLAIN, date(2025, 7, 1), 4)
    assert quarters == [(date(2026, 1, 1), date(2026, 4, 1)), (date(2025, 10, 1), date(2026, 1, 1)),
                        (date(2025, 7, 1), date(2025, 10, 1))]  # fmt: skip
    # Off the calendar: as many days back each time.
    assert before(date(2026, 4, 11), date(2026, 4, 21), PLAIN, date(2026, 1, 1), 1) == [
        (date(2026, 4, 1), date(2026, 4, 11))
    ]


def test_months_are_cut_to_the_period():
    months = months_of(date(2026, 4, 15), date(2026, 6, 10), PLAIN)
    assert [(m.start.day, m.end.day, m.name) for m in months] == [
        (15, 1, "FY2026-P04"), (1, 1, "FY2026-P05"), (1, 10, "FY2026-P06")
    ]  # fmt: skip


def test_past_results_are_those_of_like_periods():
    facts = facts_of(("2025-10-01", 1), ("2025-11-05", 30), ("2026-02-05", 50), ("2026-04-05", 7))
    assert past_results(GOAL, facts, PLAIN) == [50, 31]


def test_the_season_is_that_of_the_same_months_a_year_before():
    # 2025: 100, 100, 200 in April, May, June: 0.25, 0.25, 0.5; one year against two of working days 22, 21, 22.
    facts = facts_of(("2025-01-10", 1), ("2025-04-10", 100), ("2025-05-10", 100), ("2025-06-10", 200))
    shares, years = season_of(GOAL, facts, PLAIN, DAYS)
    assert years == 1
    assert shares == pytest.approx([(0.25 + 2 * 22 / 65) / 3, (0.25 + 2 * 21 / 65) / 3, (0.5 + 2 * 22 / 65) / 3])
    curve, basis = curve_of(GOAL, facts, PLAIN, DAYS)
    assert curve == pytest.approx(shares[0] + shares[1] * 11 / 21)
    assert basis == "season of the year before"


def test_with_a_short_history_the_line_is_straight_and_says_so():
    # 22 of April and 11 of May of 65 working days.
    curve, basis = curve_of(GOAL, facts_of(("2026-04-05", 7)), PLAIN, DAYS)
    assert curve == pytest.approx(33 / 65)
    assert basis == "straight line: no like period of a past year"


def test_four_past_quarters_bend_the_curve():
    # Each of the four quarters before had all on its first day: at any time gone the share is 1, weighed 4 / (4 + 4).
    # The year before also had its quarter's all in April: season (1 + 2·22/65)/3, (2·21/65)/3, ...
    days = ["2025-04-01", "2025-07-01", "2025-10-01", "2026-01-01"]
    curve, basis = curve_of(GOAL, facts_of(*((day, 10) for day in days)), PLAIN, DAYS)
    plain = (1 + 2 * 22 / 65) / 3 + (2 * 21 / 65) / 3 * 11 / 21
    assert curve == pytest.approx(0.5 * 1 + 0.5 * plain)
    assert basis == "season of the year before; curves of 4 past periods"
