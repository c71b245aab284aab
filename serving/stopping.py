"""Tells long answers that the server is about to stop, so that they end by themselves before it cuts them off."""

from __future__ import annotations

import signal
import threading
from types import FrameType

GRACE_SECONDS = 30
"""How long requests at work may take to end."""


def tell_when_stopping(stopping: threading.Event) -> None:
    """Set an event at the signal that ends the server; to be called once the server has taken its signals."""
    if threading.current_thread() is not threading.main_thread():
        return  # a server in a thread, as in tests, gets no signals
    for number in (signal.SIGTERM, signal.SIGINT):
        _also(number, stopping)


def end_in_order() -> None:
    """Make SIGTERM end this process as Ctrl-C does: what was opened is closed."""

    def end(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)


def _also(number: int, stopping: threading.Event) -> None:
    before = signal.getsignal(number)

    def tell(got: int, frame: FrameType | None) -> None:
        stopping.set()
        if callable(before):
            before(got, frame)

    signal.signal(number, tell)
