"""Files into the lake: formats, bad input, persons, mappings, and what the report says."""

import gzip
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from crm.company import Company
from crm.errors import BellwetherError
from crm.importing import import_path
from crm.lake import Lake
from crm.mapping import parse
from crm.people import MemoryPeopleBook
from crm.quarantine import read_all
from crm.report import ImportReport

HEAD = "deal_id,stage,created_at,outcome,amount,name\n"
GOOD = "d1,Talk,2025-01-31T10:00:00Z,open,12.50,华为\nd2,Offer,2025-02-01,won,7,Müller\n"


class Place:
    """A home in small: an input folder, a lake, a people book and a quarantine."""

    def __init__(self, root: Path) -> None:
        self.input, self.quarantine = root / "input", root / "quarantine"
        self.lake, self.people = Lake(root / "lake"), MemoryPeopleBook()
        self.root = root
        self.input.mkdir()

    def put(self, **files: str | bytes) -> None:
        for name, content in files.items():
            file = self.input / name.replace("__", ".")
            file.write_bytes(content if isinstance(content, bytes) else content.encode())

    def run(self, mapping: str | None = None, company: Company | None = None, path: Path | None = None) -> ImportReport:
        return import_path(
            path or self.input,
            lake=self.lake,
            people=self.people,
            quarantine=self.quarantine,
            company=company or Company(),
            mapping=parse(mapping) if mapping else None,
        )

    def rows(self, table: str, *columns: str) -> list[tuple[object, ...]]:
        return [tuple(row[c] for c in columns) for row in self.lake.view().arrow(table).to_pylist()]

    def refused(self) -> list[tuple[int, str, str]]:
        return [(r["row"], r["column"], r["value"]) for r in read_all(self.quarantine)]

    def said(self, mapping: str | None = None, path: Path | None = None) -> str:
        """The one line of an import that fails; the lake is as it was."""
        before = self.lake.cut()
        with pytest.raises(BellwetherError) as caught:
            self.run(mapping, path=path)
        assert self.lake.cut() == before
        assert "\n" not in str(caught.value)
        return str(caught.value)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def as_parquet(text: str, path: Path) -> None:
    """The same rows with typed columns, as a warehouse would write them."""
    path.with_suffix(".csv").write_text(text, encoding="utf-8")
    table = pa_csv.read_csv(path.with_suffix(".csv"))
    path.with_suffix(".csv").unlink()
    table = table.set_column(
        2, "created_at", pa.array([datetime(2025, 1, 31, 10, tzinfo=UTC), datetime(2025, 2, 1, tzinfo=UTC)])
    )
    pq.write_table(table, path)


@pytest.mark.parametrize("kind", ["csv", "bom", "gb18030", "tsv", "semicolon", "gz", "tsv.gz", "crlf", "cr", "parquet"])
def test_every_format_gives_the_same_rows(place, kind):
    text = HEAD + GOOD
    files = {
        "csv": ("deals.csv", text.encode()),
        "bom": ("deals.csv", b"\xef\xbb\xbf" + text.encode()),
        "gb18030": ("deals.csv", text.replace("ü", "u").encode("gb18030")),
        "tsv": ("deals.tsv", text.replace(",", "\t").encode()),
        "semicolon": ("deals.csv", text.replace(",", ";").encode()),
        "gz": ("deals.csv.gz", gzip.compress(text.encode())),
        "tsv.gz": ("deals.tsv.gz", gzip.compress(text.replace(",", "\t").encode())),
        "crlf": ("deals.csv", text.replace("\n", "\r\n").encode()),
        "cr": ("deals.csv", text.replace("\n", "\r").encode()),
    }
    if kind == "parquet":
        as_parquet(text, place.input / "deals.parquet")
    else:
        name, content = files[kind]
        (place.input / name).write_bytes(content)
    place.run()
    umlaut = "Muller" if kind == "gb18030" else "Müller"
    assert place.rows("deals", "deal_id", "stage", "created_at", "outcome", "amount", "name") == [
        ("d1", "Talk", datetime(2025, 1, 31, 10, tzinfo=UTC), "open", Decimal("12.50"), "华为"),
        ("d2", "Offer", datetime(2025, 2, 1, tzinfo=UTC), "won", Decimal("7.00"), umlaut),
    ]


