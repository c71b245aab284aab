"""A first load of 100,000 deals within a vendor's limits, in memory that a small machine has; then 100 changes."""

import bisect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bench.test_features import _PEAK
from tests.crm.connectors.fxiaoke_server import KEYS, FxiaokeCrm, Record, serve
from tests.crm.connectors.stand_in import Answer

pytestmark = pytest.mark.bench
DEALS, CHANGES = 100_000, 100
WINDOW = 2.0
"""Seconds in which 100 calls are allowed: the vendor's 20, ten times as fast."""
_SYNC = f"""{_PEAK}
from datetime import datetime
from crm.company import Company
from crm.connectors import sync
from crm.connectors.fxiaoke import Fxiaoke, FxiaokeKeys, FxiaokeLimits
from crm.lake import Lake
from crm.mapping import load
from crm.people import MemoryPeopleBook
address, root, stop, keys, window = sys.argv[1], Path(sys.argv[2]), *map(json.loads, sys.argv[3:6])
crm = Fxiaoke(FxiaokeKeys(**keys), root / "tokens", host=address, limits=FxiaokeLimits(seconds=window))
whole = load(crm.declaration.mapping)
mapping = whole.model_copy(update={{"tables": [t for t in whole.tables if t.table in ("accounts", "deals")]}})
began, clock = time.process_time(), time.monotonic()
report = sync(crm, lake=Lake(root / "lake"), people=MemoryPeopleBook(), quarantine=root / "q", company=Company(),
              state_file=root / "fxiaoke.json", stop=datetime.fromisoformat(stop), mapping=mapping)
print(json.dumps(dict(counts=report.tables["deals"], batches=report.batches, seconds=time.process_time() - began,
                      clock=time.monotonic() - clock, peak_mb=peak_mb())))
"""


class Crowd(FxiaokeCrm):
    """The stand-in with its deals by key, so that it answers as fast as a database."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = WINDOW
        for n in range(DEALS):
            self.tick(minutes=2)
            self.put(
                "NewOpportunityObj", f"{n * 7919 % 999_983:024d}", name=f"Deal {n}", owner=["1000"], account_id="a1",
                sales_stage="s1", deal_money=f"{n}.50", close_date=1_782_748_800_000, risk__c="3",
            )  # fmt: skip
        self.keys = sorted(self.records["NewOpportunityObj"])

    def _query(self, wish: Record, own: bool) -> Answer:
        """Only what lies behind the key asked for is looked at."""
        data = wish["data"]
        after = [f["field_values"][0] for f in data["search_query_info"]["filters"] if f["operator"] == "GT"]
        changed = any(f["operator"] == "GTE" for f in data["search_query_info"]["filters"])
        by_key = data["search_query_info"]["orders"][0]["fieldName"] == "_id"
        if data["dataObjectApiName"] != "NewOpportunityObj" or changed or not by_key:
            return super()._query(wish, own)
        whole, begin = self.records["NewOpportunityObj"], bisect.bisect_right(self.keys, after[0]) if after else 0
        self.records["NewOpportunityObj"] = {key: whole[key] for key in self.keys[begin : begin + 101]}
        try:
            return super()._query(wish, own)
        finally:
            self.records["NewOpportunityObj"] = whole


def in_a_process(address: str, root: Path, crm: Crowd) -> dict[str, Any]:
    stop = json.dumps(crm.now.isoformat())
    said = subprocess.run(
        [sys.executable, "-c", _SYNC, address, str(root), stop, json.dumps(KEYS), json.dumps(WINDOW)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return dict(json.loads(said.stdout.splitlines()[-1]))


def test_a_hundred_thousand_deals_come_within_limits_and_changes_in_seconds(tmp_path: Path) -> None:
    crm = Crowd()
    with serve(crm) as address:
        first = in_a_process(address, tmp_path, crm)
        calls = len(crm.asked)
        crm.tick(hours=1)
        for key in crm.keys[:: DEALS // CHANGES]:
            crm.put("NewOpportunityObj", key, deal_money="7.00")
        second = in_a_process(address, tmp_path, crm)
    print(f"first load: {calls:,} calls {first}; {CHANGES} changes: {len(crm.asked) - calls} calls {second}")  # noqa: T201
    assert first["counts"]["new"] == DEALS
    assert (second["counts"]["changed"], second["counts"]["new"]) == (CHANGES, 0)
    assert not crm.exceeded
    assert calls < DEALS / 100 + 30
    assert max(first["peak_mb"], second["peak_mb"]) < 1000
    assert second["seconds"] < 5
