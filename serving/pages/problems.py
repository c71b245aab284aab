"""Pages for what cannot be shown: one sentence in the visitor's language, and the mend."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import HTMLResponse

from crm.company import Company
from crm.errors import BellwetherError
from serving.access import Viewer
from serving.pages.shell import visit


def wants_page(request: Request) -> bool:
    """Whether an answer goes to a person's browser, not to a program."""
    path = request.url.path
    return not path.startswith(("/api/", "/static/")) and "text/html" in request.headers.get("accept", "")


def problem_page(
    request: Request,
    company: Company,
    status: int,
    detail: str | BellwetherError,
    number: str = "",
    *,
    viewer: Viewer | None = None,
) -> HTMLResponse:
    """The page for an error.

    Parameters
    ----------
    detail : str or BellwetherError
        What the API would say: what is wrong, then the mend. A text stays English.
    number : str
        Number of the request in the log, for errors of our own.
    viewer : Viewer, optional
        Who asks, so that the frame has the pages of their role.
    """
    seen = visit(request, company, role=viewer.role if viewer else None)
    if viewer:
        seen.shell.viewer, seen.shell.signed_in = viewer.name, viewer.signed_in
    say = seen.language.say
    told = detail if isinstance(detail, str) else seen.language.tell(detail)
    title, text, more = {
        403: (say("Not allowed"), say("You may not do this."), told),
        404: (say("Nothing here"), say("There is nothing here that you can open."), ""),
        503: (say("Not ready yet"), say("Something must be done first."), told),
    }.get(
        status,
        (say("This did not work"), say("What was sent cannot be used as it is."), told)
        if status < 500
        else (
            say("This page failed"),
            say("The fault is ours, and it has been noted. Try again."),
            say("Request {number}", number=number) if number else "",
        ),
    )
    return seen.show(
        "problem.html",
        "",
        status=status,
        title=title,
        text=text,
        detail=more,
        action=say("To the front page"),
        address="/today",
    )
