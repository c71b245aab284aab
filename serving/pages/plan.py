"""Plan: are we where we should be today? Pace by the season's curve, the gap, and what would close it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from planning.goals import COMPANY, MONEY_METRICS, Goal
from planning.overview import course
from planning.periods import SUMS
from serving import charts
from serving.charts import Figure
from serving.goal_changes import Desk as GoalDesk
from serving.pages import goal_words
from serving.pages.desk import Desk, DeskDep
from serving.pages.goals import GoalsDep
from serving.pages.rail import Rail
from serving.people_data.subjects import keys_of
from serving.people_data.views import note_looks

router = APIRouter(include_in_schema=False)
RAIL = Rail("plan", "numbers", 4, lambda say: say("Plan and pace"), "/plan")
_KINDS = {COMPANY: 0, "team": 1, "rep": 2}
_LATE = ("behind", "far behind", "out of reach")
_MOST = 200


class Row(NamedTuple):
    """One goal that is followed."""

    address: str
    goal: str
    owner: str
    scope: str
    metric: str
    target: str
    actual: str
    due: str
    gap: str
    pace: str
    status: str
    late: bool


@router.get("/plan")
def show_plan(desk: DeskDep, goals: GoalsDep, goal: Annotated[str, Query(max_length=200)] = "") -> HTMLResponse:
    """The pace of one goal, and of those below it."""
    every = followed(goals)
    chosen = next((g for g in every if g.goal_id == goal), None) or leading(desk, every)
    if chosen is None:
        return desk.show(
            "plan.html", "plan", finding=desk.language.say("No goal runs whose pace can be told."), told=None
        )
    told = goals.plan.paces([chosen.goal_id])[chosen.goal_id]
    beside = _beside(desk, every, chosen)[:_MOST]
    shown = goals.plan.paces(g.goal_id for g in beside)
    persons = [g.owner_id for g in [chosen, *beside] if g.owner_kind == "rep"]
    note_looks(desk.store, desk.viewer, persons, keys_of(desk.view), what="page plan")
    return desk.show(
        "plan.html",
        "plan",
        finding=sentence(desk, chosen, told),
        told=told,
        title=goal_words.goal(desk, chosen),
        chosen=chosen.goal_id,
        address=_address(chosen.goal_id),
        choices=[(g.goal_id, goal_words.goal(desk, g)) for g in every],
        figure=_figure(desk, goals, chosen, told),
        needs=needs(desk, chosen, told),
        basis=goal_words.basis(desk.formats, str(told.get("basis", ""))),
        rows=[_row(desk, g, shown[g.goal_id]) for g in beside if g.goal_id in shown],
    )


def followed(goals: GoalDesk) -> list[Goal]:
    """Running goals that the visitor may see figures of and that can be followed, the company's first."""
    plan = goals.plan
    found = [g for g in plan.running if goals.shows(g.owner_kind, g.owner_id) and plan.followed(g)]
    return sorted(found, key=lambda g: (_KINDS[g.owner_kind], g.end - g.start, g.metric != "bookings", g.goal_id))


def leading(desk: Desk, every: list[Goal]) -> Goal | None:
    """The goal that a visitor asks about first: the own one, else the highest; the shortest period, bookings first."""
    own = [g for g in every if g.owner_kind == "rep" and g.owner_id == desk.viewer.rep_id]
    first = own if own and desk.viewer.role == "rep" else every
    return min(
        first,
        key=lambda g: (
            len(g.scope),
            _KINDS[g.owner_kind],
            -_size(desk, g),
            g.end - g.start,
            g.metric != "bookings",
            g.goal_id,
        ),
        default=None,
    )


def sentence(desk: Desk, goal: Goal, told: Mapping[str, Any]) -> str:
    """Where a goal stands against the season's curve."""
    say, f = desk.language.say, desk.formats
    if goal.metric not in SUMS:
        return _of_rate(desk, goal, told)
    actual, expected = (goal_words.short(f, goal.metric, float(told[name])) for name in ("actual", "expected"))
    gap = goal_words.short(f, goal.metric, abs(float(told["gap"])))
    if told["status"] == "too early to say":
        return say("{actual} reached; it is too early in the period to speak of pace.", actual=actual)
    values = {"actual": actual, "expected": expected, "gap": gap}
    if float(told["gap"]) >= 0:
        return say("{actual} reached; by today the season's curve expects {expected}: {gap} ahead.", **values)
    if not told.get("deals"):
        return say("{actual} reached; by today the season's curve expects {expected}: {gap} behind.", **values)
    if told.get("expected_open") is None:
        return say(
            "{actual} reached; by today the season's curve expects {expected}: {gap} behind. What open deals will "
            "bring is not forecast yet.", **values,
        )  # fmt: skip
    return say(
        "{actual} reached; by today the season's curve expects {expected}: {gap} behind. To reach the goal takes about "
        "{deals} more won deals than the open ones are expected to bring.",
        deals=f.number(told["deals"]), **values,
    )  # fmt: skip


