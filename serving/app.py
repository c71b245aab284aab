"""Builds the app: routes and pages found by name, errors mapped to answers, headers that keep a page to itself."""

from __future__ import annotations

import pkgutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles
from starlette.middleware.gzip import GZipMiddleware

from serving import pages, problems, routes
from serving.dependencies import Server
from serving.documents import SIGNED
from serving.home import Home
from serving.settings import Settings
from serving.store import Store

API = "/api/v1"
_STATIC = Path(__file__).parent / "static"
_PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_PROBLEMS = (400, 401, 403, 404, 422, 429, 503)
_SAFE = ("GET", "HEAD", "OPTIONS")


def create_app(settings: Settings) -> FastAPI:
    """The app of one home.

    Raises
    ------
    NotReady
        If home or store cannot be opened.
    """
    home = Home.of(settings)
    home.make()
    server = Server(settings, home, Store(home.database_url))

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        server.store.close()

    app = FastAPI(
        title="Bellwether",
        summary="Forecasts, reasons and next steps for sales teams.",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        lifespan=life,
    )
    app.state.server = server
    problems.install(app)
    for router in _routers(routes):
        app.include_router(router, prefix=API, dependencies=SIGNED, responses=problems.documented(*_PROBLEMS))
    for router in _routers(pages):
        app.include_router(router)
    if _STATIC.is_dir():
        app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    app.middleware("http")(_guard)
    app.add_middleware(GZipMiddleware, minimum_size=1000)
    return app


def _routers(package: object) -> Iterator[APIRouter]:
    name, path = package.__name__, package.__path__  # type: ignore[attr-defined]
    for module in sorted(pkgutil.iter_modules(path), key=lambda m: m.name):
        router = getattr(import_module(f"{name}.{module.name}"), "router", None)
        if isinstance(router, APIRouter):
            yield router


async def _guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    if request.method not in _SAFE and not _same_origin(request):
        return problems.answer(request, 403, "This request came from another site. Open the page here and try again.")
    try:
        response = await call_next(request)
    except Exception as error:  # here, so that this answer too carries the headers below
        response = problems.unknown(request, error)
    response.headers.setdefault("Content-Security-Policy", _PAGE_POLICY)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    response.headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    if not request.url.path.startswith("/static/"):
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def _same_origin(request: Request) -> bool:
    """Whether a browser says that the request comes from our own pages; programs say nothing."""
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")
