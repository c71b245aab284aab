"""Who may sign in, and who sees whom: the team tree as of a date."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from threading import Lock
from typing import Literal, get_args

import pandas as pd
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from crm.company import Company
from crm.errors import BadInput, NotAllowed
from crm.lake import View, connect
from serving.store import Store
from serving.tables.users import SignIn, User

Role = Literal["rep", "manager", "analyst", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
_LEAST_PASSWORD = 10
_MOST_TRIES, _TRIES_SECONDS = 8, 300


class SignInNeeded(NotAllowed):
    """Nobody is signed in."""

    def __init__(self) -> None:
        super().__init__("Sign in first, or send a token: Authorization: Bearer TOKEN.")


class NotYours(NotAllowed):
    """The viewer's role does not allow it."""

    def __init__(self, role: str, *needed: str) -> None:
        super().__init__(f"This needs the role {' or '.join(needed)}, and yours is {role}. Ask an administrator.")


class WrongPassword(NotAllowed):
    """No user has this e-mail and password."""

    def __init__(self) -> None:
        super().__init__("No user has this e-mail and password. Check both; an administrator can set a new password.")


class TooManyTries(NotAllowed):
    """Somebody is guessing passwords."""

    def __init__(self) -> None:
        super().__init__("There were too many wrong passwords for this e-mail. Wait five minutes.")


class BadUser(BadInput):
    """A user cannot be made like this."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks.

    Parameters
    ----------
    role : str
        A role, or 'guest' for someone at the machine of a sample company who has not signed in.
    """

    role: str
    name: str = ""
    user_id: int | None = None
    rep_id: str | None = None

    @property
    def signed_in(self) -> bool:
        """Whether it is known who this is."""
        return self.user_id is not None

    @property
    def sees_all(self) -> bool:
        """Whether rows of the whole company are shown."""
        return self.role in ("admin", "analyst", "guest")


GUEST = Viewer("guest")


@dataclass(frozen=True, slots=True)
class Sight:
    """What a viewer may see; None stands for everything.

    Attributes
    ----------
    reps, teams, accounts : frozenset of str, optional
        Keys whose rows are shown.
    names : bool
        Whether persons' names are shown beside them.
    """

    reps: frozenset[str] | None = None
    teams: frozenset[str] | None = None
    accounts: frozenset[str] | None = None
    names: bool = True

    def owner(self, rep_id: object) -> bool:
        """Whether deals of this owner are shown."""
        return self.reps is None or rep_id in self.reps

    def team(self, team_id: object) -> bool:
        """Whether a team's figures are shown."""
        return self.teams is None or team_id in self.teams

    def account(self, account_id: object) -> bool:
        """Whether an account is shown."""
        return self.accounts is None or account_id in self.accounts


def sight_of(viewer: Viewer, view: View, company: Company, *, day: date) -> Sight:
    """What a viewer may see on a day: a rep himself, a manager the teams below, others everything.

    Accounts are seen by their owners and by the owners of their open deals.
    """
    if viewer.sees_all:
        return Sight(names=viewer.role != "analyst" or company.people.level == "person")
    if viewer.rep_id is None:
        return Sight(frozenset(), frozenset(), frozenset())
    with connect() as con:
        view.attach(con)
        every = con.sql(_TEAMS).fetchall()
        led = [team for team, _, manager in every if manager == viewer.rep_id and viewer.role == "manager"]
        teams = _teams_below(every, led)
        members = con.execute(_MEMBERS, {"day": day}).fetchall() if teams else []
        reps = frozenset({viewer.rep_id, *(rep for rep, team in members if team in teams)})
        owned = con.execute(_ACCOUNTS, {"reps": sorted(reps)}).fetchall()
    return Sight(reps, teams, frozenset(row[0] for row in owned))


def members_of(view: View, team_id: str, *, day: date) -> frozenset[str]:
    """Reps in a team or one below it on a day; none where there is no such team."""
    with connect() as con:
        view.attach(con)
        teams = _teams_below(con.sql(_TEAMS).fetchall(), [team_id])
        return frozenset(rep for rep, team in con.execute(_MEMBERS, {"day": day}).fetchall() if team in teams)


_TEAMS = "select team_id, parent_team_id, manager_rep_id from teams"
_MEMBERS = """
select rep_id, team_id from team_memberships where valid_from <= $day and (valid_to is null or valid_to > $day)
union
select rep_id, team_id from reps
where team_id is not null and rep_id not in (select rep_id from team_memberships)
"""
_ACCOUNTS = """
select account_id from accounts where owner_id in (select unnest($reps))
union
select account_id from deals
where outcome = 'open' and account_id is not null and owner_id in (select unnest($reps))
"""


def _teams_below(teams: list[tuple[str, str | None, str | None]], tops: list[str]) -> frozenset[str]:
    below = defaultdict(list)
    for team, parent, _ in teams:
        below[parent].append(team)
    found: set[str] = set()
    queue = list(tops)
    while queue:
        team = queue.pop()
        if team not in found:
            found.add(team)
            queue += below[team]
    return frozenset(found)


def may_change_models(viewer: Viewer) -> None:
    """Refuse whoever may not put models in use.

    Raises
    ------
    NotYours
        Unless the viewer is an analyst or administrator.
    """
    if viewer.role not in ("analyst", "admin"):
        raise NotYours(viewer.role, "analyst", "admin")


