"""One goal: what is reached, is it a good goal, who made it so? The forms that set and change it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from crm.errors import BadInput, NotAllowed, NotFound
from crm.fiscal import Grain
from planning.goals import COMPANY, Goal
from planning.overview import findings
from serving.dependencies import SignedInDep
from serving.goal_changes import BadGoal, reason_of
from serving.goal_changes import Desk as GoalDesk
from serving.goals import id_of
from serving.pages import goal_history, goal_words
from serving.pages.desk import Desk, DeskDep
from serving.pages.goals import GoalsDep, changed, may_set
from serving.pages.plan_notes import notes_said
from serving.people_data.subjects import keys_of
from serving.people_data.views import note_looks

router = APIRouter(include_in_schema=False, prefix="/goals")
Why = Annotated[str, Form(max_length=1000)]
Text = Annotated[str, Form(max_length=200)]


class Given(NamedTuple):
    """What stands in the form of a new goal."""

    owner: str = ""
    metric: str = "bookings"
    period: str = ""
    start: str = ""
    end: str = ""
    target: str = ""
    product_id: str = ""
    product_family: str = ""
    segment: str = ""
    parent: str = "auto"
    why: str = ""


@router.get("/new")
def ask_new(desk: DeskDep, goals: GoalsDep, viewer: SignedInDep) -> HTMLResponse:
    """The form of a new goal."""
    return _form(desk, goals, Given())


@router.post("/new")
def make(
    desk: DeskDep,
    goals: GoalsDep,
    viewer: SignedInDep,
    owner: Text = "",
    metric: Text = "",
    period: Text = "",
    start: Text = "",
    end: Text = "",
    target: Text = "",
    product_id: Text = "",
    product_family: Text = "",
    segment: Text = "",
    parent: Text = "auto",
    why: Why = "",
) -> Response:
    """Set a goal; what cannot be set is said above the form, which keeps what was typed."""
    given = Given(owner, metric, period, start, end, target, product_id, product_family, segment, parent, why)
    try:
        made = goals.make(_fields(desk, goals, given), reason_of(why))
    except (BadInput, NotAllowed, NotFound) as error:
        return _form(desk, goals, given, error=desk.language.tell(error), status=400)
    return RedirectResponse(f"/goals/{id_of(made.goal_number)}", status_code=303)


@router.get("/{goal_id}")
def show_goal(goal_id: str, desk: DeskDep, goals: GoalsDep) -> HTMLResponse:
    """One goal that the visitor may see."""
    return _page(desk, goals, goal_id)


@router.post("/{goal_id}/change")
def change(
    goal_id: str,
    desk: DeskDep,
    goals: GoalsDep,
    viewer: SignedInDep,
    target: Text,
    version: Annotated[int, Form(ge=1)],
    start: Text = "",
    end: Text = "",
    why: Why = "",
) -> Response:
    """Change target or period."""
    try:
        row = goals.read(goal_id)
        fields: dict[str, Any] = {"target": typed_target(desk, target)}
        fields |= {n: as_day(n, text) for n, text in (("period_start", start), ("period_end", end)) if text}
        goals.change(row["goal_id"], fields, reason_of(why), version)
    except BadInput as error:
        return _page(desk, goals, goal_id, error=desk.language.tell(error), status=400)
    return RedirectResponse(_address(goal_id), status_code=303)


@router.post("/{goal_id}/end")
def end(goal_id: str, desk: DeskDep, goals: GoalsDep, viewer: SignedInDep, why: Why = "") -> Response:
    """End a goal; its page stays, and it can be put back there."""
    return changed(desk, _address(goal_id), lambda: goals.end(goal_id, reason_of(why)))


@router.post("/{goal_id}/take-over")
def take_over(
    goal_id: str, desk: DeskDep, goals: GoalsDep, viewer: SignedInDep, target: Text = "", why: Why = ""
) -> Response:
    """Keep a goal of the CRM here from now on."""
    try:
        made = goals.take_over(goal_id, typed_target(desk, target) if target.strip() else None, reason_of(why))
    except BadInput as error:
        return _page(desk, goals, goal_id, error=desk.language.tell(error), status=400)
    return RedirectResponse(_address(id_of(made.goal_number)), status_code=303)


def typed_target(desk: Desk, text: str) -> float:
    """A target as a person types it, such as 1,200,000 or 25%.

    Raises
    ------
    BadGoal
        If it is no number above 0.
    """
    plain = "".join(text.replace("\uff05", "%").split()).replace(desk.formats.symbol, "")
    plain = plain.replace(",", "").replace("\uff0c", "")  # a full-width comma, as the percent sign above
    try:
        found = float(plain.removesuffix("%")) / (100 if plain.endswith("%") else 1)
    except ValueError:
        found = float("nan")
    if not 0 < found <= 1e12:
        raise BadGoal(
            "target: '{text}' is no number above 0. Give one such as 250000, or 25% for a rate.", text=text[:40]
        )
    return found


def as_day(name: str, text: str) -> date:
    """A day of a form; BadGoal where it is none."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadGoal("{name}: '{text}' is no day. Give one such as 2026-04-01.", name=name, text=text[:40]) from None


