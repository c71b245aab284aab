"""The queue of jobs in the store: asked for, taken up by a worker, told about, ended; each change is an event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.errors import NotFound, NotReady
from serving.jobs.leases import LEASE_SECONDS, give_back, lives, take
from serving.store import Store
from serving.tables.jobs import JobEvent, StoredJob

Kind = Literal["import", "sync", "train", "ranges", "score", "monitor", "write-back"]
State = Literal["queued", "running", "done", "failed", "cancelled"]
KINDS: tuple[Kind, ...] = get_args(Kind)
ENDED = frozenset({"done", "failed", "cancelled"})
WRITES: dict[str, str] = {
    "import": "lake", "sync": "lake", "train": "models", "ranges": "models", "score": "scores", "monitor": "findings",
    "write-back": "write-back",
}  # fmt: skip
"""What a kind writes: the name of the lease that it needs."""
_TRIES = 3


class NoSuchJob(NotFound):
    """There is no job of that number."""

    def __init__(self, job_id: int) -> None:
        super().__init__("There is no job {job_id}. GET /api/v1/jobs lists them.", job_id=job_id)


class JobLost(NotReady):
    """The job was stopped, or another worker has taken it over; whoever runs it must not write any more."""

    def __init__(self, job_id: int) -> None:
        super().__init__("Job {job_id} is no longer this process's to run.", job_id=job_id)


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it stands; `done` is its share from 0 to 1."""

    job_id: int
    kind: Kind
    state: State
    params: dict[str, Any]
    asked_by: int | None
    asked_how: str
    asked_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    cancel_at: datetime | None
    done: float
    text: str
    result: dict[str, Any] | None
    attempt: int
    worker: str | None
    beat_at: datetime | None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ENDED


@dataclass(frozen=True, slots=True)
class Event:
    """What a job told at a moment."""

    event_id: int
    at: datetime
    state: State
    done: float
    text: str


