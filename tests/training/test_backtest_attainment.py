"""Plain forecasts of a period against sums by hand, and the backtest of a small company's quarters."""

import numpy as np
import pandas as pd
import pytest

from models.rollup import People, credits_of
from training.backtest_attainment import backtest_attainment, past_moments, pinball
from training.backtest_result import TooShort
from training.baselines.attainment import WAYS, NoPastPeriods, PeriodBaseline, PeriodMoment, new_business

T0 = pd.Timestamp("2026-01-01", tz="UTC")
DAYS = pd.Timedelta(days=1)


def moment(quarter, actual, *, closed=(10.0, 20.0), point=(100.0, 200.0), age=0.5):
    """Two reps and nobody, 90-day quarters; every way says `point`."""
    start = T0 + 90 * quarter * DAYS
    people = People(["a", "b", ""], {}, frozenset({"a", "b"}), {})
    point = np.array([*point, 0.0])
    return PeriodMoment(
        start + 90 * age * DAYS, start, start + 90 * DAYS, people, np.array([*closed, 0.0]), np.array([*actual, 0.0]),
        dict.fromkeys(WAYS, point), np.repeat(point[:, None], 5, axis=1), np.array([50.0, 100.0, 1.0]),
        np.array([True, True, False]),
    )  # fmt: skip


def test_ranges_come_from_own_past_errors_in_units_of_what_a_rep_books():
    # Errors of the past quarter: (150 - 100) / 50 = 1 and (100 - 200) / 100 = -1, so quantiles .1 .5 .9 are -.8 0 .8.
    said = PeriodBaseline("run_rate").fit([moment(0, (150.0, 100.0))], before=T0 + 90 * DAYS).predict(moment(1, (0, 0)))
    np.testing.assert_allclose(said[:2], [[60.0, 100.0, 140.0], [120.0, 200.0, 280.0]])


def test_a_range_never_lies_below_what_is_closed():
    past = [moment(0, (0.0, 0.0))]
    said = PeriodBaseline("run_rate").fit(past, before=T0 + 90 * DAYS).predict(moment(1, (0, 0), closed=(90.0, 190.0)))
    assert (said[:2, 0] >= [90.0, 190.0]).all()


def test_the_companys_range_comes_from_errors_of_the_sum():
    # Past sums: 450 and 150 against 300 said; in units of 151 usual these are +150 / 151 and -150 / 151.
    past = [moment(0, (200.0, 250.0)), moment(1, (50.0, 100.0))]
    said = PeriodBaseline("last_year").fit(past, before=T0 + 180 * DAYS).predict_company(moment(2, (0, 0)))
    np.testing.assert_allclose(said, [300 - 0.8 * 150, 300, 300 + 0.8 * 150])


def test_errors_of_a_period_that_is_not_over_are_not_known():
    with pytest.raises(NoPastPeriods, match="Import more history"):
        PeriodBaseline("run_rate").fit([moment(0, (1.0, 1.0))], before=T0 + 89 * DAYS)


def test_new_business_counts_the_windows_that_hold_a_win_from_start_to_end():
    people = People(["a", "b", ""], {}, frozenset({"a", "b"}), {})
    shares = pd.DataFrame(
        {
            "rep_id": ["a", "a", "b", "b"], "won": [True, True, True, False], "share": 1.0,
            "amount": [100.0, 100.0, 500.0, np.nan],
            "created_at": [T0 - 50 * DAYS, T0 - 90 * DAYS, T0 - 500 * DAYS, T0 - 20 * DAYS],
            "closed_at": [T0 - 40 * DAYS, T0 - 40 * DAYS, T0 - 400 * DAYS, T0 - 10 * DAYS],
        }
    )  # fmt: skip
    # Within 30 days: the first win (10 days) lies whole in 20 of 365 windows; the second took 50 days, the third is
    # more than a year old, the fourth was lost. a has one such win: 1/11 own, 10/11 of the mean of two reps.
    own, mean = 100 * 20 / 365, 100 * 20 / 365 / 2
    found = new_business(shares, people, at=T0, days=30.0)
    np.testing.assert_allclose(found, [own / 11 + mean * 10 / 11, mean, 0.0])


