"""Errors as answers: kinds of `crm.errors` to HTTP status; problem documents (RFC 9457) or, for browsers, pages."""

from __future__ import annotations

import logging
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from crm.errors import BadInput, BellwetherError, NotAllowed, NotFound, NotReady
from serving.access import SignInNeeded, Viewer
from serving.dependencies import find_viewer, server_of
from serving.faults import fault_of
from serving.goals import GoalMoved
from serving.logs import REQUEST
from serving.pages.problems import problem_page, wants_page
from serving.sign_in import WrongPassword
from serving.tries import TooManyTries

_log = logging.getLogger("bellwether")
NOTHING_HERE = "There is nothing here that you can open."
_STATUS: tuple[tuple[type[BellwetherError], int], ...] = (
    (SignInNeeded, 401),
    (WrongPassword, 401),
    (TooManyTries, 429),
    (GoalMoved, 409),
    (NotAllowed, 403),
    (NotFound, 404),
    (NotReady, 503),
    (BadInput, 400),
)
_TITLES = {
    400: "Bad input",
    401: "Sign in needed",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Too large",
    422: "Bad input",
    429: "Too many tries",
    500: "Something went wrong",
    503: "Not ready",
}
_LONGEST_PART = 80
_MORE = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "10"}}


class Problem(BaseModel):
    """A problem document, as RFC 9457 has it."""

    type: str = "about:blank"
    title: Annotated[str, Field(examples=["Bad input"])]
    status: Annotated[int, Field(examples=[400])]
    detail: Annotated[str, Field(description="What is wrong, where, with the value found, then the mend.")]


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What the OpenAPI document says of answers that are problems."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {s: {"description": _TITLES[s], "content": {"application/problem+json": schema}} for s in statuses}


def status_of(error: BellwetherError) -> int:
    """HTTP status of an error."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def install(app: FastAPI) -> None:
    """Make an app answer errors this way."""
    app.add_exception_handler(BellwetherError, _known)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def answer(
    request: Request,
    status: int,
    said: str | BellwetherError,
    headers: dict[str, str] | None = None,
    *,
    number: str = "",
) -> Response:
    """A page for a person's browser, a problem document for a program; `number` finds the request in the log."""
    if not wants_page(request):
        title = _TITLES.get(status, "Problem")
        body = {"type": "about:blank", "title": title, "status": status, "detail": str(said)}
        return JSONResponse(body, status, media_type="application/problem+json", headers=headers)
    if status == 401 and request.method == "GET":
        wished = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/sign-in?next={quote(wished)}", status_code=303)
    company = request.app.state.server.company()
    return problem_page(request, company, status, said, number, viewer=_viewer_of(request))


def _viewer_of(request: Request) -> Viewer | None:
    """Who asks, for the frame around the page: an address that does not exist has no route that would find out."""
    if found := getattr(request.state, "viewer", None):
        return found
    try:
        return find_viewer(request, server_of(request))
    except (BellwetherError, SQLAlchemyError, OSError):  # the error that is told may be that the store is away
        return None


def _known(request: Request, error: Exception) -> Response:
    assert isinstance(error, BellwetherError)
    status = status_of(error)
    headers = dict(_MORE.get(status, {}))
    if isinstance(error, TooManyTries):
        headers["Retry-After"] = str(error.seconds)
    return answer(request, status, error, headers)


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        why, place = first.get("ctx", {}).get("error", ""), first["loc"][-1]
        return answer(request, 422, f"The body is no JSON, from character {place} on: {why}. Send JSON.")
    # A key of a mapping is one of the parts, and may be as long as who sends it likes.
    where = ".".join(str(part)[:_LONGEST_PART] for part in first["loc"][1:]) or "the request"
    return answer(request, 422, f"{where}: {first['msg']}. See /api/openapi.json for what is accepted.")


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    text = NOTHING_HERE if error.status_code == 404 else str(error.detail)
    return answer(request, error.status_code, text, dict(error.headers or {}))


def unknown(request: Request, error: Exception) -> Response:
    """The answer to an error that nobody foresaw; the log has all of it under the number that is told."""
    if fault := fault_of(error):
        _log.error("A request failed: %s", fault, exc_info=error)
        return answer(request, 503, fault, _MORE[503])
    number = REQUEST.get()
    _log.error("A request failed", exc_info=error)
    return answer(
        request, 500, f"Something went wrong here; the log has it as request {number}. Try again.", number=number
    )
