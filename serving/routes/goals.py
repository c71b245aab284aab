"""Goals: those set here and those of the CRM, every change with its reason, a target split over teams and people."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

import pandas as pd
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from planning.capacity import Method
from planning.cascade import Fairness
from serving.access import Sight
from serving.dependencies import ScoresDep, ServerDep, SightDep, SignedInDep, ViewerDep
from serving.documents import example, listed
from serving.exports import file_answer, format_of
from serving.goal_changes import Desk, SplitWish, reason_of, row_of
from serving.lists import Order, Paging
from serving.plan_examples import GOAL, GOAL_HISTORY, GOALS, SPLIT, UNDONE
from serving.schemas import Moment, rows_of

router = APIRouter(prefix="/goals", tags=["goals"])
OwnerKind = Literal["company", "team", "rep"]
Metric = Literal[
    "bookings", "won_deals", "conversion_rate", "retention_rate", "activities", "new_accounts",
    "customer_satisfaction", "market_share", "collected",
]  # fmt: skip
GoalId = Annotated[str, Path(min_length=1, max_length=200)]
Key = Annotated[str, Field(min_length=1, max_length=200)]
Why = Annotated[str, Field(min_length=3, max_length=1000, description="The reason; kept in the goal's history.")]
Target = Annotated[
    float, Field(gt=0, le=1e12, allow_inf_nan=False, description="Money, a count, or a share for rates.")
]
Day = Annotated[date, Field(ge=date(1990, 1, 1), le=date(2200, 1, 1))]


class GoalRow(BaseModel):
    """A goal."""

    goal_id: str
    source: Annotated[Literal["here", "crm"], Field(description="Where it is changed; the CRM's are read-only.")]
    owner_kind: OwnerKind
    owner_id: str
    metric: str
    product_id: str | None
    product_family: str | None
    segment: str | None
    period_start: date
    period_end: Annotated[date, Field(description="First day after.")]
    target: float
    currency: Annotated[str | None, Field(description="Of money; unset: the base currency.")]
    parent_goal_id: str | None
    hides: Annotated[str | None, Field(description="Goal of the CRM that this one took over.")]
    version: Annotated[int, Field(description="Counts changes; 0 for those of the CRM.")]
    recorded_at: Moment | None
    ended_at: Moment | None
    may_change: Annotated[bool, Field(description="Whether you may change it here.")]


class GoalList(BaseModel):
    """Goals, newest period first."""

    total: int
    goals: list[GoalRow]
    next_cursor: str | None


class GivenGoal(BaseModel):
    """A goal to be set."""

    model_config = ConfigDict(extra="forbid")

    owner_kind: OwnerKind
    owner_id: Annotated[Key, Field(description="Team or rep; the word company for the company.")]
    metric: Metric
    product_id: Key | None = None
    product_family: Key | None = None
    segment: Key | None = None
    period_start: Day
    period_end: Annotated[Day, Field(description="First day after.")]
    target: Target
    currency: Annotated[str | None, Field(pattern=r"^[A-Z]{3}$")] = None
    parent_goal_id: Key | None = None
    why: Why


class GoalEdit(BaseModel):
    """What is to change; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    target: Target | None = None
    period_start: Day | None = None
    period_end: Day | None = None
    parent_goal_id: Key | None = None
    version: Annotated[int | None, Field(ge=1, le=2**31 - 1, description="The one you saw; another is refused.")] = None
    why: Why


class TakeOver(BaseModel):
    """A goal of the CRM is to be kept here from now on."""

    model_config = ConfigDict(extra="forbid")

    target: Annotated[Target | None, Field(description="Unset: the CRM's.")] = None
    why: Why


class GoalVersion(BaseModel):
    """One change of a goal."""

    version: int
    at: Moment
    what: Literal["made", "changed", "ended", "taken over", "undone"]
    why: str
    user_id: Annotated[int | None, Field(description="Who; unset where that user is gone.")]
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    batch: Annotated[str | None, Field(description="What was done in one go; undo takes it.")]


class GoalHistory(BaseModel):
    """All changes of a goal, oldest first."""

    goal_id: str
    changes: list[GoalVersion]