class Queue:
    """Jobs of one home.

    Parameters
    ----------
    store : Store
        Where they are kept.
    lease_seconds : float
        How long a worker may be silent before its job is taken over.
    """

    def __init__(self, store: Store, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self._store = store
        self._seconds = lease_seconds

    def ask(
        self,
        kind: Kind,
        params: dict[str, Any],
        *,
        by: int | None = None,
        how: str = "user",
        once: str | None = None,
    ) -> Job:
        """Put a job in the queue.

        Parameters
        ----------
        by : int, optional
            user_id of who asks.
        how : str
            'user', 'command line', 'schedule', 'message' (of a CRM) or 'after job N'.
        once : str, optional
            A name that no other job has; where one has it, that one is given and none is added.
        """
        with self._store.session() as session:
            if once and (known := session.scalar(select(StoredJob).where(StoredJob.once == once))):
                return _job(known)
            job = StoredJob(
                kind=kind, state="queued", params=params, asked_by=by, asked_how=how, once=once,
                asked_at=datetime.now(UTC), done=0.0, text="", attempt=0,
            )  # fmt: skip
            session.add(job)
            session.flush()
            _note(session, job)
            return _job(job)

    def find(self, job_id: int) -> Job:
        """One job.

        Raises
        ------
        NoSuchJob
            If there is none of that number.
        """
        with self._store.reading() as session:
            found = session.get(StoredJob, job_id) if 0 < job_id < 2**31 else None
            if found is None:
                raise NoSuchJob(job_id)
            return _job(found)

    def newest(self, *, limit: int = 50, before: int | None = None, kinds: tuple[str, ...] = KINDS) -> list[Job]:
        """Jobs by falling number, those below `before` alone."""
        query = select(StoredJob).where(StoredJob.kind.in_(kinds)).order_by(StoredJob.job_id.desc()).limit(limit)
        with self._store.reading() as session:
            found = session.scalars(query if before is None else query.where(StoredJob.job_id < before)).all()
            return [_job(job) for job in found]

    def waiting(self, kind: Kind) -> Job | None:
        """The first job of a kind that no worker has taken up yet."""
        query = select(StoredJob).where(StoredJob.kind == kind, StoredJob.state == "queued")
        with self._store.reading() as session:
            found = session.scalars(query.order_by(StoredJob.job_id)).first()
            return _job(found) if found else None

    def events(self, job_id: int, *, after: int = 0) -> list[Event]:
        """What a job told since an event."""
        query = select(JobEvent).where(JobEvent.job_id == job_id, JobEvent.event_id > after)
        with self._store.reading() as session:
            rows = session.scalars(query.order_by(JobEvent.event_id)).all()
        return [Event(e.event_id, e.at, e.state, e.done, e.text) for e in rows]  # type: ignore[arg-type]

    def cancel(self, job_id: int) -> Job:
        """Stop a job: one that waits ends at once, one that runs within seconds; one that has ended stays as it is."""
        with self._store.session() as session:
            job = _locked(session, job_id)
            if job is None:
                raise NoSuchJob(job_id)
            if job.state == "queued":
                _end(session, job, "cancelled", "Cancelled before it began.")
            elif job.state == "running" and job.cancel_at is None:
                job.cancel_at = datetime.now(UTC)
                _note(session, job)
            return _job(job)

    def claim(self, worker: str) -> Job | None:
        """Take up the first job whose lease is free; None where there is none."""
        if not self._has_work():  # an idle worker must not hold up those who write
            return None
        with self._store.session() as session:
            self._take_back(session)
            query = select(StoredJob).where(StoredJob.state == "queued").order_by(StoredJob.job_id)
            tried: set[str] = set()
            for job in session.scalars(query.with_for_update(skip_locked=True)):
                lease = WRITES[job.kind]
                if lease in tried:
                    continue
                tried.add(lease)
                if take(session, lease, worker, seconds=self._seconds):
                    job.state, job.worker, job.attempt = "running", worker, job.attempt + 1
                    job.started_at, job.beat_at, job.text, job.done = datetime.now(UTC), datetime.now(UTC), "", 0.0
                    _note(session, job)
                    return _job(job)
        return None

    def beat(self, job_id: int, worker: str) -> bool:
        """Say that a job is still being worked on; give whether it is to be stopped.

        Raises
        ------
        JobLost
            If another worker has taken it over.
        """
        with self._store.session() as session:
            job = self._mine(session, job_id, worker)
            job.beat_at = datetime.now(UTC)
            if not take(session, WRITES[job.kind], worker, seconds=self._seconds):
                raise JobLost(job_id)
            return job.cancel_at is not None

    def tell(self, job_id: int, worker: str, text: str, done: float | None = None) -> None:
        """Say what a job is at; as it refuses whoever lost the job, it also guards what is written next.

        Raises
        ------
        JobLost
            If the job is to be stopped, or another worker has taken it over.
        """
        with self._store.session() as session:
            job = self._mine(session, job_id, worker)
            if job.cancel_at is not None:
                raise JobLost(job_id)
            job.text = text
            job.done = job.done if done is None else min(max(done, 0.0), 1.0)
            _note(session, job)

    def end(self, job_id: int, worker: str, state: State, text: str, result: dict[str, Any] | None = None) -> None:
        """End a job and give back its lease.

        Raises
        ------
        JobLost
            If another worker has taken it over.
        """
        with self._store.session() as session:
            job = self._mine(session, job_id, worker)
            job.result = result
            _end(session, job, state, text)

    def put_back(self, job_id: int, worker: str, why: str, *, counts: bool = True) -> Job:
        """Let a job that was interrupted begin anew, or fail where that happened too often.

        Parameters
        ----------
        counts : bool
            False where it was stopped in order, which may happen any number of times.
        """
        with self._store.session() as session:
            job = self._mine(session, job_id, worker)
            if not counts:
                job.attempt -= 1
            _interrupted(session, job, why)
            return _job(job)

    def _has_work(self) -> bool:
        query = select(StoredJob.job_id).where(StoredJob.state.in_(("queued", "running"))).limit(1)
        with self._store.reading() as session:
            return session.scalar(query) is not None

    def _mine(self, session: Session, job_id: int, worker: str) -> StoredJob:
        job = _locked(session, job_id)
        if job is None or job.state != "running" or job.worker != worker:
            raise JobLost(job_id)
        return job

    def _take_back(self, session: Session) -> None:
        """What a worker left behind that is gone goes on, or has failed."""
        silent = datetime.now(UTC) - timedelta(seconds=self._seconds)
        running = select(StoredJob).where(StoredJob.state == "running").order_by(StoredJob.job_id)
        for job in session.scalars(running.with_for_update(skip_locked=True)):
            if job.beat_at is None or job.beat_at < silent or not lives(job.worker or ""):
                _interrupted(session, job, "The process that ran it is gone.")


def _locked(session: Session, job_id: int) -> StoredJob | None:
    if not 0 < job_id < 2**31:
        return None
    return session.scalar(select(StoredJob).where(StoredJob.job_id == job_id).with_for_update())


def _interrupted(session: Session, job: StoredJob, why: str) -> None:
    if job.cancel_at is not None:
        _end(session, job, "cancelled", "Stopped; nothing of it was kept.")
    elif job.attempt >= _TRIES:
        _end(session, job, "failed", f"{why} It was tried {job.attempt} times. See worker.log, then ask again.")
    else:
        give_back(session, WRITES[job.kind], job.worker or "")
        job.state, job.worker, job.beat_at, job.text = "queued", None, None, f"{why} It begins anew."
        _note(session, job)


def _end(session: Session, job: StoredJob, state: State, text: str) -> None:
    if job.worker:
        give_back(session, WRITES[job.kind], job.worker)
    job.state, job.text, job.ended_at = state, text, datetime.now(UTC)
    job.done = 1.0 if state == "done" else job.done
    _note(session, job)


def _note(session: Session, job: StoredJob) -> None:
    text = "To be stopped." if job.state == "running" and job.cancel_at else job.text
    event = JobEvent(job_id=job.job_id, at=datetime.now(UTC), state=job.state, done=job.done, text=text)
    session.add(event)


def _job(job: StoredJob) -> Job:
    return Job(**{name: getattr(job, name) for name in Job.__slots__})
