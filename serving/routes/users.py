"""Users: listed, added, changed and ended by administrators."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from serving import user_changes, users
from serving.access import Role
from serving.dependencies import AdminDep, ServerDep, StoreDep
from serving.documents import example
from serving.examples import LINK, NEW_USER, USER, USERS
from serving.tables.users import User

router = APIRouter(prefix="/users", tags=["users"])

UserId = Annotated[int, Path(ge=1, le=2**31 - 1)]
Email = Annotated[str, Field(min_length=3, max_length=320)]
RepId = Annotated[str, Field(min_length=1, max_length=200, description="Which rep of the CRM's data this person is.")]


class UserRow(BaseModel):
    """Someone who may sign in."""

    user_id: int
    email: str
    role: Role
    rep_id: str | None
    active: Annotated[bool, Field(description="False: the user was ended and can do nothing.")]
    has_password: Annotated[bool, Field(description="False: none chosen yet, or signed in by the provider.")]
    made_at: datetime
    ended_at: datetime | None


class UserList(BaseModel):
    """All users, by e-mail."""

    total: int
    users: list[UserRow]


class GivenUser(BaseModel):
    """A user to be added; a rep or manager needs a rep_id."""

    model_config = ConfigDict(extra="forbid")

    email: Email
    role: Role
    rep_id: RepId | None = None


class UserChange(BaseModel):
    """What is to change; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    role: Role | None = None
    rep_id: RepId | None = None
    active: bool | None = None


class Link(BaseModel):
    """Where the user chooses a password: works once, for an hour; told this once."""

    link: str


class NewUser(BaseModel):
    """The user, and the link by which the user chooses a password."""

    user: UserRow
    link: str


@router.get("", responses=example(USERS))
def list_users(store: StoreDep, viewer: AdminDep) -> UserList:
    """Everyone who may sign in, ended ones too; for administrators."""
    rows = [_row(user) for user in users.all_users(store)]
    return UserList(total=len(rows), users=rows)


@router.post("", status_code=201, responses=example(NEW_USER, 201))
def invite_user(given: GivenUser, request: Request, server: ServerDep, viewer: AdminDep) -> NewUser:
    """Add a user and get the link by which the user chooses a password; for administrators."""
    user, secret = user_changes.invite(server, viewer, given.email, given.role, given.rep_id)
    return NewUser(user=_row(user), link=link_address(request, secret))


@router.get("/{user_id}", responses=example(USER))
def read_user(user_id: UserId, store: StoreDep, viewer: AdminDep) -> UserRow:
    """One user; for administrators."""
    return _row(users.read_user(store, user_id))


@router.patch("/{user_id}", responses=example(USER))
def change_user(user_id: UserId, given: UserChange, server: ServerDep, viewer: AdminDep) -> UserRow:
    """Change role or rep, end a user or let one come back; counts at once; for administrators."""
    return _row(user_changes.change(server, viewer, user_id, **given.model_dump()))


@router.post("/{user_id}/link", status_code=201, responses=example(LINK, 201))
def make_password_link(user_id: UserId, request: Request, server: ServerDep, viewer: AdminDep) -> Link:
    """A new link by which a user chooses a password; an older link ends; for administrators."""
    return Link(link=link_address(request, user_changes.new_link(server, viewer, user_id)))


def link_address(request: Request, secret: str) -> str:
    """Where a one-time link leads."""
    return f"{request.base_url}password/{secret}"


def _row(user: User) -> UserRow:
    return UserRow(
        user_id=user.user_id,
        email=user.email,
        role=user.role,
        rep_id=user.rep_id,
        active=user.ended_at is None,
        has_password=bool(user.password_hash),
        made_at=user.made_at,
        ended_at=user.ended_at,
    )
