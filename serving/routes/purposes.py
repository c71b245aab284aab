"""What figures on persons may be used for: who agreed, when, and its withdrawal."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from serving.dependencies import AdminDep, CompanyDep, StoreDep, ViewerDep
from serving.documents import example
from serving.people_data.examples import PURPOSE, PURPOSES_NOW
from serving.people_data.purposes import Agreement, Purposes

router = APIRouter(prefix="/purposes", tags=["people"])
PurposeName = Annotated[str, Path(max_length=40, description="coaching, appraisal, pay or contests.")]


class PurposeOut(BaseModel):
    """A purpose as it stands."""

    purpose: str
    on: bool
    why_off: Annotated[str, Field(description="Empty while it is on.")]
    agreements: list[Agreement]


class PurposeList(BaseModel):
    """All purposes."""

    purposes: list[PurposeOut]


class Agreed(BaseModel):
    """Who agreed to a purpose, and when."""

    model_config = ConfigDict(extra="forbid")

    agreed_by: Annotated[str, Field(min_length=1, max_length=200, description="Such as 'works council'.")]
    agreed_on: date
    note: Annotated[str, Field(max_length=1000)] = ""


@router.get("", responses=example(PURPOSES_NOW))
def list_purposes(store: StoreDep, viewer: ViewerDep, company: CompanyDep) -> PurposeList:
    """What figures on persons may be used for, and who agreed to it; everyone may know."""
    return PurposeList(purposes=[PurposeOut(**asdict(state)) for state in Purposes(store, company).all()])


@router.put("/{purpose}", responses=example(PURPOSE))
def record(purpose: PurposeName, given: Agreed, store: StoreDep, viewer: AdminDep, company: CompanyDep) -> PurposeOut:
    """Record who agreed to a purpose: it is on from now; for administrators."""
    Purposes(store, company).record(purpose, who=viewer.name, **given.model_dump())
    return _state(Purposes(store, company), purpose)


@router.delete("/{purpose}", responses=example(PURPOSE))
def withdraw(
    purpose: PurposeName,
    store: StoreDep,
    viewer: AdminDep,
    company: CompanyDep,
    why: Annotated[str, Query(max_length=500)] = "",
) -> PurposeOut:
    """Withdraw a purpose: it is off from now, and that it was on stays recorded; for administrators."""
    Purposes(store, company).withdraw(purpose, why=why, who=viewer.name)
    return _state(Purposes(store, company), purpose)


def _state(purposes: Purposes, purpose: str) -> PurposeOut:
    return next(PurposeOut(**asdict(state)) for state in purposes.all() if state.purpose == purpose)
