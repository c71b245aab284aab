"""Work that goes on."""

from __future__ import annotations

from fastapi import APIRouter

from serving.dependencies import JobsDep, ViewerDep
from serving.documents import example
from serving.examples import JOBS
from serving.schemas import JobList, JobStep

router = APIRouter(tags=["service"])


@router.get("/jobs", responses=example(JOBS))
def read_jobs(jobs: JobsDep, viewer: ViewerDep) -> JobList:
    """Steps of the work going on, and how far each is."""
    steps = jobs.steps()
    return JobList(
        working=any(step.state in ("waiting", "running") for step in steps),
        steps=[JobStep(name=s.name, state=s.state, done=s.done, text=s.text) for s in steps],
    )
