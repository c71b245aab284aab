"""What features about who works on a deal are worth on past dates, on frames that can be worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from training.people import gain_from_people, sentence


def forecasts(**columns):
    return pd.DataFrame({"deal_id": ["a", "b"], "horizon_days": 90, "won": [True, False], "base_rate": 0.5, **columns})


def test_skill_with_and_without_and_what_is_saved():
    found = gain_from_people(forecasts(forecast=[0.8, 0.2], without_people=[0.5, 0.2])).iloc[0]
    # Losses: with -log .8 for each deal; without -log .5 = log 2 for a and -log .8 for b; the base rate's log 2 each.
    with_, without, base = -2 * np.log(0.8), np.log(2) - np.log(0.8), 2 * np.log(2)
    assert found["skill"] == pytest.approx(1 - with_ / base)  # .678
    assert found["skill_without"] == pytest.approx(1 - without / base)  # .339
    assert found["saved"] == pytest.approx(1 - with_ / without)  # .513
    # Two deals drawn with replacement: b twice one time in four, saving nothing; a twice one time in four, saving
    # 1 - log .8 / log .5 = .678. Both are more than 5 % of the draws, so they are the ends.
    assert found["saved_low"] == pytest.approx(0)
    assert found["saved_high"] == pytest.approx(1 - np.log(0.8) / np.log(0.5))
    assert (found["rows"], found["deals"]) == (2, 2)


def test_horizons_are_told_apart_and_a_gain_whose_interval_holds_0_is_not_certain():
    near = forecasts(forecast=[0.8, 0.2], without_people=[0.5, 0.2])
    far = forecasts(forecast=[0.8, 0.3], without_people=[0.7, 0.4]).assign(horizon_days=182)
    gains = gain_from_people(pd.concat([near, far]))
    assert sentence(gains, 90) == (
        "Who works on a deal: skill against the base rate 67.8% with such features, 33.9% without; they save 51.3% of "
        "the log loss (90% interval 0.0% to 67.8%), no certain gain."
    )
    # Both deals are forecast better: log .8 against log .7, and log .7 against log .6.
    assert gains.set_index("horizon_days").loc[182, "saved_low"] == pytest.approx(1 - np.log(0.7) / np.log(0.6))
    assert sentence(gains, 182).endswith("a certain gain.")


def test_where_nobody_looked_at_people_there_is_nothing_to_compare():
    same = forecasts(forecast=[0.8, 0.2], without_people=[0.8, 0.2])
    assert not len(gain_from_people(same))
    assert sentence(gain_from_people(same), 90) == "No forecast looked at who works on a deal."
