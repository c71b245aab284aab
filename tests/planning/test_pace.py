"""Where one should be today, and what it takes to get to the target."""

from datetime import date, timedelta
from decimal import Decimal

import pandas as pd
import pytest

from crm.company import Company
from planning.goals import Facts, Goal
from planning.pace import Rates, Stretch, due, mixed, needed, past_shares, rate_needed, rates_of, standing
from planning.workdays import Workdays
from tests.builders import a_deal, an_activity, at, view_of

DAYS = Workdays()
BOUNDS = [date(2026, month, 1) for month in (4, 5, 6, 7)]
MONTHS = [Stretch(BOUNDS[i], BOUNDS[i + 1], Decimal(t)) for i, t in enumerate((69_000, 73_000, 88_000))]
TARGET = Decimal(230_000)
OWN = Rates(mean_won=16_250, conversion=(9 + 20 * 0.275) / (40 + 20), activities=12, closes_within=0.38)


def test_e3_1_gap_by_the_months_of_the_plan():
    # April over; 11 of May's 21 working days gone on the 15th: 69,000 + 73,000 · 11/21 = 107,238.10.
    found = standing(TARGET, 95_000, due(MONTHS, date(2026, 5, 15), DAYS), "months")
    assert (found.expected, found.gap, found.status) == (Decimal("107238.10"), Decimal("-12238.10"), "behind")
    assert found.pace == pytest.approx(0.886, abs=5e-4)


def test_e3_1_what_it_takes():
    # Rest 135,000, uncovered 65,000: 4 deals of 16,250; 4 / 0.241667 = 16.6; 17 · 12 = 204; 204/32 = 6.375.
    left = DAYS.count(date(2026, 5, 16), date(2026, 7, 1))
    found = needed(TARGET, 95_000, 70_000, OWN, left)
    assert (left, found.rest, found.uncovered) == (32, 135_000, 65_000)
    assert (found.deals, found.opportunities, found.activities, found.a_day) == (4, 17, 204, 6.375)
    assert found.in_time == 44  # 4 / (0.241667 · 0.38) = 43.6


def test_e3_2_the_rate_that_is_needed_from_now_on():
    assert rate_needed(0.30, 9, 40, 30) == pytest.approx(0.40)  # (0.30 · 70 − 9) / 30
    assert rate_needed(0.50, 9, 40, 10) == pytest.approx(1.6)  # out of reach
    assert rate_needed(0.30, 9, 40, 0) is None


@pytest.mark.parametrize(
    ("reached", "status"), [(105, "ahead"), (104, "on"), (95, "on"), (94, "behind"), (80, "behind"), (79, "far behind")]
)
def test_bounds_of_the_words(reached, status):
    assert standing(Decimal(200), reached, 0.5, "").status == status


def test_at_the_start_it_is_too_early_to_say():
    assert standing(Decimal(100), 0, 0.09, "").status == "too early to say"
    assert standing(Decimal(0), 5, 0.5, "").pace is None


def test_all_is_due_on_the_last_day_and_nothing_before_the_first():
    assert due(MONTHS, date(2026, 6, 30), DAYS) == 1
    assert due(MONTHS, date(2026, 3, 31), DAYS) == 0


def test_a_weekend_s_end_closes_its_month():
    # Sunday 31 May is May's last day, and Friday the 29th its last working day: the same part is due.
    friday, sunday = (due(MONTHS, date(2026, 5, day), DAYS) for day in (29, 31))
    assert friday == sunday == pytest.approx(142 / 230)


def test_four_past_curves_count_half():
    assert mixed(0.5, [0.3, 0.3, 0.3]) == 0.5  # three are too few
    assert mixed(0.5, [0.3, 0.3, 0.3, 0.3]) == pytest.approx(0.4)  # 4 / (4 + 4)


def test_past_periods_are_read_at_the_same_share_of_their_working_days():
    # 2 to 6 March 2026: of 5 days 2 are gone at 0.4, up to the 3rd: 10 of 40. The week after: 0 of 5.
    rows = pd.DataFrame(
        {"day": pd.to_datetime(["2026-03-03", "2026-03-04", "2026-03-13"]), "share": [0.5, 1, 1], "value": [20, 30, 5]}
    )
    weeks = [(date(2026, 3, d), date(2026, 3, d + 7)) for d in (2, 9, 16)]
    assert past_shares(rows, weeks, 0.4, DAYS) == pytest.approx([0.25, 0])  # the third week had nothing
    assert past_shares(rows, weeks[:1], 0.0, DAYS) == [0]


def test_nothing_more_is_needed_when_the_target_is_covered():
    found = needed(TARGET, 200_000, 30_000, OWN, 10)
    assert (found.rest, found.uncovered, found.deals, found.opportunities, found.activities) == (30_000, 0, 0, 0, 0)


def test_without_any_won_deal_no_number_of_deals_is_made_up():
    found = needed(TARGET, 0, 0, Rates(0, 0, 0, 0), 10)
    assert (found.deals, found.opportunities, found.in_time) == (None, None, None)


def test_own_rates_are_drawn_to_the_team_s():
    # r1: 1 won of 1 (1,000; took 10 days), 2 activities. All: 2 won of 4, 4,000, 1 of 2 within 20 days, 2 activities.
    opened = at("2026-05-01")
    deals = [
        a_deal("d1", outcome="won", amount="1000", created_at=opened, closed_at=opened + timedelta(days=10)),
        a_deal("d2", outcome="won", amount="3000", owner_id="r2", created_at=opened,
               closed_at=opened + timedelta(days=30)),
        *(a_deal(f"l{i}", outcome="lost", owner_id="r2", created_at=opened, closed_at=opened + timedelta(days=9))
          for i in range(2)),
    ]  # fmt: skip
    acts = [an_activity(occurred_at="2026-05-02T09:00:00Z") for _ in range(2)]
    facts = Facts.read(view_of(deals=deals, activities=acts), Company(), at("2026-06-10"))
    goal = Goal("g", "rep", "r1", "bookings", date(2026, 4, 1), date(2026, 7, 1), Decimal(1))
    found = rates_of(facts, goal, ("company", "company"), 20)
    assert found.conversion == pytest.approx((1 + 20 * 0.5) / 21)
    assert found.mean_won == pytest.approx((1000 + 20 * 2000) / 21)
    assert found.activities == pytest.approx((2 + 20 * 0.5) / 21)
    assert found.closes_within == pytest.approx((1 + 20 * 0.5) / 21)
