"""Risks: what could go wrong, how much is at stake, who has it, what is done about it? And the contingency plans."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import quote

from fastapi import APIRouter, Form, Path
from fastapi.responses import HTMLResponse, RedirectResponse

from serving.contingency import PlanView, template_of
from serving.dependencies import ScoresDep, ServerDep, SignedInDep
from serving.drawing import Figure
from serving.pages import risk_words as words
from serving.pages.desk import Desk, DeskDep
from serving.pages.rail import Rail
from serving.pages.report_figures import bars
from serving.risk_desk import RiskDesk
from serving.risks import BY_HAND, BadRiskChange
from serving.tables.risks import StoredRisk

router = APIRouter(include_in_schema=False)
RAIL = Rail("risks", "numbers", 7, lambda say: say("Risks"), "/risks")
RiskId = Annotated[int, Path(ge=1, le=2**31 - 1)]
_MOST = 40


class Card(NamedTuple):
    """A risk on the page."""

    risk_id: int
    kind: str
    text: str
    level: str
    level_name: str
    state: str
    state_name: str
    chance: str
    money: str
    loss: str
    owner: str
    owner_id: str
    note: str
    until: str
    first: str
    address: str
    may_change: bool


class PlanLine(NamedTuple):
    """A contingency plan in the list."""

    address: str
    title: str
    under: str
    running: bool


@router.get("/risks")
def show_risks(desk: DeskDep, server: ServerDep, scores: ScoresDep) -> HTMLResponse:
    """The register: open risks as cards, plans that run, closed risks."""
    own = RiskDesk(server, desk.viewer, desk.sight, scores)
    every = own.risks(closed=True)
    name = called(desk)
    cards = [card(desk, own, risk, name) for risk in every if risk.state != "closed"]
    return desk.show(
        "risks.html",
        "risks",
        finding=_finding(desk, own, every),
        cards=cards[:_MOST],
        left_out=max(0, len(cards) - _MOST),
        figure=_figure(desk, own, every),
        plans=[_plan_line(desk, view) for view in own.plan_views()],
        closed=[card(desk, own, risk, name) for risk in every if risk.state == "closed"][:_MOST],
    )


@router.get("/risks/{risk_id}")
def show_risk(risk_id: RiskId, desk: DeskDep, server: ServerDep, scores: ScoresDep) -> HTMLResponse:
    """One risk: what it rests on, its state, owner and note, its history."""
    return _risk_page(desk, RiskDesk(server, desk.viewer, desk.sight, scores), risk_id)


@router.post("/risks/{risk_id}")
def change_risk(
    risk_id: RiskId,
    desk: DeskDep,
    server: ServerDep,
    scores: ScoresDep,
    viewer: SignedInDep,
    state: Annotated[Literal["open", "mitigating", "accepted"], Form()],
    owner_id: Annotated[str, Form(max_length=200)] = "",
    note: Annotated[str, Form(max_length=2000)] = "",
    until: Annotated[str, Form(max_length=10)] = "",
    why: Annotated[str, Form(max_length=1000)] = "",
) -> Any:
    """Set state, owner and note, then show the risk with what can be undone."""
    own = RiskDesk(server, viewer, desk.sight, scores)
    fields: dict[str, Any] = {"state": state, "note": note.strip()}
    if owner_id:
        fields["owner_id"] = owner_id
    try:
        if until:
            fields["accepted_until"] = _day(until)
        own.change(risk_id, fields, why.strip())
    except BadRiskChange as error:
        return _risk_page(desk, own, risk_id, error=desk.language.tell(error), status=400)
    return RedirectResponse(f"/risks/{risk_id}?changed=1#history", status_code=303)


@router.post("/risks/{risk_id}/undo")
def undo_risk(
    risk_id: RiskId, desk: DeskDep, server: ServerDep, scores: ScoresDep, viewer: SignedInDep
) -> RedirectResponse:
    """Take back the newest change by a person."""
    RiskDesk(server, viewer, desk.sight, scores).undo(risk_id)
    return RedirectResponse(f"/risks/{risk_id}#history", status_code=303)


@router.post("/risks/{risk_id}/plan")
def start_plan(
    risk_id: RiskId, desk: DeskDep, server: ServerDep, scores: ScoresDep, viewer: SignedInDep
) -> RedirectResponse:
    """Start the contingency plan that fits a risk."""
    view = RiskDesk(server, viewer, desk.sight, scores).start_plan(risk_id)
    return RedirectResponse(f"/risks/plans/{view.plan.plan_id}", status_code=303)


def card(desk: Desk, own: RiskDesk, risk: StoredRisk, name: words.Called) -> Card:
    """A risk in words."""
    f = desk.formats
    money, loss = (own.money(risk, name) for name in ("money", "expected_loss"))
    owner = desk.names.get(risk.owner_id or "", risk.owner_id or "")
    return Card(
        risk.risk_id,
        words.kinds(f).get(risk.kind, risk.kind),
        words.sentence(f, risk, name),
        risk.level,
        words.levels(f)[risk.level],
        risk.state,
        words.states(f)[risk.state],
        f.language.say("a fact") if risk.likelihood == 1 else f.chance(risk.likelihood),
        f.money(money),
        f.money(loss),
        owner,
        risk.owner_id or "",
        risk.note,
        f.date(risk.accepted_until) if risk.accepted_until else "",
        words.first_answers(f).get(risk.kind, ""),
        _subject_address(risk),
        own.may_change(risk),
    )


def called(desk: Desk) -> words.Called:
    """What subjects of risks and plans are called."""
    products = {row["product_id"]: row["name"] for row in desk.view.arrow("products").to_pylist()}
    say = desk.language.say

    def name(kind: str, key: str) -> str:
        if kind == "company":
            return desk.visit.shell.company
        if kind == "team":
            return desk.team_names.get(key, key)
        if kind == "rep":
            return desk.names.get(key, key)
        if kind in ("account", "deal"):
            rows = desk.facts.accounts if kind == "account" else desk.facts.deals
            found = rows["name"].get(key)
            return found if isinstance(found, str) else key
        if kind == "source":
            return say("Table {name}", name=key)
        return products.get(key) or key

    return name


def _risk_page(desk: Desk, own: RiskDesk, risk_id: int, *, error: str = "", status: int = 200) -> HTMLResponse:
    risk, f = own.risk(risk_id), desk.formats
    history = [
        {
            "iso": change.at.isoformat(),
            "when": f.moment(change.at),
            "text": words.change_sentence(f, change.what, change.before, change.after)
            + (f" · {change.why}" if change.why and change.what == "changed" else ""),
        }
        for change in reversed(own.history(risk_id))
    ]
    undoable = any(c.what == "changed" and not c.undone for c in own.history(risk_id)) and risk.state != "closed"
    names = words.states(f)
    return desk.visit.show(
        "risk.html",
        "risks",
        status=status,
        risk=card(desk, own, risk, called(desk)),
        states=[(state, names[state]) for state in BY_HAND],
        people=sorted(((rep, name) for rep, name in desk.names.items()), key=lambda pair: pair[1]),
        until=risk.accepted_until.isoformat() if risk.accepted_until else "",
        history=history,
        undoable=undoable and own.may_change(risk),
        plans=[_plan_line(desk, v) for v in own.plan_views() if v.plan.risk_id == risk_id],
        may_start=template_of(risk) is not None and own.may_change(risk) and risk.state != "closed",
        error=error,
    )


def _finding(desk: Desk, own: RiskDesk, every: list[StoredRisk]) -> str:
    say, say_n, f = desk.language.say, desk.language.say_n, desk.formats
    open_ = [risk for risk in every if risk.state != "closed"]
    if not open_:
        return say("No open risk. The rules run with each scoring.")
    first = say_n("{n} open risk.", "{n} open risks.", len(open_))
    priced = [risk for risk in open_ if own.money(risk, "expected_loss")]
    if not priced:
        return first
    top = priced[0]
    return first + say(
        " Largest: {kind}, {who} ({chance}, {money}).",
        kind=words.kinds(f).get(top.kind, top.kind), who=called(desk)(top.subject_kind, top.subject_id),
        chance=f.chance(top.likelihood), money=f.money(own.money(top, "money")),
    )  # fmt: skip


def _figure(desk: Desk, own: RiskDesk, every: list[StoredRisk]) -> Figure | None:
    import pandas as pd

    f, say, name = desk.formats, desk.language.say, called(desk)
    rows: list[dict[str, Any]] = [
        {"label": say("{who}: {what}", who=name(r.subject_kind, r.subject_id), what=words.kinds(f).get(r.kind, r.kind)),
         "value": loss, "before": float("nan")}
        for r in every if r.state != "closed" and (loss := own.money(r, "expected_loss"))
    ]  # fmt: skip
    if len(rows) < 2:
        return None
    return bars(
        f, rows=pd.DataFrame(rows[:10]), kind="money",
        title=say("Most is at stake with {name}: {value}", name=rows[0]["label"], value=f.money(rows[0]["value"])),
        subtitle=say("Expected loss: chance times money, {unit}; they overlap and are not to be added up",
                     unit=f.currency),
        names=(say("Risk"), say("Expected loss"), say("Before")),
    )  # fmt: skip


def _plan_line(desk: Desk, view: PlanView) -> PlanLine:
    f, say, plan = desk.formats, desk.language.say, view.plan
    done = sum(step.state != "open" for step in view.steps)
    who = called(desk)(plan.subject_kind, plan.subject_id)
    return PlanLine(
        f"/risks/plans/{plan.plan_id}",
        f"{words.templates(f)[plan.template]}: {who}",
        say("{state}, {done} of {all} steps done; started on {day}", state=words.states(f)[plan.state], done=done,
            all=len(view.steps), day=f.date(plan.started_at)),
        plan.state == "started",
    )  # fmt: skip


def _subject_address(risk: StoredRisk) -> str:
    key = quote(risk.subject_id, safe="")
    return {
        "company": "/forecast", "team": f"/forecast/teams/{key}", "rep": f"/forecast/reps/{key}",
        "account": f"/accounts/{key}", "deal": f"/deals/{key}", "product": "/plan/reports/mix",
        "competitor": "/plan/reports/win-loss", "source": "/data",
    }[risk.subject_kind]  # fmt: skip


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadRiskChange("until: '{text}' is no day. Give one such as 2026-03-31.", text=text) from None
