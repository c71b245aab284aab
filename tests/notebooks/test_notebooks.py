"""The notebooks run from top to bottom on a tiny home, and leave a model in use."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from crm.company import Company
from crm.lake import Lake
from crm.simulate import lake_view, simulate
from training import registry

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tiny_home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    sample = simulate(reps=8, months=9, seed=3)
    memory = lake_view(sample)
    Lake(home / "lake").merge({name: memory.arrow(name) for name in memory.present}, source="test")
    Company.parse(sample.settings).save(home / "company.yaml")
    return home


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_retrain_and_compare_runs_and_leaves_a_model_in_use(tiny_home, monkeypatch):
    monkeypatch.setenv("BELLWETHER_HOME", str(tiny_home))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(ROOT / "notebooks" / "01_retrain_and_compare.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells)
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(ROOT / "notebooks")}})
    client.execute()
    assert registry.champion_version("win", tracking=f"sqlite:///{tiny_home / 'mlflow.db'}") == "1"
    compared = next(cell for cell in notebook.cells if "compare(rows" in cell.source)
    assert "recent weeks count more" in compared.outputs[-1].data["text/html"]
