"""Splitting a goal: who carries how much, and is that fair? A preview with months; kept with one reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import pandas as pd
from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.datastructures import FormData, QueryParams

from crm.errors import BellwetherError
from planning.capacity import METHODS, Method
from planning.cascade import Fairness
from planning.goals import COMPANY
from planning.periods import SUMS
from serving.access import SignInNeeded
from serving.dependencies import SignedInDep
from serving.format import MISSING
from serving.goal_changes import BadGoal, SplitWish, reason_of
from serving.goal_changes import Desk as GoalDesk
from serving.pages import goal_words
from serving.pages.desk import Desk, DeskDep
from serving.pages.goals import GoalsDep, may_set
from serving.people_data.subjects import keys_of
from serving.people_data.views import note_looks
from serving.problems import status_of

router = APIRouter(include_in_schema=False, prefix="/goals/cascade")
_FIXED = ("owner_kind", "owner_id", "team_id", "weight", "target", "today", "mean", "expected")
_MOST_FIELDS = 20_000
_USUAL = {"history": "0.3", "capacity": "0.4", "potential": "0.3"}


@dataclass(frozen=True)
class Given:
    """What stands in the form, as typed."""

    goal: str = ""
    method: str = "capacity"
    shares: Mapping[str, str] = field(default_factory=dict)
    pins: Mapping[str, str] = field(default_factory=dict)
    over: str = ""
    why: str = ""

    @classmethod
    def of(cls, form: FormData | QueryParams) -> Given:
        """From what was sent; `share.METHOD` and `pin.OWNER` name the parts."""
        texts = {key: value.strip() for key, value in form.multi_items() if isinstance(value, str)}

        def part(start: str) -> dict[str, str]:
            return {k.removeprefix(start): v for k, v in texts.items() if k.startswith(start) and v}

        return cls(texts.get("goal", ""), texts.get("method") or "capacity", part("share.") or dict(_USUAL),
                   part("pin."), texts.get("over", ""), texts.get("why", ""))  # fmt: skip


class Row(NamedTuple):
    """The part of one team or person."""

    key: str
    depth: int
    name: str
    team: bool
    weight: str
    target: str
    today: str
    change: str
    mean: str
    expected: str
    extreme: str
    pin: str
    months: list[str]


class Split(NamedTuple):
    """A split as it is shown."""

    goal_id: str
    title: str
    sentence: str
    fair: str
    rows: list[Row]
    months: list[str]
    may_apply: bool


async def _sent(request: Request) -> Given:
    return Given.of(await request.form(max_fields=_MOST_FIELDS))


@router.get("")
def show_split(desk: DeskDep, goals: GoalsDep, request: Request) -> HTMLResponse:
    """The form with a first preview."""
    return _page(desk, goals, Given.of(request.query_params))


@router.post("")
def preview(desk: DeskDep, goals: GoalsDep, given: Given = Depends(_sent)) -> HTMLResponse:  # noqa: B008
    """The split as asked for; nothing is kept."""
    return _page(desk, goals, given)


@router.post("/apply")
def apply(desk: DeskDep, goals: GoalsDep, viewer: SignedInDep, given: Given = Depends(_sent)) -> Response:  # noqa: B008
    """Make the numbers the goals of those teams and people."""
    if not viewer.signed_in:
        raise SignInNeeded
    try:
        why = reason_of(given.why)
        goal, table, _ = goals.split(_wish(given))
        _, batch = goals.apply(goal, table, why)
    except BellwetherError as error:
        return _page(desk, goals, given, error=error)
    return RedirectResponse(f"/goals?done={batch}", status_code=303)


def _wish(given: Given) -> SplitWish:
    if given.method not in METHODS:
        raise BadGoal(
            "method: '{method}' is no way to split. Take one of {methods}.",
            method=given.method[:40],
            methods=", ".join(METHODS),
        )
    way: Method = given.method
    shares = {name: float(_number(f"share.{name}", text)) for name, text in given.shares.items()}
    pins = {name: _number(f"pin.{name}", text) for name, text in given.pins.items()}
    over = _number("over", given.over.removesuffix("%")) / 100 if given.over else Decimal(0)
    return SplitWish(given.goal or None, way, shares if way == "blend" else {}, pins, over)


def _number(name: str, text: str) -> Decimal:
    try:
        found = Decimal(text.replace(",", "").replace("\uff0c", ""))
    except InvalidOperation:
        found = Decimal("nan")
    if not (found.is_finite() and 0 <= found <= 10**12):
        raise BadGoal("{name}: '{text}' is no number of 0 or more. Give one such as 450000.", name=name, text=text[:40])
    return found


def _page(desk: Desk, goals: GoalDesk, given: Given, *, error: BellwetherError | None = None) -> HTMLResponse:
    split, refused = None, error
    try:
        split = _split(desk, goals, given)
    except BellwetherError as found:
        refused = refused or found
    return desk.show(
        "goals_cascade.html",
        "goals",
        status=status_of(error) if error else 200,
        given=given,
        chosen=split.goal_id if split else given.goal,
        choices=_choices(desk, goals),
        ways=[(way, goal_words.way(desk.language, way)) for way in METHODS],
        split=split,
        names={**desk.team_names, **desk.names},
        error=desk.language.tell(refused) if refused else "",
        may_set=may_set(desk),
    )


def _choices(desk: Desk, goals: GoalDesk) -> list[tuple[str, str]]:
    found = [
        goal
        for goal in goals.plan.goals
        if goal.owner_kind != "rep" and goal.metric in SUMS and goal.end > desk.today and not goal.scope
        and goals.sees(goal.owner_kind, goal.owner_id)
    ]  # fmt: skip
    found.sort(key=lambda g: (g.start, g.owner_kind != COMPANY, g.owner_id))
    return [(goal.goal_id, goal_words.goal(desk, goal)) for goal in found]


def _split(desk: Desk, goals: GoalDesk, given: Given) -> Split:
    goal, table, fair = goals.split(_wish(given))
    persons = [row for row in table.loc[table["owner_kind"] == "rep", "owner_id"] if goals.shows("rep", row)]
    note_looks(desk.store, desk.viewer, persons, keys_of(desk.view), what="page cascade")
    months = [str(name) for name in table.columns if name not in _FIXED]
    ends = {fair.lowest, fair.highest} if fair else set()
    rows = [_row(desk, goals, goal, row, given, months, ends) for row in _ordered(desk, table)]
    whose = goal_words.owner(desk, goal["owner_kind"], goal["owner_id"])
    people = int((table["owner_kind"] == "rep").sum())
    say = desk.language.say
    sentence = say(
        "{target} of {owner} on {people} people: all parts add up exactly.",
        target=goal_words.value(desk.formats, goal["metric"], float(goal["target"])), owner=whose,
        people=desk.formats.number(people),
    )  # fmt: skip
    title = f"{whose} · {goal_words.period(desk, goal['period_start'], goal['period_end'])}"
    return Split(goal["goal_id"], title, sentence, _fairness(desk, goals, fair), rows, months, may_set(desk))


def _ordered(desk: Desk, table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows down the tree: each team, its people, the teams below it."""
    rows = {str(row["owner_id"]): {str(k): v for k, v in row.items()} for row in table.to_dict("records")}
    teams = [ident for ident, row in rows.items() if row["owner_kind"] == "team"]
    tops = [team for team in teams if desk.team_parents.get(team) not in rows]
    loose = [i for i, row in rows.items() if row["owner_kind"] == "rep" and row["team_id"] not in rows]
    found: list[dict[str, Any]] = [rows[ident] | {"depth": 0} for ident in loose]
    stack = [(team, 0) for team in sorted(tops, key=lambda t: desk.team_names.get(t, t), reverse=True)]
    while stack:
        team, depth = stack.pop()
        found.append(rows[team] | {"depth": depth})
        people = [i for i, row in rows.items() if row["owner_kind"] == "rep" and row["team_id"] == team]
        found += [rows[i] | {"depth": depth + 1} for i in sorted(people, key=lambda i: desk.names.get(i, i))]
        below = [t for t in teams if desk.team_parents.get(t) == team]
        stack += [(t, depth + 1) for t in sorted(below, key=lambda t: desk.team_names.get(t, t), reverse=True)]
    return found


