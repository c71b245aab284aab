"""Calls to a CRM over HTTP: JSON in and out, tried again where that helps, and an end to what a run may spend.

httpx alone: what dlt's REST client adds here (pages, tokens) is less code than its own set-up, and its pipelines would
move the cursor before the lake has the rows.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import httpx

from crm.connectors.base import BadCrmKey, CallRefused, CrmUnreachable

_BUSY = (408, 429, 500, 502, 503, 504)
_log = logging.getLogger("bellwether.connectors")
Verdict = Literal["good", "refused", "busy"]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a call is tried: `tries` in all, waits doubling from `first_wait` to `longest_wait` seconds."""

    tries: int = 7
    first_wait: float = 1.0
    longest_wait: float = 120.0
    timeout: float = 60.0


class Pace:
    """No more than so many calls to one address in so many seconds; shared by threads.

    A call counts until so many seconds after its *answer*: when it reached the CRM is not known, only that it was
    before that. So however long calls are on their way, the CRM never counts more than so many.
    """

    def __init__(self, calls: int, seconds: float) -> None:
        self._calls, self._seconds, self._changed = calls, seconds, threading.Condition()
        self._answered: dict[str, deque[float]] = {}
        self._on_way: Counter[str] = Counter()

    @contextmanager
    def turn(self, address: str) -> Iterator[None]:
        """Begin when the next call may go out, end when it is answered."""
        with self._changed:
            while (wait := self._seconds_left(address)) != 0.0:
                self._changed.wait(wait)
            self._on_way[address] += 1
        try:
            yield
        finally:
            with self._changed:
                self._on_way[address] -= 1
                self._answered[address].append(time.monotonic())
                self._changed.notify_all()

    def _seconds_left(self, address: str) -> float | None:
        """Seconds until a call may go out; None where an answer must come first."""
        answered = self._answered.setdefault(address, deque())
        now = time.monotonic()
        while answered and now - answered[0] >= self._seconds:
            answered.popleft()
        if len(answered) + self._on_way[address] < self._calls:
            return 0.0
        return answered[0] + self._seconds - now if answered else None


def by_status(answer: httpx.Response) -> Verdict:
    """What an answer's status says."""
    if answer.status_code == 401:
        return "refused"
    return "busy" if answer.status_code in _BUSY else "good"


