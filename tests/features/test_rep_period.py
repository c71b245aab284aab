"""A rep in a quarter, worked out by hand."""

from datetime import date
from itertools import pairwise

import pytest

from crm.company import Company
from tests.features.rows import COMPANY, STAGES, a_change, a_deal, a_goal, day, describe

GOALS = [
    a_goal(1, "2025-10-01", "2026-01-01", 1000.0),
    a_goal(2, "2026-01-01", "2026-04-01", 2000.0),
    a_goal(3, "2026-04-01", "2026-07-01", 4000.0),
    a_goal(4, "2026-04-01", "2026-07-01", 9.0, metric="won_deals"),
    a_goal(5, "2026-04-01", "2026-07-01", 99.0, product_id="p1"),
]
DEALS = [
    a_deal("w1", made="2025-10-01", closed="2025-12-31 23:59", outcome="won", amount=500.0),
    a_deal("w2", made="2025-10-01", closed="2026-03-31 12:00", outcome="won", amount=1500.0),
    a_deal("w3", made="2026-02-01", closed="2026-04-10", outcome="won", amount=700.0),
    a_deal("l1", made="2026-02-01", closed="2026-04-12", outcome="lost", amount=900.0),
    a_deal("o1", made="2026-04-01", amount=300.0, list_amount=400.0, close_date=day("2026-06-30").date()),
    a_deal(
        "o2", made="2026-03-02", closed="2026-06-01", outcome="won", amount=800.0, close_date=day("2026-07-01").date()
    ),
    a_deal("o3", made="2026-04-21", amount=100.0),
    a_deal("lead", made="2026-04-01", kind="lead"),
    a_deal("other", made="2026-04-01", owner_id="r2", amount=5000.0),
]
LOG = [
    a_change("2026-01-01", "amount", "1", "2", key="d0"),
    a_change("2026-01-01", "close_date", "2026-02-01", "2026-02-02", key="d0"),
    a_change("2026-05-05", "amount", "250", "300", key="o1"),
    a_change("2026-05-05", "close_date", "2026-06-01", "2026-06-30", key="o1"),
]
REPS = [{"rep_id": "r1", "hired_on": day("2025-10-02").date()}]


def test_a_rep_in_the_middle_of_a_quarter():
    row = describe("rep", "2026-04-20", reps=REPS, deals=DEALS, goals=GOALS, deal_changes=LOG)
    assert {
        "booked_in_period": 700,
        "wins_in_period": 1,
        "wins_90d": 2,  # w2 and w3
        "booked_90d": 2200,
        "booked_365d": 2700,
        "win_rate_365d": 3 / 4,
        "open_deals": 2,  # o1 and o2; o3 is still to come, a lead is no deal yet
        "open_amount": 250 + 800,  # o1 as it stood
        "open_list_amount": 400,
        "due_amount": 250,  # o2 is planned for the day after the quarter
        "oldest_open_days": 49,
        "target": 4000,
        "past_attainment": (500 + 1500) / (1000 + 2000),
        "last_attainment": 1500 / 2000,
        "mean_attainment": (500 / 1000 + 1500 / 2000) / 2,
        "period_days_left": 72,
        "period_gone": 19 / 91,
        "goal_booked": 700 / 4000,
        "goal_pace": pytest.approx(700 / (4000 * 19 / 91)),
        "tenure_days": 200,
        "wins_a_week": 3 * 7 / 200,
        "pipeline_cover": 1050 / (4000 - 700),
    }.items() <= row.items()


def test_a_rep_of_whom_nothing_is_known():
    row = describe("rep", "2026-04-20", deals=DEALS, key="r7")
    assert (row["booked_in_period"], row["open_deals"], row["open_amount"]) == (0, 0, 0)
    assert [row[c] for c in ("target", "past_attainment", "tenure_days", "win_rate_365d", "pipeline_cover")] == [
        None
    ] * 5


def test_a_target_counts_from_when_it_was_written_down_and_the_newest_holds():
    goals = [
        a_goal(1, "2026-04-01", "2026-07-01", 4000.0, recorded_at=day("2026-03-15")),
        a_goal(2, "2026-04-01", "2026-07-01", 3000.0, recorded_at=day("2026-05-01")),
    ]
    assert describe("rep", "2026-04-20", deals=DEALS, goals=goals)["target"] == 4000
    assert describe("rep", "2026-05-01", deals=DEALS, goals=goals)["target"] == 3000


def test_open_amounts_that_are_not_logged_are_missing_not_0():
    row = describe("rep", "2026-04-20", deals=DEALS)
    assert (row["open_deals"], row["open_amount"]) == (2, None)


MONTHS = [
    a_goal(1, "2026-04-01", "2026-05-01", 1000.0),
    a_goal(2, "2026-05-01", "2026-06-01", 1500.0),
    a_goal(3, "2026-06-01", "2026-07-01", 1600.0),
]


