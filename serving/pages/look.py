"""The sample company: through whose eyes do I look at it?"""

from __future__ import annotations

from typing import Annotated, NamedTuple

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse, RedirectResponse

from serving.dependencies import LOOK_COOKIE, Server, ServerDep, ViewDep, ViewerDep
from serving.pages.desk import DeskDep, NothingHere

router = APIRouter(include_in_schema=False)


class Person(NamedTuple):
    """Someone through whose eyes one can look."""

    rep_id: str
    name: str


class Team(NamedTuple):
    """A team's people, its manager first."""

    name: str
    people: list[Person]


@router.get("/look")
def choose(desk: DeskDep, server: ServerDep, viewer: ViewerDep, view: ViewDep) -> HTMLResponse:
    """Everyone who can be chosen, by team."""
    _only_sample(server)
    facts, names = desk.facts, server.names(view)
    teams = []
    for team_id, team in facts.teams.sort_values("name").iterrows():
        leader = team["manager_rep_id"]
        members = [str(rep) for rep in facts.reps.index[facts.reps["team_id"] == team_id] if rep != leader]
        order = [str(leader), *sorted(members)] if isinstance(leader, str) else sorted(members)
        if order:
            teams.append(Team(str(team["name"]), [Person(rep, names.get(rep, rep)) for rep in order]))
    chosen = names.get(viewer.rep_id or "", viewer.rep_id or "") if not viewer.signed_in else ""
    return desk.show("look.html", "", teams=teams, chosen=chosen)


@router.post("/look")
def look(server: ServerDep, rep_id: Annotated[str, Form(max_length=200)] = "") -> RedirectResponse:
    """Look through someone's eyes from now on; an empty rep_id sees everything again."""
    _only_sample(server)
    answer = RedirectResponse("/today", status_code=303)
    if rep_id:
        answer.set_cookie(LOOK_COOKIE, rep_id, samesite="lax", httponly=True)
    else:
        answer.delete_cookie(LOOK_COOKIE)
    return answer


def _only_sample(server: Server) -> None:
    if not server.company().sample:
        raise NothingHere
