"""Open deals with forecasts, reasons and next steps."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import pandas as pd
from fastapi import APIRouter, Query, Request, Response

from crm.company import Company
from crm.errors import NotFound
from serving import feedback
from serving.access import members_of
from serving.asked import Asked
from serving.deal_list import DealWish, matching
from serving.dependencies import (
    AskedDep,
    CompanyDep,
    LedgerDep,
    ScoresDep,
    SignedInDep,
    StoreDep,
    ViewerDep,
)
from serving.documents import example, found_once, listed
from serving.examples import ADVICE, DEAL_DETAIL, DEALS, SCORE_HISTORY
from serving.exports import file_answer, format_of
from serving.i18n import language
from serving.pages import words
from serving.pages.advice_words import would_change
from serving.problems import NOTHING_HERE
from serving.schemas import (
    Advice,
    AdviceAnswer,
    AdviceList,
    Both,
    DealDetail,
    DealList,
    DealRow,
    PastScore,
    ScoreHistory,
    json_or_text,
    rows_of,
)
from serving.score_history import score_history
from serving.scores import NoScores, Scores

router = APIRouter(prefix="/deals", tags=["deals"])


class NoDeal(NotFound):
    """No such deal, or not for this viewer."""

    def __init__(self) -> None:
        super().__init__(NOTHING_HERE)


@router.get("", response_model=DealList, responses=listed(DEALS))
def list_deals(request: Request, wish: Annotated[DealWish, Query()], asked: AskedDep) -> DealList | Response:
    """Open deals or leads, best first by expected amount unless `sort` says otherwise; by page, or a whole file."""
    members = None
    if wish.team is not None:
        seen = asked.sight.team(wish.team)
        members = members_of(asked.view, wish.team, day=asked.today) if seen else frozenset()
    deals = asked.scores.listed("leads" if wish.leads else "deals", wish.order)
    deals = matching(deals, wish, company=asked.company, today=asked.today, members=members)
    form = format_of(wish.format, request.headers.get("accept", ""))
    if form != "json":
        return file_answer(_rows(asked, wish.order.sorted(deals)), DealRow, "deals", form, {})
    page, following = wish.order.page(deals, wish)
    quality, rows = asked.scores.note("win").get("quality"), _rows(asked, page)
    return DealList(as_of=_as_of(asked.scores), quality=quality, total=len(deals), deals=rows, next_cursor=following)


@router.get("/{deal_id}", responses=found_once(DEAL_DETAIL))
def read_deal(deal_id: str, asked: AskedDep) -> DealDetail:
    """One open deal or lead with its reasons and the curve of its end."""
    scores = asked.scores
    row = scores.rows.listed(deal_id, asked.sight, asked.names)
    if row is None:
        raise _no_deal(scores)
    note = scores.note("win")
    more = {"reasons": scores.rows.reasons(deal_id, asked.sight), "curve": scores.rows.curve(deal_id)}
    return DealDetail(**row, **more, quality=note.get("quality"), note=str(note.get("sentence_en", "")))


@router.get("/{deal_id}/history", responses=example(SCORE_HISTORY))
def read_history(deal_id: str, scores: ScoresDep, ledger: LedgerDep) -> ScoreHistory:
    """What was forecast of one deal before, as it was issued; reconstructed forecasts are marked."""
    _check(scores, deal_id)
    return ScoreHistory(deal_id=deal_id, scores=[PastScore(**row) for row in rows_of(score_history(ledger, deal_id))])


@router.get("/{deal_id}/advice", responses=example(ADVICE))
def read_advice(deal_id: str, scores: ScoresDep, viewer: ViewerDep, store: StoreDep, company: CompanyDep) -> AdviceList:
    """Next steps for one deal, best first."""
    _check(scores, deal_id)
    as_of = _as_of(scores)
    said = feedback.answers(store, viewer, deal_id, as_of=as_of)
    steps = rows_of(_steps(scores, deal_id))
    return AdviceList(
        deal_id=deal_id,
        as_of=as_of,
        horizon_days=company.win.horizon_weeks * 7,
        on_track=scores.on_track(deal_id),
        advice=[_advice(steps, place, said, company) for place in range(len(steps))],
    )


@router.post("/{deal_id}/advice/{rank}/feedback", status_code=204)
def answer_advice(
    deal_id: str, rank: int, given: AdviceAnswer, scores: ScoresDep, viewer: SignedInDep, store: StoreDep
) -> Response:
    """Say that a suggestion was done, helped or did not, is not for now, or wrong; asks for sign-in."""
    row = _step_at(scores, deal_id, rank)
    feedback.keep_answer(
        store,
        viewer,
        entity_id=deal_id,
        action=str(row["action"].iloc[0]),
        answer=given.answer,
        why=given.why,
        as_of=_as_of(scores),
        model_version=str(row["model_version"].iloc[0]),
    )
    return Response(status_code=204)


@router.delete("/{deal_id}/advice/{rank}/feedback", status_code=204)
def take_answer_back(deal_id: str, rank: int, scores: ScoresDep, viewer: SignedInDep, store: StoreDep) -> Response:
    """Take your answer on a suggestion back; asks for sign-in."""
    row = _step_at(scores, deal_id, rank)
    feedback.take_back(store, viewer, entity_id=deal_id, action=str(row["action"].iloc[0]), as_of=_as_of(scores))
    return Response(status_code=204)


def _step_at(scores: Scores, deal_id: str, rank: int) -> pd.DataFrame:
    _check(scores, deal_id)
    steps = _steps(scores, deal_id)
    row = steps[steps["rank"] == rank]
    if row.empty:
        raise NoDeal
    return row


def _check(scores: Scores, deal_id: str) -> None:
    if scores.rows.row(deal_id, scores.sight) is None:
        raise _no_deal(scores)


def _no_deal(scores: Scores) -> NoDeal | NoScores:
    return NoDeal() if "deals" in scores.frames or "leads" in scores.frames else NoScores()


def _steps(scores: Scores, deal_id: str) -> pd.DataFrame:
    advice = scores.frame("advice")
    return advice[advice["deal_id"] == deal_id].sort_values("rank")


def _rows(asked: Asked, page: pd.DataFrame) -> list[DealRow]:
    found = (asked.scores.rows.listed(ident, asked.sight, asked.names) for ident in page["deal_id"])
    return [DealRow(**row) for row in found if row is not None]


def _advice(steps: list[dict[str, Any]], place: int, said: dict[str, str], company: Company) -> Advice:
    row = steps[place]
    fields = {n: row.get(n) for n in Advice.model_fields if n not in ("answer", "reasons", "would_change")}
    told = [
        would_change(one, steps, place, company=company, called=partial(words.action, one, company=company))
        for one in map(language, ("en", "zh"))
    ]
    return Advice(
        **fields,
        reasons=json_or_text(row.get("reasons")),
        would_change=[Both(en=en, zh=zh) for en, zh in zip(*told, strict=True)],
        answer=said.get(row["action"]),
    )


def _as_of(scores: Scores) -> Any:
    if scores.as_of is None:
        raise NoScores
    return scores.as_of
