"""What stand-ins of CRMs share: an HTTP server on loopback, a clock, and faults: cuts, broken bodies, long waits."""

import json
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Asked:
    """One call: query parameters by name, repeated ones with commas between; header names in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return {k: v[0] for k, v in parse_qs(self.body.decode()).items()}


@dataclass
class Answer:
    """`body` as JSON, or bytes as they are; `broken` is 'cut' for no answer at all, 'half' for half a body."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    broken: str = ""
    after: float = 0.0


class CrmStandIn:
    """A CRM behind a server: its clock `now`, calls that were made, and faults to come, one a call.

    A fault is cut (no answer), half (of a body), slow SECONDS (then no answer), expire (of all tokens), a status such
    as 503, or one with the seconds of Retry-After: `429 1`; an empty one is none.
    """

    empty: Any = None
    """Body of an answer without records."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, 8, tzinfo=UTC)
        self.faults: deque[str] = deque()
        self.asked: list[Any] = []
        self.meanwhile: dict[str, Callable[[], object]] = {}  # users act when such a path is asked
        self._lock = threading.Lock()

    def tick(self, **by: float) -> datetime:
        self.now += timedelta(**by)
        return self.now

    def expire(self) -> None:
        """Let all tokens end."""
        raise NotImplementedError

    def busy(self, status: int, headers: dict[str, str]) -> Answer:
        """How this CRM says that it cannot answer."""
        raise NotImplementedError

    def let_users_act(self, path: str) -> None:
        """What users do meanwhile, where it is due."""
        for part in [part for part in self.meanwhile if part in path]:
            self.meanwhile.pop(part)()

    def fault(self) -> Answer | None:
        """The answer that the next fault makes of this call; none where there is no fault, or tokens end."""
        kind, _, rest = (self.faults.popleft() if self.faults else "").partition(" ")
        if kind == "expire":
            self.expire()
        if kind in ("", "expire"):
            return None
        if kind in ("cut", "half"):
            return Answer(200, self.empty, broken=kind)
        if kind == "slow":
            return Answer(200, self.empty, after=float(rest), broken="cut")
        return self.busy(int(kind), {"Retry-After": rest} if rest else {})


class _Handler(BaseHTTPRequestHandler):
    answer: Callable[[Asked], Answer]
    clock: Callable[[], Any] | None
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms for the client to say that its head came

    def handle_any(self) -> None:
        url = urlsplit(self.path)
        query = {k: ",".join(v) for k, v in parse_qs(url.query, keep_blank_values=True).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {k.lower(): v for k, v in self.headers.items()}
        self.send(self.answer(Asked(self.command, url.path, query, headers, body)))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

    def send(self, said: Answer) -> None:
        time.sleep(said.after)
        if said.broken == "cut":
            self.close_connection = True
            self.connection.close()
            return
        plain = isinstance(said.body, bytes)
        body = b"" if said.body is None else said.body if plain else json.dumps(said.body).encode()
        self.send_response(said.status)
        kind = {} if plain else {"Content-Type": "application/json"}
        for name, value in {**kind, **said.headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if said.broken == "half":
            self.close_connection = True
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self.connection.close()
            return
        self.wfile.write(body)

    def date_time_string(self, timestamp: float | None = None) -> str:
        return format_datetime(self.clock(), usegmt=True) if self.clock else super().date_time_string(timestamp)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def finish(self) -> None:
        try:
            super().finish()
        except (OSError, ValueError):  # the connection was cut on purpose
            return


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class StandIn:
    """A server; `with StandIn(answer) as address`.

    Parameters
    ----------
    answer : callable
        Gives the answer to a call; called from several threads.
    clock : callable, optional
        Gives the server's own time for the header Date, a datetime in UTC; None: no such header.
    """

    def __init__(self, answer: Callable[[Asked], Answer], clock: Callable[[], Any] | None = None) -> None:
        self._server = _Server(
            ("127.0.0.1", 0),
            type(
                "Handler",
                (_Handler,),
                {"answer": staticmethod(answer), "clock": staticmethod(clock) if clock else None},
            ),
        )

    def __enter__(self) -> str:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
