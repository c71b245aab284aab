"""Figures of past forecasts against values worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from training.metrics import reliability, win_metrics


def test_figures_of_three_forecasts_by_hand():
    table = pd.DataFrame(
        {"deal_id": ["a", "b", "c"], "won": [True, False, True], "forecast": [0.8, 0.4, 0.5], "base_rate": [0.5] * 3}
    )
    found = win_metrics(table)
    loss = -(np.log(0.8) + np.log(0.6) + np.log(0.5)) / 3
    assert found["log_loss"] == pytest.approx(loss)
    assert found["brier"] == pytest.approx((0.04 + 0.16 + 0.25) / 3)
    assert found["skill"] == pytest.approx(1 - loss / np.log(2))
    assert found["mean_forecast"] == pytest.approx(1.7 / 3)
    assert found["realised_share"] == pytest.approx(2 / 3)


def test_no_forecasts_have_no_figures():
    assert win_metrics(pd.DataFrame()) == {}


def test_bins_of_exact_forecasts_lie_in_their_range_nine_times_of_ten():
    rng = np.random.default_rng(3)
    inside = []
    for _ in range(20):
        p = rng.random(2_000)
        bins = reliability(p, rng.random(2_000) < p)
        inside.append(bins["realised"].between(bins["low"], bins["high"]).mean())
    # 200 bins at 90 %: two standard errors are .042; ties at the ends of a range add a little.
    assert np.mean(inside) == pytest.approx(0.9, abs=0.05)
