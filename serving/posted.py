"""Deals that a client sends to be scored: what may be given, checked by index and field, as rows of the lake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from crm.errors import BadInput
from crm.lake import conform
from crm.schema import LOGGED_FIELDS, SEQUENCE, arrow_schema

MOST_DEALS, MOST_EVENTS = 1000, 50_000
_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
_AFTER_ALL = 1 << 40  # place in the order of arrival: after what the lake has
Key = Annotated[str, Field(min_length=1, max_length=200)]
Words = Annotated[str, Field(max_length=500)]
Moment = Annotated[AwareDatetime, Field(ge=_EARLIEST, le=datetime(2200, 1, 1, tzinfo=UTC))]
Day = Annotated[date, Field(ge=date(1990, 1, 1), le=date(2200, 1, 1))]
Money = Annotated[float, Field(ge=-1e12, le=1e12, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]
ActivityKind = Literal["email", "call", "meeting", "demo", "proposal", "visit", "note", "task"]


class BadPosted(BadInput):
    """A deal that was sent cannot be scored as it is."""


class PostedChange(BaseModel):
    """One line of a deal's log."""

    model_config = ConfigDict(extra="forbid")

    field: Annotated[str, Field(max_length=100, description=f"One of {', '.join(LOGGED_FIELDS)}, or x_*.")]
    old_value: Words | None = None
    new_value: Words | None = None
    changed_at: Moment


class PostedActivity(BaseModel):
    """A contact with the customer about the deal, or a note."""

    model_config = ConfigDict(extra="forbid")

    kind: ActivityKind
    occurred_at: Moment
    direction: Literal["in", "out"] | None = None
    rep_id: Key | None = None
    contact_id: Key | None = None
    duration_minutes: Annotated[float | None, Field(ge=0, le=100_000)] = None


class PostedDeal(BaseModel):
    """An open deal as it stands, with its log and activities; what is left out is not known."""

    model_config = ConfigDict(extra="forbid")

    deal_id: Annotated[
        Key | None,
        Field(description="Comes back in the answer; a deal of the CRM that you may see counts once, as sent."),
    ] = None
    account_id: Annotated[Key | None, Field(description="Customer, looked up for its history.")] = None
    owner_id: Annotated[Key | None, Field(description="Rep, looked up for the record.")] = None
    product_id: Key | None = None
    pipeline: Words | None = None
    kind: Literal["new", "expansion", "renewal", "lead"] | None = None
    source: Words | None = None
    stage: Words
    amount: Money | None = None
    list_amount: Money | None = None
    currency: Annotated[str | None, Field(pattern=r"^[A-Z]{3}$", description="Unset: the base currency.")] = None
    forecast_category: Words | None = None
    created_at: Moment
    close_date: Day | None = None
    custom: Annotated[
        dict[str, Number | Words | None], Field(max_length=100, description="The company's own columns, x_*.")
    ] = Field(default_factory=dict)
    changes: Annotated[list[PostedChange], Field(max_length=2000)] = Field(default_factory=list)
    activities: Annotated[list[PostedActivity], Field(max_length=2000)] = Field(default_factory=list)


class ScoreRequest(BaseModel):
    """Deals to be scored, all at one moment."""

    model_config = ConfigDict(extra="forbid")

    deals: Annotated[list[PostedDeal], Field(min_length=1, max_length=MOST_DEALS)]
    as_of: Annotated[Moment | None, Field(description="Unset: now; in the sample company the moment of its data.")] = (
        None
    )


@dataclass(frozen=True, slots=True)
class Looked:
    """What of a deal's references was found, and may be seen: customer, rep, the customer's contacts, the deal itself.

    Attributes
    ----------
    deal_id : str, optional
        The deal of the CRM that the one sent stands for: it counts once, as it was sent.
    """

    account_id: str | None
    owner_id: str | None
    contacts: frozenset[str] = frozenset()
    deal_id: str | None = None

    def key(self, index: int) -> str:
        """Key in the tables of the n-th deal sent: its own, else one that no CRM gives."""
        return self.deal_id if self.deal_id is not None else f"posted\x1f{index}"


def check(given: ScoreRequest, as_of: datetime, custom: Mapping[str, pa.DataType]) -> None:
    """Refuse what no model could use.

    Parameters
    ----------
    custom : mapping of str to pa.DataType
        The company's own columns of deals.

    Raises
    ------
    BadPosted
        With index and field of the first fault.
    """
    events = sum(len(deal.changes) + len(deal.activities) for deal in given.deals)
    if events > MOST_EVENTS:
        raise BadPosted(f"deals: they have {events} changes and activities together. Send at most {MOST_EVENTS}.")
    for where, fault in _faults(given, as_of, custom):
        raise BadPosted(f"{where}: {fault}")


