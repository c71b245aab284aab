"""Risks and contingency plans: the register, its changes with undo, plans with their steps, rehearsals."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from serving.contingency import PlanView
from serving.dependencies import ScoresDep, ServerDep, SightDep, SignedInDep, ViewerDep
from serving.documents import example, listed
from serving.exports import Format, file_answer, format_of
from serving.plan_examples import CONTINGENCIES, CONTINGENCY, REHEARSAL, RISK, RISK_HISTORY, RISKS
from serving.risk_desk import RiskDesk
from serving.schemas import Moment
from serving.tables.risks import StoredRisk

router = APIRouter(prefix="/risks", tags=["plan"])
RiskId = Annotated[int, Path(ge=1, le=2**31 - 1)]
Text = Annotated[str, Field(max_length=2000)]
Key = Annotated[str, Field(min_length=1, max_length=200)]


class RiskRow(BaseModel):
    """A risk as it stands."""

    risk_id: int
    kind: str
    subject_kind: str
    subject_id: str
    state: Literal["open", "mitigating", "accepted", "closed"]
    level: Literal["high", "medium", "low"]
    likelihood: Annotated[float | None, Field(description="1 for a fact; unset where it cannot be told.")]
    money: Annotated[float | None, Field(description="Lost if it happens, base currency; never above `exposed`.")]
    exposed: float | None
    expected_loss: Annotated[float | None, Field(description="likelihood x money. Losses overlap: don't add them up.")]
    owner_id: str | None
    note: str
    accepted_until: date | None
    opened_at: Moment
    seen_at: Annotated[Moment, Field(description="The last run of the rules that found it.")]
    closed_at: Moment | None
    facts: Annotated[dict[str, Any], Field(description="What it rests on.")]
    may_change: Annotated[bool, Field(description="Whether you may change it.")]


class RiskList(BaseModel):
    """Risks, the largest expected loss first."""

    as_of: Moment | None
    total: int
    risks: list[RiskRow]


class RiskEdit(BaseModel):
    """What is to change; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    state: Literal["open", "mitigating", "accepted"] | None = None
    owner_id: Annotated[Key | None, Field(description="rep_id of whose it is from now on.")] = None
    note: Text | None = None
    accepted_until: Annotated[date | None, Field(description="With state accepted: opens again after this day.")] = None
    why: Annotated[str, Field(max_length=1000)] = ""


class RiskChanged(BaseModel):
    """One change of a risk."""

    at: Moment
    what: str
    why: str
    user_id: Annotated[int | None, Field(description="Who; unset where the rules did it.")]
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    undone: bool


class RiskHistory(BaseModel):
    """All changes of a risk, oldest first."""

    risk_id: int
    changes: list[RiskChanged]


class StepOut(BaseModel):
    """A step of a plan."""

    place: int
    what: str
    owner_id: str | None
    due: date
    state: Literal["open", "done", "dropped"]
    note: str


class ContingencyOut(BaseModel):
    """A contingency plan, filled with deals and customers as things stand."""

    plan_id: int
    template: Literal["target_missed", "account_lost", "person_gone"]
    subject_kind: str
    subject_id: str
    risk_id: int | None
    state: Literal["started", "closed"]
    started_at: Moment
    closed_at: Moment | None
    trigger: Annotated[dict[str, Any], Field(description="What started it.")]
    filled: Annotated[dict[str, Any], Field(description="Cover list, customers to call first, hand-over and the like.")]
    filled_at: Moment
    steps: list[StepOut]


class ContingencyList(BaseModel):
    """Plans, running ones first."""

    plans: list[ContingencyOut]


class StepEdit(BaseModel):
    """What is to change of a step."""

    model_config = ConfigDict(extra="forbid")

    state: Literal["open", "done", "dropped"] | None = None
    owner_id: Key | None = None
    note: Text | None = None


class Rehearsal(BaseModel):
    """A quarter before and after somebody leaves, on the same draws."""

    rep_id: str
    team: Annotated[dict[str, Any] | None, Field(description="before, after, handed_over, and changes of the draws.")]
    company: dict[str, Any] | None


class RiskWish(BaseModel):
    """Which risks."""

    model_config = ConfigDict(extra="forbid")

    closed: Annotated[bool, Field(description="Whether closed ones are listed too.")] = False
    kind: Annotated[str | None, Field(max_length=40)] = None
    format: Annotated[Format | None, Field(description="json, csv or xlsx; unset: what the Accept header asks.")] = None


def _desk(server: ServerDep, viewer: ViewerDep, sight: SightDep, scores: ScoresDep) -> RiskDesk:
    return RiskDesk(server, viewer, sight, scores)


def _writing(desk: Annotated[RiskDesk, Depends(_desk)], _: SignedInDep) -> RiskDesk:
    return desk


ReadDep = Annotated[RiskDesk, Depends(_desk)]
WriteDep = Annotated[RiskDesk, Depends(_writing)]


