"""Views of a list that users save under a name, each for themselves; removing one can be undone for a day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import delete, func, select

from crm.errors import BadInput, NotFound
from serving.problems import NOTHING_HERE
from serving.store import Store
from serving.tables.views import SavedView

MOST = 20
_KEPT = timedelta(days=1)


class Saved(NamedTuple):
    """A saved view: its name, and the address's part after the question mark."""

    view_id: int
    name: str
    query: str


class BadView(BadInput):
    """The view cannot be saved like this."""


class NoView(NotFound):
    """No such view, or somebody else's."""

    def __init__(self) -> None:
        super().__init__(NOTHING_HERE)


def saved_views(store: Store, user_id: int | None, page: str) -> list[Saved]:
    """A user's views of a page by name; nobody's are none."""
    if user_id is None:
        return []
    mine = select(SavedView).where(SavedView.user_id == user_id, SavedView.page == page, SavedView.removed_at.is_(None))
    with store.reading() as session:
        return [Saved(v.view_id, v.name, v.query) for v in session.scalars(mine.order_by(SavedView.name))]


def save_view(store: Store, user_id: int, page: str, name: str, query: str) -> int:
    """Keep a view, in place of one of the same name; gives its key.

    Raises
    ------
    BadView
        If it has no name, or the user has too many.
    """
    name = " ".join(name.split())[:60]
    if not name:
        raise BadView("The view has no name. Give one, such as 'Large deals in Proposal'.")
    mine = (SavedView.user_id == user_id, SavedView.page == page)
    with store.session() as session:
        session.execute(delete(SavedView).where(*mine, SavedView.removed_at < datetime.now(UTC) - _KEPT))
        session.execute(delete(SavedView).where(*mine, SavedView.name == name))
        if (session.scalar(select(func.count()).select_from(SavedView).where(*mine)) or 0) >= MOST:
            raise BadView("There are {most} saved views already. Remove one first.", most=MOST)
        made = SavedView(user_id=user_id, page=page, name=name, query=query[:1000], made_at=datetime.now(UTC))
        session.add(made)
        session.flush()
        return made.view_id


def remove_view(store: Store, user_id: int, view_id: int) -> Saved:
    """Take a view away; `restore_view` brings it back.

    Raises
    ------
    NoView
        If the user has no such view.
    """
    return _mark(store, user_id, view_id, datetime.now(UTC))


def restore_view(store: Store, user_id: int, view_id: int) -> Saved:
    """Bring a removed view back.

    Raises
    ------
    NoView
        If the user has no such view, or it was removed too long ago.
    """
    return _mark(store, user_id, view_id, None)


def removed_view(store: Store, user_id: int | None, view_id: int) -> Saved | None:
    """A view that was removed and can come back; None where there is none."""
    with store.reading() as session:
        view = session.get(SavedView, view_id)
        if view is None or user_id is None or view.user_id != user_id or view.removed_at is None:
            return None
        return Saved(view.view_id, view.name, view.query)


def _mark(store: Store, user_id: int, view_id: int, removed_at: datetime | None) -> Saved:
    with store.session() as session:
        view = session.get(SavedView, view_id)
        if view is None or view.user_id != user_id:
            raise NoView
        view.removed_at = removed_at
        return Saved(view.view_id, view.name, view.query)
