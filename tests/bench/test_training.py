"""Training's time: a fit against LightGBM's own on the same matrix, and a large company with recorded parameters."""

import time

import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest

from crm.company import Company
from crm.lake import newest_event
from crm.simulate import lake_view, simulate
from models.learners import Blend, Matrix, TreeShape, even_rows, one_thread
from models.win_params import WinParams
from training.fit_win import win_model
from training.snapshots import deal_snapshots

pytestmark = pytest.mark.bench
ROWS, FIELDS = 60_000, 100
DEALS = 40_000
_AIM = 2 * 5 * 60  # seconds of two cores for five minutes: a busy machine has no say in it


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
