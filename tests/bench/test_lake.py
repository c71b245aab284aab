"""The lake and the quality report on half a million deals, as ratios to what DuckDB needs for the same rows."""

import time
from collections.abc import Callable

import pyarrow as pa
import pytest

from crm.company import Company
from crm.lake import Lake, MergeCount, connect
from crm.quality import findings

pytestmark = pytest.mark.bench

DEALS = 500_000
_ROWS = {
    "accounts": f"""
        select 'a' || i as account_id, 'Company number ' || i as name, timestamptz '2024-01-01' as created_at
        from range({DEALS // 10}) t(i)""",
    "deals": f"""
        select 'd' || i as deal_id, 'a' || i % {DEALS // 10} as account_id, 'r' || i % 300 as owner_id,
               'Stage ' || i % 5 as stage,
               (i % 977)::decimal(18, 2) as amount, if(i % 3 = 0, 'open', 'lost') as outcome,
               timestamptz '2024-01-01' + to_seconds(i * 97) as created_at,
               if(i % 3 = 0, null, timestamptz '2024-02-01' + to_seconds(i * 97)) as closed_at
        from range({DEALS}) t(i)""",
    "deal_changes": f"""
        select 'd' || i % {DEALS} as deal_id, 'stage' as field, 'Stage ' || i % 4 as old_value,
               'Stage ' || i % 4 + 1 as new_value, timestamptz '2024-01-01' + to_seconds(i * 31) as changed_at
        from range({2 * DEALS}) t(i)""",
}


def cpu(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


@pytest.fixture(scope="module")
def rows() -> dict[str, pa.Table]:
    with connect() as con:
        return {name: con.sql(sql).to_arrow_table() for name, sql in _ROWS.items()}


def test_storing_checking_and_storing_again_stay_near_a_plain_copy(rows, tmp_path):
    def copy() -> None:
        with connect() as con:
            for name, table in rows.items():
                con.register(name, table)
                con.sql(f"select * from {name}").write_parquet(str(tmp_path / f"{name}.parquet"))

    lake = Lake(tmp_path / "lake")
    copied = cpu(copy)
    stored = cpu(lambda: lake.merge(rows, source="bench"))
    again = cpu(lambda: lake.merge(rows, source="bench"))
    assert lake.merge(rows, source="bench")["deals"] == MergeCount(unchanged=DEALS)
    checked = cpu(lambda: findings(lake.view(), Company()))
    said = (
        f"copied in {copied:.1f}, stored in {stored:.1f}, again in {again:.1f}, checked in {checked:.1f} s of CPU time"
    )
    assert stored < 4 * copied, said
    assert again < 6 * copied, said
    assert checked < 12 * copied, said
