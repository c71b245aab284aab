"""Users, for administrators: who may sign in, and as what? Adding, changing and ending them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Form, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from crm.errors import BadInput
from serving import user_changes, users
from serving.access import ROLES, Role
from serving.dependencies import AdminDep, ServerDep
from serving.pages.desk import Desk, DeskDep
from serving.pages.own_account import role_name
from serving.pages.rail import Rail
from serving.routes.users import link_address
from serving.tables.users import User

router = APIRouter(include_in_schema=False, prefix="/users")
RAIL = Rail("users", "settings", 2, lambda say: say("Users"), "/users", frozenset({"admin"}))

UserId = Annotated[int, Path(ge=1, le=2**31 - 1)]
RepId = Annotated[str, Form(max_length=200)]


class Row(NamedTuple):
    """A user in the table."""

    number: int
    email: str
    role: str
    role_name: str
    rep_id: str
    since: str
    state: str
    active: bool


@router.get("")
def show_users(desk: DeskDep, viewer: AdminDep) -> HTMLResponse:
    """Everyone who may sign in."""
    return _page(desk)


@router.post("")
def invite_user(
    request: Request,
    desk: DeskDep,
    server: ServerDep,
    viewer: AdminDep,
    email: Annotated[str, Form(max_length=320)],
    role: Annotated[Role, Form()],
    rep_id: RepId = "",
) -> HTMLResponse:
    """Add a user and show the link to be passed on."""
    try:
        user, secret = user_changes.invite(server, viewer, email, role, rep_id or None)
    except BadInput as error:
        return _page(desk, error=desk.language.tell(error), status=400)
    return _page(desk, link=link_address(request, secret), whose=user.email, status=201)


@router.post("/{user_id}")
def change_user(
    user_id: UserId,
    desk: DeskDep,
    server: ServerDep,
    viewer: AdminDep,
    role: Annotated[Role, Form()],
    rep_id: RepId = "",
) -> Response:
    """Give a user another role or rep."""
    return _changed(desk, lambda: user_changes.change(server, viewer, user_id, role=role, rep_id=rep_id or None))


@router.post("/{user_id}/end")
def end_user(user_id: UserId, desk: DeskDep, server: ServerDep, viewer: AdminDep) -> Response:
    """End a user, who can do nothing from then on."""
    return _changed(desk, lambda: user_changes.change(server, viewer, user_id, active=False))


@router.post("/{user_id}/return")
def return_user(user_id: UserId, desk: DeskDep, server: ServerDep, viewer: AdminDep) -> Response:
    """Let an ended user sign in again."""
    return _changed(desk, lambda: user_changes.change(server, viewer, user_id, active=True))


@router.post("/{user_id}/link")
def make_link(user_id: UserId, request: Request, desk: DeskDep, server: ServerDep, viewer: AdminDep) -> HTMLResponse:
    """Show a link by which the user chooses a new password."""
    secret = user_changes.new_link(server, viewer, user_id)
    whose = users.read_user(server.store, user_id).email
    return _page(desk, link=link_address(request, secret), whose=whose, status=201)


def _changed(desk: Desk, change: Callable[[], User]) -> Response:
    try:
        change()
    except BadInput as error:
        return _page(desk, error=desk.language.tell(error), status=400)
    return RedirectResponse("/users", status_code=303)


def _page(desk: Desk, *, error: str = "", link: str = "", whose: str = "", status: int = 200) -> HTMLResponse:
    rows = [_row(desk, user) for user in users.all_users(desk.store)]
    count = sum(row.active for row in rows)
    return desk.visit.show(
        "users.html",
        "users",
        status=status,
        finding=desk.language.say_n("{n} person can sign in.", "{n} people can sign in.", count),
        rows=rows,
        roles=[(role, role_name(desk, role)) for role in ROLES],
        reps=sorted((str(rep), desk.names.get(str(rep), "")) for rep in desk.facts.reps.index),
        error=error,
        link=link,
        whose=whose,
    )


def _row(desk: Desk, user: User) -> Row:
    say = desk.language.say
    active = user.ended_at is None
    state = "" if user.password_hash or user.subject else say("has not signed in yet")
    return Row(
        user.user_id,
        user.email,
        user.role,
        role_name(desk, user.role),
        user.rep_id or "",
        desk.formats.moment(user.made_at),
        state if active else say("ended"),
        active,
    )
