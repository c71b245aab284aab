"""The pages on tables and settings say what the code says."""

from pathlib import Path

from crm.company import Company
from crm.documentation import company_page, tables_page, write_pages
from crm.schema import TABLES

DOCS = Path(__file__).parents[2] / "docs"


def test_the_pages_in_docs_are_up_to_date(tmp_path):
    write_pages(tmp_path)
    for name in ("tables.md", "company.md"):
        assert (DOCS / name).read_text("utf-8") == (tmp_path / name).read_text("utf-8"), (
            f"python -m crm.documentation docs ({name})"
        )


def test_every_table_and_column_stands_on_the_page():
    sections = {part.split("\n")[0]: part for part in tables_page().split("\n## ")[1:]}
    assert list(sections) == list(TABLES)
    for name, table in TABLES.items():
        rows = [line for line in sections[name].splitlines() if line.startswith("| `")]
        assert [row.split("`")[1] for row in rows] == [c.name for c in table.columns]
        assert [row.split("`")[2].startswith("\\*") for row in rows] == [c.required for c in table.columns]
        assert all(row.count("|") == 5 for row in rows)  # no cell breaks the table


def test_every_setting_stands_on_the_page():
    page = company_page()
    for name, info in Company.model_fields.items():
        assert f"# {name}:" in page
        assert info.description in page
