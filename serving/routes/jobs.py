"""Jobs: asked for, listed, followed while they go on, stopped."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from serving.access import Viewer, may_see_jobs, may_start_jobs, may_write_back
from serving.crms import CrmName
from serving.dependencies import QueueDep, ServerDep, SignedInDep, StepsDep, ViewerDep
from serving.documents import example
from serving.examples import JOB, JOBS
from serving.jobs.queue import ENDED, Event, Job, Kind, Queue, State
from serving.schemas import JobStep, Probability

router = APIRouter(prefix="/jobs", tags=["jobs"])
_STREAM = {
    "schema": {"type": "string"},
    "example": (
        'retry: 2000\n\nid: 7\nevent: progress\ndata: {"state": "running", "done": 0.4, "text": "Next steps", '
        '"at": "2026-03-01T12:00:00+00:00"}\n\n'
    ),
}
JobNumber = Annotated[int, Field(ge=1, le=2**31 - 1)]
_LOOK = 0.5  # seconds between two looks for events
_ALIVE = 15.0  # seconds of silence after which a comment keeps the line open


class Train(BaseModel):
    """Fit models on the history; each is put in use if it passes the gate."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["train"]
    what: Annotated[Literal["win", "attainment", "churn"] | None, Field(description="Unset: all three.")] = None
    trials: Annotated[int, Field(ge=0, le=200, description="Win model: shapes of trees to try.")] = 12


class Sync(BaseModel):
    """Take what changed in a CRM since the last sync; keys stand in the server's settings."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["sync"]
    crm: CrmName


class Score(BaseModel):
    """Score with the models in use."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["score"]


class WriteBack(BaseModel):
    """Write what the newest scores say into the fields of a CRM's deals that company.yaml names; for administrators."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["write-back"]
    crm: CrmName
    dry_run: Annotated[bool, Field(description="Only say what would be written.")] = True


Wish = Annotated[Train | Sync | Score | WriteBack, Field(discriminator="kind")]


class JobRow(BaseModel):
    """A job as it stands."""

    job_id: int
    kind: Kind
    state: State
    done: Probability
    text: Annotated[str, Field(description="What it is at, what it made, or why it failed with the mend.")]
    asked_by: Annotated[int | None, Field(description="user_id; null where no user asked, or the user is gone.")]
    asked_how: Annotated[
        str, Field(description="'user', 'command line', 'schedule', 'message' (of a CRM) or 'after job N'.")
    ]
    asked_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    attempt: Annotated[int, Field(description="A job whose process died begins anew, three times at most.")]
    stopping: Annotated[bool, Field(description="Whether it was cancelled and is about to stop.")]
    params: dict[str, Any]
    result: Annotated[dict[str, Any] | None, Field(description="What came out, by kind; null until it is done.")]


class JobList(BaseModel):
    """Jobs, newest first, and the steps of a sample company's first build; `working` while any of those goes on."""

    working: bool
    steps: list[JobStep]
    jobs: list[JobRow]
    next_before: Annotated[int | None, Field(description="Give it as `before` for the next page.")]


@router.get("", responses=example(JOBS))
def read_jobs(
    steps: StepsDep,
    queue: QueueDep,
    viewer: ViewerDep,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="Jobs with a lower number alone.")] = None,
) -> JobList:
    """Jobs, newest first; for analysts and administrators. Others see the steps of the first build alone."""
    build = steps.all()
    found = queue.newest(limit=limit + 1, before=before) if viewer.sees_all else []
    page = found[:limit]
    return JobList(
        working=any(step.state in ("waiting", "running") for step in build),
        steps=[JobStep(name=s.name, state=s.state, done=s.done, text=s.text) for s in build],
        jobs=[row_of(job, results=False) for job in page],
        next_before=page[-1].job_id if len(found) > limit else None,
    )


