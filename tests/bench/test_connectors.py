"""A first load of 100,000 deals within a vendor's limits, in memory that a small machine has; then 100 changes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crm.lake import Lake
from tests.bench.crowds import FxiaokeCrowd, HubSpotCrowd, ZohoCrowd
from tests.bench.test_features import _PEAK

pytestmark = pytest.mark.bench
DEALS, CHANGES = 100_000, 100
Crowd = FxiaokeCrowd | HubSpotCrowd | ZohoCrowd
_SYNC = f"""{_PEAK}
from datetime import datetime
from crm.company import Company
from crm.connectors import sync
from crm.connectors.base import CrmUnreachable
from crm.connectors.fxiaoke import Fxiaoke, FxiaokeKeys, FxiaokeLimits
from crm.connectors.hubspot import HubSpot, HubSpotKeys, HubSpotLimits
from crm.connectors.zoho import Zoho, ZohoKeys
from crm.lake import Lake
from crm.mapping import load
from crm.people import MemoryPeopleBook
name, root, stop, given = sys.argv[1], Path(sys.argv[2]), sys.argv[3], json.loads(sys.argv[4])
def connector():
    if name == "fxiaoke":
        limits = FxiaokeLimits(seconds=given["seconds"])
        return Fxiaoke(FxiaokeKeys(**given["keys"]), root / "tokens", host=given["host"], limits=limits)
    if name == "hubspot":
        limits = HubSpotLimits(seconds=given["seconds"])
        return HubSpot(HubSpotKeys(token=given["token"]), host=given["host"], limits=limits)
    return Zoho(ZohoKeys(**given["keys"]), accounts=given["host"])
crm = connector()
whole = load(crm.declaration.mapping)
mapping = whole.model_copy(update={{"tables": [t for t in whole.tables if t.table in ("accounts", "deals")]}})
began, clock = time.process_time(), time.monotonic()
try:
    report = sync(crm, lake=Lake(root / "lake"), people=MemoryPeopleBook(), quarantine=root / "q", company=Company(),
                  state_file=root / "cursor.json", stop=datetime.fromisoformat(stop), mapping=mapping)
    said = dict(counts=report.tables["deals"], batches=report.batches)
except CrmUnreachable as error:
    said = dict(spent=str(error))
print(json.dumps(dict(said, seconds=time.process_time() - began, clock=time.monotonic() - clock, peak_mb=peak_mb())))
"""


def in_a_process(crm: Crowd, address: str, root: Path) -> dict[str, Any]:
    given = [crm.name, str(root), crm.now.isoformat(), json.dumps(crm.options(address))]
    said = subprocess.run([sys.executable, "-c", _SYNC, *given], check=True, capture_output=True, text=True)
    return dict(json.loads(said.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    ("kind", "calls", "runs"),
    [
        (FxiaokeCrowd, DEALS / 100 + 30, 1),  # a hundred deals a call
        # For each hundred deals a call for their keys, two for them with their past, one for their customers.
        (HubSpotCrowd, DEALS / 100 * 4 + 50, 1),
        # Files for the records, and a call for each deal's stages; a run spends 20,000 calls, and the next goes on.
        (ZohoCrowd, DEALS + 500, 6),
    ],
)
def test_a_hundred_thousand_deals_come_within_limits_and_changes_in_seconds(
    tmp_path: Path, kind: type[Crowd], calls: int, runs: int
) -> None:
    crm, first = kind(DEALS), []
    with crm.listen() as address:
        while not first or ("spent" in first[-1] and len(first) < 10):
            first.append(in_a_process(crm, address, tmp_path))
        asked = len(crm.asked)
        crm.tick(hours=1)
        for place in range(0, DEALS, DEALS // CHANGES):
            crm.change(place)
        crm.tick(minutes=10)
        second = in_a_process(crm, address, tmp_path)
    print(f"{crm.name}: first load, {asked:,} calls in {len(first)} runs:")  # noqa: T201
    for run in [*first, second]:
        print(f"  {run}")  # noqa: T201
    print(f"  the last are {CHANGES} changes: {len(crm.asked) - asked} calls; over the limits: {crm.over}")  # noqa: T201
    assert len(Lake(tmp_path / "lake").view().arrow("deals")) == DEALS
    assert (second["counts"]["changed"], second["counts"]["new"]) == (CHANGES, 0)
    assert not crm.over
    assert asked < calls
    assert len(first) <= runs
    assert max(run["peak_mb"] for run in [*first, second]) < 1000
    assert second["seconds"] < 5
