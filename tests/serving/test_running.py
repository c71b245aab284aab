"""A server of several processes: one readiness, one set of counts, one answer to a repeated write, an end in order."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.app import create_app
from serving.home import Home
from serving.jobs.leases import take
from serving.jobs.queue import WRITES, Queue
from serving.live import LOOK_AGAIN
from serving.settings import Settings
from serving.store import Store
from serving.tokens import make_token
from serving.users import add_user, read_user
from tests.serving.small_site import fill, write_scores
from training import registry


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Running:
    """`bellwether serve` of a home, and a token of an administrator."""

    def __init__(self, home: Home, *, workers: int) -> None:
        self.store = Store(home.database_url)
        number = add_user(self.store, "running@example.com", None, "admin")
        token = make_token(self.store, read_user(self.store, number), "t", ["read", "write"], days=1)[1]
        self.headers = {"authorization": f"Bearer {token}"}
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.log = home.root / "serve.log"
        settings = {"BELLWETHER_LOG_FORMAT": "json", "PYTHONWARNINGS": "ignore"}
        command = [sys.executable, "-c", "from serving.cli import main; main()", "serve", "--home", str(home.root)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port), "--workers", str(workers)],
                env={**os.environ, **settings}, stdout=subprocess.DEVNULL, stderr=log,  # noqa: TID251
            )  # fmt: skip

    def wait(self) -> None:
        until = time.monotonic() + 240
        while time.monotonic() < until and self.process.poll() is None:
            try:
                if httpx.get(f"{self.address}/readyz", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.2)
        raise AssertionError(f"the server did not get ready: {self.log.read_text()[-2000:]}")

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.address + path, headers=self.headers, timeout=30)

    def line(self, request: str) -> dict:
        """The one line of a request: it is written after the answer is sent, so it may come a moment later."""
        until = time.monotonic() + 30
        while time.monotonic() < until:
            written = self.log.read_text().rpartition("\n")[0].splitlines()
            lines = [json.loads(line) for line in written if line.startswith("{")]
            if found := [line for line in lines if line.get("request") == request]:
                (one,) = found
                return one
            time.sleep(0.05)
        raise AssertionError(f"no line of request {request}: {self.log.read_text()[-2000:]}")


@contextmanager
def served(home: Home, *, workers: int) -> Iterator[Running]:
    made = Running(home, workers=workers)
    try:
        made.wait()
        yield made
    finally:
        if made.process.poll() is None:
            made.process.terminate()
            made.process.wait(60)
        made.store.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("running") / "home")
    home.make()
    fill(home)
    write_scores(home)
    with served(home, workers=2) as made:
        yield made


def test_counts_of_all_processes_come_together(running):
    # A connection a request, so that both processes get some.
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: running.get("/api/v1/deals/d1").status_code, range(24)))
    assert answers == [200] * 24
    totals = []
    for _ in range(6):
        families = text_string_to_metric_families(httpx.get(f"{running.address}/metrics", timeout=60).text)
        found = [
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == "bellwether_requests_total" and sample.labels["route"] == "/api/v1/deals/{deal_id}"
        ]
        totals.append(sum(found))
    assert totals == [24.0] * 6  # whichever process is asked


def test_of_repeated_writes_at_once_one_is_done_whatever_process_they_reach(running):
    goal = {"owner_kind": "team", "owner_id": "west", "metric": "won_deals", "period_start": "2026-01-01",
            "period_end": "2027-01-01", "target": 9, "why": "plan of the year"}  # fmt: skip
    headers = running.headers | {"Idempotency-Key": "one-goal"}

    def write(_: int) -> httpx.Response:
        return httpx.post(f"{running.address}/api/v1/goals", json=goal, headers=headers, timeout=60)

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(write, range(12)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert {answer.json()["goal_id"] for answer in answers if answer.status_code == 201} == {"bw-1"}
    assert running.get("/api/v1/goals").json()["total"] == 1


def test_the_log_has_a_line_a_request_with_its_number_and_route(running):
    number = "the-number-of-it"
    headers = running.headers | {"X-Request-ID": number}
    httpx.get(f"{running.address}/api/v1/deals/ann@example.com", headers=headers, timeout=30)
    line = running.line(number)
    assert (line["method"], line["route"], line["status"]) == ("GET", "/api/v1/deals/{deal_id}", 404)
    assert line["ms"] > 0
    text = running.log.read_text()
    assert "example.com" not in text
    assert running.headers["authorization"].removeprefix("Bearer ") not in text


def test_at_the_end_what_is_at_work_is_answered_and_streams_end(running):
    """A request whose body is still coming when the signal comes; a stream of a job that nobody does."""
    with running.store.session() as session:  # so that the worker leaves the job where it is
        assert take(session, WRITES["train"], "test", seconds=600)
    job = Queue(running.store).ask("train", {})
    body = b'{"deals": []}'
    head = (
        f"POST /api/v1/score HTTP/1.1\r\nHost: 127.0.0.1:{running.port}\r\nContent-Type: application/json\r\n"
        f"Authorization: {running.headers['authorization']}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    with socket.create_connection(("127.0.0.1", running.port), timeout=60) as link, ThreadPoolExecutor(1) as pool:
        stream = pool.submit(running.get, f"/api/v1/jobs/{job.job_id}/events?seconds=600")
        link.sendall(head + body[:4])
        time.sleep(1)
        began = time.monotonic()
        running.process.send_signal(signal.SIGTERM)
        time.sleep(1)
        link.sendall(body[4:])
        answer = link.recv(65536)
        assert answer.startswith(b"HTTP/1.1 422")  # no deal in it: refused, not cut off
        assert stream.result().status_code == 200
    assert running.process.wait(60) == 0
    assert time.monotonic() - began < 30
    assert "Traceback" not in running.log.read_text()


def test_a_model_put_in_use_or_rolled_back_is_used_by_each_process_without_a_restart(live_home, tmp_path):
    shutil.copytree(live_home.root, tmp_path / "home")
    home = Home(tmp_path / "home")
    # The same model under another number: which one answers is told by the number.
    same = registry.champion("win", tracking=home.tracking).model
    made = registry.log_model("win", same, tracking=home.tracking, params={}, metrics={}, tags={"verdict": "Tested."})
    assert made.version == "2"
    registry.promote("win", "2", tracking=home.tracking)
    deal = {"stage": "Propose", "created_at": "2025-01-01T00:00:00Z"}

    def used(_: int = 0) -> str:  # each on a connection of its own, which either process may take
        answer = httpx.post(f"{running.address}/api/v1/score", json={"deals": [deal]}, timeout=120)
        return answer.json()["model_version"]

    def put(path: str) -> None:
        where = f"{running.address}/api/v1/models/win/{path}"
        assert httpx.post(where, json={"why": "a test"}, headers=running.headers, timeout=60).status_code < 300

    def all_use(version: str, pool: ThreadPoolExecutor) -> bool:
        return set(pool.map(used, range(24))) == {version}

    with served(home, workers=2) as running, ThreadPoolExecutor(4) as pool:
        assert all_use("2", pool)
        for path, version in (("versions/1/promote", "1"), ("roll-back", "2")):
            put(path)
            assert used() in ("1", "2")  # the process that did not put it in use may still have the other
            time.sleep(LOOK_AGAIN)
            assert all_use(version, pool)


def test_a_model_that_is_still_loading_is_waited_for_before_the_store_closes(tmp_path):
    home = Home(tmp_path / "home")
    home.make()
    app = create_app(Settings(home=home.root), warm=True)
    server = app.state.server
    begun, done = Event(), []

    def slow(*_: object) -> None:
        begun.set()
        time.sleep(0.3)  # longer than the end of the application takes without waiting
        done.append("loaded")

    server.live.warm = slow
    close = server.store.close
    server.store.close = lambda: (done.append("closed"), close())

    async def begin_and_end() -> None:
        async with app.router.lifespan_context(app):
            assert begun.wait(30)

    asyncio.run(begin_and_end())
    assert done == ["loaded", "closed"]
