"""Counter-based random numbers: uniform, normal, Poisson, weighted; independent of what else is drawn."""

import numpy as np
import pytest
from scipy import stats

from crm.simulation.randomness import Dice, stream

KEYS = np.arange(20_000)


def test_a_draw_depends_on_seed_purpose_key_step_and_channel_alone():
    whole, part = Dice(1, "a", KEYS, 3), Dice(1, "a", KEYS[100:110], 3)
    assert (whole.uniform("x")[100:110] == part.uniform("x")).all()
    first = whole.uniform("x")
    for other in (Dice(2, "a", KEYS, 3), Dice(1, "b", KEYS, 3), Dice(1, "a", KEYS, 4), Dice(1, "a", KEYS + 20_000, 3)):
        # Correlation of independent uniforms: standard error 1 / sqrt(20,000) = 0.007.
        assert abs(np.corrcoef(first, other.uniform("x"))[0, 1]) < 0.03
    assert abs(np.corrcoef(first, whole.uniform("y"))[0, 1]) < 0.03


def test_draws_have_their_distribution():
    dice = Dice(5, "shape", KEYS, 0)
    # Kolmogorov-Smirnov at 20,000 draws: p below 0.001 once in a thousand seeds; the seed is fixed.
    assert stats.kstest(dice.uniform("u"), "uniform").pvalue > 0.001
    assert stats.kstest(dice.normal("n"), "norm").pvalue > 0.001
    counts = np.bincount(dice.poisson("p", np.full(len(KEYS), 0.7)), minlength=4)
    expected = stats.poisson.pmf([0, 1, 2], 0.7)
    expected = np.append(expected, 1 - expected.sum())  # cut off at 3
    assert stats.chisquare(counts, expected * len(KEYS)).pvalue > 0.001
    picked = np.bincount(dice.pick("w", np.array([1.0, 2.0, 5.0])), minlength=3)
    assert stats.chisquare(picked, np.array([1, 2, 5]) / 8 * len(KEYS)).pvalue > 0.001


def test_neighbouring_keys_and_steps_are_not_related():
    draws = np.stack([Dice(0, "week", KEYS[:2_000], step).uniform("event") for step in range(10)])
    assert abs(np.corrcoef(draws[:, :-1].ravel(), draws[:, 1:].ravel())[0, 1]) < 0.03
    assert abs(np.corrcoef(draws[:-1].ravel(), draws[1:].ravel())[0, 1]) < 0.03


@pytest.mark.parametrize("purpose", ["staff", "accounts"])
def test_streams_repeat_by_purpose(purpose):
    assert (stream(3, purpose).random(5) == stream(3, purpose).random(5)).all()
    assert (stream(3, purpose).random(5) != stream(3, purpose + "x").random(5)).all()
