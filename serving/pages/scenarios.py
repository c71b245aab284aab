"""Adjusting: where do plan and reality part, and what would a lever bring? One tried with the quarter's own luck."""

from __future__ import annotations

from typing import Annotated, NamedTuple
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse
from pydantic import ValidationError

from crm.errors import BadInput, NotReady
from planning.goals import COMPANY
from planning.scenarios import Comparison
from planning.signals import Signal
from planning.trend import Trend
from serving.dependencies import ServerDep
from serving.pages import goal_words
from serving.pages.desk import Desk, DeskDep
from serving.pages.rail import Rail
from serving.pages.signal_words import against, basis_names, chance_change, lever_name, nothing_parts, signal_text
from serving.people_data.subjects import keys_of
from serving.people_data.views import note_looks
from serving.proposals import Proposal, proposals
from serving.reviews.desk import ReviewDeskDep
from serving.reviews.material import Material
from serving.scenarios import GivenLever, Ground, ground_of, played, seen_totals, signals_of

router = APIRouter(include_in_schema=False)
RAIL = Rail("scenarios", "numbers", 6, lambda say: say("Adjusting"), "/plan/scenarios",
            frozenset({"manager", "admin", "analyst", "guest"}))  # fmt: skip
_EMPTY = ("", None)


class Line(NamedTuple):
    """A total before and after, in words."""

    name: str
    before: str
    after: str
    chance: str
    gain: str
    better: str


@router.get("/plan/scenarios")
def show_scenarios(
    desk: DeskDep,
    meetings: ReviewDeskDep,
    server: ServerDep,
    kind: Annotated[str, Query(max_length=20)] = "",
    product_id: Annotated[str, Query(max_length=200)] = "",
    segment: Annotated[str, Query(max_length=200)] = "",
    odds_low: str = "",
    odds_high: str = "",
    discount: str = "",
    cost: str = "",
    people: str = "",
    from_team: Annotated[str, Query(max_length=200)] = "",
    to_team: Annotated[str, Query(max_length=200)] = "",
    rep_id: Annotated[str, Query(max_length=200)] = "",
    deal_id: Annotated[str, Query(max_length=200)] = "",
    share: str = "",
    method: Annotated[str, Query(max_length=20)] = "",
    start: str = "",
    compare: bool = False,
) -> HTMLResponse:
    """Signals, proposed levers, and the one that the address asks for."""
    if (missing := desk.without("deals", "scenarios")) is not None:
        return missing
    material, say = meetings.material, desk.language.say
    given = {
        "kind": kind, "product_id": product_id, "segment": segment, "odds_low": odds_low, "odds_high": odds_high,
        "discount": _share(discount), "cost": cost, "people": people, "from_team": from_team, "to_team": to_team,
        "rep_id": rep_id, "deal_id": deal_id, "share": _share(share), "method": method, "start": start,
    }  # fmt: skip
    found, trend = signals_of(material)
    refused: Exception | None = None
    ground, error, totals, result, proposed = None, "", list[Line](), "", list[dict[str, str]]()
    try:
        newest = server.book.newest(desk.company)
        if kind or compare:  # the first time after new scores, this takes as long as drawing the forecast
            ground = ground_of(material, newest, server.home.tracking)
        if ground is not None and compare and meetings.sees(COMPANY):
            proposed = [_proposed(desk, material, p) for p in proposals(material, ground, found)]
        if kind:
            lever = GivenLever.model_validate({k: v for k, v in given.items() if v not in _EMPTY})
            scenario, _ = played(material, newest, server.home.tracking, [lever])
            every = seen_totals(scenario, material)
            moved = [t for t in every if not t.unchanged]
            _note(desk, material, moved)
            totals = [_line(desk, material, t) for t in moved]
            result = _result(desk, material, lever, every, scenario.basis, scenario.cost)
    except ValidationError as problem:
        first, refused = problem.errors()[0], BadInput()
        error = say("{field}: {text}", field=".".join(map(str, first["loc"])), text=first["msg"])
    except (BadInput, NotReady) as problem:
        error, refused = desk.language.tell(problem), problem
    return desk.show(
        "scenarios.html",
        "scenarios",
        status=400 if isinstance(refused, BadInput) else 200,
        finding=_finding(desk, found, trend),
        signals=[signal_text(desk.formats, material, s) for s in found],
        trend=_trend(desk, trend),
        proposed=proposed,
        totals=totals,
        result=result,
        error=error,
        given={name: value or "" for name, value in given.items()},
        teams=[(t, desk.team_names.get(t, t)) for t in sorted(desk.scored_teams) if t != COMPANY],
        people=[(r, desk.names.get(r, r)) for r in sorted(material.members(COMPANY)) if material.sight.person(r)],
        products=sorted(material.facts.products.items()),
        segments=sorted(str(s) for s in material.facts.accounts["segment"].dropna().unique()),
        methods=[(way, goal_words.way(desk.language, way)) for way in ("potential", "capacity", "history", "equal")],
        comparing=compare,
        may_compare=meetings.sees(COMPANY),
        past=_past(desk, ground),
    )


