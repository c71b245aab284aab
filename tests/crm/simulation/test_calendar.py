"""Weeks, quarters, the rush before a quarter's end, working hours."""

from datetime import date

import numpy as np

from crm.simulation.calendar import Calendar, next_quarter, quarter_start, whole_weeks

DAY_US = 86_400_000_000


def test_a_history_is_whole_weeks_up_to_the_last_sunday():
    # 2026-11-20 is a Friday; the Sunday before is the 15th, so the first day after is Monday the 16th.
    start, weeks = whole_weeks(date(2026, 11, 20), 24)
    calendar = Calendar(start, weeks)
    assert weeks == 104  # 24 months of 30.44 days are 730.5 days, 104.4 weeks
    assert start.weekday() == 0
    assert calendar.end == date(2026, 11, 16)
    # A Sunday is the last day of its own history.
    assert Calendar(*whole_weeks(date(2026, 11, 15), 24)).end == date(2026, 11, 16)


def test_quarters_begin_on_their_first_day():
    assert quarter_start(date(2026, 11, 20)) == date(2026, 10, 1)
    assert next_quarter(date(2026, 11, 20)) == date(2027, 1, 1)
    assert next_quarter(date(2026, 1, 1)) == date(2026, 4, 1)


def test_work_is_done_on_weekdays_from_8_to_17():
    calendar = Calendar(date(2026, 6, 1), 10)
    times = calendar.working_time(2, np.linspace(0.0, 0.999999, 5_000)) - calendar.monday_us[2]
    day, rest = np.divmod(times, DAY_US)
    assert set(day.tolist()) == {0, 1, 2, 3, 4}
    assert rest.min() >= 8 * 3_600_000_000
    assert rest.max() < 17 * 3_600_000_000
    assert (rest % 1_000_000 == 0).all()


def test_in_the_week_of_a_quarters_end_most_wins_still_make_it():
    calendar = Calendar(date(2026, 6, 1), 10)
    week = 4  # Monday 2026-06-29; July begins on the Wednesday, day 2
    assert calendar.boundary_day[week] == 2
    draw = (np.arange(10_000) + 0.5) / 10_000
    july = calendar.monday_us[week] + 2 * DAY_US
    won = calendar.closing_time(week, draw, np.ones(10_000, dtype=bool)) < july
    lost = calendar.closing_time(week, draw, np.zeros(10_000, dtype=bool)) < july
    assert won.mean() == 0.85
    assert lost.mean() == 0.4  # two of five days
