"""Notes in the audit who took data out as a file, and every change that its route did not note itself."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.access import Viewer
from serving.dependencies import SAFE
from serving.exports import CSV, XLSX
from serving.middleware.requests import route_of
from serving.store import NOTED, Store

EXPORT = "export"
_LONGEST = 500


class Noting:
    """Writes the entry before the answer is sent, so that nothing leaves unnoted."""

    def __init__(self, app: ASGIApp, store: Store, prefix: str) -> None:
        self.app, self._store, self._prefix = app, store, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        noted: list[str] = []

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and not noted:
                what = self._what(scope, message)
                viewer = scope.get("state", {}).get("viewer")
                if what and isinstance(viewer, Viewer):
                    await run_in_threadpool(self._store.audit, viewer.name, what, **self._detail(scope))
            await send(message)

        before = NOTED.set(noted)
        try:
            await self.app(scope, receive, answer)
        finally:
            NOTED.reset(before)

    def _what(self, scope: Scope, start: Message) -> str:
        if start["status"] >= 400:
            return ""
        if scope["method"] not in SAFE:
            return f"{scope['method']} {route_of(scope, self._prefix)}"[:80]
        kind = Headers(raw=start["headers"]).get("content-type", "")
        return EXPORT if kind.startswith((CSV, XLSX)) else ""

    def _detail(self, scope: Scope) -> dict[str, Any]:
        detail = {"route": route_of(scope, self._prefix), **scope.get("path_params", {})}
        query = scope["query_string"].decode("latin-1")
        return {**detail, "query": query[:_LONGEST]} if query else detail
