"""Language and theme, kept in cookies of the visitor."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse

from serving.i18n import LANGUAGES
from serving.pages.shell import LANGUAGE_COOKIE, THEME_COOKIE, THEMES, local_path

router = APIRouter(include_in_schema=False)
_YEAR = 365 * 24 * 3600


@router.post("/preferences")
def keep_preferences(
    next: Annotated[str, Form()] = "/today",  # noqa: A002 - name of the form's field
    language: Annotated[str | None, Form()] = None,
    theme: Annotated[str | None, Form()] = None,
) -> RedirectResponse:
    """Keep what was chosen and go back to where it was chosen; unknown values change nothing."""
    answer = RedirectResponse(local_path(next), status_code=303)
    if language in LANGUAGES:
        answer.set_cookie(LANGUAGE_COOKIE, language, max_age=_YEAR, samesite="lax", httponly=True)
    if theme in THEMES:
        # The script switches the theme without asking the server, so it may read this one.
        answer.set_cookie(THEME_COOKIE, theme, max_age=_YEAR, samesite="lax")
    return answer
