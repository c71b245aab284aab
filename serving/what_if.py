"""What a change would make of a deal in the model's eyes: its rows of the lake with events as if they came now."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any

import duckdb
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from crm.company import Company
from crm.errors import BadInput
from crm.lake import LakeView, connect
from features.added import TABLES
from serving.posted import ActivityKind, Day, Money, Words, rows_table

_LOGGED = ("stage", "amount", "close_date", "forecast_category")


class NothingAsked(BadInput):
    """No change was named."""

    def __init__(self) -> None:
        super().__init__(
            "Nothing would change. Give a new close_date, amount, stage or forecast_category, or activities."
        )


class NoSuchStage(BadInput):
    """No deal was ever in such a stage, and the company names none."""

    def __init__(self, stage: str, known: list[str]) -> None:
        super().__init__(
            "stage: there is no stage '{stage}'. Known: {known}.", stage=stage[:80], known=", ".join(known)[:1000]
        )


class Supposed(BaseModel):
    """An activity that would take place now."""

    model_config = ConfigDict(extra="forbid")

    kind: ActivityKind
    contact_id: Annotated[str | None, Field(max_length=200, description="A contact of the deal's customer.")] = None


class WhatIf(BaseModel):
    """What would be different; fields that are left out stay as they are."""

    model_config = ConfigDict(extra="forbid")

    close_date: Day | None = None
    amount: Annotated[Money | None, Field(ge=0, description="In the deal's own currency.")] = None
    stage: Words | None = None
    forecast_category: Words | None = None
    activities: Annotated[list[Supposed], Field(max_length=20)] = Field(default_factory=list)

    def fields(self) -> dict[str, str]:
        """New values of logged fields as the log writes them."""
        given = {name: getattr(self, name) for name in _LOGGED}
        return {name: _as_logged(value) for name, value in given.items() if value is not None}


def rows_with(
    view: LakeView, deal_id: str, asked: WhatIf, at: datetime, contacts: frozenset[str], company: Company
) -> dict[str, pa.Table]:
    """All rows of a deal as if the changes were written down at a moment.

    Parameters
    ----------
    contacts : frozenset of str
        Those of the deal's customer.

    Raises
    ------
    NothingAsked
        If nothing would change.
    NoSuchStage
        If the stage is none that a deal was ever in, or that the company names.
    BadInput
        If a contact is not one of the customer's.
    """
    with connect() as con:
        view.attach(con)
        if asked.stage is not None:
            _check_stage(con, asked.stage, company)
        rows = {name: _own(con, name, deal_id) for name in TABLES}
    deal = rows["deals"].to_pylist()[0]
    changes = _changes(deal, asked, at)
    activities = [_activity(i, each, deal, at, contacts) for i, each in enumerate(asked.activities)]
    if not changes and not activities:
        raise NothingAsked
    added = {"deal_changes": changes, "activities": activities}
    more = {name: rows_table(name, given) for name, given in added.items()}
    deals = rows["deals"].drop_columns(["_seq"]).to_pylist()
    custom = {f.name: f.type for f in rows["deals"].schema if f.name.startswith("x_")}
    deals[0] |= {c["field"]: _as_stored(c["field"], c["new_value"]) for c in changes}
    return {
        "deals": rows_table("deals", deals, custom),
        **{name: pa.concat_tables([rows[name], more[name]], promote_options="default") for name in more},
    }


def _own(con: duckdb.DuckDBPyConnection, name: str, deal_id: str) -> pa.Table:
    return con.sql(f"select * from {name} where deal_id = $deal", params={"deal": deal_id}).to_arrow_table()


_STAGES = """
select distinct stage from deals where stage is not null
union
select distinct new_value from deal_changes where field = 'stage' and new_value is not null
"""


def _check_stage(con: duckdb.DuckDBPyConnection, stage: str, company: Company) -> None:
    known = {row[0] for row in con.sql(_STAGES).fetchall()}.union(*company.stages.values())
    if stage not in known:
        raise NoSuchStage(stage, sorted(known))


def _changes(deal: dict[str, Any], asked: WhatIf, at: datetime) -> list[dict[str, Any]]:
    found = []
    for name, new in asked.fields().items():
        old = None if deal[name] is None else _as_logged(deal[name])
        if old != new:
            found.append(
                {"deal_id": deal["deal_id"], "field": name, "old_value": old, "new_value": new, "changed_at": at}
            )
    return found


def _activity(
    place: int, supposed: Supposed, deal: dict[str, Any], at: datetime, contacts: frozenset[str]
) -> dict[str, Any]:
    if supposed.contact_id is not None and supposed.contact_id not in contacts:
        raise BadInput(
            "activities.{place}.contact_id: '{contact_id}' is no contact of this deal's customer. Name one of "
            "theirs, or leave it out.",
            place=place,
            contact_id=supposed.contact_id,
        )
    return {
        "activity_id": f"supposed\x1f{place}",
        "occurred_at": at,
        "kind": supposed.kind,
        "direction": "out",
        "rep_id": deal["owner_id"],
        "contact_id": supposed.contact_id,
        **{name: deal[name] for name in ("deal_id", "account_id")},
    }


def _as_logged(value: object) -> str:
    if isinstance(value, float | Decimal):
        return str(Decimal(str(value)).quantize(Decimal("0.01")))
    return value.isoformat() if isinstance(value, date) else str(value)


def _as_stored(name: str, logged: str) -> object:
    if name == "amount":
        return Decimal(logged)
    return date.fromisoformat(logged) if name == "close_date" else logged