def test_one_file_is_enough(place):
    place.put(deals__csv=HEAD + GOOD, absences__csv="rep_id,from,to\nr1,2025-01-01,2025-01-03\n")
    report = place.run(path=place.input / "deals.csv")
    assert list(report.tables) == ["deals"]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("created_at", "31/02/2025"),
        ("created_at", "2025-02-31"),
        ("created_at", "epoch"),
        ("created_at", "infinity"),
        ("created_at", "0025-01-01"),
        ("created_at", ""),
        ("outcome", "maybe"),
        ("stage", ""),
        ("amount", '"1.234,56"'),
        ("amount", '"1,234.56"'),
        ("amount", "nan"),
        ("amount", "99999999999999999999"),
        ("deal_id", "  "),
    ],
)
def test_a_bad_cell_goes_to_the_quarantine_and_its_neighbours_land(place, column, value):
    row = {"deal_id": "d3", "stage": "Talk", "created_at": "2025-01-01", "outcome": "open", "amount": "1", "name": "n"}
    first, second = GOOD.splitlines()
    place.put(deals__csv=HEAD + first + "\n" + ",".join({**row, column: value}.values()) + "\n" + second + "\n")
    report = place.run()
    assert [r[0] for r in place.rows("deals", "deal_id")] == ["d1", "d2"]
    assert (report.tables["deals"].read, report.tables["deals"].refused) == (3, 1)
    assert place.refused() == [(3, column, value.strip().strip('"'))]  # the header is row 1
    kept = read_all(place.quarantine)[0]
    assert kept["table"] == "deals"
    assert kept["reason"]
    assert kept["mend"]


def test_numbers_and_days_are_read_as_the_mapping_says(place):
    mapping = """
format: {decimal: ",", thousands: ".", dates: ["%d.%m.%Y"], time_zone: Asia/Shanghai, missing: ["", "-"]}
tables:
  - table: deals
    file: a.csv
    columns: {deal_id: id, stage: id, created_at: made, outcome: {constant: open}, amount: worth, close_date: due}
"""
    place.put(
        a__csv='id,made,worth,due\n1,01.02.2025,"1.234,56",28.02.2025\n2,2025-02-01,-,\n'
        '3,01.02.2025,"1.2",\n4,29.02.2025,1,\n5,2025-02-01T00:00:00Z,"12,5",\n'
    )
    place.run(mapping)
    # Midnight in Shanghai is 16:00 UTC of the day before; a time that names its zone is not moved.
    local = datetime(2025, 1, 31, 16, tzinfo=UTC)
    assert place.rows("deals", "deal_id", "created_at", "amount", "close_date") == [
        ("1", local, Decimal("1234.56"), date(2025, 2, 28)),
        ("2", local, None, None),
        ("5", datetime(2025, 2, 1, tzinfo=UTC), Decimal("12.50"), None),
    ]
    # 1.2 is no group of three, so it is no twelve; 2025 is no leap year
    assert place.refused() == [(4, "amount", "1.2"), (5, "created_at", "29.02.2025")]


def test_rows_that_are_no_rows_are_refused_with_their_number(place):
    place.put(
        deals__csv=HEAD
        + "d1,Talk,2025-01-01,open,1\n"  # row 2: a cell is missing
        + 'd2,Talk,2025-01-01,open,1,"two\n\nlines"\n'  # row 3
        + "\n"  # blank lines are not counted
        + "d3,Talk,2025-01-01,open,1,x,y\n"  # row 4: a cell too many
        + 'd4,Talk,2025-01-01,open,1,"never closed\n'  # row 5
        + "d5,Talk,2025-01-01,open,1,x\n"  # row 6
        + "d6,Talk,soon,open,1,x\n"  # row 7
    )
    report = place.run()
    assert place.rows("deals", "deal_id", "name") == [("d2", "two\n\nlines"), ("d5", "x")]
    assert sorted(r[0] for r in place.refused()) == [2, 4, 5, 7]
    assert (report.tables["deals"].read, report.tables["deals"].refused) == (6, 4)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (HEAD.encode(), "has a header but no rows"),
        (b"deal_id,stage,deal_id\n1,2,3\n", "has two columns named 'deal_id'"),
        (b"deal_id,,stage\n1,2,3\n", "column 2 has no name"),
        (b"deal_id,stage\n1,2\n", "has no column 'created_at'"),
        ((HEAD + GOOD).replace(",", "~").encode(), "has no column 'deal_id'"),
        (b"\x00\x01\x02\x03", "is not text"),
        (b"deal_id,stage\n\x81\n,\x8d\n", "is not text in utf-8, gb18030, big5, cp1252"),
    ],
)
def test_a_file_that_is_no_table_gets_one_clear_line(place, content, said):
    place.put(deals__csv=content)
    assert said in place.said()


