"""The forecast: where will the company, a team or a person end the period, and why?"""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import quote

import pandas as pd
from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from serving.calls import Entity
from serving.dependencies import Server, ServerDep
from serving.pages import calls, listing, moves, outlook, reasons, words
from serving.pages.desk import Desk, DeskDep
from serving.pages.outlook import COMPANY, Outcome, Table
from serving.pages.rail import Rail
from serving.people_data.subjects import keys_of
from serving.people_data.views import note_looks

router = APIRouter(include_in_schema=False)
RAIL = Rail("forecast", "numbers", 1, lambda say: say("Forecast"), "/forecast")
MOST_DEALS = 15


class Deals(NamedTuple):
    """The deals behind a person's forecast."""

    title: str
    rows: list[dict[str, str]]
    rest: str
    rest_expected: str


@router.get("/forecast")
def company_forecast(desk: DeskDep, server: ServerDep) -> Response:
    """The company's forecast; who may not see it gets to the own team's or the own one."""
    if COMPANY in desk.scored_teams or "teams" not in desk.frames:
        return _team(desk, server, COMPANY)
    own = next(iter(sorted(desk.children(COMPANY))), None)
    address = (
        f"/forecast/teams/{quote(own, safe='')}"
        if own
        else f"/forecast/reps/{quote(desk.viewer.rep_id or '', safe='')}"
    )
    return RedirectResponse(address, status_code=303)


@router.get("/forecast/teams/{team_id}")
def team_forecast(team_id: str, desk: DeskDep, server: ServerDep) -> HTMLResponse:
    """One team's forecast."""
    return _team(desk, server, team_id)


@router.get("/forecast/reps/{rep_id}")
def rep_forecast(rep_id: str, desk: DeskDep, server: ServerDep) -> HTMLResponse:
    """One person's forecast with the deals behind it."""
    if (missing := desk.without("reps", "forecast")) is not None:
        return missing
    row = desk.one_row("reps", "rep_id", rep_id)
    note_looks(desk.store, desk.viewer, [rep_id], keys_of(desk.view), what="page forecast")
    name = desk.names.get(rep_id, rep_id)
    outcome = Outcome.of(row)
    why = desk.reasons("rep", [rep_id])
    return _page(
        desk,
        server,
        target=("rep", rep_id),
        title=name,
        path=_path(desk, desk.team_of(rep_id), itself=True),
        outcome=outcome,
        members=[rep_id],
        reasons=_reasons(desk, why) if len(why) and outcome.money else None,
        tables=[],
        deals=_deals(desk, rep_id),
        person=f"/people/{quote(rep_id, safe='')}",
    )


def _team(desk: Desk, server: Server, team_id: str) -> HTMLResponse:
    if (missing := desk.without("teams", "forecast")) is not None:
        return missing
    row = desk.one_row("teams", "team_id", team_id)
    members = desk.members(team_id)
    company = team_id == COMPANY
    return _page(
        desk,
        server,
        target=("team", team_id),
        title=desk.visit.shell.company if company else desk.team_names.get(team_id, team_id),
        path=[] if company else _path(desk, team_id),
        outcome=Outcome.of(row),
        members=members,
        reasons=None,
        tables=_tables(desk, team_id, members),
        deals=None,
        person="",
    )


def _page(
    desk: Desk,
    server: Server,
    *,
    target: tuple[Entity, str],
    title: str,
    path: list[tuple[str, str]],
    outcome: Outcome,
    members: list[str] | None,
    **more: Any,
) -> HTMLResponse:
    f, (entity, ident) = desk.formats, target
    return desk.show(
        "forecast.html",
        "forecast",
        address="/forecast" if ident == COMPANY else f"/forecast/{entity}s/{quote(ident, safe='')}",
        moves=moves.moves_of(desk, server, outcome, entity, ident, members),
        calls=calls.shown(desk, outcome, *target),
        title=title,
        path=path,
        period=f.period(desk.company.period_of(outcome.start)),
        finding=outlook.sentence(f, title, outcome),
        note=desk.model_note("attainment"),
        fan=outlook.fan_of(f, outcome, desk.booked(outcome.start, members), desk.today),
        made_of=outlook.made_of(f, outcome),
        **more,
    )


