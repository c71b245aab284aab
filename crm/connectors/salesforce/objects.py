"""What is read from Salesforce: objects, their columns, rows, and an opportunity's log from its history objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crm.connectors.base import Declaration, Resource
from crm.mapping import OwnKind

OPPORTUNITIES, CHANGES = "Opportunity", "Opportunity_Changes"
ACTIVITIES: Mapping[str, str] = {"Task": "CompletedDateTime", "Event": "StartDateTime"}
"""Objects of activities, and when each took place."""
_COMPUTED = {
    OPPORTUNITIES: ("Outcome", "Ended_Time"),
    "Lead": ("Outcome",),
    **dict.fromkeys(ACTIVITIES, ("Deal_Id", "Account_Id", "Contact_Id", "Recorded_Time")),
}
_ACTIVITY = {"activities": "activity_id"}
_BASIC = ("Id", "SystemModstamp", "CreatedDate")
LOGGED: Mapping[str, str] = {
    "stage": "StageName",
    "amount": "Amount",
    "close_date": "CloseDate",
    "forecast_category": "ForecastCategory",
}
"""Columns of deals, and the fields of OpportunityHistory that tell their past."""

DECLARATION = Declaration(
    name="salesforce",
    title="Salesforce",
    resources=(
        Resource("User", ("Id", "SystemModstamp")),
        Resource("Account", _BASIC, {"accounts": "account_id"}),
        Resource("Contact", _BASIC, {"contacts": "contact_id"}),
        Resource("Product2", _BASIC, {"products": "product_id"}),
        Resource(
            OPPORTUNITIES,
            (*_BASIC, "IsClosed", "IsWon", "CloseDate", "StageName", *_COMPUTED[OPPORTUNITIES]),
            {"deals": "deal_id", "deal_changes": "deal_id"},
        ),
        Resource("Lead", (*_BASIC, "IsConverted", "Status", "Outcome"), {"deals": "deal_id"}),
        Resource(CHANGES, ("Deal_Id", "Field", "Old", "New", "Changed_Time")),
        *(Resource(o, (*_BASIC, "WhoId", "WhatId", at, *_COMPUTED[o]), _ACTIVITY) for o, at in ACTIVITIES.items()),
    ),
    deals=(OPPORTUNITIES, "Lead"),
    modified="SystemModstamp",
    history=frozenset(LOGGED),
    mapping=Path(__file__).parent / "mapping.yaml",
    identifier="Id",
)
OBJECTS = tuple(r.name for r in DECLARATION.resources if r.name != CHANGES)
_PLAIN: Mapping[str, OwnKind] = {
    **dict.fromkeys(("double", "int", "currency", "percent"), "number"),
    **dict.fromkeys(("picklist", "boolean", "date"), "text"),
}
_USERS = "005"  # keys of users begin so
_PREFIX = {"006": "Deal_Id", "001": "Account_Id", "003": "Contact_Id"}

Record = Mapping[str, Any]
Row = dict[str, str | None]


def api_fields(name: str, columns: Sequence[str], known: Mapping[str, Record]) -> list[str]:
    """Fields to select so that these columns can be filled; those the company has not are left out."""
    plain = [c for c in columns if c not in _COMPUTED.get(name, ()) and "." not in c]
    # `Owner.Name` is a part of the reference that the field OwnerId holds.
    parts = [c for c in columns if "." in c and f"{c.split('.')[0]}Id" in known]
    return list(dict.fromkeys([*(c for c in plain if c in known), *parts]))


def own_fields(fields: Mapping[str, Record]) -> dict[str, OwnKind]:
    """Fields that the company made and that hold no words of people, and what they hold."""
    made = {n: f for n, f in fields.items() if f.get("custom")}
    return {n: kind for n, f in made.items() if (kind := _PLAIN.get(str(f.get("type"))))}


def flat(record: Record, columns: Sequence[str]) -> Row:
    """A record as text by column; what is worked out here is left empty."""
    return {c: _text(_part(record, c)) for c in columns}


def deal_row(record: Record, columns: Sequence[str], changes: Sequence[Row]) -> Row:
    """An opportunity with its outcome, and when it was closed: when its last stage was entered."""
    row = flat(record, columns)
    row["Outcome"] = "won" if record.get("IsWon") else "lost" if record.get("IsClosed") else "open"
    entered = [c["Changed_Time"] for c in changes if c["Field"] == "stage"]
    ended = entered[-1] if entered else row["CloseDate"]
    row["Ended_Time"] = None if row["Outcome"] == "open" else ended
    return row


def lead_row(record: Record, columns: Sequence[str]) -> Row:
    """A lead: converted is won; a closed status of Salesforce's own says that it is lost."""
    row = flat(record, columns)
    lost = "not converted" in str(record.get("Status")).lower()
    row["Outcome"] = "won" if record.get("IsConverted") else "lost" if lost else "open"
    return row


def activity_row(name: str, record: Record, columns: Sequence[str]) -> Row:
    """A task or event with what it is about, told by the keys' prefixes; written down no earlier than it took place."""
    row = flat(record, columns)
    for column in ("WhoId", "WhatId"):
        if place := _PREFIX.get(str(record.get(column))[:3]):
            row[place] = str(record[column])
    at, made = row[ACTIVITIES[name]], row["CreatedDate"]
    row["Recorded_Time"] = max(at, made, key=datetime.fromisoformat) if at and made else made
    return row


def took_place(name: str, record: Record) -> datetime | None:
    """When an activity takes place; None where it has not been done."""
    at = record.get(ACTIVITIES[name])
    return datetime.fromisoformat(moment(at)) if at else None


def log_of(deal: str, snapshots: Sequence[Record], owners: Sequence[Record]) -> list[Row]:
    """Rows of the log: what differs from one snapshot to the next, the first against nothing, and owners.

    Parameters
    ----------
    snapshots : sequence of mapping
        The deal's rows of OpportunityHistory, each as the deal stood from then on.
    owners : sequence of mapping
        Its rows of OpportunityFieldHistory on its owner; Salesforce logs each change by name and again by key.
    """
    rows: list[Row] = []
    before: Record = {}
    for snapshot in sorted(snapshots, key=lambda s: (s["CreatedDate"], s["Id"])):
        for field, name in LOGGED.items():
            old, new = _text(before.get(name)), _text(snapshot.get(name))
            if old != new:
                rows.append(_change(deal, field, old, new, snapshot["CreatedDate"]))
        before = snapshot
    moves = sorted(owners, key=lambda s: (s["CreatedDate"], s["Id"]))
    by_key = [m for m in moves if str(m["NewValue"]).startswith(_USERS)]
    rows += [_change(deal, "owner_id", m["OldValue"], m["NewValue"], m["CreatedDate"]) for m in by_key]
    return rows


def _change(deal: str, field: str, old: str | None, new: str | None, at: str) -> Row:
    return {"Deal_Id": deal, "Field": field, "Old": old, "New": new, "Changed_Time": moment(at)}


def moment(text: str) -> str:
    """Salesforce's 2026-01-01T08:00:00.000+0000 as ISO 8601 has it."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z").astimezone(UTC).isoformat()


def _part(record: Record, column: str) -> Any:
    value: Any = record
    for key in column.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _text(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.10g}" if abs(value) < 1e9 else f"{value:.2f}"
    text = str(value)
    return moment(text) if len(text) == 28 and text[10] == "T" and text[-5] in "+-" else text
