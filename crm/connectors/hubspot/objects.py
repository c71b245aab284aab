"""What is read from HubSpot: kinds of records, their columns, rows, and a deal's log from its properties' histories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

from crm.connectors.base import Declaration, Resource
from crm.mapping import OwnKind

OWNERS, TEAMS, DEALS, LEADS, HISTORY = "owners", "teams", "deals", "leads", "deal_history"
ACTIVITIES: Mapping[str, str] = {
    "calls": "hs_timestamp",
    "meetings": "hs_meeting_start_time",
    "emails": "hs_timestamp",
    "notes": "hs_timestamp",
    "tasks": "hs_task_completion_date",
}
"""Kinds of activities, and when each took place."""
LOGGED: Mapping[str, Mapping[str, str]] = {
    DEALS: {
        "stage": "dealstage",
        "amount": "amount",
        "close_date": "closedate",
        "owner_id": "hubspot_owner_id",
        "forecast_category": "hs_manual_forecast_category",
    },
    LEADS: {"stage": "hs_pipeline_stage", "owner_id": "hubspot_owner_id"},
}
"""Columns of deals and of leads, and the properties whose history tells their past."""
KEPT_VERSIONS = 20
"""How many values of a property HubSpot keeps at least; behind so many, older ones may have been let go."""

_LEAD = "lead-"
"""Begins keys of leads: HubSpot does not say that no deal has the number of a lead."""
_BASIC = ("id", "created", "modified")
COMPUTED = {
    "contacts": ("name",),
    DEALS: ("stage", "pipeline_name", "outcome", "ended", "close_day", "company_id"),
    LEADS: ("stage", "pipeline_name", "outcome", "ended", "company_id"),
    **dict.fromkeys(ACTIVITIES, ("at", "recorded", "minutes", "deal_id", "company_id", "contact_id")),
}
_READ_BESIDE = {
    "contacts": ("firstname", "lastname"),
    DEALS: ("pipeline", *LOGGED[DEALS].values()),
    LEADS: ("hs_pipeline", "hs_lead_is_open", "hs_lead_disqualification_reason", *LOGGED[LEADS].values()),
    "meetings": ("hs_timestamp", "hs_meeting_end_time", "hs_meeting_outcome"),
    "calls": ("hs_call_duration",),
    "tasks": ("hs_task_status",),
}
LINKS: Mapping[str, Mapping[str, str]] = {
    DEALS: {"companies": "company_id"},
    LEADS: {"companies": "company_id"},
    **{kind: {"deals": "deal_id", "companies": "company_id", "contacts": "contact_id"} for kind in ACTIVITIES},
}
"""Associations that are read: to what kind, and the column for it."""
_NOT_HELD = ("CANCELED", "RESCHEDULED", "NO_SHOW")
_PLAIN: Mapping[str, OwnKind] = {"number": "number", "enumeration": "text", "bool": "text", "date": "text"}

DECLARATION = Declaration(
    name="hubspot",
    title="HubSpot",
    resources=(
        Resource(TEAMS, ("id", "name")),
        Resource(OWNERS, ("id", "name", "email", "team_id")),
        Resource("companies", _BASIC, {"accounts": "account_id"}),
        Resource("contacts", (*_BASIC, *COMPUTED["contacts"]), {"contacts": "contact_id"}),
        Resource("products", _BASIC, {"products": "product_id"}),
        Resource(DEALS, (*_BASIC, *COMPUTED[DEALS]), {"deals": "deal_id", "deal_changes": "deal_id"}),
        Resource(LEADS, (*_BASIC, *COMPUTED[LEADS]), {"deals": "deal_id", "deal_changes": "deal_id"}),
        Resource(HISTORY, ("deal_id", "field", "old", "new", "at")),
        *(Resource(kind, (*_BASIC, *COMPUTED[kind]), {"activities": "activity_id"}) for kind in ACTIVITIES),
    ),
    deals=(DEALS, LEADS),
    modified="modified",
    history=frozenset(LOGGED[DEALS]),
    mapping=Path(__file__).parent / "mapping.yaml",
    lists=True,
)
KINDS = tuple(r.name for r in DECLARATION.resources if r.removes)

Record = Mapping[str, Any]
Row = dict[str, str | None]


@dataclass(frozen=True, slots=True)
class Stages:
    """Names of stages and pipelines by their keys, and what a deal in a stage has come to."""

    names: Mapping[str, str] = field(default_factory=dict)
    outcomes: Mapping[str, str] = field(default_factory=dict)
    pipelines: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, pipelines: Sequence[Record]) -> Stages:
        """From the company's pipelines: a closed stage is won where its probability is 1, else lost."""
        stages = [s for p in pipelines for s in p["stages"]]
        return cls(
            {str(s["id"]): str(s["label"]) for s in stages},
            {str(s["id"]): _outcome(s.get("metadata") or {}) for s in stages},
            {str(p["id"]): str(p["label"]) for p in pipelines},
        )


