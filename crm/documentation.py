"""The pages docs/tables.md and docs/company.md, written from the schema and the settings they describe.

`python -m crm.documentation docs` writes them anew.
"""

from __future__ import annotations

import sys
from pathlib import Path

from crm.company import example_yaml
from crm.schema import TABLES, TYPE_WORDS, Column, Table

_KNOWN = {
    "creation": "when the row is made",
    "changes": "now; its past is read from deal_changes",
    "event": "from the row's own moment on",
    "later": "at some later time that is not recorded",
}
_TABLES_HEAD = """# Tables

What a company's data looks like inside Bellwether. A folder of CSV files (UTF-8) named like these tables and with these
columns needs no mapping. Times are ISO 8601 and kept in UTC; a time without a zone is taken as UTC unless the mapping
says otherwise. Money has two decimals and an ISO 4217 currency. An end is always the first day after.

Every table may be absent; what that costs stands with it. In tables of events, `recorded_at` says when the row was
written down; where it is missing, what happened counts as known at once. Columns named `x_*` are the company's own: in
tables that take them they are kept and offered to the models.

Nothing is used before it was known. The column *known* says when that is; models leave out what is only known later.
"""
_COMPANY_HEAD = """# company.yaml

The settings of a company stand in `company.yaml` of its home. Each may be left out; these are all of them, with their
defaults. A key that is not known is an error that names the nearest known one.
"""


def tables_page() -> str:
    """The page on the canonical tables, Markdown."""
    return "\n".join([_TABLES_HEAD, *(_section(table) for table in TABLES.values())])


def company_page() -> str:
    """The page on company.yaml, Markdown."""
    return f"{_COMPANY_HEAD}\n```yaml\n{example_yaml()}```\n"


def write_pages(folder: Path) -> None:
    """Write both pages into a folder."""
    (folder / "tables.md").write_text(tables_page(), encoding="utf-8")
    (folder / "company.md").write_text(company_page(), encoding="utf-8")


def _section(table: Table) -> str:
    lines = [f"## {table.name}", "", table.doc]
    lines += ["", f"Key: {', '.join(f'`{k}`' for k in table.key)}. Without this table: {table.absent}."]
    if table.clock:
        lines += ["", f"Known from: `{table.clock}`."]
    if table.custom:
        lines += ["", "Takes columns of the company's own, `x_*`."]
    lines += ["", "| column | what it is | value | known |", "| --- | --- | --- | --- |"]
    lines += [_row(column) for column in table.columns]
    return "\n".join([*lines, ""])


def _row(column: Column) -> str:
    name = f"`{column.name}`" + ("\\*" if column.required else "")
    doc = column.doc + ("; personal, kept outside the lake" if column.personal else "")
    return f"| {name} | {doc} | {_value(column)} | {_KNOWN[column.known]} |"


def _value(column: Column) -> str:
    value = f"one of {', '.join(column.words)}" if column.words else TYPE_WORDS[column.type]
    if column.refers:
        value = f"an identifier of [{column.refers}](#{column.refers})"
    if column.unit:
        value += f", in {column.unit}" if column.unit != "share" else ", as a share"
    if column.high is not None:
        value += f", {column.low:g} to {column.high:g}"
    elif column.low is not None:
        value += f", not below {column.low:g}"
    return value


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))
