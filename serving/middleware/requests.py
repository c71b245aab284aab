"""Each request's number, its log line and its place in the metrics: by route, never by the path that was asked."""

from __future__ import annotations

import logging
import re
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.logs import REQUEST
from serving.metrics import Metrics

HEADER = "X-Request-ID"
_GOOD = re.compile(r"[A-Za-z0-9._-]{8,36}")  # a UUID fits, a token does not
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_log = logging.getLogger("bellwether.request")


class RequestLog:
    """Numbers requests, logs and counts them; the outermost layer, so that nothing escapes it."""

    def __init__(self, app: ASGIApp, metrics: Metrics, prefix: str) -> None:
        self.app, self._metrics, self._prefix = app, metrics, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        number = number_for(Headers(scope=scope).get(HEADER))
        REQUEST.set(number)
        status, began = 500, time.perf_counter()

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = number
            await send(message)

        self._metrics.running.inc()
        try:
            await self.app(scope, receive, answer)
        finally:
            self._metrics.running.dec()
            self._tell(scope, status, time.perf_counter() - began)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = route_of(scope, self._prefix)
        self._metrics.answered(method, route, status, seconds)
        if not route.startswith(("/static", "/healthz", "/readyz", "/metrics")):
            fields = {"method": method, "route": route, "status": status, "ms": round(seconds * 1000, 1)}
            _log.info("answered", extra={"fields": fields})


def number_for(given: str | None) -> str:
    """The number that a client or proxy gave, where it is a plain one, else a new one."""
    return given if given and _GOOD.fullmatch(given) else secrets.token_hex(8)


def route_of(scope: Scope, prefix: str) -> str:
    """The route's template, such as /api/v1/deals/{deal_id}: a path itself may name a person.

    Parameters
    ----------
    prefix : str
        Of the API, whose routes know only what comes after it.
    """
    path = str(getattr(scope.get("route"), "path", ""))
    if not path:
        return "/static" if scope["path"].startswith("/static/") else "none"
    inner = scope["path"].startswith(f"{prefix}/") and not path.startswith(prefix)
    return prefix + path if inner else path
