"""The queue of jobs and its leases on SQLite and PostgreSQL; a real worker that runs, stops and resumes."""

import os
import socket
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta
from datetime import time as datetime_time

import pytest
from sqlalchemy import select, update

from serving.home import Home
from serving.jobs.leases import Busy, give_back, held, lives, process_name, take
from serving.jobs.queue import JobLost, NoSuchJob, Queue
from serving.jobs.tasks import drop_forgotten, upload_folder
from serving.jobs.worker import Worker
from serving.settings import Settings
from serving.store import Store
from serving.tables.audit import AuditEntry
from serving.tables.jobs import Lease, StoredJob
from tests.serving.small_site import fill

ELSEWHERE = "another-host/1:17"  # of a process on another machine nobody can ask whether it lives


def test_jobs_are_taken_up_in_the_order_they_were_asked_for(store):
    queue = Queue(store)
    first, second = queue.ask("train", {"what": "win"}), queue.ask("score", {})
    assert queue.claim("w1").job_id == first.job_id
    assert queue.claim("w2").job_id == second.job_id
    assert queue.claim("w3") is None
    queue.tell(first.job_id, "w1", "half way", 0.5)
    queue.end(first.job_id, "w1", "done", "win 1", {"version": "1"})
    found = queue.find(first.job_id)
    assert (found.state, found.done, found.text, found.result) == ("done", 1.0, "win 1", {"version": "1"})
    said = [(e.state, e.done, e.text) for e in queue.events(first.job_id)]
    assert said == [("queued", 0, ""), ("running", 0, ""), ("running", 0.5, "half way"), ("done", 1, "win 1")]
    last = queue.events(first.job_id)[1].event_id
    assert [e.state for e in queue.events(first.job_id, after=last)] == ["running", "done"]
    with pytest.raises(NoSuchJob):
        queue.find(99)


def test_what_writes_the_lake_never_runs_twice_at_once(store):
    """An import and a sync share the lake; a score job behind them need not wait."""
    queue = Queue(store)
    lake = [queue.ask("import", {"n": 1}), queue.ask("sync", {"crm": "zoho"}), queue.ask("import", {"n": 2})]
    score = queue.ask("score", {})
    assert [queue.claim(w).job_id for w in ("w1", "w2")] == [lake[0].job_id, score.job_id]
    assert queue.claim("w3") is None
    queue.end(lake[0].job_id, "w1", "failed", "No.")
    assert queue.claim("w3").job_id == lake[1].job_id


def test_many_workers_at_once_take_each_job_once(store):
    queue = Queue(store)
    asked = [queue.ask("import", {}).job_id for _ in range(6)]
    done, together, most = [], [], []

    def work(name):
        end = time.monotonic() + 30
        while len(done) < len(asked) and time.monotonic() < end:
            job = queue.claim(name)
            if job is None:
                time.sleep(0.01)
                continue
            together.append(name)
            most.append(len(together))
            time.sleep(0.02)
            together.remove(name)
            queue.end(job.job_id, name, "done", "")
            done.append(job.job_id)

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == asked
    assert max(most) == 1  # all of them write the lake


def test_a_silent_worker_loses_its_job_and_may_not_write_any_more(store):
    queue = Queue(store, lease_seconds=30)
    job = queue.ask("score", {})
    queue.claim(ELSEWHERE)
    assert queue.claim("w2") is None  # it was heard of just now
    with store.session() as session:
        long_ago = datetime.now(UTC) - timedelta(seconds=31)
        session.execute(update(StoredJob).values(beat_at=long_ago))
        session.execute(update(Lease).values(until=long_ago))
    again = queue.claim("w2")
    assert (again.job_id, again.attempt) == (job.job_id, 2)
    with pytest.raises(JobLost):
        queue.tell(job.job_id, ELSEWHERE, "still here")
    with pytest.raises(JobLost):
        queue.end(job.job_id, ELSEWHERE, "done", "")
    assert queue.find(job.job_id).worker == "w2"
    assert any("gone" in e.text for e in queue.events(job.job_id))


def test_a_worker_that_died_on_this_machine_is_not_waited_for(store):
    child = subprocess.Popen(["/bin/true"])
    child.wait()
    gone = process_name().replace(str(os.getpid()), str(child.pid))
    assert (lives(gone), lives(process_name()), lives(f"{socket.gethostname()}-other:1")) == (False, True, True)
    queue = Queue(store)
    job = queue.ask("score", {})
    queue.claim(gone)
    assert queue.claim("w2").job_id == job.job_id


def test_a_job_whose_process_dies_thrice_has_failed_with_a_sentence(store):
    queue = Queue(store)
    job = queue.ask("score", {})
    for attempt in (1, 2, 3):
        assert queue.claim("w").attempt == attempt
        found = queue.put_back(job.job_id, "w", "It ended by SIGKILL.")
    assert (found.state, found.ended_at is not None) == ("failed", True)
    assert "SIGKILL" in found.text
    assert "worker.log" in found.text
    assert queue.claim("w") is None


def test_being_stopped_in_order_does_not_count(store):
    queue = Queue(store)
    job = queue.ask("score", {})
    for _ in range(5):
        assert queue.claim("w").attempt == 1
        assert queue.put_back(job.job_id, "w", "Stopped.", counts=False).state == "queued"


