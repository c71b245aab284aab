"""The audit, for administrators: who changed what, and who took data out?"""

from __future__ import annotations

from typing import Annotated, NamedTuple
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from serving import audit
from serving.dependencies import AdminDep
from serving.pages import audit_words
from serving.pages.desk import Desk, DeskDep
from serving.pages.rail import Rail
from serving.tables.audit import AuditEntry

router = APIRouter(include_in_schema=False)
RAIL = Rail("audit", "settings", 3, lambda say: say("Audit"), "/audit", frozenset({"admin"}))
_ROWS = 50


class Row(NamedTuple):
    """An entry in the table."""

    at: str
    who: str
    what: str
    detail: str


@router.get("/audit")
def show_audit(
    desk: DeskDep,
    viewer: AdminDep,
    who: Annotated[str, Query(max_length=320)] = "",
    what: Annotated[str, Query(max_length=80)] = "",
    before: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
) -> HTMLResponse:
    """A page of entries, newest first."""
    found = audit.entries(
        desk.store, who=who.strip().lower() or None, what=what or None, before=before, limit=_ROWS + 1
    )
    older = ""
    if len(found) > _ROWS:
        older = "/audit?" + urlencode({"who": who, "what": what, "before": found[_ROWS - 1].audit_id})
    return desk.show(
        "audit.html",
        "audit",
        rows=[_row(desk, entry) for entry in found[:_ROWS]],
        kinds=[(kind, audit_words.deed(desk.language, kind)) for kind in audit.kinds(desk.store)],
        who=who,
        what=what,
        older=older,
    )


def _row(desk: Desk, entry: AuditEntry) -> Row:
    said = audit_words.who(desk.language, entry.who), audit_words.deed(desk.language, entry.what)
    return Row(desk.formats.moment(entry.at), *said, audit_words.details(desk.language, entry.detail))
