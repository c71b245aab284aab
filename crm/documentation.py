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
_OWN_ACTIONS = """## Steps of your own

Next to the built-in steps, a company may name its own. A step shows in the history in one of two ways: as an activity
of yours of a `kind` (email, call, meeting, demo, proposal, visit, note, task), told from others by the contact's
`seniority` or by what the activity's `outcome` says; or as a change of a logged `field` of the deal, with or without
its new value `to`.

```yaml
advice:
  hour_cost: 60                     # an hour of a rep, in base currency
  actions:
    - name: reference_visit         # in files and the API
      en: Take them to a customer   # on pages
      zh: 带客户参观样板用户
      kind: visit
      outcome: reference            # the visit's outcome says so
      when: contacts_met >= 2 and stage = 'Solution'   # a condition on features
      why_en: Two people are met, and no customer was shown yet.
      why_zh: 已见两人，尚未参观样板用户。
      due_in_days: 14
      effort_hours: 8
      cooling_off_days: 60          # not again so soon after it was done
    - name: start_pilot
      en: Start a pilot
      field: x_pilot                # a custom field that is logged
      to: "yes"
```

`when` may use every deal feature ([features.md](features.md)), your own too; a deal of which it is not known does not
meet it. The effect of an own step is measured on the history like that of any other, a share of its suggestions is held
back by chance, and it is named on pages as you call it. Until there is more to go by, the model takes it for a built-in
step of its kind; where both have the same figure, yours is named. A step that shows as a field, and one that is a note
or a task, is suggested once its effect is measured.

"""
_OWN_FEATURES = """## Features of your own

A feature is one SQL expression in a block; the blocks, what each reads and the features they have stand in
[features.md](features.md). In a block that reads events, it is an aggregate over those that were known at the moment in
question: `age` is the time since an event in seconds, `days(n)` are n days. In a block that is worked out on the row
(`deal_context`, `rep_period`, `account_health`), it is an expression on the row's values and on other blocks' features.

```yaml
features:
  - block: deal_activity            # contacts on a deal
    name: long_talks_60d
    sql: count(*) filter (where duration_minutes >= 30 and age < days(60))
    unit: count
    en: Talks of half an hour or more in the last 60 days
    zh: 近60天半小时以上的沟通次数
    can_act: true                   # a rep can have more of them
  - block: account_service          # tickets of a customer
    name: slow_tickets
    sql: count(*) filter (where (closed_at is null or closed_at > as_of) and age > days(14))
    unit: count
    en: Tickets open for more than two weeks
  - block: deal_context             # the deal's own row
    name: amount_a_head
    sql: amount / nullif(employees, 0)
    unit: base currency
    en: Amount for each employee of the customer
```

A count or sum is 0 where nothing happened. `bellwether features list` shows them among the others, `bellwether features
describe long_talks_60d` what they rest on. The models get them with the next `bellwether train`; a model that was
trained on other definitions is not used for scores, and the message says what changed. Another `en` or `zh` changes
nothing for the models.

Refused, with the line in company.yaml and what to do: a column that is not there (the nearest is named), a column that
is filled in later (how a deal ended is no clue to how it will end), a moment that may lie ahead, such as a ticket's
`closed_at`, unless it is asked `closed_at <= as_of` or `closed_at is null or closed_at > as_of`, a subquery, a window,
a star outside `count(*)`, a function that is not on the list, and a name that is taken.
"""


def tables_page() -> str:
    """The page on the canonical tables, Markdown."""
    return "\n".join([_TABLES_HEAD, *(_section(table) for table in TABLES.values())])


def company_page() -> str:
    """The page on company.yaml, Markdown."""
    return f"{_COMPANY_HEAD}\n```yaml\n{example_yaml()}```\n\n{_OWN_ACTIONS}{_OWN_FEATURES}"


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
