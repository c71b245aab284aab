"""Training's time: a fit against LightGBM's own on the same matrix, and a large company with recorded parameters."""

import time
import warnings

import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest

from crm.company import Company
from crm.lake import newest_event
from crm.simulate import lake_view, simulate
from models.encoding import Reading
from models.fast_contributions import tree_contributions
from models.learners import Blend, Matrix, TreeShape, even_rows, one_thread
from models.win_params import WinParams
from training.fit_win import win_model
from training.snapshots import deal_snapshots

pytestmark = pytest.mark.bench
ROWS, FIELDS = 60_000, 100
DEALS = 40_000
REPS, EXPLAINED = 20, 10_000
_AIM = 2 * 5 * 60  # seconds of two cores for five minutes: a busy machine has no say in it


def tree_explainer(booster):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # shap sets up matplotlib colours in a way that matplotlib is about to drop
        import shap
    return shap.TreeExplainer(booster)


def cpu_seconds(work) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


@pytest.fixture(scope="module")
def matrix():
    rng = np.random.default_rng(0)
    fields = rng.normal(size=(ROWS, FIELDS))
    won = rng.random(ROWS) < 1 / (1 + np.exp(2 - fields[:, 0] - fields[:, 1] * fields[:, 2]))
    linear = even_rows(ROWS, ROWS // 4, 0)
    return Matrix(fields, fields[linear]), won, linear


def bare(fields, won, shape):
    settings = {
        "objective": "binary", "num_leaves": shape.leaves, "max_depth": shape.depth, "learning_rate": shape.rate,
        "min_data_in_leaf": shape.min_rows, "bagging_fraction": shape.row_share, "bagging_freq": 1,
        "feature_fraction": shape.column_share, "max_bin": 127, "num_threads": 1, "verbosity": -1,
    }  # fmt: skip
    return lgb.train(settings, lgb.Dataset(fields, won.astype(float), params=settings), num_boost_round=150)


def test_a_fit_of_both_learners_takes_little_more_than_lightgbm_alone(matrix):
    both, won, linear = matrix

    def ours():
        with one_thread():
            Blend(trees=150).fit(both, won, categorical=[], linear_rows=linear)

    ours_s, bare_s = cpu_seconds(ours), cpu_seconds(lambda: bare(both.trees, won, TreeShape()))
    print(f"trees and logistic {ours_s:.1f} s of one core, LightGBM alone {bare_s:.1f} s: {ours_s / bare_s:.2f} times")  # noqa: T201
    assert ours_s <= 1.5 * bare_s


@pytest.mark.filterwarnings("ignore:LightGBM binary:UserWarning")  # what shap_values gives is what is wanted
def test_reasons_of_ten_thousand_deals_take_half_the_time_of_shap_s_own_explainer(matrix):
    both, won, _ = matrix
    blend = Blend(trees=150, ridge=0).fit(Matrix(both.trees, np.empty((ROWS, 0))), won, categorical=[])
    deals = Matrix(both.trees[:10_000], np.empty((10_000, 0)))
    explainer = tree_explainer(blend.booster_)
    nobody = np.empty(0, dtype=np.intp)
    ours_s = min(cpu_seconds(lambda: blend.contributions(deals, 1.0, nobody)) for _ in range(3))
    shap_s = min(cpu_seconds(lambda: explainer.shap_values(deals.trees)) for _ in range(3))
    print(f"reasons {ours_s:.2f} s, shap.TreeExplainer {shap_s:.2f} s: {ours_s / shap_s:.2f} times")  # noqa: T201
    assert ours_s <= shap_s / 2


@pytest.fixture(scope="module")
def win_trees():
    """The two kinds of trees of a fitted win model, each with 10,000 rows of the matrix that it is asked about."""
    sample = simulate(reps=REPS, months=30, seed=5)
    view, company = lake_view(sample), Company.parse(sample.settings)
    until = pd.Timestamp(newest_event(view))
    rows = deal_snapshots(view, company, until=until)
    recorded = WinParams(trees_share=0.5, ever_share=0.5, calibrator="none")
    core = win_model(company, replicates=0, params=recorded).fit(rows, until=until).fields_
    some = rows.iloc[even_rows(len(rows), EXPLAINED, 0)]
    plain = core._plain(some)
    weeks = core._lagged(Reading(some), plain).trees
    weeks = weeks[even_rows(len(weeks), EXPLAINED, 0)]
    return {"end": (core.ever_.booster_, plain.trees), "weeks": (core.won_.booster_, weeks)}


@pytest.mark.filterwarnings("ignore:LightGBM binary:UserWarning")
@pytest.mark.parametrize("kind", ["end", "weeks"])
def test_the_win_model_s_trees_are_explained_in_half_of_shap_s_time(win_trees, kind):
    booster, rows = win_trees[kind]
    explainer = tree_explainer(booster)
    assert len(rows) == EXPLAINED
    assert any(t["num_cat"] for t in booster.dump_model()["tree_info"])
    ours_s = min(cpu_seconds(lambda: tree_contributions(booster, rows)) for _ in range(3))
    shap_s = min(cpu_seconds(lambda: explainer.shap_values(rows)) for _ in range(3))
    shape = f"{kind}: {booster.num_trees()} trees, {rows.shape[1]} fields"
    print(  # noqa: T201
        f"{shape}: shap.TreeExplainer {shap_s:.2f} s, ours {ours_s:.2f} s: {shap_s / ours_s:.1f} times as quick"
    )
    np.testing.assert_allclose(tree_contributions(booster, rows)[:, :-1], explainer.shap_values(rows), atol=1e-5)
    assert ours_s <= shap_s / 2


def test_forty_thousand_deals_with_recorded_parameters():
    sample = simulate(reps=165, months=30, seed=5)
    view, company = lake_view(sample), Company.parse(sample.settings)
    until = pd.Timestamp(newest_event(view))
    rows = deal_snapshots(view, company, until=until)
    recorded = WinParams(trees_share=0.5, ever_share=0.5, calibrator="none")
    model = win_model(company, replicates=0, params=recorded)
    began = time.perf_counter()
    spent = cpu_seconds(lambda: model.fit(rows, until=until))
    deals = rows["deal_id"].nunique()
    print(f"{deals:,} deals, {len(rows):,} snapshots: {spent:.0f} s of CPU, {time.perf_counter() - began:.0f} s in all")  # noqa: T201
    assert deals >= DEALS
    assert spent <= _AIM
