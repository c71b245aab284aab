"""Who may sign in: adding, changing and ending users, and one-time links to choose a password."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from crm.errors import BadInput, NotAllowed, NotFound
from serving.access import ROLES
from serving.passwords import digest, hash_password, new_token
from serving.store import Store
from serving.tables.users import OneTimeLink, SignIn, User

LINK_HOURS = 1


class BadUser(BadInput):
    """A user cannot be made like this."""


class UnknownUser(NotFound):
    """There is no such user."""

    def __init__(self, who: object) -> None:
        super().__init__("There is no user {who}. The list is at /api/v1/users, or: bellwether user list.", who=who)


class LastAdministrator(BadInput):
    """Nobody would be left to administer."""

    def __init__(self, email: str) -> None:
        super().__init__("{email} is the last administrator. Make another user an administrator first.", email=email)


class LinkEnded(NotAllowed):
    """A one-time link is used, too old, or none of ours."""

    def __init__(self) -> None:
        super().__init__("This link was used already, or is too old. Ask an administrator for a new one.")


def has_users(store: Store) -> bool:
    """Whether anyone can sign in."""
    with store.reading() as session:
        return session.scalar(select(User.user_id).limit(1)) is not None


def all_users(store: Store) -> list[User]:
    """Every user, ended ones too, by e-mail."""
    with store.reading() as session:
        return list(session.scalars(select(User).order_by(User.email)))


def read_user(store: Store, user_id: int) -> User:
    """One user; UnknownUser where there is none."""
    with store.reading() as session:
        return _by_id(session, user_id)


def find_user(store: Store, email: str) -> User:
    """The user with an e-mail; UnknownUser where there is none."""
    with store.reading() as session:
        found = session.scalar(select(User).where(User.email == plain(email)))
    if found is None:
        raise UnknownUser(email)
    return found


def plain(email: str) -> str:
    """An e-mail as it is kept: nobody has two that differ in case."""
    return email.strip().lower()


def add_user(store: Store, email: str, password: str | None, role: str, *, rep_id: str | None = None) -> int:
    """Let someone sign in, and give the user's number.

    Parameters
    ----------
    password : str, optional
        None for one who will choose it by a one-time link, or who signs in at the provider.

    Raises
    ------
    BadUser, BadPassword
        If the role is unknown, the password short, the e-mail taken, or a rep or manager names no rep.
    """
    email = plain(email)
    if "@" not in email or len(email) > 320:
        raise BadUser("'{email}' is no e-mail address. Give one such as ann@example.com.", email=email[:320])
    _check_role(role, rep_id)
    kept = hash_password(password) if password is not None else ""
    user = User(email=email, role=role, rep_id=rep_id, password_hash=kept, made_at=datetime.now(UTC))
    try:
        with store.session() as session:
            session.add(user)
            session.flush()
            return user.user_id
    except IntegrityError:
        raise BadUser("There is a user {email} already. Choose another e-mail.", email=email) from None


def change_user(
    store: Store, user_id: int, *, role: str | None = None, rep_id: str | None = None, active: bool | None = None
) -> User:
    """Change what is given of a user; whoever is ended can do nothing from that moment on.

    Raises
    ------
    UnknownUser, BadUser
        If there is no such user, or none may be like this.
    LastAdministrator
        If no administrator would be left.
    """
    with store.session() as session:
        user = _by_id(session, user_id)
        administered = user.role == "admin" and user.ended_at is None
        if role is not None or rep_id is not None:
            user.role, user.rep_id = role or user.role, rep_id or user.rep_id
            _check_role(user.role, user.rep_id)
        if active is not None:
            user.ended_at = None if active else user.ended_at or datetime.now(UTC)
        session.flush()
        if administered and not _administrators(session):
            raise LastAdministrator(user.email)
        if user.ended_at is not None:
            _sign_out_everywhere(session, user.user_id)
        return user


def set_password(store: Store, email: str, password: str) -> None:
    """Give a user a new password and end all of the user's sessions."""
    kept = hash_password(password)
    with store.session() as session:
        user = session.scalar(select(User).where(User.email == plain(email)))
        if user is None:
            raise UnknownUser(email)
        _renew(session, user, kept)