class Undo(BaseModel):
    """A change that is to be put back."""

    model_config = ConfigDict(extra="forbid")

    batch: Annotated[str, Field(min_length=1, max_length=32, description="As a goal's history, or a split, has it.")]
    why: Why


class Undone(BaseModel):
    """The goals as they stand now."""

    goals: list[GoalRow]


class Split(BaseModel):
    """How to split a goal."""

    model_config = ConfigDict(extra="forbid")

    goal_id: Annotated[Key | None, Field(description="Of company or team; unset: your highest that runs.")] = None
    method: Method = "capacity"
    shares: Annotated[
        dict[Method, Annotated[float, Field(ge=0, le=1)]],
        Field(description="For blend: share of each other method."),
    ] = Field(default_factory=dict)
    pins: Annotated[
        dict[Key, Annotated[Decimal, Field(ge=0, le=10**12, allow_inf_nan=False)]],
        Field(max_length=2000, description="Numbers that stay as they are, by team or rep."),
    ] = Field(default_factory=dict)
    over_assign: Annotated[Decimal, Field(ge=0, le=1, description="Handed out above the target, such as 0.05.")] = (
        Decimal(0)
    )
    apply: Annotated[bool, Field(description="Whether the numbers become the goals of those teams and people.")] = False
    why: Annotated[str, Field(max_length=1000, description="The reason; needed to apply.")] = ""


class SplitRow(BaseModel):
    """The part of one team or person."""

    owner_kind: OwnerKind
    owner_id: str
    team_id: str
    weight: float | None
    target: float
    today: Annotated[float | None, Field(description="Their goal as it stands.")]
    mean: Annotated[float | None, Field(description="What is forecast.")]
    expected: Annotated[float | None, Field(description="Forecast as a share of the target.")]
    months: Annotated[dict[str, float], Field(description="Target by month.")]


class SplitAnswer(BaseModel):
    """A goal split; all sums are exact."""

    goal_id: str
    target: float
    fairness: Annotated[float | None, Field(description="1: everyone is expected to reach a like share.")]
    fairness_word: str | None
    rows: list[SplitRow]
    goals: Annotated[list[GoalRow], Field(description="What was made or changed; empty unless applied.")]
    batch: Annotated[str | None, Field(description="Names what was applied, so that it can be undone.")]


class GoalWish(Paging):
    """Filters, order and page of a list of goals."""

    owner_kind: OwnerKind | None = None
    owner_id: Annotated[str | None, Field(max_length=200)] = None
    metric: Metric | None = None
    running_on: Annotated[Day | None, Field(description="Only goals whose period holds this day.")] = None
    ended: Annotated[bool, Field(description="Whether goals that were ended are listed too.")] = False
    sort: Literal["-period_start", "period_start", "owner_id", "-target", "target", "goal_id"] = "-period_start"


def _desk(server: ServerDep, viewer: ViewerDep, sight: SightDep, scores: ScoresDep) -> Desk:
    return Desk(server, viewer, sight, scores.as_of)


def _writing(desk: Annotated[Desk, Depends(_desk)], _: SignedInDep) -> Desk:
    return desk


ReadDep = Annotated[Desk, Depends(_desk)]
WriteDep = Annotated[Desk, Depends(_writing)]


@router.get("", response_model=GoalList, responses=listed(GOALS))
def list_goals(request: Request, wish: Annotated[GoalWish, Query()], desk: ReadDep) -> GoalList | Response:
    """Goals of the company, teams and people that you may see, those of the CRM among them; by page, or a file."""
    order, every = Order(wish.sort, "goal_id"), _matching(desk.table(), wish)
    form = format_of(wish.format, request.headers.get("accept", ""))
    if form != "json":
        return file_answer(_goal_rows(order.sorted(every)), GoalRow, "goals", form, {})
    page, following = order.page(every, wish)
    return GoalList(total=len(every), goals=_goal_rows(page), next_cursor=following)


@router.post("", status_code=201, responses=example(GOAL, 201))
def make_goal(given: GivenGoal, desk: WriteDep) -> GoalRow:
    """Set a goal: managers for the teams and people below them, administrators for all."""
    return GoalRow(**row_of(desk.make(given.model_dump(exclude={"why"}), given.why)))


