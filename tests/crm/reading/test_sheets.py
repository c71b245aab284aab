"""Workbooks: values, titles, merged cells, formulas, errors, several sheets, what is no workbook."""

import zipfile
from datetime import date, datetime, timedelta

import pytest
from openpyxl import Workbook

from crm.reading import BadFile
from crm.reading.archives import TooLarge
from tests.crm.reading.reads import read_all, read_one


def save(path, *sheets, merge=()):
    book = Workbook()
    book.remove(book.active)
    for place, rows in enumerate(sheets, start=1):
        sheet = book.create_sheet(f"Sheet {place}")
        for row in rows:
            sheet.append(row)
        for cells in merge:
            sheet.merge_cells(cells)
    book.save(path)
    return path


def test_cells_become_the_text_that_the_same_export_as_csv_would_have(tmp_path):
    rows = [
        ["id", "amount", "made", "day", "yes", "minutes", "name"],
        [17, 2.5, datetime(2026, 1, 2, 3, 4, 5), date(2026, 1, 2), True, timedelta(hours=1), "  华为 "],  # noqa: DTZ001
        [10**16, -3.0, None, None, False, None, None],
    ]
    found = read_one(save(tmp_path / "deals.xlsx", rows), tmp_path / "s")
    assert found.raw.columns == ("id", "amount", "made", "day", "yes", "minutes", "name")
    assert found.rows == [
        (2, "17", "2.5", "2026-01-02T03:04:05", "2026-01-02", "true", "60.0", "华为"),
        (3, "10000000000000000", "-3", None, None, "false", None, None),
    ]


def test_titles_above_the_header_and_empty_rows_are_passed_over_and_rows_keep_the_sheets_numbers(tmp_path):
    rows = [["All deals of 2026"], [], ["id", None, "stage"], ["d1", None, "Talk"], [], ["d2", None, "Offer"]]
    found = read_one(save(tmp_path / "deals.xlsx", rows, merge=["A1:C1"]), tmp_path / "s")
    assert found.raw.columns == ("id", "stage")  # a column without a name and without a value is none
    assert found.rows == [(4, "d1", "Talk"), (6, "d2", "Offer")]
    assert found.raw.notes == ("the header stands in row 3",)


def test_a_merged_cell_counts_for_each_row_it_spans(tmp_path):
    rows = [["owner", "id"], ["Ann", "d1"], [None, "d2"], ["Bob", "d3"]]
    found = read_one(save(tmp_path / "deals.xlsx", rows, merge=["A2:A3"]), tmp_path / "s")
    assert found.rows == [(2, "Ann", "d1"), (3, "Ann", "d2"), (4, "Bob", "d3")]


def test_a_formula_counts_by_its_stored_value_and_breaks_its_row_where_there_is_none(tmp_path):
    path = save(tmp_path / "raw.xlsx", [["id", "amount"], ["d1", "=2*3"], ["d2", "=2*4"], ["d3", 9], ["d4", "#REF!"]])
    # As Excel stores it: the formula of B2 with the value it came to. B3's was never worked out.
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "deals.xlsx", "w") as new:
        for item in old.namelist():
            content = old.read(item)
            if item == "xl/worksheets/sheet1.xml":
                assert content.count(b"<f>2*3</f><v />") + content.count(b"<f>2*3</f><v></v>") == 1
                content = content.replace(b"<f>2*3</f><v />", b"<f>2*3</f><v>6</v>")
                content = content.replace(b"<f>2*3</f><v></v>", b"<f>2*3</f><v>6</v>")
            new.writestr(item, content)
    found = read_one(tmp_path / "deals.xlsx", tmp_path / "s")
    assert found.rows == [(2, "d1", "6"), (4, "d3", "9")]
    assert [(b.row, b.reason) for b in found.raw.broken] == [
        (3, "cell B3 is a formula whose value was not stored"),
        (5, "cell B5 holds the error #REF!"),
    ]


def test_each_sheet_of_a_book_is_a_source_named_after_both(tmp_path):
    one, two = [["id", "stage"], ["d1", "Talk"]], [["key", "name"], ["a1", "ACME"]]
    found = read_all(save(tmp_path / "crm.xlsx", one, [], two), tmp_path / "s")
    assert {name: read.rows for name, read in found.items()} == {
        "crm.xlsx/Sheet 1": [(2, "d1", "Talk")],
        "crm.xlsx/Sheet 3": [(2, "a1", "ACME")],
    }


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([[]], "deals.xlsx: has no sheet with anything in it. Export it again."),
        (
            [[1, 2], [3, 4]],
            "deals.xlsx: no row of the first 30 names the columns. Give the sheet a row of column names.",
        ),
        (
            [["id", None, "stage"], ["d1", "?", "Talk"]],
            "deals.xlsx: column B has no name. Give it one in row 1.",
        ),
    ],
)
def test_a_sheet_that_is_no_table_gets_one_clear_line(tmp_path, rows, said):
    with pytest.raises(BadFile) as caught:
        read_one(save(tmp_path / "deals.xlsx", rows), tmp_path / "s")
    assert str(caught.value) == said


def test_what_only_bears_the_name_of_a_workbook_is_refused(tmp_path):
    (tmp_path / "deals.xlsx").write_text("id,stage\nd1,Talk\n", encoding="utf-8")
    with pytest.raises(BadFile, match="is no workbook that can be read"):
        read_one(tmp_path / "deals.xlsx", tmp_path / "s")


def test_a_workbook_that_unpacks_to_far_more_than_it_holds_is_refused(tmp_path):
    path = save(tmp_path / "deals.xlsx", [["id"], ["d1"]])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/big.bin", bytes(210_000_000))
    with pytest.raises(TooLarge, match=r"What deals.xlsx holds is larger than 200 MB"):
        read_one(path, tmp_path / "s")