def test_damaged_archives_get_one_clear_line(place):
    place.put(deals__csv__gz=gzip.compress((HEAD + GOOD).encode())[:-12])
    assert "is no whole gzip file" in place.said()
    (place.input / "deals.csv.gz").unlink()
    place.put(deals__parquet=b"PAR1 and nothing more")
    assert "is no Parquet file" in place.said()


def test_folders_without_tables_get_one_clear_line(place, tmp_path):
    assert "holds no CSV, TSV, Excel, JSON Lines or Parquet file" in place.said()
    place.put(sales__csv="a\n1\n")
    assert "no file is named after a table" in place.said()
    assert "there is no such file or folder" in place.said(path=tmp_path / "none")


def test_an_empty_table_stops_no_other(place):
    place.put(deals__csv=HEAD + GOOD, absences__csv="rep_id,from,to\n")
    report = place.run()
    assert report.tables["deals"].new == 2
    assert report.tables["absences"].read == 0
    assert "absences" in report.absent


@pytest.mark.parametrize("link", [False, True])
def test_a_mapping_cannot_leave_the_folder(place, link):
    (place.root / "secret.csv").write_text("d,s,c,o\n1,2,2025-01-01,open\n")
    name = "../secret.csv"
    if link:
        name = "secret.csv"
        (place.input / name).symlink_to(place.root / "secret.csv")
    place.put(other__csv="a\n1\n")
    mapping = f"tables: [{{table: deals, file: {name}, columns: {{deal_id: d, stage: s, created_at: c, outcome: o}}}}]"
    assert "outside the folder" in place.said(mapping)


def test_the_same_file_again_changes_nothing(place):
    place.put(
        deals__csv=HEAD + GOOD + "d3,Talk,soon,open,1,x\n",
        reps__csv="rep_id,name\nr1,Ann Quist\n",
        deal_changes__csv="deal_id,changed_at,field,old_value,new_value\nd1,2025-01-01,stage,,Talk\n",
    )
    place.run()
    cut, people, kept = place.lake.cut(), dict(place.people.people), read_all(place.quarantine)
    report = place.run()
    assert place.lake.cut() == cut
    assert place.people.people == people
    assert read_all(place.quarantine) == kept
    assert {n: (t.new, t.changed, t.unchanged) for n, t in report.tables.items()} == {
        "deals": (0, 0, 2),
        "reps": (0, 0, 1),
        "deal_changes": (0, 0, 1),
    }


def test_changed_rows_are_counted(place):
    place.put(deals__csv=HEAD + GOOD)
    place.run()
    place.put(deals__csv=HEAD + GOOD.replace("Talk", "Offer") + "d3,Talk,2025-01-01,open,1,x\n")
    count = place.run().tables["deals"]
    assert (count.new, count.changed, count.unchanged) == (1, 1, 1)
    assert sorted(place.rows("deals", "deal_id", "stage")) == [("d1", "Offer"), ("d2", "Offer"), ("d3", "Talk")]


def test_a_double_is_dropped_and_a_contradiction_refused_with_both_rows(place):
    first = GOOD.splitlines()[0]
    place.put(deals__csv=HEAD + f"{first}\n{first}\n" + first.replace("Talk", "Offer") + "\n")
    report = place.run()
    assert place.rows("deals", "deal_id", "stage") == [("d1", "Talk")]
    assert place.refused() == [(4, "deal_id", "d1")]
    assert "row 2" in read_all(place.quarantine)[0]["reason"]
    assert report.tables["deals"].refused == 1


