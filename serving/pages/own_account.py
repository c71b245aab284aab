"""One's own account: who am I here, and what may act in my name? Role, password, and tokens for programs."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from fastapi import APIRouter, Form, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from serving import tokens
from serving.access import ROLES, Scope, Viewer
from serving.dependencies import AddressDep, PersonDep, ServerDep
from serving.pages.desk import Desk, DeskDep
from serving.pages.rail import Rail
from serving.pages.sign_in import keep_session
from serving.passwords import LEAST, MOST, BadPassword
from serving.sign_in import WrongPassword, sign_in
from serving.tables.users import ApiToken
from serving.tries import TooManyTries
from serving.users import set_password

router = APIRouter(include_in_schema=False, prefix="/account")
RAIL = Rail("account", "settings", 1, lambda say: say("Your account"), "/account", frozenset(ROLES))

Secret = Annotated[str, Form(max_length=2 * MOST)]


class Row(NamedTuple):
    """A token in the table; `state` is empty for one in use."""

    number: int
    name: str
    scopes: str
    ends: str
    used: str
    state: str


@router.get("")
def show_account(desk: DeskDep, viewer: PersonDep) -> HTMLResponse:
    """Role, password and tokens."""
    return _page(desk, viewer)


@router.post("/password")
def change_password(
    request: Request, desk: DeskDep, server: ServerDep, viewer: PersonDep, address: AddressDep, now: Secret, new: Secret
) -> Response:
    """A new password, for whoever knows the present one; ends all other sessions."""
    say, days = desk.language.say, server.settings.session_days
    try:
        sign_in(server.store, viewer.name, now, address=address)
        set_password(server.store, viewer.name, new)
    except WrongPassword:
        return _page(desk, viewer, error=say("The present password is another. Nothing was changed."), status=400)
    except TooManyTries as error:
        return _page(desk, viewer, error=desk.language.tell(error), status=429)
    except BadPassword as error:
        return _page(desk, viewer, error=desk.language.tell(error), status=400)
    server.store.audit(viewer.name, "change own password")
    token = sign_in(server.store, viewer.name, new, address=address, days=days)
    return keep_session(RedirectResponse("/account", status_code=303), request, server, token)


@router.post("/tokens")
def make_token(
    desk: DeskDep,
    server: ServerDep,
    viewer: PersonDep,
    name: Annotated[str, Form(min_length=1, max_length=80, pattern=r"\S")],
    scopes: Annotated[list[Scope], Form()],
    days: Annotated[int, Form(ge=1, le=tokens.MOST_DAYS)],
) -> HTMLResponse:
    """Make a token and show it this once."""
    row, secret = tokens.make_token(server.store, viewer, name, scopes, days=days)
    server.store.audit(viewer.name, "make token", name=row.name, scopes=row.scopes)
    return _page(desk, viewer, made=secret, status=201)


@router.post("/tokens/{token_id}/revoke")
def revoke_token(
    token_id: Annotated[int, Path(ge=1, le=2**31 - 1)], server: ServerDep, viewer: PersonDep
) -> RedirectResponse:
    """End a token at once."""
    assert viewer.user_id is not None
    tokens.revoke(server.store, viewer.user_id, token_id)
    server.store.audit(viewer.name, "revoke token", token_id=token_id)
    return RedirectResponse("/account#tokens", status_code=303)


def _page(desk: Desk, viewer: Viewer, *, error: str = "", made: str = "", status: int = 200) -> HTMLResponse:
    assert viewer.user_id is not None
    return desk.visit.show(
        "own_account.html",
        "account",
        status=status,
        viewer=viewer,
        role=role_name(desk, viewer.role),
        rows=[_row(desk, row) for row in tokens.tokens_of(desk.store, viewer.user_id)],
        scopes=[s for s in ("read", "write", "admin") if s in tokens.may_have(viewer.role)],
        scope_name=lambda scope: _scope_names(desk)[scope],
        error=error,
        made=made,
        least=LEAST,
        most_days=tokens.MOST_DAYS,
    )


def role_name(desk: Desk, role: str) -> str:
    """A role in the visitor's language."""
    say = desk.language.say
    names = {"rep": say("Salesperson"), "manager": say("Manager"), "analyst": say("Analyst")}
    return names.get(role, say("Administrator"))


def _scope_names(desk: Desk) -> dict[str, str]:
    say = desk.language.say
    return {"read": say("read"), "write": say("change"), "admin": say("administer"), "calendar": say("calendar feed")}


def _row(desk: Desk, row: ApiToken) -> Row:
    say, formats = desk.language.say, desk.formats
    state = ""
    if row.revoked_at is not None:
        state = say("revoked")
    elif row.ends_at < formats.now:
        state = say("ended")
    scopes = ", ".join(_scope_names(desk)[scope] for scope in row.scopes.split())
    used = formats.moment(row.used_at) if row.used_at else say("never")
    return Row(row.token_id, row.name, scopes, formats.moment(row.ends_at), used, state)
