"""Is the plan working: results of the last quarter, what was changed and what came of it."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from serving.documents import example
from serving.plan_examples import PLAN_RECORD
from serving.plan_record import plan_record
from serving.reviews.desk import ReviewDeskDep
from serving.schemas import Moment

router = APIRouter(prefix="/plan", tags=["goals"])


class ResultRow(BaseModel):
    """A goal, product or segment of the last quarter with what came."""

    part: Literal["goal", "product", "segment"]
    owner_kind: str
    owner_id: str
    metric: str
    scope: Annotated[str, Field(description="Product, family or segment that it is narrowed to.")]
    target: float | None
    result: float | None
    before: Annotated[float | None, Field(description="The same of the quarter before.")]


class ChangeRow(BaseModel):
    """A decision of a review, or goals that were changed."""

    kind: Literal["decision", "goal"]
    at: Moment
    owner: Annotated[str, Field(description="company, or a team.")]
    text: Annotated[str, Field(description="What was decided, or why goals were changed.")]
    metric: str
    goals: Annotated[int, Field(description="How many goals were changed in that one go.")]
    target_before: float | None
    target_after: float | None
    p10: Annotated[float | None, Field(description="The last forecast before.")]
    p50: float | None
    p90: float | None
    over: Annotated[bool, Field(description="Whether that period is over.")]
    result: float | None


class VoiceRow(BaseModel):
    """What customers said in the quarter."""

    scale: str
    answers: int
    mean: float
    before: float | None


class RivalRow(BaseModel):
    """Closed deals of the quarter that name a competitor."""

    name: Annotated[str, Field(description="Empty where none is recorded.")]
    won: int
    lost: int


class RecordAnswer(BaseModel):
    """Everything that tells whether the plan works."""

    period: str | None
    period_start: date | None
    period_end: date | None
    results: list[ResultRow]
    changes: Annotated[list[ChangeRow], Field(description="The newest first, at most 40.")]
    surveys: list[VoiceRow]
    competitors: list[RivalRow]
    market_share: float | None
    market_share_note: Annotated[str, Field(description="Why it is not known.")]


@router.get("/record", responses=example(PLAN_RECORD))
def read_record(meetings: ReviewDeskDep) -> RecordAnswer:
    """Goals of the last quarter against what came, changes with the forecast before them, surveys, competitors."""
    meetings.material.scores.frame("deals")  # says what to do where nothing was scored
    told, names = plan_record(meetings), ("part", "owner_kind", "owner_id", "metric", "scope", "target", "result",
                                          "before")  # fmt: skip
    period = told.period
    return RecordAnswer(
        period=period.name if period else None, period_start=period.start if period else None,
        period_end=period.end if period else None,
        results=[ResultRow(**{name: getattr(r, name) for name in names}) for r in told.results],
        changes=[
            ChangeRow(
                kind=c.kind, at=c.at, owner=c.owner, text=c.text, metric=c.metric, goals=c.goals,
                target_before=c.before, target_after=c.after, over=c.over, result=c.result,
                **{name: (c.forecast or {}).get(name) for name in ("p10", "p50", "p90")},
            )
            for c in told.changes
        ],
        surveys=[VoiceRow(scale=v.scale, answers=v.answers, mean=v.mean, before=v.before) for v in told.voices],
        competitors=[RivalRow(name=r.name, won=r.won, lost=r.lost) for r in told.rivals],
        market_share=told.share, market_share_note=told.share_note,
    )  # fmt: skip