def test_only_logged_fields_are_taken_as_changes(place):
    place.put(
        deal_changes__csv="deal_id,changed_at,field,old_value,new_value\n"
        "d1,2025-01-01,stage,,Talk\nd1,2025-01-01,colour,,red\nd1,2025-01-01,x_colour,,red\n"
    )
    place.run()
    assert [r[0] for r in place.rows("deal_changes", "field")] == ["stage", "x_colour"]
    assert place.refused() == [(3, "field", "colour")]


def test_own_columns_keep_the_type_of_the_first_import(place):
    head, row = HEAD.strip() + ",x_size,x_tag,extra\n", "d1,Talk,2025-01-01,open,1,x,"
    place.put(deals__csv=head + row + "1.5,7a,zzz\n")
    report = place.run()
    assert report.ignored == {"deals.csv": ["extra"]}
    assert place.rows("deals", "x_size", "x_tag") == [(1.5, "7a")]
    place.put(deals__csv=head + row + "2,8,zzz\n" + row.replace("d1", "d2") + "big,9,zzz\n")
    place.run()
    assert place.rows("deals", "deal_id", "x_size", "x_tag") == [("d1", 2.0, "8")]
    assert place.refused() == [(3, "x_size", "big")]


def test_an_own_column_without_values_waits_for_some_that_tell_what_it_holds(place):
    head, row = HEAD.strip() + ",x_size\n", "d1,Talk,2025-01-01,open,1,x,"
    place.put(deals__csv=head + row + "\n")
    place.run()
    assert "x_size" not in place.lake.view().arrow("deals").column_names
    place.put(deals__csv=head + row + "2.5\n")
    place.run()
    assert place.rows("deals", "x_size") == [(2.5,)]


def test_a_mapping_says_what_an_own_column_holds(place):
    place.put(own__csv="id,made,stage,code,size\nd1,2025-01-01,Talk,007,\n")
    columns = "{deal_id: id, created_at: made, stage: stage, outcome: {constant: open}, "
    tables = f"tables: [{{table: deals, file: own.csv, columns: {columns}"
    place.run(f"{tables} x_code: {{from: code, kind: text}}, x_size: {{from: size, kind: number}}}}}}]\n")
    table = place.lake.view().arrow("deals")
    assert (table["x_code"].to_pylist(), str(table["x_size"].type)) == (["007"], "double")
    said = place.said(tables.replace("stage: stage", "stage: {from: stage, kind: text}") + "}}]\n")
    assert "deals itself says what stage holds; leave 'kind' out" in said


PERSONS = """
tables:
  - table: reps
    file: team.csv
    columns: {rep_id: {from: who, person: true}, team_id: {from: boss, person: true}}
  - table: deals
    file: sales.csv
    columns:
      deal_id: id
      stage: id
      created_at: made
      outcome: {constant: open}
      owner_id: {from: seller, person: true}
"""


def test_a_name_becomes_a_key_wherever_it_is_used_and_is_nowhere_else(place):
    place.put(
        team__csv="who,boss,mail\nAnn Quist,Bo Lund,ann@example.org\nAnn Quist,Cy Lund,ann@example.org\n",
        sales__csv="id,made,seller,note\n1,2025-01-01,Ann Quist,of Ann Quist\n2,never,Ann Quist,of Ann Quist\n",
    )
    place.run(PERSONS)
    key, details = place.people.people["rep", "Ann Quist"]
    assert details["name"] == "Ann Quist"
    boss = place.people.people["rep", "Bo Lund"][0]
    assert place.rows("reps", "rep_id", "person_key", "team_id") == [(key, key, boss)]
    assert place.rows("deals", "deal_id", "owner_id") == [("1", key)]
    written = [f for folder in (place.lake.root, place.quarantine) for f in folder.rglob("*") if f.is_file()]
    assert {r["row"] for r in read_all(place.quarantine)} == {3}
    for name in ("Quist", "Lund", "example.org"):
        assert not [f for f in written if name.encode() in f.read_bytes()]


