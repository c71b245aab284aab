"""Verbs on who may sign in: user, token."""

from __future__ import annotations

import sys
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer

from serving.cli.common import HomeDir, echo_table, home_of, home_that_is, store_of

user = typer.Typer(no_args_is_help=True, help="Who may sign in.")
token = typer.Typer(no_args_is_help=True, help="Tokens for programs.")

Email = Annotated[str, typer.Argument(help="The user's e-mail.")]
Rep = Annotated[str | None, typer.Option(help="rep_id of this person; needed for rep and manager.")]


class RoleName(StrEnum):
    """What one may see."""

    rep = "rep"
    manager = "manager"
    analyst = "analyst"
    admin = "admin"


class ScopeName(StrEnum):
    """What a token may do."""

    read = "read"
    write = "write"
    admin = "admin"


def add_to(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.add_typer(user, name="user")
    app.add_typer(token, name="token")


@user.command("add")
def add_user(
    email: Annotated[str, typer.Argument(help="The e-mail to sign in with.")],
    role: Annotated[RoleName, typer.Option(help="What the user may see.")],
    rep: Rep = None,
    home: HomeDir = None,
) -> None:
    """Let someone sign in; the password is asked for, or read from the first line of the input.

    Example: bellwether user add ann@example.com --role manager --rep R012
    """
    from serving.users import add_user as add

    password = _password()
    place = home_of(home)
    place.make()
    with store_of(place) as store:
        add(store, email, password, role.value, rep_id=rep)
        store.audit("cli", "add user", email=email, role=role.value)
    typer.echo(f"{email} can sign in as {role.value}.")


@user.command("list")
def list_users(home: HomeDir = None) -> None:
    """Everyone who may sign in, and who was ended.

    Example: bellwether user list --home var
    """
    from serving.users import all_users

    with store_of(home_that_is(home)) as store:
        rows = [[u.email, u.role, u.rep_id, _day(u.made_at), _day(u.ended_at)] for u in all_users(store)]
    echo_table(["e-mail", "role", "rep", "since", "ended"], rows)


@user.command("change")
def change_user(
    email: Email,
    role: Annotated[RoleName | None, typer.Option(help="What the user may see from now on.")] = None,
    rep: Rep = None,
    home: HomeDir = None,
) -> None:
    """Give a user another role or rep, at once.

    Example: bellwether user change ann@example.com --role manager --rep R012
    """
    _change(email, home, "change user", role=role.value if role else None, rep_id=rep)


@user.command("deactivate")
def deactivate_user(email: Email, home: HomeDir = None) -> None:
    """End a user, whose sessions and tokens do nothing from then on; what the user did stays.

    Example: bellwether user deactivate ann@example.com
    """
    _change(email, home, "end user", active=False)


@user.command("activate")
def activate_user(email: Email, home: HomeDir = None) -> None:
    """Let an ended user sign in again.

    Example: bellwether user activate ann@example.com
    """
    _change(email, home, "activate user", active=True)


@user.command("password")
def set_password(email: Email, home: HomeDir = None) -> None:
    """Give a user a new password and end all sessions of that user.

    Example: bellwether user password ann@example.com
    """
    from serving.users import set_password as change

    password = _password()
    with store_of(home_that_is(home)) as store:
        change(store, email, password)
        store.audit("cli", "set password", email=email)
    typer.echo(f"{email} has a new password.")


@user.command("link")
def make_link(email: Email, home: HomeDir = None) -> None:
    """A path on the server by which a user chooses a password, once, within an hour.

    Example: bellwether user link ann@example.com
    """
    from serving.users import find_user
    from serving.users import make_link as make

    with store_of(home_that_is(home)) as store:
        secret = make(store, find_user(store, email).user_id)
        store.audit("cli", "make password link", email=email)
    typer.echo(f"/password/{secret}")


@token.command("make")
def make_token(
    email: Email,
    name: Annotated[str, typer.Option(help="What it is for.")],
    scope: Annotated[list[ScopeName] | None, typer.Option(help="What it may do; several by several.")] = None,
    days: Annotated[int, typer.Option(min=1, max=366, help="Until it ends.")] = 90,
    home: HomeDir = None,
) -> None:
    """Make a token for a program, which acts as a user; printed this once.

    Example: bellwether token make ann@example.com --name nightly --scope read
    """
    from serving.tokens import make_token as make
    from serving.users import find_user

    with store_of(home_that_is(home)) as store:
        row, secret = make(store, find_user(store, email), name, scope or [ScopeName.read], days=days)
        store.audit("cli", "make token", email=email, name=row.name, scopes=row.scopes)
    typer.echo(secret)


@token.command("list")
def list_tokens(email: Email, home: HomeDir = None) -> None:
    """A user's tokens with their last use.

    Example: bellwether token list ann@example.com
    """
    from serving.tokens import tokens_of
    from serving.users import find_user

    with store_of(home_that_is(home)) as store:
        found = tokens_of(store, find_user(store, email).user_id)
    rows = [[r.token_id, r.name, r.scopes, *map(_day, (r.made_at, r.ends_at, r.used_at, r.revoked_at))] for r in found]
    echo_table(["token", "name", "scopes", "made", "ends", "used", "revoked"], rows)


@token.command("revoke")
def revoke_token(
    email: Email, number: Annotated[int, typer.Argument(help="The token's number.")], home: HomeDir = None
) -> None:
    """End a token at once.

    Example: bellwether token revoke ann@example.com 3
    """
    from serving.tokens import revoke
    from serving.users import find_user

    with store_of(home_that_is(home)) as store:
        revoke(store, find_user(store, email).user_id, number)
        store.audit("cli", "revoke token", email=email, token_id=number)
    typer.echo(f"Token {number} of {email} does nothing any more.")


def _change(email: str, home: HomeDir, what: str, **given: str | bool | None) -> None:
    from serving.users import change_user as change
    from serving.users import find_user

    with store_of(home_that_is(home)) as store:
        changed = change(store, find_user(store, email).user_id, **given)  # type: ignore[arg-type]
        store.audit("cli", what, email=email, **{key: value for key, value in given.items() if value is not None})
    state = "can do nothing any more" if changed.ended_at else f"can sign in as {changed.role}"
    typer.echo(f"{changed.email} {state}.")


def _day(moment: datetime | None) -> str:
    return moment.date().isoformat() if moment else ""


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    asked: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return asked
