"""Runs a worker: in this process until a signal ends it, or as a process beside the one that serves."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from serving.jobs.worker import Worker
from serving.settings import Settings

_WAIT = 15.0  # seconds that a worker has to put its job back
_AGAIN = 2.0
log = logging.getLogger("bellwether.worker")


def work(settings: Settings, *, parent: int | None = None) -> None:
    """Do jobs until SIGTERM or Ctrl-C; a job at work goes back to the queue.

    Parameters
    ----------
    parent : int, optional
        Number of the process that serves; where it is gone, the work ends.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if parent is not None:
        threading.Thread(target=_watch, args=(parent, stop), daemon=True).start()
    worker = Worker(settings)
    try:
        worker.run(stop)
    finally:
        worker.close()


@contextmanager
def worker_beside(settings: Settings) -> Iterator[None]:
    """A worker in a process of its own for as long as the block lasts; started again should it end by itself."""
    stop = threading.Event()
    thread = threading.Thread(target=_keep, args=(settings, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(_WAIT + _AGAIN)


def _keep(settings: Settings, stop: threading.Event) -> None:
    while not stop.is_set():
        worker = _start(settings)
        while worker.poll() is None and not stop.wait(0.2):
            pass
        if stop.is_set():
            _end(worker)
        else:
            log.warning("the worker ended by itself (%s); another one starts", worker.returncode)
            stop.wait(_AGAIN)


def _start(settings: Settings) -> subprocess.Popen[bytes]:
    home = Path(settings.home).expanduser().absolute()
    home.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "serving.jobs.beside", str(home), str(os.getpid())]
    with (home / "worker.log").open("ab") as out:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)


def _end(worker: subprocess.Popen[bytes]) -> None:
    worker.terminate()
    try:
        worker.wait(_WAIT)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def _watch(parent: int, stop: threading.Event) -> None:
    while os.getppid() == parent:
        if stop.wait(0.5):
            return
    stop.set()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    work(Settings().model_copy(update={"home": Path(sys.argv[1])}), parent=int(sys.argv[2]))
