"""What people themselves say where a period will end: taken, with history, and judged once it is over."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from serving import calls
from serving.calls import Entity, Kind
from serving.dependencies import CompanyDep, ScoresDep, ServerDep, SightDep, SignedInDep, ViewerDep
from serving.documents import example
from serving.examples import CALL, CALL_ACCURACY, CALLS
from serving.schemas import rows_of

router = APIRouter(prefix="/calls", tags=["forecasts"])


class NewCall(BaseModel):
    """Where someone says that this quarter will end."""

    model_config = ConfigDict(extra="forbid")

    entity: Entity
    entity_id: Annotated[str, Field(max_length=200, description="rep_id or team_id; 'company' is everyone.")]
    kind: Kind = "commit"
    metric: Literal["bookings", "won_deals"] = "bookings"
    value: Annotated[
        float | None,
        Field(ge=0, le=1e15, description="Base currency or number of deals; null takes the own earlier call back."),
    ]
    why: Annotated[str, Field(max_length=500)] = ""


class CallOut(BaseModel):
    """A call as it was made."""

    entity: Entity
    entity_id: str
    period_start: date
    period_end: date
    metric: str
    kind: Kind
    value: Annotated[float | None, Field(description="null: taken back")]
    why: str
    by: Annotated[str, Field(description="Role of who called.")]
    rep_id: Annotated[str | None, Field(description="The rep that who called is, if any.")]
    as_of: Annotated[datetime, Field(description="Moment of the data that who called saw.")]
    made_at: datetime


class CallList(BaseModel):
    """Calls, oldest first; each person's newest one stands."""

    calls: list[CallOut]


class CallAccuracyOut(BaseModel):
    """How right one person's calls were, beside the model and the run rate at the same points."""

    entity: Entity
    entity_id: str
    by: str
    rep_id: str | None
    kind: Kind
    metric: str
    n: Annotated[int, Field(description="Calls that stood at one and two thirds of periods that are over.")]
    error: Annotated[float | None, Field(description="Mean absolute error, share of the mean result.")]
    model_error: float | None
    naive_error: Annotated[float | None, Field(description="The same of the run rate.")]
    bias: Annotated[float | None, Field(description="Mean of call less result, share of the mean result.")]
    accuracy: Annotated[float | None, Field(description="The trade's 1 - |error| / result, as a mean.")]
    ratio: Annotated[float | None, Field(description="Sum of calls over sum of results.")]
    worth: Annotated[
        float | None, Field(description="How much nearer to the result than the model, in the metric's unit.")
    ]


class CallAccuracyList(BaseModel):
    """Everyone whose calls can be judged and may be seen."""

    callers: list[CallAccuracyOut]


@router.get("", responses=example(CALLS))
def list_calls(
    server: ServerDep,
    sight: SightDep,
    viewer: ViewerDep,
    entity: Annotated[Entity | None, Query()] = None,
    entity_id: Annotated[str | None, Query(max_length=200)] = None,
) -> CallList:
    """Calls with all that came before them, of reps and teams that the viewer sees."""
    found = calls.seen(calls.history(server.store, entity, entity_id), sight)
    return CallList(calls=[_out(row) for row in rows_of(found)])


@router.post("", responses=example(CALL))
def make_call(
    given: NewCall, server: ServerDep, sight: SightDep, viewer: SignedInDep, company: CompanyDep, scores: ScoresDep
) -> CallOut:
    """Say where this quarter will end; earlier calls stay in the history."""
    calls.may_call(viewer, sight, given.entity, given.entity_id, server.view())
    made = calls.call_now(server.store, viewer, company, as_of=scores.as_of, **given.model_dump())
    return _out(rows_of(made)[0])


@router.get("/accuracy", responses=example(CALL_ACCURACY))
def read_call_accuracy(server: ServerDep, sight: SightDep, viewer: ViewerDep, company: CompanyDep) -> CallAccuracyList:
    """Each person's calls against what came, beside what model and run rate said then, and what they were worth."""
    found = calls.callers(calls.history(server.store), server.accuracy("issued"), sight, company)
    names = CallAccuracyOut.model_fields
    return CallAccuracyList(callers=[CallAccuracyOut(**{n: row[n] for n in names}) for row in rows_of(found)])


def _out(row: dict[str, object]) -> CallOut:
    return CallOut.model_validate({name: row[name] for name in CallOut.model_fields})