def _row(
    desk: Desk, goals: GoalDesk, goal: Mapping[str, Any], row: Mapping[str, Any], given: Given, months: list[str],
    ends: set[str],
) -> Row:  # fmt: skip
    f, metric, ident = desk.formats, goal["metric"], str(row["owner_id"])
    shown = row["owner_kind"] == "team" or goals.shows("rep", ident)
    today, target = row["today"], float(row["target"])
    known = today is not None and not pd.isna(today)
    change = target - float(today) if known else None
    return Row(
        ident,
        min(int(row["depth"]), 4),
        goal_words.owner(desk, row["owner_kind"], ident),
        row["owner_kind"] == "team",
        f.number(row["weight"], 1) if row["owner_kind"] == "rep" and shown else "",
        goal_words.value(f, metric, target),
        goal_words.value(f, metric, float(today)) if known else MISSING,
        ("+" if change and change > 0 else "") + goal_words.value(f, metric, change) if change else "",
        goal_words.value(f, metric, row["mean"]) if shown and row["owner_kind"] == "rep" else "",
        f.percent(row["expected"]) if shown and row["owner_kind"] == "rep" else "",
        "late" if ident in ends and shown else "",
        given.pins.get(ident, ""),
        [goal_words.value(f, metric, float(row[month])) for month in months],
    )


def _fairness(desk: Desk, goals: GoalDesk, fair: Fairness | None) -> str:
    say, f = desk.language.say, desk.formats
    if fair is None:
        return say("No forecast of this period to judge fairness by.")
    word = goal_words.fairness(desk.language, fair.word)
    said = say("Under this split people are together expected to reach {overall}: {word} ({value}).",
               overall=f.percent(fair.overall), word=word, value=f.number(fair.value, 2))  # fmt: skip
    if not all(goals.shows("rep", who) for who in (fair.lowest, fair.highest)):
        return said
    low, high = (f.percent(fair.expected[who]) for who in (fair.lowest, fair.highest))
    ends = say("Hardest for {low_name} ({low}), easiest for {high_name} ({high}).", low=low, high=high,
               low_name=desk.names.get(fair.lowest, fair.lowest), high_name=desk.names.get(fair.highest, fair.highest))  # fmt: skip  # noqa: E501
    return f"{said} {ends}" if desk.language.code == "en" else said + ends
