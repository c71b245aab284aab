"""A contingency plan: why did it start, which steps are whose, which deals and customers help? Rehearsals of one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import quote

from fastapi import APIRouter, Form, Path
from fastapi.responses import HTMLResponse, RedirectResponse

from serving.contingency import PlanView
from serving.dependencies import ScoresDep, ServerDep, SignedInDep
from serving.format import MISSING
from serving.pages import risk_words as words
from serving.pages.desk import Desk, DeskDep
from serving.pages.risks import RiskId, called
from serving.pages.words import action
from serving.risk_desk import RiskDesk

router = APIRouter(include_in_schema=False)


class StepLine(NamedTuple):
    """A step on the page."""

    place: int
    text: str
    owner: str
    due: str
    state: str
    state_name: str
    note: str
    late: bool
    mine: bool


class Listed(NamedTuple):
    """A table of the plan: title, heads, rows of (text, address) cells, a caption, and which columns are figures."""

    title: str
    heads: list[str]
    rows: list[list[tuple[str, str]]]
    caption: str
    right: frozenset[int] = frozenset()


@router.get("/risks/plans/{plan_id}")
def show_plan(plan_id: RiskId, desk: DeskDep, server: ServerDep, scores: ScoresDep) -> HTMLResponse:
    """One plan."""
    own = RiskDesk(server, desk.viewer, desk.sight, scores)
    view = own.plan(plan_id)
    plan, f, who = view.plan, desk.formats, called(desk)(view.plan.subject_kind, view.plan.subject_id)
    leads = desk.viewer.signed_in and desk.viewer.role in ("admin", "manager")
    return desk.show(
        "contingency.html",
        "risks",
        title=f"{words.templates(f)[plan.template]}: {who}",
        finding=_finding(desk, view, who),
        started=_started(desk, view),
        steps=[_step(desk, step, leads) for step in view.steps],
        tables=[table for table in _tables(desk, view) if table.rows],
        plan_id=plan.plan_id,
        running=plan.state == "started",
        leads=leads,
        rehearsal=f"/risks/rehearsals/{quote(plan.subject_id, safe='')}" if _can_rehearse(desk, view) else "",
        filled=f.moment(plan.filled_at),
        risk=plan.risk_id,
    )


@router.post("/risks/plans/{plan_id}/steps/{place}")
def set_step(
    plan_id: RiskId,
    place: Annotated[int, Path(ge=1, le=100)],
    desk: DeskDep,
    server: ServerDep,
    scores: ScoresDep,
    viewer: SignedInDep,
    state: Annotated[Literal["open", "done", "dropped"], Form()],
) -> RedirectResponse:
    """Set a step to done, dropped, or open again."""
    RiskDesk(server, viewer, desk.sight, scores).set_step(plan_id, place, {"state": state})
    return RedirectResponse(f"/risks/plans/{plan_id}#steps", status_code=303)


@router.post("/risks/plans/{plan_id}/close")
def close_plan(
    plan_id: RiskId, desk: DeskDep, server: ServerDep, scores: ScoresDep, viewer: SignedInDep
) -> RedirectResponse:
    """End a plan; its record stays."""
    RiskDesk(server, viewer, desk.sight, scores).close_plan(plan_id)
    return RedirectResponse(f"/risks/plans/{plan_id}", status_code=303)


@router.get("/risks/rehearsals/{rep_id}")
def show_rehearsal(rep_id: str, desk: DeskDep, server: ServerDep, scores: ScoresDep) -> HTMLResponse:
    """What the quarter loses if this person leaves tomorrow."""
    found = RiskDesk(server, desk.viewer, desk.sight, scores).rehearsal(rep_id)
    say, f = desk.language.say, desk.formats
    who = desk.names.get(rep_id, rep_id)
    names = {"team": desk.team_name_of.get(rep_id, say("Team")), "company": desk.visit.shell.company}
    rows = [
        [(names[kind], ""), *((text, "") for text in words.rehearsal_cells(f, told))] for kind, told in found.items()
    ]  # fmt: skip
    change = next((told["after_change"] for told in found.values()), None)
    finding = (
        say("If {who} left tomorrow: {middle} (80% range {low} to {high}) without a hand-over.", who=who,
            middle=f.money(change["middle"]), low=f.money(change["low"]), high=f.money(change["high"]))
        if change
        else say("Nothing of {who} is in this quarter's forecast, so nothing would change.", who=who)
    )  # fmt: skip
    table = Listed(say("This quarter, before and after"), words.rehearsal_heads(f), rows, words.rehearsal_basis(f),
                   frozenset(range(1, 6)))  # fmt: skip
    return desk.show("rehearsal.html", "risks", title=say("If {who} left tomorrow", who=who), finding=finding,
                     tables=[table] if rows else [])  # fmt: skip


def _can_rehearse(desk: Desk, view: PlanView) -> bool:
    return view.plan.template == "person_gone" and desk.sight.person(view.plan.subject_id)


def _finding(desk: Desk, view: PlanView, who: str) -> str:
    say, f, filled = desk.language.say, desk.formats, view.filled
    if view.plan.template == "person_gone":
        rows = filled.get("handover", [])
        left = len(filled.get("left", []))
        return say(
            "{n} open deals of {who}: {taken} go to colleagues, {left} find no room.", n=len(rows), who=who,
            taken=len(rows) - left, left=left,
        )  # fmt: skip
    if not filled.get("gap"):
        return say("No gap is left to be covered.")
    return say(
        "{gap} are missing; the cover list holds {covered}, {open} need new business.", gap=f.money(filled["gap"]),
        covered=f.money(filled["covered"]), open=f.money(filled["open"]),
    )  # fmt: skip


def _started(desk: Desk, view: PlanView) -> str:
    say, f, plan = desk.language.say, desk.formats, view.plan
    why, day = plan.trigger, f.date(plan.started_at)
    if why.get("by_hand"):
        return say("Started by hand on {day}.", day=day)
    if plan.template == "target_missed":
        return say("Started by itself on {day}: the chance to reach the goal fell to {p}.", day=day,
                   p=f.chance(why.get("p_attain")))  # fmt: skip
    if plan.template == "account_lost":
        return say("Started by itself on {day}: the chance that the customer leaves rose to {p}.", day=day,
                   p=f.chance(why.get("likelihood")))  # fmt: skip
    return say("Started by itself on {day}: a last day or long absence was entered.", day=day)


def _step(desk: Desk, step: Any, leads: bool) -> StepLine:
    f = desk.formats
    late = step.state == "open" and step.due < desk.today
    mine = leads or (desk.viewer.signed_in and desk.viewer.rep_id is not None and desk.viewer.rep_id == step.owner_id)
    owner = desk.names.get(step.owner_id or "", step.owner_id or MISSING)
    return StepLine(step.place, words.steps(f).get(step.what, step.what), owner, f.date(step.due), step.state,
                    words.states(f)[step.state], step.note, late, mine)  # fmt: skip


def _tables(desk: Desk, view: PlanView) -> list[Listed]:
    say, filled = desk.language.say, view.filled
    tables = []
    if view.plan.template == "person_gone":
        tables.append(_handover(desk, filled))
    tables.append(_call_first(desk, view))
    tables.append(_cover(desk, filled))
    causes = [[(desk.team_names.get(r["team"], r["team"]), f"/forecast/teams/{quote(r['team'], safe='')}"),
               (desk.formats.money(r["short"]), "")] for r in filled.get("causes", [])]  # fmt: skip
    heads = [say("Team"), say("Short of its goal")]
    tables.append(Listed(say("Where it is missing"), heads, causes, "", frozenset({1})))
    return tables


def _handover(desk: Desk, filled: Mapping[str, Any]) -> Listed:
    say, f = desk.language.say, desk.formats
    rows = [
        [_deal(desk, r["deal_id"]), (f.money(r["amount"]), ""), (f.chance(r["chance"]), ""),
         (desk.names.get(r["to"], r["to"]) if r["to"] else say("no room"), "")]
        for r in filled.get("handover", [])
    ]  # fmt: skip
    heads = [say("Deal"), say("Amount"), say("Chance"), say("Goes to")]
    caption = say("By value and fit: who worked the customer, who wins in its segment and with its product. A "
                  "customer's deals stay together, nobody gets more than the overload rule allows. Nothing changes in "
                  "the CRM until somebody does it there.")  # fmt: skip
    return Listed(say("Who takes over which deals"), heads, rows, caption, frozenset({1, 2}))


def _call_first(desk: Desk, view: PlanView) -> Listed:
    say, f, rows = desk.language.say, desk.formats, view.filled.get("call_first", [])
    if view.plan.template == "person_gone":
        cells = [
            [_account(desk, r["account_id"]), _deal(desk, r["deal_id"]), (f.date(date.fromisoformat(r["due"])), "")]
            for r in rows
        ]
        return Listed(say("Customers to call first"), [say("Customer"), say("Deal"), say("Planned close")], cells,
                      say("Deals planned to close within 30 days."))  # fmt: skip
    cells = [
        [_account(desk, r["account_id"]), (f.chance(r["churn_probability"]), ""), (f.money(r["value_at_risk"]), "")]
        for r in rows
    ]  # fmt: skip
    heads = [say("Customer"), say("Chance to leave"), say("Value at risk")]
    caption = say("They buy the same family of products and show a raised chance to leave.")
    return Listed(say("Customers to call first"), heads, cells, caption, frozenset({1, 2}))


def _cover(desk: Desk, filled: Mapping[str, Any]) -> Listed:
    say, f = desk.language.say, desk.formats
    named = words.ways(f)
    rows = [
        [_deal(desk, r["deal_id"]) if r["deal_id"] else _account(desk, r["account_id"]),
         (desk.names.get(r["owner_id"] or "", r["owner_id"] or MISSING), ""),
         (named.get(r["what"]) or action(desk.language, r["what"]), ""),
         (f.money(r["gain"]), ""), (f.number(r["hours"], 1), "")]
        for r in filled.get("cover", [])
    ]  # fmt: skip
    heads = [say("Deal or customer"), say("Owner"), say("What"), say("May bring"), say("Hours")]
    caption = say("Most an hour first. What a step may bring is what goes with it in the past, mostly an association; "
                  "the hours are set figures. A renewal counts with what would be lost without it, a late buyer with "
                  "the usual order times the chance to stay: both at most.")  # fmt: skip
    return Listed(say("What could cover the gap"), heads, rows, caption, frozenset({3, 4}))


def _deal(desk: Desk, key: str) -> tuple[str, str]:
    deals = desk.facts.deals
    name = deals["name"].get(key)
    return (name if isinstance(name, str) else key), f"/deals/{quote(key, safe='')}"


def _account(desk: Desk, key: str | None) -> tuple[str, str]:
    if key is None:
        return MISSING, ""
    name = desk.facts.accounts["name"].get(key)
    return (name if isinstance(name, str) else key), f"/accounts/{quote(key, safe='')}"
