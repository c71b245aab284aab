"""Small true rows for tests: say only what matters, the rest is filled in; `view_of` makes a view of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from typing import Any

import pyarrow as pa

from crm.lake import TableView
from crm.schema import ARROW_TYPES, PERSON_KEY, TABLES

Row = dict[str, Any]
_numbers = count(1)


def a_deal(deal_id: str = "d1", **values: Any) -> Row:
    """An open deal of 1000, made on 2026-01-05; give `outcome` and `closed_at` for a closed one."""
    return {
        "deal_id": deal_id,
        "account_id": "a1",
        "owner_id": "r1",
        "stage": "Qualify",
        "amount": "1000.00",
        "created_at": "2026-01-05T09:30:00Z",
        "outcome": "open",
        **values,
    }


def a_change(deal_id: str, field: str, old: Any, new: Any, at: str, **values: Any) -> Row:
    """One line of a deal's log."""
    said = [None if v is None else str(v) for v in (old, new)]
    return {
        "deal_id": deal_id,
        "field": field,
        "old_value": said[0],
        "new_value": said[1],
        "changed_at": at,
        **values,
    }


def an_account(account_id: str = "a1", **values: Any) -> Row:
    """A customer made on 2025-06-02."""
    return {"account_id": account_id, "name": f"Account {account_id}", "created_at": "2025-06-02T08:15:00Z", **values}


def a_rep(rep_id: str = "r1", **values: Any) -> Row:
    """A person as the lake has them: a key in place of name and address."""
    return {"rep_id": rep_id, PERSON_KEY: f"p_{rep_id}", "hired_on": "2024-01-01", **values}


def an_activity(activity_id: str | None = None, **values: Any) -> Row:
    """A call on deal d1; each has its own identifier unless one is given."""
    return {
        "activity_id": activity_id or f"act{next(_numbers)}",
        "occurred_at": "2026-01-10T11:20:00Z",
        "kind": "call",
        "direction": "out",
        "deal_id": "d1",
        "account_id": "a1",
        "rep_id": "r1",
        **values,
    }


def an_order(order_id: str = "o1", **values: Any) -> Row:
    """A sale of 500 to account a1."""
    return {"order_id": order_id, "account_id": "a1", "ordered_at": "2026-01-20T10:40:00Z", "amount": "500", **values}


def a_rate(currency: str, on_date: str, rate: float) -> Row:
    """One exchange rate to the base currency."""
    return {"currency": currency, "on_date": on_date, "rate_to_base": rate}


def table_of(name: str, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows of a canonical table in the lake's types; dates, times and money may be given as text."""
    rows = list(rows)
    names = list(dict.fromkeys(key for row in rows for key in row))
    return pa.table({column: _array(name, column, [row.get(column) for row in rows]) for column in names})


def view_of(**tables: Iterable[Mapping[str, Any]]) -> TableView:
    """A view in which just these tables are present: `view_of(deals=[a_deal()], activities=[])`."""
    return TableView({name: table_of(name, rows) for name, rows in tables.items()})


def at(text: str) -> datetime:
    """A moment in UTC from text such as 2026-01-05 or 2026-01-05T09:30:00Z."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _array(table: str, column: str, values: list[Any]) -> pa.Array:
    spec = TABLES[table].by_name.get(column)
    if spec is None:
        return pa.array(values)
    if spec.type == "time":
        values = [at(v) if isinstance(v, str) else v for v in values]
    elif spec.type == "date":
        values = [date.fromisoformat(v) if isinstance(v, str) else v for v in values]
    elif spec.type == "money":
        values = [None if v is None else Decimal(str(v)).quantize(Decimal("0.01")) for v in values]
    elif spec.type == "number":
        values = [None if v is None else float(v) for v in values]
    return pa.array(values, ARROW_TYPES[spec.type])
