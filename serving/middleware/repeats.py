"""Writes that carry an Idempotency-Key: done once, whatever process they reach; the first answer comes back."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from tempfile import SpooledTemporaryFile
from typing import IO

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crm.errors import BellwetherError
from serving import problems
from serving.dependencies import Server, find_viewer
from serving.documents import keeps_answers
from serving.idempotency import LEASE, Answered, BadKey, Claim, KeptAnswers, KeyReused, StillAtWork, check_key, whose

HEADER, REPLAYED = "Idempotency-Key", "Idempotency-Replayed"
_STATUS: dict[type[BellwetherError], int] = {BadKey: 400, KeyReused: 422, StillAtWork: 409}
_IN_MEMORY = 1 << 20
_MOST_KEPT = 8 << 20
_CHUNK = 1 << 16
# What failed for now may be tried again under the same key.
_FOR_NOW = (401, 403, 408, 413, 429)


class Repeats:
    """Answers repeated writes from what was kept."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self.app, self._prefix = app, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if not self._is_kept(scope):
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        server: Server = scope["app"].state.server
        try:
            check_key(request.headers[HEADER])
        except BellwetherError as error:
            await _refuse(request, error)(scope, receive, send)
            return
        viewer = await run_in_threadpool(find_viewer, request, server)
        if viewer is None or not viewer.signed_in:  # the route tells what is missing
            await self.app(scope, receive, send)
            return
        with SpooledTemporaryFile(_IN_MEMORY) as body:
            digest = await _spool(request, body)
            await self._once(request, send, KeptAnswers(server.store), whose(viewer), digest, body)

    def _is_kept(self, scope: Scope) -> bool:
        if scope["type"] != "http" or scope["method"] != "POST" or HEADER not in Headers(scope=scope):
            return False
        return scope["path"].startswith(f"{self._prefix}/") and keeps_answers(scope["path"])

    async def _once(
        self, request: Request, send: Send, kept: KeptAnswers, user: str, digest: str, body: IO[bytes]
    ) -> None:
        try:
            claim = await run_in_threadpool(kept.claim, user, request.headers[HEADER], digest)
        except BellwetherError as error:
            await _refuse(request, error)(request.scope, request.receive, send)
            return
        if isinstance(claim, Answered):
            await _again(claim)(request.scope, request.receive, send)
            return
        answer = _Caught()
        alive = asyncio.create_task(_renew(kept, claim))
        try:
            await self.app(request.scope, _replay(body, request.receive), answer.take)
        except BaseException:
            await run_in_threadpool(kept.release, claim)
            raise
        finally:
            alive.cancel()
            with suppress(asyncio.CancelledError):
                await alive
        await run_in_threadpool(_settle, kept, claim, answer.kept())
        for message in answer.messages:
            await send(message)


class _Caught:
    """An answer held back until it is kept."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def take(self, message: Message) -> None:
        """Hold a part back."""
        self.messages.append(message)

    def kept(self) -> Answered | None:
        """The answer, where it is to be kept."""
        start = next(m for m in self.messages if m["type"] == "http.response.start")
        body = b"".join(m.get("body", b"") for m in self.messages if m["type"] == "http.response.body")
        headers = Headers(raw=start["headers"])
        if start["status"] >= 500 or start["status"] in _FOR_NOW or len(body) > _MOST_KEPT or "set-cookie" in headers:
            return None
        return Answered(start["status"], [pair for pair in headers.items() if pair[0] != "content-length"], body)


def _settle(kept: KeptAnswers, claim: Claim, answer: Answered | None) -> None:
    """Keep an answer before it is sent, for what a client has seen must come back."""
    if answer is None:
        kept.release(claim)
    else:
        kept.keep(claim, answer)


async def _spool(request: Request, body: IO[bytes]) -> str:
    """Read the request to the end; a digest of all that tells it from others."""
    digest = hashlib.sha256()
    for part in (request.url.path, request.url.query, request.headers.get("content-type", "")):
        digest.update(part.encode() + b"\0")
    async for chunk in request.stream():
        digest.update(chunk)
        body.write(chunk)
    return digest.hexdigest()


def _replay(body: IO[bytes], receive: Receive) -> Receive:
    """The request's body once more, then whatever comes after it."""
    body.seek(0)
    done = False

    async def again() -> Message:
        nonlocal done
        if done:
            return await receive()
        chunk = body.read(_CHUNK)
        done = len(chunk) < _CHUNK
        return {"type": "http.request", "body": chunk, "more_body": not done}

    return again


async def _renew(kept: KeptAnswers, claim: Claim) -> None:
    while True:
        await asyncio.sleep(LEASE.total_seconds() / 3)
        await run_in_threadpool(kept.renew, claim)


def _refuse(request: Request, error: BellwetherError) -> Response:
    status = next(status for kind, status in _STATUS.items() if isinstance(error, kind))
    return problems.answer(request, status, error, {"Retry-After": "1"} if status == 409 else None)


def _again(answer: Answered) -> Response:
    response = Response(answer.body, answer.status)
    for name, value in answer.headers:
        response.headers[name] = value
    response.headers[REPLAYED] = "true"
    return response