def make_link(store: Store, user_id: int | None = None) -> str:
    """The secret of a link by which a user chooses a password once, within an hour.

    Parameters
    ----------
    user_id : int, optional
        None for the first administrator, who is yet to be made; it works only as long as there are no users.
    """
    token, now = new_token(), datetime.now(UTC)
    with store.session() as session:
        if user_id is not None:
            _by_id(session, user_id)
        # One link a user: an older one may have gone to the wrong place.
        session.execute(
            delete(OneTimeLink).where((OneTimeLink.ends_at < now) | OneTimeLink.user_id.is_not_distinct_from(user_id))
        )
        ends = now + timedelta(hours=LINK_HOURS)
        session.add(OneTimeLink(token_hash=digest(token), user_id=user_id, made_at=now, ends_at=ends))
    return token


def link_email(store: Store, token: str) -> str | None:
    """Whose link it is; None for the first administrator's.

    Raises
    ------
    LinkEnded
        If it was used, is too old, or is none of ours.
    """
    with store.reading() as session:
        user = _behind(session, token)
        return user.email if user else None


def use_link(store: Store, token: str, password: str, *, email: str = "") -> str:
    """Set the password by a one-time link, which ends with that; gives the user's e-mail.

    Parameters
    ----------
    email : str
        Of the first administrator, where the link is for making one.

    Raises
    ------
    LinkEnded, BadPassword, BadUser
        If link, password or e-mail cannot be used; the link stays as it was then.
    """
    first = link_email(store, token) is None
    kept = hash_password(password)
    if first and "@" not in email:
        raise BadUser("'{email}' is no e-mail address. Give one such as ann@example.com.", email=email[:320])
    with store.session() as session:
        user = _behind(session, token)
        session.execute(delete(OneTimeLink).where(OneTimeLink.token_hash == digest(token)))
        if user is None:
            user = User(email=plain(email), role="admin", password_hash="", made_at=datetime.now(UTC))
            session.add(user)
            session.flush()
        _renew(session, user, kept)
        return user.email


def _behind(session: Session, token: str) -> User | None:
    link = session.scalar(
        select(OneTimeLink)
        .where(OneTimeLink.token_hash == digest(token), OneTimeLink.ends_at > datetime.now(UTC))
        .with_for_update()  # two browsers with one link: the second waits, and finds it used
    )
    if link is None:
        raise LinkEnded
    if link.user_id is None:
        if session.scalar(select(User.user_id).limit(1)) is not None:
            raise LinkEnded
        return None
    user = _by_id(session, link.user_id)
    if user.ended_at is not None:
        raise LinkEnded
    return user


def _renew(session: Session, user: User, password_hash: str) -> None:
    user.password_hash = password_hash
    _sign_out_everywhere(session, user.user_id)


def _sign_out_everywhere(session: Session, user_id: int) -> None:
    session.execute(delete(SignIn).where(SignIn.user_id == user_id))


def _by_id(session: Session, user_id: int) -> User:
    user = session.get(User, user_id)
    if user is None:
        raise UnknownUser(f"number {user_id}")
    return user


def _administrators(session: Session) -> int:
    query = select(func.count()).select_from(User).where(User.role == "admin", User.ended_at.is_(None))
    return session.scalar(query) or 0


def _check_role(role: str, rep_id: str | None) -> None:
    if role not in ROLES:
        raise BadUser("Role '{role}' is not known. Give one of {roles}.", role=role, roles=", ".join(ROLES))
    if role in ("rep", "manager") and not rep_id:
        raise BadUser("A {role} sees what the team tree allows, so tell which rep this is: --rep REP_ID.", role=role)
