"""What is read from Zoho CRM: modules, their columns, what they take out of the lake, and columns worked out here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from crm.connectors.base import Declaration, Resource
from crm.mapping import OwnKind

USERS = "Users"
TERRITORIES = "Territories"
DEALS = "Deals"
STAGE_CHANGES = "Stage_Changes"
LEADS = "Leads"
TIMELINE = "Deal_Timeline"
TIMED: Mapping[str, str] = {"Amount": "amount", "Closing_Date": "close_date"}
"""Fields whose past is read from a deal's timeline, and their columns."""
ACTIVITIES: Mapping[str, str] = {"Calls": "Call_Start_Time", "Events": "Start_DateTime", "Tasks": "Closed_Time"}
"""Modules of activities, and when each took place."""

_COMPUTED = {
    DEALS: ("Stage_Outcome", "Ended_Time"),
    LEADS: ("Outcome",),
    **dict.fromkeys(ACTIVITIES, ("Deal_Id", "Account_Id", "Recorded_Time", "Minutes")),
}
_ACTIVITY = {"activities": "activity_id"}

DECLARATION = Declaration(
    name="zoho",
    title="Zoho CRM",
    resources=(
        Resource(TERRITORIES, ("id", "name", "reporting_to.id", "manager.id")),
        Resource(USERS, ("id", "Territory_Id")),
        Resource("Accounts", ("id", "Modified_Time"), {"accounts": "account_id"}),
        Resource("Contacts", ("id", "Modified_Time"), {"contacts": "contact_id"}),
        Resource("Products", ("id", "Modified_Time"), {"products": "product_id"}),
        Resource(
            DEALS,
            ("id", "Modified_Time", "Created_Time", "Stage", "Closing_Date", *_COMPUTED[DEALS]),
            {"deals": "deal_id", "deal_changes": "deal_id"},
        ),
        Resource(STAGE_CHANGES, ("Deal_Id", "Old_Stage", "New_Stage", "Changed_Time")),
        Resource(TIMELINE, ("Deal_Id", "Field", "Old", "New", "Changed_Time")),
        Resource(LEADS, ("id", "Modified_Time", "Created_Time", "Lead_Status", "Outcome"), {"deals": "deal_id"}),
        *(
            Resource(m, ("id", "Modified_Time", "Created_Time", "What_Id.id", at, *_COMPUTED[m]), _ACTIVITY)
            for m, at in ACTIVITIES.items()
        ),
    ),
    deals=(DEALS, LEADS),
    modified="Modified_Time",
    history=frozenset({"stage"}),
    mapping=Path(__file__).parent / "mapping.yaml",
)
MODULES = tuple(r.name for r in DECLARATION.resources if r.name not in (TERRITORIES, USERS, STAGE_CHANGES, TIMELINE))

_LOST_LEADS = ("lost lead", "junk lead", "not qualified")
Record = Mapping[str, Any]
Row = dict[str, str | None]
_PLAIN: Mapping[str, OwnKind] = {
    **dict.fromkeys(("integer", "double", "bigint", "currency", "percent"), "number"),
    **dict.fromkeys(("picklist", "boolean", "date"), "text"),
}


def own_fields(fields: Sequence[Record]) -> dict[str, OwnKind]:
    """Fields that the company made and that hold no words of people, and what they hold."""
    made = {str(f["api_name"]): _PLAIN.get(str(f.get("data_type"))) for f in fields if f.get("custom_field")}
    return {name: kind for name, kind in made.items() if kind}


def api_fields(module: str, columns: Sequence[str], known: Sequence[str]) -> list[str]:
    """Fields to ask Zoho for, so that these columns can be filled; those the company has not are left out."""
    names = dict.fromkeys(c.split(".")[0] for c in columns if c not in _COMPUTED.get(module, ()) and c != "id")
    if module == "Calls":
        names["Call_Duration_in_seconds"] = None
    if module == "Events":
        names["End_DateTime"] = None
    system = ["$se_module"] if module in ACTIVITIES else ["$converted"] if module == LEADS else []
    return [n for n in names if n in known] + system


def flat(record: Record, columns: Sequence[str]) -> Row:
    """A record as text by column; `Owner.id` is a part of the lookup `Owner`."""
    return {c: _text(_part(record, c)) for c in columns}


