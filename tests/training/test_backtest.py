"""Rolling origin on a tiny company: past forecasts see only their past, and are judged beside the baselines."""

import numpy as np
import pandas as pd
import pytest

from features.build import open_deals
from training.backtest import TooShort, backtest, compare, light_model, past_dates, reconstruct
from training.baselines import rate_probabilities
from training.metrics import win_metrics

WEEK = pd.Timedelta(weeks=1)


@pytest.fixture(scope="module")
def result(tiny, tiny_rows):
    return backtest(
        tiny.view,
        tiny.company,
        until=tiny.until,
        folder=tiny.home / "snapshots",
        dates=2,
        weeks_apart=8,
        tracking=tiny.tracking,
    )


def test_forecasts_are_of_deals_open_then_and_outcomes_are_all_known(result, tiny, tiny_rows):
    deals = tiny.view.arrow("deals").to_pandas().set_index("deal_id")
    for (as_of, days), part in result.table.groupby(["as_of", "horizon_days"]):
        assert as_of + pd.Timedelta(days=days) <= tiny.until
        open_then = tiny_rows.loc[tiny_rows["as_of"] == as_of, "deal_id"]
        assert set(part["deal_id"]) == set(open_then)
        ends = deals.loc[part["deal_id"]]
        came = (ends["outcome"] == "won") & (ends["closed_at"] <= as_of + pd.Timedelta(days=days))
        assert (part["won"].to_numpy() == came.to_numpy()).all()


def test_every_way_of_forecasting_is_judged_on_the_same_rows(result):
    rows = result.summary.groupby("horizon_days")["rows"].nunique()
    assert (rows == 1).all()
    assert set(result.summary["way"]) == {"forecast", "stage_rate", "base_rate"}
    base = result.summary[result.summary["way"] == "base_rate"]
    np.testing.assert_allclose(base["skill"], 0, atol=1e-12)


def test_it_is_logged(result, tiny):
    from training import registry

    kept = registry.table_of(result.run_id, "forecasts", tracking=tiny.tracking)
    assert len(kept) == len(result.table)


def test_the_base_rate_is_the_share_won_among_past_snapshots(tiny, tiny_rows):
    cut = tiny_rows["as_of"].sort_values().unique()[-10]
    deals = tiny_rows[tiny_rows["as_of"] == cut]
    found = rate_probabilities(tiny_rows, deals, until=cut, days=7.0)
    # Plain pandas: of snapshots a week old or older, the share won within the week after.
    old = tiny_rows[tiny_rows["as_of"] <= cut - WEEK]
    won = (old["_outcome"] == "won") & (old["_closed_at"] <= old["as_of"] + WEEK)
    np.testing.assert_allclose(found["base_rate"], won.mean())


def test_settings_are_compared_on_the_same_deals(tiny, tiny_rows):
    models = {"default": light_model(tiny.company), "per deal": light_model(tiny.company).set_params(weighting="deal")}
    table = compare(tiny_rows, models, until=tiny.until, dates=1, days=30)
    assert list(table["model"]) == ["default", "per deal"]
    assert table["rows"].nunique() == 1
    assert table.loc[0, "better"] == pytest.approx(0)


def test_a_history_of_days_is_too_short(tiny, tiny_rows):
    start = tiny_rows["as_of"].min()
    with pytest.raises(TooShort, match="Import more history"):
        backtest(tiny.view, tiny.company, until=start + pd.Timedelta(days=3))


def test_past_dates_lie_apart_and_leave_time_for_the_shortest_horizon():
    rows = pd.DataFrame({"as_of": pd.date_range("2025-01-06", periods=60, freq="7D", tz="UTC")})
    until = rows["as_of"].max()
    dates = past_dates(rows, until, dates=3, weeks_apart=4)
    assert dates[0] == until - 5 * WEEK  # the first Monday at least 30 days ago
    assert list(np.diff(dates)) == [-4 * WEEK, -4 * WEEK]


def test_reconstructed_forecasts_are_marked_and_add_up(tiny):
    """That they do not know what came later is one of the promises."""
    then = tiny.until - 12 * WEEK
    told = reconstruct(tiny.view, tiny.company, as_ofs=[then])
    deals = told["deals"]
    assert set(deals["deal_id"]) == set(open_deals(tiny.view, then)["deal_id"])
    total = deals["p_win_in_period"] + deals["p_lose_in_period"] + deals["p_slip"]
    np.testing.assert_allclose(total, 1)
    assert set(deals["model_version"]) == {"reconstructed"}


def test_no_dates_give_empty_tables(tiny):
    assert all(len(table) == 0 for table in reconstruct(tiny.view, tiny.company, as_ofs=[]).values())


@pytest.mark.slow_study
def test_forecasts_on_the_sample_company_hold_on_later_data():
    """Calibration error no higher than chance allows, on several past dates of a company of the usual size."""
    from crm.company import Company
    from crm.lake import newest_event
    from crm.simulate import lake_view, simulate

    sample = simulate(reps=60, months=24, seed=11)
    view, company = lake_view(sample), Company.parse(sample.settings)
    found = backtest(view, company, until=pd.Timestamp(newest_event(view)), dates=4)
    near = found.table[found.table["horizon_days"] == 90]
    figures = win_metrics(near)
    assert figures["skill_low"] > 0.05
    assert figures["calibration_error"] < 3 * figures["calibration_floor"]