def _share(text: str) -> str:
    """A share as somebody typed it in percent."""
    plain = text.strip().removesuffix("%").strip()
    try:
        return str(float(plain) / 100) if plain else ""
    except ValueError:
        return text


def _note(desk: Desk, material: Material, totals: list[Comparison]) -> None:
    shown = [t.owner for t in totals if t.owner in material.facts.reps.index]
    note_looks(desk.store, desk.viewer, shown, keys_of(desk.view), what="page scenarios")


def _finding(desk: Desk, found: list[Signal], trend: Trend | None) -> str:
    say_n, say = desk.language.say_n, desk.language.say
    if not found:
        return nothing_parts(desk.formats)
    said = say_n("{n} place where plan and reality part.", "{n} places where plan and reality part.", len(found))
    outside = say("The market itself is outside its usual range.") if trend is not None and trend.outside else ""
    return f"{said} {outside}".strip()


def _trend(desk: Desk, trend: Trend | None) -> str:
    if trend is None:
        return ""
    f = desk.formats
    return desk.language.say(
        "{month}: {actual}; {low} to {high} was usual (80% range of {method}, from its own past errors).",
        month=f.month(trend.month), actual=f.money(trend.actual), low=f.money(trend.low), high=f.money(trend.high),
        method=against(f, trend.method),
    )  # fmt: skip


def _proposed(desk: Desk, material: Material, one: Proposal) -> dict[str, str]:
    f = desk.formats
    fields = {k: v for k, v in one.lever.model_dump(mode="json").items() if v not in (None, 0.0)}
    if "share" in fields:
        fields["share"] = round(fields["share"] * 100, 2)
    return {
        "name": lever_name(f, material, one.lever),
        "gain": f.money(one.total.gain),
        "range": f"{f.money(one.total.gain_low)} – {f.money(one.total.gain_high)}",
        "chance": chance_change(f, one),
        "basis": basis_names(f, one.basis),
        "address": f"/plan/scenarios?{urlencode(fields)}#try",
    }


def _line(desk: Desk, material: Material, one: Comparison) -> Line:
    f = desk.formats
    known = one.owner == COMPANY or one.owner in material.facts.teams.index
    name = (material.team_name(one.owner) or desk.language.say("Company")) if known else material.name(one.owner)
    before, after = (f"{f.money(x['p50'])} ({f.money(x['p10'])}–{f.money(x['p90'])})" for x in (one.before, one.after))
    chance = f"{f.chance(one.before.get('p_attain'))} → {f.chance(one.after.get('p_attain'))}"
    gain = f"{f.money(one.gain)} ({f.money(one.gain_low)} – {f.money(one.gain_high)})"
    return Line(name, before, after, chance, gain, f.chance(one.better))


def _result(
    desk: Desk, material: Material, lever: GivenLever, totals: list[Comparison], basis: tuple[str, ...], cost: float
) -> str:
    """The scenario in one sentence, of the largest total that the visitor sees."""
    say, f = desk.language.say, desk.formats
    if not totals or all(t.unchanged for t in totals):
        return say("No change.")
    whole = totals[0]
    if lever.kind == "resplit":
        return say("{lever}: goals move, no draw does.", lever=lever_name(f, material, lever))
    said = say(
        "{lever}: {gain} on average (80% range {low} to {high}), better in {better} of the draws. Basis: {basis}.",
        lever=lever_name(f, material, lever), gain=f.money(whole.gain), low=f.money(whole.gain_low),
        high=f.money(whole.gain_high), better=f.percent(whole.better),
        basis=basis_names(f, basis),
    )  # fmt: skip
    paid = say("Less the cost: {net}.", net=f.money(whole.gain - cost)) if cost else ""
    return f"{said} {paid}".strip()


def _past(desk: Desk, ground: Ground | None) -> str:
    """What is known of past campaigns, beside the fields for an assumption."""
    say, f = desk.language.say, desk.formats
    if ground is None:
        return ""
    if ground.past is None:
        return say(
            "{n} past campaigns are on record, too few to be judged: the effect is an assumption, to be typed in with "
            "its range.",
            n=ground.campaigns,
        )
    return say(
        "Left empty: what past campaigns went with, odds times {low} to {high} (association, 90% range).",
        low=f.number(ground.past.low, 2), high=f.number(ground.past.high, 2),
    )  # fmt: skip
