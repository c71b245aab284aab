"""Promise 8: every sort of bad row in every table goes to the quarantine; the lake is as if they had not been there.

The schema says what may be wrong with a row, so files are made from it: each column of each table is spoilt in every
way it can be, among rows that are good.
"""

import csv
import io
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from crm.checking import HIDDEN
from crm.company import Company
from crm.importing import import_path
from crm.lake import Lake
from crm.mapping import parse
from crm.people import MemoryPeopleBook
from crm.quarantine import read_all
from crm.schema import LOGGED_FIELDS, PERSON_KEY, SEQUENCE, TABLES

GOOD_ROWS = 4
WRONG = {
    "time": "2026-02-30",
    "date": "31/02/2026",
    "money": "1.234,50",
    "number": "many",
    "integer": "1.5",
    "word": "perhaps",
}


@dataclass
class File:
    """A file's rows as text, and what must become of each; the header is row 1."""

    lines: list[str] = field(default_factory=list)
    good: list[str] = field(default_factory=list)
    refused: dict[int, dict[str, str]] = field(default_factory=dict)  # row: beginning of the reason by bad column
    doubles: int = 0

    def add(self, line: str, fate: str | dict[str, str]) -> None:
        self.lines.append(line)
        if fate == "good":
            self.good.append(line)
        elif fate == "double":
            self.doubles += 1
        else:
            self.refused[len(self.lines) + 1] = fate


def good_cell(table, column, number):
    """A value that fits; another number is another row's, and another key."""
    if (table.name, column.name) == ("deal_changes", "field"):
        return LOGGED_FIELDS[number % len(LOGGED_FIELDS)]
    by_type = {
        "key": f"{column.name} {number}",
        "text": f'said "{number}", 客户\nand more',
        "word": column.words[number % len(column.words)] if column.words else "",
        "time": f"2026-03-{1 + number % 28:02}T{number // 28:02}:15:00Z",
        "date": f"2026-{1 + number // 28:02}-{1 + number % 28:02}",
        "money": f"{number}.50",
        "number": f"0.{number:03}",
        "integer": str(1 + number % 5),
    }
    return by_type[column.type]


def as_line(cells):
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(cells)
    return out.getvalue()


def spoilt(table):
    """(column, bad value, beginning of the reason) for all that can be wrong with one cell."""
    for column in table.columns:
        if column.required:
            yield column.name, "", "is empty"
        if column.type in WRONG:
            yield column.name, WRONG[column.type], "is not "
        if column.low is not None:
            yield column.name, f"{column.low - 1:g}", "is below"
        if column.high is not None:
            yield column.name, f"{column.high + 1:g}", "is above"
        if (table.name, column.name) == ("deal_changes", "field"):
            yield column.name, "mood", "is no field whose changes are kept"


def a_file(table, seed=0):
    """The header, and good rows and bad ones mixed; what contradicts or repeats the first two stands behind them."""

    def cells(number, **other):
        return [other.get(c.name, good_cell(table, c, number)) for c in table.columns]

    def line(number, **other):
        return as_line(cells(number, **other))

    faults = list(spoilt(table))
    rows = [(line(number), "good") for number in range(2, GOOD_ROWS)]
    rows += [(line(i, **{column: value}), {column: reason}) for i, (column, value, reason) in enumerate(faults, 10)]
    two = {faults[0][0]: faults[0], faults[-1][0]: faults[-1]}  # both cells of one row are bad
    rows.append((line(9, **{c: value for c, value, _ in two.values()}), {c: why for c, _, why in two.values()}))
    rows += [(line(0), "double")] * 2
    other = [c for c in table.columns if c.name not in table.key][-1]
    again = {other.name: good_cell(table, other, 7)}
    rows.append((line(1, **again), {", ".join(table.key): "stands in row 3 with other values"}))
    rows.append((as_line(cells(200)[:-1]), {"row": "has fewer columns"}))
    rows.append((line(201) + ",x,y", {"row": "has more columns"}))
    rows.append((as_line(cells(202)[:-1]) + ',"never closed', {"row": "has a quote that does not end"}))
    random.Random(seed).shuffle(rows)
    file = File()
    for text, fate in [(line(0), "good"), (line(1), "good"), *rows]:
        file.add(text, fate)
    return as_line(c.name for c in table.columns), file


class Place:
    """A lake with what belongs to it, and an import of a folder of files into it."""

    def __init__(self, root: Path, texts: dict[str, str]) -> None:
        self.folder, self.quarantine = root / "in", root / "quarantine"
        self.lake, self.people = Lake(root / "lake"), MemoryPeopleBook()
        self.folder.mkdir()
        for name, text in texts.items():
            (self.folder / name).write_text(text, encoding="utf-8")

    def take(self, mapping=None):
        return import_path(
            self.folder,
            lake=self.lake,
            people=self.people,
            quarantine=self.quarantine,
            company=Company(),
            mapping=mapping,
        )

    def rows(self, table):
        """The lake's rows without what is drawn or counted by the import itself."""
        rows = self.lake.view().arrow(table)
        rows = rows.drop_columns([c for c in (PERSON_KEY, SEQUENCE) if c in rows.column_names])
        return sorted(map(repr, rows.to_pylist()))

    def persons(self):
        return {person: details for person, (_, details) in self.people.people.items()}


