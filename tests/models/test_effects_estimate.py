"""The estimator against worlds whose truth is known, and its error against closed forms."""

import numpy as np
import pandas as pd
import pytest

from models.effects_estimate import Confounders, clustered, either_way, estimate, plain_difference


def world(effect, *, n=4000, seed=0):
    """Deals of four weeks: `fit` raises both the chance of the action and the outcome; the effect is as given."""
    rng = np.random.default_rng(seed)
    deals = np.repeat(np.arange(n // 4), 4)
    fit = np.repeat(rng.normal(size=n // 4), 4)
    chance = 1 / (1 + np.exp(-(-1 + 1.2 * fit)))
    treated = rng.random(n) < chance
    y = (rng.random(n) < 0.3 + 0.1 * np.clip(fit, -2, 2) + effect * treated).astype(float)
    X = pd.DataFrame({"deal_id": deals, "fit": fit, "noise": rng.normal(size=n)})
    return X, y, treated, deals


@pytest.mark.parametrize("learner", ["linear", "trees"])
@pytest.mark.parametrize("effect", [0.0, 0.15])
def test_the_true_effect_lies_in_the_interval_and_the_plain_comparison_misses_it(learner, effect):
    X, y, treated, deals = world(effect)
    found = estimate(Confounders.of(X), y, treated, deals=deals, learner=learner)
    # Four errors: five in a hundred thousand fall outside by chance.
    assert abs(found.mean.value - effect) < 4 * found.mean.se
    assert found.mean.se < 0.03
    plain = plain_difference(y, treated, deals)
    assert plain.low > effect + 0.02


def test_scores_average_to_the_effect_and_overlap_is_the_share_between_the_limits():
    X, y, treated, deals = world(0.1)
    found = estimate(Confounders.of(X), y, treated, deals=deals)
    assert found.scores.mean() == pytest.approx(found.everyone.value)
    assert np.average(found.scores, weights=found.weights) == pytest.approx(found.mean.value)
    assert found.overlap == pytest.approx(((found.chance > 0.02) & (found.chance < 0.98)).mean())
    assert 0 <= found.clipped <= 1 - found.overlap


def test_an_outcome_that_is_not_binary_is_estimated_too():
    X, y, treated, deals = world(0.15)
    doubled = estimate(Confounders.of(X), 2 * y, treated, deals=deals)
    assert abs(doubled.mean.value - 0.30) < 4 * doubled.mean.se


def test_the_error_counts_rows_of_a_cluster_once():
    # Each score stands four times: as four independent rows the error would be half as large.
    rng = np.random.default_rng(0)
    single = rng.normal(size=500)
    once = clustered(single, np.arange(500))
    repeated = clustered(np.repeat(single, 4), np.repeat(np.arange(500), 4))
    assert repeated.se == pytest.approx(once.se)
    assert once.se == pytest.approx(single.std() / np.sqrt(500))
    assert clustered(np.repeat(single, 4), np.arange(2000)).se == pytest.approx(once.se / 2)


def test_rows_that_could_have_gone_either_way_count_most():
    # .5 x .5 = .25 against .1 x .9 = .09.
    weights = either_way(np.array([0.5, 0.1]))
    assert weights == pytest.approx(np.array([0.25, 0.09]) / 0.17)
    scores = np.array([1.0, 0.0, 0.0, 0.0])
    found = clustered(scores, np.arange(4), np.array([3.0, 1.0, 1.0, 1.0]))
    assert found.value == pytest.approx(0.5)
    # sqrt((3 x .5)^2 + 3 x .5^2) / 6
    assert found.se == pytest.approx(np.sqrt(2.25 + 0.75) / 6)


def test_where_the_action_is_rare_in_places_the_weights_make_the_error_smaller():
    rng = np.random.default_rng(3)
    n = 6000
    fit = rng.normal(size=n)
    chance = 1 / (1 + np.exp(-(-2.5 + 1.5 * fit)))
    treated = rng.random(n) < chance
    y = (rng.random(n) < 0.4 + 0.1 * treated).astype(float)
    X = pd.DataFrame({"deal_id": np.arange(n), "fit": fit, "noise": rng.normal(size=n)})
    found = estimate(Confounders.of(X), y, treated, deals=np.arange(n))
    assert found.mean.se < 0.8 * found.everyone.se
    assert abs(found.mean.value - 0.1) < 4 * found.mean.se


def test_the_plain_difference_of_independent_rows_has_the_textbook_error():
    y = np.array([1.0, 0, 1, 1, 0, 0, 1, 0, 0, 0])
    treated = np.arange(10) < 4
    found = plain_difference(y, treated, np.arange(10))
    # 3 of 4 against 1 of 6; variance p(1-p)/n of each.
    assert found.value == pytest.approx(3 / 4 - 1 / 6)
    assert found.se == pytest.approx(np.sqrt(0.75 * 0.25 / 4 + (1 / 6) * (5 / 6) / 6))
