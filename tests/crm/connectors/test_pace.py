"""The pace of calls: however long a call is on its way, a CRM never counts more than it allows."""

import threading
import time
from bisect import bisect_left
from random import Random

from crm.connectors.web import Pace

CALLS, SECONDS = 4, 0.2


def arrivals(pace: Pace, *, threads: int, each: int) -> list[float]:
    """When calls reached the CRM: at once, or only at the end of their way."""
    reached: list[float] = []

    def call(random: Random) -> None:
        for _ in range(each):
            with pace.turn("a"):
                late = random.random() < 0.5
                time.sleep(0.15 * late)
                reached.append(time.monotonic())
                time.sleep(0.15 * (not late))

    workers = [threading.Thread(target=call, args=(Random(n),)) for n in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sorted(reached)


def most_in_a_window(reached: list[float]) -> int:
    return max(bisect_left(reached, start + SECONDS) - place for place, start in enumerate(reached))


def test_no_window_has_more_calls_than_allowed() -> None:
    reached = arrivals(Pace(CALLS, SECONDS), threads=6, each=4)
    assert len(reached) == 24
    assert most_in_a_window(reached) <= CALLS


def test_the_measure_counts_a_window() -> None:
    assert most_in_a_window([0.0, 0.1, 0.19, 0.2, 0.25]) == 4  # from 0.1 up to, not with, 0.3


def test_addresses_do_not_wait_for_one_another() -> None:
    pace = Pace(1, 600.0)
    with pace.turn("a"):
        pass
    gone: list[str] = []

    def other() -> None:
        with pace.turn("b"):
            gone.append("b")

    worker = threading.Thread(target=other, daemon=True)
    worker.start()
    worker.join(60)  # behind the first call it would wait for ten minutes
    assert gone == ["b"]


def test_a_call_that_failed_counts_and_does_not_block() -> None:
    pace = Pace(1, 0.1)
    begin = time.monotonic()
    for _ in range(2):
        try:
            with pace.turn("a"):
                raise ConnectionError
        except ConnectionError:
            pass
    assert time.monotonic() - begin >= 0.1
