"""MLflow's store: its tables are made once, whole, however many ask for them at the same moment."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from training import registry
from training.tracking import client_of

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
