"""What people wrote down here, as the register's rules read it: calls on the quarter, open actions and steps."""

from __future__ import annotations

import pandas as pd
from sqlalchemy import select

from planning.risks import Written
from serving import calls
from serving.store import Store
from serving.tables.reviews import ReviewAction
from serving.tables.risks import ContingencyPlan, ContingencyStep


def written_down(store: Store) -> Written:
    """Calls of bookings as they stand, and actions and steps of running plans that are open."""
    rows = calls.standing(calls.history(store))
    rows = rows[(rows["kind"] == "commit") & (rows["metric"] == "bookings")]
    names = ["entity", "entity_id", "user_id", "period_start", "period_end", "value"]
    return Written(rows[names].reset_index(drop=True), _open_work(store))


def _open_work(store: Store) -> pd.DataFrame:
    actions = select(ReviewAction.rep_id, ReviewAction.due, ReviewAction.subject).where(
        ReviewAction.state.in_(("open", "doing"))
    )
    steps = (
        select(ContingencyStep.owner_id, ContingencyStep.due)
        .join(ContingencyPlan, ContingencyPlan.plan_id == ContingencyStep.plan_id)
        .where(ContingencyPlan.state == "started", ContingencyStep.state == "open")
        .where(ContingencyStep.owner_id.is_not(None))
    )
    with store.reading() as session:
        about = [(rep, due, subject or None) for rep, due, subject in session.execute(actions)]
        found = [*about, *((rep, due, None) for rep, due in session.execute(steps))]
    return pd.DataFrame(found, columns=["rep_id", "due", "deal_id"]).astype({"deal_id": object})
