"""Servers and jobs as processes forked from one that has loaded everything: a quick start, and a kill that is real."""

import json
import os
import subprocess
import sys
import time

# The children are reaped by the system, so that a process that is gone is seen to be gone.
CODE = """
import json, os, signal, sys
import serving.app, serving.scoring, serving.jobs.child, uvicorn, lightgbm, models.win, deltalake, models.coaching
from pathlib import Path
import crm.connectors.fxiaoke, crm.connectors.hubspot, crm.connectors.salesforce, crm.connectors.tryton
import crm.connectors.zoho, serving.jobs.tasks
from serving.crms import connector_of
from serving.home import Home
from serving.settings import Settings
from serving.store import Store

def serve(home, port, **settings):
    app = serving.app.create_app(Settings(home=Path(home), **settings))
    uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning")).run()

def job(home, job_id, worker):
    serving.jobs.child.main(Path(home), job_id, worker)

def sync(home, crm, **settings):
    place = Home(Path(home))
    connector = connector_of(crm, Settings(home=place.root, **settings), place)
    serving.jobs.tasks.sync_home(place, Store(place.database_url), connector, lambda text, done: None)

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print("ready", flush=True)
for line in sys.stdin:
    wish = json.loads(line)
    number = os.fork()
    if number == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        try:
            {"serve": serve, "job": job, "sync": sync}[wish.pop("do")](**wish)
        finally:
            os._exit(0)
    print(number, flush=True)
"""


class Forks:
    """A process that forks others on demand."""

    def __init__(self, log):
        self._log = log.open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", CODE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout.readline() == "ready\n"

    def start(self, do, **given):
        """Fork a process that serves, does a job or syncs; give its number."""
        self._process.stdin.write(json.dumps({"do": do, **given}) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self):
        """End all of them."""
        os.killpg(self._process.pid, 9)
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()
        self._log.close()


def is_there(number):
    """Whether a process still runs."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for_end(number, seconds=120):
    """Wait until a process is gone."""
    end = time.monotonic() + seconds
    while is_there(number):
        assert time.monotonic() < end, f"process {number} does not end"
        time.sleep(0.01)