def test_names_of_canonical_files_stay_out_of_lake_and_quarantine(place):
    place.put(
        contacts__csv="contact_id,account_id,name,email,seniority\nc1,a1,Dee Holm,dee@example.org,staff\n"
        "c2,a1,Eve Holm,eve@example.org,queen\n"
    )
    place.run()
    assert place.people.people["contact", "c1"][1] == {"name": "Dee Holm", "email": "dee@example.org"}
    assert place.refused() == [(3, "seniority", "queen")]
    for file in (f for folder in (place.lake.root, place.quarantine) for f in folder.rglob("*") if f.is_file()):
        assert b"Holm" not in file.read_bytes()
        assert b"example.org" not in file.read_bytes()


LOG = """
tables:
  - table: deals
    file: log.csv.gz
    per: [case]
    order: [at]
    columns:
      deal_id: case
      created_at: {from: at, pick: first}
      stage: {from: event, pick: last, where: {event: ["S_*"]}, values: {S_A: Start, S_B: Talk}}
      outcome: {from: event, pick: first, where: {event: [WON, LOST]}, values: {WON: won, LOST: lost}, otherwise: open}
      closed_at: {from: at, pick: first, where: {event: [WON, LOST]}}
  - table: deal_changes
    file: log.csv.gz
    where: {event: ["S_*"]}
    per: [case]
    order: [at]
    columns:
      deal_id: case
      changed_at: at
      field: {constant: stage}
      old_value: {from: event, pick: previous, values: &stages {S_A: Start, S_B: Talk}}
      new_value: {from: event, values: *stages}
  - table: activities
    file: log.csv.gz
    where: {event: [CALL]}
    columns: {activity_id: {from: [case, at]}, deal_id: case, occurred_at: at, kind: {from: event}, rep_id: by}
"""


def test_several_tables_come_from_one_event_log(place):
    log = (
        "case,event,at,by\n"
        "1,S_B,2025-01-02,r1\n1,S_A,2025-01-01,r1\n1,CALL,2025-01-03,r2\n1,WON,2025-01-04,r1\n1,LOST,2025-01-05,r1\n"
        "2,S_A,2025-02-01,\n"
    )
    place.put(log__csv__gz=gzip.compress(log.encode()))
    place.run(LOG)

    def day(month: int, number: int) -> datetime:
        return datetime(2025, month, number, tzinfo=UTC)

    # By time, not by place in the file: S_A comes before S_B, and the first end is the one that counts.
    assert sorted(place.rows("deals", "deal_id", "created_at", "stage", "outcome", "closed_at"), key=str) == [
        ("1", day(1, 1), "Talk", "won", day(1, 4)),
        ("2", day(2, 1), "Start", "open", None),
    ]
    assert sorted(place.rows("deal_changes", "deal_id", "changed_at", "old_value", "new_value"), key=str) == [
        ("1", day(1, 1), None, "Start"),
        ("1", day(1, 2), "Start", "Talk"),
        ("2", day(2, 1), None, "Start"),
    ]
    assert place.rows("activities", "activity_id", "kind", "rep_id") == [("1|2025-01-03", "call", "r2")]


def test_rows_that_a_mapping_leaves_out_are_counted(place):
    place.put(a__csv="id,made\n1,2025-01-01\n2,\n")
    report = place.run(
        "tables: [{table: deals, file: a.csv, filled: [made], columns: "
        "{deal_id: id, stage: id, created_at: made, outcome: {constant: open}}}]"
    )
    assert report.left_out == {"deals": 1}
    assert any("1 rows left out" in line for line in report.lines())


def test_a_column_may_count_in_some_rows_alone(place):
    place.put(d__csv="id,phase,made,day\n1,Won,2025-01-01,2025-02-01\n2,Talk,2025-01-02,2025-03-01\n")
    place.run("""
tables:
  - table: deals
    file: d.csv
    columns:
      deal_id: id
      stage: phase
      created_at: made
      outcome: {from: phase, values: {Won: won, "*": open}}
      close_date: day
      closed_at: {from: day, where: {phase: [Won, Lost]}}
""")
    assert place.rows("deals", "deal_id", "close_date", "closed_at") == [
        ("1", date(2025, 2, 1), datetime(2025, 2, 1, tzinfo=UTC)),
        ("2", date(2025, 3, 1), None),
    ]


