"""What counts how much in forecasts of who leaves, on made-up customers whose true odds are known."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from models.churn_choice import choose
from models.churn_core import RHYTHM, ChurnCore, ChurnMix, RhythmRate, mixed
from models.learners import safe_logit

HORIZON = pd.Timedelta(days=90)


def snapshots(slope, dates=12, n=150, seed=0):
    """Customers on dates four weeks apart; the log odds of leaving are -2 + slope x, x being their silence."""
    rng = np.random.default_rng(seed)
    end = pd.Timestamp("2026-01-01", tz="UTC")
    as_of = np.repeat([end - pd.Timedelta(days=28) * k for k in range(dates)], n)
    x = rng.normal(size=len(as_of))
    account = [f"a{k}" for k in np.tile(np.arange(n), dates)]
    X = pd.DataFrame({"account_id": account, "as_of": as_of, RHYTHM: x, "noise": rng.normal(size=len(x))})
    odds = -2 + slope * x
    return X, rng.random(len(x)) < 1 / (1 + np.exp(-odds)), odds


def test_silence_against_the_usual_gap_is_cut_into_five_bands_and_drawn_to_everybodys_share():
    X = pd.DataFrame({"account_id": range(100), RHYTHM: np.arange(100.0)})
    model = RhythmRate().fit(X, np.arange(100) >= 80)
    share = 20.5 / 101  # half a customer each way; only the last band of 20 left
    asked = pd.DataFrame({"account_id": [1, 2, 3], RHYTHM: [5.0, 95.0, np.nan]})
    expected = safe_logit(np.array([10 * share / 30, (20 + 10 * share) / 30, share]))
    np.testing.assert_allclose(model.logits(asked), expected)
    np.testing.assert_allclose(model.logits(asked, by_rhythm=False), safe_logit(np.full(3, share)))


def test_dates_of_one_customer_count_together_as_one():
    X = pd.DataFrame({"account_id": range(100), RHYTHM: np.arange(100.0)})
    left = np.arange(100) >= 80
    once = RhythmRate().fit(X, left)
    thrice = RhythmRate().fit(pd.concat([X] * 3, ignore_index=True), np.tile(left, 3))
    # Apart from the half customers in everybody's share, three times the same rows say nothing more.
    np.testing.assert_allclose(thrice.bands_, once.bands_, atol=0.02)


def test_a_mix_is_a_weighted_sum_on_the_log_odds():
    trees, linear, rate = (np.array([v]) for v in (1.0, 3.0, -2.0))
    # .25 x -2 + .75 x (.5 x 1 + .5 x 3)
    assert mixed((trees, linear), rate, ChurnMix(True, 0.5, 0.75))[0] == pytest.approx(1.0)


def test_the_shrink_counts_customers_of_the_rarer_kind_not_dates():
    X, left, _ = snapshots(1.5)
    X, left = X[X["as_of"] >= X["as_of"].max() - HORIZON], left[: 4 * 150]  # four dates: too short to try
    found = choose(X, left, HORIZON, 0)
    mix, trial = found.mix, found.gain
    gone, stayed = X.loc[left, "account_id"].nunique(), X.loc[~left, "account_id"].nunique()
    assert trial is None
    assert mix.strength == pytest.approx(min(gone, stayed) / (min(gone, stayed) + 5))


def test_what_decides_is_found_and_not_drawn_to_the_rate_too_hard():
    X, left, _ = snapshots(1.5)
    found = choose(X, left, HORIZON, 0)
    mix, trial = found.mix, found.gain
    assert trial is not None
    assert not trial.holds_zero
    core = ChurnCore(0).fit(X, left)
    later, came, _ = snapshots(1.5, dates=40, seed=1)
    slope = LogisticRegression(C=np.inf).fit(core.logits(later, mix)[:, None], came).coef_[0, 0]
    assert 0.8 < slope < 1.3  # 1 where forecasts are neither too timid nor too bold


def test_a_mix_that_was_decided_before_stands_and_its_past_forecasts_are_kept():
    X, left, _ = snapshots(1.5)
    given = ChurnMix(False, 1.0, 1.0)
    found = choose(X, left, HORIZON, 0, given=given)
    assert found.mix == found.form == given
    past = found.past
    # Every third of twelve dates is tried, 150 customers each; 90 days before the oldest of the four nothing is known.
    assert (past["as_of"].nunique(), len(past)) == (3, 450)
    ours, base = (-np.log(np.where(past["left"], past[p], 1 - past[p])).mean() for p in ("forecast", "base_rate"))
    assert found.gain.skill == pytest.approx(1 - ours / base)


def test_a_mix_that_was_decided_before_gives_way_to_the_rate_where_nothing_tells_any_more():
    X, left, _ = snapshots(0.0)
    given = ChurnMix(True, 1.0, 1.0)
    found = choose(X, left, HORIZON, 0, given=given)
    assert found.gain.low <= 0
    assert found.form == given  # more data may bear it out again
    assert (found.mix.strength, found.mix.by_rhythm) == (0.0, False)


def test_where_nothing_tells_everybody_gets_the_rate():
    X, left, _ = snapshots(0.0)
    found = choose(X, left, HORIZON, 0)
    mix, trial = found.mix, found.gain
    assert trial is not None
    assert trial.holds_zero
    assert mix.strength == 0
    assert not mix.by_rhythm


def test_reasons_add_up_to_the_log_odds_but_for_a_constant():
    X, left, _ = snapshots(1.5)
    core, mix = ChurnCore(0).fit(X, left), ChurnMix(True, 0.75, 0.6)
    rest = core.logits(X, mix) - core.contributions(X, mix).sum(axis=1)
    np.testing.assert_allclose(rest, rest[0], atol=1e-6)