def test_pinball_by_hand():
    table = pd.DataFrame({"actual": [10.0], "q10": [4.0], "q50": [8.0], "q90": [16.0]})
    # .1 * 6 + .5 * 2 + (1 - .9) * 6, a third of it.
    assert pinball(table)[0] == pytest.approx((0.6 + 1.0 + 0.6) / 3)


@pytest.fixture(scope="module")
def moments(tiny, tiny_rows):
    return past_moments(tiny.view, tiny.company, tiny_rows, tiny.until)


def test_what_is_closed_and_what_came_are_plain_sums(tiny, moments):
    shares = credits_of(tiny.view, tiny.company)
    won = shares[shares["won"]]
    assert len(moments) >= 4
    for m in moments:
        inside = won[(won["closed_at"] >= m.start) & (won["closed_at"] < m.end)]
        by_rep = (inside["share"] * inside["amount"]).groupby(inside["rep_id"]).sum().reindex(m.people.reps).fillna(0)
        np.testing.assert_allclose(m.actual, by_rep)
        then = inside[inside["closed_at"] <= m.at]
        by_then = (then["share"] * then["amount"]).groupby(then["rep_id"]).sum().reindex(m.people.reps).fillna(0)
        np.testing.assert_allclose(m.closed, by_then)
        np.testing.assert_allclose(m.points["run_rate"], by_then / m.age)


def test_redrawn_weeks_add_what_the_past_years_weeks_brought_on_average(tiny, moments):
    m = moments[-1]
    shares = credits_of(tiny.view, tiny.company)
    year = shares[shares["won"] & (shares["closed_at"] < m.at) & (shares["closed_at"] >= m.at - 364 * DAYS)]
    on_record = np.ceil((m.at - shares.loc[shares["won"], "closed_at"].min()) / (7 * DAYS))
    a_week = (year["share"] * year["amount"]).sum() / min(52, on_record)
    weeks = (m.end - m.at) / (7 * DAYS)
    # 400 draws of some weeks each: the mean of the sum lies within a tenth.
    assert m.points["redrawn_weeks"].sum() == pytest.approx(m.closed.sum() + a_week * weeks, rel=0.1)


@pytest.fixture(scope="module")
def result(tiny):
    return backtest_attainment(
        tiny.view, tiny.company, until=tiny.until, folder=tiny.home / "snapshots", dates=2, tracking=tiny.tracking
    )


def test_each_way_is_judged_on_the_same_reps_and_quarters(result, tiny):
    reps = result.table[result.table["level"] == "rep"]
    counts = reps.groupby("way").size()
    assert set(counts.index) == {"forecast", *WAYS}
    assert counts.nunique() == 1
    assert (result.table["as_of"] < tiny.until).all()
    assert result.table[["q10", "q50", "q90"]].notna().all(axis=None)
    assert (np.diff(result.table[["q10", "q50", "q90"]], axis=1) >= -1e-6).all()


def test_the_companys_actual_is_the_sum_of_all_reps(result, moments):
    totals = {m.at: m.actual.sum() for m in moments}
    whole = result.table[result.table["level"] == "company"]
    assert len(whole)
    for row in whole.itertuples():
        assert row.actual == pytest.approx(totals[row.as_of])


def test_the_verdict_names_the_plain_ways_and_how_few_dates_there_were(tiny, result):
    assert "the run-rate" in result.verdict.en
    assert "季末业绩" in result.verdict.zh
    assert result.more["dates"].shape[0] == 2


def test_a_history_without_two_quarters_is_too_short(tiny, tiny_rows):
    with pytest.raises(TooShort, match="Import more history"):
        backtest_attainment(tiny.view, tiny.company, until=tiny_rows["as_of"].min() + 100 * DAYS)
