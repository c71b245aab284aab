"""Answers made from scores alone are kept with all that they rest on, and given again to whoever may see the same."""

from __future__ import annotations

import gzip
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import get_type_hints

from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crm.errors import BellwetherError
from serving.asked import Asked, digest
from serving.dependencies import find_asked, look_up
from serving.exports import format_of
from serving.i18n import choose_code
from serving.pages.shell import LANGUAGE_COOKIE

_VARY = "Accept, Accept-Encoding, Accept-Language, Authorization, Cookie"
_JSON = "application/json"
_MOST_BYTES, _LARGEST = 64 << 20, 1 << 20
_GZIP = b"\x1f\x8b"  # how what is compressed begins; JSON does not
PACKED_FROM = 1000  # bytes from which an answer is worth compressing


class Kept:
    """Answers again what it has answered before; tells a client whether its own copy is still right.

    Which routes that holds for, they say themselves: those that ask for `AskedDep`. They may ask for nothing else, as
    the key of an answer is made of what is in it (`Asked.tag`), the path and query, the language and the form.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[APIRoute], prefix: str) -> None:
        self.app = app
        kept = kept_routes(routes)
        self._routes = [(compile_path(prefix + one.path)[0], one, _takes_words(one)) for one in kept]
        self._answers = _Answers()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, unless its answer is known."""
        wish = self._match(scope)
        found = await run_in_threadpool(self._find, Request(scope, receive), wish) if wish else None
        if wish is None or found is None:
            await self.app(scope, receive, send)
        elif found.known or found.body is not None:
            scope["route"], scope["path_params"] = wish.route, wish.given  # for the log
            await _send(send, found)
        else:
            await self.app(scope, receive, _Taking(scope, send, wish.route, found, self._answers))

    def _match(self, scope: Scope) -> _Wish | None:
        if scope["type"] != "http" or scope["method"] != "GET":
            return None
        for pattern, route, words in self._routes:
            if match := pattern.match(scope["path"]):
                return _Wish(route, match.groupdict(), words)
        return None

    def _find(self, request: Request, wish: _Wish) -> _Found | None:
        try:
            asked = look_up(request)
        except BellwetherError:  # the route meets it again, and its answer tells what is missing
            return None
        tag = _tag(request, asked.tag)
        if f'W/"{tag}"' in [given.strip() for given in request.headers.get("if-none-match", "").split(",")]:
            return _Found(tag, known=True)
        packed = "gzip" in request.headers.get("accept-encoding", "")
        body = self._answers.get(tag, packed=packed)
        if body is None and (made := _build(wish, asked)) is not None:
            self._answers.put(tag, made)
            body = self._answers.get(tag, packed=packed) or made
        return _Found(tag, body)


@dataclass(frozen=True, slots=True)
class _Wish:
    """A route whose pattern the path fits, what the path gives, and whether that is all that the route takes."""

    route: APIRoute
    given: dict[str, str]
    words: bool


@dataclass(frozen=True, slots=True)
class _Found:
    """An answer's tag, and the answer where there is one; `known` where the client has it already."""

    tag: str
    body: bytes | None = None
    known: bool = False

    @property
    def headers(self) -> dict[str, str]:
        """What goes with it."""
        return {"ETag": f'W/"{self.tag}"', "Cache-Control": "private, no-cache", "Vary": _VARY}


def _build(wish: _Wish, asked: Asked) -> bytes | None:
    """The answer of a route that takes words of the path alone, in the thread that found who asks.

    None where FastAPI has something to check or to convert first, or an error to tell.
    """
    if not wish.words:
        return None
    try:
        found = wish.route.endpoint(**wish.given, asked=asked)
    except BellwetherError:
        return None
    return found.model_dump_json().encode() if isinstance(found, BaseModel) else None


def _takes_words(route: APIRoute) -> bool:
    taken = {name: kind for name, kind in get_type_hints(route.endpoint).items() if name not in ("asked", "return")}
    return all(kind is str for kind in taken.values()) and set(taken) == set(route.param_convertors)


def kept_routes(routes: Iterable[APIRoute]) -> list[APIRoute]:
    """The routes whose answers are kept.

    Raises
    ------
    TypeError
        If one of them asks for something that the key of an answer does not hold.
    """
    found = [route for route in routes if find_asked in (one.call for one in route.dependant.dependencies)]
    for route in found:
        if more := [one.call for one in route.dependant.dependencies if one.call is not find_asked]:
            raise TypeError(f"{route.path}: its answers are kept, so AskedDep must be all it asks for, not {more} too.")
    return found


class _Answers:
    """The answers given last, up to so many bytes."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[tuple[str, bool], bytes] = OrderedDict()
        self._bytes = 0

    def get(self, tag: str, *, packed: bool) -> bytes | None:
        """What was answered, as it was or compressed."""
        with self._lock:
            if (found := self._kept.get((tag, packed))) is not None:
                self._kept.move_to_end((tag, packed))
        if found is None and packed and (plain := self.get(tag, packed=False)) is not None:
            found = gzip.compress(plain, 6, mtime=0) if len(plain) >= PACKED_FROM else plain
            self.put(tag, found, packed=True)
        return found

    def put(self, tag: str, body: bytes, *, packed: bool = False) -> None:
        """Keep an answer, and let those go that were not asked for the longest time."""
        with self._lock:
            if len(body) > _LARGEST or (tag, packed) in self._kept:
                return
            self._kept[tag, packed] = body
            self._bytes += len(body)
            while self._bytes > _MOST_BYTES:
                self._bytes -= len(self._kept.popitem(last=False)[1])


class _Taking:
    """Passes an answer on with its headers, and keeps it."""

    def __init__(self, scope: Scope, send: Send, route: APIRoute, found: _Found, answers: _Answers) -> None:
        self._scope, self._send, self._route = scope, send, route
        self._found, self._answers = found, answers
        self._body: list[bytes] | None = None

    async def __call__(self, message: Message) -> None:
        """Take a part of the answer."""
        # Another route may have the address that this one's pattern fits too.
        ours = self._scope.get("endpoint") is self._route.endpoint
        if message["type"] == "http.response.start" and message["status"] == 200 and ours:
            headers = MutableHeaders(scope=message)
            headers.update(self._found.headers)
            self._body = [] if headers.get("content-type", "") == _JSON else None
        elif message["type"] == "http.response.body" and self._body is not None:
            self._body.append(message.get("body", b""))
            if not message.get("more_body", False):
                self._answers.put(self._found.tag, b"".join(self._body))
        await self._send(message)


def _tag(request: Request, asked: str) -> str:
    language = choose_code(request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language"))
    form = format_of(None, request.headers.get("accept", ""))
    return digest(asked, request.scope["path"], request.scope["query_string"], language, form)


async def _send(send: Send, found: _Found) -> None:
    """A kept answer; without one, that the client's copy is right."""
    headers, body = MutableHeaders(found.headers), found.body
    if body is not None:
        headers.update({"content-type": _JSON, "content-length": str(len(body))})
        if body.startswith(_GZIP):
            headers["content-encoding"] = "gzip"
    await send({"type": "http.response.start", "status": 304 if found.known else 200, "headers": headers.raw})
    await send({"type": "http.response.body", "body": body or b""})
