"""Jobs over the API with a real worker: followed by events, stopped, killed and begun anew."""

import json
import os
import signal
import subprocess
import threading
import time

import pytest

from serving.home import Home
from serving.jobs.worker import Worker
from serving.settings import Settings
from serving.store import Store
from serving.users import add_user
from tests.serving.small_site import PASSWORD, Site, fill, serving


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("jobs"))
    home.make()
    fill(home)
    store = Store(home.database_url)
    for role in ("admin", "analyst"):
        add_user(store, f"{role}@example.com", PASSWORD, role)
    worker, stop = Worker(Settings(home=home.root, score_at=None), poll=0.1), threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    with serving(home) as address:
        yield Site(address, home, store)
    stop.set()
    thread.join()
    worker.close()
    store.close()


def events(client, job_id, **headers):
    """All events of a stream until it ends: (number, name, data)."""
    found, fields = [], {}
    with client.stream("GET", f"/jobs/{job_id}/events", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "data" in fields:
                found.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
                fields = {}
    return found


def wait(client, job_id, *states, seconds=90):
    end = time.monotonic() + seconds
    while (job := client.get(f"/jobs/{job_id}").json())["state"] not in states:
        assert time.monotonic() < end, job
        time.sleep(0.02)
    return job


def children(home):
    """Numbers of processes that do a job of a home."""
    # ww: with COLUMNS set, as under some runners, ps would cut the lines short and nothing would be found.
    listed = subprocess.run(["ps", "-axwwo", "pid=,args="], capture_output=True, text=True, check=True).stdout
    lines = [line.split(maxsplit=1) for line in listed.splitlines()]
    return [int(pid) for pid, said in lines if "serving.jobs.child" in said and str(home.root) in said]


def test_a_job_is_followed_to_its_end_and_the_stream_goes_on_where_it_broke(own):
    with own.client("analyst@example.com") as client:
        asked = client.post("/jobs", json={"kind": "sync", "crm": "tryton"})
        assert asked.status_code == 202
        number = asked.json()["job_id"]
        told = events(client, number)
        states = [data["state"] for _, _, data in told]
        assert (states[0], states[-1]) == ("queued", "failed")  # no key to a CRM is given here
        assert [name for _, name, _ in told] == ["progress"] * (len(told) - 1) + ["end"]
        assert "BELLWETHER_TRYTON_URL" in told[-1][2]["text"]
        assert events(client, number, **{"last-event-id": str(told[0][0])}) == told[1:]
        assert events(client, number, **{"last-event-id": str(told[-1][0])}) == []
        assert client.get(f"/jobs/{number}").json()["state"] == "failed"
        assert client.get("/jobs/9999/events").status_code == 404


def test_a_running_job_is_stopped_within_seconds_with_its_process(own):
    with own.client("admin@example.com") as client:
        number = client.post("/jobs", json={"kind": "train", "what": "win", "trials": 0}).json()["job_id"]
        wait(client, number, "running")
        started = time.monotonic()
        assert client.post(f"/jobs/{number}/cancel").json()["stopping"]
        job = wait(client, number, "cancelled", "done", "failed")
        assert job["state"] == "cancelled"
        assert time.monotonic() - started < 15  # alone on a machine below 1 s
        assert client.post(f"/jobs/{number}/cancel").json()["state"] == "cancelled"
    assert children(own.home) == []
    assert not list((own.home.root / "work").iterdir())


def test_a_job_whose_process_is_killed_begins_anew(own):
    with own.client("admin@example.com") as client:
        number = client.post("/jobs", json={"kind": "train", "what": "win", "trials": 0}).json()["job_id"]
        wait(client, number, "running")
        end = time.monotonic() + 30
        while not (found := children(own.home)):
            assert time.monotonic() < end, client.get(f"/jobs/{number}").json()
            time.sleep(0.02)
        os.kill(found[0], signal.SIGKILL)
        while client.get(f"/jobs/{number}").json()["attempt"] < 2:
            assert time.monotonic() < end
            time.sleep(0.02)
        client.post(f"/jobs/{number}/cancel")
        wait(client, number, "cancelled")
        with client.stream("GET", f"/jobs/{number}/events") as stream:
            assert "ended by SIGKILL. It begins anew." in stream.read().decode()


def test_a_wish_that_is_none_is_refused_with_the_field(own):
    with own.client("admin@example.com") as client:
        for wish in ({"kind": "sync", "crm": "none"}, {"kind": "dance"}, {"kind": "score", "fast": True}, {}):
            assert client.post("/jobs", json=wish).status_code == 422
