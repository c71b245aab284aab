"""Kept weeks: a kill leaves none half, a newer cut only costs what it may have changed, outcomes need no writing."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from crm.company import Company
from crm.lake import Lake
from tests.builders import an_activity, table_of
from tests.features.history import as_it_was
from tests.features.small_company import small_company
from training.snapshots import deal_snapshots

T1, T2 = pd.Timestamp("2026-08-05 10:00", tz="UTC"), pd.Timestamp("2026-08-26 10:00", tz="UTC")
WORK = """
import sys
from pathlib import Path
import pandas as pd
from crm.company import Company
from crm.lake import Lake
from training.snapshots import deal_snapshots

lake, folder, company, until = sys.argv[1:]
deal_snapshots(Lake(Path(lake)).view(), Company.load(Path(company)), until=pd.Timestamp(until), folder=Path(folder))
"""


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """A lake as it was at T1 (cut 1) and three weeks later (cut 2), with its company.yaml beside it."""
    root = tmp_path_factory.mktemp("two-cuts")
    whole, company = small_company()
    for moment in (T1, T2):
        then = as_it_was(whole, moment)
        Lake(root / "lake").merge({name: then.arrow(name) for name in then.present}, source="test")
    company.save(root / "company.yaml")
    return Lake(root / "lake"), company


@pytest.fixture(scope="module")
def fresh(lake, tmp_path_factory):
    """Snapshots until T2, all worked out at once, and the folder they are kept in."""
    folder = tmp_path_factory.mktemp("fresh")
    return deal_snapshots(lake[0].view(), lake[1], until=T2, folder=folder), folder


def files(folder: Path) -> dict[str, tuple[int, int]]:
    """Kept weeks by name, each with what tells whether it was written again."""
    return {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in sorted(folder.rglob("*.parquet"))}


def same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_there_is_one_file_for_each_monday(fresh):
    rows, folder = fresh
    mondays = sorted(f"{day:%Y%m%dT%H%M%S}.parquet" for day in rows["as_of"].unique() if day != T2)
    assert list(files(folder)) == mondays
    assert len(mondays) > 20


def test_kept_weeks_give_the_same_to_the_last_bit_and_are_not_written_again(fresh, lake):
    rows, folder = fresh
    before = files(folder)
    same(deal_snapshots(lake[0].view(), lake[1], until=T2, folder=folder), rows)
    same(deal_snapshots(lake[0].view(), lake[1], until=T2), rows)
    assert files(folder) == before


@pytest.mark.parametrize("at_file", [1, 12, 14])
def test_a_run_that_is_killed_leaves_no_half_week(fresh, lake, tmp_path, at_file):
    """Killed as soon as so many files are there: within the first block of thirteen, at its end, within the next."""
    command = [sys.executable, "-c", WORK, str(lake[0].root), str(tmp_path), str(lake[0].root.parent / "company.yaml")]
    with subprocess.Popen([*command, str(T2)], cwd=Path(__file__).parents[2]) as run:
        while len(files(tmp_path)) < at_file and run.poll() is None:
            time.sleep(0.0005)
        run.send_signal(signal.SIGKILL)
    assert run.returncode == -signal.SIGKILL
    assert at_file <= len(files(tmp_path)) < len(files(fresh[1]))
    again = deal_snapshots(lake[0].view(), lake[1], until=T2, folder=tmp_path)
    same(again, fresh[0])
    assert list(files(tmp_path)) == list(files(fresh[1]))
    assert not list(tmp_path.rglob("*.part"))


def test_a_newer_cut_adds_its_weeks_and_the_outcomes_and_leaves_the_old_files(fresh, lake, tmp_path):
    first = deal_snapshots(lake[0].at(1), lake[1], until=T1, folder=tmp_path)
    before = files(tmp_path)
    now = deal_snapshots(lake[0].view(), lake[1], until=T2, folder=tmp_path)
    same(now, fresh[0])
    after = files(tmp_path)
    # The Mondays from 10 August on are new.
    assert {name: after[name] for name in before} == before
    assert sorted(after.keys() - before.keys()) == [f"202608{day}T000000.parquet" for day in (10, 17, 24)]
    ended = now.set_index(["deal_id", "as_of"])["_outcome"].reindex(first.set_index(["deal_id", "as_of"]).index)
    assert (first["_outcome"] == "open").sum() > (ended == "open").sum()  # what came of them is told anew


def test_what_is_written_down_afterwards_costs_the_weeks_from_then_on(fresh, lake, tmp_path):
    root = tmp_path / "lake"
    whole = lake[0].view()
    own = Lake(root)
    own.merge({name: whole.arrow(name) for name in whole.present}, source="test")
    kept = tmp_path / "kept"
    deal_snapshots(own.view(), lake[1], until=T2, folder=kept)
    before = files(kept)
    deal = fresh[0].loc[fresh[0]["as_of"] == T2, "deal_id"].iloc[0]
    late = an_activity("found-later", deal_id=deal, account_id=None, rep_id=None, occurred_at="2026-08-13T09:00:00Z")
    own.merge({"activities": table_of("activities", [late])}, source="test")
    now = deal_snapshots(own.view(), lake[1], until=T2, folder=kept)
    same(now, deal_snapshots(own.view(), lake[1], until=T2))
    after = files(kept)
    # The Mondays before 13 August stay, those after it are made anew; a block is made anew as a whole.
    written = {name for name in after if after[name] != before.get(name)}
    assert {"20260817T000000.parquet", "20260824T000000.parquet"} <= written
    assert max(after.keys() - written) < "20260813"
    assert len(after.keys() - written) >= 13
    touched = now.set_index(["deal_id", "as_of"])["touches"] - fresh[0].set_index(["deal_id", "as_of"])["touches"]
    assert set(touched[touched != 0].index.get_level_values("deal_id")) == {deal}


def test_other_definitions_replace_the_old_ones_and_thinned_weeks_are_taken_from_whole_ones(fresh, lake, tmp_path):
    view, company = lake[0].view(), lake[1]
    until = pd.Timestamp("2026-04-15", tz="UTC")
    whole = deal_snapshots(view, company, until=until, folder=tmp_path)
    before = files(tmp_path)
    fewer = deal_snapshots(view, company, until=until, folder=tmp_path, max_rows=len(whole) - 20)
    assert len(fewer) == len(whole) - 20
    same(fewer, whole.merge(fewer[["deal_id", "as_of"]]).astype(fewer.dtypes))
    assert files(tmp_path) == before
    own = {"block": "deal_activity", "name": "mine", "sql": "count(*)", "unit": "count", "en": "Mine"}
    other = Company.parse(company.model_dump() | {"features": [own]})
    assert "mine" in deal_snapshots(view, other, until=until, folder=tmp_path)
    assert len(list(tmp_path.glob("deals-*"))) == 1
    assert files(tmp_path).keys() == before.keys()
    assert set(files(tmp_path).values()).isdisjoint(before.values())


def test_the_share_done_is_told(lake):
    said = []
    deal_snapshots(lake[0].view(), lake[1], until=T2, progress=lambda text, done: said.append((text, done)))
    assert [done for _, done in said] == pytest.approx([k / len(said) for k in range(len(said))])
    assert said[0][0].startswith("Snapshots of 2026-")
