"""The calendar's pull on closings."""

import numpy as np
import pandas as pd
import pytest

from models.win_calendar import ClosingCalendar, seconds_of
from models.win_curve import Curves

FIRST = pd.Timestamp("2024-01-01", tz="UTC")  # a Monday
DAY = pd.Timedelta(days=1)


def history(rush):
    """A thousand deals open a week for two years; four won a day, `rush` times as many on a quarter's last two."""
    days = pd.date_range(FIRST, periods=728, freq="D")
    times = 4 * np.where([(d + 2 * DAY).quarter != d.quarter for d in days], rush, 1)
    closings = days.repeat(times) + pd.Timedelta(hours=12)
    mondays = closings.floor("D") - pd.to_timedelta(closings.day_of_week, unit="D")
    won = pd.DataFrame({"as_of": mondays, "_closed_at": closings, "_outcome": "won"})
    weeks = pd.date_range(FIRST, periods=104, freq="7D").repeat(1_000)
    open_ = pd.DataFrame({"as_of": weeks, "_closed_at": pd.NaT, "_outcome": "open"})
    table = pd.concat([won.iloc[:0], open_, won], ignore_index=True)
    table["_closed_at"] = pd.to_datetime(table["_closed_at"], utc=True)
    return table.assign(deal_id=[f"d{i}" for i in range(len(table))])


UNTIL = FIRST + 728 * DAY


@pytest.fixture(scope="module")
def rushed():
    return ClosingCalendar().fit(history(6), UNTIL)


def pull(calendar, day, **days):
    start = seconds_of(pd.Series([pd.Timestamp(day, tz="UTC")]))
    return calendar.pull(start, np.array([days["low"]]), np.array([days["high"]]), won=True)[0]


def test_an_even_history_pulls_nowhere():
    calm = ClosingCalendar().fit(history(1), UNTIL)
    assert pull(calm, "2026-01-05", low=0.0, high=7.0) == pytest.approx(1, abs=0.1)
    assert pull(calm, "2026-03-29", low=0.0, high=3.0) == pytest.approx(1, abs=0.1)


def test_a_rush_at_quarter_ends_is_learnt_and_known_for_quarters_to_come(rushed):
    # A rush day counts six times an ordinary one; the mean day of two years is 1 + 5 x 16 / 728 = 1.11. Some is shrunk.
    assert pull(rushed, "2026-03-30", low=0.0, high=2.0) == pytest.approx(6 / 1.11, rel=0.25)
    assert pull(rushed, "2026-02-10", low=0.0, high=7.0) == pytest.approx(1 / 1.11, rel=0.15)
    assert pull(rushed, "2026-01-29", low=0.0, high=2.0) < 1.3  # a month's end that ends no quarter


def test_the_fiscal_year_says_which_months_end_a_quarter():
    shifted = ClosingCalendar(start_month=2).fit(history(6), UNTIL)
    # With quarters ending in January, April and so on, March is the second month of one, and so is June.
    assert pull(shifted, "2026-03-30", low=0.0, high=2.0) == pytest.approx(6 / 1.11, rel=0.25)
    assert pull(shifted, "2026-02-27", low=0.0, high=2.0) < 1.3
    # A calendar told of no quarter's end in March would take the rush of one month in three for every month's.
    assert pull(shifted, "2026-04-29", low=0.0, high=2.0) < 1.3


def test_inside_a_bin_the_share_follows_the_pull_and_meets_its_edges(rushed):
    curves = Curves(np.array([0.0, 14.0]), np.array([[0.0, 0.4]]), np.array([[0.0, 0.2]]))
    start = seconds_of(pd.Series([pd.Timestamp("2026-03-30", tz="UTC")]))  # two rush days, then twelve calm ones
    won = [rushed.by(curves, start, np.array([days]))[0][0] for days in (0.0, 2.0, 14.0, 99.0)]
    assert won[0] == 0
    assert won[2] == won[3] == pytest.approx(0.4)
    # 2 days of 6 against 12 of 1: half of the bin's share.
    assert won[1] == pytest.approx(0.2, rel=0.15)


def test_no_closings_pull_nowhere():
    rows = history(1)
    calm = ClosingCalendar().fit(rows[rows["_outcome"] == "open"], UNTIL)
    assert pull(calm, "2026-03-29", low=0.0, high=3.0) == pytest.approx(1)
