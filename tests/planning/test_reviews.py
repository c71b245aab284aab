"""Rules of review meetings: minutes, what to talk about, actions carried over, days of a series."""

from datetime import date

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from crm.company import Company
from planning.reviews import agenda, carried, meeting_days, since, worth_talking
from planning.workdays import Workdays

MAY = [date(2026, 5, day) for day in (4, 11, 18, 25)]


def test_e5_1_minutes_follow_the_money_at_stake():
    # 100 thousand in 30 minutes: 0.3 a thousand.
    found = agenda({"a": 60_000, "b": 30_000, "c": 10_000}, 30)
    assert [(item.key, item.minutes) for item in found] == [("a", 18), ("b", 9), ("c", 3)]


def test_an_item_of_little_money_gets_three_minutes_all_the_same():
    # By money: 29.7 and 0.3 of 30; the small one gets 3, the large one the rest.
    assert [item.minutes for item in agenda({"a": 990, "b": 10}, 30)] == [27, 3]


def test_what_finds_no_room_is_named_with_no_minutes():
    assert [item.minutes for item in agenda({"a": 3, "b": 2, "c": 1}, 7)] == [4, 3, 0]


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.floats(0, 1e9), max_size=12), st.integers(0, 120))
def test_minutes_never_exceed_the_meeting_and_nobody_with_room_gets_less_than_three(money, minutes):
    found = agenda(money, minutes)
    assert sum(item.minutes for item in found) == (minutes if money and minutes >= 3 else 0)
    assert all(item.minutes == 0 or item.minutes >= 3 for item in found)


def test_e5_2_an_action_is_carried_once_a_pack_after_its_due_date():
    assert [carried(date(2026, 5, 8), MAY[: n + 1]) for n in range(4)] == [0, 1, 2, 3]
    assert [carried(date(2026, 5, 20), MAY[: n + 1]) for n in range(4)] == [0, 0, 0, 1]


def test_an_action_that_was_done_is_carried_no_more():
    assert carried(date(2026, 5, 8), MAY, closed=date(2026, 5, 12)) == 1


def test_deals_are_talked_about_by_money_times_uncertainty():
    # a 100·0.5·0.5 = 25, b 1000·0.01·0.99 = 9.9, c 200·0.9·0.1 = 18, d certain, e without an amount.
    deals = pd.DataFrame({"amount": [100, 1000, 200, 900, None], "chance": [0.5, 0.01, 0.9, 1.0, 0.5]}, list("abcde"))
    found = worth_talking(deals)
    assert found["stake"].round(6).to_dict() == {"a": 25.0, "c": 18.0, "b": 9.9}
    assert list(found.index) == ["a", "c", "b"]


def test_a_weekly_series_moves_off_a_holiday():
    company = Company.parse({"plan": {"holidays": ["2026-05-04"]}})
    found = meeting_days(
        "weekly", date(2026, 5, 1), date(2026, 5, 18), weekday=1, company=company, workdays=Workdays.of(company)
    )
    assert found == [date(2026, 5, 5), date(2026, 5, 11), date(2026, 5, 18)]


def test_a_quarterly_series_follows_the_fiscal_year():
    # Fiscal year from February: quarters begin on 1 Feb, 1 May (a Friday) and 1 Aug; the first Tuesdays after.
    company = Company.parse({"fiscal": {"start_month": 2}})
    found = meeting_days(
        "quarterly", date(2026, 1, 1), date(2026, 8, 31), weekday=2, company=company, workdays=Workdays.of(company)
    )
    assert found == [date(2026, 2, 3), date(2026, 5, 5), date(2026, 8, 4)]


def test_a_review_looks_back_a_week_a_month_or_a_quarter():
    company = Company()
    day = date(2026, 5, 12)
    assert [since(rhythm, day, company) for rhythm in ("weekly", "monthly", "quarterly")] == [
        date(2026, 5, 5), date(2026, 4, 1), date(2026, 1, 1)
    ]  # fmt: skip
