"""What people answered on suggestions, and what is therefore not suggested again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy import ColumnElement, delete, select

from serving.access import Viewer
from serving.store import Store
from serving.tables.advice import Feedback

Answer = Literal["done", "helped", "did_not_help", "not_now", "wrong"]
REST_DAYS = 14
"""Days for which a step that was done or put off is not suggested for the same deal; a wrong one never is."""


def keep_answer(
    store: Store,
    viewer: Viewer,
    *,
    deal_id: str,
    action: str,
    answer: Answer,
    why: str = "",
    as_of: datetime,
    model_version: str,
) -> None:
    """Keep a viewer's answer on one suggestion; a later answer on the same suggestion replaces it."""
    assert viewer.user_id is not None
    row = Feedback(
        deal_id=deal_id,
        action=action,
        answer=answer,
        why=why.strip()[:500],
        user_id=viewer.user_id,
        as_of=as_of,
        model_version=model_version,
        made_at=datetime.now(UTC),
    )
    with store.session() as session:
        session.execute(delete(Feedback).where(*_same(viewer, deal_id, action, as_of)))
        session.add(row)


def take_back(store: Store, viewer: Viewer, *, deal_id: str, action: str, as_of: datetime) -> None:
    """Take a viewer's answer on one suggestion back; nothing happens where there is none."""
    with store.session() as session:
        session.execute(delete(Feedback).where(*_same(viewer, deal_id, action, as_of)))


def answers(store: Store, viewer: Viewer, deal_id: str, *, as_of: datetime) -> dict[str, str]:
    """A viewer's answers on the suggestions of one deal at one scoring, by action."""
    query = select(Feedback.action, Feedback.answer).where(
        Feedback.deal_id == deal_id, Feedback.as_of == as_of, Feedback.user_id == (viewer.user_id or 0)
    )
    with store.reading() as session:
        return dict(session.execute(query).all())


def not_again(store: Store, *, at: datetime) -> frozenset[tuple[str, str]]:
    """Deals and actions that are not to be suggested at a moment, whoever turned them down.

    What somebody called wrong is not suggested for that deal again; what was done or put off, not for `REST_DAYS`.
    """
    recent = Feedback.made_at > at - timedelta(days=REST_DAYS)
    query = select(Feedback.deal_id, Feedback.action).where((Feedback.answer == "wrong") | recent)
    with store.reading() as session:
        return frozenset((deal, action) for deal, action in session.execute(query))


def _same(viewer: Viewer, deal_id: str, action: str, as_of: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        Feedback.deal_id == deal_id,
        Feedback.action == action,
        Feedback.as_of == as_of,
        Feedback.user_id == (viewer.user_id or 0),
    )
