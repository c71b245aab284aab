"""Whether a client has an answer already: entity tags from what the answer is made of, not from its bytes."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Request, Response

from serving.dependencies import CompanyDep, NamesDep, ScoresDep, SightDep
from serving.exports import format_of
from serving.i18n import choose_code
from serving.pages.shell import LANGUAGE_COOKIE

_VARY = "Accept, Accept-Language, Authorization, Cookie"


class NotModified(Exception):
    """What the client has is still right; not an error, but it ends the work."""

    def __init__(self, headers: dict[str, str]) -> None:
        super().__init__("not modified")
        self.headers = headers


def answer_not_modified(_: Request, error: Exception) -> Response:
    """Status 304 without a body."""
    assert isinstance(error, NotModified)
    return Response(status_code=304, headers=error.headers)


def keep_fresh(
    request: Request, response: Response, scores: ScoresDep, sight: SightDep, names: NamesDep, company: CompanyDep
) -> dict[str, str]:
    """Headers that let a client ask again cheaply.

    The tag changes with scores (data cut and models), the viewer's sight, names, company settings, day, language and
    form. It is weak, as the bytes differ when compressed.

    Raises
    ------
    NotModified
        If the client's copy has this tag.
    """
    language = choose_code(request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language"))
    form = format_of(None, request.headers.get("accept", ""))
    parts = (scores.mark, scores.meta.get("data_cut"), scores.meta.get("models"), _scope(sight), sorted(names.items()))
    today = datetime.now(UTC).astimezone(company.zone).date()
    text = repr((*parts, today, company.model_dump_json(), language, form, str(request.url.query)))
    tag = f'W/"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": _VARY}
    if tag in [given.strip() for given in request.headers.get("if-none-match", "").split(",")]:
        raise NotModified(headers)
    response.headers.update(headers)
    return headers


def _scope(sight: SightDep) -> tuple[object, ...]:
    sets = (sight.reps, sight.teams, sight.accounts, sight.persons)
    return (sight.names, sight.own, sight.least, *(None if found is None else sorted(found) for found in sets))


FreshDep = Annotated[dict[str, str], Depends(keep_fresh)]