def _path(desk: Desk, team_id: str | None, *, itself: bool = False) -> list[tuple[str, str]]:
    """Teams above a team, top first; with the team itself where the page is about one of its people."""
    parents = desk.team_parents
    steps: list[str] = []
    at = team_id if itself else parents.get(str(team_id))
    while at and at not in steps:
        steps.insert(0, at)
        at = parents.get(at)
    top = [(desk.language.say("Company"), "/forecast")] if COMPANY in desk.scored_teams else []
    named = [
        (desk.team_names.get(t, t), f"/forecast/teams/{quote(t, safe='')}") for t in steps if t in desk.scored_teams
    ]
    return top + named


def _tables(desk: Desk, team_id: str, members: list[str] | None) -> list[Table]:
    f, say = desk.formats, desk.language.say
    note = say(
        "Bars show the 80% range, dots its middle, the dashed line the goal. "
        "Middles do not add up to the team's; all come from the same draws, which do."
    )
    teams, reps = desk.outcomes(desk.frame("teams")), desk.outcomes(desk.frame("reps"))
    below = teams[teams["team_id"].isin(desk.children(team_id))]
    # Who has neither goal nor business, such as most managers, has nothing to be forecast.
    reps = reps[reps["target"].notna() | (reps["p90"] > 0)]
    people = reps if members is None else reps[reps["rep_id"].isin(members)]
    tables = []
    if len(below):
        rows = outlook.rows_of(f, below, "team_id", desk.team_names, "/forecast/teams", under={})
        tables.append(Table(say("Teams"), say("Team"), rows, note))
    if len(people):
        note_looks(desk.store, desk.viewer, people["rep_id"], keys_of(desk.view), what="page forecast")
        rows = outlook.rows_of(f, people, "rep_id", desk.names, "/forecast/reps", under=desk.team_name_of)
        tables.append(Table(say("People"), say("Person"), rows, note))
    return tables


def _reasons(desk: Desk, why: pd.DataFrame) -> reasons.ReasonList:
    say = desk.language.say
    return reasons.in_money(
        desk.formats,
        why,
        name=lambda feature, value, text: _named(desk, feature, text),
        base_text=say("Start"),
        total_text=say("Expected on average"),
    )


def _named(desk: Desk, feature: str, text: object) -> tuple[str, bool]:
    """A part of a person's expected amount: what is closed, a deal, or business still to come."""
    say = desk.language.say
    named = {"closed": say("Closed so far"), "new business": say("From deals not yet created")}
    if feature in named:
        return named[feature], False
    ident = feature.removeprefix("deal:").strip()
    if ident in desk.facts.deals.index:
        return words.text_or(desk.facts.deals.at[ident, "name"], ident), False
    return words.text_or(text, feature), False


def _deals(desk: Desk, rep_id: str) -> Deals | None:
    f, say = desk.formats, desk.language.say
    every = listing.open_deals(desk.frame("deals"), desk.facts.deals, desk.names, pd.Timestamp(desk.as_of))
    own = every[every["owner_id"] == rep_id]
    if own.empty:
        return None
    own = own.assign(soon=_brings(desk, rep_id, own)).sort_values("soon", ascending=False)
    rows = [
        {
            "deal_id": str(r["deal_id"]),
            "name": words.text_or(r["name"], str(r["deal_id"])),
            "under": words.text_or(r["account"], "") if str(r["account"]) not in str(r["name"]) else "",
            "stage": words.text_or(r["stage"], "—"),
            "amount": f.money_full(outlook.number(r["amount"])),
            "won": f.chance(outlook.number(r["p_win_in_period"])),
            "slip": f.chance(outlook.number(r["p_slip"])),
            "lost": f.chance(outlook.number(r["p_lose_in_period"])),
            "expected": f.money_full(outlook.number(r["soon"])),
        }
        for r in own.head(MOST_DEALS).reset_index().to_dict("records")
    ]
    rest = own.iloc[MOST_DEALS:]
    return Deals(
        say("Open deals by what they bring this period"),
        rows,
        say("{n} more deals", n=len(rest)) if len(rest) else "",
        f.money_full(float(rest["soon"].sum())),
    )


def _brings(desk: Desk, rep_id: str, own: pd.DataFrame) -> pd.Series:
    """What each deal brings this period: as the forecast explains it, else chance times amount."""
    why = desk.reasons("rep", [rep_id])
    explained = pd.Series(why["contribution"].to_numpy(float), index=why["feature"].str.removeprefix("deal:"))
    simple = own["p_win_in_period"] * own["amount"]
    return simple if explained.empty else explained.reindex(own.index).fillna(0.0)