@router.post("/cascade", responses=example(SPLIT))
def split_goal(given: Split, desk: ReadDep, signed: SignedInDep) -> SplitAnswer:
    """Split a goal over the teams, people and months below it; with `apply`, the numbers become their goals."""
    if given.apply:
        reason_of(given.why)
    wish = SplitWish(
        given.goal_id,
        given.method,
        given.shares,
        given.pins,
        given.over_assign,
    )
    goal, table, fair = desk.split(wish)
    made, batch = desk.apply(goal, table, given.why) if given.apply else ([], None)
    return SplitAnswer(
        goal_id=goal["goal_id"],
        target=goal["target"],
        rows=_split_rows(table, desk.sight),
        goals=[GoalRow(**row_of(one)) for one in made],
        batch=batch,
        **_fairness(fair),
    )


@router.post("/undo", responses=example(UNDONE))
def undo_change(given: Undo, desk: WriteDep) -> Undone:
    """Put back what was done in one go, such as a split: all of it, or nothing if a goal was changed since."""
    return Undone(goals=[GoalRow(**row_of(one)) for one in desk.undo(given.batch, given.why)])


@router.get("/{goal_id}", responses=example(GOAL))
def read_goal(goal_id: GoalId, desk: ReadDep) -> GoalRow:
    """One goal, an ended one too."""
    return GoalRow(**desk.read(goal_id))


@router.patch("/{goal_id}", responses=example(GOAL))
def change_goal(goal_id: GoalId, given: GoalEdit, desk: WriteDep) -> GoalRow:
    """Change a goal that was set here; what was scored before keeps the old one."""
    fields = given.model_dump(exclude={"why", "version"}, exclude_none=True)
    return GoalRow(**row_of(desk.change(goal_id, fields, given.why, given.version)))


@router.delete("/{goal_id}", responses=example(GOAL))
def end_goal(goal_id: GoalId, why: Annotated[Why, Query()], desk: WriteDep) -> GoalRow:
    """End a goal that was set here: it counts no more, and its history stays."""
    return GoalRow(**row_of(desk.end(goal_id, why)) | {"may_change": False})


@router.post("/{goal_id}/take-over", status_code=201, responses=example(GOAL, 201))
def take_goal_over(goal_id: GoalId, given: TakeOver, desk: WriteDep) -> GoalRow:
    """Keep a goal of the CRM here: the new one hides it, whatever the CRM says of it later."""
    return GoalRow(**row_of(desk.take_over(goal_id, given.target, given.why)))


@router.get("/{goal_id}/history", responses=example(GOAL_HISTORY))
def read_goal_history(goal_id: GoalId, desk: ReadDep) -> GoalHistory:
    """Who changed a goal, when and why, with the goal before and after; oldest first."""
    return GoalHistory(goal_id=goal_id, changes=[GoalVersion(**change) for change in desk.history(goal_id)])


def _matching(table: pd.DataFrame, wish: GoalWish) -> pd.DataFrame:
    if not wish.ended:
        table = table[table["ended_at"].isna()]
    for name in ("owner_kind", "owner_id", "metric"):
        if (value := getattr(wish, name)) is not None:
            table = table[table[name] == value]
    if (day := wish.running_on) is not None:
        table = table[(table["period_start"] <= day) & (table["period_end"] > day)]
    return table


def _goal_rows(table: pd.DataFrame) -> list[GoalRow]:
    return [GoalRow(**row) for row in rows_of(table)]


def _split_rows(table: pd.DataFrame, sight: Sight) -> list[SplitRow]:
    plain = [name for name in SplitRow.model_fields if name != "months"]
    months = [str(name) for name in table.columns if name not in plain]
    rows = []
    for row in rows_of(table):
        if row["owner_kind"] == "rep" and not sight.person(row["owner_id"]):
            row["mean"] = row["expected"] = None
        rows.append(SplitRow(**{n: row[n] for n in plain}, months={m: float(row[m]) for m in months}))
    return rows


def _fairness(fair: Fairness | None) -> dict[str, Any]:
    return {"fairness": fair.value if fair else None, "fairness_word": fair.word if fair else None}