def _faults(given: ScoreRequest, as_of: datetime, custom: Mapping[str, pa.DataType]) -> Iterator[tuple[str, str]]:
    seen = set[str | None]()
    for i, deal in enumerate(given.deals):
        if deal.deal_id is not None and deal.deal_id in seen:
            yield f"deals.{i}.deal_id", f"'{deal.deal_id}' is sent twice. Send each deal once, or leave deal_id out."
        seen.add(deal.deal_id)
        moments = [(f"deals.{i}.created_at", deal.created_at)]
        for j, change in enumerate(deal.changes):
            moments.append((f"deals.{i}.changes.{j}.changed_at", change.changed_at))
            if change.field not in LOGGED_FIELDS and change.field not in custom:
                known = ", ".join((*LOGGED_FIELDS, *custom))
                yield f"deals.{i}.changes.{j}.field", f"'{change.field[:80]}' is not logged. Give one of {known}."
        moments += [(f"deals.{i}.activities.{j}.occurred_at", a.occurred_at) for j, a in enumerate(deal.activities)]
        for where, moment in moments:
            if moment > as_of:
                said = f"{moment.isoformat()} lies after {as_of.isoformat()}"
                yield where, f"{said}. Leave it out, or give a later as_of."
        for name, value in deal.custom.items():
            if fault := _misfit(name, value, custom):
                yield f"deals.{i}.custom.{name[:80]}", fault


def _misfit(name: str, value: object, custom: Mapping[str, pa.DataType]) -> str:
    if name not in custom:
        return f"there is no such column. Known: {', '.join(custom) or 'none'}."
    number = pa.types.is_floating(custom[name]) or pa.types.is_integer(custom[name])
    if value is not None and number != isinstance(value, int | float):
        return f"{str(value)[:80]!r} does not fit {custom[name]}. Give {'a number' if number else 'text'}."
    if isinstance(value, float) and pa.types.is_integer(custom[name]) and (value % 1 or abs(value) > 2**53):
        return f"{value!r} does not fit {custom[name]}. Give a whole number."
    return ""


def tables_of(given: ScoreRequest, looked: list[Looked], custom: Mapping[str, pa.DataType]) -> dict[str, pa.Table]:
    """Rows of `deals`, `deal_changes` and `activities` in the lake's types."""
    deals, changes, activities = [], [], []
    for i, (deal, found) in enumerate(zip(given.deals, looked, strict=True)):
        deals.append(_deal_row(deal, found.key(i), found))
        changes += [_change_row(change, found.key(i)) for change in deal.changes]
        activities += [_activity_row(a, found.key(i), found, j) for j, a in enumerate(deal.activities)]
    return {
        "deals": rows_table("deals", deals, custom),
        "deal_changes": rows_table("deal_changes", changes),
        "activities": rows_table("activities", activities),
    }


def rows_table(name: str, rows: list[dict[str, Any]], custom: Mapping[str, pa.DataType] | None = None) -> pa.Table:
    """Rows as a canonical table, counted as arrived after all that the lake has."""
    schema = arrow_schema(name, custom or {})
    kept = [{**row, SEQUENCE: _AFTER_ALL + place} for place, row in enumerate(rows)]
    return conform(name, pa.Table.from_pylist(kept, schema=schema))


def _deal_row(deal: PostedDeal, key: str, found: Looked) -> dict[str, Any]:
    plain = deal.model_dump(exclude={"deal_id", "account_id", "owner_id", "custom", "changes", "activities"})
    money = {name: _money(plain[name]) for name in ("amount", "list_amount")}
    known = {"account_id": found.account_id, "owner_id": found.owner_id, "deal_id": key, "outcome": "open"}
    return {**plain, **money, **deal.custom, **known}


def _money(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(str(value)).quantize(Decimal("0.01"))


def _change_row(change: PostedChange, key: str) -> dict[str, Any]:
    return {**change.model_dump(), "deal_id": key}


def _activity_row(activity: PostedActivity, key: str, found: Looked, number: int) -> dict[str, Any]:
    contact = activity.contact_id if activity.contact_id in found.contacts else None
    ident = {"activity_id": f"{key}\x1f{number}", "deal_id": key, "account_id": found.account_id}
    return {**activity.model_dump(), **ident, "contact_id": contact}
