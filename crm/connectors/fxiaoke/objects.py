"""What is read from Fxiaoke: kinds of records, which of a company's fields are stage, amount and the like, and rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from crm.connectors.base import Declaration, Resource
from crm.errors import BadInput
from crm.mapping import OwnKind

KEY, MODIFIED, MADE = "_id", "last_modified_time", "create_time"
_DEAL = {"deals": "deal_id", "deal_changes": "deal_id"}
_ACTIVITY = {"activities": "activity_id"}
_ALWAYS = (KEY, MODIFIED, MADE)
DEALS = ("NewOpportunityObj", "OpportunityObj")
LEADS = "LeadsObj"
ACTIVITIES = ("ActiveRecordObj", "ScheduleObj", "CheckinsObj", "TelesalesRecordObj")

_IN_DEAL = {
    "Amount": ("amount", "expected_deal_amount"),
    "Stage": ("sales_stage", "oppo_stage_id"),
    "Status": ("sales_status", "biz_status", "sales_stage"),
    "Close_Date": ("close_date", "expected_deal_closed_date"),
    "Stage_Time": ("stg_changed_time", "sales_stg_changed_time"),
}
_IN_ACTIVITY = {
    "Occurred_Time": ("interaction_time", "begin_time", "start_time", "call_time", "checkins_time", MADE),
    "End_Time": ("end_time",),
    "Deal": ("new_opportunity_id", "opportunity_id"),
    "Account": ("account_id", "customer_id"),
    "Contact": ("contact_id",),
    "Related": ("related_object_data",),
}
FOUND: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(DEALS, _IN_DEAL),
    **dict.fromkeys(ACTIVITIES, _IN_ACTIVITY),
    LEADS: {"Stage": ("biz_status",), "Status": ("biz_status",)},
    "SalesOrderObj": {"Amount": ("order_amount", "amount"), "Deal": ("new_opportunity_id", "opportunity_id")},
    "PersonnelObj": {"Employee": ("user_id", KEY), "Department": ("main_department", "department")},
    "DepartmentObj": {"Department": ("dept_id", KEY), "Parent": ("parent_id",), "Manager": ("manager_id",)},
}
"""Columns that are found by a company's field list: the first of these fields that there is."""
_LABELS = ("Stage", "Status")
_ABOUT: Mapping[str, tuple[str, ...]] = {"Deal": DEALS, "Account": ("AccountObj",), "Contact": ("ContactObj",)}
_WON = frozenset({"赢单", "已赢单", "已转换", "win", "won", "transformed", "closed won"})
_LOST = frozenset({"输单", "已输单", "无效", "终止", "已关闭", "lose", "lost", "invalid", "closed", "closed lost"})

DECLARATION = Declaration(
    name="fxiaoke",
    title="纷享销客",
    resources=(
        Resource("DepartmentObj", (*_ALWAYS, *FOUND["DepartmentObj"])),
        Resource("PersonnelObj", (*_ALWAYS, *FOUND["PersonnelObj"])),
        Resource("AccountObj", _ALWAYS, {"accounts": "account_id"}),
        Resource("ContactObj", _ALWAYS, {"contacts": "contact_id"}),
        Resource("ProductObj", _ALWAYS, {"products": "product_id"}),
        *(Resource(name, (*_ALWAYS, *FOUND[name], "Outcome", "Ended_Time"), _DEAL) for name in (LEADS, *DEALS)),
        *(Resource(name, (*_ALWAYS, *FOUND[name], "Minutes", "Recorded_Time"), _ACTIVITY) for name in ACTIVITIES),
        Resource("SalesOrderObj", (*_ALWAYS, *FOUND["SalesOrderObj"]), {"orders": "order_id"}),
    ),
    deals=(LEADS, *DEALS),
    modified=MODIFIED,
    history=frozenset(),
    mapping=Path(__file__).parent / "mapping.yaml",
    identifier=KEY,
    own="__c",
    lists=True,
)
_COMPUTED = {"Outcome", "Ended_Time", "Minutes", "Recorded_Time"}
_PLAIN: Mapping[str, OwnKind] = {
    **dict.fromkeys(("number", "currency", "percentile"), "number"),
    **dict.fromkeys(("select_one", "true_or_false", "date"), "text"),
}
_STATE = ("life_status", "is_deleted")

Record = Mapping[str, Any]
Row = dict[str, str | None]


class UnclearAmount(BadInput):
    """Several fields of money, and none is known to be the amount."""

    def __init__(self, name: str, fields: Sequence[str]) -> None:
        super().__init__(
            f"{DECLARATION.title}: {name} has several fields of type currency ({', '.join(fields)}). Name the one that "
            "is the amount in a mapping of your own, such as 'amount: " + fields[0] + "', and give it by --mapping."
        )


