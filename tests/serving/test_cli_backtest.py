"""The verb backtest as a user types it: tables and verdict on the screen, files in a folder, a sentence on trouble."""

import pandas as pd
import pytest
from typer.testing import CliRunner

from crm.errors import NotReady
from crm.lake import Lake
from crm.simulate import lake_view, simulate
from serving.cli import app


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A year of five reps."""
    root = tmp_path_factory.mktemp("backtest")
    sample = lake_view(simulate(reps=5, months=12, seed=4))
    Lake(root / "lake").merge({name: sample.arrow(name) for name in sample.present}, source="test")
    return root


def typed(*words):
    return CliRunner().invoke(app, ["backtest", *map(str, words)])


def test_tables_and_verdict_are_shown_and_written(home, tmp_path):
    result = typed("churn", "--home", home, "--dates", 1, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.exception
    lines = result.output.splitlines()
    shown = {line.split("\t")[0]: line.split("\t") for line in lines if "\t" in line}
    kept = pd.read_csv(tmp_path / "out" / "churn_summary.csv").set_index("way")
    assert float(shown["forecast"][2]) == pytest.approx(kept.loc["forecast", "log_loss"], rel=1e-3)
    assert {"churn_rate", "silence_rate", "logistic"} <= set(shown)
    verdict = (tmp_path / "out" / "churn_verdict.txt").read_text(encoding="utf-8").splitlines()
    assert verdict[0] in lines
    assert f"written: {tmp_path / 'out' / 'churn_forecasts.csv'}" in lines
    assert "nan" not in result.output


@pytest.mark.parametrize("what", ["win", "attainment", "churn"])
def test_too_short_a_history_is_a_sentence(what, home):
    result = typed(what, "--home", home, "--as-of", "2020-01-01")
    assert isinstance(result.exception, NotReady)
    assert "Import" in str(result.exception)
