"""Changes to users by an administrator, by API or page: what is checked, and what is noted of it."""

from __future__ import annotations

from crm.lake import View
from serving.access import Role, Viewer
from serving.dependencies import Server
from serving.tables.users import User
from serving.users import BadUser, add_user, change_user, make_link, read_user


def invite(server: Server, viewer: Viewer, email: str, role: Role, rep_id: str | None) -> tuple[User, str]:
    """Add a user, and give the secret of the link by which the user chooses a password.

    Raises
    ------
    BadUser
        If the e-mail is taken, or the rep is missing or unknown.
    """
    check_rep(server.view(), rep_id)
    user = read_user(server.store, add_user(server.store, email, None, role, rep_id=rep_id or None))
    server.store.audit(viewer.name, "add user", email=user.email, role=role, rep_id=rep_id)
    return user, new_link(server, viewer, user.user_id)


def change(
    server: Server,
    viewer: Viewer,
    user_id: int,
    *,
    role: Role | None = None,
    rep_id: str | None = None,
    active: bool | None = None,
) -> User:
    """Change what is given of a user.

    Raises
    ------
    UnknownUser, BadUser, LastAdministrator
        If it cannot be.
    """
    check_rep(server.view(), rep_id)
    user = change_user(server.store, user_id, role=role, rep_id=rep_id, active=active)
    given = {"role": role, "rep_id": rep_id, "active": active}
    server.store.audit(
        viewer.name, "change user", email=user.email, **{k: v for k, v in given.items() if v is not None}
    )
    return user


def new_link(server: Server, viewer: Viewer, user_id: int) -> str:
    """The secret of a link by which a user chooses a new password.

    Raises
    ------
    UnknownUser
        If there is no such user.
    """
    secret = make_link(server.store, user_id)
    server.store.audit(viewer.name, "make password link", email=read_user(server.store, user_id).email)
    return secret


def check_rep(view: View, rep_id: str | None) -> None:
    """Refuse a rep that the CRM's data do not have; where there are none yet, any may be named.

    Raises
    ------
    BadUser
        If there is no such rep.
    """
    if rep_id:
        known = set(view.arrow("reps").column("rep_id").to_pylist())
        if known and rep_id not in known:
            raise BadUser(
                "There is no rep '{rep_id}'. Give a rep_id of the CRM's data, such as {known}.",
                rep_id=rep_id[:80],
                known=min(known),
            )
