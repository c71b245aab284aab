"""A model alone: in an empty folder of another environment, and behind `mlflow models serve`."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest

from models.churn import ChurnModel
from models.churn_core import ChurnCore, ChurnMix
from models.win import WinModel
from models.win_params import WinParams
from tests.models.snapshot_company import END, snapshots
from training import portable, registry


@pytest.fixture(scope="module")
def small():
    return WinModel(replicates=3).fit(snapshots(200, seed=3), until=END)


@pytest.fixture(scope="module")
def large():
    """Enough deals for trees, few of them: every learner has a share."""
    rows = snapshots(1_300, seed=5)
    params = WinParams(trees_share=0.5, ever_share=0.5)
    model = WinModel(replicates=2, trees=40, rows=4_000, cuts=1, params=params).fit(rows, until=END)
    assert model.fields_.won_.booster_ is not None
    return model


def saved(model, what, folder):
    portable.save(model, what, folder)
    return folder


def predictions(folder, rows):
    import mlflow.pyfunc

    return mlflow.pyfunc.load_model(str(folder)).predict(rows)


def asked(rows, columns):
    """Rows of features as a client sends them: texts and numbers."""
    given = rows.reindex(columns=columns).reset_index(drop=True)
    given["as_of"] = rows["as_of"].dt.strftime("%Y-%m-%dT%H:%M:%SZ").to_numpy()
    for name in given:
        if not pd.api.types.is_numeric_dtype(given[name]):
            given[name] = given[name].astype(object).where(given[name].notna(), None)
        else:
            given[name] = given[name].astype(float)
    return given


@pytest.mark.parametrize("size", ["small", "large"])
def test_the_one_file_says_what_the_package_says(size, request, tmp_path):
    model = request.getfixturevalue(size)
    folder = saved(model, "win", tmp_path / "model")
    rows = snapshots(200, seed=8).iloc[::7].reset_index(drop=True)
    rows.loc[rows.index % 3 == 0, rows.columns[3:6]] = np.nan  # gaps too
    columns = json.loads((folder / "input_example.json").read_text())["columns"]
    found = predictions(folder, asked(rows, columns))
    np.testing.assert_allclose(found["win_probability"], model.predict_proba_won(rows), rtol=0, atol=1e-9)
    low, high = model.interval(rows)
    np.testing.assert_allclose(found["win_probability_low"], low, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found["win_probability_high"], high, rtol=0, atol=1e-9)


def test_a_churn_model_says_the_same_too(tmp_path):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"account_id": np.arange(600).astype(str), "silence_to_usual": rng.exponential(1, 600)})
    X["spend_90d"] = np.where(rng.random(600) < 0.2, np.nan, rng.lognormal(8, 2, 600))
    X["segment"] = pd.Categorical(rng.choice(["small", "large"], 600))
    X["as_of"] = pd.Series(END, index=X.index).astype("datetime64[us, UTC]")
    model = ChurnModel()
    left = rng.random(600) < 0.1 + 0.2 * (X["silence_to_usual"].to_numpy() > 1)
    model.core_ = ChurnCore(0).fit(X, left)
    model.mix_, model.base_ = ChurnMix(by_rhythm=True, trees=0.5, strength=0.7), float(left.mean())
    folder = saved(model, "churn", tmp_path / "model")
    columns = json.loads((folder / "input_example.json").read_text())["columns"]
    found = predictions(folder, asked(X, columns))["churn_probability"]
    np.testing.assert_allclose(found, model.predict_proba_left(X), rtol=0, atol=1e-9)


def test_no_file_of_a_model_is_a_pickle(small, tmp_path):
    folder = saved(small, "win", tmp_path / "model")
    names = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert names <= {"", ".json", ".txt", ".npz", ".py", ".yaml"}
    assert [path.name for path in folder.rglob("*") if path.is_file() and not path.suffix] == ["MLmodel"]


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """Another environment: numpy, pandas, lightgbm, MLflow's light package, which loads, and nothing of ours."""
    place = tmp_path_factory.mktemp("elsewhere")
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(place / "env")], check=True)
    python = place / "env" / "bin" / "python"
    subprocess.run([uv, "pip", "install", "-q", "--python", str(python), *pinned()], check=True)
    return python


def pinned():
    from importlib.metadata import version

    return [f"{name}=={version(name)}" for name in ("numpy", "pandas", "lightgbm", "mlflow-skinny", "pyarrow")]


def test_it_loads_and_forecasts_in_an_empty_folder_of_another_environment(small, elsewhere, tmp_path):
    folder = saved(small, "win", tmp_path / "model")
    empty = tmp_path / "empty"
    empty.mkdir()
    code = (
        "import json, sys, importlib.util, mlflow.pyfunc, pandas as pd\n"
        "assert importlib.util.find_spec('models') is None and importlib.util.find_spec('sklearn') is None\n"
        "model = mlflow.pyfunc.load_model(sys.argv[1])\n"
        "print(model.predict(model.input_example).to_json())\n"
    )
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "MLFLOW_DISABLE_TELEMETRY": "true"}  # noqa: TID251
    command = [str(elsewhere), "-c", code, str(folder)]
    ran = subprocess.run(command, cwd=empty, env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    said = pd.DataFrame(json.loads(ran.stdout.strip().splitlines()[-1]))
    here = predictions(folder, portable.input_example(small))
    np.testing.assert_allclose(said.to_numpy(), here.to_numpy(), rtol=0, atol=1e-9)
    assert said["win_probability"].between(0, 1).all()


def test_mlflow_serves_it_and_answers_the_logged_input_example(small, tmp_path):
    logged = registry.log_model(
        "win", small, tracking=f"sqlite:///{tmp_path / 'mlflow.db'}", params={}, metrics={}, tags={}
    )
    registry.promote("win", logged.version, tracking=f"sqlite:///{tmp_path / 'mlflow.db'}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    tools = Path(sys.executable).parent  # where MLflow finds uvicorn
    env = dict(os.environ) | {  # noqa: TID251
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",  # noqa: TID251
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'mlflow.db'}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [str(tools / "mlflow"), "models", "serve", "--env-manager", "local", "--host",
               "127.0.0.1", "--port", str(port), "-m", "models:/bellwether-win@champion"]  # fmt: skip
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(command, cwd=tmp_path, env=env, stdout=log, stderr=log) as server,
    ):
        try:
            answer = answered(port, tmp_path / "artifacts" / logged.run_id / "artifacts" / "model", server)
        finally:
            server.terminate()
    here = small.predict_proba_won(as_known(portable.input_example(small)))
    found = pd.DataFrame(answer["predictions"])
    np.testing.assert_allclose(found["win_probability"], here, rtol=0, atol=1e-9)


def as_known(example):
    return example.assign(as_of=pd.to_datetime(example["as_of"]).astype("datetime64[us, UTC]"))


def answered(port, folder, server):
    sent = json.loads((folder / "serving_input_example.json").read_text())
    for _ in range(240):
        assert server.poll() is None, (folder.parents[3] / "log").read_text()
        try:
            answer = httpx.post(f"http://127.0.0.1:{port}/invocations", json=sent, timeout=30)
        except httpx.TransportError:
            time.sleep(0.5)
            continue
        assert answer.status_code == 200, answer.text
        return answer.json()
    pytest.fail("mlflow models serve does not answer")
