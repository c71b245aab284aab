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
from scipy.sparse import csr_array

from models.amounts import AmountModel
from models.attainment import AttainmentModel
from models.attainment_errors import Errors, Level, raised
from models.attainment_new import NewBusiness
from models.churn import ChurnModel
from models.churn_core import ChurnCore, ChurnMix
from models.simulation import Spread, draw_period
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


@pytest.fixture(scope="module")
def leaving():
    """A churn model and customers it learnt from."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"account_id": np.arange(600).astype(str), "silence_to_usual": rng.exponential(1, 600)})
    X["spend_90d"] = np.where(rng.random(600) < 0.2, np.nan, rng.lognormal(8, 2, 600))
    X["segment"] = pd.Categorical(rng.choice(["small", "large"], 600))
    X["as_of"] = pd.Series(END, index=X.index).astype("datetime64[us, UTC]")
    model = ChurnModel()
    left = rng.random(600) < 0.1 + 0.2 * (X["silence_to_usual"].to_numpy() > 1)
    model.core_ = ChurnCore(0).fit(X, left)
    model.mix_, model.base_ = ChurnMix(by_rhythm=True, trees=0.5, strength=0.7), float(left.mean())
    return model, X


def test_a_churn_model_says_the_same_too(leaving, tmp_path):
    model, X = leaving
    folder = saved(model, "churn", tmp_path / "model")
    columns = json.loads((folder / "input_example.json").read_text())["columns"]
    found = predictions(folder, asked(X, columns))["churn_probability"]
    np.testing.assert_allclose(found, model.predict_proba_left(X), rtol=0, atol=1e-9)


@pytest.fixture(scope="module")
def quarter():
    """An attainment model as a fit leaves it: past quarters brought 12 % more than was said."""
    model = AttainmentModel(random_state=3, draws=400)
    level = Level(np.array([1 / 6, 1 / 2, 5 / 6]), np.array([0.1, 0.12, 0.14]), np.array([0.01, 0.02, 0.03]), 0.08)
    errors = Errors(level, Spread(0.1, 0.2), Spread(0.1, 0.1))
    other = Errors(Level(np.zeros(0), np.zeros(0), np.zeros(0), 0.0), Spread(0.3, 0.3), Spread(0.1, 0.1))
    model.errors_ = {"simulation": errors, "stage_rate": other}
    model.ways_ = {"early": "stage_rate", "middle": "simulation", "late": "simulation"}
    amounts = AmountModel()
    amounts.moved_, amounts.moved_list_ = np.array([0.8, 1.0, 1.1]), np.array([0.7, 0.9])
    amounts.spread_ = np.array([0.5, 1.0, 1.5])
    amounts.usual_, amounts.usual_kind_ = {("new", "p1"): 900.0}, {"new": 1_000.0}
    model.amounts_ = amounts
    return model


@pytest.mark.parametrize("days", [80.0, 45.0, 5.0])
def test_an_attainment_model_draws_a_quarter_as_the_package_does(quarter, days, tmp_path):
    """Against the package's own simulation of the same chances, errors and luck."""
    deals = pd.DataFrame(
        {
            "rep_id": ["b", "a", "b", "a"], "part": "deal", "amount": [500.0, np.nan, 800.0, np.nan],
            "list_amount": [np.nan, 600.0, np.nan, np.nan], "kind": ["new", "new", "new", "new"],
            "product_id": [None, None, None, "p1"], "chance": [0.3, 0.6, 0.0, 0.5],
        }
    )  # fmt: skip
    rest = pd.DataFrame(
        {"rep_id": ["b", "a", "b"], "part": ["closed", "closed", "new"], "amount": [300.0, 50.0, 1_200.0]}
    ).assign(chance=[np.nan, np.nan, 3.0], target=[2_000.0, 900.0, np.nan])
    rows = pd.concat([deals, rest], ignore_index=True).assign(days_left=days)
    found = predictions(saved(quarter, "attainment", tmp_path / "model"), rows).set_index("rep_id")
    assert list(found.index) == ["b", "a", "company"]

    way = quarter.ways_["early" if days > 61 else "middle" if days > 31 else "late"]
    gone = 1 - days / (365.25 / 4)
    errors, level = quarter.errors_[way].at(gone), quarter.errors_[way].level.at(gone)
    credit = csr_array(np.array([[0.0, 1, 0, 1], [1, 0, 1, 0]]))  # a's and b's deals
    new = NewBusiness(np.array([[0.0], [3.0]]), np.zeros((2, 1)), [quarter.amounts_.spread_], np.array([0.0, 400.0]))
    chances = raised(deals["chance"].to_numpy(), level)
    drawn = draw_period(
        np.array([50.0, 300.0]), chances, deals, credit, new, amounts=quarter.amounts_, spread=errors.won,
        seed=3, draws=400,
    )  # fmt: skip
    totals = {"a": drawn.reps[0], "b": drawn.reps[1], "company": drawn.of([0, 1])}
    goals = {"a": 900.0, "b": 2_000.0, "company": 2_900.0}
    for who, sums in totals.items():
        line = found.loc[who]
        np.testing.assert_allclose(line[["p10", "p50", "p90"]].astype(float), np.quantile(sums, [0.1, 0.5, 0.9]))
        assert line["p_attain"] == pytest.approx(((sums >= goals[who]).sum() + 1) / 402)
    # b: 300 booked, 500 x .9667 (the mean of past moves) by its chance, 1,200 of new business.
    assert found.loc["b", "expected"] == pytest.approx(300 + 500 * 2.9 / 3 * chances[0] + 1_200)


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


def test_each_loads_and_forecasts_in_an_empty_folder_of_another_environment(
    small, leaving, quarter, elsewhere, tmp_path
):
    models = {"win": small, "churn": leaving[0], "attainment": quarter}
    folders = {what: saved(model, what, tmp_path / what) for what, model in models.items()}
    empty = tmp_path / "empty"
    empty.mkdir()
    code = (
        "import sys, importlib.util, mlflow.pyfunc\n"
        "assert importlib.util.find_spec('models') is None and importlib.util.find_spec('sklearn') is None\n"
        "for folder in sys.argv[1:]:\n"
        "    model = mlflow.pyfunc.load_model(folder)\n"
        "    print('said', model.predict(model.input_example).to_json())\n"
    )
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "MLFLOW_DISABLE_TELEMETRY": "true"}  # noqa: TID251
    command = [str(elsewhere), "-c", code, *map(str, folders.values())]
    ran = subprocess.run(command, cwd=empty, env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    lines = [line.removeprefix("said ") for line in ran.stdout.splitlines() if line.startswith("said ")]
    for what, line in zip(models, lines, strict=True):
        said = pd.DataFrame(json.loads(line)).reset_index(drop=True)
        here = predictions(folders[what], portable.input_example(models[what], what))
        pd.testing.assert_frame_equal(said, here, check_dtype=False, rtol=1e-9)
        assert len(said)


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
    here = small.predict_proba_won(as_known(portable.input_example(small, "win")))
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
