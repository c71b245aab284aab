"""Findings of data quality in both languages: the same kinds, and in English the same words, as the report has."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from crm.quality import Finding
from crm.quality_checks import checks
from crm.schema import TABLES
from serving.format import Formats
from serving.i18n import language
from serving.pages import quality_words

EN, ZH = (Formats(language(code), "EUR", ZoneInfo("UTC"), datetime(2026, 11, 24, tzinfo=UTC)) for code in ("en", "zh"))
ALL = checks(frozenset(TABLES), "EUR") + checks(frozenset(TABLES) - {"deal_changes"}, "EUR")


def test_every_check_says_the_same_on_the_page_as_in_the_report():
    assert len(ALL) > 100
    for check in ALL:
        report = (check.text.format(rows="1,200") + ".", check.cost + ".", check.mend + ".")
        found = Finding(check.kind, check.table, check.column, 1200, ("d1",), *report)
        assert quality_words.said(EN, found) == report


@pytest.mark.parametrize("check", {c.kind: c for c in ALL}.values(), ids=lambda c: c.kind)
def test_in_chinese_only_names_of_tables_and_columns_stay(check):
    said = quality_words.said(ZH, Finding(check.kind, check.table, check.column, 1200, (), "", "", ""))
    names = {c.name for t in TABLES.values() for c in t.columns} | set(TABLES) | {"CRM", "EUR", "company", "yaml"}
    assert set(re.findall(r"[A-Za-z_]+", " ".join(said))) <= names | {"base_currency"}


@pytest.mark.parametrize("kind", ["late_filled", "unknown_stage", "duplicate"])
def test_what_is_no_plain_query_has_words_too(kind):
    said = quality_words.said(ZH, Finding(kind, "deals", "x_need", 7, (), "", "", ""))
    assert all("。" in part and "{" not in part for part in said)
    assert "7" in said.text
