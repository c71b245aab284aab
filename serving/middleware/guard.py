"""Keeps a page to itself: writes from other sites are refused, headers close what browsers leave open."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving import problems

SAFE = ("GET", "HEAD", "OPTIONS")
_PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Guard:
    """Refuses writes from other sites, answers errors that nobody foresaw, and sets the headers of every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _close(scope, MutableHeaders(scope=message))
            await send(message)

        request = Request(scope, receive)
        if scope["method"] not in SAFE and not _same_origin(request):
            text = "This request came from another site. Open the page here and try again."
            await problems.answer(request, 403, text)(scope, receive, answer)
            return
        try:
            await self.app(scope, receive, answer)
        except Exception as error:  # here, so that this answer too carries the headers
            if started:
                raise
            await problems.unknown(request, error)(scope, receive, answer)


def _close(scope: Scope, headers: MutableHeaders) -> None:
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
    if not scope["path"].startswith("/static/"):
        headers.setdefault("Cache-Control", "no-store")


def _same_origin(request: Request) -> bool:
    """Whether a browser says that the request comes from our own pages; programs say nothing."""
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")
