"""The worker: takes jobs from the queue, does each in a process of its own, says that it lives, stops it when asked."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, date, datetime
from datetime import time as clock
from pathlib import Path
from typing import IO

from sqlalchemy.exc import OperationalError

from crm.company import Company
from crm.errors import BellwetherError
from serving import messages
from serving.crms import channels_of
from serving.home import Home
from serving.jobs.leases import LEASE_SECONDS, process_name
from serving.jobs.queue import Job, JobLost, Kind, Queue
from serving.jobs.steps import Steps
from serving.jobs.tasks import drop_forgotten, drop_upload
from serving.mail import Mail
from serving.people_data.tidying import tidy
from serving.reviews.reminders import remind
from serving.settings import Settings
from serving.store import Store

_NIGHTLY: tuple[Kind, ...] = ("score", "monitor")
_CLOCK = 20.0  # seconds between two looks at the clock
_RETRY = 3600.0  # seconds until a CRM is asked again to prolong a channel
_GRACE = 5.0  # seconds that a job has to end by itself when it is to be stopped
log = logging.getLogger("bellwether.worker")


class Worker:
    """Does the jobs of one home, one at a time.

    Parameters
    ----------
    settings : Settings
        Which home, and when to score and tidy by itself.
    poll : float
        Seconds between two looks at the queue, and at a running job.
    lease_seconds : float
        After so much silence another worker takes over.
    """

    def __init__(self, settings: Settings, *, poll: float = 0.5, lease_seconds: float = LEASE_SECONDS) -> None:
        self._settings, self._poll = settings, poll
        self.home = Home.of(settings)
        self.store = Store(self.home.database_url)
        self.queue = Queue(self.store, lease_seconds=lease_seconds)
        self.name = process_name()
        self._scratch = self.home.root / "work"
        self._look_at = 0.0
        self._asked: date | None = None
        self._tidied: date | None = None
        self._reminded: date | None = None
        self._remind_after = 0.0
        self._renew_at = 0.0

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop; a job at work then goes back to the queue."""
        drop_forgotten(self.home)
        while not stop.is_set():
            try:
                self._nightly()
                job = self.queue.claim(self.name)
            except OperationalError as error:  # locked, full or restarting: what is queued stays there
                log.warning("The store does not answer: %s", str(error.orig).strip())
                job = None
            if job is None:
                stop.wait(self._poll)
            else:
                self.do(job, stop)

    def do(self, job: Job, stop: threading.Event) -> None:
        """Have a claimed job done, and see that its end is told whatever the end."""
        log.info("job %s (%s) begins, attempt %s", job.job_id, job.kind, job.attempt)
        scratch = self._scratch / str(job.job_id)
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        with (self.home.root / "worker.log").open("ab") as out:
            child = self._start(job, scratch, out)
            why = self._watch(job, child, stop)
            _end(child)
        shutil.rmtree(scratch, ignore_errors=True)
        self._settle(job, why, child.returncode)

    def close(self) -> None:
        """Give back the store."""
        self.store.close()

    def _start(self, job: Job, scratch: Path, out: IO[bytes]) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "serving.jobs.child", str(self.home.root), str(job.job_id), self.name]
        return subprocess.Popen(
            [*command, str(os.getpid()), str(scratch)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,  # so that the job's own processes end with it
        )

    def _watch(self, job: Job, child: subprocess.Popen[bytes], stop: threading.Event) -> str:
        """Wait for a job's end; give why it is to be ended before that, or ''."""
        while child.poll() is None:
            if stop.is_set():
                return "stopped"
            try:
                if self.queue.beat(job.job_id, self.name):
                    return "cancelled"
            except JobLost:
                # The child may have told its end between two looks.
                return "" if self._told_its_end(job) else "lost"
            except OperationalError as error:
                log.warning("job %s: the store does not answer: %s", job.job_id, str(error.orig).strip())
            try:
                child.wait(self._poll)
            except subprocess.TimeoutExpired:
                continue
        return ""

    def _told_its_end(self, job: Job) -> bool:
        return self.queue.find(job.job_id).ended

    def _settle(self, job: Job, why: str, status: int | None) -> None:
        """What the child could not tell itself; tried until the store answers."""
        wait = threading.Event()
        while True:
            try:
                self._tell_end(job, why, status)
                break
            except JobLost:  # it told its end itself, or another worker has the job
                break
            except OperationalError as error:
                log.warning("job %s: its end cannot be told yet: %s", job.job_id, str(error.orig).strip())
                wait.wait(max(self._poll, 0.5))
        found = self.queue.find(job.job_id)
        log.info("job %s (%s): %s. %s", job.job_id, job.kind, found.state, found.text)
        if found.ended:
            drop_upload(self.home, job)

    def _tell_end(self, job: Job, why: str, status: int | None) -> None:
        if why == "cancelled":
            self.queue.end(job.job_id, self.name, "cancelled", "Stopped; nothing of it was kept.")
        elif why == "stopped":
            self.queue.put_back(job.job_id, self.name, "The worker was stopped.", counts=False)
        else:
            said = signal.Signals(-status).name if status is not None and status < 0 else f"status {status}"
            self.queue.put_back(job.job_id, self.name, f"The process that ran it ended by {said}.")

    def _nightly(self) -> None:
        """What is due once a day, once it is time on the company's clock; a day without a worker is made up for."""
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + _CLOCK
        if any(step.state in ("waiting", "running") for step in Steps(self.store).all()):
            return  # the first build has the machine
        try:
            company = self.home.company()
        except BellwetherError as error:  # jobs say it too; those that need no company go on
            log.warning("Nothing nightly is done: %s", error)
            return
        now = datetime.now(UTC).astimezone(company.zone)
        self._renew_channels()
        self._ask_for_jobs(now)
        self._tidy(company, now)
        self._remind(company, now)

    def _renew_channels(self) -> None:
        """Prolong the channels of CRMs that end soon; where that fails it is tried again an hour later."""
        if time.monotonic() < self._renew_at:
            return
        for channel in messages.due(self.store, datetime.now(UTC)):
            self._renew_at = time.monotonic() + _RETRY
            try:
                crm = channel.crm
                messages.renew(self.store, channels_of(crm, self._settings, self.home), channel)
                log.info("%s: messages on changes were prolonged", crm)
            except BellwetherError as error:
                log.warning("%s: messages on changes end at %s: %s", crm, channel.expires_at, error)

    def _ask_for_jobs(self, now: datetime) -> None:
        at = self._settings.score_at
        if at is None or now.time() < at or now.date() == self._asked or not (self.home.scores / "current").exists():
            return
        for kind in _NIGHTLY:
            self.queue.ask(kind, {}, how="schedule", once=f"{kind} {now.date().isoformat()}")
        self._asked = now.date()

    def _tidy(self, company: Company, now: datetime) -> None:
        """Take out what is older than people.keep_months; scores turned off do not keep it longer."""
        if now.time() < (self._settings.score_at or clock.min) or now.date() == self._tidied:
            return
        found = asdict(tidy(self.store, company, now=now.astimezone(UTC), who="schedule"))
        self._tidied = now.date()
        if any(found.values()):
            log.info("older than %s months, taken out: %s", company.people.keep_months, found)

    def _remind(self, company: Company, now: datetime) -> None:
        """Mail people what is due; a server that does not answer is tried again an hour later."""
        at, mail = self._settings.remind_at, Mail(self._settings)
        waits = now.date() == self._reminded or time.monotonic() < self._remind_after
        if at is None or not mail.ready or now.time() < at or waits:
            return
        done = remind(self.store, self.home.lake.view(), company, mail, now.astimezone(UTC))
        if done.failed:
            self._remind_after = time.monotonic() + _RETRY
            log.warning("%s reminders were not sent: %s", len(done.failed), done.failed[0])
            return
        self._reminded = now.date()
        log.info("%s reminders were sent", done.sent)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a job's process and those it started; nothing where it has ended."""
    if child.poll() is None:
        _send(child, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            child.wait(_GRACE)
    _send(child, signal.SIGKILL)
    child.wait()


def _send(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(child.pid, number)
    except (ProcessLookupError, PermissionError):
        return
