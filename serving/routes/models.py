"""Versions of the models: which there are, which is in use; putting another in use."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from serving import model_changes
from serving.dependencies import ServerDep, SignedInDep, ViewerDep
from serving.documents import example
from serving.examples import IN_USE, MODELS
from serving.schemas import WITHOUT_NULL
from training import registry

router = APIRouter(prefix="/models", tags=["models"])


class ModelVersion(BaseModel):
    """A registered version."""

    what: registry.What
    version: str
    made_at: datetime
    in_use: bool
    verdict: Annotated[str, Field(description="What the gate said of it against the one in use then.")]
    metrics: dict[str, float]


class ModelList(BaseModel):
    """All versions, newest first."""

    versions: list[ModelVersion]


class Why(BaseModel):
    """The reason of a change, kept in the audit log."""

    model_config = ConfigDict(extra="forbid")

    why: Annotated[str, Field(min_length=3, max_length=500), WITHOUT_NULL]


class InUse(BaseModel):
    """The version that is in use now; scores change with the next scoring."""

    what: registry.What
    version: str


@router.get("", responses=example(MODELS))
def list_models(server: ServerDep, viewer: ViewerDep) -> ModelList:
    """All versions of all models with the gate's verdicts, newest first."""
    found = registry.list_versions(tracking=server.home.tracking)
    rows = [
        {
            "what": v.what,
            "version": v.version,
            "made_at": v.made_at,
            "in_use": registry.CHAMPION in v.aliases,
            "verdict": v.tags.get("verdict", ""),
            "metrics": {
                name: value for name, value in v.metrics.items() if value == value and abs(value) < float("inf")
            },
        }
        for v in found
    ]
    return ModelList(versions=[ModelVersion.model_validate(row) for row in rows])


@router.post("/{what}/versions/{version}/promote", responses=example(IN_USE))
def promote(what: registry.What, version: str, given: Why, server: ServerDep, viewer: SignedInDep) -> InUse:
    """Put a version in use, whatever the gate said; for analysts and administrators, with the reason."""
    model_changes.promote(server, viewer, what, version, given.why)
    return InUse(what=what, version=version)


@router.post("/{what}/roll-back", responses=example(IN_USE))
def roll_back(what: registry.What, given: Why, server: ServerDep, viewer: SignedInDep) -> InUse:
    """Put back the version that the one in use replaced; for analysts and administrators, with the reason."""
    return InUse(what=what, version=model_changes.roll_back(server, viewer, what, given.why))
