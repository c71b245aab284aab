"""Figures of past forecasts against values worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from training.metrics import difference, win_metrics


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


def test_a_certain_difference_has_the_interval_of_a_mean():
    rng = np.random.default_rng(1)
    saved = rng.normal(0.1, 1.0, 4_000)
    found = difference(np.zeros(4_000), saved, range(4_000))
    assert found.mean == pytest.approx(saved.mean())
    # Normal approximation: 1.645 standard errors each way.
    assert found.high - found.low == pytest.approx(2 * 1.645 * saved.std() / np.sqrt(4_000), rel=0.1)
    assert found.certain == 1
    assert difference(saved, np.zeros(4_000), range(4_000)).certain == -1


def test_units_are_drawn_whole():
    rng = np.random.default_rng(2)
    saved = np.repeat(rng.normal(0.0, 1.0, 1_000), 4)
    found = difference(np.zeros(4_000), saved, np.repeat(np.arange(1_000), 4))
    assert found.units == 1_000
    assert found.high - found.low == pytest.approx(2 * 1.645 * saved.std() / np.sqrt(1_000), rel=0.1)


def test_nothing_to_compare_is_uncertain():
    assert difference(np.zeros(0), np.zeros(0), []).certain == 0
