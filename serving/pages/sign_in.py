"""Signing in and out: who am I?"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from serving.dependencies import COOKIE, AddressDep, CompanyDep, Server, ServerDep
from serving.pages.shell import Visit, local_path, visit
from serving.sign_in import WrongPassword, sign_in, sign_out
from serving.tries import TooManyTries

router = APIRouter(include_in_schema=False)
_DAY = 24 * 3600


@router.get("/sign-in")
def ask(request: Request, company: CompanyDep, next: str = "/today") -> HTMLResponse:  # noqa: A002 - as in the address
    """The form."""
    return _form(visit(request, company), next)


@router.post("/sign-in")
def check(
    request: Request,
    server: ServerDep,
    company: CompanyDep,
    address: AddressDep,
    email: Annotated[str, Form()],
    password: Annotated[str, Form()],
    next: Annotated[str, Form()] = "/today",  # noqa: A002
) -> Response:
    """Check the password and go on to where one wanted to go."""
    seen = visit(request, company)
    days = server.settings.session_days
    try:
        token = sign_in(server.store, email, password, address=address, days=days)
    except WrongPassword:
        wrong = seen.language.say("E-mail or password is wrong. Try again, or ask an administrator for a new password.")
        return _form(seen, next, email, wrong, 401)
    except TooManyTries as error:
        return _form(seen, next, email, seen.language.tell(error), 429)
    return keep_session(RedirectResponse(local_path(next), status_code=303), request, server, token)


def keep_session(answer: RedirectResponse, request: Request, server: Server, token: str) -> RedirectResponse:
    """Put a session's token into the browser; no script reads it, no other site sends it."""
    secure = server.settings.secure_cookies or request.url.scheme == "https"
    age = server.settings.session_days * _DAY
    answer.set_cookie(COOKIE, token, max_age=age, httponly=True, samesite="lax", secure=secure)
    return answer


@router.post("/sign-out")
def leave(request: Request, server: ServerDep) -> RedirectResponse:
    """End the session in this browser and in the store."""
    sign_out(server.store, request.cookies.get(COOKIE))
    answer = RedirectResponse("/sign-in", status_code=303)
    answer.delete_cookie(COOKIE)
    return answer


def _form(seen: Visit, wished: str, email: str = "", error: str = "", status: int = 200) -> HTMLResponse:
    server: Server = seen.request.app.state.server
    given = {"next": local_path(wished), "email": email, "error": error, "provider": server.provider is not None}
    return seen.show("sign_in.html", "", status=status, **given)
