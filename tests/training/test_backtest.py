"""Rolling origin on a tiny company: past forecasts see only their past, and are judged beside the baselines."""

import numpy as np
import pandas as pd
import pytest

from features.build import open_deals
from models.win_params import WinParams
from training.backtest import backtest, compare, judged_dates, light_model, past_dates
from training.backtest_result import TooShort, write
from training.baselines import SIMPLE, BaseRate, LogisticBaseline
from training.people import WITHOUT
from training.reconstruct import reconstruct

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
        rivals=[*SIMPLE, "logistic"],
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
    simple = {"forecast", *SIMPLE}
    ways = result.summary.groupby("horizon_days")["way"].agg(set)
    assert all(found == (simple | {"logistic"} if days == 90 else simple) for days, found in ways.items())
    base = result.summary[result.summary["way"] == "base_rate"]
    np.testing.assert_allclose(base["skill"], 0, atol=1e-12)


def test_rivals_said_what_they_say_alone(result, tiny, tiny_rows):
    part = result.table[result.table["horizon_days"] == 90]
    cut = part["as_of"].max()
    deals = tiny_rows[tiny_rows["as_of"] == cut]
    told = part[part["as_of"] == cut].set_index("deal_id").loc[deals["deal_id"], "logistic"]
    alone = LogisticBaseline(90).fit(tiny_rows, until=cut).predict_proba_won(deals)
    np.testing.assert_allclose(told.to_numpy(), alone)


def test_differences_are_those_of_mean_losses_and_the_verdict_names_each_rival(result):
    part = result.table[result.table["horizon_days"] == 90]
    loss = {w: -np.log(np.where(part["won"], part[w], 1 - part[w])).mean() for w in ("forecast", "stage_rate")}
    found = result.differences.set_index("rival").loc["stage_rate"]
    assert found["difference"] == pytest.approx(loss["stage_rate"] - loss["forecast"])
    assert found["low"] < found["difference"] < found["high"]
    for name in ("the base rate", "the stage rate", "the owner's own call", "Odoo's recipe", "logistic regression"):
        assert name in result.verdict.en
    assert "基准率" in result.verdict.zh


def test_people_columns_change_forecasts_and_their_gain_is_told(result):
    part = result.table[result.table["horizon_days"] == 30]
    assert (part[WITHOUT] != part["forecast"]).any()
    loss = {w: -np.log(np.where(part["won"], part[w], 1 - part[w])).sum() for w in ("forecast", WITHOUT, "base_rate")}
    found = result.more["people"].set_index("horizon_days").loc[30]
    assert found["skill"] == pytest.approx(1 - loss["forecast"] / loss["base_rate"])
    assert found["skill_without"] == pytest.approx(1 - loss[WITHOUT] / loss["base_rate"])
    assert WITHOUT not in result.verdict.en
    # The older dates, with too little closed by then, forecast the rate alone: nobody is looked at there.
    assert result.remarks[0] == "No forecast looked at who works on a deal."


def test_segments_of_a_deal_are_those_of_that_day(result, tiny, tiny_rows):
    part = result.table[result.table["horizon_days"] == 30].merge(
        tiny_rows[["deal_id", "as_of", "stage", "owner_id"]], on=["deal_id", "as_of"], suffixes=("", "_then")
    )
    assert (part["stage"] == part["stage_then"]).all()
    assert set(part["size"].dropna()) == {"small", "middle", "large"}
    teams = tiny.view.arrow("reps").to_pandas().set_index("rep_id")["team_id"]
    assert set(part["team"].dropna()) <= set(tiny.view.arrow("teams").to_pandas()["team_id"]) | set(teams)
    assert part["team"].notna().mean() > 0.9


def test_tables_and_figures_are_written(result, tmp_path):
    written = write(result, tmp_path / "out")
    names = {path.name for path in written}
    assert {"win_forecasts.csv", "win_differences.csv", "win_calibration.csv", "win_reliability.svg"} <= names
    assert len(pd.read_csv(tmp_path / "out" / "win_forecasts.csv")) == len(result.table)
    assert "<svg" in (tmp_path / "out" / "win_dates.svg").read_text(encoding="utf-8")
    assert result.verdict.en in (tmp_path / "out" / "win_verdict.txt").read_text(encoding="utf-8")


def test_it_is_logged(result, tiny):
    from training import registry

    kept = registry.table_of(result.run_id, "forecasts", tracking=tiny.tracking)
    assert len(kept) == len(result.table)


def test_the_base_rate_is_the_share_won_among_past_snapshots(tiny, tiny_rows):
    cut = tiny_rows["as_of"].sort_values().unique()[-10]
    deals = tiny_rows[tiny_rows["as_of"] == cut]
    found = BaseRate(7.0).fit(tiny_rows, until=cut).predict_proba_won(deals)
    # Plain pandas: of snapshots a week old or older, the share won within the week after.
    old = tiny_rows[tiny_rows["as_of"] <= cut - WEEK]
    won = (old["_outcome"] == "won") & (old["_closed_at"] <= old["as_of"] + WEEK)
    np.testing.assert_allclose(found, won.mean())


def test_settings_are_compared_on_the_same_deals(tiny, tiny_rows):
    models = {
        "default": light_model(tiny.company),
        "per deal": light_model(tiny.company).set_params(params=WinParams(weighting="deal")),
    }
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


def test_each_horizon_gets_as_many_past_dates_as_asked_for():
    rows = pd.DataFrame({"as_of": pd.date_range("2025-01-06", periods=90, freq="7D", tz="UTC")})
    until = rows["as_of"].max()
    found = judged_dates(rows, until, dates=6, weeks_apart=4)
    # Weeks before the end: 5, 9, .. on one grid; 30 days take the first six, 182 days (26 weeks) those from week 29 on.
    weeks = [(until - date) / WEEK for date in found]
    assert weeks == [5, 9, 13, 17, 21, 25, 29, 33, 37, 41, 45, 49]


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
