"""The lake: merges by key, cuts that are whole or not there, old cuts that stay as they were."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from crm import lake as lake_module
from crm.errors import BadInput, NotReady
from crm.lake import Lake, LakeBusy, MergeCount, UnknownCut, conform, connect, newest_event
from crm.schema import SEQUENCE, TABLES
from tests.builders import a_change, a_deal, a_rep, an_activity, at, table_of, view_of


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path / "lake")


def put(lake, **tables):
    return lake.merge({name: table_of(name, rows) for name, rows in tables.items()}, source="test")


def column(view, name, table="deals"):
    key = TABLES[table].key[0]
    rows = view.arrow(table).select([key, name]).to_pylist()
    return {row[key]: row[name] for row in rows}


def test_a_new_lake_is_empty_but_has_all_tables(lake):
    assert lake.cut().number == 0
    assert lake.view().present == frozenset()
    with connect() as con:
        lake.view().attach(con)
        assert [con.sql(f"select count(*) from {name}").fetchall()[0][0] for name in TABLES] == [0] * len(TABLES)


def test_rows_come_back_as_they_went_in(lake):
    put(lake, deals=[a_deal(amount="1234.56", close_date="2026-04-01")])
    (row,) = lake.view().arrow("deals").to_pylist()
    assert row["amount"] == Decimal("1234.56")
    assert row["created_at"] == datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
    assert row["close_date"].isoformat() == "2026-04-01"
    assert row["product_id"] is None


def test_the_same_rows_again_change_nothing_and_make_no_cut(lake):
    rows = {
        "deals": [a_deal(), a_deal("d2", amount=None)],
        "deal_changes": [a_change("d1", "amount", None, 5, "2026-01-06")],
    }
    assert put(lake, **rows) == {"deals": MergeCount(new=2), "deal_changes": MergeCount(new=1)}
    assert put(lake, **rows) == {"deals": MergeCount(unchanged=2), "deal_changes": MergeCount(unchanged=1)}
    assert lake.cut().number == 1
    assert lake.view().arrow("deal_changes").num_rows == 1  # an empty old_value is part of the key


def test_changed_rows_are_updated_and_new_ones_added(lake):
    put(lake, deals=[a_deal("d1"), a_deal("d2")])
    assert put(lake, deals=[a_deal("d2", stage="Bid"), a_deal("d3")]) == {"deals": MergeCount(new=1, changed=1)}
    assert column(lake.view(), "stage") == {"d1": "Qualify", "d2": "Bid", "d3": "Qualify"}


def test_a_value_that_was_emptied_is_emptied_and_one_not_given_is_kept(lake):
    put(lake, deals=[a_deal(source="fair")])
    put(lake, deals=[a_deal(amount=None)])  # a_deal gives no source
    assert column(lake.view(), "amount") == {"d1": None}
    assert column(lake.view(), "source") == {"d1": "fair"}


def test_arrival_order_is_kept_over_merges_and_updates(lake):
    put(lake, deals=[a_deal("b"), a_deal("a")])
    put(lake, deals=[a_deal("c"), a_deal("b", stage="Bid")])
    assert column(lake.view(), SEQUENCE) == {"b": 0, "a": 1, "c": 2}


def test_an_old_cut_stays_as_it_was(lake):
    put(lake, deals=[a_deal("d1", stage="Qualify")])
    put(lake, deals=[a_deal("d1", stage="Bid")], activities=[an_activity("x")])
    assert column(lake.at(1), "stage") == {"d1": "Qualify"}
    assert lake.at(1).present == {"deals"}
    assert column(lake.at(2), "stage") == {"d1": "Bid"}
    assert lake.cut().source == "test"


def test_an_unknown_cut_is_an_error_that_names_the_newest(lake):
    put(lake, deals=[a_deal()])
    with pytest.raises(UnknownCut, match=r"no data cut 7\. The newest is 1\."):
        lake.at(7)


def test_own_columns_widen_the_table_by_new_and_by_changed_rows(lake):
    put(lake, deals=[a_deal("d1")])
    put(lake, deals=[a_deal("d2", x_fit="good")])
    assert column(lake.view(), "x_fit") == {"d1": None, "d2": "good"}
    assert put(lake, deals=[a_deal("d1", x_size=3.5)]) == {"deals": MergeCount(changed=1)}
    assert column(lake.view(), "x_size") == {"d1": 3.5, "d2": None}
    assert column(lake.view(), "x_fit") == {"d1": None, "d2": "good"}
    assert "x_fit" not in lake.at(1).arrow("deals").column_names


def test_personal_columns_are_refused(lake):
    with pytest.raises(BadInput, match=r"reps: name is no column of the lake"):
        put(lake, reps=[a_rep(name="Ada")])
    assert lake.cut().number == 0


def test_a_value_that_does_not_fit_its_type_is_refused():
    with pytest.raises(BadInput, match="deals: created_at does not fit"):
        conform("deals", pa.table({"deal_id": ["d1"], "created_at": ["soon"]}))


def test_naive_times_are_taken_as_utc_and_floats_as_money():
    rows = conform("deals", pa.table({"deal_id": ["d"], "created_at": [datetime(2026, 1, 5)], "amount": [0.1 + 0.2]}))  # noqa: DTZ001
    assert rows.column("created_at").to_pylist() == [datetime(2026, 1, 5, tzinfo=UTC)]
    assert rows.column("amount").to_pylist() == [Decimal("0.30")]


def test_the_newest_event_is_the_latest_of_all_clocks():
    view = view_of(
        deals=[a_deal(), a_deal("d2", outcome="won", closed_at="2026-02-03T04:05Z")],
        activities=[an_activity(occurred_at="2026-02-01", recorded_at="2026-02-02")],
    )
    assert newest_event(view) == at("2026-02-03T04:05Z")
    assert newest_event(view_of(activities=[an_activity(occurred_at="2026-02-01", recorded_at="2026-02-02")])) == at(
        "2026-02-02"
    )


def test_without_dated_rows_there_is_no_newest_event():
    for view in (view_of(), view_of(deals=[])):
        with pytest.raises(NotReady, match="Import"):
            newest_event(view)


def test_a_second_writer_waits_for_the_first(lake):
    lake.root.mkdir(parents=True)
    done = threading.Event()
    writer = threading.Thread(target=lambda: (put(lake, deals=[a_deal()]), done.set()))
    with FileLock(lake.root / "write.lock"):
        writer.start()
        assert not done.wait(0.5)
        assert lake.cut().number == 0
    writer.join(30)
    assert done.is_set()
    assert lake.cut().number == 1


def test_a_writer_gives_up_with_a_sentence(lake, monkeypatch):
    lake.root.mkdir(parents=True)
    patient = FileLock
    monkeypatch.setattr(lake_module, "FileLock", lambda path, timeout: patient(path, timeout=timeout / 600))
    with FileLock(lake.root / "write.lock"), pytest.raises(LakeBusy, match="another process"):
        put(lake, deals=[a_deal()])


# A writer that never stops: merge n gives every deal and every activity the number n, in two tables.
WRITER = """
import sys
from pathlib import Path
from crm.lake import Lake
from tests.builders import a_deal, an_activity, table_of
lake = Lake(Path(sys.argv[1]))
first = lake.cut().number + 1
for n in range(first, first + 10_000):
    deals = [a_deal(f"d{i}", stage=str(n)) for i in range(3)]
    acts = [an_activity(f"a{i}", outcome=str(n)) for i in range(3)]
    lake.merge({"deals": table_of("deals", deals), "activities": table_of("activities", acts)}, source=str(n))
    print(n, flush=True)