@pytest.mark.parametrize(
    ("goals", "target"),
    [
        (MONTHS, 4100),
        (MONTHS[:2], None),  # June has none, so the quarter's is not known
        ([*MONTHS, a_goal(4, "2026-04-01", "2026-07-01", 3000.0)], 3000),  # the quarter's own goal goes before
        ([*MONTHS, a_goal(4, "2026-04-15", "2026-05-15", 700.0)], None),  # days with two goals
        ([*MONTHS, a_goal(4, "2026-01-01", "2027-01-01", 9000.0)], 4100),
        ([a_goal(4, "2026-01-01", "2027-01-01", 9000.0)], None),  # a year's goal says nothing of a quarter
        ([*MONTHS, a_goal(4, "2026-03-01", "2026-04-01", 800.0)], 4100),  # the month before
        ([*MONTHS, a_goal(4, "2026-04-01", "2026-07-01", 3000.0, owner_kind="team")], 4100),
        ([*MONTHS, a_goal(4, "2026-05-01", "2026-06-01", 2500.0, recorded_at=day("2026-05-10"))], 1000 + 2500 + 1600),
        ([*MONTHS, a_goal(4, "2026-05-01", "2026-06-01", 2500.0, recorded_at=day("2026-06-16"))], 4100),
    ],
)
def test_goals_of_months_make_the_quarters_where_they_cover_it_once(goals, target):
    """Each month's goal counts from its first day on, as none says when it was written down."""
    assert describe("rep", "2026-06-15", deals=DEALS, goals=goals)["target"] == target


def test_months_goals_written_down_beforehand_count_from_the_quarters_start():
    early = [goal | {"recorded_at": day("2026-03-20")} for goal in MONTHS]
    assert describe("rep", "2026-04-01", deals=DEALS, goals=early)["target"] == 4100
    assert describe("rep", "2026-04-01", deals=DEALS, goals=MONTHS)["target"] is None


def test_a_target_in_another_currency_counts_at_the_rate_of_its_first_day():
    rates = [
        {"currency": "USD", "on_date": date(2026, 3, 1), "rate_to_base": 0.8},
        {"currency": "USD", "on_date": date(2026, 4, 2), "rate_to_base": 0.5},
    ]
    goals = [a_goal(1, "2026-04-01", "2026-07-01", 1000.0, currency="USD")]
    deals = [a_deal("w", closed="2026-04-10", outcome="won", amount=100.0, currency="USD")]
    row = describe("rep", "2026-04-20", deals=deals, goals=goals, fx_rates=rates)
    assert (row["target"], row["booked_in_period"]) == (800, 50)
    assert row["goal_booked"] == pytest.approx(50 / 800)


def test_a_win_counts_from_its_very_moment_and_a_quarter_from_its_first():
    deals = [
        a_deal("w1", closed="2026-04-01", outcome="won", amount=1.0),
        a_deal("w2", closed="2026-04-20", outcome="won", amount=10.0),
        a_deal("w3", closed="2026-04-20 00:01", outcome="won", amount=100.0),
        a_deal("w4", closed="2026-03-31 23:59", outcome="won", amount=1000.0),
    ]
    row = describe("rep", "2026-04-20", deals=deals, goals=[a_goal(1, "2026-04-01", "2026-07-01", 22.0)])
    assert (row["booked_in_period"], row["goal_booked"], row["booked_90d"]) == (11, 0.5, 1011)
    assert describe("rep", "2026-04-01", deals=deals)["goal_pace"] is None  # no day gone, nothing to hold it against


def test_quarters_that_are_over():
    """Booked in the quarters that ended on 1 April of 2025, 1 July, 1 October, 1 January, 1 April: 1, 2, 3, 4, 5."""
    starts = ["2025-01-01", "2025-04-01", "2025-07-01", "2025-10-01", "2026-01-01", "2026-04-01"]
    deals = [
        a_deal(f"w{i}", made="2024-12-01", closed=at, outcome="won", amount=i + 1.0) for i, at in enumerate(starts)
    ]
    goals = [a_goal(i, at, end, 10.0) for i, (at, end) in enumerate(pairwise(starts))]
    row = describe("rep", "2026-04-01", deals=deals, goals=goals)  # the last one has just ended
    assert row["last_attainment"] == pytest.approx(5 / 10)
    assert row["mean_attainment"] == pytest.approx((2 + 3 + 4 + 5) / 40)
    assert row["past_attainment"] == pytest.approx((2 + 3 + 4 + 5) / 40)  # the first ended 365 days ago, not less
    row = describe("rep", "2026-03-31 23:59", deals=deals, goals=goals)
    assert row["last_attainment"] == pytest.approx(4 / 10)
    assert row["mean_attainment"] == pytest.approx((1 + 2 + 3 + 4) / 40)


