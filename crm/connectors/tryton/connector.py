"""Tryton: employees, parties and opportunities that changed, with an opportunity's whole past as Tryton keeps it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from crm.connectors.base import Batch, Declaration, OwnFields, Resource, State
from crm.connectors.tryton.rpc import TrytonKeys, TrytonRpc, as_tryton, moment, text
from crm.connectors.web import Patience

_OVERLAP = timedelta(minutes=1)
_OPPORTUNITIES = "Opportunities"
_CHANGES = "Opportunity_Changes"
_MODELS = {"Employees": "company.employee", "Parties": "party.party", _OPPORTUNITIES: "sale.opportunity"}
_LOGGED = {"stage": "state", "amount": "amount", "close_date": "end_date", "owner_id": "employee"}
_ENDS = ("won", "lost", "cancelled")

DECLARATION = Declaration(
    name="tryton",
    title="Tryton",
    resources=(
        Resource("Employees", ("id",), {"reps": "rep_id"}),
        Resource("Parties", ("id",), {"accounts": "account_id"}),
        Resource(_OPPORTUNITIES, ("id", "state", "modified", "ended"), {"deals": "deal_id", "deal_changes": "deal_id"}),
        Resource(_CHANGES, ("deal", "field", "old", "new", "at")),
    ),
    deals=(_OPPORTUNITIES,),
    modified="modified",
    history=frozenset(_LOGGED),
    mapping=Path(__file__).parent / "mapping.yaml",
)
Record = dict[str, Any]
Row = dict[str, str | None]


class Tryton:
    """Tryton with its module sale_opportunity; follows `crm.connectors.Connector`.

    The cursor holds, for each model, the moment since when changes are read, the last id of an unfinished reading, and
    the highest id that was seen: of those below it, ids that are no longer there were deleted.
    """

    def __init__(
        self, keys: TrytonKeys, *, page: int = 500, max_calls: int = 100_000, patience: Patience | None = None
    ) -> None:
        self._keys, self._page, self._max_calls, self._patience = keys, page, max_calls, patience

    @property
    def declaration(self) -> Declaration:
        """What it reads."""
        return DECLARATION

    def own_fields(self) -> OwnFields:
        """None: a field beside those of Tryton's modules comes with a module of its own, and into a mapping by hand.

        Tryton is asked all the same, so that wrong keys are said before anything is read.
        """
        rpc = self.rpc()
        try:
            rpc.clock()
        finally:
            rpc.close()
        return {}

    def pull(self, state: State, stop: datetime, wanted: Mapping[str, Sequence[str]]) -> Iterator[Batch]:
        """See `crm.connectors.Connector.pull`."""
        rpc = self.rpc()
        try:
            kept = {name: dict(part) for name, part in state.items()}
            until = min(stop, rpc.clock())  # changes are stamped by the server's clock
            for name in _MODELS:
                for batch in _model(rpc, name, kept.get(name, {}), until, wanted[name], self._page):
                    kept = {**kept, name: dict(batch.state)}
                    yield Batch(batch.rows, kept, batch.gone)
        finally:
            rpc.close()

    def rpc(self) -> TrytonRpc:
        """Calls of one run; to be closed."""
        return TrytonRpc(self._keys, max_calls=self._max_calls, patience=self._patience)


def _model(
    rpc: TrytonRpc, name: str, cursor: Record, stop: datetime, columns: Sequence[str], page: int
) -> Iterator[Batch]:
    cursor = {"since": None, "last": 0, "top": 0, **cursor}
    cursor.setdefault("started", stop.isoformat())
    while True:
        records = _page(rpc, name, cursor, columns, page)
        if not records:
            break
        cursor = {**cursor, "last": records[-1]["id"], "top": max(cursor["top"], records[-1]["id"])}
        yield Batch(_rows(rpc, name, records, columns), cursor)
    there = set(rpc.call(f"model.{_MODELS[name]}.search", [], 0, None, [["id", "ASC"]], _ALL))
    gone = [str(i) for i in range(1, cursor["top"] + 1) if i not in there]
    since = (datetime.fromisoformat(cursor["started"]) - _OVERLAP).isoformat()
    yield Batch({}, {"since": since, "last": 0, "top": cursor["top"]}, {name: gone} if gone else {})


_ALL = {"active_test": False}


def _page(rpc: TrytonRpc, name: str, cursor: Record, columns: Sequence[str], page: int) -> list[Record]:
    """The next records by id that changed since the cursor."""
    domain: list[Any] = [["id", ">", cursor["last"]], *_customers_only(rpc, name)]
    if cursor["since"]:
        at = as_tryton(datetime.fromisoformat(cursor["since"]))
        domain.append(["OR", ["write_date", ">=", at], [["write_date", "=", None], ["create_date", ">=", at]]])
    fields = [c for c in columns if c not in ("modified", "ended")]
    fields = list(dict.fromkeys([*fields, "id", "create_date", "write_date"]))
    found = rpc.call(f"model.{_MODELS[name]}.search_read", domain, 0, page, [["id", "ASC"]], fields, _ALL)
    return list(found)


def _customers_only(rpc: TrytonRpc, name: str) -> list[Any]:
    """Employees are parties too: their names are no names of customers."""
    if name != "Parties":
        return []
    staff = rpc.call("model.company.employee.search_read", [], 0, None, None, ["party"], _ALL)
    return [["id", "not in", [e["party"] for e in staff]]]


def _rows(rpc: TrytonRpc, name: str, records: Sequence[Record], columns: Sequence[str]) -> dict[str, list[Row]]:
    rows = [{c: text(_part(r, c)) for c in columns} for r in records]
    if name != _OPPORTUNITIES:
        return {name: rows}
    past = _past(rpc, [r["id"] for r in records])
    changes: list[Row] = []
    for row, record in zip(rows, records, strict=True):
        logged = _changes(str(record["id"]), past.get(record["id"], []))
        row["modified"] = text(record["write_date"] or record["create_date"])
        stages = [c["at"] for c in logged if c["field"] == "stage"]
        row["ended"] = stages[-1] if record["state"] in _ENDS and stages else None
        changes += logged
    return {name: rows, _CHANGES: changes}


def _part(record: Record, column: str) -> Any:
    head, _, tail = column.partition(".")
    if not tail:
        return record.get(column)
    return (record.get(f"{head}.") or {}).get(tail)


def _past(rpc: TrytonRpc, ids: list[int]) -> dict[int, list[tuple[datetime, Record]]]:
    """Each opportunity as it stood at each of its revisions, oldest first."""
    revisions = rpc.call("model.sale.opportunity.history_revisions", ids, {})
    past: dict[int, list[tuple[datetime, Record]]] = {}
    by_moment: dict[datetime, set[int]] = {}
    for at, ident, _ in revisions:
        by_moment.setdefault(moment(at), set()).add(ident)
    for at in sorted(by_moment):
        context = {"_datetime": as_tryton(at)}
        found = rpc.call("model.sale.opportunity.read", sorted(by_moment[at]), [*_LOGGED.values()], context)
        for record in found:
            past.setdefault(record["id"], []).append((at, record))
    return past


def _changes(deal: str, past: Sequence[tuple[datetime, Record]]) -> list[Row]:
    """Rows of the log: values at the beginning, and whatever changed after it."""
    rows: list[Row] = []
    before: Record = {}
    for at, record in past:
        for field, name in _LOGGED.items():
            old, new = text(before.get(name)), text(record[name])
            if old != new:
                rows.append({"deal": deal, "field": field, "old": old, "new": new, "at": at.isoformat()})
        before = record
    return rows
