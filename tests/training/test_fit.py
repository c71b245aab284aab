"""A training run from lake to registry, and the gate's way with champion and challenger."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from crm.errors import NotReady
from crm.lake import TableView
from models.win import WinModel
from models.win_params import WinParams
from training import registry
from training.fit import train
from training.fit_win import win_model
from training.ranges import fit_ranges, ranges_missing
from training.tracking import client_of


@pytest.fixture(scope="module")
def trained(tiny, tiny_rows):
    said = []
    result = train(
        "win",
        view=tiny.view,
        company=tiny.company,
        tracking=tiny.tracking,
        snapshots=tiny.home / "snapshots",
        as_of=tiny.until,
        progress=said.append,
    )
    return result, said


def test_the_first_win_model_is_logged_registered_and_in_use(trained, tiny, tiny_rows):
    result, said = trained
    assert result.promoted
    assert "base rate" in result.verdict
    assert said
    champion = registry.champion("win", tracking=tiny.tracking)
    assert champion.version == result.version
    assert champion.meta["data_cut"] == str(tiny.view.cut.number)
    assert champion.meta["verdict"] == result.verdict
    assert result.note == champion.model.note["sentence_en"]
    assert champion.meta["params"]["start_month"] == str(tiny.company.fiscal.start_month)
    open_now = tiny_rows[tiny_rows["as_of"] == tiny.until]
    assert champion.model.predict_proba_won(open_now).shape == (len(open_now),)


def test_its_figures_follow_from_the_past_forecasts_kept_beside_it(trained, tiny):
    result, _ = trained
    table = registry.table_of(result.run_id, "backtest", tracking=tiny.tracking)
    p, y = table["forecast"], table["won"]
    assert result.metrics["brier"] == pytest.approx(((p - y) ** 2).mean())
    assert result.metrics["log_loss"] == pytest.approx(-np.log(np.where(y, p, 1 - p)).mean())


def test_each_past_date_has_its_figure_with_an_interval(trained, tiny):
    result, _ = trained
    dates = registry.table_of(result.run_id, "dates", tracking=tiny.tracking)
    table = registry.table_of(result.run_id, "backtest", tracking=tiny.tracking)
    assert len(dates) == table["as_of"].nunique()
    assert (dates["low"] <= dates["high"]).all()
    kept = client_of(tiny.tracking).get_metric_history(result.run_id, "skill_at_past_dates")
    assert [m.value for m in sorted(kept, key=lambda m: m.step)] == pytest.approx(dates["skill"].tolist())


def test_an_earlier_run_s_parameters_are_taken_as_they_are(trained, tiny):
    result, _ = trained
    first = registry.load("win", result.version, tracking=tiny.tracking)
    assert WinParams.from_dict(first.meta["params"]) == first.model.params_
    settings = {"view": tiny.view, "company": tiny.company, "tracking": tiny.tracking, "snapshots": None}
    again = train("win", **settings, as_of=tiny.until, like=result.version)
    model = registry.load("win", again.version, tracking=tiny.tracking).model
    assert model.params == model.params_ == first.model.params_
    # Made like the champion on the same data: nothing to compare.
    assert "made like the champion" in again.verdict


def test_a_win_model_is_in_use_before_its_ranges_which_then_are_those_of_a_fit_in_one_go(tiny, tiny_rows, tmp_path):
    tracking = f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert ranges_missing(tracking=tracking) is None
    settings = {"view": tiny.view, "company": tiny.company, "tracking": tracking, "snapshots": None}
    trained = train("win", **settings, as_of=tiny.until, trials=0)
    deals = tiny_rows[tiny_rows["as_of"] == tiny.until]
    before = registry.champion("win", tracking=tracking)
    assert ranges_missing(tracking=tracking) == before.run_id == trained.run_id
    assert all(np.isnan(end).all() for end in before.model.interval(deals))

    assert fit_ranges(**settings)
    after = registry.champion("win", tracking=tracking).model
    assert ranges_missing(tracking=tracking) is None
    assert not fit_ranges(**settings)
    np.testing.assert_array_equal(after.predict_proba_won(deals), before.model.predict_proba_won(deals))
    whole = clone(after).fit(tiny_rows, until=tiny.until)
    np.testing.assert_allclose(after.interval(deals), whole.interval(deals), rtol=1e-9)
    low, high = after.interval(deals)
    assert (low < high).all()


@pytest.mark.parametrize("like", ["999", "no-such-run"])
def test_an_unknown_run_to_be_like_is_told(trained, tiny, like):
    settings = {"view": tiny.view, "company": tiny.company, "tracking": tiny.tracking, "snapshots": None}
    with pytest.raises(registry.UnknownVersion, match=f"{like}.*bellwether models list"):
        train("win", **settings, as_of=tiny.until, like=like)


def test_data_that_does_not_suffice_registers_nothing(tiny, tmp_path):
    tracking = f"sqlite:///{tmp_path / 'mlflow.db'}"
    with pytest.raises(NotReady, match="Import deals"):
        train("win", view=TableView({}), company=tiny.company, tracking=tracking, snapshots=None, as_of=tiny.until)
    assert not (tmp_path / "mlflow.db").exists()


def test_attainment_needs_a_win_model_first(tiny, tmp_path):
    tracking = f"sqlite:///{tmp_path / 'mlflow.db'}"
    with pytest.raises(registry.NoModel, match="bellwether train win"):
        train("attainment", view=tiny.view, company=tiny.company, tracking=tracking, snapshots=None, as_of=tiny.until)


def test_the_company_s_horizon_and_fiscal_year_reach_the_model(tiny):
    company = tiny.company.model_copy(deep=True)
    company.win.horizon_weeks = 30
    company.fiscal.start_month = 4
    model = win_model(company, seed=7)
    assert isinstance(model, WinModel)
    assert (model.horizon_weeks, model.start_month, model.random_state) == (30, 4, 7)
    assert pd.Timedelta(weeks=model.horizon_weeks).days == 210
