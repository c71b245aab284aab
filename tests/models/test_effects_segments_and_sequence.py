"""Parts of the business drawn towards the mean; the randomised comparison against closed forms."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar

from models.effects_estimate import Mean
from models.effects_segments import of_deals, segments, shrink
from models.effects_sequence import compare, contrasts, half_width, more_needed


def test_parts_that_differ_no_more_than_chance_get_the_mean():
    values, between = shrink([Mean(0.09, 0.02), Mean(0.11, 0.02)])
    assert between == 0
    assert values == pytest.approx([0.10, 0.10])


def test_parts_that_differ_keep_part_of_the_difference():
    # Equal errors: Q = 2 * .05^2 / .0004 = 12.5; spare = 1 / .0004 = 2500; tau2 = 11.5 / 2500; B = .92.
    values, between = shrink([Mean(0.0, 0.02), Mean(0.10, 0.02)])
    assert between == pytest.approx(11.5 / 2500)
    assert values == pytest.approx([0.05 - 0.92 * 0.05, 0.05 + 0.92 * 0.05])


def test_parts_with_few_rows_are_left_out():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"segment": ["small"] * 200 + ["large"] * 200 + ["odd"] * 10, "kind": ["new"] * 410})
    treated = np.arange(410) % 2 == 0
    scores = np.where(X["segment"] == "large", 0.3, 0.0) + rng.normal(0, 0.1, 410)
    found = {s.level: s for s in segments(X, scores, treated, np.arange(410))}
    assert set(found) == {"small", "large"}  # only one kind: nothing to tell apart
    assert found["large"].own.value == pytest.approx(scores[200:400].mean())
    assert (found["small"].rows, found["small"].treated) == (200, 100)


def test_a_deal_gets_what_its_parts_add_to_the_mean():
    X = pd.DataFrame({"segment": ["small", "large", "odd"], "kind": ["new"] * 3})
    table = {("segment", "small"): (0.02, -0.01), ("segment", "large"): (0.06, 0.07)}
    value, least = of_deals(X, 0.05, table)
    assert value == pytest.approx([0.03, 0.07, 0.05])
    assert least.tolist() == [-0.01, 0.07, np.inf]


def test_contrasts_average_to_the_difference_between_the_arms():
    y, mu = np.array([1.0, 0, 1, 0]), np.array([0.5, 0.5, 0.2, 0.2])
    shown = np.array([True, True, False, False])
    x = contrasts(y, mu, shown, np.full(4, 0.25))
    assert x == pytest.approx([0.5 / 0.75, -0.5 / 0.75, -0.8 / 0.25, 0.2 / 0.25])


def test_the_interval_is_wider_than_a_plain_one_and_tightest_near_the_planned_size():
    n, variance = 10_000, 2.0
    assert half_width(n, variance) > 1.645 * np.sqrt(variance / n)
    # In units of the plain interval the width is least near the planned size (the formula is approximate).
    best = minimize_scalar(lambda k: half_width(np.exp(k), variance) * np.exp(k / 2), bounds=(6, 13), method="bounded")
    assert np.exp(best.x) == pytest.approx(n, rel=0.25)


def test_before_five_hundred_units_nothing_is_proved():
    x = np.random.default_rng(0).normal(1, 0.1, 499)
    assert not compare(x).proves
    assert compare(np.append(x, 1.0)).proves


def test_units_that_share_a_rep_are_added_up_first():
    rng = np.random.default_rng(0)
    single = rng.normal(size=600)
    repeated = np.repeat(single, 3)
    assert compare(repeated, np.repeat(np.arange(600), 3)).variance == pytest.approx(compare(single).variance)
    assert compare(repeated).variance == pytest.approx(compare(single).variance / 3)


def test_how_many_more_are_needed_shrinks_with_the_share_held_back_and_with_what_is_there():
    nothing = compare(np.zeros(0))
    at_ten, at_half = more_needed(nothing, 0.1), more_needed(nothing, 0.5)
    assert at_half < at_ten / 2
    # That many units of that variance do make the interval as narrow as the aim.
    assert half_width(at_ten, 0.35 * 0.65 * (10 + 1 / 0.9)) == pytest.approx(0.03, rel=0.02)
    there = compare(np.random.default_rng(0).normal(0, 1, 1000))
    assert more_needed(there, 0.1) < at_ten
