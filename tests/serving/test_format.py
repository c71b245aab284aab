"""Values as each language writes them; every expected text is written by the rules of the pages, by hand."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.fiscal import period_of
from serving.format import MISSING, Formats
from serving.i18n import language

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)  # 20:00 in Shanghai


def formats(code: str, currency: str = "USD") -> Formats:
    return Formats(language(code), currency, ZoneInfo("Asia/Shanghai"), NOW)


EN, ZH = formats("en"), formats("zh")


@pytest.mark.parametrize(
    ("value", "dollars", "yuan_in_english", "yuan"),
    [
        (1_240_350, "$1.24M", "CN¥1.24M", "¥124万"),
        (12_400_000, "$12.4M", "CN¥12.4M", "¥1240万"),  # four figures before 万
        (124_000_000, "$124M", "CN¥124M", "¥1.24亿"),
        (9_400, "$9,400", "CN¥9,400", "¥9,400"),  # short only from 10,000 on
        (9_999.6, "$10K", "CN¥10K", "¥1万"),  # it rounds to 10,000
        (999_999, "$1M", "CN¥1M", "¥100万"),
        (99_999_999, "$100M", "CN¥100M", "¥1亿"),
        (-600_000, "−$600K", "−CN¥600K", "−¥60万"),
        (-0.4, "$0", "CN¥0", "¥0"),  # nothing is not negative
        (float("nan"), MISSING, MISSING, MISSING),
        (None, MISSING, MISSING, MISSING),
    ],
)
def test_money_is_short_in_the_languages_own_units(value, dollars, yuan_in_english, yuan):
    assert EN.money(value) == dollars
    assert formats("en", "CNY").money(value) == yuan_in_english
    assert formats("zh", "CNY").money(value) == yuan


def test_money_in_full_is_grouped_and_named_for_the_reader():
    assert EN.money_full(1_240_350.4) == "$1,240,350"
    assert ZH.money_full(1_240_350.4) == "US$1,240,350"


@given(st.floats(1e4, 9e11))
def test_short_money_is_right_to_three_figures(value):
    units = {"K": 1e3, "M": 1e6, "B": 1e9}
    text = EN.money(value).removeprefix("$")
    read = float(text[:-1].replace(",", "")) * units[text[-1]]
    assert abs(read - value) <= value * 0.00501


@pytest.mark.parametrize(
    ("low", "high", "english", "chinese"),
    [
        (0.84, 1.01, "84–101%", "84%–101%"),
        (0.612, 0.634, "61.2–63.4%", "61.2%–63.4%"),  # narrower than 3 points
    ],
)
def test_ranges_of_shares(low, high, english, chinese):
    assert EN.percent_range(low, high) == english
    assert ZH.percent_range(low, high) == chinese


def test_a_chance_is_never_nothing_or_certain():
    assert [EN.chance(p) for p in (0.0, 0.004, 0.624, 0.996, 1.0)] == ["<1%", "<1%", "62%", ">99%", ">99%"]
    assert [ZH.chance(p) for p in (0.004, 0.624, 0.996)] == ["低于1%", "62%", "高于99%"]
    assert EN.chance_range(0.85, 0.9999) == "85% to >99%"
    assert ZH.chance_range(0.001, 0.2) == "低于1%至20%"
    assert EN.chance_range(0.2, 0.4) == "20–40%"


def test_differences_are_said_in_points():
    assert [EN.points(x) for x in (0.09, -0.01, 0.0)] == ["+9 points", "−1 point", "0 points"]
    assert ZH.points(-0.012, 1) == "−1.2个百分点"


def test_halves_round_away_from_zero_whatever_their_binary_form():
    # 0.145 is 0.14499999… in binary; 14.5 % rounds to 15 % for a reader.
    assert EN.percent(0.145) == "15%"
    assert EN.number(2.5) == "3"


def test_days_are_those_of_the_companys_clock():
    late = datetime(2026, 11, 23, 22, tzinfo=UTC)  # 06:00 on the 24th in Shanghai
    assert EN.moment(late) == "Nov 24, 06:00"
    assert ZH.moment(late) == "11月24日 06:00"
    assert EN.date(date(2026, 12, 18)) == "Dec 18"
    assert EN.date(date(2025, 12, 18)) == "Dec 18, 2025"
    assert ZH.date(date(2025, 12, 18)) == "2025年12月18日"


def test_time_passed_is_relative_under_seven_days():
    assert EN.ago(datetime(2026, 11, 24, 10, tzinfo=UTC)) == "2 hours ago"
    assert ZH.ago(datetime(2026, 11, 24, 10, tzinfo=UTC)) == "2小时前"
    assert EN.ago(datetime(2026, 11, 10, 10, tzinfo=UTC)) == "Nov 10"


def test_periods_carry_their_months():
    assert EN.period(period_of(date(2026, 11, 24))) == "Q4 FY2026 (Oct–Dec)"
    assert ZH.period(period_of(date(2026, 11, 24))) == "2026财年第四季度（10–12月）"
    # A fiscal year from April to March is named by its last day: October 2026 lies in the third quarter of FY2027.
    assert EN.period(period_of(date(2026, 11, 24), start_month=4)) == "Q3 FY2027 (Oct–Dec)"


@pytest.mark.parametrize("method", ["date", "moment", "ago"])
def test_a_missing_moment_is_a_dash(method):
    assert getattr(EN, method)(None) == MISSING
    assert getattr(EN, method)(pd.NaT) == MISSING
