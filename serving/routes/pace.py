"""Pace: where each running goal should be today, the gap, and what would close it."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

import pandas as pd
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from serving.dependencies import ScoresDep, ServerDep, SightDep, StoreDep, ViewDep, ViewerDep
from serving.documents import listed
from serving.exports import file_answer, format_of
from serving.goal_changes import Desk
from serving.lists import Order, Paging
from serving.people_data.subjects import keys_of
from serving.people_data.views import note_looks
from serving.plan_examples import PACE
from serving.routes.goals import Metric, OwnerKind
from serving.schemas import Moment, rows_of

router = APIRouter(tags=["goals"])


class PaceRow(BaseModel):
    """One running goal against its season's curve."""

    goal_id: str
    owner_kind: OwnerKind
    owner_id: str
    metric: str
    product_id: str | None
    product_family: str | None
    segment: str | None
    period: Annotated[str, Field(description="Fiscal name, or its days.")]
    period_start: date
    period_end: Annotated[date, Field(description="First day after.")]
    target: float
    actual: float
    due: Annotated[float | None, Field(description="Share of the target that is due by now.")] = None
    expected: Annotated[float | None, Field(description="Target by now.")] = None
    gap: Annotated[float | None, Field(description="Actual less expected.")] = None
    pace: Annotated[float | None, Field(description="Actual over expected.")] = None
    status: Annotated[str, Field(description="ahead, on, behind, far behind, too early to say, out of reach.")] = ""
    expected_open: Annotated[float | None, Field(description="What open deals are expected to bring.")] = None
    uncovered: Annotated[float | None, Field(description="Still missing after that.")] = None
    deals: Annotated[int | None, Field(description="Won deals that would cover it, at own mean amount.")] = None
    opportunities: Annotated[int | None, Field(description="To be opened for them, at own conversion.")] = None
    activities: Annotated[int | None, Field(description="Contacts for these, at own activities per deal.")] = None
    a_day: Annotated[float | None, Field(description="Of them on each working day left.")] = None
    in_time: Annotated[int | None, Field(description="Opportunities needed for enough to close in time.")] = None
    rate_needed: Annotated[float | None, Field(description="Conversion that closings to come must have.")] = None
    basis: Annotated[str, Field(description="What the curve and the open deals rest on.")] = ""


class PaceList(BaseModel):
    """Running goals that can be followed."""

    as_of: Annotated[Moment, Field(description="Newest moment of the newest data.")]
    total: int
    goals: list[PaceRow]
    next_cursor: str | None


class PaceWish(Paging):
    """Filters, order and page."""

    owner_kind: OwnerKind | None = None
    owner_id: Annotated[str | None, Field(max_length=200)] = None
    metric: Metric | None = None
    product_id: Annotated[str | None, Field(max_length=200)] = None
    sort: Literal["owner_id", "-target", "target", "goal_id"] = "goal_id"


def _desk(server: ServerDep, viewer: ViewerDep, sight: SightDep, scores: ScoresDep) -> Desk:
    return Desk(server, viewer, sight, scores.as_of)


@router.get("/pace", response_model=PaceList, responses=listed(PACE))
def list_pace(
    request: Request,
    wish: Annotated[PaceWish, Query()],
    desk: Annotated[Desk, Depends(_desk)],
    view: ViewDep,
    store: StoreDep,
) -> PaceList | Response:
    """Pace of running goals of company, teams, people and products, as of the newest data; new after each sync."""
    order, every = Order(wish.sort, "goal_id"), _running(desk, wish)
    form = format_of(wish.format, request.headers.get("accept", ""))
    page, following = (order.sorted(every), None) if form != "json" else order.page(every, wish)
    persons = page.loc[page["owner_kind"] == "rep", "owner_id"].tolist()
    note_looks(store, desk.viewer, persons, keys_of(view), what="api pace")
    rows = [PaceRow(**row) for row in _followed(desk, page)]
    if form != "json":
        return file_answer(rows, PaceRow, "pace", form, {})
    return PaceList(as_of=desk.plan.moment, total=len(every), goals=rows, next_cursor=following)


def _running(desk: Desk, wish: PaceWish) -> pd.DataFrame:
    """Goals whose figures the viewer may see and that can be followed."""
    filters = ("owner_kind", "owner_id", "metric", "product_id")
    wanted = [(name, value) for name in filters if (value := getattr(wish, name)) is not None]
    names = ("goal_id", "owner_kind", "owner_id", "metric", "product_id", "product_family", "segment")
    rows = [
        {name: getattr(goal, name) for name in names}
        | {"period_start": goal.start, "period_end": goal.end, "target": float(goal.target or 0)}
        for goal in desk.plan.running
        if desk.shows(goal.owner_kind, goal.owner_id) and desk.plan.followed(goal)
        and all(getattr(goal, name) == value for name, value in wanted)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=[*names, "period_start", "period_end", "target"])


def _followed(desk: Desk, page: pd.DataFrame) -> list[dict[str, Any]]:
    told = desk.plan.paces(page["goal_id"])
    return [row | _plain(told[row["goal_id"]]) for row in rows_of(page) if row["goal_id"] in told]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    whole = ("deals", "opportunities", "activities", "in_time")
    known = {name: value for name, value in row.items() if value is not None and name in PaceRow.model_fields}
    return {name: int(value) if name in whole else value for name, value in known.items()}
