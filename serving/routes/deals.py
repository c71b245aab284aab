"""Open deals with forecasts, reasons and next steps."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pandas as pd
from fastapi import APIRouter, Query, Response

from crm.errors import BadInput, NotFound
from serving import feedback
from serving.dependencies import CompanyDep, NamesDep, ScoresDep, SignedInDep, StoreDep, ViewerDep
from serving.problems import NOTHING_HERE
from serving.schemas import (
    Advice,
    AdviceAnswer,
    AdviceList,
    CurvePoint,
    DealDetail,
    DealList,
    DealRow,
    json_or_text,
    plain,
    reason_of,
    reasons_of,
    rows_of,
)
from serving.scores import NoScores, Scores

router = APIRouter(prefix="/deals", tags=["deals"])
Sort = Literal[
    "-expected_amount", "expected_amount", "-win_probability", "win_probability", "close_date", "-close_date", "deal_id"
]
_INDEX = ["name", "account_id", "owner_id", "stage", "kind", "amount", "created_at", "close_date"]


class NoDeal(NotFound):
    """No such deal, or not for this viewer."""

    def __init__(self) -> None:
        super().__init__(NOTHING_HERE)


class BadCursor(BadInput):
    """The cursor is none that a list gave."""

    def __init__(self, cursor: str) -> None:
        super().__init__(f"cursor '{cursor}' is not in this list. Start again without it.")


@router.get("")
def list_deals(
    scores: ScoresDep,
    names: NamesDep,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: str | None = None,
    owner: str | None = None,
    stage: str | None = None,
    leads: bool = False,
    sort: Sort = "-expected_amount",
) -> DealList:
    """Open deals, best first by expected amount unless `sort` says otherwise; `leads=true` gives leads instead."""
    deals = _deals(scores, "leads" if leads else "deals")
    if owner is not None:
        deals = deals[deals["owner_id"] == owner]
    if stage is not None:
        deals = deals[deals["stage"] == stage]
    column = sort.removeprefix("-")
    deals = deals.sort_values([column, "deal_id"], ascending=[not sort.startswith("-"), True], na_position="last")
    page, following = page_of(deals, "deal_id", cursor, limit)
    return DealList(as_of=_as_of(scores), total=len(deals), deals=_rows(scores, page, names), next_cursor=following)


@router.get("/{deal_id}")
def read_deal(deal_id: str, scores: ScoresDep, names: NamesDep) -> DealDetail:
    """One open deal or lead with its reasons and the curve of its end."""
    row, reasons, curves = _one(scores, deal_id), scores.frame("reasons"), scores.frame("curves")
    own = reasons[(reasons["entity"] == "deal") & (reasons["entity_id"] == deal_id)]
    curve = curves[curves["deal_id"] == deal_id].sort_values("day")
    note = (scores.meta.get("notes") or {}).get("win") or {}
    return DealDetail(
        **_rows(scores, row, names)[0].model_dump(),
        reasons=reasons_of(own),
        curve=[CurvePoint(**point) for point in rows_of(curve[["day", "won", "lost"]])],
        note=str(note.get("sentence_en", "")),
    )


@router.get("/{deal_id}/advice")
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


def page_of(rows: pd.DataFrame, key: str, cursor: str | None, limit: int) -> tuple[pd.DataFrame, str | None]:
    """The rows after the cursor, and the cursor that follows; None at the end.

    Raises
    ------
    BadCursor
        If the cursor names no row of the list.
    """
    start = 0
    if cursor is not None:
        places = (rows[key] == cursor).to_numpy().nonzero()[0]
        if not len(places):
            raise BadCursor(cursor)
        start = int(places[0]) + 1
    page = rows.iloc[start : start + limit]
    return page, str(page[key].iloc[-1]) if start + limit < len(rows) else None


def _deals(scores: Scores, name: str) -> pd.DataFrame:
    return scores.frame(name).join(scores.index[_INDEX], on="deal_id")


def _one(scores: Scores, deal_id: str) -> pd.DataFrame:
    for name in ("deals", "leads"):
        found = scores.frame(name)
        found = found[found["deal_id"] == deal_id]
        if len(found):
            return found.join(scores.index[_INDEX], on="deal_id")
    raise NoDeal


def _steps(scores: Scores, deal_id: str) -> pd.DataFrame:
    advice = scores.frame("advice")
    return advice[advice["deal_id"] == deal_id].sort_values("rank")


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
    reasons = scores.frame("reasons")
    own = reasons[(reasons["entity"] == "deal") & reasons["entity_id"].isin(ids)]
    if own.empty:
        return {}
    top = own.loc[own.groupby("entity_id")["contribution"].apply(lambda c: c.abs().idxmax())]
    return {row["entity_id"]: reason_of(plain(row)) for row in top.to_dict("records")}


def _next_actions(scores: Scores, ids: list[str]) -> dict[str, str]:
    if "advice" not in scores.frames:
        return {}
    advice = scores.frame("advice")
    first = advice[advice["deal_id"].isin(ids) & (advice["rank"] == 1)]
    return dict(zip(first["deal_id"], first["action"], strict=True))


def _advice(row: dict[str, Any], said: dict[str, str]) -> Advice:
    fields = {name: row.get(name) for name in Advice.model_fields if name not in ("answer", "reasons")}
    return Advice(**fields, reasons=json_or_text(row.get("reasons")), answer=said.get(row["action"]))


def _as_of(scores: Scores) -> Any:
    if scores.as_of is None:
        raise NoScores
    return scores.as_of
