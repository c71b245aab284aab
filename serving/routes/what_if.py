"""What a change would make of a deal's forecast."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from serving.dependencies import CompanyDep, ScoresDep, ServerDep, ViewDep
from serving.documents import example
from serving.examples import WHAT_IF
from serving.live import Answer
from serving.routes.deals import NoDeal
from serving.routes.score import shares
from serving.schemas import Moment, PeriodShare, Probability
from serving.what_if import WhatIf, rows_with

router = APIRouter(prefix="/deals", tags=["deals"])
NOTE = (
    "The model's view, not a promise: it says how deals that looked like this went, "
    "not what the change itself would bring about."
)


class Outlook(BaseModel):
    """What the model says of a deal."""

    win_probability: Probability
    p_win_in_period: Probability
    p_slip: Probability
    curve: Annotated[list[PeriodShare], Field(description="Shares won and lost after 30, 60 and 90 days.")]


class WhatIfAnswer(BaseModel):
    """A deal as it is, and as it would be."""

    deal_id: str
    as_of: Moment
    model_version: str
    before: Outlook
    after: Outlook
    moved: Annotated[list[str], Field(description="Features that would not be the same.")]
    note: Annotated[str, Field(description=NOTE)]


@router.post("/{deal_id}/what-if", responses=example(WHAT_IF))
def suppose(
    deal_id: str, asked: WhatIf, server: ServerDep, scores: ScoresDep, view: ViewDep, company: CompanyDep
) -> WhatIfAnswer:
    """What the model would say of an open deal if these changes and activities were written down now.

    Its features are worked out anew from the changed log; nothing is kept. It is the model's view, not a promise.
    """
    if deal_id not in scores.index.index or scores.as_of is None or scores.index.at[deal_id, "outcome"] != "open":
        raise NoDeal
    ready = server.live.ready(view, company)
    account = scores.index.at[deal_id, "account_id"]
    contacts = ready.contacts.get(str(account), frozenset())
    added = rows_with(view, deal_id, asked, scores.as_of, contacts, company)
    before = ready.rate(None, [deal_id], scores.as_of)
    after = ready.rate(added, [deal_id], scores.as_of)
    return WhatIfAnswer(
        deal_id=deal_id,
        as_of=scores.as_of,
        model_version=after.version,
        before=_outlook(before),
        after=_outlook(after),
        moved=before.moved(after),
        note=NOTE,
    )


def _outlook(answer: Answer) -> Outlook:
    row = answer.scored.iloc[0]
    chances = {name: float(row[name]) for name in ("win_probability", "p_win_in_period", "p_slip")}
    return Outlook(**chances, curve=shares(answer, 0))