def test_attainment_is_against_the_target_that_held_when_the_quarter_ended():
    won = [a_deal("w", closed="2026-05-01", outcome="won", amount=820.0)]
    changed = [
        a_goal(4, "2026-06-01", "2026-07-01", 1500.0, recorded_at=day("2026-06-10")),  # before the end: it holds
        a_goal(5, "2026-06-01", "2026-07-01", 1.0, recorded_at=day("2026-07-02")),  # after the end: it does not
    ]
    row = describe("rep", "2026-07-10", deals=won, goals=[*MONTHS, *changed])
    assert row["last_attainment"] == pytest.approx(820 / (1000 + 1500 + 1500))
    late = [a_goal(6, "2026-04-01", "2026-07-01", 1.0, recorded_at=day("2026-07-01"))]
    assert describe("rep", "2026-07-10", deals=won, goals=late)["last_attainment"] is None


def test_the_companys_same_quarter_of_last_year():
    deals = [
        a_deal("l", made="2024-11-01", closed="2025-02-01", outcome="lost", owner_id="r2"),
        a_deal("w1", made="2024-11-01", closed="2025-03-31 23:59", outcome="won", amount=1.0),
        a_deal("w2", made="2024-11-01", closed="2025-04-01", outcome="won", amount=40.0),
        # On 20 April there are 72 days left; in 2025 there were as many on 20 April.
        a_deal("w3", made="2024-11-01", closed="2025-04-20", outcome="won", amount=60.0, owner_id="r2"),
        a_deal("w4", made="2024-11-01", closed="2025-04-20 00:01", outcome="won", amount=300.0, owner_id="r2"),
        a_deal("w5", made="2024-11-01", closed="2025-07-01", outcome="won", amount=1000.0),
        a_deal("w6", made="2024-11-01", closed="2025-06-30", outcome="lost", amount=5000.0),
    ]
    row = describe("rep", "2026-04-20", deals=deals)
    assert (row["company_booked_last_year"], row["company_rest_last_year"]) == (400, 300 / 400)
    # Where nothing was closed before that quarter began, it is not known to have been seen whole.
    row = describe("rep", "2026-04-20", deals=deals[2:])
    assert (row["company_booked_last_year"], row["company_rest_last_year"]) == (None, None)


def test_without_goals_all_that_rests_on_them_is_missing():
    row = describe("rep", "2026-04-20", deals=DEALS, deal_changes=LOG)
    names = ["target", "goal_booked", "goal_pace", "last_attainment", "mean_attainment", "past_attainment"]
    assert [row[name] for name in [*names, "pipeline_cover", "weighted_cover"]] == [None] * 8


def test_a_quarter_begins_where_the_company_is():
    """In Shanghai the quarter from 1 April on begins on 31 March at 16:00 UTC."""
    company = COMPANY.model_copy(update={"time_zone": "Asia/Shanghai"})
    deals = [
        a_deal("w1", closed="2026-03-31 15:59", outcome="won", amount=1.0),
        a_deal("w2", closed="2026-03-31 16:00", outcome="won", amount=10.0),
    ]
    goals = [a_goal(1, "2026-01-01", "2026-04-01", 4.0), a_goal(2, "2026-04-01", "2026-07-01", 40.0)]
    row = describe("rep", "2026-03-31 16:00", deals=deals, goals=goals, company=company)
    assert (row["booked_in_period"], row["goal_booked"], row["last_attainment"]) == (10, 10 / 40, 1 / 4)
    row = describe("rep", "2026-03-31 15:59", deals=deals, goals=goals, company=company)
    assert (row["booked_in_period"], row["goal_booked"], row["last_attainment"]) == (1, 1 / 4, None)


def test_quarters_follow_the_fiscal_year():
    """A fiscal year from February on has quarters from February, May, August and November on."""
    company = Company.parse({"base_currency": "EUR", "stages": {"*": STAGES}, "fiscal": {"start_month": 2}})
    goals = [
        a_goal(1, "2025-11-01", "2025-12-01", 1.0),
        a_goal(2, "2025-12-01", "2026-01-01", 2.0),
        a_goal(3, "2026-01-01", "2026-02-01", 5.0),
        a_goal(4, "2026-02-01", "2026-05-01", 90.0),
        a_goal(5, "2026-01-01", "2026-04-01", 7000.0),  # a calendar quarter is none here
    ]
    deals = [a_deal("w", closed="2026-01-31", outcome="won", amount=4.0)]
    hired = [{"rep_id": "r1", "hired_on": date(2025, 11, 30)}]
    row = describe("rep", "2026-04-20", deals=deals, goals=goals, reps=hired, company=company)
    assert (row["target"], row["last_attainment"], row["booked_in_period"]) == (90, 4 / 8, 0)
    assert (row["period_days_left"], row["quarters_since_hired"]) == (11, 1)
