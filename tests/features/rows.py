"""Small true rows for tests of features, and the features of one entity as plain values."""

from collections.abc import Iterable
from datetime import UTC, date, datetime

import pandas as pd
import pyarrow as pa

from crm.company import Company
from crm.lake import TableView
from features.build import KEYS, build

STAGES = ["Qualify", "Demo", "Quote"]
_FIRST = {"deal": "d1", "rep": "r1", "account": "a1"}
COMPANY = Company.parse({"base_currency": "EUR", "stages": {"*": STAGES}})


def day(text: str) -> datetime:
    """'2026-03-01' or '2026-03-01 14:30', UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def a_deal(
    key: str = "d1", *, made: str = "2026-01-01", closed: str | None = None, outcome: str = "open", **more
) -> dict:
    row = {"deal_id": key, "account_id": "a1", "owner_id": "r1", "kind": "new", "stage": "Qualify"}
    return row | {"created_at": day(made), "closed_at": closed and day(closed), "outcome": outcome} | more


def a_change(at: str, field: str, old: str | None, new: str | None, key: str = "d1", **more) -> dict:
    return {"deal_id": key, "changed_at": day(at), "field": field, "old_value": old, "new_value": new} | more


def a_touch(number: int, at: str, kind: str, direction: str | None = None, **more) -> dict:
    row = {"activity_id": f"t{number}", "occurred_at": day(at), "kind": kind, "direction": direction}
    return row | {"deal_id": "d1", "account_id": "a1", "rep_id": "r1"} | more


def an_order(number: int, at: str, amount: float, **more) -> dict:
    return {"order_id": f"o{number}", "account_id": "a1", "ordered_at": day(at), "amount": amount} | more


def a_goal(number: int, start: str, end: str, target: float, **more) -> dict:
    row = {"goal_id": f"g{number}", "owner_kind": "rep", "owner_id": "r1", "metric": "bookings", "target": target}
    return row | {"period_start": date.fromisoformat(start), "period_end": date.fromisoformat(end)} | more


def view(**tables: list[dict]) -> TableView:
    """Canonical tables by name."""
    return TableView({name: _table(rows) for name, rows in tables.items()})


def describe(entity, as_of: str, *, key: str | None = None, company: Company = COMPANY, late=frozenset(), **tables):
    """Features of one deal (d1), rep (r1) or account (a1) as of a day; missing values are None."""
    name = KEYS[entity]
    rows = spine(name, (key or _FIRST[entity], as_of))
    row = build(view(**tables), rows, entity, company=company, late=late).iloc[0]
    return {name: None if pd.isna(value) else value for name, value in row.items()}


def follow(entity, names: tuple[str, ...], moments: Iterable[str], *, key: str | None = None, **tables):
    """Some features of one deal (d1), rep (r1) or account (a1) at several moments: by moment, a tuple of values."""
    moments = list(moments)
    rows = spine(KEYS[entity], *((key or _FIRST[entity], at) for at in moments))
    table = build(view(**tables), rows, entity, company=COMPANY, late=frozenset(), only=names)[list(names)]
    found = table.astype(object).where(table.notna(), None)
    return dict(zip(moments, found.itertuples(index=False, name=None), strict=True))


def spine(name: str, *points: tuple[str, str]) -> pd.DataFrame:
    moments = pd.to_datetime([p[1] for p in points], utc=True, format="ISO8601")
    frame = pd.DataFrame({name: [p[0] for p in points], "as_of": moments})
    return frame.astype({"as_of": "datetime64[us, UTC]"})


def _table(rows: list[dict]) -> pa.Table:
    columns = {name: [row.get(name) for row in rows] for row in rows for name in row}
    return pa.table({name: pa.array(values) for name, values in columns.items()})
