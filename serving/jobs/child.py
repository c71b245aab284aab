"""One job in a process of its own: what it does, told to the store; its end by any signal leaves nothing half done."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

from crm.errors import BellwetherError
from serving.faults import fault_of
from serving.home import Home
from serving.jobs.queue import JobLost, Queue
from serving.jobs.tasks import Outcome, Work, do, drop_upload
from serving.settings import Settings
from serving.store import Store

LOST = 3
"""Exit status of a process whose job was taken over or is to be stopped."""
_LOOK = 0.2
_LEAST_GAP = 0.3  # between two words of progress, in seconds


def main(root: Path, job_id: int, worker: str) -> int:
    """Do a job that a worker has claimed; give the exit status."""
    settings = Settings().model_copy(update={"home": root})
    home = Home.of(settings)
    store = Store(home.database_url)
    queue = Queue(store)
    teller = _Teller(queue, job_id, worker)
    job = queue.find(job_id)
    try:
        outcome, problem = _try(Work(settings, home, store, job, teller.tell))
        if outcome is not None:
            queue.end(job_id, worker, "done", outcome.text, outcome.result)
        else:
            queue.end(job_id, worker, "failed", problem)
        drop_upload(home, job)
    except JobLost:
        return LOST
    finally:
        store.close()
    return 0


def _try(work: Work) -> tuple[Outcome | None, str]:
    """The outcome of a job, or a sentence on why there is none."""
    try:
        return do(work), ""
    except JobLost:
        raise
    except BellwetherError as error:
        return None, str(error)
    except Exception as error:  # said in the job; the worker goes on with others
        traceback.print_exc()
        if fault := fault_of(error):
            return None, fault
        return None, f"{type(error).__name__}: {_first_line(error)}. worker.log in {work.home.root} has all of it."


class _Teller:
    """Tells the store what a job is at, but not more often than one can read."""

    def __init__(self, queue: Queue, job_id: int, worker: str) -> None:
        self._queue, self._job_id, self._worker = queue, job_id, worker
        self._text, self._at = "", 0.0

    def tell(self, text: str, done: float | None = None) -> None:
        """See `Queue.tell`; new words are always told, as what is written next hangs on them."""
        if text == self._text and time.monotonic() < self._at + _LEAST_GAP:
            return
        self._queue.tell(self._job_id, self._worker, text, done)
        self._text, self._at = text, time.monotonic()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0][:300]


def end_with(parent: int) -> None:
    """End this process when the one that started it is gone, however that came."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK)
        os._exit(LOST)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    end_with(int(sys.argv[4]))
    os.nice(5)  # pages come first
    tempfile.tempdir = sys.argv[5]  # the worker clears it, also after a kill: imports put files there
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
