"""Goals within a period: who carries what when people come, go or move? Split anew for the rest, seen, then kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.datastructures import FormData, QueryParams

from crm.errors import BellwetherError
from planning.goals import COMPANY, Goal
from planning.periods import SUMS
from planning.resplit import SEAT, WHATS, Resplit, ResplitWish, StaffChange
from planning.turnover import Segment
from serving.access import SignInNeeded
from serving.dependencies import SignedInDep
from serving.goal_changes import BadGoal, reason_of
from serving.goal_changes import Desk as GoalDesk
from serving.pages import goal_words
from serving.pages.desk import Desk, DeskDep
from serving.pages.goals import GoalsDep, may_set
from serving.pages.goals_one import as_day
from serving.people_data.subjects import keys_of
from serving.people_data.views import note_looks
from serving.problems import status_of
from serving.resplit import apply, persons_of, preview

router = APIRouter(include_in_schema=False, prefix="/goals/resplit")
_MOST_FIELDS = 5000


@dataclass(frozen=True)
class Given:
    """What stands in the form, as typed."""

    goal: str = ""
    vacancy: str = "team"
    rebase: bool = False
    by: str = "days"
    without: frozenset[str] = frozenset()
    what: str = ""
    rep_id: str = ""
    day: str = ""
    to_team: str = ""
    why: str = ""

    @classmethod
    def of(cls, form: FormData | QueryParams) -> Given:
        """From what was sent: `listed` are the changes that were shown, `take` those that were ticked."""
        texts = {key: value.strip() for key, value in form.multi_items() if isinstance(value, str)}
        listed, taken = ({str(v) for v in form.getlist(name)} for name in ("listed", "take"))
        names = ("goal", "what", "rep_id", "day", "to_team", "why")
        return cls(
            vacancy=texts.get("vacancy") or "team", rebase=bool(texts.get("rebase")), by=texts.get("by") or "days",
            without=frozenset(listed - taken), **{name: texts.get(name, "") for name in names},
        )  # fmt: skip


class Staff(NamedTuple):
    """Somebody who comes, goes or moves."""

    key: str
    text: str
    done: bool
    taken: bool


class Row(NamedTuple):
    """A person or open seat whose part changes."""

    name: str
    team: str
    before: str
    after: str
    change: str
    parts: list[str]


async def _sent(request: Request) -> Given:
    return Given.of(await request.form(max_fields=_MOST_FIELDS))


@router.get("")
def show(desk: DeskDep, goals: GoalsDep, request: Request) -> HTMLResponse:
    """Who came, went or moved, and what that changes."""
    return _page(desk, goals, Given.of(request.query_params))


@router.post("")
def look(desk: DeskDep, goals: GoalsDep, given: Given = Depends(_sent)) -> HTMLResponse:  # noqa: B008
    """The same as asked for; nothing is kept."""
    return _page(desk, goals, given)


@router.post("/apply")
def keep(desk: DeskDep, goals: GoalsDep, viewer: SignedInDep, given: Given = Depends(_sent)) -> Response:  # noqa: B008
    """Make the numbers the goals of those people."""
    if not viewer.signed_in:
        raise SignInNeeded
    try:
        why = reason_of(given.why)
        _, found = preview(goals, given.goal or None, _wish(given))
        _, batch = apply(goals, found, why)
    except BellwetherError as error:
        return _page(desk, goals, given, error=error)
    return RedirectResponse(f"/goals?done={batch}", status_code=303)


def _wish(given: Given) -> ResplitWish:
    more = []
    if given.rep_id or given.day:
        if given.what not in WHATS:
            raise BadGoal(
                "what: '{what}' is not known. Take one of {whats}.", what=given.what[:40], whats=", ".join(WHATS)
            )
        more = [StaffChange(given.what, given.rep_id, as_day("day", given.day), None, given.to_team or None)]
    return ResplitWish(
        "redistribute" if given.vacancy == "redistribute" else "team", given.rebase,
        "season" if given.by == "season" else "days", more, given.without,
    )  # fmt: skip


def _page(desk: Desk, goals: GoalDesk, given: Given, *, error: BellwetherError | None = None) -> HTMLResponse:
    found, refused = None, error
    try:
        _, found = preview(goals, given.goal or None, _wish(given))
    except BellwetherError as fault:
        refused = refused or fault
    if found is not None:
        note_looks(desk.store, desk.viewer, persons_of(found), keys_of(desk.view), what="page resplit")
    say = desk.language.say
    return desk.show(
        "goals_resplit.html",
        "goals",
        status=status_of(error) if error else 200,
        given=given,
        chosen=found.goal.goal_id if found else given.goal,
        choices=choices(desk, goals),
        title=_title(desk, found.goal) if found else "",
        finding=_finding(desk, found) if found else "",
        staff=[_staff(desk, found, one, given) for one in found.found] if found else [],
        rows=_rows(desk, found) if found else [],
        people=sorted(((rep, desk.names.get(rep, rep)) for rep in _people(goals)), key=lambda pair: pair[1]),
        teams=sorted(((t, n) for t, n in desk.team_names.items() if goals.sees("team", t)), key=lambda pair: pair[1]),
        whats=[("leaves", say("leaves")), ("joins", say("joins")), ("moves", say("moves to another team"))],
        error=desk.language.tell(refused) if refused else "",
        may_set=may_set(desk),
    )


def choices(desk: Desk, goals: GoalDesk) -> list[tuple[str, str]]:
    """Goals of the company and teams that can be split anew: whose period runs or is still to come."""
    found = [
        goal
        for goal in goals.plan.goals
        if goal.owner_kind != "rep" and goal.metric in SUMS and goal.end > desk.today
        and goals.sees(goal.owner_kind, goal.owner_id)
    ]  # fmt: skip
    found.sort(key=lambda g: (g.start, g.owner_kind != COMPANY, g.owner_id))
    return [(goal.goal_id, goal_words.goal(desk, goal)) for goal in found]


def _people(goals: GoalDesk) -> list[str]:
    return [p.rep_id for p in goals.plan.people if goals.sees("rep", p.rep_id)]


def _title(desk: Desk, goal: Goal) -> str:
    whose = goal_words.owner(desk, goal.owner_kind, goal.owner_id)
    return f"{whose} · {goal_words.period(desk, goal.start, goal.end)}"


def _finding(desk: Desk, found: Resplit) -> str:
    say, say_n = desk.language.say, desk.language.say_n
    rows = found.table()
    if not found.found:
        return say("Nobody comes, goes or moves within this period, as far as the data tells.")
    if not len(rows):
        return say("Everybody who came, went or moved is settled: no number changes.")
    people = int((rows["owner_kind"] == "rep").sum())
    return say_n("The goal of {n} person changes; each team's sum stays as it is.",
                 "Goals of {n} people change; each team's sum stays as it is.", people)  # fmt: skip


def _staff(desk: Desk, found: Resplit, one: StaffChange, given: Given) -> Staff:
    say, team = desk.language.say, desk.team_names
    who, day = desk.names.get(one.rep_id, one.rep_id), desk.formats.date(one.day, year=True)
    here, there = (team.get(t or "", t or "") for t in (one.team_id, one.to_team))
    said = {
        "leaves": say("{who} leaves {team}: not there from {day}", who=who, team=here, day=day),
        "joins": say("{who} joins {team} on {day}", who=who, team=there, day=day),
        "moves": say("{who} moves from {team} to {to} on {day}", who=who, team=here, to=there, day=day),
    }[one.what]
    return Staff(one.key, said, one.key in found.done, one.key not in given.without)


def _rows(desk: Desk, found: Resplit) -> list[Row]:
    f, metric = desk.formats, found.goal.metric

    def value(number: Any) -> str:
        return goal_words.value(f, metric, float(number))

    return [
        Row(
            desk.language.say("Open seat") if str(row["owner_id"]).startswith(SEAT) else desk.names.get(
                row["owner_id"], row["owner_id"]),
            desk.team_names.get(row["team_id"], row["team_id"]), value(row["before"]), value(row["after"]),
            ("+" if row["change"] > 0 else "") + value(row["change"]), _parts(desk, found.goal, row["parts"], value),
        )
        for row in found.table().to_dict("records")
    ]  # fmt: skip


def _parts(desk: Desk, goal: Goal, parts: Sequence[Segment], value: Any) -> list[str]:
    """Each stretch with its number; a team is named where there are several."""
    f, several = desk.formats, len({p.team_id for p in parts}) > 1
    return [
        f"{f.date(p.start)} – {f.date(p.end - timedelta(days=1))}: {value(p.target)}"
        + (f" ({desk.team_names.get(p.team_id, p.team_id)})" if several else "")
        for p in parts
    ]