def test_a_waiting_job_is_cancelled_at_once_and_a_running_one_told_to_stop(store):
    queue = Queue(store)
    waiting, running = queue.ask("train", {}), queue.ask("score", {})
    assert queue.cancel(waiting.job_id).state == "cancelled"
    assert queue.claim("w").job_id == running.job_id
    assert queue.beat(running.job_id, "w") is False
    assert queue.cancel(running.job_id).state == "running"
    assert queue.beat(running.job_id, "w") is True
    with pytest.raises(JobLost):
        queue.tell(running.job_id, "w", "about to write")
    queue.end(running.job_id, "w", "cancelled", "Stopped.")
    assert queue.cancel(running.job_id).text == "Stopped."  # one that has ended stays as it is
    queue.ask("score", {})
    assert queue.claim("w2") is not None  # the lease was given back


def test_the_same_night_is_asked_for_once(store):
    queue = Queue(store)
    one, two = (queue.ask("score", {}, how="schedule", once="score 2026-03-01") for _ in range(2))
    assert one.job_id == two.job_id
    assert queue.ask("score", {}, once="score 2026-03-02").job_id != one.job_id


def test_pages_of_jobs_follow_each_other(store):
    queue = Queue(store)
    asked = [queue.ask("score", {}).job_id for _ in range(5)]
    page = queue.newest(limit=2)
    assert [j.job_id for j in page] == asked[:-3:-1]
    assert [j.job_id for j in queue.newest(limit=9, before=page[-1].job_id)] == asked[2::-1]


def test_a_lease_is_prolonged_while_the_block_lasts(store):
    with held(store, "lake", seconds=0.5):
        time.sleep(1.0)  # twice its length
        with store.session() as session:
            assert not take(session, "lake", ELSEWHERE)
        with pytest.raises(Busy, match="lake"), held(store, "lake"):
            pass
    with store.session() as session:
        assert take(session, "lake", ELSEWHERE)
        give_back(session, "lake", "someone else")
        assert not take(session, "lake", "w2")


@pytest.fixture
def working(tmp_path):
    """A worker on a home whose lake holds a few deals."""
    home = Home(tmp_path / "home")
    home.make()
    fill(home)
    worker = Worker(Settings(home=home.root, score_at=None), poll=0.1)
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    yield home, worker.queue
    stop.set()
    thread.join()
    worker.close()


def until(queue, job_id, states, seconds=60):
    end = time.monotonic() + seconds
    while queue.find(job_id).state not in states:
        assert time.monotonic() < end, queue.find(job_id)
        time.sleep(0.05)
    return queue.find(job_id)


def test_a_job_that_cannot_be_done_fails_with_the_mend(working):
    home, queue = working
    pages = Store(home.database_url)
    job = Queue(pages).ask("sync", {"crm": "tryton"})
    pages.close()
    found = until(queue, job.job_id, ("failed", "done"))
    assert (found.state, found.worker) == ("failed", process_name())
    assert "BELLWETHER_TRYTON_URL" in found.text


def test_the_night_is_asked_for_once_something_was_scored(tmp_path):
    home = Home(tmp_path / "home")
    home.make()
    fill(home)
    now = datetime.now(UTC)
    worker = Worker(Settings(home=home.root, score_at=now.time().replace(hour=0, minute=0)))
    worker._nightly()
    assert worker.queue.newest() == []  # no model is in use, so there is nothing to score with
    home.scores.mkdir()
    (home.scores / "current").write_text("first")
    worker._nightly()
    worker._look_at, worker._asked = 0.0, None  # as after a restart
    worker._nightly()
    asked = [(j.kind, j.asked_how) for j in worker.queue.newest()]
    assert asked == [("monitor", "schedule"), ("score", "schedule")]  # newest first
    worker.close()


@pytest.mark.parametrize("scores", [True, False])
def test_what_is_too_old_on_persons_goes_once_a_night_though_nothing_was_scored(tmp_path, scores):
    home = Home(tmp_path / "home")
    home.make()
    home.company_file.write_text("people: {keep_months: 1}\n", encoding="utf-8")
    worker = Worker(Settings(home=home.root, score_at=datetime_time(0) if scores else None))

    def note(what, days):
        with worker.store.session() as session:
            moment = datetime.now(UTC) - timedelta(days=days)
            session.add(AuditEntry(at=moment, who="x", what=what, detail={}))

    def left():
        with worker.store.reading() as session:
            return sorted(session.scalars(select(AuditEntry.what)))

    note("old", 40)  # a month is 31 days at most
    note("young", 20)
    worker._nightly()
    assert left() == ["people tidied", "young"]
    note("old", 40)
    worker._look_at = 0.0
    worker._nightly()
    assert left() == ["old", "people tidied", "young"]  # today's round is over
    worker._look_at, worker._tidied = 0.0, worker._tidied - timedelta(days=1)
    worker._nightly()
    assert left() == ["people tidied", "people tidied", "young"]
    assert worker.queue.newest() == []
    worker.close()


def test_before_the_hour_of_the_night_nothing_is_tidied(tmp_path):
    home = Home(tmp_path / "home")
    home.make()
    worker = Worker(Settings(home=home.root, score_at=datetime_time(23, 59, 59, 999999)))
    worker._nightly()
    assert worker._tidied is None
    worker.close()


def test_uploads_that_nobody_waits_for_go(tmp_path):
    home = Home(tmp_path)
    for name, age in (("old", 8), ("new", 6)):
        folder = upload_folder(home, name)
        folder.mkdir(parents=True)
        then = time.time() - age * 86400
        os.utime(folder, (then, then))
    drop_forgotten(home)
    assert [p.name for p in (tmp_path / "uploads").iterdir()] == ["new"]
