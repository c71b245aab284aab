"""Builds the app: routes and pages found by name, errors mapped to answers, and what each request passes first."""

from __future__ import annotations

import pkgutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from threading import Thread

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from starlette.middleware.gzip import GZipMiddleware

from serving import pages, probes, problems, routes
from serving.dependencies import Server
from serving.documents import SIGNED, DocumentedApp, operation_id
from serving.home import Home
from serving.metrics import Metrics
from serving.middleware.dating import Dating
from serving.middleware.guard import Guard
from serving.middleware.kept import PACKED_FROM, Kept
from serving.middleware.noting import Noting
from serving.middleware.repeats import Repeats
from serving.middleware.requests import RequestLog
from serving.middleware.sizes import Sizes
from serving.settings import Settings
from serving.stopping import tell_when_stopping
from serving.store import Store

API = "/api/v1"
_STATIC = Path(__file__).parent / "static"
_PROBLEMS = (400, 401, 403, 404, 409, 413, 422, 429, 503)


def create_app(settings: Settings, *, warm: bool = False, shared_metrics: Path | None = None) -> FastAPI:
    """The app of one home.

    Parameters
    ----------
    warm : bool
        Whether the model in use is loaded at once, in the background; /readyz says when it is there.
    shared_metrics : Path, optional
        Folder through which several processes share their counts.

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
        tell_when_stopping(server.stopping)
        loading = Thread(target=_warm, args=(server,), name="warm", daemon=True) if warm else None
        if loading:
            loading.start()
        yield
        if loading:
            loading.join()  # a thread that still loads while the interpreter ends aborts the process
        server.store.close()

    app = DocumentedApp(
        title="Bellwether",
        summary="Forecasts, reasons and next steps for sales teams.",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        generate_unique_id_function=operation_id,
        lifespan=life,
    )
    app.state.server = server
    app.state.schemas = {"Problem": problems.Problem.model_json_schema()}
    app.state.metrics = Metrics(shared_metrics)
    problems.install(app)
    for router in _routers(routes):
        app.include_router(router, prefix=API, dependencies=SIGNED, responses=problems.documented(*_PROBLEMS))
    for router in _routers(pages):
        app.include_router(router)
    if _STATIC.is_dir():
        app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    app.include_router(probes.router)
    # The last one added is the first that a request passes.
    app.add_middleware(Kept, routes=[one for router in _routers(routes) for one in _api_routes(router)], prefix=API)
    app.add_middleware(Noting, store=server.store, prefix=API)
    app.add_middleware(Repeats, prefix=API)
    app.add_middleware(Dating)
    app.add_middleware(Sizes, upload_bytes=settings.upload_mb * 1_000_000)
    app.add_middleware(Guard)
    app.add_middleware(GZipMiddleware, minimum_size=PACKED_FROM, compresslevel=6)
    app.add_middleware(RequestLog, metrics=app.state.metrics, prefix=API)
    return app


def _warm(server: Server) -> None:
    server.live.warm(server.view(), server.company())


def _routers(package: object) -> Iterator[APIRouter]:
    name, path = package.__name__, package.__path__  # type: ignore[attr-defined]
    for module in sorted(pkgutil.iter_modules(path), key=lambda m: m.name):
        router = getattr(import_module(f"{name}.{module.name}"), "router", None)
        if isinstance(router, APIRouter):
            yield router


def _api_routes(router: APIRouter) -> Iterator[APIRoute]:
    yield from (route for route in router.routes if isinstance(route, APIRoute))
