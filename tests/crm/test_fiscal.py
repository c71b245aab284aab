"""The fiscal calendar: names and bounds written out, and that periods tile time without gap or overlap."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.fiscal import period_of, previous, week_period_of

DAYS = st.dates(date(1990, 1, 1), date(2060, 12, 31))
GRAINS = st.sampled_from(["year", "quarter", "month", "week"])
MONTHS = st.integers(1, 12)
NAMED = st.sampled_from(["start", "end"])
LONGEST = {"year": 366, "quarter": 92, "month": 31, "week": 7}
SHORTEST = {"year": 365, "quarter": 89, "month": 28, "week": 7}


@pytest.mark.parametrize(
    ("day", "grain", "start_month", "named_by", "name", "start", "end"),
    [
        ("2026-03-31", "quarter", 1, "end", "FY2026-Q1", "2026-01-01", "2026-04-01"),
        ("2026-03-31", "quarter", 4, "end", "FY2026-Q4", "2026-01-01", "2026-04-01"),
        ("2026-04-01", "quarter", 4, "end", "FY2027-Q1", "2026-04-01", "2026-07-01"),
        ("2026-04-01", "quarter", 4, "start", "FY2026-Q1", "2026-04-01", "2026-07-01"),
        ("2026-01-31", "quarter", 2, "end", "FY2026-Q4", "2025-11-01", "2026-02-01"),
        ("2026-12-31", "year", 7, "end", "FY2027", "2026-07-01", "2027-07-01"),
        ("2026-12-31", "month", 7, "end", "FY2027-P06", "2026-12-01", "2027-01-01"),
        ("2024-02-29", "month", 1, "end", "FY2024-P02", "2024-02-01", "2024-03-01"),
        # 1 January 2026 is a Thursday: its week, from Monday 29 December, is the first of 2026 for all its days.
        ("2025-12-30", "week", 1, "end", "FY2026-W01", "2025-12-29", "2026-01-05"),
        ("2026-01-04", "week", 1, "end", "FY2026-W01", "2025-12-29", "2026-01-05"),
        ("2026-01-05", "week", 1, "end", "FY2026-W02", "2026-01-05", "2026-01-12"),
        ("2025-12-28", "week", 1, "end", "FY2025-W52", "2025-12-22", "2025-12-29"),
    ],
)
def test_a_day_falls_in_its_period(day, grain, start_month, named_by, name, start, end):
    period = period_of(date.fromisoformat(day), grain, start_month=start_month, named_by=named_by)
    assert (period.name, period.start.isoformat(), period.end.isoformat()) == (name, start, end)


@given(DAYS, GRAINS, MONTHS, NAMED)
def test_periods_tile_time(day, grain, start_month, named_by):
    year = {"start_month": start_month, "named_by": named_by}
    period = period_of(day, grain, **year)
    assert period.start <= day < period.end
    assert SHORTEST[grain] <= period.days <= LONGEST[grain]
    assert period_of(period.start, grain, **year) == period == period_of(period.end - timedelta(days=1), grain, **year)
    assert previous(period_of(period.end, grain, **year), grain, **year) == period


@given(DAYS, MONTHS)
def test_a_year_has_four_quarters_of_three_months(day, start_month):
    year = period_of(day, "year", start_month=start_month)
    days = [year.start + timedelta(days=n) for n in range(year.days)]
    quarters = {period_of(d, "quarter", start_month=start_month) for d in days}
    months = {period_of(d, "month", start_month=start_month) for d in days}
    assert sorted(q.name[-2:] for q in quarters) == ["Q1", "Q2", "Q3", "Q4"]
    assert sum(q.days for q in quarters) == sum(m.days for m in months) == year.days
    assert len(months) == 12


def test_bounds_are_midnights_of_the_time_zone():
    start, end = period_of(date(2026, 3, 1), "month").bounds("Europe/Berlin")
    # Winter time is one hour ahead of UTC; on 1 April summer time holds, two hours ahead.
    assert start.astimezone(UTC) == datetime(2026, 2, 28, 23, tzinfo=UTC)
    assert end.astimezone(UTC) == datetime(2026, 3, 31, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "grain", "name", "start", "end"),
    [
        ("2023-06-01", "year", "FY2024", "2023-01-29", "2024-02-04"),
        ("2023-01-29", "month", "FY2024-P01", "2023-01-29", "2023-02-26"),
        # 53 weeks: the extra one makes P12 six weeks long, and Q4 fourteen.
        ("2024-02-03", "month", "FY2024-P12", "2023-12-24", "2024-02-04"),
        ("2024-02-03", "quarter", "FY2024-Q4", "2023-10-29", "2024-02-04"),
        ("2024-02-03", "week", "FY2024-W53", "2024-01-28", "2024-02-04"),
        ("2024-02-04", "year", "FY2025", "2024-02-04", "2025-02-02"),
    ],
)
def test_e1_2_months_of_four_four_and_five_weeks(day, grain, name, start, end):
    period = week_period_of(
        date.fromisoformat(day), grain, months="445", start_month=2, week_ends_on="saturday", year_ends="nearest"
    )
    assert (period.name, period.start.isoformat(), period.end.isoformat()) == (name, start, end)


def test_e1_2_years_of_53_weeks_by_the_last_saturday_of_december():
    # The last Saturdays of December: 31 (2022), 30 (2023), 28, 27, 26, 25 (2027), 30 (2028).
    ends = {2022: "2022-12-31", 2023: "2023-12-30", 2025: "2025-12-27", 2028: "2028-12-30"}
    years = {y: week_period_of(date(y, 6, 1), "year", months="445") for y in range(2022, 2029)}
    assert {y: (years[y].end - timedelta(days=1)).isoformat() for y in ends} == ends
    assert [y for y, year in years.items() if year.days == 53 * 7] == [2022, 2028]
    assert all(year.days in (52 * 7, 53 * 7) and year.name == f"FY{y}" for y, year in years.items())


@given(
    DAYS,
    GRAINS,
    st.fixed_dictionaries(
        {
            "months": st.sampled_from(["445", "454", "544"]),
            "start_month": MONTHS,
            "week_ends_on": st.sampled_from(["friday", "saturday", "sunday"]),
            "year_ends": st.sampled_from(["last", "nearest"]),
            "named_by": NAMED,
        }
    ),
)
def test_periods_of_weeks_tile_time_too(day, grain, calendar):
    period = week_period_of(day, grain, **calendar)
    assert period.start <= day < period.end
    assert period.days % 7 == 0
    assert week_period_of(period.start, grain, **calendar) == period
    assert week_period_of(period.end - timedelta(days=1), grain, **calendar) == period
    following = week_period_of(period.end, grain, **calendar)
    assert (following.start, following.name != period.name) == (period.end, True)