def seen_rows(frame: pd.DataFrame, key: str, allowed: frozenset[str] | None) -> pd.DataFrame:
    """The rows whose key is allowed."""
    return frame if allowed is None else frame[frame[key].isin(allowed)]


def add_user(store: Store, email: str, password: str, role: str, *, rep_id: str | None = None) -> int:
    """Let someone sign in, and give the user's number.

    Raises
    ------
    BadUser
        If the role is unknown, the password short, the e-mail taken, or a rep or manager names no rep.
    """
    email = email.strip().lower()
    if "@" not in email or len(email) > 320:
        raise BadUser(f"'{email}' is no e-mail address. Give one such as ann@example.com.")
    if role not in ROLES:
        raise BadUser(f"Role '{role}' is not known. Give one of {', '.join(ROLES)}.")
    if len(password) < _LEAST_PASSWORD:
        raise BadUser(f"The password has {len(password)} characters. Give at least {_LEAST_PASSWORD}.")
    if role in ("rep", "manager") and not rep_id:
        raise BadUser(f"A {role} sees what the team tree allows, so tell which rep this is: --rep REP_ID.")
    user = User(
        email=email, role=role, rep_id=rep_id, password_hash=_hasher().hash(password), made_at=datetime.now(UTC)
    )
    try:
        with store.session() as session:
            session.add(user)
            session.flush()
            return user.user_id
    except IntegrityError:
        raise BadUser(f"There is a user {email} already. Choose another e-mail.") from None


def has_users(store: Store) -> bool:
    """Whether anyone can sign in."""
    with store.reading() as session:
        return session.scalar(select(User.user_id).limit(1)) is not None


def set_password(store: Store, email: str, password: str) -> None:
    """Give a user a new password and end all of the user's sessions."""
    with store.session() as session:
        user = session.scalar(select(User).where(User.email == email.strip().lower()))
        if user is None:
            raise BadUser(f"There is no user {email}. Make one: bellwether user add {email} --role admin.")
        user.password_hash = _hasher().hash(password)
        session.execute(delete(SignIn).where(SignIn.user_id == user.user_id))


def sign_in(store: Store, email: str, password: str, *, days: int = 14, label: str = "browser") -> str:
    """Check a password and give a new token for the session.

    Raises
    ------
    WrongPassword
        If there is no such user, or the password is another.
    TooManyTries
        After several wrong ones within minutes.
    """
    email = email.strip().lower()
    _TRIES.check(email)
    with store.reading() as session:
        user = session.scalar(select(User).where(User.email == email))
    # Unknown e-mails take as long as wrong passwords, so that the time does not tell who is a user.
    right = _hasher().verify(password, user.password_hash if user else _nobodys_hash())
    if user is None or not right:
        _TRIES.failed(email)
        raise WrongPassword
    _TRIES.forget(email)
    return new_token(store, user.user_id, days=days, label=label)


def new_token(store: Store, user_id: int, *, days: int, label: str) -> str:
    """A token that stands for a user for some days; only its hash is kept."""
    token = secrets.token_urlsafe(32)
    now = datetime.now(UTC)
    with store.session() as session:
        session.execute(delete(SignIn).where(SignIn.ends_at < now))
        session.add(
            SignIn(
                token_hash=_digest(token), user_id=user_id, label=label[:80], made_at=now, ends_at=now + timedelta(days)
            )
        )
    return token


def viewer_of(store: Store, token: str | None) -> Viewer | None:
    """Who a token stands for; None where it is unknown or has ended."""
    if not token:
        return None
    query = (
        select(User)
        .join(SignIn, SignIn.user_id == User.user_id)
        .where(SignIn.token_hash == _digest(token), SignIn.ends_at > datetime.now(UTC))
    )
    with store.reading() as session:
        user = session.scalar(query)
    return Viewer(user.role, user.email, user.user_id, user.rep_id) if user else None


def sign_out(store: Store, token: str | None) -> None:
    """End a session."""
    if token:
        with store.session() as session:
            session.execute(delete(SignIn).where(SignIn.token_hash == _digest(token)))


class _Tries:
    """Counts wrong passwords by e-mail, in memory."""

    def __init__(self) -> None:
        self._failed: dict[str, list[float]] = {}
        self._lock = Lock()

    def check(self, email: str) -> None:
        with self._lock:
            since = time.monotonic() - _TRIES_SECONDS
            recent = [t for t in self._failed.get(email, []) if t > since]
            if len(recent) >= _MOST_TRIES:
                raise TooManyTries

    def failed(self, email: str) -> None:
        with self._lock:
            if len(self._failed) > 10_000:
                self._failed.clear()
            self._failed[email] = [*self._failed.get(email, []), time.monotonic()][-_MOST_TRIES:]

    def forget(self, email: str) -> None:
        with self._lock:
            self._failed.pop(email, None)


_TRIES = _Tries()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@cache
def _hasher() -> _Hasher:
    return _Hasher()


class _Hasher:
    """Argon2; imported when first used, since not every command needs it."""

    def __init__(self) -> None:
        from pwdlib import PasswordHash

        self._inner = PasswordHash.recommended()

    def hash(self, password: str) -> str:
        return self._inner.hash(password)

    def verify(self, password: str, kept: str) -> bool:
        return self._inner.verify(password, kept)


@cache
def _nobodys_hash() -> str:
    return _hasher().hash(secrets.token_hex(16))
