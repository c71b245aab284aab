"""Whether the service works, and what it serves."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from serving.dependencies import CompanyDep, ServerDep
from serving.documents import example
from serving.examples import HEALTH

router = APIRouter(tags=["service"])


class Health(BaseModel):
    """State of the service; nothing in it is secret."""

    status: Annotated[str, Field(description="'ok' where scores can be served, else 'waiting'.")]
    sample: Annotated[bool, Field(description="Whether this is the sample company.")]
    as_of: Annotated[str | None, Field(description="Moment of the newest scores, UTC.")]


@router.get("/health", responses=example(HEALTH))
def read_health(server: ServerDep, company: CompanyDep) -> Health:
    """Whether the service works; answers without sign-in."""
    newest = server.book.newest(company)
    return Health(status="ok" if newest.mark else "waiting", sample=company.sample, as_of=newest.meta.get("as_of"))