@router.get("", response_model=RiskList, responses=listed(RISKS))
def list_risks(request: Request, wish: Annotated[RiskWish, Query()], desk: ReadDep) -> RiskList | Response:
    """Risks of the company, teams, customers and deals that you may see; JSON, CSV or Excel."""
    found = [r for r in desk.risks(closed=wish.closed) if wish.kind in (None, r.kind)]
    rows = [_row(desk, risk) for risk in found]
    form = format_of(wish.format, request.headers.get("accept", ""))
    if form != "json":
        return file_answer(rows, RiskRow, "risks", form, {})
    return RiskList(as_of=desk.scores.as_of, total=len(rows), risks=rows)


@router.get("/plans", responses=example(CONTINGENCIES))
def list_contingency_plans(desk: ReadDep) -> ContingencyList:
    """Contingency plans that run, and those that are over."""
    return ContingencyList(plans=[_plan(view) for view in desk.plan_views()])


@router.get("/plans/{plan_id}", responses=example(CONTINGENCY))
def read_contingency_plan(plan_id: RiskId, desk: ReadDep) -> ContingencyOut:
    """One plan: why it started, its steps, and what it is filled with."""
    return _plan(desk.plan(plan_id))


@router.patch("/plans/{plan_id}/steps/{place}", responses=example(CONTINGENCY))
def change_contingency_step(
    plan_id: RiskId, place: Annotated[int, Path(ge=1, le=100)], given: StepEdit, desk: WriteDep
) -> ContingencyOut:
    """Set a step to done, dropped or open again, give it to somebody, or note something."""
    return _plan(desk.set_step(plan_id, place, given.model_dump(exclude_none=True)))


@router.post("/plans/{plan_id}/close", responses=example(CONTINGENCY))
def close_contingency_plan(plan_id: RiskId, desk: WriteDep) -> ContingencyOut:
    """End a plan; its record stays."""
    return _plan(desk.close_plan(plan_id))


@router.get("/rehearsals/{rep_id}", responses=example(REHEARSAL))
def rehearse_leaving(rep_id: Annotated[str, Path(min_length=1, max_length=200)], desk: ReadDep) -> Rehearsal:
    """What if this person left tomorrow: the forecast before, after, and after a hand-over, on the same draws."""
    found = desk.rehearsal(rep_id)
    return Rehearsal(rep_id=rep_id, team=found.get("team"), company=found.get("company"))


@router.get("/{risk_id}", responses=example(RISK))
def read_risk(risk_id: RiskId, desk: ReadDep) -> RiskRow:
    """One risk, a closed one too."""
    return _row(desk, desk.risk(risk_id))


@router.patch("/{risk_id}", responses=example(RISK))
def change_risk(risk_id: RiskId, given: RiskEdit, desk: WriteDep) -> RiskRow:
    """Set state, owner or note: managers, administrators, and whose it is."""
    fields = given.model_dump(exclude={"why"}, exclude_none=True)
    return _row(desk, desk.change(risk_id, fields, given.why))


@router.post("/{risk_id}/undo", responses=example(RISK))
def undo_risk_change(risk_id: RiskId, desk: WriteDep) -> RiskRow:
    """Take back the newest change by a person; the history keeps both."""
    return _row(desk, desk.undo(risk_id))


@router.get("/{risk_id}/history", responses=example(RISK_HISTORY))
def read_risk_history(risk_id: RiskId, desk: ReadDep) -> RiskHistory:
    """Who or what changed a risk, when and why; oldest first."""
    names = RiskChanged.model_fields
    changes = [RiskChanged(**{name: getattr(change, name) for name in names}) for change in desk.history(risk_id)]
    return RiskHistory(risk_id=risk_id, changes=changes)


@router.post("/{risk_id}/plan", status_code=201, responses=example(CONTINGENCY, 201))
def start_contingency_plan(risk_id: RiskId, desk: WriteDep) -> ContingencyOut:
    """Start the contingency plan that fits a risk, before its trigger does."""
    return _plan(desk.start_plan(risk_id))


def _row(desk: RiskDesk, risk: StoredRisk) -> RiskRow:
    shown = {name: getattr(risk, name) for name in RiskRow.model_fields if name != "may_change"}
    hidden = {name: desk.money(risk, name) for name in ("money", "exposed", "expected_loss")}
    return RiskRow(**{**shown, **hidden}, may_change=desk.may_change(risk))


def _plan(view: PlanView) -> ContingencyOut:
    plan = view.plan
    steps = [StepOut(**{name: getattr(step, name) for name in StepOut.model_fields}) for step in view.steps]
    shown = {name: getattr(plan, name) for name in ContingencyOut.model_fields if name not in ("steps", "filled")}
    return ContingencyOut(**shown, filled=dict(view.filled), steps=steps)
