"""The notebooks run from top to bottom on a tiny home, one after the other, and leave what they say they leave."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from crm.company import Company
from crm.lake import Lake
from crm.simulate import lake_view, simulate
from training import registry

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NAMES = (
    "01_data_and_quality", "02_features", "03_retrain_and_compare", "04_explain_and_what_if", "05_forecast_accuracy",
    "06_does_the_advice_work", "07_bring_your_own_model",
)  # fmt: skip


@pytest.fixture(scope="module")
def tiny_home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    sample = simulate(reps=8, months=9, seed=3)
    memory = lake_view(sample)
    Lake(home / "lake").merge({name: memory.arrow(name) for name in memory.present}, source="test")
    Company.parse(sample.settings).save(home / "company.yaml")
    return home


@pytest.fixture(scope="module")
def ran(tiny_home):
    """All notebooks by name with their outputs, run in their order on one home."""
    done = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BELLWETHER_HOME", str(tiny_home))
        patch.setenv("PYTHONPATH", str(ROOT))
        for path in NOTEBOOKS:
            notebook = nbformat.read(path, as_version=4)
            NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(path.parent)}}).execute()
            done[path.stem] = notebook
    return done


def said(notebook):
    """All that a notebook printed and showed as text."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "\n".join(str(o.get("text") or o.get("data", {}).get("text/plain", "")) for o in outputs)


def test_there_are_seven_in_their_order():
    assert tuple(path.stem for path in NOTEBOOKS) == NAMES


pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def test_they_leave_a_model_in_use_that_the_gate_let_pass(ran, tiny_home):
    tracking = f"sqlite:///{tiny_home / 'mlflow.db'}"
    assert registry.load("win", "1", tracking=tracking).meta["verdict"] in said(ran["03_retrain_and_compare"])
    assert registry.champion_version("win", tracking=tracking) is not None


def test_a_classifier_of_one_s_own_is_registered_and_judged(ran, tiny_home):
    tracking = f"sqlite:///{tiny_home / 'mlflow.db'}"
    newest = registry.list_versions("win", tracking=tracking)[0]
    assert "challenger" in newest.aliases
    assert newest.tags["verdict"] in said(ran["07_bring_your_own_model"])
    kept = registry.load("win", newest.version, tracking=tracking).model
    assert type(kept.learner).__name__ == "HistGradientBoostingClassifier"


def test_reasons_add_up_and_a_what_if_is_answered(ran):
    text = said(ran["04_explain_and_what_if"])
    ends, chance = text.split("ends at ")[1].split("\n")[0].split(": ")
    assert float(ends) == pytest.approx(float(chance), abs=1e-4)
    assert "half the amount" in text
    assert "a meeting today" in text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_kept_outputs_are_there_and_small_and_have_no_logic(path):
    """They read well where they are not run; functions and classes belong to the rooms."""
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert any(cell.outputs for cell in cells)
    assert path.stat().st_size < 300_000
    assert not [cell for cell in cells for line in cell.source.splitlines() if line.startswith(("def ", "class "))]
    assert not [o for cell in cells for o in cell.outputs if o.output_type == "error"]
