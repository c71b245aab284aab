"""Plain forecasts of who leaves against shares by hand, and the backtest of a small company's customers."""

import numpy as np
import pandas as pd
import pytest

from crm.lake import TableView
from models.churn_rows import NoCustomers, customers
from training.backtest_churn import WAYS, backtest_churn
from training.backtest_result import TooShort
from training.baselines.churn import ChurnLogistic, ChurnRate, SilenceRate


def test_the_rate_is_the_share_that_left_with_half_a_customer_each_way():
    X = pd.DataFrame({"account_id": range(9)})
    left = np.array([True] * 2 + [False] * 7)
    np.testing.assert_allclose(ChurnRate().fit(X, left).predict_proba_left(X), 2.5 / 10)


def test_silence_is_cut_into_five_bands_and_drawn_to_the_rate():
    X = pd.DataFrame({"account_id": range(100), "days_since_order": np.arange(100.0)})
    left = np.arange(100) >= 80
    model = SilenceRate().fit(X, left)
    # The last band of 20 left, all others stayed; the share of all is 20.5 / 101.
    share = 20.5 / 101
    asked = pd.DataFrame({"account_id": [1, 2, 3], "days_since_order": [5.0, 95.0, np.nan]})
    expected = [10 * share / 30, (20 + 10 * share) / 30, share]
    np.testing.assert_allclose(model.predict_proba_left(asked), expected)


def test_without_orders_everybody_is_one_band():
    X = pd.DataFrame({"account_id": range(10)})
    said = SilenceRate().fit(X, np.arange(10) < 3).predict_proba_left(X)
    np.testing.assert_allclose(said, (3 + 10 * 3.5 / 11) / 20)


def test_the_logistic_finds_what_decides():
    rng = np.random.default_rng(0)
    x = rng.normal(size=2_000)
    left = rng.random(2_000) < 1 / (1 + np.exp(-x))
    X = pd.DataFrame({"account_id": range(2_000), "as_of": 0, "days_since_order": x})
    said = ChurnLogistic().fit(X, left).predict_proba_left(X)
    assert np.corrcoef(said, 1 / (1 + np.exp(-x)))[0, 1] > 0.99


@pytest.fixture(scope="module")
def result(tiny):
    return backtest_churn(tiny.view, tiny.company, until=tiny.until, dates=2, tracking=tiny.tracking)


def test_customers_were_live_then_and_left_by_the_horizons_end(result, tiny):
    known = customers(tiny.view, tiny.company, tiny.until)
    days = tiny.company.churn.horizon_days
    for at, part in result.table.groupby("as_of"):
        assert at + pd.Timedelta(days=days) <= tiny.until
        live = known.live(at)
        assert set(part["account_id"]) == set(live["account_id"])
        left = dict(zip(live["account_id"], known.left(live, at, days), strict=True))
        assert part["left"].tolist() == [left[account] for account in part["account_id"]]


def test_every_way_has_figures_and_a_probability(result):
    assert list(result.summary["way"]) == list(WAYS)
    said = result.table[list(WAYS)]
    assert ((said >= 0) & (said <= 1)).all(axis=None)
    assert "customers" in result.verdict.en
    assert "客户" in result.verdict.zh
    assert result.run_id


def test_a_history_of_weeks_is_too_short(tiny, tiny_rows):
    with pytest.raises(TooShort, match="Import more history"):
        backtest_churn(tiny.view, tiny.company, until=tiny_rows["as_of"].min() + pd.Timedelta(days=20))


def test_without_orders_and_contracts_there_are_no_customers(tiny):
    view = TableView({name: tiny.view.arrow(name) for name in ("deals", "accounts")})
    with pytest.raises(NoCustomers, match="Import one of these tables"):
        backtest_churn(view, tiny.company, until=tiny.until)
