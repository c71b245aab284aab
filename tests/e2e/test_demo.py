"""`make run`: killed at work it goes on where it was; what is finished is not done again; a restart is quick."""

import re
import subprocess
import threading
import time

import httpx
import pytest

from serving.jobs import Steps
from serving.ledger import Ledger
from serving.store import Store
from tests.e2e.chain import built, free_port

SIZE = ("--reps", "3", "--months", "8")


class Demo:
    """A running `bellwether demo`, and what it says."""

    def __init__(self, chain, home):
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.said: list[str] = []
        self.process = subprocess.Popen(
            chain.command("demo", "--home", str(home), "--port", str(self.port), *SIZE),
            cwd=chain.folder,
            env=chain.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.said.append(line.rstrip())

    def wait_for(self, pattern, seconds=240):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = re.search(pattern, "\n".join(self.said))
            if found:
                return found
            assert self.process.poll() is None, self.said
            time.sleep(0.05)
        raise AssertionError(f"never said {pattern}: {self.said}")

    def end(self, number):
        self.process.send_signal(number)
        code = self.process.wait(60)
        self._reader.join(10)
        self.process.stdout.close()
        return code


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("demo") / "home"


def test_killed_at_work_it_goes_on_where_it_was(home):
    chain = built()
    first = Demo(chain, home)
    first.wait_for("Win model: Fitting")
    first.end(9)
    second = Demo(chain, home)
    ready = second.wait_for(r"Bellwether is ready: (\S+)")
    assert ready[1] == second.address
    assert not any(line.startswith("Sample company") for line in second.said)  # was done before the kill
    password = second.wait_for("password (\\S+) \\(shown only now\\)")[1]
    with httpx.Client(base_url=f"{second.address}/api/v1", timeout=60, trust_env=False) as client:
        assert client.get("/deals", params={"limit": 5}).json()["total"] > 0
        token = client.post("/session", json={"email": "admin@example.com", "password": password}).json()["token"]
        assert client.get("/session", headers={"authorization": f"Bearer {token}"}).json()["role"] == "admin"
        end = time.monotonic() + 300
        while client.get("/jobs").json()["working"]:
            assert time.monotonic() < end, client.get("/jobs").json()
            time.sleep(0.5)
        steps = {step["name"]: step for step in client.get("/jobs").json()["steps"]}
    assert second.end(2) == 0
    assert steps["data"]["state"] == steps["win"]["state"] == steps["deals"]["state"] == "done"
    # A company this small may be too small for a model; then the step says so in a sentence.
    assert all(s["state"] == "done" or s["text"].endswith(".") for s in steps.values())
    assert not any("Traceback" in line for line in second.said)


def test_a_restart_is_quick_and_keeps_everything(home):
    chain = built()
    store = Store(f"sqlite:///{home / 'store.db'}")
    before = [row.number for row in Ledger(store).sealed()]
    started = time.monotonic()
    third = Demo(chain, home)
    third.wait_for("Bellwether is ready")
    took = time.monotonic() - started
    assert not any("shown only now" in line for line in third.said)
    assert third.end(2) == 0
    assert [row.number for row in Ledger(store).sealed()][: len(before)] == before
    assert [s.state for s in Steps(store).all()[:3]] == ["done"] * 3
    store.close()
    assert took < 30  # on an idle machine about 3 s; here others may be at work