class Form:
    """A kind of record as the company has set it up.

    Parameters
    ----------
    name : str
        API name of the object.
    fields : mapping of str to mapping
        Its fields as object/describe gives them.
    columns : sequence of str
        Columns that are wanted.
    zone : ZoneInfo
        Where days begin.

    Raises
    ------
    UnclearAmount
        If the amount is wanted and several fields may be it.
    """

    def __init__(self, name: str, fields: Mapping[str, Record], columns: Sequence[str], zone: ZoneInfo) -> None:
        self.name, self._fields, self._columns, self._zone = name, fields, columns, zone
        wanted = {c: names for c, names in FOUND.get(name, {}).items() if c in columns}
        self._found = {c: f for c, names in wanted.items() if (f := self._pick(c, names))}

    def _pick(self, column: str, names: Sequence[str]) -> str | None:
        known = next((n for n in names if n in self._fields or n in _ALWAYS), None)
        if known or column != "Amount":
            return known
        money = [n for n, f in self._fields.items() if f.get("type") == "currency" and f.get("is_active", True)]
        if len(money) > 1:
            raise UnclearAmount(self.name, money)
        return money[0] if money else None

    @property
    def asked(self) -> list[str]:
        """Fields to ask for."""
        plain = [c.removesuffix("__r") for c in self._columns if c not in FOUND.get(self.name, {})]
        names = dict.fromkeys([*_ALWAYS, *_STATE, *plain, *self._found.values()])
        return [n for n in names if n in self._fields or n in _ALWAYS]

    def row(self, record: Record) -> Row:
        """A record as text by column."""
        row = {c: self._column(record, c) for c in self._columns if c not in _COMPUTED}
        if "Outcome" in self._columns:
            row["Outcome"] = self._outcome(record)
            row["Ended_Time"] = None if row["Outcome"] == "open" else row.get("Stage_Time") or row[MODIFIED]
        if "Minutes" in self._columns:
            self._add_times(row)
        return row

    def took_place(self, record: Record) -> datetime | None:
        """When an activity takes place; None where Fxiaoke does not say."""
        return self._moment(record.get(self._found["Occurred_Time"]))

    def _column(self, record: Record, column: str) -> str | None:
        known = self._found.get(column) if column in FOUND.get(self.name, {}) else column
        said = self._text(record.get(known), known) if known else None
        if column in _ABOUT:
            return said or _related(record, column)
        if column in _LABELS:
            return self._label(record, known) if known else None
        if column.endswith("__r"):
            return self._label(record, column.removesuffix("__r"))
        return None if column == "Related" else said

    def _outcome(self, record: Record) -> str:
        """won, lost or open by the status, which companies may rename: its value and its label are looked at."""
        field = self._found.get("Status", "")
        words = {str(record.get(field)).lower(), str(self._label(record, field)).lower()}
        return "won" if words & _WON else "lost" if words & _LOST else "open"

    def _label(self, record: Record, field: str) -> str | None:
        """The words for a choice as the company's list has them, else those beside the value, else the value."""
        value = record.get(field)
        options = self._fields.get(field, {}).get("options") or ()
        known = next((str(o["label"]) for o in options if str(o.get("value")) == str(value)), None)
        return known or _plain(record.get(f"{field}__r")) or self._text(value, field)

    def _text(self, value: Any, field: str) -> str | None:
        kind = self._fields.get(field, {}).get("type")
        if value in (None, "", []):
            return None
        if kind == "date":
            return datetime.fromtimestamp(float(value) / 1000, self._zone).date().isoformat()
        if kind == "date_time" or field in (MODIFIED, MADE):
            moment = self._moment(value)
            return moment.isoformat() if moment else None
        return _plain(value)

    @staticmethod
    def _moment(value: Any) -> datetime | None:
        return None if value in (None, "") else datetime.fromtimestamp(float(value) / 1000, UTC)

    def _add_times(self, row: Row) -> None:
        """Written down no earlier than it took place; as long as from its begin to its end."""
        at, made, end = (row.get(c) for c in ("Occurred_Time", MADE, "End_Time"))
        row["Recorded_Time"] = max(at, made) if at and made else made
        length = datetime.fromisoformat(end) - datetime.fromisoformat(at) if at and end else None
        row["Minutes"] = None if length is None else f"{length.total_seconds() / 60:.2f}"


def gone(record: Record) -> bool:
    """Whether a record lies in the bin: made invalid there, or deleted."""
    return record.get("life_status") == "invalid" or str(record.get("is_deleted")).lower() in ("true", "1")


def own_fields(fields: Mapping[str, Record]) -> dict[str, OwnKind]:
    """Fields that the company made and that hold no words of people, and what they hold."""
    made = {n: f for n, f in fields.items() if n.endswith("__c") and f.get("is_active", True)}
    return {n: kind for n, f in made.items() if (kind := _PLAIN.get(str(f.get("type"))))}


def _related(record: Record, column: str) -> str | None:
    """The record of that kind which an activity is about."""
    about = record.get("related_object_data") or ()
    return next((str(o["id"]) for o in about if o.get("describe_api_name") in _ABOUT[column]), None)


def _plain(value: Any) -> str | None:
    if value in (None, "", []):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ";".join(filter(None, map(_plain, value))) or None
    if isinstance(value, Mapping):
        found = value.get("name") or value.get("deptName") or value.get("id")
        return str(found) if found else None
    return str(value)
