"""Which password do I choose? By a one-time link; the first administrator is made this way too."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from crm.errors import BellwetherError
from serving.dependencies import CompanyDep, ServerDep
from serving.pages.shell import Visit, visit
from serving.pages.sign_in import keep_session
from serving.passwords import LEAST, MOST
from serving.sign_in import start_session
from serving.users import LinkEnded, find_user, link_email, use_link

router = APIRouter(include_in_schema=False, prefix="/password")

Secret = Annotated[str, Form(max_length=2 * MOST)]


@router.get("/{link}")
def ask(link: str, request: Request, server: ServerDep, company: CompanyDep) -> HTMLResponse:
    """The form; a page that says so where the link has ended."""
    return _form(visit(request, company), link, link_email(server.store, link))


@router.post("/{link}")
def choose(
    link: str,
    request: Request,
    server: ServerDep,
    company: CompanyDep,
    password: Secret,
    again: Secret,
    email: Annotated[str, Form(max_length=320)] = "",
) -> Response:
    """Set the password, which ends the link, and sign in."""
    seen, owner = visit(request, company), link_email(server.store, link)
    if password != again:
        return _form(seen, link, owner, email, seen.language.say("The two passwords differ. Type the same one twice."))
    try:
        owner = use_link(server.store, link, password, email=email)
    except LinkEnded:
        raise
    except BellwetherError as error:
        return _form(seen, link, owner, email, seen.language.tell(error))
    server.store.audit(owner, "choose password by link", email=owner)
    user = find_user(server.store, owner)
    days = server.settings.session_days
    token = start_session(server.store, user.user_id, days=days, label="browser")
    return keep_session(RedirectResponse("/today", status_code=303), request, server, token)


def _form(seen: Visit, link: str, owner: str | None, email: str = "", error: str = "") -> HTMLResponse:
    status = 400 if error else 200
    return seen.show("password.html", "", status=status, link=link, owner=owner, email=email, error=error, least=LEAST)
