"""Models in MLflow: logged, promoted, rolled back, loaded as they were."""

import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.at_rest import BadModelFile
from models.win import WinModel
from tests.models.snapshot_company import END, snapshots
from training import registry
from training.tracking import client_of


@pytest.fixture(scope="module")
def model():
    return WinModel(replicates=3).fit(snapshots(200, seed=3), until=END)


@pytest.fixture(scope="module")
def tracking(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('home') / 'mlflow.db'}"


def log(model, tracking, what="win", **tags):
    return registry.log_model(
        what,
        model,
        tracking=tracking,
        params=model.get_params(),
        metrics={"log_loss": 0.5},
        tags={"until": "2026-03-02", **tags},
        tables={"backtest": model.choice_.table},
    )


def test_without_a_model_the_mend_is_told(tracking):
    with pytest.raises(registry.NoModel, match="bellwether train attainment"):
        registry.champion("attainment", tracking=tracking)


def test_a_model_comes_back_as_it_was_with_what_is_known_about_it(model, tracking):
    logged = log(model, tracking, data_cut="7")
    registry.promote("win", logged.version, tracking=tracking)
    found = registry.champion("win", tracking=tracking)
    rows = snapshots(200, seed=3).head(20)
    np.testing.assert_array_equal(found.model.predict_proba_won(rows), model.predict_proba_won(rows))
    assert (found.version, found.run_id) == (logged.version, logged.run_id)
    assert found.meta["data_cut"] == "7"
    assert found.meta["metrics"]["log_loss"] == 0.5
    pd.testing.assert_frame_equal(
        registry.table_of(logged.run_id, "backtest", tracking=tracking), model.choice_.table, check_dtype=False
    )
    assert registry.table_of(logged.run_id, "nothing", tracking=tracking) is None


def test_a_new_version_is_the_challenger_until_promoted_and_can_be_rolled_back(model, tracking):
    first = log(model, tracking)
    registry.promote("win", first.version, tracking=tracking)
    second = log(model, tracking)
    newest = registry.list_versions("win", tracking=tracking)[0]
    assert (newest.version, newest.aliases) == (second.version, ("challenger",))
    assert registry.champion_version("win", tracking=tracking) == first.version
    registry.promote("win", second.version, tracking=tracking)
    assert registry.champion_version("win", tracking=tracking) == second.version
    assert registry.roll_back("win", tracking=tracking) == first.version
    assert registry.champion("win", tracking=tracking).version == first.version


def test_a_model_that_replaced_none_cannot_be_rolled_back(model, tracking):
    logged = log(model, tracking, what="churn")
    with pytest.raises(registry.NoModel):
        registry.roll_back("churn", tracking=tracking)
    registry.promote("churn", logged.version, tracking=tracking)
    with pytest.raises(registry.UnknownVersion, match="replaced no other"):
        registry.roll_back("churn", tracking=tracking)


def test_unknown_versions_and_kinds_are_told(tracking):
    with pytest.raises(registry.UnknownVersion, match="bellwether models list"):
        registry.promote("win", "999", tracking=tracking)
    with pytest.raises(registry.NotFound, match="Models: win, attainment, churn"):
        registry.champion("wins", tracking=tracking)


def test_files_lie_beside_the_store_and_are_small(model, tracking):
    home = Path(tracking.removeprefix("sqlite:///")).parent
    log(model, tracking)
    kept = list((home / "artifacts").rglob("at_rest"))
    assert kept
    assert max(sum(file.stat().st_size for file in folder.rglob("*")) for folder in kept) < 20e6
    assert not Path("mlruns").exists()


def folder_of(logged, tracking):
    home = Path(tracking.removeprefix("sqlite:///")).parent
    return home / "artifacts" / logged.run_id / "artifacts" / "model" / "artifacts" / "at_rest"


def test_a_damaged_model_is_told_with_its_file_and_the_mend(model, tracking):
    logged = log(model, tracking)
    file = folder_of(logged, tracking) / "model.json"
    tree = json.loads(file.read_text())
    tree["model"]["has"]["n_won_"] += 1
    file.write_text(json.dumps(tree))
    with pytest.raises(BadModelFile, match=r"model\.json cannot be used.*bellwether train win"):
        registry.load("win", logged.version, tracking=tracking)


def test_a_pickle_of_an_older_version_is_not_opened(model, tracking):
    logged = log(model, tracking)
    folder = folder_of(logged, tracking)
    shutil.rmtree(folder)
    # Not even a pickle: whoever opened it would complain of that instead.
    (folder.parent / "model.pkl.gz").write_bytes(gzip.compress(b"c"))
    with pytest.raises(BadModelFile, match=r"older versions kept models in another form.*bellwether train win"):
        registry.load("win", logged.version, tracking=tracking)


def loaded_by_mlflow(tracking):
    client_of(tracking)
    import mlflow.pyfunc

    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    mlflow.set_tracking_uri(tracking)
    mlflow.set_registry_uri(tracking)
    try:
        return mlflow.pyfunc.load_model("models:/bellwether-win@champion")
    finally:
        mlflow.set_tracking_uri(before[0])
        mlflow.set_registry_uri(before[1])


def test_mlflow_itself_loads_the_champion_with_its_ranges_once_they_are_fitted(tracking):
    rows = snapshots(200, seed=3)
    model = WinModel(replicates=3).fit(rows, until=END, ranges=False)
    logged = log(model, tracking)
    registry.promote("win", logged.version, tracking=tracking)
    first = loaded_by_mlflow(tracking)
    example = first.input_example
    known = example.assign(as_of=pd.to_datetime(example["as_of"]).astype("datetime64[us, UTC]"))
    said = first.predict(example)
    np.testing.assert_allclose(said["win_probability"], model.predict_proba_won(known), rtol=0, atol=1e-9)
    assert said["win_probability_low"].isna().all()

    registry.keep_ranges(logged.run_id, model.fit_ranges(rows), tracking=tracking)
    said = loaded_by_mlflow(tracking).predict(example)
    low, high = model.interval(known)
    assert (low < high).all()
    np.testing.assert_allclose(said["win_probability_low"], low, rtol=0, atol=1e-9)
    np.testing.assert_allclose(said["win_probability_high"], high, rtol=0, atol=1e-9)
