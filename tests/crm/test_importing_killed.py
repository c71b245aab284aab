"""An import that is killed at any moment leaves the lake as it was, and the next run does the whole work."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crm.company import Company
from crm.importing import import_path
from crm.lake import Lake
from crm.people import MemoryPeopleBook

IMPORT = """
import sys, time
from pathlib import Path
from crm.company import Company
from crm.importing import import_path
from crm.lake import Lake
from crm.people import MemoryPeopleBook

root = Path(sys.argv[1])
print("go", flush=True)
import_path(root / "input", lake=Lake(root / "lake"), people=MemoryPeopleBook(), quarantine=root / "quarantine",
            company=Company(), progress=lambda text, done, of: print(text, flush=True))
print("done", flush=True)
"""
STEPS = ["go", "Reading activities.csv", "Reading deals.csv", "Writing to the lake", "Done"]
ROWS = 300


def write(root: Path, stage: str) -> None:
    folder = root / "input"
    folder.mkdir(exist_ok=True)
    deals = "".join(f"d{i},{stage},2025-01-01,open\n" for i in range(ROWS))
    calls = "".join(f"a{i},2025-01-02,call,{stage}\n" for i in range(ROWS))
    (folder / "deals.csv").write_text("deal_id,stage,created_at,outcome\n" + deals + "bad,,2025-01-01,open\n")
    (folder / "activities.csv").write_text("activity_id,occurred_at,kind,outcome\n" + calls)


def start(root: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", IMPORT, str(root)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def import_here(root: Path) -> None:
    import_path(
        root / "input",
        lake=Lake(root / "lake"),
        people=MemoryPeopleBook(),
        quarantine=root / "quarantine",
        company=Company(),
    )


def state(root: Path) -> set[tuple[int, str, str]]:
    """Rows and words of both tables, as a reader sees them."""
    view = Lake(root / "lake").view()
    return {
        (view.arrow(table).num_rows, table, word)
        for table, column in (("deals", "stage"), ("activities", "outcome"))
        for word in view.arrow(table).column(column).unique().to_pylist()
    }


def whole(stage: str) -> set[tuple[int, str, str]]:
    return {(ROWS, "deals", stage), (ROWS, "activities", stage)}


@pytest.fixture(scope="module")
def seconds(tmp_path_factory) -> dict[str, float]:
    """How long after its start an import says each step."""
    root = tmp_path_factory.mktemp("measured")
    write(root, "Talk")
    with start(root) as run:
        begun, said = time.monotonic(), {}
        for line in run.stdout:
            said.setdefault(line.strip(), time.monotonic() - begun)
    assert run.returncode == 0
    assert [s for s in said if s in STEPS] == STEPS
    return said


@pytest.mark.parametrize("step", [*range(len(STEPS)), "drawn"])
def test_a_killed_import_is_never_half_seen(tmp_path, seconds, step):
    write(tmp_path, "Talk")
    import_here(tmp_path)
    assert state(tmp_path) == whole("Talk")
    write(tmp_path, "Offer")
    with start(tmp_path) as run:
        if step == "drawn":
            time.sleep(random.uniform(seconds["go"], seconds["done"]))
        else:
            # each step is hit: killed a little after it is announced
            while (line := run.stdout.readline()) and line.strip() != STEPS[step]:
                pass
            pause = seconds["Done"] - seconds["Writing to the lake"] if STEPS[step] == "Writing to the lake" else 0.02
            time.sleep(random.uniform(0, pause))
        run.send_signal(signal.SIGKILL)
    assert state(tmp_path) in (whole("Talk"), whole("Offer"))
    import_here(tmp_path)
    assert state(tmp_path) == whole("Offer")
    assert len(list((tmp_path / "quarantine").glob("*.jsonl"))) == 2  # one for each of the two exports
