"""Tuning of the win model: when there is nothing to tune, and what the trials may choose."""

import pytest

from models.win_core import Effort
from tests.models.snapshot_company import END, snapshots
from training.tuning import tune

COMPANY = {"until": END, "horizon_weeks": 30, "start_month": 1}


def test_below_a_thousand_closed_deals_nothing_is_searched():
    assert tune(snapshots(300, seed=5), **COMPANY) is None


def test_trials_stay_within_their_bounds_and_are_told_beside_the_presets(monkeypatch):
    monkeypatch.setattr("models.win_search._EFFORT", Effort(rows=3_000, linear_rows=1_000))
    monkeypatch.setattr("training.tuning._SPANS", 1)
    said = []
    found = tune(snapshots(1_300, seed=1), **COMPANY, trials=2, say=said.append)
    assert list(found.table["candidate"][-2:]) == ["trial 1", "trial 2"]
    assert said[-1] == "Trying shapes of trees, 2 of 2"
    assert found.params.trees >= 30
    # What is kept is what the table says was taken last, and its forecasts are the ones kept with it.
    kept = found.table[found.table["taken"]].iloc[-1]
    assert found.best.loss.mean() == pytest.approx(kept["log_loss"])
