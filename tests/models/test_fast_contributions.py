"""Compiled contributions are LightGBM's and shap's own, whatever the trees ask and whatever is missing."""

import warnings
from itertools import permutations

import lightgbm as lgb
import numpy as np
import pytest

from models import fast_contributions
from models.fast_contributions import compiled_contributions, tree_contributions
from models.learners import Blend, Matrix

# What shap_values gives is what is wanted.
pytestmark = pytest.mark.filterwarnings("ignore:LightGBM binary:UserWarning")
SETTINGS = {"objective": "binary", "max_depth": 6, "num_threads": 1, "verbosity": -1, "min_data_in_leaf": 5}

# Of 100 rows 40 have c in {0, 1}; of these the 10 with c in {1, 2} end in the leaf 1, the other 30 in 2. Of the 60 with
# another c the 20 with x <= 0.5 end in 4, the other 40 in 8. Neither set of c holds the other.
# A decision_type of 9 is a set, 10 a threshold where what is missing goes left.
OVERLAPPING = """tree
version=v4
num_class=1
num_tree_per_iteration=1
label_index=0
max_feature_idx=1
objective=binary sigmoid:1
feature_names=c x
feature_infos=-1:0:1:2:3 [0:1]
tree_sizes=600

Tree=0
num_leaves=4
num_cat=2
split_feature=0 0 1
split_gain=1 1 1
threshold=0 1 0.5
decision_type=9 9 10
left_child=1 -1 -3
right_child=2 -2 -4
leaf_value=1 2 4 8
leaf_weight=10 30 20 40
leaf_count=10 30 20 40
internal_value=0 0 0
internal_weight=100 40 60
internal_count=100 40 60
cat_boundaries=0 1 2
cat_threshold=3 6
is_linear=0
shrinkage=1


end of trees
"""


def data(*, categories: bool, gaps: float = 0.1, rows: int = 1_500):
    rng = np.random.default_rng(3)
    fields = rng.normal(size=(rows, 7))
    if categories:
        fields[:, 5] = rng.integers(0, 90, rows)  # more than the 64 codes of one word
        fields[:, 6] = rng.integers(0, 6, rows)
    score = fields[:, 0] + fields[:, 1] * fields[:, 2] + (fields[:, 5] % 3 > 1) + (fields[:, 6] > 2)
    won = score + rng.normal(size=rows) > 0.5
    fields[rng.random(fields.shape) < gaps] = np.nan
    return fields, won.astype(float)


def boosted(fields, won, *, trees=30, categorical=(), **settings):
    params = {**SETTINGS, "num_leaves": 15, **settings}
    return lgb.train(params, lgb.Dataset(fields, won, categorical_feature=list(categorical), params=params), trees)


def shap_s_own(booster, fields):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # shap sets up matplotlib colours in a way that matplotlib is about to drop
        import shap
    explainer = shap.TreeExplainer(booster)
    return np.column_stack([explainer.shap_values(fields), np.full(len(fields), explainer.expected_value)])


def agrees(booster, fields):
    ours = compiled_contributions(booster, fields)
    np.testing.assert_allclose(ours, shap_s_own(booster, fields), atol=1e-9)
    np.testing.assert_allclose(ours.sum(axis=1), booster.predict(fields, raw_score=True), atol=1e-9)


def test_trees_with_categories_gaps_and_codes_never_seen():
    fields, won = data(categories=True)
    booster = boosted(fields, won, categorical=[5, 6], max_cat_to_onehot=1, cat_smooth=1.0, min_data_per_group=5)
    asked = [t for t in booster.model_to_string().splitlines() if t.startswith("num_cat=")]
    assert sum(t != "num_cat=0" for t in asked) > 5
    fields[:8, 5] = [91, 1_000, -1, -7, 0.5, -0.5, 63.9, np.nan]
    fields[8:11, 0] = [np.inf, -np.inf, np.nan]
    agrees(booster, fields)


def test_trees_without_categories():
    fields, won = data(categories=False)
    agrees(boosted(fields, won), fields)


