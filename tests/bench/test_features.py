"""Features of a large company: as quick as hand-written code, within memory, in step with its size; one deal."""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from crm.lake import Lake
from features.build import build
from features.online import Online
from features.session import DuckSession
from tests.bench.big_company import COMPANY, big_company, weekly
from tests.bench.peers import PEERS, WANTED, files_of

pytestmark = pytest.mark.bench
# A process's `ru_maxrss` begins with that of the one that started it, here with the peers' tables; `VmHWM` is its own.
_PEAK = """
import json, sys, time
from pathlib import Path
def peak_mb():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
"""
_ALONE = f"""{_PEAK}
from crm.lake import Lake
from features.build import build
from tests.bench.big_company import COMPANY, weekly
view = Lake(Path(sys.argv[1])).view()
spine = weekly(view)
began = time.process_time()
table = build(view, spine, "deal", company=COMPANY, only=sys.argv[2].split(","))
print(json.dumps(dict(rows=len(table), seconds=time.process_time() - began, peak_mb=peak_mb())))
"""


def a_lake(folder: Path, deals: int) -> Path:
    company = big_company(deals)
    rows = {name: company.arrow(name).drop_columns("_seq") for name in sorted(company.present)}
    Lake(folder).merge(rows, source="bench")
    return folder


def alone(script: str, lake: Path, only: str) -> dict[str, float]:
    """Build in a process of its own, so that its peak of memory is its own."""
    done = subprocess.run([sys.executable, "-c", script, str(lake), only], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def hundred_thousand(tmp_path_factory):
    return a_lake(tmp_path_factory.mktemp("lake"), 100_000)


def test_a_batch_costs_no_more_than_half_again_the_best_code_by_hand(hundred_thousand):
    """1.1 million weekly rows, 3 million activities, 1 million changes; reading included; processor time."""
    view = Lake(hundred_thousand).view()
    spine, files = weekly(view), files_of(hundred_thousand, view)
    took: dict[str, float] = {}
    tables: dict[str, pd.DataFrame] = {}
    for name in ("us", *PEERS):
        began = time.process_time()
        if name == "us":
            tables[name] = build(view, spine, "deal", company=COMPANY, only=WANTED, late=frozenset())[WANTED]
        else:
            tables[name] = PEERS[name](files, spine)
        took[name] = time.process_time() - began
    for name in PEERS:  # they work out the same numbers, or they are no peers
        ours, theirs = (tables[n].astype(float).to_numpy() for n in ("us", name))
        assert np.allclose(ours, theirs, rtol=1e-9, atol=1e-9, equal_nan=True), name
    print({name: f"{seconds:.1f} s" for name, seconds in took.items()})  # noqa: T201 (the figures are the result)
    assert took["us"] <= 1.5 * min(took[name] for name in PEERS), took


def test_a_batch_stays_under_three_gigabytes(hundred_thousand):
    used = alone(_ALONE, hundred_thousand, ",".join(WANTED))
    print(used)  # noqa: T201 (the figures are the result)
    assert used["peak_mb"] < 3000


def test_cost_grows_in_step_with_the_company(tmp_path, hundred_thousand):
    """Exponent of processor time against deals over two powers of ten, owners' and stages' rates included."""
    only = ",".join([*WANTED, "owner_win_rate", "source_win_rate", "stage_days_to_usual"])
    sizes = [10_000, 100_000, 1_000_000]
    took = []
    for deals in sizes:
        lake = hundred_thousand if deals == 100_000 else a_lake(tmp_path / str(deals), deals)
        took.append(alone(_ALONE, lake, only)["seconds"])
    exponent = np.polyfit(np.log(sizes), np.log(took), 1)[0]
    print({"seconds": took, "exponent": exponent})  # noqa: T201 (the figures are the result)
    assert exponent <= 1.1, took


def statements_of(online: Online, rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement on features that describing some rows runs, in order."""
    said: list[str] = []
    make, fetch = DuckSession.make, DuckSession.fetch

    def noted_make(self: DuckSession, name: str, query: str) -> None:
        said.append(f"create or replace temp table {name} as {query}")
        make(self, name, query)

    def noted_fetch(self: DuckSession, query: str) -> pa.Table:
        said.append(query)
        return fetch(self, query)

    with monkeypatch.context() as patch:
        patch.setattr(DuckSession, "make", noted_make)
        patch.setattr(DuckSession, "fetch", noted_fetch)
        online.describe(rows)
    return said


def bare_rows(online: Online, query: str) -> pa.Table:
    return online._session.local.sql(query).to_arrow_table()


def test_one_deal_costs_little_more_than_its_bare_statements(hundred_thousand, monkeypatch):
    view = Lake(hundred_thousand).view()
    spine = weekly(view).sample(60, random_state=0)
    with Online(view, COMPANY) as online:
        rows = [spine.iloc[[i]] for i in range(len(spine))]
        for one in rows[:10]:
            online.describe(one)
        ours, bare = [], []
        for one in rows[10:]:
            said = statements_of(online, one, monkeypatch)
            began = time.perf_counter()
            online.describe(one)
            ours.append(time.perf_counter() - began)
            began = time.perf_counter()
            for statement in said:
                online._session.local.sql(statement) if statement[:6] == "create" else bare_rows(online, statement)
            bare.append(time.perf_counter() - began)
    ratio = statistics.median(ours) / statistics.median(bare)
    p50, p99 = np.percentile(ours, [50, 99]) * 1000
    print({"ratio": ratio, "p50_ms": p50, "p99_ms": p99})  # noqa: T201 (the figures are the result)
    assert ratio <= 1.3
