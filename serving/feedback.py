"""What people answered on suggestions, and what is therefore not suggested again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy import ColumnElement, delete, select

from serving.access import Viewer
from serving.store import Store
from serving.tables.advice import Feedback

Entity = Literal["deal", "account"]
Answer = Literal["done", "helped", "did_not_help", "not_now", "wrong"]
REST_DAYS = 14
"""Days for which what was done or put off is not suggested for the same deal or account; what is wrong never is."""


def keep_answer(
    store: Store,
    viewer: Viewer,
    *,
    entity: Entity = "deal",
    entity_id: str,
    action: str,
    answer: Answer,
    why: str = "",
    as_of: datetime,
    model_version: str,
) -> None:
    """Keep a viewer's answer on one suggestion; a later answer on the same suggestion replaces it."""
    assert viewer.user_id is not None
    row = Feedback(
        entity=entity,
        entity_id=entity_id,
        action=action,
        answer=answer,
        why=why.strip()[:500],
        user_id=viewer.user_id,
        as_of=as_of,
        model_version=model_version,
        made_at=datetime.now(UTC),
    )
    with store.session() as session:
        session.execute(delete(Feedback).where(*_own(viewer, entity, entity_id, as_of), Feedback.action == action))
        session.add(row)


def take_back(
    store: Store, viewer: Viewer, *, entity: Entity = "deal", entity_id: str, action: str, as_of: datetime
) -> None:
    """Take a viewer's answer on one suggestion back; nothing happens where there is none."""
    with store.session() as session:
        session.execute(delete(Feedback).where(*_own(viewer, entity, entity_id, as_of), Feedback.action == action))


def answers(
    store: Store, viewer: Viewer, entity_id: str, *, entity: Entity = "deal", as_of: datetime
) -> dict[str, str]:
    """A viewer's answers on the suggestions of one deal or account at one scoring, by action."""
    query = select(Feedback.action, Feedback.answer).where(*_own(viewer, entity, entity_id, as_of))
    with store.reading() as session:
        return dict(session.execute(query).all())


def not_again(store: Store, *, at: datetime, entity: Entity = "deal") -> frozenset[tuple[str, str]]:
    """Deals, or accounts, and actions that are not to be suggested at a moment, whoever turned them down.

    What somebody called wrong is not suggested there again; what was done or put off, not for `REST_DAYS`.
    """
    recent = Feedback.made_at > at - timedelta(days=REST_DAYS)
    turned_down = (Feedback.entity == entity) & ((Feedback.answer == "wrong") | recent)
    with store.reading() as session:
        found = session.execute(select(Feedback.entity_id, Feedback.action).where(turned_down))
        return frozenset((ident, action) for ident, action in found)


def _own(viewer: Viewer, entity: Entity, entity_id: str, as_of: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        Feedback.entity == entity,
        Feedback.entity_id == entity_id,
        Feedback.as_of == as_of,
        Feedback.user_id == (viewer.user_id or 0),
    )