def periods_ahead(desk: Desk) -> list[tuple[str, str]]:
    """Fiscal quarters, years and months from the running one on, for a choice."""
    counts: tuple[tuple[Grain, int], ...] = (("quarter", 4), ("year", 2), ("month", 4))
    found = []
    for grain, count in counts:
        day = desk.today
        for _ in range(count):
            period = desk.company.period_of(day, grain)
            found.append((f"{period.start}_{period.end}", goal_words.period(desk, period.start, period.end)))
            day = period.end
    return list(dict(found).items())


def _address(goal_id: str) -> str:
    return f"/goals/{quote(goal_id, safe='')}"


def _fields(desk: Desk, goals: GoalDesk, given: Given) -> dict[str, Any]:
    kind, _, ident = given.owner.partition(":")
    start, _, end = given.period.partition("_")
    fields: dict[str, Any] = {
        "owner_kind": kind, "owner_id": ident, "metric": given.metric, "target": typed_target(desk, given.target),
        "period_start": as_day("start", given.start or start), "period_end": as_day("end", given.end or end),
        "currency": None, "parent_goal_id": None,
    }  # fmt: skip
    fields |= {name: getattr(given, name).strip() or None for name in ("product_id", "product_family", "segment")}
    if given.owner and kind not in (COMPANY, "team", "rep"):
        raise BadGoal("owner: '{owner}' is nobody. Choose one of the list.", owner=given.owner[:80])
    fields["parent_goal_id"] = goals.above(fields) if given.parent == "auto" else given.parent or None
    return fields


def _form(desk: Desk, goals: GoalDesk, given: Given, *, error: str = "", status: int = 200) -> HTMLResponse:
    if not may_set(desk):
        raise NotAllowed("Goals are set by managers and administrators.")
    plan = goals.plan
    parents = [
        g for g in plan.goals if g.owner_kind != "rep" and g.end > desk.today and goals.sees(g.owner_kind, g.owner_id)
    ]
    products = desk.view.arrow("products").to_pylist()
    return desk.show(
        "goal_new.html",
        "goals",
        status=status,
        given=given,
        error=error,
        owners=_owners(desk, goals),
        metrics=goal_words.metrics(desk.language),
        periods=periods_ahead(desk),
        parents=[(g.goal_id, goal_words.goal(desk, g)) for g in parents],
        products=sorted((p["product_id"], p["name"] or p["product_id"]) for p in products),
        families=sorted({p["family"] for p in products if p["family"]}),
        segments=sorted({s for s in desk.view.arrow("accounts")["segment"].unique().to_pylist() if s}),
    )


def _owners(desk: Desk, goals: GoalDesk) -> list[tuple[str, str]]:
    every = [(COMPANY, COMPANY), *(("team", str(t)) for t in desk.facts.teams.index)]
    every += [("rep", str(r)) for r in desk.facts.reps.index]
    mine = [(kind, ident) for kind, ident in every if goals.may_set(kind, ident)]
    named = [(f"{kind}:{ident}", goal_words.owner(desk, kind, ident)) for kind, ident in mine]
    teams = [pair for pair in named if not pair[0].startswith("rep:")]
    return teams + sorted((pair for pair in named if pair[0].startswith("rep:")), key=lambda pair: pair[1])


class Check(NamedTuple):
    """One finding of the check."""

    letter: str
    grade: str
    said: str
    mend: str


class Change(NamedTuple):
    """One entry of the history."""

    iso: str
    when: str
    text: str
    why: str
    batch: str


