"""Churn models by the gate: the mix is judged on the newest dates, and only a better one takes the champion's place."""

import numpy as np
import pandas as pd
import pytest

from crm.company import Company
from models.churn import ChurnModel
from models.churn_core import ChurnMix
from tests.models.test_churn import UNTIL, company_view
from training import registry
from training.fit_churn import train
from training.policy import Policy
from training.tracking import client_of

# Everybody's rate; trees and logistic on all fields; the same, a tenth of it everybody's rate.
RATE, FIELDS, ALIKE = ChurnMix(False, 0.0, 0.0), ChurnMix(False, 0.75, 1.0), ChurnMix(False, 0.75, 0.9)


@pytest.fixture(scope="module")
def tracking(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('churn') / 'mlflow.db'}"


def let(mix, tracking, until=UNTIL):
    """A recipe sent through the gate: customers with an open ticket leave five times as often as others."""
    recipe = None if mix is None else ChurnModel(mix=mix)
    return train(
        company_view(5.0, n=800),
        Company(),
        tracking=tracking,
        as_of=until.to_pydatetime(),
        policy=Policy(),
        recipe=recipe,
    )


def losses(tracking, version):
    """Mean log losses of the twins on the slice, by the formula, from the forecasts that are kept."""
    run = registry.load("churn", version, tracking=tracking).meta["judged_run"]
    table = registry.table_of(run, "judged", tracking=tracking)
    names = [n for n in ("challenger", "champion", "base_rate") if n in table]
    return {n: float(-np.log(np.where(table["won"], table[n], 1 - table[n])).mean()) for n in names}


def test_each_recipe_gets_its_verdict_with_figures_and_only_a_better_one_is_put_in_use(tracking):
    first = let(RATE, tracking)
    assert first.verdict.startswith("Installed as no better than the base rate, on ")
    assert "customers of the newest slice" in first.verdict

    better = let(FIELDS, tracking)
    said = losses(tracking, "2")
    figures = f"Log loss {said['challenger']:.4f} against the champion's {said['champion']:.4f} on "
    assert better.verdict.startswith(f"Promoted: better beyond doubt. {figures}")
    assert "One customer takes " in better.verdict

    worse = let(RATE, tracking)
    assert worse.verdict.startswith("Not promoted, the champion stays: worse beyond doubt. Log loss 0.")
    equal = let(ALIKE, tracking)
    assert equal.verdict.startswith("Not promoted, the champion stays: no difference beyond chance. Log loss 0.")
    assert let(FIELDS, tracking).verdict == "Promoted: made like the champion, on newer or the same data."
    assert [r.promoted for r in (first, better, worse, equal)] == [True, True, False, False]
    assert registry.champion_version("churn", tracking=tracking) == "5"
    assert registry.roll_back("churn", tracking=tracking) == "2"


def test_a_run_keeps_what_it_said_of_past_dates_with_intervals_and_plots(tracking):
    kept = registry.load("churn", "2", tracking=tracking)
    table = registry.table_of(kept.run_id, "backtest", tracking=tracking)
    dates = registry.table_of(kept.run_id, "dates", tracking=tracking)
    assert len(dates) == table["as_of"].nunique() > 1
    assert ((dates["low"] <= dates["skill"]) & (dates["skill"] <= dates["high"])).all()
    brier = ((table["forecast"] - table["left"]) ** 2).mean()
    assert kept.meta["metrics"]["brier"] == pytest.approx(brier)
    assert kept.meta["params"] == {"random_state": "0", "by_rhythm": "False", "trees": "0.75", "strength": "1.0"}
    files = {item.path for item in client_of(tracking).list_artifacts(kept.run_id)}
    assert {"reliability.svg", "dates.svg", "definitions.parquet"} <= files


def test_where_the_champion_stays_its_mix_is_fitted_again_on_newer_data(tmp_path):
    tracking = f"sqlite:///{tmp_path / 'mlflow.db'}"
    before = UNTIL - pd.Timedelta(weeks=8)
    assert let(FIELDS, tracking, before).in_use == "1"
    new = let(RATE, tracking)
    assert (new.promoted, new.version, new.in_use) == (False, "2", "3")
    used = registry.champion("churn", tracking=tracking)
    assert "the champion's recipe, fitted again on newer data" in used.meta["verdict"]
    assert (used.model.mix_, used.meta["until"]) == (FIELDS, UNTIL.isoformat())


def test_a_mix_that_nobody_gives_is_decided_before_the_slice_and_kept(tmp_path):
    tracking = f"sqlite:///{tmp_path / 'mlflow.db'}"
    made = let(None, tracking)
    assert made.verdict.startswith("Promoted: the first model of its kind, better than the base rate")
    kept = registry.champion("churn", tracking=tracking)
    twin = registry.params_of("churn", kept.meta["judged_run"], tracking=tracking)
    for name in ("by_rhythm", "trees"):
        assert twin[name] == kept.meta["params"][name]
