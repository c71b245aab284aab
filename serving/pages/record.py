"""Is the plan working? Goal against result of the last quarter, what was changed and what came, customers, rivals."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from planning.goals import COMPANY, MONEY_METRICS, Goal, actual
from planning.record import Result, last_quarter, market_share, results, rivals, voices
from serving.format import MISSING, Formats
from serving.pages.desk import Desk, DeskDep
from serving.pages.outlook import as_day
from serving.pages.rail import Rail
from serving.reviews.desk import ReviewDesk, ReviewDeskDep
from serving.reviews.wording import amount_of, result_name, title_of

router = APIRouter(include_in_schema=False)
RAIL = Rail("record", "numbers", 7, lambda say: say("Is the plan working?"), "/plan/record",
            frozenset({"manager", "admin", "analyst", "guest"}))  # fmt: skip
_MOST = 40


class Line(NamedTuple):
    """A goal, product or segment with what came."""

    name: str
    target: str
    result: str
    share: str
    before: str


class Change(NamedTuple):
    """A decision, what was forecast then, and what came."""

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
    material, whole = meetings.material, meetings.sees(COMPANY)
    period = last_quarter(material.reached, desk.company)
    found = results(material.reached, material.plan.goals, desk.company, period) if period else []
    shown = [r for r in found if _sees(meetings, r)]
    share, share_note = market_share(material.reached, period) if period and whole else (None, "")
    return desk.show(
        "record.html",
        "record",
        period=f.period(period) if period else "",
        finding=_finding(desk, shown, bool(period)),
        tables=[
            (title, [_line(desk, meetings, r) for r in shown if r.part == part],
             any(r.target is not None for r in shown if r.part == part))
            for part, title in (
                ("goal", say("Goals")), ("product", say("By product")), ("segment", say("By segment"))
            )
        ],
        changes=changes(desk, meetings),
        voices=[
            (v.scale, f.number(v.mean, 2), f.number(v.before, 2), f.number(v.answers))
            for v in (voices(desk.view, desk.company, desk.today, period) if period and whole else [])
        ],
        share=f.percent(share, 1) if share is not None else "",
        share_note=share_note,
        rivals=[
            (r.name or say("not recorded"), f.number(r.won), f.number(r.lost),
             f"{f.percent(r.rate[0])} ({f.percent_range(*r.rate[1:])})" if r.rate else say("too few"))
            for r in (rivals(desk.view, material.reached, period) if period and whole else [])
        ],
        whole=whole,
    )  # fmt: skip


def changes(desk: Desk, meetings: ReviewDesk) -> list[Change]:
    """Decisions of the viewer's meetings, the newest first, each with the forecast of its hour and what came."""
    f, found = desk.formats, list[Change]()
    for series, review in meetings.reviews():
        whose = title_of(f, series.rhythm, meetings.material.team_name(series.team_id))  # type: ignore[arg-type]
        for one in meetings.meetings.decisions(review.review_id):
            told = one.forecast
            found.append(
                Change(
                    f.date(review.day, year=True), one.text, whose, _then(f, told),
                    _came(desk, meetings, series.team_id, told),
                )
            )  # fmt: skip
        if len(found) >= _MOST:
            break
    return found[:_MOST]


def _then(f: Formats, told: dict[str, Any] | None) -> str:
    if not told:
        return MISSING
    value = f.money if told["metric"] in MONEY_METRICS else f.number
    return f"{value(told['p50'])} ({value(told['p10'])}–{value(told['p90'])})"


def _came(desk: Desk, meetings: ReviewDesk, team_id: str, told: dict[str, Any] | None) -> str:
    """The result of that period once it is over; until then, that it runs."""
    if not told:
        return MISSING
    start, end = as_day(told["period_start"]), as_day(told["period_end"])
    if end > desk.today:
        return desk.language.say("the period still runs")
    kind = COMPANY if team_id == COMPANY else "team"
    goal = Goal("", kind, team_id, told["metric"], start, end, None)
    return amount_of(desk.formats, told["metric"])(actual(goal, meetings.material.reached).value)


def _sees(meetings: ReviewDesk, one: Result) -> bool:
    """The company's figures for whoever sees it; teams' where they are shown and not withheld."""
    if one.owner_kind == COMPANY:
        return meetings.sees(COMPANY)
    teams = meetings.material.scores.frames.get("teams")
    shown = teams is not None and one.owner_id in set(teams["team_id"])
    return shown and meetings.sees(one.owner_id)


def _line(desk: Desk, meetings: ReviewDesk, one: Result) -> Line:
    f, material = desk.formats, meetings.material
    value = amount_of(f, one.metric)
    name = result_name(f, material, one)
    return Line(name, value(one.target), value(one.result), f.percent(one.attainment), value(one.before))


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
