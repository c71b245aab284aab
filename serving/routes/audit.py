"""The audit, for administrators."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from serving import audit
from serving.dependencies import AdminDep, StoreDep
from serving.documents import example
from serving.examples import AUDIT

router = APIRouter(prefix="/audit", tags=["users"])


class AuditRow(BaseModel):
    """That someone did something."""

    audit_id: int
    at: datetime
    who: Annotated[str, Field(description="The user's e-mail; 'cli' for the command line.")]
    what: str
    detail: dict[str, Any]


class AuditList(BaseModel):
    """A page of the audit, newest first."""

    entries: list[AuditRow]
    next_cursor: str | None


@router.get("", responses=example(AUDIT))
def list_audit(
    store: StoreDep,
    viewer: AdminDep,
    who: Annotated[str | None, Query(max_length=320)] = None,
    what: Annotated[str | None, Query(max_length=80)] = None,
    since: datetime | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="`next_cursor` of the page before.")] = None,
) -> AuditList:
    """Who changed what and who took data out, newest first; for administrators."""
    found = audit.entries(store, who=who, what=what, since=in_zone(since), before=cursor, limit=limit + 1)
    rows = [AuditRow(audit_id=e.audit_id, at=e.at, who=e.who, what=e.what, detail=e.detail) for e in found[:limit]]
    return AuditList(entries=rows, next_cursor=str(rows[-1].audit_id) if len(found) > limit else None)


def in_zone(moment: datetime | None) -> datetime | None:
    """A moment without zone is meant in UTC."""
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