def needs(desk: Desk, goal: Goal, told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What it takes to reach a goal, line by line; empty where nothing can be told."""
    say, f = desk.language.say, desk.formats
    if told.get("uncovered") is None or told.get("expected_open") is None:  # what open deals bring is not known
        return []
    value = f.money if goal.metric in MONEY_METRICS else f.number
    rest = max(0.0, float(goal.target or 0) - float(told["actual"]))
    opened = float(told["expected_open"]) if told.get("expected_open") is not None else None
    lines = [(say("Still to be made"), value(rest)), (say("Expected from open deals"), value(opened)),
             (say("Not covered yet"), value(float(told["uncovered"])))]  # fmt: skip
    if not told["uncovered"] or told.get("deals") is None:
        return lines
    mean = {
        "mean": f.money(told["mean_won"]),
        "rate": f.percent(told["conversion"]),
        "each": f.number(told["per_deal"], 1),
    }
    lines.append((say("Won deals for it, at {mean} each", **mean), f.number(told["deals"])))
    lines.append((say("To be opened for them, {rate} being won", **mean), f.number(told["opportunities"])))
    lines.append((say("Contacts for these, {each} a deal", **mean), f.number(told["activities"])))
    lines.append((say("Of them on each working day left"), f.number(told["a_day"], 1)))
    if told.get("in_time") is not None:
        lines.append((say("To be opened so that enough close in time"), f.number(told["in_time"])))
    return lines


def _size(desk: Desk, goal: Goal) -> int:
    """How many teams are below an owner, so that the highest team comes first."""
    return sum(goal.owner_id == parent for parent in desk.team_parents.values()) if goal.owner_kind == "team" else 0


def _of_rate(desk: Desk, goal: Goal, told: Mapping[str, Any]) -> str:
    say, f = desk.language.say, desk.formats
    actual, target = (goal_words.value(f, goal.metric, float(told[name])) for name in ("actual", "target"))
    rate = told.get("rate_needed")
    if rate is None:
        return say("{actual} against a goal of {target}.", actual=actual, target=target)
    if told["status"] == "out of reach":
        return say("{actual} against a goal of {target}: out of reach, even if every closing to come is won.",
                   actual=actual, target=target)  # fmt: skip
    return say("{actual} against a goal of {target}: of the closings to come {rate} must be won.",
               actual=actual, target=target, rate=f.percent(max(0.0, float(rate)), 1))  # fmt: skip


def _figure(desk: Desk, goals: GoalDesk, goal: Goal, told: Mapping[str, Any]) -> Figure | None:
    if goal.metric not in SUMS:
        return None
    return charts.pace(
        desk.formats,
        title=_title(desk, goal, told),
        course=course(goals.plan, goal),
        target=float(goal.target or 0),
        today=goals.plan.facts.today,
        money=goal.metric in MONEY_METRICS,
    )


def _title(desk: Desk, goal: Goal, told: Mapping[str, Any]) -> str:
    say = desk.language.say
    gap = goal_words.short(desk.formats, goal.metric, abs(float(told["gap"])))
    if told["status"] == "too early to say":
        return say("Too early to say")
    if float(told["gap"]) >= 0:
        return say("{gap} ahead of the season's curve", gap=gap)
    return say("{gap} behind the season's curve", gap=gap)


def _beside(desk: Desk, every: list[Goal], chosen: Goal) -> list[Goal]:
    """Goals right below the chosen one; where there are none, others of the same owner."""
    below = [g for g in every if g.parent_goal_id == chosen.goal_id]
    if len(below) == 1 and below[0].owner_kind == "team":  # a single team that only holds others gives way to those
        below = [g for g in every if g.parent_goal_id == below[0].goal_id] or below
    other = [g for g in every if (g.owner_kind, g.owner_id) == (chosen.owner_kind, chosen.owner_id) and g != chosen]
    return sorted(below, key=lambda g: goal_words.owner(desk, g.owner_kind, g.owner_id)) + other


def _row(desk: Desk, goal: Goal, told: Mapping[str, Any]) -> Row:
    f, metric = desk.formats, goal.metric
    gap = told.get("gap")
    return Row(
        _address(goal.goal_id),
        goal.goal_id,
        goal_words.owner(desk, goal.owner_kind, goal.owner_id),
        " · ".join(goal.scope.values()),
        f"{goal_words.metric(desk.language, metric)} · {goal_words.period(desk, goal.start, goal.end)}",
        goal_words.value(f, metric, float(told["target"])),
        goal_words.value(f, metric, float(told["actual"])),
        f.percent(told.get("due")),
        ("+" if gap and float(gap) > 0 else "") + goal_words.value(f, metric, float(gap)) if gap is not None else "",
        f.percent(told.get("pace")),
        goal_words.pace(desk.language, str(told["status"])),
        told["status"] in _LATE,
    )


def _address(goal_id: str) -> str:
    return f"/plan?goal={quote(goal_id, safe='')}"
