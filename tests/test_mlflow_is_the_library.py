"""The folder `mlflow/` holds settings only: `import mlflow` finds the installed library, from the root too."""

import subprocess
import sys
from pathlib import Path

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
