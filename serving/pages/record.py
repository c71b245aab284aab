"""Is the plan working? Goal against result of the last quarter, what was changed and what came, customers, rivals."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from planning.goals import COMPANY, MONEY_METRICS
from planning.record import Result
from serving.format import MISSING, Formats
from serving.pages import goal_words
from serving.pages.desk import Desk, DeskDep
from serving.pages.plan_notes import notes_said
from serving.pages.rail import Rail
from serving.plan_record import Change, plan_record
from serving.reviews.desk import ReviewDesk, ReviewDeskDep
from serving.reviews.wording import result_name, title_of

router = APIRouter(include_in_schema=False)
RAIL = Rail("record", "numbers", 7, lambda say: say("Is the plan working?"), "/plan/record",
            frozenset({"manager", "admin", "analyst", "guest"}))  # fmt: skip


class Line(NamedTuple):
    """A goal, product or segment with what came."""

    name: str
    target: str
    result: str
    share: str
    before: str


class Row(NamedTuple):
    """A decision or a change of goals, what was forecast before it, and what came."""

    when: str
    text: str
    whose: str
    then: str
    came: str


@router.get("/plan/record")
def show_record(desk: DeskDep, meetings: ReviewDeskDep) -> HTMLResponse:
    """The last quarter's results, decisions with what came of them, surveys, market share, competitors."""
    if (missing := desk.without("deals", "record")) is not None:
        return missing
    say, f = desk.language.say, desk.formats
    told = plan_record(meetings)
    shown = list(told.results)
    return desk.show(
        "record.html",
        "record",
        period=f.period(told.period) if told.period else "",
        finding=_finding(desk, shown, bool(told.period)),
        tables=[
            (title, [_line(desk, meetings, r) for r in shown if r.part == part],
             any(r.target is not None for r in shown if r.part == part))
            for part, title in (
                ("goal", say("Goals")), ("product", say("By product")), ("segment", say("By segment"))
            )
        ],
        changes=[_change(desk, meetings, one) for one in told.changes],
        voices=[
            (_scale(desk, v.scale), f.number(v.mean, 2), f.number(v.before, 2), f.number(v.answers))
            for v in told.voices
        ],
        share=f.percent(told.share, 1) if told.share is not None else "",
        share_note=notes_said(desk.language, told.share_note),
        rivals=[
            (r.name or say("not recorded"), f.number(r.won), f.number(r.lost),
             f"{f.percent(r.rate[0])} ({f.percent_range(*r.rate[1:])})" if r.rate else say("too few"))
            for r in told.rivals
        ],
        whole=told.whole,
    )  # fmt: skip


def _change(desk: Desk, meetings: ReviewDesk, one: Change) -> Row:
    f, say = desk.formats, desk.language.say
    team = meetings.material.team_name(one.owner)
    if one.kind == "decision":
        whose, text = title_of(f, one.rhythm, team), one.text  # type: ignore[arg-type]
    else:
        whose, text = team or say("Company"), _of_goals(f, one)
    if one.over:
        came = goal_words.value(f, one.metric, one.result)
    else:
        came = say("the period still runs") if one.forecast or one.kind == "goal" else MISSING
    return Row(f.date(one.at.astimezone(f.zone).date(), year=True), text, whose, _then(f, one.forecast), came)


def _of_goals(f: Formats, one: Change) -> str:
    """What was done to goals in one go, with the reason."""
    say, value = f.language.say, partial(goal_words.value, f, one.metric)
    name = goal_words.metric(f.language, one.metric)
    if one.before is None:
        done = say("{metric}: goal set at {after}", metric=name, after=value(one.after))
    elif one.after is None:
        done = say("{metric}: goal of {before} ended", metric=name, before=value(one.before))
    elif one.before == one.after:
        done = say("{metric}: goal of {after} kept, those below changed", metric=name, after=value(one.after))
    else:
        done = say("{metric}: goal {before} → {after}", metric=name, before=value(one.before), after=value(one.after))
    more = say("and {n} more", n=f.number(one.goals - 1)) if one.goals > 1 else ""
    return " · ".join(part for part in (done, more, one.text) if part)


def _then(f: Formats, told: Mapping[str, Any] | None) -> str:
    if not told:
        return MISSING
    value = f.money if told["metric"] in MONEY_METRICS else f.number
    return f"{value(told['p50'])} ({value(told['p10'])}–{value(told['p90'])})"


def _line(desk: Desk, meetings: ReviewDesk, one: Result) -> Line:
    f, material = desk.formats, meetings.material
    value = partial(goal_words.value, f, one.metric)
    name = result_name(f, material, one)
    return Line(name, value(one.target), value(one.result), f.percent(one.attainment), value(one.before))


def _scale(desk: Desk, scale: str) -> str:
    """What was asked of customers."""
    return desk.language.say("likely to recommend, 0 to 10") if scale.lower() == "nps" else scale.replace("-", "–")


def _finding(desk: Desk, shown: list[Result], over: bool) -> str:
    say, f = desk.language.say, desk.formats
    if not over:
        return say("No whole quarter on record is over yet, so nothing can be judged.")
    goals = [r for r in shown if r.part == "goal" and r.attainment is not None]
    if not goals:
        return say("No goal of the last quarter is on record for you.")
    reached = sum((r.attainment or 0) >= 1 for r in goals)
    said = say("{n} of {all} goals of the last quarter were reached.", n=f.number(reached), all=f.number(len(goals)))
    own = next((r for r in goals if r.owner_kind == COMPANY and r.metric == "bookings" and not r.scope), None)
    if own is None:
        return said
    whole = say("The company came to {share} of its goal.", share=f.percent(own.attainment))
    return f"{whole} {said}"
