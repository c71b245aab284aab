"""Open deals with forecasts, reasons and next steps."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import pandas as pd
from fastapi import APIRouter, Query, Request, Response

from crm.errors import NotFound
from serving import feedback
from serving.access import members_of
from serving.deal_list import DealWish, matching
from serving.dependencies import (
    CompanyDep,
    LedgerDep,
    NamesDep,
    ScoresDep,
    SightDep,
    SignedInDep,
    StoreDep,
    ViewDep,
    ViewerDep,
)
from serving.documents import example, listed
from serving.examples import ADVICE, DEAL_DETAIL, DEALS, SCORE_HISTORY
from serving.exports import file_answer, format_of
from serving.freshness import FreshDep
from serving.problems import NOTHING_HERE
from serving.schemas import (
    Advice,
    AdviceAnswer,
    AdviceList,
    CurvePoint,
    DealDetail,
    DealList,
    DealRow,
    PastScore,
    ScoreHistory,
    json_or_text,
    plain,
    reason_of,
    reasons_of,
    rows_of,
)
from serving.score_history import score_history
from serving.scores import NoScores, Scores

router = APIRouter(prefix="/deals", tags=["deals"])
_INDEX = ["name", "account_id", "owner_id", "stage", "kind", "amount", "created_at", "close_date"]


class NoDeal(NotFound):
    """No such deal, or not for this viewer."""

    def __init__(self) -> None:
        super().__init__(NOTHING_HERE)


@router.get("", response_model=DealList, responses=listed(DEALS))
def list_deals(
    request: Request,
    wish: Annotated[DealWish, Query()],
    scores: ScoresDep,
    names: NamesDep,
    company: CompanyDep,
    sight: SightDep,
    view: ViewDep,
    fresh: FreshDep,
) -> DealList | Response:
    """Open deals or leads, best first by expected amount unless `sort` says otherwise; by page, or a whole file."""
    today = datetime.now(UTC).astimezone(company.zone).date()
    members = None
    if wish.team is not None:
        members = members_of(view, wish.team, day=today) if sight.team(wish.team) else frozenset()
    deals = _deals(scores, "leads" if wish.leads else "deals")
    deals = matching(deals, wish, company=company, today=today, members=members)
    form = format_of(wish.format, request.headers.get("accept", ""))
    if form != "json":
        return file_answer(_rows(scores, wish.order.sorted(deals), names), DealRow, "deals", form, fresh)
    page, following = wish.order.page(deals, wish)
    return DealList(as_of=_as_of(scores), total=len(deals), deals=_rows(scores, page, names), next_cursor=following)


@router.get("/{deal_id}", responses=example(DEAL_DETAIL))
def read_deal(deal_id: str, scores: ScoresDep, names: NamesDep) -> DealDetail:
    """One open deal or lead with its reasons and the curve of its end."""
    row, own = _one(scores, deal_id), scores.of("reasons", [deal_id], "entity_id")
    own = own[own["entity"] == "deal"]
    curve = scores.of("curves", [deal_id]).sort_values("day")
    note = (scores.meta.get("notes") or {}).get("win") or {}
    return DealDetail(
        **_rows(scores, row, names)[0].model_dump(),
        reasons=reasons_of(own),
        curve=[CurvePoint(**point) for point in rows_of(curve[["day", "won", "lost"]])],
        note=str(note.get("sentence_en", "")),
    )


@router.get("/{deal_id}/history", responses=example(SCORE_HISTORY))
def read_history(deal_id: str, scores: ScoresDep, ledger: LedgerDep) -> ScoreHistory:
    """What was forecast of one deal before, as it was issued; reconstructed forecasts are marked."""
    _one(scores, deal_id)
    return ScoreHistory(deal_id=deal_id, scores=[PastScore(**row) for row in rows_of(score_history(ledger, deal_id))])


@router.get("/{deal_id}/advice", responses=example(ADVICE))
def read_advice(deal_id: str, scores: ScoresDep, viewer: ViewerDep, store: StoreDep, company: CompanyDep) -> AdviceList:
    """Next steps for one deal, best first."""
    _one(scores, deal_id)
    as_of = _as_of(scores)
    said = feedback.answers(store, viewer, deal_id, as_of=as_of)
    return AdviceList(
        deal_id=deal_id,
        as_of=as_of,
        horizon_days=company.win.horizon_weeks * 7,
        advice=[_advice(row, said) for row in rows_of(_steps(scores, deal_id))],
    )


@router.post("/{deal_id}/advice/{rank}/feedback", status_code=204)
def answer_advice(
    deal_id: str, rank: int, given: AdviceAnswer, scores: ScoresDep, viewer: SignedInDep, store: StoreDep
) -> Response:
    """Say whether a suggestion helped; asks for sign-in."""
    _one(scores, deal_id)
    steps = _steps(scores, deal_id)
    row = steps[steps["rank"] == rank]
    if row.empty:
        raise NoDeal
    feedback.keep_answer(
        store,
        viewer,
        deal_id=deal_id,
        action=str(row["action"].iloc[0]),
        answer=given.answer,
        why=given.why,
        as_of=_as_of(scores),
        model_version=str(row["model_version"].iloc[0]),
    )
    return Response(status_code=204)


def _deals(scores: Scores, name: str) -> pd.DataFrame:
    return scores.frame(name).join(scores.index[_INDEX], on="deal_id")


def _one(scores: Scores, deal_id: str) -> pd.DataFrame:
    for name in ("deals", "leads"):
        found = scores.of(name, [deal_id])
        if len(found):
            return found.join(scores.index[_INDEX], on="deal_id")
    raise NoDeal


def _steps(scores: Scores, deal_id: str) -> pd.DataFrame:
    return scores.of("advice", [deal_id]).sort_values("rank")


def _rows(scores: Scores, page: pd.DataFrame, names: dict[str, str]) -> list[DealRow]:
    ids = page["deal_id"].tolist()
    why, step = _main_reasons(scores, ids), _next_actions(scores, ids)
    made = []
    for row in rows_of(page):
        ident = row["deal_id"]
        more = {"owner_name": names.get(row["owner_id"]), "main_reason": why.get(ident), "next_action": step.get(ident)}
        made.append(DealRow(**row, **more))
    return made


def _main_reasons(scores: Scores, ids: list[str]) -> dict[str, Any]:
    own = scores.of("reasons", ids, "entity_id")
    own = own[own["entity"] == "deal"]
    if own.empty:
        return {}
    top = own.loc[own["contribution"].abs().groupby(own["entity_id"]).idxmax()]
    return {row["entity_id"]: reason_of(plain(row)) for row in top.to_dict("records")}


def _next_actions(scores: Scores, ids: list[str]) -> dict[str, str]:
    if "advice" not in scores.frames:
        return {}
    own = scores.of("advice", ids)
    first = own[own["rank"] == 1]
    return dict(zip(first["deal_id"], first["action"], strict=True))


def _advice(row: dict[str, Any], said: dict[str, str]) -> Advice:
    fields = {name: row.get(name) for name in Advice.model_fields if name not in ("answer", "reasons")}
    return Advice(**fields, reasons=json_or_text(row.get("reasons")), answer=said.get(row["action"]))


def _as_of(scores: Scores) -> Any:
    if scores.as_of is None:
        raise NoScores
    return scores.as_of
