"""The tour through the sample company: where each step leads, and its end."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse

from serving.pages.desk import Desk, DeskDep, NothingHere
from serving.pages.shell import local_path
from serving.pages.tour_steps import COOKIE, STEPS

router = APIRouter(include_in_schema=False)
_YEAR = 365 * 24 * 3600


@router.get("/tour/{step}")
def go_on(step: int, desk: DeskDep) -> RedirectResponse:
    """The page and place of a step."""
    if not 1 <= step <= STEPS or not desk.company.sample:
        raise NothingHere
    deal = _deal(desk)
    about = f"/deals/{quote(deal, safe='')}" if deal else "/deals"
    places = [("/today", "main"), ("/forecast", "fan"), (about, "why"), (about, "steps"), ("/accuracy", "main")]
    page, place = places[step - 1]
    if page == "/forecast":
        page = _own_forecast(desk)
    return RedirectResponse(f"{page}?tour={step}#{place}", status_code=303)


@router.post("/tour/end")
def end(next: Annotated[str, Form()] = "/today") -> RedirectResponse:  # noqa: A002 - name of the form's field
    """Do not offer the tour again."""
    answer = RedirectResponse(local_path(next), status_code=303)
    answer.set_cookie(COOKIE, "done", max_age=_YEAR, samesite="lax", httponly=True)
    return answer


def _deal(desk: Desk) -> str | None:
    """The deal worth most that has a suggestion; else the one worth most."""
    deals, advice = desk.frame("deals"), desk.frame("advice")
    advised = deals[deals["deal_id"].isin(advice["deal_id"][advice["action"] != "pause"])]
    best = (advised if len(advised) else deals).sort_values("expected_amount", ascending=False)
    return str(best["deal_id"].iloc[0]) if len(best) else None


def _own_forecast(desk: Desk) -> str:
    """The forecast that the visitor may see; a redirect would lose the step."""
    if "company" in desk.scored_teams or "teams" not in desk.frames:
        return "/forecast"
    own = next(iter(sorted(desk.children("company"))), None)
    return (
        f"/forecast/teams/{quote(own, safe='')}"
        if own
        else f"/forecast/reps/{quote(desk.viewer.rep_id or '', safe='')}"
    )
