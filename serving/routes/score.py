"""Deals sent along to be scored."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field, computed_field

from serving.access import Sight
from serving.dependencies import CompanyDep, ScoresDep, ServerDep, SightDep, ViewDep, ViewerDep
from serving.documents import example
from serving.examples import SCORED
from serving.live import DAYS, Answer, Ready, moment_of
from serving.posted import Looked, PostedDeal, ScoreRequest, check, tables_of
from serving.schemas import RANGE_STATE, ModelQuality, Moment, PeriodShare, Probability, RangeState, range_state

router = APIRouter(tags=["deals"])
Lookup = Literal["found", "not_found", "not_given"]


class DealScore(BaseModel):
    """What the model says of one deal."""

    deal_id: str | None
    win_probability: Probability
    win_probability_low: Annotated[float | None, Field(description="90 % range; null while it is being computed.")]
    win_probability_high: float | None
    p_win_in_period: Probability
    p_lose_in_period: Probability
    p_slip: Probability
    curve: Annotated[list[PeriodShare], Field(description="Shares won and lost after 30, 60 and 90 days.")]
    account: Annotated[Lookup, Field(description="Whether account_id is a customer that you may see.")]
    owner: Annotated[Lookup, Field(description="Whether owner_id is a rep whose figures you may see.")]
    missing: Annotated[list[str], Field(description="Features that are not known of this deal.")]

    @computed_field(description=RANGE_STATE)  # type: ignore[prop-decorator]
    @property
    def win_probability_range(self) -> RangeState:
        """Whether the range is there."""
        return range_state(self.win_probability_low)


class ScoreAnswer(BaseModel):
    """Scores in the order of the deals sent."""

    as_of: Moment
    model_version: str
    quality: ModelQuality
    deals: list[DealScore]


@router.post("/score", responses=example(SCORED))
def score_deals(
    given: ScoreRequest,
    server: ServerDep,
    viewer: ViewerDep,
    sight: SightDep,
    view: ViewDep,
    company: CompanyDep,
    scores: ScoresDep,
) -> ScoreAnswer:
    """Score up to 1,000 open deals that need not be in the CRM, with their changes and activities; nothing is kept.

    Customer and rep are looked up by `account_id` and `owner_id` for their history, where you may see them. A deal of
    the CRM, named by its `deal_id`, counts once: as it is sent.
    """
    ready = server.live.ready(view, company)
    as_of = moment_of(given.as_of, scores.as_of, company)
    check(given, as_of, ready.custom)
    looked = [_looked(deal, ready, sight) for deal in given.deals]
    keys = [found.key(i) for i, found in enumerate(looked)]
    answer = ready.rate(tables_of(given, looked, ready.custom), keys, as_of)
    made = [_score(i, deal, looked[i], answer) for i, deal in enumerate(given.deals)]
    return ScoreAnswer(as_of=as_of, model_version=answer.version, quality=ready.quality, deals=made)


def _looked(deal: PostedDeal, ready: Ready, sight: Sight) -> Looked:
    account = deal.account_id if deal.account_id in ready.accounts and sight.account(deal.account_id) else None
    owner = deal.owner_id if deal.owner_id in ready.reps and sight.person(deal.owner_id) else None
    known = deal.deal_id if deal.deal_id in ready.owners and sight.owner(ready.owners[deal.deal_id]) else None
    return Looked(account, owner, ready.contacts.get(account or "", frozenset()), known)


def _score(i: int, deal: PostedDeal, found: Looked, answer: Answer) -> DealScore:
    row = answer.scored.iloc[i]
    names = ("win_probability", "p_win_in_period", "p_lose_in_period", "p_slip")
    low, high = (None if bad != bad else float(bad) for bad in row[["win_probability_low", "win_probability_high"]])
    return DealScore(
        deal_id=deal.deal_id,
        **{name: float(row[name]) for name in names},
        win_probability_low=low,
        win_probability_high=high,
        curve=shares(answer, i),
        account=_said(deal.account_id, found.account_id),
        owner=_said(deal.owner_id, found.owner_id),
        missing=answer.missing(i),
    )


def shares(answer: Answer, row: int) -> list[PeriodShare]:
    """A row's shares won and lost by day."""
    won, lost = answer.won[row], answer.lost[row]
    return [PeriodShare(days=d, won=float(w), lost=float(x)) for d, w, x in zip(DAYS, won, lost, strict=True)]


def _said(given: str | None, found: str | None) -> Lookup:
    return "not_given" if given is None else "not_found" if found is None else "found"
