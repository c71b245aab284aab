"""What people answered on suggestions: helped, or did not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import delete, select

from serving.access import Viewer
from serving.store import Store
from serving.tables.advice import Feedback

Answer = Literal["helped", "did_not_help"]


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
    same = (
        Feedback.deal_id == deal_id,
        Feedback.action == action,
        Feedback.as_of == as_of,
        Feedback.user_id == viewer.user_id,
    )
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
        session.execute(delete(Feedback).where(*same))
        session.add(row)


def answers(store: Store, viewer: Viewer, deal_id: str, *, as_of: datetime) -> dict[str, str]:
    """A viewer's answers on the suggestions of one deal at one scoring, by action."""
    query = select(Feedback.action, Feedback.answer).where(
        Feedback.deal_id == deal_id, Feedback.as_of == as_of, Feedback.user_id == (viewer.user_id or 0)
    )
    with store.reading() as session:
        return dict(session.execute(query).all())
