"""Keeps a page to itself: writes from other sites are refused, headers close what browsers leave open."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving import problems
from serving.dependencies import COOKIE, SAFE
from serving.first_start import NOT_PASSED_ON, through_proxy

_PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "X-Frame-Options": "DENY",
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
        if refused := _refused(request):
            await problems.answer(request, 403, refused)(scope, receive, answer)
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
    if scope["scheme"] == "https":
        headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    if not scope["path"].startswith("/static/"):
        headers.setdefault("Cache-Control", "no-store")


def _refused(request: Request) -> str:
    """Why a request is not heard at all; empty where it is."""
    if through_proxy(request.headers) and request.app.state.server.company().sample:
        return NOT_PASSED_ON
    if request.method not in SAFE and not _same_origin(request):
        return "This request came from another site. Open the page here and try again."
    return ""


def _same_origin(request: Request) -> bool:
    """Whether a write comes from our own pages.

    Every browser tells where a write comes from, by Origin or Sec-Fetch-Site. Programs tell nothing; they may write
    by a token, but not by the cookie of a session, which only browsers have.
    """
    headers = request.headers
    if (origin := headers.get("origin")) is not None:
        return urlsplit(origin).netloc == headers.get("host")
    if (site := headers.get("sec-fetch-site")) is not None:
        return site in ("same-origin", "none")
    return COOKIE not in request.cookies or "authorization" in headers
