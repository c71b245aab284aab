"""The seam of all connectors, on a small CRM of lists: merges before the cursor moves, differences, deletions."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crm.company import Company
from crm.connectors import Batch, Declaration, Resource, base, sync
from crm.connectors.base import BadState
from crm.lake import Lake
from crm.mapping import BadMapping, parse
from crm.people import MemoryPeopleBook

STOP = datetime(2026, 3, 1, tzinfo=UTC)
MAPPING = parse("""
tables:
  - table: reps
    file: Staff.parquet
    columns: {rep_id: id, name: Name}
  - table: deals
    file: Deals.parquet
    columns:
      deal_id: id
      owner_id: Owner
      stage: Stage
      amount: Amount
      created_at: Made
      outcome: {constant: open}
""")
DECLARED = Declaration(
    name="lists",
    title="Lists",
    resources=(
        Resource("Staff", ("id",)),
        Resource("Deals", ("id", "Changed"), {"deals": "deal_id", "deal_changes": "deal_id"}),
    ),
    deals=("Deals",),
    modified="Changed",
    history=frozenset({"stage"}),
    mapping=Path("none.yaml"),
)


@dataclass
class ListCrm:
    """A CRM whose log of events is a list; the cursor is how many of them were read."""

    declaration: Declaration = DECLARED
    events: list[Batch] = field(default_factory=list)
    asked: list[dict[str, list[str]]] = field(default_factory=list)
    people: MemoryPeopleBook = field(default_factory=MemoryPeopleBook)

    def own_fields(self) -> dict[str, dict[str, str]]:
        return {}

    def pull(self, state, stop, wanted) -> Iterator[Batch]:
        self.asked.append({k: list(v) for k, v in wanted.items()})
        for place in range(state.get("read", 0), len(self.events)):
            event = self.events[place]
            yield Batch(event.rows, {"read": place + 1}, event.gone)


def deal(ident: str, amount: str, changed: str, stage: str = "Offer", owner: str = "r1") -> dict[str, str]:
    made = "2026-01-01T00:00:00Z"
    return {"id": ident, "Owner": owner, "Stage": stage, "Amount": amount, "Made": made, "Changed": changed}


def first() -> Batch:
    deals = [deal("d1", "100", "2026-01-05T00:00:00Z"), deal("d2", "50", "2026-01-06T00:00:00Z")]
    return Batch({"Staff": [{"id": "r1", "Name": "Ann Secret"}], "Deals": deals}, {})


def run(crm: ListCrm, root: Path):
    return sync(
        crm, lake=Lake(root / "lake"), people=crm.people, quarantine=root / "q", company=Company(),
        state_file=root / "state.json", stop=STOP, mapping=MAPPING,
    )  # fmt: skip


def amounts(root: Path) -> dict[str, float]:
    rows = Lake(root / "lake").view().arrow("deals").to_pylist()
    return {r["deal_id"]: float(r["amount"]) for r in rows}


def changes(root: Path) -> list[tuple[str, str, str | None, str | None, datetime, str]]:
    rows = Lake(root / "lake").view().arrow("deal_changes").to_pylist()
    names = ("deal_id", "field", "old_value", "new_value", "changed_at", "source")
    return sorted(tuple(r[n] for n in names) for r in rows)


def test_a_first_load_has_no_changes_and_keeps_names_out_of_the_lake(tmp_path: Path) -> None:
    report = run(ListCrm(events=[first()]), tmp_path)
    assert amounts(tmp_path) == {"d1": 100, "d2": 50}
    assert Lake(tmp_path / "lake").view().arrow("deal_changes").num_rows == 0
    assert report.tables["deals"]["new"] == 2
    assert not any(b"Ann Secret" in f.read_bytes() for f in (tmp_path / "lake").rglob("*") if f.is_file())


def test_what_differs_between_two_syncs_is_logged_but_for_fields_with_a_log_of_their_own(tmp_path: Path) -> None:
    later = Batch({"Deals": [deal("d1", "120", "2026-02-01T09:00:00+01:00", stage="Won", owner="r2")]}, {})
    crm = ListCrm(events=[first()])
    run(crm, tmp_path)
    crm.events.append(later)
    run(crm, tmp_path)
    at = datetime(2026, 2, 1, 8, tzinfo=UTC)  # nine o'clock one hour east of Greenwich
    assert changes(tmp_path) == [
        ("d1", "amount", "100.00", "120.00", at, "difference"),
        ("d1", "owner_id", "r1", "r2", at, "difference"),
    ]


def test_a_deleted_record_leaves_the_lake_with_its_log_and_earlier_cuts_keep_it(tmp_path: Path) -> None:
    crm = ListCrm(events=[first(), Batch({"Deals": [deal("d1", "120", "2026-02-01T00:00:00Z")]}, {})])
    run(crm, tmp_path)
    before = Lake(tmp_path / "lake").cut().number
    crm.events.append(Batch({}, {}, {"Deals": ["d1", "never seen"]}))
    report = run(crm, tmp_path)
    assert amounts(tmp_path) == {"d2": 50}
    assert changes(tmp_path) == []
    assert report.tables["deals"]["gone"] == 1
    assert Lake(tmp_path / "lake").at(before).arrow("deals").num_rows == 2


def test_a_run_that_dies_between_merge_and_cursor_ends_like_one_that_did_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = [first(), Batch({"Deals": [deal("d1", "120", "2026-02-01T00:00:00Z")]}, {}, {"Deals": ["d2"]})]
    run(ListCrm(events=whole), tmp_path / "whole")

    def dies(path: Path, state: object) -> None:
        raise KeyboardInterrupt

    for _ in range(len(whole)):
        with monkeypatch.context() as patch:
            patch.setattr(base, "write_state", dies)
            with pytest.raises(KeyboardInterrupt):
                run(ListCrm(events=whole), tmp_path / "killed")
        state = base.read_state(tmp_path / "killed/state.json")
        one_more = whole[: state.get("read", 0) + 1]
        run(ListCrm(events=one_more), tmp_path / "killed")
    assert amounts(tmp_path / "killed") == amounts(tmp_path / "whole") == {"d1": 120}
    assert changes(tmp_path / "killed") == changes(tmp_path / "whole")
    assert len(changes(tmp_path / "whole")) == 1


def test_a_sync_without_news_makes_no_cut(tmp_path: Path) -> None:
    crm = ListCrm(events=[first()])
    run(crm, tmp_path)
    number = Lake(tmp_path / "lake").cut().number
    crm.events.append(first())
    run(crm, tmp_path)
    assert Lake(tmp_path / "lake").cut().number == number


def test_the_connector_is_asked_for_the_columns_that_the_mapping_reads(tmp_path: Path) -> None:
    crm = ListCrm(events=[])
    run(crm, tmp_path)
    assert crm.asked == [{"Staff": ["id", "Name"], "Deals": ["id", "Changed", "Owner", "Stage", "Amount", "Made"]}]


def test_a_mapping_of_another_file_and_a_broken_state_say_so(tmp_path: Path) -> None:
    other = MAPPING.model_copy(deep=True)
    other.tables[0].file = "People.parquet"
    with pytest.raises(BadMapping, match=r"Lists has no 'People.parquet'. Files: Staff.parquet, Deals.parquet"):
        base.wanted_columns(DECLARED, other)
    (tmp_path / "state.json").write_text("[1")
    with pytest.raises(BadState, match="Delete it"):
        run(ListCrm(), tmp_path)
