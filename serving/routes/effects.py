"""Whether suggested actions help: what the company's history and held-back suggestions say."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from models.effects_rules import Basis, Repeat
from serving.dependencies import CompanyDep, ServerDep, SightDep, ViewDep
from serving.documents import example
from serving.effects import REASONS, Range, Report, Told, report
from serving.examples import EFFECTS
from serving.holdback import Trial

router = APIRouter(tags=["effects"])


class RangeOut(BaseModel):
    """A difference in the share won, with its 90 % range."""

    value: float
    low: float
    high: float


class PartOut(BaseModel):
    """A part of the business: an effect of its own rows, and drawn towards the mean of all parts."""

    dimension: str
    level: str
    rows: int
    treated_rows: int
    own: RangeOut | None
    shrunk: float


class TrialOut(BaseModel):
    """Suggestions shown against suggestions held back by chance; the range holds however often it is looked at."""

    shown: int
    held_back: int
    known: Annotated[int, Field(description="Of these, such whose outcome is known.")]
    difference: RangeOut | None
    proves: bool
    more_needed: Annotated[int, Field(description="About how many more outcomes it takes to prove 3 points.")]


class EffectOut(BaseModel):
    """What is known of one action, on deals without an earlier one or with."""

    action: str
    part: Literal["first", "again"]
    basis: Basis
    reason: str
    why: str
    repeat: Repeat
    control: Annotated[bool, Field(description="No customer notices it: what it seems to do, bias does.")]
    rows: int
    treated_rows: int
    treated_deals: int
    causes: int
    stages: list[str]
    ranges: Annotated[dict[str, RangeOut | None], Field(description="By what was compared; null: not worked out.")]
    shares: dict[str, float | None]
    parts: list[PartOut]
    trial: TrialOut | None
    to_be_measured: Annotated[str, Field(description="What would make it 'measured'; empty where it is.")]
    more_needed: Annotated[int, Field(description="About how many more outcomes that takes; 0: no number.")]


class EffectsOut(BaseModel):
    """All actions; `until` is null where effects were not measured yet."""

    until: datetime | None
    horizon_weeks: int
    compared: str
    hold_back: float
    trial: TrialOut | None
    effects: list[EffectOut]


@router.get("/effects", responses=example(EFFECTS))
def read_effects(server: ServerDep, sight: SightDep, view: ViewDep, company: CompanyDep) -> EffectsOut:
    """What each suggested action did for the share of deals won, on what basis, and what is still missing."""
    return told_by_api(report(view, company, server.store, tracking=server.home.tracking))


def told_by_api(found: Report) -> EffectsOut:
    """A report in the API's form."""
    return EffectsOut(
        until=found.until,
        horizon_weeks=found.horizon_weeks,
        compared=found.compared,
        hold_back=found.share,
        trial=_trial(found.every),
        effects=[_effect(told) for told in found.effects],
    )


def _effect(told: Told) -> EffectOut:
    return EffectOut.model_validate(
        {
            **{name: getattr(told, name) for name in EffectOut.model_fields if hasattr(told, name)},
            "why": REASONS[told.reason],
            "ranges": {name: _range(found) for name, found in told.ranges.items()},
            "parts": [part | {"own": _range(part["own"])} for part in told.parts],
            "trial": _trial(told.trial),
        }
    )


def _range(found: Range | None) -> RangeOut | None:
    return None if found is None else RangeOut(value=found.value, low=found.low, high=found.high)


def _trial(found: Trial | None) -> TrialOut | None:
    if found is None:
        return None
    s = found.found
    known = s.half < float("inf")
    return TrialOut(
        shown=found.shown,
        held_back=found.held_back,
        known=found.known,
        difference=RangeOut(value=s.mean, low=s.low, high=s.high) if known else None,
        proves=s.proves,
        more_needed=found.more_needed,
    )