def _outcome(metadata: Record) -> str:
    if str(metadata.get("isClosed")).lower() != "true":
        return "open"
    return "won" if float(metadata.get("probability") or 0) == 1 else "lost"


def key_of(kind: str, number: str) -> str:
    """Key of a record by its number in HubSpot."""
    return f"{_LEAD}{number}" if kind == LEADS else number


def number_of(kind: str, key: str) -> str:
    """A record's number in HubSpot."""
    return key.removeprefix(_LEAD) if kind == LEADS else key


def properties(kind: str, columns: Sequence[str], known: Sequence[str]) -> list[str]:
    """Properties to ask for, so that these columns can be filled; those the company has not are left out."""
    plain = [c for c in columns if c not in (*_BASIC, *COMPUTED.get(kind, ()))]
    more = [*_READ_BESIDE.get(kind, ()), "hs_merged_object_ids"]
    if kind in ACTIVITIES:
        more.append(ACTIVITIES[kind])
    return [p for p in dict.fromkeys([*plain, *more]) if p in known]


def own_fields(known: Mapping[str, Record]) -> dict[str, OwnKind]:
    """Properties that the company made and that hold no words of people, and what they hold."""
    made = {n: p for n, p in known.items() if not p.get("hubspotDefined") and not p.get("hidden")}
    return {n: kind for n, p in made.items() if (kind := _PLAIN.get(str(p.get("type"))))}


def merged(record: Record) -> list[str]:
    """Keys of records that were merged into this one."""
    said = str(record["properties"].get("hs_merged_object_ids") or "")
    return [key.strip() for key in said.split(";") if key.strip() not in ("", str(record["id"]))]


def flat(record: Record, columns: Sequence[str]) -> Row:
    """A record as text by column; what is worked out here is left empty."""
    values = record["properties"]
    row: Row = {c: values.get(c) or None for c in columns}
    return {**row, "id": str(record["id"]), "created": record["createdAt"], "modified": record["updatedAt"]}


def owner_rows(owners: Sequence[Record]) -> dict[str, list[Row]]:
    """Owners with the team that is their first, and teams."""
    teams = {str(t["id"]): str(t["name"]) for o in owners for t in o.get("teams") or ()}
    rows: list[Row] = []
    for owner in owners:
        name = " ".join(filter(None, (owner.get("firstName"), owner.get("lastName"))))
        own = sorted(owner.get("teams") or (), key=lambda t: not t.get("primary"))
        team = str(own[0]["id"]) if own else None
        rows.append({"id": str(owner["id"]), "name": name or None, "email": owner.get("email"), "team_id": team})
    return {TEAMS: [{"id": key, "name": name} for key, name in teams.items()], OWNERS: rows}


def contact_row(record: Record, columns: Sequence[str]) -> Row:
    """A contact with the name in one piece."""
    parts = (record["properties"].get(n) for n in ("firstname", "lastname"))
    return {**flat(record, columns), "name": " ".join(filter(None, parts)) or None}


