"""MLflow's store: its tables are made once, whole, however many ask for them at once; a server in its place."""

import os
import shutil
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

from models.win import WinModel
from serving.home import Home
from serving.settings import Settings
from tests.models.snapshot_company import END, snapshots
from training import registry
from training.tracking import NoServer, client_of

ROOT = Path(__file__).parents[2]
ASKS = """
import sys
from training.tracking import client_of
print(len(client_of(sys.argv[1]).search_registered_models()))
"""


def test_processes_and_threads_that_come_at_once_find_whole_tables(tmp_path):
    tracking = f"sqlite:///{tmp_path / 'mlflow.db'}"
    command = [sys.executable, "-W", "ignore", "-c", ASKS, tracking]
    others = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    with ThreadPoolExecutor(3) as pool:
        here = list(pool.map(lambda _: len(client_of(tracking).search_registered_models()), range(3)))
    there = [process.communicate(timeout=120)[0].strip() for process in others]
    assert (here, there) == ([0, 0, 0], ["0", "0"])
    assert [process.returncode for process in others] == [0, 0]


def test_tables_that_were_cut_off_in_the_making_are_made_anew(tmp_path):
    (tmp_path / "mlflow.part").write_bytes(b"SQLite format 3\0 and no more")
    assert client_of(f"sqlite:///{tmp_path / 'mlflow.db'}").search_registered_models() == []
    assert not (tmp_path / "mlflow.part").exists()


def test_to_ask_for_a_model_where_none_was_ever_trained_makes_nothing(tmp_path):
    with pytest.raises(registry.NoModel, match="bellwether train win"):
        registry.champion("win", tracking=f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert list(tmp_path.iterdir()) == []


def test_models_of_a_moved_home_and_of_a_copied_one_are_their_own(tmp_path):
    home = tmp_path / "a home"  # with a blank, which an address writes as %20
    run = registry.log_run(
        "win", tracking=f"sqlite:///{home / 'mlflow.db'}", params={}, metrics={}, tags={}, figures={"plot": "<svg/>"}
    )
    shutil.copytree(home, tmp_path / "copy")
    home.rename(tmp_path / "moved")
    for name in ("copy", "moved"):
        client = client_of(f"sqlite:///{tmp_path / name / 'mlflow.db'}")
        assert client.get_run(run).info.artifact_uri.startswith((tmp_path / name / "artifacts").as_uri() + "/")
        assert [item.path for item in client.list_artifacts(run)] != []
        new = registry.log_run("win", tracking=client.tracking_uri, params={}, metrics={}, tags={})
        assert client.get_run(new).info.artifact_uri.startswith((tmp_path / name / "artifacts").as_uri() + "/")


@pytest.fixture
def server(tmp_path):
    """MLflow's own server as a process, with its store and files in a folder of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = tmp_path / "server"
    place.mkdir()
    command = [
        str(Path(sys.executable).with_name("mlflow")), "server", "--host", "127.0.0.1", "--port", str(port),
        "--backend-store-uri", f"sqlite:///{place / 'mlflow.db'}", "--artifacts-destination", str(place / "artifacts"),
        "--workers", "1",
    ]  # fmt: skip
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # noqa: TID251
    told = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PATH": tools}
    env = dict(os.environ) | told  # noqa: TID251
    with (
        (place / "log").open("w") as log,
        subprocess.Popen(command, cwd=place, env=env, stdout=log, stderr=log) as made,
    ):
        address = f"http://127.0.0.1:{port}"
        try:
            wait_for(f"{address}/health", made, place / "log")
            yield address, made
        finally:
            made.terminate()


def wait_for(address, process, log):
    for _ in range(360):
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(address, timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.5)
    pytest.fail(log.read_text())


def test_a_server_that_the_environment_names_keeps_models_and_gives_them_back(server, tmp_path, monkeypatch):
    address, process = server
    monkeypatch.delenv("BELLWETHER_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    home = Home.of(Settings(home=tmp_path / "home"))
    assert home.tracking == address
    rows = snapshots(200, seed=3)
    model = WinModel(replicates=2).fit(rows, until=END, ranges=False)
    logged = registry.log_model("win", model, tracking=home.tracking, params={}, metrics={"log_loss": 0.5}, tags={})
    registry.promote("win", logged.version, tracking=home.tracking)
    registry.keep_ranges(logged.run_id, model.fit_ranges(rows), tracking=home.tracking)
    found = registry.champion("win", tracking=home.tracking)
    assert (found.version, found.meta["metrics"]) == ("1", {"log_loss": 0.5})
    np.testing.assert_array_equal(found.model.predict_proba_won(rows), model.predict_proba_won(rows))
    assert not found.model.ranges_missing
    assert [v.aliases for v in registry.list_versions(tracking=home.tracking)] == [("challenger", "champion")]
    assert not home.root.exists()  # nothing of it lies in the home

    process.terminate()
    process.wait(180)
    with pytest.raises(NoServer, match=r"127.0.0.1:\d+ does not answer .* Start it, or correct BELLWETHER"):
        registry.champion("win", tracking=home.tracking)


def test_our_own_setting_goes_before_mlflow_s_and_a_file_is_no_server(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://theirs:5000")
    monkeypatch.setenv("BELLWETHER_TRACKING_URI", "http://ours:5000")
    assert Home.of(Settings(home=tmp_path)).tracking == "http://ours:5000"
    monkeypatch.delenv("BELLWETHER_TRACKING_URI")
    assert Home.of(Settings(home=tmp_path)).tracking == "http://theirs:5000"
    # `mlflow run` names its own file for all that it starts; the models of a home belong into the home.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///runs.db")
    assert Home.of(Settings(home=tmp_path)).tracking == f"sqlite:///{tmp_path / 'mlflow.db'}"
