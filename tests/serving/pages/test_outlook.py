"""What the forecast pages say, from rows of the score files."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from crm.fiscal import period_of
from serving.format import Formats
from serving.i18n import language
from serving.pages import outlook
from serving.pages.outlook import Outcome

NOW = datetime(2026, 11, 15, tzinfo=UTC)
EN, ZH = (Formats(language(code), "USD", ZoneInfo("UTC"), NOW) for code in ("en", "zh"))


def a_row(ident: str = "r1", **given: object) -> dict[str, object]:
    usual = {
        "rep_id": ident,
        "period_start": date(2026, 10, 1),
        "period_end": date(2027, 1, 1),
        "metric": "bookings",
        "target": 200_000.0,
        "actual_to_date": 100_000.4,
        "p10": 150_000.0,
        "p50": 190_000.0,
        "p90": 220_000.0,
        "p_attain": 0.304,
        "expected_closed": 100_000.4,
        "expected_open": 60_000.4,
        "expected_new": 30_000.4,
    }
    return {**usual, **given}


def test_the_first_sentence_answers_with_range_goal_and_chance():
    outcome = Outcome.of(a_row())
    assert outlook.sentence(EN, "Li Na", outcome) == (
        "Li Na is likely to end the quarter at $190K, 95% of goal (80% range 75–110%). Chance to reach the goal: 30%."
    )
    assert outlook.sentence(ZH, "李娜", outcome) == (
        "李娜本季度预计完成US$19万，达成目标的95%（80%区间75%–110%），达成目标的概率为30%。"
    )


@pytest.mark.parametrize("target", [float("nan"), None, pd.NA, 0.0])
def test_without_a_goal_no_share_is_made_up(target):
    outcome = Outcome.of(a_row(target=target, p_attain=float("nan")))
    assert outcome.target is None
    assert outlook.sentence(EN, "Li Na", outcome) == (
        "Li Na is likely to end the quarter at $190K (80% range $150K–$220K). No goal is set for it."
    )


def test_parts_add_up_as_they_are_read():
    parts = outlook.made_of(EN, Outcome.of(a_row()))
    # 100,000.4 and 60,000.4 make 160,000.8, which reads 160,001; with 30,000.4 it is 190,001.2, read as 190,001.
    assert [part.said for part in parts.rows] == ["$100,000", "$60,001", "$30,000", "$190,001"]
    assert [part.x for part in parts.rows[:3]] == [0, 52.63, 84.21]
    assert sum(part.width for part in parts.rows) == pytest.approx(100, abs=0.02)


def test_pace_is_told_only_once_a_tenth_of_the_period_has_passed():
    outcome = Outcome.of(a_row(actual_to_date=46_000.0))
    assert outcome.pace(date(2026, 10, 8)) is None  # 8 of 92 days
    assert outcome.pace(date(2026, 11, 15)) == pytest.approx(46_000 / (46 / 92))  # half of the period


def test_this_quarter_and_money_lead_where_several_periods_and_metrics_are_set():
    quarter = period_of(date(2026, 11, 15))
    deals, bookings = a_row(metric="won_deals"), a_row()
    year = a_row(period_start=date(2026, 1, 1))
    rows = pd.DataFrame([year, deals, bookings])
    assert list(outlook.primary(rows, quarter).index) == [2]
    assert list(outlook.primary(rows.head(2), quarter).index) == [1]
    assert outlook.primary(rows.head(1), quarter).empty


def test_numbers_of_deals_are_not_written_as_money():
    outcome = Outcome.of(a_row(metric="won_deals", target=8, p10=4, p50=6, p90=9, actual_to_date=3, p_attain=0.2))
    assert outlook.sentence(EN, "Li Na", outcome).startswith("Li Na is likely to end the quarter at 6, 75% of goal")


def test_people_of_one_name_are_told_apart_by_their_team():
    frame = pd.DataFrame([a_row("r1"), a_row("r2"), a_row("r3")])
    names = {"r1": "Bo", "r2": "Bo", "r3": "Al"}
    rows = outlook.rows_of(
        EN, frame, "rep_id", names, "/forecast/reps", under={"r1": "East", "r2": "West", "r3": "East"}
    )
    assert [(row.name, row.under) for row in rows] == [("Al", ""), ("Bo", "East"), ("Bo", "West")]


def test_bars_are_shares_of_the_goal_and_missing_where_there_is_none():
    frame = pd.DataFrame([a_row("r1"), a_row("r2", target=float("nan")), a_row("r3", p90=900_000.0)])
    rows = outlook.rows_of(EN, frame, "rep_id", {}, "/forecast/reps", under={})
    with_goal, without, far = rows
    assert (with_goal.low, with_goal.mid, with_goal.high, with_goal.goal) == (0.75, 0.95, 1.1, 1.0)
    assert (without.low, without.goal, without.top, without.share) == (None, None, 0.0, "—")
    assert far.high == far.top == 1.6  # cut at the scale's end, the range in words is whole
    assert far.range == "$150K–$900K"


def test_addresses_hold_strange_identifiers():
    rows = outlook.rows_of(EN, pd.DataFrame([a_row("a/b ?")]), "rep_id", {}, "/forecast/reps", under={})
    assert rows[0].address == "/forecast/reps/a%2Fb%20%3F"


def test_the_fan_starts_at_what_is_closed_and_names_the_gap():
    booked = pd.DataFrame(
        {"day": [date(2026, 10, 5), date(2026, 11, 2)], "amount": [40_000.0, 60_000.4], "won": [1, 1]}
    )
    figure = outlook.fan_of(EN, Outcome.of(a_row()), booked, date(2026, 11, 15))
    assert figure.title == "$100K to go to the goal of $200K"
    assert figure.rows[0] == ("Nov 15", "Closed so far", "$100,000")
    reached = outlook.fan_of(EN, Outcome.of(a_row(actual_to_date=210_000.0)), booked, date(2026, 11, 15))
    assert reached.title == "The goal of $200K is reached"
