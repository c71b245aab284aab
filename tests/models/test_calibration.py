"""Maps of win curves, kept only where they help on later dates, and the calibration error."""

import numpy as np
import pandas as pd
import pytest

from models.calibration import (
    Isotonic,
    PastForecast,
    Sigmoid,
    calibrated,
    calibration_error,
    fit_calibrator,
    keep_if_better,
)
from models.learners import probability, safe_logit
from models.win_curve import curves_of

START = pd.Timestamp("2025-06-02", tz="UTC")
WEEK = pd.Timedelta(days=7)
EDGES = np.array([0.0, 7.0, 14.0, 21.0])


def past(cut, deals, wrong_by, seed):
    """Deals whose weekly odds of a win are known; the forecast is off by `wrong_by` on the log odds."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.1, 0.5, deals)
    lost = np.full(deals, 0.1)
    closed, outcome = [], []
    for w in p:
        end = None
        for week in range(3):
            u = rng.random()
            if u < w or u < w + (1 - w) * 0.1:
                end = (week, "won" if u < w else "lost")
                break
        closed.append(cut + (end[0] + 0.5) * WEEK if end else pd.NaT)
        outcome.append(end[1] if end else "open")
    rows = pd.DataFrame({"deal_id": [f"{seed}-{i}" for i in range(deals)], "as_of": cut, "_outcome": outcome})
    rows["_closed_at"] = pd.to_datetime(pd.Series(closed), utc=True)
    said = probability(safe_logit(p) + wrong_by)
    return PastForecast(cut, rows, curves_of(EDGES, np.tile(said[:, None], 3), np.tile(lost[:, None], 3)))


def forecasts(wrong_by, deals=800):
    return [past(START + 4 * k * WEEK, deals, wrong, seed=k) for k, wrong in enumerate(wrong_by)]


END = START + 40 * WEEK


def test_a_lasting_bias_is_taken_out():
    kind, calibrator = keep_if_better(forecasts([1.0, 1.0, 1.0]), END, 21.0)
    assert kind == "sigmoid" or kind == "isotonic"
    # The forecasts' log odds are 1 too high: .5 said is really expit(0 - 1) = .27.
    assert calibrator is not None
    assert calibrator(np.array([0.5]))[0] == pytest.approx(0.27, abs=0.05)


def test_good_forecasts_are_left_alone():
    assert keep_if_better(forecasts([0.0, 0.0, 0.0]), END, 21.0) == ("none", None)


def test_an_odd_last_month_does_not_decide():
    # Right, right, then 1 too high: a map fitted on the right ones cannot have helped, so none is kept.
    assert keep_if_better(forecasts([0.0, 0.0, 1.0]), END, 21.0)[0] == "none"


def test_two_dates_are_too_few_to_keep_anything():
    assert keep_if_better(forecasts([1.0, 1.0]), END, 21.0) == ("none", None)


def test_calibration_moves_the_whole_curve_and_keeps_it_one():
    curves = forecasts([0.0])[0].curves
    moved = calibrated(curves, Sigmoid().fit(np.array([0.2, 0.3, 0.4, 0.5] * 50), np.array([True, False] * 100)))
    assert moved.won.shape == curves.won.shape
    assert (np.diff(moved.won, axis=1) >= 0).all()
    assert (moved.won + moved.lost <= 1 + 1e-12).all()


def test_isotonic_rises():
    rng = np.random.default_rng(0)
    p = rng.random(2_000)
    fitted = Isotonic().fit(p, rng.random(2_000) < p)
    assert (np.diff(fitted(np.linspace(0, 1, 50))) >= 0).all()


def test_calibration_error_by_hand():
    # Two bins of two: .1, .1 with one won (|.2 - 1| = .8) and .9, .9 with both won (|1.8 - 2| = .2): 1.0 over 4.
    p, y = np.array([0.1, 0.1, 0.9, 0.9]), np.array([True, False, True, True])
    assert calibration_error(p, y, bins=2) == pytest.approx(0.25)


def test_without_past_forecasts_there_is_no_calibrator():
    assert fit_calibrator("sigmoid", [], END) is None
