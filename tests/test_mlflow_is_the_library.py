"""The folder `mlflow/` holds settings only: `import mlflow` finds the installed library; its project's steps run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]


def test_the_folder_holds_no_python():
    assert (ROOT / "mlflow" / "promotion.yaml").exists()
    assert not list((ROOT / "mlflow").rglob("*.py"))


def test_import_from_the_root_finds_the_library():
    code = "import importlib.util; print(importlib.util.find_spec('mlflow').origin)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    origin = Path(ran.stdout.strip())
    assert origin.name == "__init__.py"
    assert ROOT / "mlflow" not in origin.parents


PROJECT = yaml.safe_load((ROOT / "mlflow" / "MLproject").read_text(encoding="utf-8"))


@pytest.mark.parametrize("step", PROJECT["entry_points"])
def test_every_step_is_a_verb_with_options_it_knows(step):
    import typer

    from serving.cli import app

    point = PROJECT["entry_points"][step]
    words = point["command"].split()
    assert words[:1] == ["bellwether"]
    verb = typer.main.get_command(app).commands[words[1]]
    known = {option for param in verb.params for option in param.opts}
    assert {word for word in words if word.startswith("--")} <= known
    assert set(re.findall(r"{(\w+)}", point["command"])) == set(point["parameters"])


def test_mlflow_run_trains_in_the_environment_that_is_there(tmp_path):
    from crm.company import Company
    from crm.lake import Lake
    from crm.simulate import lake_view, simulate
    from training import registry

    sample, home = simulate(reps=5, months=8, seed=3), tmp_path / "home"
    memory = lake_view(sample)
    Lake(home / "lake").merge({name: memory.arrow(name) for name in memory.present}, source="test")
    Company.parse(sample.settings).save(home / "company.yaml")
    tools = Path(sys.executable).parent
    env = dict(os.environ) | {  # noqa: TID251
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",  # noqa: TID251
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'runs.db'}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [str(tools / "mlflow"), "run", str(ROOT / "mlflow"), "-e", "train", "--env-manager", "local",
               "-P", f"home={home}", "-P", "trials=0"]  # fmt: skip
    ran = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert registry.champion_version("win", tracking=f"sqlite:///{home / 'mlflow.db'}") == "1"
