"""What is expected of a row before an action: as fine as serves deals that were not seen, and no finer."""

import numpy as np
import pytest

from models.effects_nuisance import expected, folds_of


def world(n=2000, columns=150, *, strength=0.0, seed=0):
    """Columns of which one, with `strength`, drives action and outcome; a tenth is treated, which adds .2."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, columns))
    chance = 1 / (1 + np.exp(2.2 - strength * X[:, 0]))
    treated = rng.random(n) < chance
    base = 1 / (1 + np.exp(0.8 - strength * X[:, 0]))
    y = (rng.random(n) < np.clip(base + 0.2 * treated, 0, 1)).astype(float)
    return X, y, treated, chance, base, folds_of(np.arange(n) // 4)


def lost(said, truth):
    return float(((said - truth) ** 2).mean())


def test_all_weeks_of_a_deal_are_on_one_side():
    deals = np.repeat(np.arange(50), 4)
    folds = folds_of(deals)
    assert sorted(np.concatenate([judged for _, judged in folds])) == list(range(200))
    assert all(not set(deals[learnt]) & set(deals[judged]) for learnt, judged in folds)


@pytest.mark.parametrize("learner", ["linear", "trees"])
def test_where_nothing_drives_the_action_little_is_made_of_150_columns(learner):
    X, y, treated, chance, base, folds = world()
    told = expected(X, y, treated, folds, learner=learner)
    # A penalty as light as C = .05 errs here by .0093 and .0242 (mean squares), all of 60 trees by .0020 and .0084.
    assert lost(told.chance, chance) < 0.0012
    assert lost(told.without, base) < 0.004


@pytest.mark.parametrize("learner", ["linear", "trees"])
def test_what_does_drive_the_action_is_used_in_full(learner):
    X, y, treated, chance, base, folds = world(columns=20, strength=1.0)
    told = expected(X, y, treated, folds, learner=learner)
    # The means alone would err by the variance.
    assert lost(told.chance, chance) < 0.4 * chance.var()
    assert lost(told.without, base) < 0.4 * base.var()


def test_the_outcome_with_the_action_is_that_without_it_and_one_step():
    X, y, treated, _, _, folds = world(4000)
    told = expected(X, y, treated, folds, learner="linear")
    for _, judged in folds:
        steps = (told.with_it - told.without)[judged]
        assert np.ptp(steps) < 1e-12
        # .2 by construction, from some 300 rows of other deals: an error of sqrt(.25 / 300) = .03.
        assert abs(steps[0] - 0.2) < 4 * 0.03


@pytest.mark.parametrize("learner", ["linear", "trees"])
def test_outcomes_that_are_weighted_are_expected_too(learner):
    X, y, treated, _, base, folds = world(columns=20, strength=1.0)
    told = expected(X, 1.5 * y, treated, folds, learner=learner)
    assert lost(told.without, 1.5 * base) < 0.4 * (1.5 * base).var()


@pytest.mark.parametrize("learner", ["linear", "trees"])
def test_a_fold_without_a_row_to_learn_from_takes_the_mean(learner):
    X, y, _, _, _, folds = world(400)
    _, judged = folds[0]
    treated = np.ones(400, dtype=bool)
    treated[judged[:30]] = False  # whoever judges these has no other row without the action
    told = expected(X, y, treated, folds, learner=learner)
    assert told.without[judged] == pytest.approx(y.mean())
    assert np.isfinite(told.with_it).all()


def test_an_outcome_that_never_comes_is_expected_never():
    X, _, treated, _, _, folds = world(400)
    told = expected(X, np.zeros(400), treated, folds, learner="linear")
    assert not told.without.any()
    assert not told.with_it.any()
