"""Calibration measures against closed forms: what exact, too sure and shifted forecasts must show."""

import numpy as np
import pandas as pd
import pytest

from models.learners import probability, safe_logit
from training.reliability import by_segment, calibration_figures, floor, one_a_cut, reliability

N = 20_000


def forecasts(sure=1.0, shift=0.0, rows_a_deal=1, seed=5):
    """True odds drawn from a normal; forecasts are `sure` times as far from even odds, moved by `shift`."""
    rng = np.random.default_rng(seed)
    x = rng.normal(-0.5, 1.0, N // rows_a_deal)
    won = rng.random(len(x)) < probability(x)
    table = pd.DataFrame({"deal_id": np.arange(len(x)), "won": won, "forecast": probability(sure * x + shift)})
    return table.loc[table.index.repeat(rows_a_deal)].reset_index(drop=True)


def value(table, measure):
    return calibration_figures(table).loc[measure, "value"]


@pytest.mark.parametrize(("sure", "slope"), [(1.0, 1.0), (2.0, 0.5), (0.5, 2.0)])
def test_the_slope_is_one_over_how_much_too_sure(sure, slope):
    assert value(forecasts(sure), "slope") == pytest.approx(slope, rel=0.05)


def test_intervals_hold_the_truth_nine_times_of_ten():
    found = [calibration_figures(forecasts(seed=seed).head(800)) for seed in range(60)]
    for measure, truth in (("slope", 1.0), ("intercept", 0.0)):
        held = [f.loc[measure, "low"] < truth < f.loc[measure, "high"] for f in found]
        # Two standard errors of a share of .9 in 60 draws are .08.
        assert np.mean(held) == pytest.approx(0.9, abs=0.08)


def test_a_shift_of_the_log_odds_is_the_intercept():
    assert value(forecasts(shift=0.4), "intercept") == pytest.approx(-0.4, abs=0.05)


def test_exact_forecasts_err_as_much_as_the_floor_and_too_sure_ones_more():
    exact, sure = (calibration_figures(forecasts(s)) for s in (1.0, 2.0))
    assert exact.loc["calibration_excess", "value"] < 0.005
    assert sure.loc["calibration_excess", "low"] > 0.05


def test_parts_of_the_brier_score_add_up_to_it():
    """The part within bins is worked out here from its own formula: spread of forecasts less twice the covariance."""
    table = forecasts(1.5)
    bins = np.empty(N, dtype=int)
    for number, group in enumerate(np.array_split(np.argsort(table["forecast"], kind="stable"), 10)):
        bins[group] = number
    mean = table.groupby(bins)[["forecast", "won"]].transform("mean")
    off = table["forecast"] - mean["forecast"]
    within = (off**2 - 2 * off * (table["won"] - mean["won"])).mean()
    found = calibration_figures(table)["value"]
    assert found["within_bins"] == pytest.approx(within, abs=1e-12)
    assert found["brier"] == pytest.approx(((table["forecast"] - table["won"]) ** 2).mean())
    total = found["reliability"] - found["resolution"] + found["uncertainty"] + within
    assert found["brier"] == pytest.approx(total, abs=1e-12)


def test_the_floor_of_equal_forecasts_is_a_half_normal_mean():
    # A bin's share of n / 10 rows has a standard deviation of sqrt(.21 / 300); a |normal|'s mean is sqrt(2 / pi) of it.
    p = np.full(3_000, 0.3)
    assert floor(p) == pytest.approx(np.sqrt(2 / np.pi) * np.sqrt(0.21 / 300), rel=0.1)


def test_rows_of_one_deal_share_their_luck_in_the_floor():
    # Four rows a deal in each bin are a quarter as many draws of luck: the floor is twice as high.
    p, deal = np.full(4_000, 0.3), np.repeat(np.arange(1_000), 4)
    assert floor(p, deal=deal) == pytest.approx(2 * floor(p), rel=0.15)


def test_the_interval_is_over_deals_not_rows():
    alone, fourfold = (calibration_figures(forecasts(rows_a_deal=k)).loc["log_loss"] for k in (1, 4))
    # A quarter of the deals, each four times: the interval is twice as wide.
    assert fourfold["high"] - fourfold["low"] == pytest.approx(2 * (alone["high"] - alone["low"]), rel=0.2)


def test_the_interval_of_the_log_loss_is_that_of_a_mean():
    table = forecasts()
    loss = -np.log(np.where(table["won"], table["forecast"], 1 - table["forecast"]))
    found = calibration_figures(table).loc["log_loss"]
    assert found["value"] == pytest.approx(loss.mean())
    # Normal approximation: 1.645 standard errors each way.
    assert found["high"] - found["low"] == pytest.approx(2 * 1.645 * loss.std() / np.sqrt(N), rel=0.15)


@pytest.mark.parametrize("rows", [60, 400, N])
def test_every_interval_holds_its_value(rows):
    found = calibration_figures(forecasts().head(rows))
    assert ((found["low"] <= found["value"]) & (found["value"] <= found["high"])).all()


@pytest.mark.parametrize("won", [True, False])
def test_one_outcome_has_no_slope_and_every_other_figure(won):
    table = forecasts().head(200).assign(won=won)
    found = calibration_figures(table)["value"]
    assert found.drop(["slope", "intercept"]).notna().all()
    assert found[["slope", "intercept"]].isna().all()


def test_equal_forecasts_have_no_slope_but_an_intercept():
    table = pd.DataFrame({"deal_id": range(1_000), "won": [True] * 300 + [False] * 700, "forecast": 0.5})
    found = calibration_figures(table)["value"]
    assert np.isnan(found["slope"])
    assert found["intercept"] == pytest.approx(safe_logit(np.array([0.3]))[0], abs=1e-6)


def test_forecasts_without_a_miss_have_no_finite_slope():
    table = pd.DataFrame({"deal_id": range(40), "won": [True] * 20 + [False] * 20, "forecast": [0.9] * 20 + [0.1] * 20})
    assert np.isnan(value(table, "slope"))


def test_no_forecasts_have_no_figures():
    empty = pd.DataFrame({"deal_id": [], "won": [], "forecast": []})
    assert not len(calibration_figures(empty))
    assert not len(reliability(np.array([]), []))


def test_bins_of_exact_forecasts_lie_in_their_range_nine_times_of_ten():
    rng = np.random.default_rng(3)
    inside = []
    for _ in range(20):
        p = rng.random(2_000)
        bins = reliability(p, rng.random(2_000) < p)
        inside.append(bins["realised"].between(bins["low"], bins["high"]).mean())
    # 200 bins at 90 %: two standard errors are .042; ties at the ends of a range add a little.
    assert np.mean(inside) == pytest.approx(0.9, abs=0.05)


def test_bins_hold_equal_numbers_in_order():
    p = np.array([0.1, 0.9, 0.2, 0.8, 0.3, 0.7])
    found = reliability(p, [False, True, False, True, True, True], bins=3)
    np.testing.assert_allclose(found["forecast"], [0.15, 0.5, 0.85])
    np.testing.assert_allclose(found["realised"], [0.0, 1.0, 1.0])
    assert list(found["rows"]) == [2, 2, 2]


def test_one_forecast_a_deal_and_date_is_kept_the_last():
    table = pd.DataFrame({"deal_id": ["a", "a", "b"], "as_of": [1, 1, 1], "forecast": [0.1, 0.2, 0.3]})
    assert list(one_a_cut(table)["forecast"]) == [0.2, 0.3]


def test_a_part_that_is_off_is_seen_and_small_ones_are_left_out():
    good, bad = forecasts().head(4_000), forecasts(shift=1.0, seed=6).head(4_000)
    table = pd.concat([good.assign(stage="fine"), bad.assign(stage="high"), good.head(50).assign(stage="few")])
    found = by_segment(table, ["stage", "not_there"]).set_index("value")
    assert set(found.index) == {"fine", "high"}
    assert found.loc["high", "intercept_high"] < -0.8
    assert found.loc["fine", "intercept_low"] < 0 < found.loc["fine", "intercept_high"]
