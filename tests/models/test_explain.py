"""Reasons add up, in the outcome's own unit."""

import warnings

import numpy as np
import pytest

from models.explain import by_theme, explanation, in_probability, shared_remainder
from models.learners import Blend, Matrix, probability


def test_contributions_in_probability_add_up_and_keep_sign_and_order():
    rng = np.random.default_rng(0)
    parts = rng.normal(size=(200, 6))
    values, start = in_probability(parts, -0.7)
    np.testing.assert_allclose(start + values.sum(axis=1), probability(-0.7 + parts.sum(axis=1)), atol=1e-12)
    assert (np.sign(values) == np.sign(parts)).all()
    assert (np.argsort(values, axis=1) == np.argsort(parts, axis=1)).all()


@pytest.mark.filterwarnings("ignore:LightGBM binary:UserWarning")  # what shap_values gives is what is wanted
def test_contributions_of_the_trees_are_those_of_shap_s_own_explainer():
    rng = np.random.default_rng(1)
    fields = rng.normal(size=(2_000, 8))
    fields[:, 3] = rng.integers(0, 5, 2_000)  # a category's code
    fields[rng.random((2_000, 8)) < 0.1] = np.nan
    won = rng.random(2_000) < probability(np.nan_to_num(fields[:, 0]) + (fields[:, 3] > 2))
    blend = Blend(trees=40, ridge=0).fit(Matrix(fields, np.empty((2_000, 0))), won, categorical=[3])
    ours = blend.contributions(Matrix(fields, np.empty((2_000, 0))), 1.0, np.empty(0, dtype=np.intp))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # shap sets up matplotlib colours in a way that matplotlib is about to drop
        import shap
    explainer = shap.TreeExplainer(blend.booster_)
    np.testing.assert_allclose(ours[:, :-1], explainer.shap_values(fields), atol=1e-5)
    np.testing.assert_allclose(ours[:, -1], explainer.expected_value, atol=1e-5)
    np.testing.assert_allclose(ours.sum(axis=1), blend.booster_.predict(fields, raw_score=True), atol=1e-6)


def test_parts_that_cancel_out_take_the_slope_at_the_base():
    # At log odds 0 the logistic function rises by 1/4 a unit.
    values, start = in_probability(np.array([[1.0, -1.0]]), 0.0)
    assert start == 0.5
    np.testing.assert_allclose(values, [[0.25, -0.25]])


def test_the_remainder_is_shared_by_size():
    # 3 and -1 miss a total of 4 by 2: three quarters and one quarter of it.
    np.testing.assert_allclose(shared_remainder(np.array([[3.0, -1.0]]), np.array([4.0])), [[4.5, -0.5]])


def test_parts_that_are_all_zero_share_alike():
    np.testing.assert_allclose(shared_remainder(np.zeros((1, 4)), np.array([2.0])), [[0.5] * 4])


def test_no_parts_add_up_to_the_base():
    values, start = in_probability(np.zeros((3, 0)), 0.0)
    assert values.shape == (3, 0)
    assert start == pytest.approx(0.5)


def test_features_of_a_theme_are_one_figure_without_a_value():
    """0.25 and -0.5 of the two owner's features make -0.25; the sum of all stays 1.25 - 0.5 = 0.75."""
    one = explanation(
        np.array([[0.25, 1.0, -0.5]]),
        np.array([0.5]),
        np.array([[3.0, "x", 7.0]], dtype=object),
        ["rate", "stage", "load"],
    )
    told = by_theme(one, {"rate": "who", "load": "who", "absent": "elsewhere"})
    assert list(told.feature_names) == ["stage", "who"]
    assert told.values.tolist() == [[1.0, -0.25]]
    assert told.data.tolist() == [["x", None]]
    assert told.base_values.tolist() == [0.5]
