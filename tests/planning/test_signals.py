"""Where plan and reality part, and the market's trend."""

import numpy as np
import pandas as pd
import pytest

from planning.signals import behind, psi
from planning.trend import market_trend


def test_below_the_forecast_of_the_start_by_the_share_due():
    # p10 80, p50 100; half due: 40 is the limit, 50 - 1.2835 * 10 = 37.2 the lower one.
    assert [behind(x, 80.0, 100.0, 0.5) for x in (41.0, 39.0, 37.0)] == ["", "p10", "p5"]


def test_psi_of_two_mixes():
    # (0.6 - 0.5) ln 1.2 + (0.4 - 0.5) ln 0.8 = 0.018232 + 0.022314.
    assert psi({"a": 0.6, "b": 0.4}, {"a": 0.5, "b": 0.5}) == pytest.approx(0.040547, abs=1e-6)
    assert psi({"a": 1.0}, {"a": 1.0}) == 0.0


def a_series(months, last):
    season = 100 + 30 * np.sin(np.arange(months) * 2 * np.pi / 12)
    noise = np.random.default_rng(3).normal(0, 2, months)
    values = season + noise
    values[-1] = last if last is not None else values[-1]
    return pd.Series(values, index=[f"m{n}" for n in range(months)])


def test_a_month_like_those_before_is_inside_its_band():
    found = market_trend(a_series(36, None))
    assert not found.outside
    assert found.method == min(found.losses, key=found.losses.get)


def test_a_slump_lies_outside():
    found = market_trend(a_series(36, 20.0))
    assert found.outside
    assert found.actual < found.low < found.expected < found.high


def test_too_few_months_tell_nothing():
    assert market_trend(pd.Series(np.arange(8.0))) is None


def test_a_pure_season_is_best_told_by_the_year_before():
    # The same twelve values again and again: the naive way makes no error at all.
    values = np.tile([5.0, 1, 9, 2, 7, 3, 8, 4, 6, 10, 0, 11], 4)
    found = market_trend(pd.Series(values, index=[f"m{n}" for n in range(48)]))
    assert found.losses["seasonal naive"] == pytest.approx(0.0, abs=1e-9)
    assert found.expected == pytest.approx(values[-1], abs=0.5)
