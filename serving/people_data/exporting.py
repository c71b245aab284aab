"""Everything that store and lake hold on a person, as one ZIP of JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from crm.company import Company
from crm.lake import View, connect
from serving.exports import safe
from serving.people_data.known import condition, details_of, forecasts_of, known_about, naming_columns
from serving.people_data.stored import rows_of
from serving.people_data.subjects import Subject
from serving.scores import Scores
from serving.store import Store

Rows = Sequence[Mapping[str, Any]]
_READ_ME = """What is kept on one person.

person.json     who it is, every figure worked out on the person now, who looked
data/*.csv      rows of the CRM's data that carry the person's key, a table a file
store/*.csv     rows of the operational store that carry the person, a table a file; passwords and tokens left out
forecasts.csv   forecasts on the person as they were issued
"""


def export_person(subject: Subject, *, view: View, company: Company, store: Store, scores: Scores) -> bytes:
    """A ZIP of all that carries a person's key.

    Parameters
    ----------
    scores : Scores
        The newest ones, whole; figures are worked out at their moment.
    """
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("README.txt", _READ_ME)
        packed.writestr("person.json", _person(subject, view, company, store, scores))
        for name, rows in rows_of_lake(view, subject):
            packed.writestr(f"data/{name}.csv", _csv(rows))
        with store.reading() as session:
            for name, rows in rows_of(session, subject):
                packed.writestr(f"store/{name}.csv", _csv(rows))
        if subject.kind == "rep" and len(issued := forecasts_of(store, subject)):
            packed.writestr(
                "forecasts.csv", _csv([{str(k): v for k, v in r.items()} for r in issued.to_dict("records")])
            )
    return out.getvalue()


def rows_of_lake(view: View, subject: Subject) -> Iterator[tuple[str, Rows]]:
    """Tables of the CRM's data and their rows that carry a person, one row once."""
    columns: dict[str, list[str]] = defaultdict(list)
    for table, column in naming_columns(view, subject.kind):
        columns[table.name].append(condition(table, column))
    with connect() as con:
        view.attach(con)
        for name, wanted in columns.items():
            found = con.execute(f'select * from "{name}" where {" or ".join(wanted)}', {"ident": subject.ident})
            names = [column[0] for column in found.description or ()]
            rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
            if rows:
                yield name, rows


def _person(subject: Subject, view: View, company: Company, store: Store, scores: Scores) -> str:
    told: dict[str, Any] = {"exported_at": datetime.now(UTC), "person": asdict(subject)}
    if subject.kind == "rep":
        known = known_about(subject, view=view, company=company, store=store, scores=scores)
        told |= {
            "as_of": known.as_of,
            "details": known.details,
            "figures": [{**asdict(one.figure), "value": one.value} for one in known.figures],
            "rows": [asdict(rows) for rows in known.rows],
            "looks": [asdict(look) for look in known.looks],
            "requests": [asdict(request) for request in known.requests],
        }
    else:
        told["details"] = details_of(store, subject)
    return json.dumps(told, indent=1, ensure_ascii=False, default=_plain)


def _csv(rows: Rows) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, dict | list):
        return safe(json.dumps(value, ensure_ascii=False, default=_plain))
    if isinstance(value, str):
        return safe(value)
    return value if value is None or isinstance(value, bool | int | float | Decimal) else _plain(value)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)
