"""Who looked at figures on a person: noted once a day, shown to that person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select

from serving.access import Viewer
from serving.store import Store
from serving.tables.people_data import PersonView
from serving.tables.users import User

BY_COMMAND = Viewer("cli")


@dataclass(frozen=True, slots=True)
class Look:
    """That somebody looked at figures on a person on a day.

    Attributes
    ----------
    who : str
        E-mail of the user; empty where the user is gone, was a guest or worked on the command line.
    role : str
        Role of the user then; 'cli' for the command line.
    """

    at: datetime
    who: str
    role: str
    what: str


def note_looks(store: Store, viewer: Viewer, reps: Iterable[str], keys: Mapping[str, str], *, what: str) -> None:
    """Note that figures on some persons were shown; looking at oneself is not noted.

    Parameters
    ----------
    reps : iterable of str
        rep_id of each.
    keys : mapping
        person_key by rep_id.
    what : str
        Which page, route or verb.
    """
    wanted = {keys[rep] for rep in reps if rep != viewer.rep_id and rep in keys}
    if not wanted:
        return
    now = datetime.now(UTC)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    user = PersonView.user_id == viewer.user_id if viewer.user_id else PersonView.user_id.is_(None)
    query = select(PersonView.person_key).where(
        user, PersonView.at >= today, PersonView.what == what, PersonView.role == viewer.role
    )
    with store.reading() as session:
        new = wanted - set(session.scalars(query))
    if new:
        with store.session() as session:
            session.add_all(
                PersonView(at=now, person_key=key, user_id=viewer.user_id, role=viewer.role, what=what)
                for key in sorted(new)
            )


def looks_at(store: Store, person_key: str, *, most: int | None = None) -> list[Look]:
    """Who looked at a person, the newest first."""
    query = (
        select(PersonView.at, User.email, PersonView.role, PersonView.what)
        .outerjoin(User, User.user_id == PersonView.user_id)
        .where(PersonView.person_key == person_key)
        .order_by(PersonView.at.desc(), PersonView.view_id.desc())
        .limit(most)
    )
    with store.reading() as session:
        return [Look(at, email or "", role, what) for at, email, role, what in session.execute(query)]
