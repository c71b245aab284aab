"""A goal split anew where people come, go or move within its period: seen first, then kept with one reason."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from planning.resplit import Resplit, ResplitWish, StaffChange, check_left_out
from serving.dependencies import SignedInDep
from serving.documents import example
from serving.goal_changes import reason_of, row_of
from serving.people_data.subjects import keys_of
from serving.people_data.views import note_looks
from serving.plan_examples import RESPLIT
from serving.resplit import apply, persons_of, preview
from serving.routes.goals import Day, GoalRow, Key, ReadDep
from serving.schemas import WITHOUT_NULL

router = APIRouter(prefix="/goals", tags=["goals"])
What = Literal["leaves", "joins", "moves"]


class GivenStaffChange(BaseModel):
    """Somebody who comes, goes or moves, where the data does not tell it."""

    model_config = ConfigDict(extra="forbid")

    what: What
    rep_id: Key
    day: Annotated[Day, Field(description="First day in the new place; of who leaves, the first day no longer there.")]
    to_team: Annotated[Key | None, Field(description="Of who joins or moves.")] = None


class ResplitAsked(BaseModel):
    """How to split a goal anew."""

    model_config = ConfigDict(extra="forbid")

    goal_id: Annotated[Key | None, Field(description="Of company or team; unset: your highest that runs.")] = None
    vacancy: Annotated[
        Literal["team", "redistribute"],
        Field(description="Who carries what a leaver leaves: the team's open seat, or the others by capacity left."),
    ] = "team"
    rebase: Annotated[bool, Field(description="Split the rest anew where a newcomer finds no open seat.")] = False
    by: Annotated[Literal["days", "season"], Field(description="How stretches of the period weigh.")] = "days"
    more: Annotated[
        list[GivenStaffChange], Field(max_length=200, description="Changes that the data does not have.")
    ] = Field(default_factory=list)
    without: Annotated[
        list[Key], Field(max_length=2000, description="Keys of changes in the data that are left out.")
    ] = Field(default_factory=list)
    apply: Annotated[bool, Field(description="Whether the numbers become the goals.")] = False
    why: Annotated[str, Field(max_length=1000, description="The reason; needed to apply."), WITHOUT_NULL] = ""


class StaffRow(BaseModel):
    """Somebody who comes, goes or moves within the period."""

    key: str
    what: What
    rep_id: str
    day: date
    team_id: str | None
    to_team: str | None
    done: Annotated[bool, Field(description="Whether the goals follow it already.")]


class PartRow(BaseModel):
    """A stretch of a target."""

    team_id: str
    start: date
    end: Annotated[date, Field(description="First day after.")]
    target: float


class ResplitRow(BaseModel):
    """A person or open seat whose part changes."""

    owner_kind: Literal["rep", "seat"]
    owner_id: str
    team_id: str
    before: float
    after: float
    change: float
    parts: list[PartRow]


class ResplitAnswer(BaseModel):
    """A goal split anew; the sum of each team stays."""

    goal_id: str
    target: float
    staff: Annotated[list[StaffRow], Field(description="Who came, went or moved.")]
    rows: list[ResplitRow]
    fairness: float | None
    fairness_word: str | None
    goals: Annotated[list[GoalRow], Field(description="What was made or changed; empty unless applied.")]
    batch: Annotated[str | None, Field(description="Names what was applied, so that it can be undone.")]


@router.post("/resplit", responses=example(RESPLIT))
def resplit_goal(given: ResplitAsked, desk: ReadDep, signed: SignedInDep) -> ResplitAnswer:
    """Split the rest of a goal's period anew for who joins, leaves or moves; with `apply`, the numbers are kept."""
    if given.apply:
        reason_of(given.why)
    more = [StaffChange(one.what, one.rep_id, one.day, None, one.to_team) for one in given.more]
    wish = ResplitWish(given.vacancy, given.rebase, given.by, more, frozenset(given.without))
    goal, found = preview(desk, given.goal_id, wish)
    check_left_out(found, given.without)
    note_looks(desk.server.store, desk.viewer, persons_of(found), keys_of(desk.server.view()), what="resplit")
    made, batch = apply(desk, found, given.why) if given.apply else ([], None)
    return ResplitAnswer(
        goal_id=goal["goal_id"], target=float(found.goal.target or 0), staff=_staff(found), rows=_rows(found),
        fairness=found.fair.value if found.fair else None, fairness_word=found.fair.word if found.fair else None,
        goals=[GoalRow(**row_of(one)) for one in made], batch=batch,
    )  # fmt: skip


def _staff(found: Resplit) -> list[StaffRow]:
    names = ("key", "what", "rep_id", "day", "team_id", "to_team")
    return [StaffRow(**{n: getattr(c, n) for n in names}, done=c.key in found.done) for c in found.found]


def _rows(found: Resplit) -> list[ResplitRow]:
    return [
        ResplitRow(
            owner_kind=row["owner_kind"], owner_id=row["owner_id"], team_id=row["team_id"],
            before=float(row["before"]), after=float(row["after"]), change=float(row["change"]),
            parts=[PartRow(team_id=p.team_id, start=p.start, end=p.end, target=float(p.target)) for p in row["parts"]],
        )
        for row in found.table().to_dict("records")
    ]  # fmt: skip