def _page(desk: Desk, goals: GoalDesk, goal_id: str, *, error: str = "", status: int = 200) -> HTMLResponse:
    row = goals.read(goal_id)
    goal = next((g for g in goals.plan.goals if g.goal_id == goal_id), None)
    shown = goals.shows(row["owner_kind"], row["owner_id"])
    told = goals.plan.told([goal_id]).get(goal_id, {}) if shown else {}
    if shown and row["owner_kind"] == "rep":
        note_looks(desk.store, desk.viewer, [row["owner_id"]], keys_of(desk.view), what="page goal")
    f, metric = desk.formats, row["metric"]
    may = goals.may_set(row["owner_kind"], row["owner_id"]) and desk.viewer.signed_in
    return desk.show(
        "goal.html",
        "goals",
        status=status,
        error=error,
        row=row,
        owner=goal_words.owner(desk, row["owner_kind"], row["owner_id"]),
        metric=goal_words.metric(desk.language, metric),
        scope=goal_words.scope(desk, row),
        period=goal_words.period(desk, row["period_start"], row["period_end"]),
        finding=_finding(desk, row, told),
        target=goal_words.value(f, metric, told.get("target", row["target"])),
        typed=f"{float(row['target']):.10g}",
        actual=goal_words.value(f, metric, told.get("actual")),
        share=f.percent(told.get("attainment")),
        chance=f.chance(told.get("p_attain")),
        notes=notes_said(desk.language, str(told.get("notes") or "")),
        fees=tuple(f.percent(told[name], 1) for name in ("fees_kept", "fees_net")) if told.get("fees_kept") else (),
        checks=_checks(desk, goals, goal) if shown and goal else [],
        history=_history(desk, goals, row),
        above=_above(desk, goals, row["parent_goal_id"]),
        below=_below(desk, goals, goal_id),
        last_day=row["period_end"] - timedelta(days=1),
        may_change=may and row["source"] == "here" and row["ended_at"] is None,
        may_take=may and row["source"] == "crm",
        splittable=may and row["owner_kind"] != "rep",
        address=_address(goal_id),
    )


def _finding(desk: Desk, row: dict[str, Any], told: dict[str, Any]) -> str:
    say, f = desk.language.say, desk.formats
    if row["ended_at"] is not None:
        return say("This goal was ended.")
    share, chance = f.percent(told.get("attainment")), told.get("p_attain")
    if not told:
        return say("What is reached of this goal is not shown to you.")
    if told["actual"] is None:
        return say("What is reached cannot be told from the data.")
    if row["period_start"] > desk.today:
        return say("Its period has not begun.")
    actual, target = (goal_words.value(f, row["metric"], told[name]) for name in ("actual", "target"))
    if chance is None:
        return say("{actual} of {target} reached: {share}.", actual=actual, target=target, share=share)
    return say("{actual} of {target} reached: {share}. Chance to reach all of it: {chance}.",
               actual=actual, target=target, share=share, chance=f.chance(chance))  # fmt: skip


def _checks(desk: Desk, goals: GoalDesk, goal: Goal) -> list[Check]:
    language = desk.language
    return [
        Check(goal_words.letter(language, one.letter), one.grade, language.choose(one.en, one.zh),
              language.choose(one.mend_en, one.mend_zh))
        for one in findings(goals.plan, goal)
    ]  # fmt: skip


def _history(desk: Desk, goals: GoalDesk, row: dict[str, Any]) -> list[Change]:
    if row["source"] == "crm":
        return []
    return [_entry(desk, goals, row["metric"], change) for change in reversed(goals.history(row["goal_id"]))]


def _entry(desk: Desk, goals: GoalDesk, metric: str, change: dict[str, Any]) -> Change:
    before, after = change["before"] or {}, change["after"] or {}
    done = [goal_words.what(desk.language, change["what"])]
    old, new = (goal_words.value(desk.formats, metric, values.get("target")) for values in (before, after))
    if before and after and old != new:
        done.append(f"{old} → {new}")
    elif after and not before:
        done.append(new)
    days = [f"{v['period_start']}–{v['period_end']}" for v in (before, after) if v]
    if len(days) == 2 and days[0] != days[1]:
        done.append(f"{days[0]} → {days[1]}")
    who = goal_history.name_of(desk, change["user_id"])
    undoable = bool(change["batch"]) and goals.may_undo(change["batch"])
    return Change(
        change["at"].isoformat(), desk.formats.moment(change["at"]), " · ".join([*done, *([who] if who else [])]),
        change["why"], change["batch"] if undoable else "",
    )  # fmt: skip


def _above(desk: Desk, goals: GoalDesk, goal_id: str | None) -> tuple[str, str] | None:
    found = next((g for g in goals.plan.goals if g.goal_id == goal_id), None)
    if found is None or not goals.sees(found.owner_kind, found.owner_id):
        return None
    return _address(found.goal_id), goal_words.goal(desk, found)


def _below(desk: Desk, goals: GoalDesk, goal_id: str) -> list[tuple[str, str, str]]:
    rows = [g for g in goals.plan.goals if g.parent_goal_id == goal_id and goals.sees(g.owner_kind, g.owner_id)]
    named = [
        (_address(g.goal_id), goal_words.owner(desk, g.owner_kind, g.owner_id),
         goal_words.value(desk.formats, g.metric, float(g.target or 0)))
        for g in rows
    ]  # fmt: skip
    return sorted(named, key=lambda line: line[1])
