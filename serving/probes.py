"""What watches the service asks: does it live, is it ready, its metrics; at the root, as watchers expect it."""

from __future__ import annotations

from hmac import compare_digest
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from crm.errors import NotAllowed
from serving.dependencies import ServerDep, at_this_machine, token_of
from serving.documents import example
from serving.metrics import Metrics
from serving.problems import documented
from serving.readiness import Readiness

router = APIRouter(tags=["service"])
_READY: dict[str, Any] = {"status": "ready"}
_LATE: dict[str, Any] = {
    "status": "not ready",
    "parts": {"models": {"state": "loading", "text": "the win model is being loaded"}},
    "scored_at": "2026-03-01T12:00:00+00:00",
    "imported_at": "2026-03-01T11:30:00+00:00",
}
_TEXT = 'bellwether_requests_total{method="GET",route="/readyz",status="200"} 3.0\n'
_REFUSED = documented(403)
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


class WatchersOnly(NotAllowed):
    """Figures of the service are not for everybody."""

    def __init__(self) -> None:
        super().__init__(
            "This is told at the machine itself, or to whoever sends BELLWETHER_METRICS_TOKEN: "
            "Authorization: Bearer TOKEN."
        )


def watches(request: Request, server: ServerDep) -> bool:
    """Whether figures may be told: by the token where one is set, else at this machine, not through a proxy."""
    if (secret := server.settings.metrics_token) is not None:
        return compare_digest((token_of(request) or "").encode(), secret.get_secret_value().encode())
    return at_this_machine(request) and not any(name in request.headers for name in _FORWARDED)


@router.get("/healthz", responses={**example({"status": "ok"}), **_REFUSED})
def read_alive() -> dict[str, str]:
    """The process answers; nothing else is looked at."""
    return {"status": "ok"}


@router.get("/readyz", responses={**example(_READY), **example(_LATE, 503), **_REFUSED})
def read_ready(server: ServerDep, may: Annotated[bool, Depends(watches)]) -> JSONResponse:
    """Whether requests can be answered now; status 503 where not. The parts are told to watchers alone."""
    found = Readiness.of(server)
    told: dict[str, object] = {"status": "ready" if found.ready else "not ready"}
    if may:
        told["parts"] = {check.part: {"state": check.state, "text": check.text} for check in found.checks}
        told["scored_at"] = found.scored_at.isoformat() if found.scored_at else None
        told["imported_at"] = found.imported_at.isoformat() if found.imported_at else None
    late = {} if found.ready else {"Retry-After": "5"}
    return JSONResponse(told, 200 if found.ready else 503, headers=late)


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": {"example": _TEXT}}}, **_REFUSED},
)
def read_metrics(request: Request, server: ServerDep, may: Annotated[bool, Depends(watches)]) -> Response:
    """Figures in Prometheus' text form."""
    if not may:
        raise WatchersOnly
    return Response(_metrics(request).text(Readiness.of(server)), media_type="text/plain; version=0.0.4; charset=utf-8")


def _metrics(request: Request) -> Metrics:
    metrics: Metrics = request.app.state.metrics
    return metrics