def test_what_was_never_missing_in_training_counts_as_nought():
    fields, won = data(categories=False, gaps=0.0)
    booster = boosted(fields, won)
    fields[::3, :4] = np.nan
    agrees(booster, fields)


def worth(x: dict[str, float]) -> float:
    """What the tree above expects where only the features in x are known, written out by hand."""

    def both(known: bool | None, share: float, yes: float, no: float) -> float:
        return yes if known else no if known is not None else share * yes + (1 - share) * no

    c = x.get("c")
    left = both(None if c is None else c in (1, 2), 10 / 40, 1, 2)
    right = both(x["x"] <= 0.5 if "x" in x else None, 20 / 60, 4, 8)
    return both(None if c is None else c in (0, 1), 40 / 100, left, right)


@pytest.mark.parametrize(("c", "x"), [(0, 0), (1, 0), (2, 0), (3, 1), (2, 1), (77, 1)])
def test_two_sets_of_one_feature_that_overlap(c, x):
    # Shapley: what a feature adds to those before it, on average over both orders.
    given = {"c": float(c), "x": float(x)}
    expected = dict.fromkeys(given, 0.0)
    for order in permutations(given):
        for i, name in enumerate(order):
            with_it, without = ({n: given[n] for n in order[:k]} for k in (i + 1, i))
            expected[name] += (worth(with_it) - worth(without)) / 2
    booster = lgb.Booster(model_str=OVERLAPPING)
    ours = compiled_contributions(booster, np.array([[c, x]], dtype=float))
    np.testing.assert_allclose(ours, [[expected["c"], expected["x"], worth({})]], atol=1e-12)
    agrees(booster, np.array([[c, x]], dtype=float))


def test_trees_of_one_leaf_are_a_constant():
    fields, won = data(categories=False)
    agrees(boosted(fields, won, trees=2, min_data_in_leaf=1_000), fields)


@pytest.mark.parametrize("settings", [{"num_leaves": 80, "max_depth": -1}, {"zero_as_missing": True}])
def test_trees_of_another_kind_are_left_to_lightgbm(settings, monkeypatch):
    fields, won = data(categories=False, gaps=0.0)
    booster = boosted(fields, won, trees=2, **settings)
    assert compiled_contributions(booster, fields) is None
    monkeypatch.setattr(fast_contributions, "WORTH_COMPILING", 0)
    np.testing.assert_array_equal(tree_contributions(booster, fields), booster.predict(fields, pred_contrib=True))


def test_trees_with_lines_in_their_leaves_are_refused_by_lightgbm(monkeypatch):
    fields, won = data(categories=False, gaps=0.0)
    booster = boosted(fields, won, trees=2, linear_tree=True)
    monkeypatch.setattr(fast_contributions, "WORTH_COMPILING", 0)
    with pytest.raises(lgb.basic.LightGBMError, match="not implemented for linear trees"):
        tree_contributions(booster, fields)


def test_a_matrix_of_another_width_is_refused_by_lightgbm(monkeypatch):
    fields, won = data(categories=False)
    booster = boosted(fields, won, trees=2)
    monkeypatch.setattr(fast_contributions, "WORTH_COMPILING", 0)
    with pytest.raises(lgb.basic.LightGBMError, match="number of features"):
        tree_contributions(booster, fields[:, :5])


def test_a_model_tells_the_same_of_few_rows_and_of_many(monkeypatch):
    fields, won = data(categories=True)
    both = Matrix(fields, np.nan_to_num(fields[:, :3]))
    blend = Blend(trees=30).fit(both, won > 0, categorical=[5, 6])
    owner = np.arange(3)
    by_lightgbm = blend.contributions(both, 0.5, owner)
    calls = []
    monkeypatch.setattr(fast_contributions, "WORTH_COMPILING", 0)
    monkeypatch.setattr(
        fast_contributions, "compiled_contributions", lambda *asked: calls.append(1) or compiled_contributions(*asked)
    )
    compiled = blend.contributions(both, 0.5, owner)
    assert calls == [1]
    np.testing.assert_allclose(compiled, by_lightgbm, atol=1e-9)
    np.testing.assert_allclose(compiled.sum(axis=1), blend.logits(both, 0.5), atol=1e-9)
