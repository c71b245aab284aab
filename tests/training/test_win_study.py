"""Win forecasts on a sample company against every rival, on six past dates and more; calibration on the same."""

import pandas as pd
import pytest

from crm.company import Company
from crm.lake import newest_event
from crm.simulate import lake_view, simulate
from training.backtest import backtest
from training.baselines import SIMPLE


@pytest.fixture(scope="module")
def found():
    sample = simulate(reps=60, months=30, seed=11)
    view, company = lake_view(sample), Company.parse(sample.settings)
    result = backtest(view, company, until=pd.Timestamp(newest_event(view)))
    for table in (result.summary, result.differences, *result.more.values()):
        print(table.to_string(), end="\n\n")  # noqa: T201 - a study is run for its figures
    print(result.verdict.en, result.verdict.zh, sep="\n")  # noqa: T201
    return result


@pytest.mark.slow_study
def test_there_are_six_past_dates(found):
    assert len(found.more["dates"]) >= 6


@pytest.mark.slow_study
@pytest.mark.parametrize("rival", SIMPLE)
def test_forecasts_beat_what_needs_no_model(found, rival):
    assert found.differences.set_index("rival").loc[rival, "low"] > 0


@pytest.mark.slow_study
@pytest.mark.parametrize("rival", ["logistic", "catboost"])
def test_forecasts_are_not_worse_than_learners_as_they_come(found, rival):
    compared = found.differences.set_index("rival")
    if rival not in compared.index:
        pytest.skip(f"{rival} is not installed")
    # Ours less theirs: the upper end of the interval lies below .005 of log loss.
    assert -compared.loc[rival, "low"] < 0.005


@pytest.mark.slow_study
def test_calibration_error_is_what_chance_alone_would_show(found):
    figures = found.more["calibration"].set_index("measure")["value"]
    assert figures["calibration_excess"] <= 0.01


@pytest.mark.slow_study
@pytest.mark.parametrize(("measure", "right"), [("slope", 1.0), ("intercept", 0.0)])
def test_slope_and_intercept_are_right(found, measure, right):
    row = found.more["calibration"].set_index("measure").loc[measure]
    assert abs(row["value"] - right) <= 0.1 or row["low"] <= right <= row["high"]
