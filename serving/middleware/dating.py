"""Says on every answer made from scores of which moment they are, and how old that makes them."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

AS_OF = "Bellwether-As-Of"
DATA_AGE = "Bellwether-Data-Age"


class Dating:
    """Sets `Bellwether-As-Of` (UTC) and `Bellwether-Data-Age` (seconds) from what a route looked at."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                as_of = scope.get("state", {}).get("as_of")
                if isinstance(as_of, datetime):
                    headers = MutableHeaders(scope=message)
                    headers[AS_OF] = as_of.astimezone(UTC).isoformat()
                    headers[DATA_AGE] = str(max(0, int((datetime.now(UTC) - as_of).total_seconds())))
            await send(message)

        await self.app(scope, receive, answer if scope["type"] == "http" else send)