"""


def test_a_killed_writer_leaves_a_whole_cut(lake):
    """Killed at random moments, some of them between the writes of the two tables: readers see both or neither."""
    rng = random.Random(7)
    deadline = time.monotonic() + 25
    cuts = []
    for _ in range(3):
        if time.monotonic() > deadline:
            break
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(lake.root)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
        )
        assert writer.stdout is not None
        published = int(writer.stdout.readline())
        time.sleep(rng.uniform(0.0, 0.6))
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        cut = lake.cut()
        assert cut.number >= published
        cuts.append(cut.number)
        said = {*column(lake.view(), "stage").values(), *column(lake.view(), "outcome", "activities").values()}
        assert said == {cut.source} == {str(cut.number)}
    before = cuts[-1]
    put(lake, deals=[a_deal("d0", stage="after")])
    assert lake.cut().number == before + 1
    assert column(lake.view(), "stage")["d0"] == "after"


def test_a_merge_that_died_between_tables_is_undone_by_the_next(lake, monkeypatch):
    put(lake, deals=[a_deal("d1", stage="old")], activities=[an_activity("x", outcome="old")])

    def dies(self, cut):
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(Lake, "_publish", dies)
        with pytest.raises(KeyboardInterrupt):
            put(lake, deals=[a_deal("d1", stage="half")], activities=[an_activity("x", outcome="half")], orders=[])
    assert column(lake.view(), "stage") == {"d1": "old"}
    assert lake.view().present == {"deals", "activities"}
    put(lake, activities=[an_activity("y")])
    assert column(lake.view(), "stage") == {"d1": "old"}
    assert column(lake.view(), "outcome", "activities") == {"x": "old", "y": None}


ROW = st.fixed_dictionaries(
    {"stage": st.sampled_from("AB"), "amount": st.one_of(st.none(), st.decimals(0, 10, places=2))},
    optional={"source": st.one_of(st.none(), st.sampled_from("st")), "x_n": st.one_of(st.none(), st.integers(0, 3))},
)
BATCHES = st.lists(st.dictionaries(st.sampled_from("pqrs"), ROW, min_size=1), min_size=1, max_size=4)


@settings(max_examples=15)
@given(BATCHES)
def test_random_batches_give_what_a_dict_gives(tmp_path_factory, batches):
    lake = Lake(tmp_path_factory.mktemp("lake"))
    model: dict[str, dict[str, object]] = {}
    for batch in batches:
        # A column that any row of a batch gives is given for all its rows, as in a file.
        given_ = {name for row in batch.values() for name in row}
        whole = {key: {name: row.get(name) for name in given_} for key, row in batch.items()}
        rows = [a_deal(key, **row) for key, row in whole.items()]
        table = table_of("deals", rows)
        if "x_n" in given_:
            place = table.column_names.index("x_n")
            table = table.set_column(place, "x_n", table.column("x_n").cast(pa.int64()))
        before = {key: dict(row) for key, row in model.items()}
        for key, row in whole.items():
            model.setdefault(key, {}).update(row)
        count = lake.merge({"deals": table}, source="batch")["deals"]
        new = set(model) - set(before)
        changed = {k for k in before if any(model[k][c] != before[k].get(c) for c in model[k])}
        assert count == MergeCount(len(new), len(changed), len(batch) - len(new) - len(changed))
    stored = {row["deal_id"]: row for row in lake.view().arrow("deals").to_pylist()}
    assert set(stored) == set(model)
    for key, row in model.items():
        assert {name: stored[key].get(name) for name in row} == row


@pytest.mark.parametrize("folder", ["my data", "客户 数据", "it's 100% a?b*"])
def test_a_lake_may_lie_in_any_folder(tmp_path, folder):
    lake = Lake(tmp_path / folder / "lake")
    lake.merge({"teams": pa.table({"team_id": ["t1"], "name": ["North"]})}, source="test")
    lake.merge({"teams": pa.table({"team_id": ["t2"], "name": ["South"]})}, source="test")
    assert sorted(lake.view().arrow("teams").column("team_id").to_pylist()) == ["t1", "t2"]


@pytest.mark.parametrize(("folder", "found"), [("a [1]", r"\["), ("100%25", "%25"), ("a^b", r"\^")])
def test_a_folder_that_delta_cannot_take_is_named(tmp_path, folder, found):
    with pytest.raises(BadInput, match=f"'{found}' in a path cannot be used"):
        Lake(tmp_path / folder).merge({"teams": pa.table({"team_id": ["t1"], "name": ["North"]})}, source="test")
    assert not (tmp_path / folder).exists()
