"""How one person works deals against colleagues: strengths, themes, and whether themes got better."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from planning.habits import Change, Gap
from serving.dependencies import CompanyDep, ScoresDep, ServerDep, SightDep, ViewDep, ViewerDep
from serving.documents import example
from serving.people_data.examples import COACHING
from serving.people_data.purposes import PurposeOff
from serving.people_data.subjects import keys_of
from serving.people_data.views import note_looks
from serving.rep_coaching import NoCoaching, may_coach

router = APIRouter(tags=["people"])


class GapOut(BaseModel):
    """One habit against what colleagues reach on like deals."""

    habit: Annotated[str, Field(description="pass:STAGE, cycle, discount, contacts, decision_maker or answers.")]
    unit: Annotated[Literal["share", "days", "rate"], Field(description="Of `own` and `colleagues`.")]
    more_is_better: bool
    deals: int
    own: float
    colleagues: float
    gap: Annotated[
        float, Field(description="Own less colleagues', shrunken; for days, by what share they are more (0.1: 10 %).")
    ]
    low: Annotated[float, Field(description="Of its 90 % range.")]
    high: float


class ChangeOut(BaseModel):
    """What became of a theme of 90 days ago; null where there are too few deals since."""

    habit: str
    then: GapOut
    deals: int
    own: float | None
    colleagues: float | None
    change: float | None
    low: float | None
    high: float | None
    verdict: Literal["better", "worse", "not known yet"]


class CoachingOut(BaseModel):
    """One person."""

    rep_id: str
    as_of: datetime
    deals: Annotated[int, Field(description="Deals of the last year that were looked at.")]
    strengths: list[GapOut]
    themes: Annotated[list[GapOut], Field(description="What to practise, the clearest first; at most three.")]
    compared: list[GapOut]
    since: list[ChangeOut]


@router.get("/reps/{rep_id}/coaching", responses=example(COACHING))
def read_coaching(
    rep_id: str,
    viewer: ViewerDep,
    sight: SightDep,
    scores: ScoresDep,
    view: ViewDep,
    company: CompanyDep,
    server: ServerDep,
) -> CoachingOut:
    """Strengths and at most three themes of one person, against colleagues on like deals.

    For that person; for others at level `person`, where an administrator recorded who agreed to coaching.
    """
    keys = keys_of(view)
    if not may_coach(viewer, sight, rep_id, keys, server.store, company):
        raise PurposeOff("coaching")
    if scores.as_of is None:
        raise NoCoaching
    habits = server.habits.read(view, view.cut.number, company, scores.as_of)
    found = habits.of(rep_id)
    note_looks(server.store, viewer, [rep_id], keys, what="api coaching")
    return CoachingOut(
        rep_id=rep_id,
        as_of=scores.as_of,
        deals=found.deals,
        strengths=[_gap(gap) for gap in found.strengths],
        themes=[_gap(gap) for gap in found.themes],
        compared=[_gap(gap) for gap in found.gaps],
        since=[_change(one) for one in found.since],
    )


def _gap(gap: Gap) -> GapOut:
    return GapOut(
        habit=gap.habit.name,
        unit=gap.habit.kind,
        more_is_better=gap.habit.more_is_better,
        deals=gap.deals,
        own=gap.own,
        colleagues=gap.peers,
        gap=gap.gap,
        low=gap.low,
        high=gap.high,
    )


def _change(one: Change) -> ChangeOut:
    figures = {"own": one.own, "colleagues": one.peers, "change": one.change, "low": one.low, "high": one.high}
    return ChangeOut(
        habit=one.then.habit.name,
        then=_gap(one.then),
        deals=one.deals,
        verdict="better" if one.better else "worse" if one.worse else "not known yet",
        **{name: None if math.isnan(value) else value for name, value in figures.items()},
    )