def deal_row(record: Record, columns: Sequence[str], stages: Stages, log: Sequence[Row], zone: tzinfo) -> Row:
    """A deal with its stage by name, its outcome, and when it was closed: when its last stage was entered."""
    row, values = flat(record, columns), record["properties"]
    stage = str(values.get("dealstage") or "")
    row["stage"] = stages.names.get(stage, stage) or None
    row["pipeline_name"] = stages.pipelines.get(str(values.get("pipeline")), values.get("pipeline"))
    row["outcome"] = stages.outcomes.get(stage, "open")
    row["close_day"] = day(values.get("closedate"), zone)
    entered = [change["at"] for change in log if change["field"] == "stage"]
    row["ended"] = None if row["outcome"] == "open" else entered[-1] if entered else values.get("closedate")
    return row


def lead_row(record: Record, columns: Sequence[str], stages: Stages, log: Sequence[Row]) -> Row:
    """A lead as a deal of its kind: one that is no longer open and was not disqualified is won."""
    row, values = flat(record, columns), record["properties"]
    stage = str(values.get("hs_pipeline_stage") or "")
    row["stage"] = stages.names.get(stage, stage) or None
    row["pipeline_name"] = stages.pipelines.get(str(values.get("hs_pipeline")), values.get("hs_pipeline"))
    closed = "lost" if values.get("hs_lead_disqualification_reason") else "won"
    row["outcome"] = closed if values.get("hs_lead_is_open") == "false" else "open"
    entered = [change["at"] for change in log if change["field"] == "stage"]
    row["ended"] = entered[-1] if entered and row["outcome"] != "open" else None
    return row


def deal_log(record: Record, stages: Stages, zone: tzinfo, kind: str = DEALS) -> list[Row]:
    """Rows of the log: each value against the one before it, by property, oldest first."""
    rows: list[Row] = []
    for name, prop in LOGGED[kind].items():
        versions = (record.get("propertiesWithHistory") or {}).get(prop) or []
        ordered = sorted(versions, key=lambda v: moment(v["timestamp"]))
        before = None
        for place, version in enumerate(ordered):
            value = _logged(name, version.get("value"), stages, zone)
            # Of a history that may have been cut, nobody knows what stood before its first value.
            told = place > 0 or len(ordered) < KEPT_VERSIONS
            if value != before and told:
                at = moment(version["timestamp"]).isoformat()
                row: Row = {"field": name, "old": before, "new": value, "at": at}
                rows.append({"deal_id": key_of(kind, str(record["id"])), **row})
            before = value
    return rows


def _logged(name: str, value: str | None, stages: Stages, zone: tzinfo) -> str | None:
    if name == "stage":
        return stages.names.get(str(value), value)
    return day(value, zone) if name == "close_date" else value or None


def activity_row(kind: str, record: Record, columns: Sequence[str]) -> Row:
    """An activity; written down no earlier than it took place."""
    row, values = flat(record, columns), record["properties"]
    at, made = took_place(kind, record), moment(record["createdAt"])
    row["at"] = at.isoformat() if at else None
    row["recorded"] = max(at, made).isoformat() if at else made.isoformat()
    if kind == "calls" and values.get("hs_call_duration"):
        row["minutes"] = f"{float(values['hs_call_duration']) / 60_000:.2f}"
    if kind == "meetings" and at and values.get("hs_meeting_end_time"):
        row["minutes"] = f"{(moment(values['hs_meeting_end_time']) - at).total_seconds() / 60:.2f}"
    return row


def took_place(kind: str, record: Record) -> datetime | None:
    """When an activity takes place; None where it has not been done, or will not be."""
    values = record["properties"]
    if kind == "tasks" and values.get("hs_task_status") != "COMPLETED":
        return None
    if kind == "meetings" and values.get("hs_meeting_outcome") in _NOT_HELD:
        return None
    at = values.get(ACTIVITIES[kind]) or (values.get("hs_timestamp") if kind == "meetings" else None)
    return moment(at) if at else None


def moment(text: str) -> datetime:
    """A time as HubSpot says it: ISO 8601, or milliseconds since 1970."""
    if text.lstrip("-").isdigit():
        return datetime.fromtimestamp(int(text) / 1000, UTC)
    return datetime.fromisoformat(text)


def day(text: str | None, zone: tzinfo) -> str | None:
    """The day of a time in the company's zone."""
    return moment(text).astimezone(zone).date().isoformat() if text else None