@pytest.fixture(scope="module")
def files():
    return {name: a_file(table) for name, table in TABLES.items()}


@pytest.fixture(scope="module")
def dirty(files, tmp_path_factory):
    """A home after an import of all of it, and the report."""
    texts = {f"{name}.csv": "\n".join([head, *file.lines, ""]) for name, (head, file) in files.items()}
    place = Place(tmp_path_factory.mktemp("dirty"), texts)
    return place, place.take()


@pytest.fixture(scope="module")
def clean(files, tmp_path_factory):
    """A home that got the good rows only."""
    texts = {f"{name}.csv": "\n".join([head, *file.good, ""]) for name, (head, file) in files.items()}
    place = Place(tmp_path_factory.mktemp("clean"), texts)
    place.take()
    return place


def test_rows_read_are_rows_taken_and_refused_and_doubles(files, dirty):
    _, report = dirty
    for name, (_, file) in files.items():
        told = report.tables[name]
        assert told.read == len(file.lines), name
        assert (told.new, told.changed, told.unchanged) == (GOOD_ROWS, 0, 0), name
        assert told.refused == len(file.refused), name
        assert told.read == told.new + told.refused + file.doubles, name


def test_the_lake_is_as_if_bad_rows_had_never_been_there(dirty, clean):
    place, _ = dirty
    for name in TABLES:
        assert len(place.rows(name)) == GOOD_ROWS
        assert place.rows(name) == clean.rows(name)
    assert place.persons() == clean.persons()


def test_each_bad_cell_is_kept_with_its_row_its_reason_and_a_mend(files, dirty):
    place, _ = dirty
    kept = read_all(place.quarantine)
    for name, (_, file) in files.items():
        found = {(r["row"], r["column"]): r for r in kept if r["table"] == name}
        wanted = {(row, column): reason for row, bad in file.refused.items() for column, reason in bad.items()}
        assert set(found) == set(wanted), name
        for place_of, told in found.items():
            assert told["file"] == f"{name}.csv"
            assert told["reason"].startswith(wanted[place_of])
            assert told["mend"]


def test_a_refused_row_is_kept_whole_but_for_personal_values(files, dirty):
    place, _ = dirty
    for told in read_all(place.quarantine):
        head, file = files[told["table"]]
        if told["column"] == "row":  # it could not be cut into cells: its number leads to it
            continue
        cells = next(csv.reader(io.StringIO(file.lines[told["row"] - 2])))
        personal = TABLES[told["table"]].personal
        wanted = {
            n: (HIDDEN if n in personal and v else v or None) for n, v in zip(head.split(","), cells, strict=True)
        }
        assert told["source_row"] == wanted


def test_the_report_counts_cells_by_table_column_and_reason(files, dirty):
    _, report = dirty
    wanted = Counter(
        (name, column, reason)
        for name, (_, file) in files.items()
        for bad in file.refused.values()
        for column, reason in bad.items()
    )
    told = Counter()
    for (table, column, reason), cells in report.reasons().items():
        [begins] = {r for t, c, r in wanted if (t, c) == (table, column) and reason.startswith(r)}
        told[table, column, begins] += cells
    assert told == wanted


def test_the_same_folder_again_changes_nothing(dirty):
    place, first = dirty
    cut, kept = place.lake.cut(), read_all(place.quarantine)
    again = place.take()
    assert (place.lake.cut(), read_all(place.quarantine)) == (cut, kept)
    assert {name: t.unchanged for name, t in again.tables.items()} == {name: t.new for name, t in first.tables.items()}


MAPPING = """
tables:
  - table: deals
    file: sales.csv
    filled: [Nr]
    columns: {deal_id: Nr, stage: Step, created_at: Made, outcome: {from: End, values: {ok: won, gone: lost, "": open}}}
"""


def test_no_row_is_lost_by_a_mapping_either(tmp_path):
    text = (
        "Nr,Step,Made,End,Boss\n"
        "1,Talk,2026-01-01,ok,Ann\n"
        ",Sum,,,\n"  # left out: Nr is not filled
        "2,Talk,soon,gone,Ann\n"  # refused
        "3,Talk,2026-01-02,maybe,Ann\n"  # refused
        "1,Talk,2026-01-01,ok,Bob\n"  # a double in all that is mapped
        "4,Talk,2026-01-03\n"  # refused
        "5,Talk,2026-01-03,gone,Ann\n"
    )
    place = Place(tmp_path, {"sales.csv": text})
    report = place.take(parse(MAPPING))
    told = report.tables["deals"]
    assert (told.new, told.refused, report.left_out) == (2, 3, {"deals": 1})
    assert told.read + report.left_out["deals"] == 7
    assert {r["row"] for r in read_all(place.quarantine)} == {4, 5, 7}
