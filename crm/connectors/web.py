"""Calls to a CRM over HTTP: JSON in and out, tried again where that helps, and an end to what a run may spend.

httpx alone: what dlt's REST client adds here (pages, tokens) is less code than its own set-up, and its pipelines would
move the cursor before the lake has the rows.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from crm.connectors.base import BadCrmKey, CrmUnreachable

_BUSY = (408, 429, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a call is tried: `tries` in all, waits doubling from `first_wait` to `longest_wait` seconds."""

    tries: int = 7
    first_wait: float = 1.0
    longest_wait: float = 120.0
    timeout: float = 60.0


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
    """

    def __init__(
        self,
        crm: str,
        authorise: Callable[[dict[str, str] | None], dict[str, str]],
        *,
        max_calls: int,
        patience: Patience | None = None,
    ) -> None:
        self.crm, self.calls, self.server_time = crm, 0, datetime.now(UTC)
        self._authorise, self._max_calls = authorise, max_calls
        self._patience = patience or Patience()
        self._client = httpx.Client(timeout=self._patience.timeout, follow_redirects=False)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def get(
        self, url: str, params: dict[str, str], headers: dict[str, str] | None = None, *, missing: Sequence[int] = ()
    ) -> Any:
        """The JSON answer as `call` gives it. May be called from several threads."""
        return self.call("GET", url, params=params, headers=headers, missing=missing)

    def call(
        self, method: str, url: str, *, headers: dict[str, str] | None = None, missing: Sequence[int] = (), **parts: Any
    ) -> Any:
        """The JSON answer of any call; None where the CRM has nothing (204, 304), `{}` for statuses in `missing`.

        Raises
        ------
        BadCrmKey
            If the CRM refuses the credentials twice.
        CrmUnreachable
            If it gives no good answer after all tries, or the run's calls are spent.
        """
        refused, said = None, ""
        for attempt in range(self._patience.tries):
            self._spend()
            try:
                keys = self._authorise(refused)
                answer = self._client.request(method, url, headers={**(headers or {}), **keys}, **parts)
            except httpx.TransportError as error:
                said = f"no connection ({type(error).__name__})"
                time.sleep(self._wait(attempt, None))
                continue
            if answer.status_code == 401 and refused is None:
                refused = keys  # a token may end in the middle of a run
                continue
            if answer.status_code in _BUSY:
                said = f"answered {answer.status_code}"
                time.sleep(self._wait(attempt, answer))
                continue
            return {} if answer.status_code in missing else self._read(answer)
        raise CrmUnreachable(self.crm, f"{said}, {self._patience.tries} times", "Try again later.")

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

    def _read(self, answer: httpx.Response) -> Any:
        with self._lock:
            self.server_time = _date_of(answer) or self.server_time
        if answer.status_code in (204, 304):
            return None
        code = _code(answer)
        if answer.status_code in (401, 403):
            raise BadCrmKey(self.crm, f"refused the credentials ({code})", "Give others, with read access.")
        if answer.status_code >= 300 or code == "no JSON":
            path = answer.request.url.path
            raise CrmUnreachable(self.crm, f"{path} answered {answer.status_code} ({code})", "See the CRM's log.")
        return answer.json()


def _code(answer: httpx.Response) -> str:
    """The CRM's word for what is wrong, never its whole text: that may repeat what was sent."""
    try:
        body = answer.json()
    except ValueError:
        return "no JSON"
    code = body.get("code") if isinstance(body, dict) else None
    return code if isinstance(code, str) and len(code) <= 60 else f"status {answer.status_code}"


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
