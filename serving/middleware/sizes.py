"""Bodies have a limit, told or not: what is larger is not read, and answers 413."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving import problems

BODY_BYTES = 10_000_000
_UPLOADS = "/imports"


class Sizes:
    """Refuses bodies above a limit; imports, which have a setting of their own, may be larger.

    Parameters
    ----------
    upload_bytes : int
        Limit of an import.
    """

    def __init__(self, app: ASGIApp, upload_bytes: int) -> None:
        self.app, self._upload_bytes = app, upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        limit = max(self._upload_bytes, BODY_BYTES) if scope["path"].endswith(_UPLOADS) else BODY_BYTES
        told = headers.get("content-length", "")
        if told.isdigit() and int(told) > limit:
            await problems.answer(Request(scope, receive), 413, _said(limit))(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:  # told less, or nothing: chunks come without a length
                raise HTTPException(413, _said(limit))
            return message

        await self.app(scope, counted, send)


def _said(limit: int) -> str:
    return f"What was sent is larger than {limit / 1e6:,.0f} MB. Send less at once."
