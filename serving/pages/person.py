"""One person: what is a strength against colleagues on like deals, what is worth practising, and did it get better?"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote

import pandas as pd
from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from planning.habits import LEAST_DEALS, Change, Coaching, Gap
from serving.dependencies import ServerDep, ViewDep
from serving.drawing import Figure
from serving.pages.desk import Desk, DeskDep, NothingHere
from serving.pages.habit_words import became, figure, gap_range, habit_name, practice, sentence
from serving.people_charts import against_colleagues
from serving.people_data.subjects import keys_of
from serving.people_data.views import note_looks
from serving.rep_coaching import NoCoaching, may_coach

router = APIRouter(include_in_schema=False)


class Found(NamedTuple):
    """A strength or theme: its name, what was found, what may help."""

    name: str
    text: str
    practice: str


class Since(NamedTuple):
    """A theme of some time ago and what became of it."""

    name: str
    then: str
    now: str


@router.get("/people/{rep_id}")
def show_person(rep_id: str, desk: DeskDep, view: ViewDep, server: ServerDep) -> HTMLResponse:
    """Strengths first, then at most three themes; below, everything that was compared."""
    keys = keys_of(view)
    try:
        allowed = may_coach(desk.viewer, desk.sight, rep_id, keys, desk.store, desk.company)
    except NoCoaching:
        raise NothingHere from None
    if (missing := desk.without("reps", "people")) is not None:
        return missing
    name = desk.names.get(rep_id, rep_id)
    found = None
    if allowed:
        note_looks(desk.store, desk.viewer, [rep_id], keys, what="page coaching")
        habits = server.habits.read(view, view.cut.number, desk.company, desk.as_of)
        found = habits.of(rep_id)
    return desk.show(
        "person.html",
        "people",
        name=name,
        team=desk.team_name_of.get(rep_id, ""),
        forecast=f"/forecast/reps/{quote(rep_id, safe='')}",
        allowed=allowed,
        admin=desk.viewer.role == "admin",
        finding=_finding(desk, found) if found else "",
        strengths=[_found(desk, gap) for gap in found.strengths] if found else [],
        themes=[_found(desk, gap) for gap in found.themes] if found else [],
        chart=_chart(desk, found) if found else None,
        since=[_since(desk, one) for one in found.since] if found else [],
        compared=bool(found and found.gaps),
        least=LEAST_DEALS,
    )


def _finding(desk: Desk, found: Coaching) -> str:
    say, language = desk.language.say, desk.language
    if not found.gaps:
        return language.say_n(
            "Too few deals to compare fairly ({n}).", "Too few deals to compare fairly ({n}).", found.deals
        )
    if found.strengths and found.themes:
        return say(
            "A strength: {strength}. Worth practising: {theme}.",
            strength=habit_name(language, found.strengths[0].habit),
            theme=habit_name(language, found.themes[0].habit),
        )
    if found.strengths:
        return say("A strength: {strength}.", strength=habit_name(language, found.strengths[0].habit))
    if found.themes:
        return say("Worth practising: {theme}.", theme=habit_name(language, found.themes[0].habit))
    return say("Nothing that can be told from chance sets this person apart from colleagues on like deals.")


def _found(desk: Desk, gap: Gap) -> Found:
    help_ = "" if gap.strength else practice(desk.language, gap.habit)
    return Found(habit_name(desk.language, gap.habit), sentence(desk.formats, gap), help_)


def _since(desk: Desk, one: Change) -> Since:
    return Since(habit_name(desk.language, one.then.habit), sentence(desk.formats, one.then), became(desk.formats, one))


def _chart(desk: Desk, found: Coaching) -> Figure | None:
    if not found.gaps:
        return None
    f, say = desk.formats, desk.language.say
    rows = pd.DataFrame([_row(desk, gap) for gap in found.gaps]).sort_values("gap", ascending=False, kind="stable")
    clear = len(found.strengths) + sum(gap.theme for gap in found.gaps)
    title = say("{n} of {all} habits clearly differ from colleagues'", n=f.number(clear), all=f.number(len(found.gaps)))
    return against_colleagues(f, title=title, gaps=rows)


def _row(desk: Desk, gap: Gap) -> dict[str, object]:
    f, better = desk.formats, gap.habit.more_is_better
    low, high = (gap.low, gap.high) if better else (-gap.high, -gap.low)
    return {
        "name": habit_name(desk.language, gap.habit),
        "deals": gap.deals,
        "gap": gap.gap if better else -gap.gap,
        "low": low,
        "high": high,
        "said": "up" if gap.strength else "down" if gap.theme else "same",
        "own": figure(f, gap.habit, gap.own),
        "colleagues": figure(f, gap.habit, gap.peers),
        "range": gap_range(f, gap.habit, gap.gap, gap.low, gap.high),
    }