@router.post("", status_code=202, responses=example(JOB, 202))
def ask(given: Wish, queue: QueueDep, server: ServerDep, viewer: SignedInDep, response: Response) -> JobRow:
    """Ask for training, a sync or scores; a worker takes it up. For analysts and administrators.

    Writing into a CRM is for administrators alone.
    """
    may_start_jobs(viewer)
    if given.kind == "write-back":
        may_write_back(viewer)
    params = given.model_dump(exclude={"kind"})
    job = queue.ask(given.kind, params, by=viewer.user_id)
    server.store.audit(f"user {viewer.user_id}", "ask for job", job=job.job_id, kind=job.kind, params=params)
    response.headers["Location"] = f"/api/v1/jobs/{job.job_id}"
    return row_of(job)


@router.get("/{job_id}", responses=example(JOB))
def read_job(job_id: JobNumber, queue: QueueDep, viewer: ViewerDep) -> JobRow:
    """One job with its result; for analysts and administrators."""
    may_see_jobs(viewer)
    return row_of(queue.find(job_id))


@router.post("/{job_id}/cancel", responses=example(JOB))
def cancel(job_id: JobNumber, queue: QueueDep, server: ServerDep, viewer: SignedInDep) -> JobRow:
    """Stop a job: one that waits ends at once, one that runs within seconds, and nothing of it is kept.

    One that has ended stays as it is. For analysts and administrators.
    """
    return row_of(stop(queue, server, viewer, job_id))


def stop(queue: Queue, server: ServerDep, viewer: Viewer, job_id: int) -> Job:
    """Cancel a job for a viewer and note who did."""
    may_start_jobs(viewer)
    job = queue.cancel(job_id)
    server.store.audit(f"user {viewer.user_id}", "cancel job", job=job_id)
    return job


@router.get(
    "/{job_id}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": _STREAM}, "description": "Events."}},
)
async def follow(
    job_id: JobNumber,
    server: ServerDep,
    queue: QueueDep,
    viewer: ViewerDep,
    seconds: Annotated[int, Query(ge=1, le=3600, description="The stream ends after so long at the latest.")] = 600,
    last_event_id: Annotated[str | None, Header(description="Go on after this event.")] = None,
) -> StreamingResponse:
    """A job's progress as server-sent events: `progress` while it goes on, `end` when it has ended, then no more.

    Each event's data is JSON with state, done, text and at. For analysts and administrators.
    """
    may_see_jobs(viewer)
    await run_in_threadpool(queue.find, job_id)
    after = int(last_event_id) if last_event_id and last_event_id.isascii() and last_event_id.isdigit() else 0
    stream = _events(queue, job_id, min(after, 2**31 - 1), time.monotonic() + seconds, server.stopping)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _events(queue: Queue, job_id: int, after: int, until: float, stopping: threading.Event) -> AsyncIterator[str]:
    yield "retry: 2000\n\n"
    said = time.monotonic()
    while True:
        # Asked before the events, so that an end seen here has its event in them.
        job = await run_in_threadpool(queue.find, job_id)
        for event in await run_in_threadpool(queue.events, job_id, after=after):
            after, said = event.event_id, time.monotonic()
            yield _framed(event)
        if job.ended or time.monotonic() >= until or stopping.is_set():
            return
        if time.monotonic() - said > _ALIVE:
            said = time.monotonic()
            yield ": still there\n\n"
        await asyncio.sleep(_LOOK)


def _framed(event: Event) -> str:
    data: Mapping[str, Any] = {
        "state": event.state, "done": event.done, "text": event.text, "at": event.at.isoformat()
    }  # fmt: skip
    name = "end" if event.state in ENDED else "progress"
    return f"id: {event.event_id}\nevent: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def row_of(job: Job, *, results: bool = True) -> JobRow:
    """A job as the API shows it."""
    return JobRow(
        **{name: getattr(job, name) for name in JobRow.model_fields if name not in ("stopping", "result")},
        stopping=job.cancel_at is not None and not job.ended,
        result=job.result if results else None,
    )