def test_the_report_says_what_is_absent_and_what_is_odd(place):
    place.put(deals__csv=HEAD + GOOD + "d3,Talk,soon,open,1,x\nd4,Talk,later,open,1,x\n")
    report = place.run()
    lines = "\n".join(report.lines())
    assert "deals: 2 new, 0 changed, 0 unchanged, 2 refused" in lines
    assert "refused 2: deals, row 4: created_at is 'soon'" in lines
    assert "no deal_changes: the win model uses only fields known at creation" in lines
    assert "closed_at" in {f.column for f in report.findings}  # d2 is won and does not say when
    told = json.loads(json.dumps(report.to_dict(), default=str))
    assert told["refused_by_reason"][0]["cells"] == 2
    assert told["tables"]["deals"]["new"] == 2


def test_progress_is_told(place):
    place.put(deals__csv=HEAD + GOOD)
    steps = []
    import_path(
        place.input, lake=place.lake, people=place.people, quarantine=place.quarantine, company=Company(),
        progress=lambda text, done, of: steps.append((done, of)),
    )  # fmt: skip
    assert steps == [(0, 2), (1, 2), (2, 2)]


def test_a_mapping_that_names_an_absent_column_says_what_was_found(place):
    place.put(a__csv="id;made\n1;2025-01-01\n")
    mapping = (
        'format: {delimiter: ","}\ntables: [{table: deals, file: a.csv, columns: '
        "{deal_id: id, stage: id, created_at: made, outcome: {constant: open}}}]"
    )
    assert "no column is split at ','" in place.said(mapping)
    assert "has no column 'mode'. Found: id, made" in place.said(
        mapping.replace('","', '";"').replace("at: made", "at: mode")
    )


def test_types_of_the_lake_are_those_of_the_schema(place):
    place.put(deals__csv=HEAD + GOOD)
    place.run()
    schema = place.lake.view().arrow("deals").schema
    assert schema.field("amount").type == pa.decimal128(18, 2)
    assert schema.field("created_at").type == pa.timestamp("us", tz="UTC")


MEND = """
name: ours
format: {dates: ["%Y-%m-%d"DATES]}
tables:
  - table: deals
    file: deals.csv
    columns: {deal_id: deal_id, stage: stage, created_at: created_at, outcome: outcome}
"""


def test_what_a_mended_mapping_no_longer_refuses_leaves_the_quarantine(place):
    place.put(deals__csv=HEAD + "d1,Talk,28/02/2025,open,1,\nd2,Talk,2025-02-28,open,1,\n")
    place.run(MEND.replace("DATES", ""))
    assert place.refused() == [(2, "created_at", "28/02/2025")]
    report = place.run(MEND.replace("DATES", ', "%d/%m/%Y"'))
    assert (place.refused(), report.quarantine) == ([], None)
    assert sorted(place.rows("deals", "deal_id")) == [("d1",), ("d2",)]


def test_refusals_of_a_table_that_another_mapping_fills_stay(place):
    place.put(deals__csv=HEAD + "d1,Talk,28/02/2025,open,1,\n")
    place.run(MEND.replace("DATES", ""))
    other = "tables: [{table: accounts, file: deals.csv, columns: {account_id: deal_id}}]"
    assert place.run(other).quarantine is None
    assert place.refused() == [(2, "created_at", "28/02/2025")]


def test_a_refused_value_with_a_line_separator_can_be_read_again(place):
    place.put(deals__csv=HEAD + "d1,Talk,new\u2028year,open,1,\n" + GOOD)
    place.run()
    assert place.refused() == [(2, "created_at", "new\u2028year")]


def test_the_report_says_what_each_finding_costs(place):
    place.put(deals__csv=HEAD + GOOD)
    report = place.run()
    lines = report.lines()
    assert report.findings
    assert all(any(f.cost in line and f.mend in line for line in lines) for f in report.findings)
