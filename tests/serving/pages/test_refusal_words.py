"""Why rows were refused, in both languages: whatever the checks can say of any column has its Chinese."""

import re

import duckdb
import pytest

from crm import checking
from crm.reading.base import BrokenRow
from crm.reading.text import _REASONS
from crm.schema import LOGGED_FIELDS, TABLES
from serving.i18n import language
from serving.pages.refusal_words import mends, reasons, told

EN, ZH = language("en"), language("zh")


def said_by_checks() -> set[tuple[str, str]]:
    """Reason and mend of every check of every column, read from a row for which all of them fire."""
    con = duckdb.connect()
    found = set()
    for table in TABLES.values():
        for column in table.columns:
            checks = [
                c.replace("case when ", "case when true or ", 1) for c in checking._checks(column, "null", hidden=True)
            ]
            if column.name == "field":
                checks += [checking._check_logged(column, "'y'")]
            for check in checks:
                [(cell,)] = con.execute(f"select {check} from (select 'a' as \"{column.name}\")").fetchall()
                found.add((cell["reason"], cell["mend"]))
    return found


CHECKED = sorted(said_by_checks())
READ = [(r, BrokenRow(2, "", r).mend) for r in (*_REASONS.values(), "cannot be split into columns")] + [
    ("is no JSON object", "Write one object {...} a line."),
    ("stands in row 7 with other values", "Keep one of the two rows."),
    ("cell B7 holds the error #DIV/0!", "Mend the cell, then save the workbook in Excel so that it keeps its values."),
]


def latin(text: str) -> set[str]:
    return set(re.findall(r"[A-Za-z_]{2,}", text))


def test_the_checks_are_those_of_all_columns():
    assert {r for r, _ in CHECKED} >= {"is empty", "is not a whole number", "holds a null character"}
    assert any(r.startswith("is not one of ") for r, _ in CHECKED)
    assert any(r.startswith("is below ") for r, _ in CHECKED)


@pytest.mark.parametrize(("reason", "mend"), CHECKED + READ)
def test_it_stands_in_both_languages_with_the_same_values(reason, mend):
    words = {w for t in TABLES.values() for c in t.columns for w in c.words} | set(LOGGED_FIELDS)
    names = latin(" ".join(words)) | {"where", "values", "dates", "decimal", "thousands", "JSON", "Excel", "x_", "DIV"}
    for text in (reason, mend):
        assert told(EN, text) == text
        chinese = told(ZH, text)
        assert re.search(r"[\u4e00-\u9fff]", chinese)
        assert latin(chinese) <= names  # nothing else is left English
        assert set(re.findall(r"\d[\d.,]*\d|\d", text)) <= set(re.findall(r"\d[\d.,]*\d|\d", chinese))


def test_each_sentence_is_one_that_can_come():
    """A sentence that no check says any more would be a dead translation."""
    plain = {text for pair in CHECKED + READ for text in pair}
    for sentence in (*reasons(str), *mends(str)):
        if sentence == "cell {place} is a formula whose value was not stored":
            continue  # of the same reader as the error above
        pattern = re.sub(r"\\{(\w+)\\}", ".+", re.escape(sentence))
        assert any(re.fullmatch(pattern, text, re.DOTALL) for text in plain), sentence


def test_what_is_not_known_stays_as_it_is():
    assert told(ZH, "a company's own reason") == "a company's own reason"
