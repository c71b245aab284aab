"""The same data, seed, code and pins give the same model text, byte for byte."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FIT = """
import sys
from pathlib import Path
from models import at_rest
from models.win import WinModel
from models.win_params import WinParams
from tests.models.snapshot_company import END, snapshots
params = WinParams(trees_share=0.5, ever_share=0.5)
model = WinModel(random_state=7, replicates=1, trees=30, rows=3000, cuts=1, params=params)
model.fit(snapshots(1300, seed=5), until=END)
at_rest.save(model, Path(sys.argv[1]))
"""


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_two_trainings_in_two_processes_give_the_same_bytes(tmp_path):
    """Under different seeds of Python's hashes, so that no order of a set may show."""
    for name in ("1", "2"):
        env = dict(os.environ) | {"PYTHONHASHSEED": name, "PYTHONPATH": str(ROOT)}  # noqa: TID251
        subprocess.run([sys.executable, "-c", FIT, str(tmp_path / name)], env=env, cwd=tmp_path, check=True)
    one, two = files(tmp_path / "1"), files(tmp_path / "2")
    assert any(name.startswith("boosters/") for name in one)
    assert one == two