def _part(record: Record, column: str) -> Any:
    if column in record:
        return record[column]
    value: Any = record
    for key in column.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ";".join(filter(None, map(_text, value)))
    return str(value.get("name") or value.get("id")) if isinstance(value, Mapping) else str(value)


def deal_row(record: Record, columns: Sequence[str], outcomes: Mapping[str, str], moves: Sequence[Row]) -> Row:
    """A deal with its outcome by its stage, and when that stage was entered.

    Parameters
    ----------
    outcomes : mapping of str to str
        won, lost or open by stage, as the company set its stages.
    moves : sequence of Row
        The deal's rows of `Stage_Changes`, oldest first.
    """
    row = flat(record, columns)
    row["Stage_Outcome"] = outcomes.get(str(row["Stage"]), "open")
    entered = moves[-1]["Changed_Time"] if moves else None
    row["Ended_Time"] = None if row["Stage_Outcome"] == "open" else entered or row["Closing_Date"]
    return row


def stage_moves(deal: str, history: Sequence[Record]) -> list[Row]:
    """A deal's stages, each with the one before it; Zoho gives the stages and when each was entered, in any order."""
    moves: list[Row] = []
    before: str | None = None
    for period in sorted(history, key=lambda p: datetime.fromisoformat(p["Modified_Time"])):
        if period["Stage"] != before:
            at = period["Modified_Time"]
            moves.append({"Deal_Id": deal, "Old_Stage": before, "New_Stage": period["Stage"], "Changed_Time": at})
        before = period["Stage"]
    return moves


def timed_changes(deal: str, entries: Sequence[Record]) -> list[Row]:
    """A deal's past amounts and close dates, oldest first, as its timeline tells them."""
    rows: list[Row] = []
    for entry in sorted(entries, key=lambda e: datetime.fromisoformat(e["audited_time"])):
        for change in entry.get("field_history") or ():
            value = change.get("_value") or {}
            if (field := TIMED.get(str(change.get("api_name")))) and value.get("old") != value.get("new"):
                old, new = _plain_number(value.get("old")), _plain_number(value.get("new"))
                at = entry["audited_time"]
                rows.append({"Deal_Id": deal, "Field": field, "Old": old, "New": new, "Changed_Time": at})
    return rows


def _plain_number(text: str | None) -> str | None:
    """An amount as the timeline shows it, such as '$ 1,234.50', without sign and groups; other text stays."""
    found = re.fullmatch(r"[^\d\s-]{0,3}\s?(-?\d{1,3}(?:,\d{3})+(?:\.\d+)?|-?\d+(?:\.\d+)?)", text or "")
    return found[1].replace(",", "") if found else text or None


def lead_row(record: Record, columns: Sequence[str]) -> Row:
    """A lead: converted is won; statuses that Zoho CRM is sold with say that it is lost."""
    row = flat(record, columns)
    lost = str(row["Lead_Status"]).lower() in _LOST_LEADS
    row["Outcome"] = "won" if record.get("$converted") else "lost" if lost else "open"
    return row


def activity_row(module: str, record: Record, columns: Sequence[str]) -> Row:
    """A call, meeting or task, with what it is about; written down no earlier than it took place."""
    row = flat(record, columns)
    about = {"Deals": "Deal_Id", "Accounts": "Account_Id"}.get(str(record.get("$se_module")))
    if about:
        row[about] = row["What_Id.id"]
    at, made = took_place(module, record), row["Created_Time"]
    if at and made:
        row["Recorded_Time"] = max(made, str(record[ACTIVITIES[module]]), key=datetime.fromisoformat)
    seconds = record.get("Call_Duration_in_seconds")
    if module == "Events" and at and record.get("End_DateTime"):
        seconds = (datetime.fromisoformat(record["End_DateTime"]) - at).total_seconds()
    row["Minutes"] = None if seconds is None else f"{float(seconds) / 60:.2f}"
    return row


def took_place(module: str, record: Record) -> datetime | None:
    """When an activity takes place; None where it has not been done."""
    at = record.get(ACTIVITIES[module])
    return datetime.fromisoformat(at) if at else None
