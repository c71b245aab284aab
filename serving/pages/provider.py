"""Signing in at the company's own provider: there and back."""

from __future__ import annotations

from secrets import compare_digest
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse

from serving.dependencies import Server, ServerDep
from serving.oidc import NoProvider, Provider, ProviderRefused
from serving.pages.shell import local_path
from serving.pages.sign_in import keep_session
from serving.sign_in import start_session

router = APIRouter(include_in_schema=False, prefix="/sign-in/provider")
_STATE_COOKIE = "bellwether_state"
_PATH = "/sign-in/provider"
_SECONDS = 600


@router.get("")
def leave(
    request: Request,
    server: ServerDep,
    next: Annotated[str, Query(max_length=2000)] = "/today",  # noqa: A002 - as in the address
) -> RedirectResponse:
    """Send the browser to the provider, with a state that only this browser holds."""
    address, state = _provider(server).start(server.store, _back(request), local_path(next))
    answer = RedirectResponse(address, status_code=303)
    secure = server.settings.secure_cookies or request.url.scheme == "https"
    answer.set_cookie(_STATE_COOKIE, state, max_age=_SECONDS, path=_PATH, httponly=True, samesite="lax", secure=secure)
    return answer


@router.get("/back")
def come_back(
    request: Request,
    server: ServerDep,
    state: Annotated[str, Query(max_length=200)] = "",
    code: Annotated[str, Query(max_length=2000)] = "",
    error: Annotated[str, Query(max_length=200)] = "",
) -> RedirectResponse:
    """Take the provider's word for who it is, and sign in."""
    kept = request.cookies.get(_STATE_COOKIE, "")
    if error or not code:
        raise ProviderRefused(f"it answered {error or 'nothing'!r}")
    if not kept or not compare_digest(kept.encode(), state.encode()):
        raise ProviderRefused("another browser began it")
    user, wished = _provider(server).finish(server.store, state, code, _back(request))
    server.store.audit(user.email, "sign in at provider", subject=user.subject)
    token = start_session(server.store, user.user_id, days=server.settings.session_days, label="provider")
    answer = keep_session(RedirectResponse(local_path(wished), status_code=303), request, server, token)
    answer.delete_cookie(_STATE_COOKIE, path=_PATH)
    return answer


def _provider(server: Server) -> Provider:
    if server.provider is None:
        raise NoProvider
    return server.provider


def _back(request: Request) -> str:
    return f"{request.base_url}sign-in/provider/back"
