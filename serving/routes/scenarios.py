"""Scenarios: where plan and reality part, and what levers would change in the running quarter."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from planning.levers import Basis
from planning.scenarios import Comparison
from serving.dependencies import ServerDep, SignedInDep
from serving.documents import example
from serving.examples_reviews import SCENARIO, SIGNALS
from serving.people_data.subjects import keys_of
from serving.people_data.views import note_looks
from serving.reviews.desk import ReviewDeskDep
from serving.scenarios import GivenLever, played, seen_totals, signals_of

router = APIRouter(prefix="/scenarios", tags=["goals"])


class GivenScenario(BaseModel):
    """Levers to be tried together; none changes nothing."""

    model_config = ConfigDict(extra="forbid")

    levers: Annotated[list[GivenLever], Field(max_length=10)] = []


class Figures(BaseModel):
    """A total's draws in figures, base currency."""

    mean: float
    p10: float
    p50: float
    p90: float
    target: float | None = None
    p_attain: float | None = None


class TotalOut(BaseModel):
    """One owner before and after, with the same luck."""

    owner: Annotated[str, Field(description="'company', a team or a rep.")]
    before: Figures
    after: Figures
    gain: Annotated[float, Field(description="Mean of the paired difference.")]
    gain_low: Annotated[float, Field(description="Low end of its 80 % interval.")]
    gain_high: float
    better: Annotated[float, Field(description="Share of the draws in which it is better.")]
    worse: float
    unchanged: Annotated[bool, Field(description="Whether not one draw moved.")]


class ScenarioOut(BaseModel):
    """A scenario's outcome."""

    period_start: date
    period_end: Annotated[date, Field(description="First day after.")]
    totals: list[TotalOut]
    cost: float
    net: Annotated[float | None, Field(description="Gain of the company less the cost; only where you see it.")]
    basis: Annotated[list[Basis], Field(description="What the effects rest on; what was typed in is an assumption.")]


class SignalOut(BaseModel):
    """One place where plan and reality part."""

    kind: Literal["team_behind", "product_behind", "segment_behind", "segment_drift", "market"]
    subject: str
    actual: float
    expected: float
    low: Annotated[float, Field(description="The least that was still usual; of a drift the limit.")]
    basis: str


class TrendOut(BaseModel):
    """The newest whole month against what was to be expected of it."""

    month: str
    method: Literal["ets", "seasonal naive"]
    expected: float
    low: float
    high: float
    actual: float
    outside: bool


class SignalList(BaseModel):
    """Signals, the largest gap first."""

    signals: list[SignalOut]
    trend: Annotated[TrendOut | None, Field(description="Unset with under nine whole months, or where not yours.")]


@router.get("/signals", responses=example(SIGNALS))
def list_signals(desk: ReviewDeskDep) -> SignalList:
    """Where plan and reality part: teams, products and segments behind, a drifting mix, a month outside the trend."""
    desk.material.scores.frame("deals")
    found, trend = signals_of(desk.material)
    names = ("month", "method", "expected", "low", "high", "actual", "outside")
    told = TrendOut(**{name: getattr(trend, name) for name in names}) if trend else None
    rows = [SignalOut(**{n: getattr(s, n) for n in SignalOut.model_fields}) for s in found]
    return SignalList(signals=rows, trend=told)


@router.post("", responses=example(SCENARIO))
def play_scenario(given: GivenScenario, desk: ReviewDeskDep, server: ServerDep, _: SignedInDep) -> ScenarioOut:
    """Draw the running quarter again with some levers and the same luck; nothing is stored."""
    desk.material.scores.frame("deals")
    newest = server.book.newest(desk.material.company)
    scenario, ground = played(desk.material, newest, server.home.tracking, given.levers)
    totals = seen_totals(scenario, desk.material)
    shown = [t.owner for t in totals if t.owner in desk.material.facts.reps.index]
    note_looks(server.store, desk.viewer, shown, keys_of(desk.material.view), what="scenario")
    inputs = ground.base.inputs
    return ScenarioOut(
        period_start=inputs.start, period_end=inputs.end, totals=[_total(t) for t in totals], cost=scenario.cost,
        net=scenario.net if desk.sees("company") else None, basis=list(scenario.basis),
    )  # fmt: skip


def _total(one: Comparison) -> TotalOut:
    names = ("owner", "gain", "gain_low", "gain_high", "better", "worse", "unchanged")
    values = {name: getattr(one, name) for name in names}
    return TotalOut(before=Figures(**one.before), after=Figures(**one.after), **values)