class Web:
    """An HTTP client for one CRM.

    Parameters
    ----------
    crm : str
        Its name for people, in errors.
    authorise : callable
        Gives the headers of a call; given those that the CRM refused, others.
    max_calls : int
        Calls that one run may make, tries included.
    judge : callable
        What an answer is: good, refused credentials, or busy, to be tried again.
    stamp : callable, optional
        Gives query parameters that are others at each try.
    pace : Pace, optional
        How often an address may be called.
    """

    def __init__(
        self,
        crm: str,
        authorise: Callable[[dict[str, str] | None], dict[str, str]],
        *,
        max_calls: int,
        patience: Patience | None = None,
        judge: Callable[[httpx.Response], Verdict] = by_status,
        stamp: Callable[[], dict[str, str]] | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._judge, self._stamp, self._pace = judge, stamp, pace
        self.crm, self.calls, self.server_time = crm, 0, datetime.now(UTC)
        self._authorise, self._max_calls = authorise, max_calls
        self._patience = patience or Patience()
        self._client = httpx.Client(timeout=self._patience.timeout, follow_redirects=False)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    @property
    def left(self) -> int:
        """Calls that this run may still make."""
        return self._max_calls - self.calls

    def get(
        self, url: str, params: dict[str, str], headers: dict[str, str] | None = None, *, missing: Sequence[int] = ()
    ) -> Any:
        """The JSON answer as `call` gives it. May be called from several threads."""
        return self.call("GET", url, params=params, headers=headers, missing=missing)

    def call(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        missing: Sequence[int] = (),
        accept: Sequence[int] = (),
        **parts: Any,
    ) -> Any:
        """The JSON answer of any call; None where the CRM has nothing (204, 304), `{}` for statuses in `missing`.

        Statuses in `accept` have an answer like a good one.

        Raises
        ------
        BadCrmKey
            If the CRM refuses the credentials twice.
        CrmUnreachable
            If it gives no good answer after all tries, or the run's calls are spent.
        CallRefused
            If it says that this call cannot be done.
        """
        answer = self._answer(method, url, headers, parts)
        return {} if answer.status_code in missing else self._read(answer, accept)

    def fetch(self, url: str, *, missing: Sequence[int] = ()) -> bytes | None:
        """A file as it is; None for statuses in `missing`. Errors as in `call`."""
        answer = self._answer("GET", url, None, {})
        if answer.status_code in missing:
            return None
        if answer.status_code >= 300:
            self._read(answer)
        return answer.content

    def _answer(self, method: str, url: str, headers: dict[str, str] | None, parts: dict[str, Any]) -> httpx.Response:
        """An answer that is neither busy nor refuses the credentials, after tries."""
        refused, said = None, ""
        for attempt in range(self._patience.tries):
            self._spend()
            try:
                keys = self._authorise(refused)
                answer = self._send(method, url, {**(headers or {}), **keys}, parts)
            except httpx.TransportError as error:
                said = f"no connection ({type(error).__name__})"
                time.sleep(self._wait(attempt, None))
                continue
            verdict = self._judge(answer)
            if verdict == "refused" and refused is None:
                refused = keys  # a token may end in the middle of a run
                continue
            if verdict == "refused":
                raise BadCrmKey(self.crm, f"refused the credentials ({_code(answer)})", "Give others, with access.")
            if verdict == "busy":
                said = f"answered {_said(answer)}"
                _log.info("%s %s; try %d of %d", self.crm, said, attempt + 1, self._patience.tries)
                time.sleep(self._wait(attempt, answer))
                continue
            return answer
        raise CrmUnreachable(self.crm, f"{said}, {self._patience.tries} times", "Try again later.")

    def _send(self, method: str, url: str, headers: dict[str, str], parts: dict[str, Any]) -> httpx.Response:
        with self._pace.turn(url) if self._pace is not None else nullcontext():
            if self._stamp is not None:
                parts = {**parts, "params": {**(parts.get("params") or {}), **self._stamp()}}
            return self._client.request(method, url, headers=headers, **parts)

    def _spend(self) -> None:
        with self._lock:
            if self.calls >= self._max_calls:
                raise CrmUnreachable(
                    self.crm, f"the {self._max_calls:,} calls of one run are spent", "Sync again when the CRM allows."
                )
            self.calls += 1

    def _wait(self, attempt: int, answer: httpx.Response | None) -> float:
        """Seconds to wait: what the CRM asks for, else doubling, spread so that parallel calls do not march in step."""
        asked = _retry_after(answer) if answer is not None else None
        if asked is not None:
            if asked > self._patience.longest_wait:
                raise CrmUnreachable(self.crm, f"asks to wait {asked:,.0f} seconds", "Sync again then.")
            return asked
        longest = min(self._patience.longest_wait, self._patience.first_wait * 2**attempt)
        return longest * random.uniform(0.5, 1.0)

    def _read(self, answer: httpx.Response, accept: Sequence[int] = ()) -> Any:
        with self._lock:
            self.server_time = _date_of(answer) or self.server_time
        if answer.status_code in (204, 304):
            return None
        code = _code(answer)
        if answer.status_code == 403:
            raise BadCrmKey(self.crm, f"refused the credentials ({code})", "Give others, with access.")
        if (answer.status_code >= 300 and answer.status_code not in accept) or code == "no JSON":
            path = answer.request.url.path
            raise CallRefused(self.crm, f"{path} answered {answer.status_code} ({code})", "See the CRM's log.")
        return answer.json()


def _code(answer: httpx.Response) -> str:
    """The CRM's word for what is wrong, never its whole text: that may repeat what was sent."""
    try:
        body = answer.json()
    except ValueError:
        return "no JSON"
    if isinstance(body, list) and body:  # Salesforce lists what is wrong
        body = body[0]
    words = (body.get(name) for name in ("code", "errorCode", "category")) if isinstance(body, dict) else ()
    code = next(filter(None, words), None)
    return code if isinstance(code, str) and len(code) <= 60 else f"status {answer.status_code}"


def _said(answer: httpx.Response) -> str:
    """Status of an answer, or the error code of one that says 200 to errors as well."""
    if answer.status_code != 200:
        return str(answer.status_code)
    body = answer.json()
    return f"errorCode {body.get('errorCode')}, traceId {str(body.get('traceId'))[:80]}"


def _date_of(answer: httpx.Response) -> datetime | None:
    try:
        return parsedate_to_datetime(answer.headers["Date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return None


def _retry_after(answer: httpx.Response) -> float | None:
    said = answer.headers.get("Retry-After", "")
    if said.isdigit():
        return float(said)
    try:
        return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
