"""Goals: what are we aiming at, what is reached, does it add up? Setting, changing, undoing them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote, urlencode

import pandas as pd
from fastapi import APIRouter, Depends, Form, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from crm.errors import BellwetherError, NotAllowed, NotFound
from planning.goals import COMPANY
from serving.dependencies import ServerDep, SignedInDep
from serving.goal_changes import Desk as GoalDesk
from serving.pages import goal_history, goal_words
from serving.pages.desk import Desk, DeskDep
from serving.pages.rail import Rail
from serving.pages.shell import local_path
from serving.people_data.subjects import keys_of
from serving.people_data.views import note_looks
from serving.problems import status_of
from serving.schemas import rows_of

router = APIRouter(include_in_schema=False, prefix="/goals")
RAIL = Rail("goals", "numbers", 3, lambda say: say("Goals"), "/goals")
PAGE = 60
RUNNING, ALL = "", "all"


def goal_desk(desk: DeskDep, server: ServerDep) -> GoalDesk:
    """The goals as the visitor may see and set them."""
    return GoalDesk(server, desk.viewer, desk.sight, desk.visit.shell.as_of)


GoalsDep = Annotated[GoalDesk, Depends(goal_desk)]


class Row(NamedTuple):
    """One goal in the table."""

    address: str
    depth: int
    owner: str
    metric: str
    scope: str
    period: str
    target: str
    actual: str
    share: str
    chance: str
    letters: list[tuple[str, str, bool]]
    finding: str
    here: bool


@dataclass(frozen=True)
class Wish:
    """What the address asks for."""

    period: str = RUNNING
    metric: str = ""
    team: str = ""
    after: int = 0

    def address(self, **changed: object) -> str:
        """The page's address with something changed."""
        asked = {"period": self.period, "metric": self.metric, "team": self.team, "after": self.after, **changed}
        kept = {name: value for name, value in asked.items() if value}
        return "/goals" + (f"?{urlencode(kept)}" if kept else "")


def _wish(
    period: Annotated[str, Query(max_length=40)] = "",
    metric: Annotated[str, Query(max_length=40)] = "",
    team: Annotated[str, Query(max_length=200)] = "",
    after: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> Wish:
    return Wish(period, metric, team, after)


@router.get("")
def show_goals(
    desk: DeskDep,
    goals: GoalsDep,
    wish: Annotated[Wish, Depends(_wish)],
    done: Annotated[str, Query(max_length=32)] = "",
) -> HTMLResponse:
    """Goals of the company, teams and persons that the visitor may see."""
    table = goals.table()
    table = table[table["ended_at"].isna()]
    chosen = _chosen(desk, table, wish)
    shown = in_order(desk, goals, chosen)
    page = shown[wish.after : wish.after + PAGE]
    rows = _rows(desk, goals, page)
    return desk.show(
        "goals.html",
        "goals",
        rows=rows,
        finding=_finding(desk, chosen),
        wish=wish,
        periods=_periods(desk, table),
        metrics=[(m, goal_words.metric(desk.language, m)) for m in sorted(set(table["metric"]))],
        teams=sorted(((t, n) for t, n in desk.team_names.items() if desk.sight.team(t)), key=lambda pair: pair[1]),
        total=len(shown),
        following=wish.address(after=wish.after + PAGE) if len(shown) > wish.after + PAGE else "",
        may_set=may_set(desk),
        done=goal_history.done(desk, goals, done),
        recent=goal_history.recent(desk, goals),
    )


@router.post("/undo")
def undo(
    desk: DeskDep,
    goals: GoalsDep,
    viewer: SignedInDep,
    batch: Annotated[str, Form(max_length=32)],
    next: Annotated[str, Form(max_length=300)] = "/goals",  # noqa: A002 - the field's name
) -> Response:
    """Put back what was done in one go."""
    back = local_path(next, "/goals")
    return changed(desk, back, lambda: goals.undo(batch, desk.language.say("Undone on the page of goals")))


def changed(desk: Desk, back: str, change: Callable[[], object]) -> Response:
    """Go back after a change; on a refusal say why on a page of its own."""
    try:
        change()
    except (NotAllowed, NotFound):
        raise
    except BellwetherError as error:
        say = desk.language.say
        return desk.visit.show(
            "problem.html", "goals", status=status_of(error), title=say("This did not work"),
            text=say("Nothing was changed."), detail=desk.language.tell(error), action=say("Back"), address=back,
        )  # fmt: skip
    return RedirectResponse(back, status_code=303)


def may_set(desk: Desk) -> bool:
    """Whether the visitor may set goals of somebody."""
    return desk.viewer.role in ("admin", "manager") and desk.viewer.signed_in


def in_order(desk: Desk, goals: GoalDesk, table: pd.DataFrame) -> list[tuple[int, dict[str, Any]]]:
    """Goals with their depth: each under the goal above it, by period, metric and name."""
    rows = rows_of(table)
    known = {row["goal_id"] for row in rows}
    below: dict[str | None, list[dict[str, Any]]] = {}
    for row in rows:
        parent = row["parent_goal_id"]
        below.setdefault(parent if parent in known and parent != row["goal_id"] else None, []).append(row)
    kinds = {COMPANY: 0, "team": 1, "rep": 2}

    def key(row: dict[str, Any]) -> tuple[Any, ...]:
        name = goal_words.owner(desk, row["owner_kind"], row["owner_id"])
        return (row["period_start"], row["period_end"], row["metric"], kinds[row["owner_kind"]], name, row["goal_id"])

    found: list[tuple[int, dict[str, Any]]] = []
    stack = [(0, row) for row in sorted(below.get(None, []), key=key, reverse=True)]
    while stack:
        depth, row = stack.pop()
        found.append((depth, row))
        stack += [(depth + 1, child) for child in sorted(below.pop(row["goal_id"], []), key=key, reverse=True)]
    return found


def _rows(desk: Desk, goals: GoalDesk, page: list[tuple[int, dict[str, Any]]]) -> list[Row]:
    told = goals.plan.told(row["goal_id"] for _, row in page)
    persons = [row["owner_id"] for _, row in page if row["owner_kind"] == "rep" and goals.shows("rep", row["owner_id"])]
    note_looks(desk.store, desk.viewer, persons, keys_of(desk.view), what="page goals")
    return [_row(desk, goals, depth, row, told.get(row["goal_id"], {})) for depth, row in page]


def _row(desk: Desk, goals: GoalDesk, depth: int, row: Mapping[str, Any], told: Mapping[str, Any]) -> Row:
    f, language = desk.formats, desk.language
    shown = told if goals.shows(row["owner_kind"], row["owner_id"]) else {}
    off = str(shown.get("letters", ""))
    letters = [(name, goal_words.letter(language, name), name in off) for name in goal_words.LETTERS] if shown else []
    return Row(
        f"/goals/{quote(row['goal_id'], safe='')}",
        min(depth, 4),
        goal_words.owner(desk, row["owner_kind"], row["owner_id"]),
        goal_words.metric(language, row["metric"]),
        goal_words.scope(desk, row),
        goal_words.period(desk, row["period_start"], row["period_end"]),
        goal_words.value(f, row["metric"], told.get("target", row["target"])),
        goal_words.value(f, row["metric"], shown.get("actual")),
        f.percent(shown.get("attainment")),
        f.chance(shown.get("p_attain")),
        letters,
        language.choose(str(shown.get("finding", "")), shown.get("finding_zh")) if off else "",
        row["source"] == "here",
    )


def _chosen(desk: Desk, table: pd.DataFrame, wish: Wish) -> pd.DataFrame:
    if wish.period == RUNNING:
        table = table[(table["period_start"] <= desk.today) & (table["period_end"] > desk.today)]
    elif wish.period != ALL:
        bounds = table["period_start"].map(str) + "_" + table["period_end"].map(str)
        table = table[bounds == wish.period]
    if wish.metric:
        table = table[table["metric"] == wish.metric]
    if wish.team:
        people = set(desk.members(wish.team) or ())
        teams = {wish.team, *_teams_below(desk, wish.team)}
        inside = table["owner_id"].isin(people) & (table["owner_kind"] == "rep")
        table = table[inside | (table["owner_id"].isin(teams) & (table["owner_kind"] == "team"))]
    return table


def _teams_below(desk: Desk, team: str) -> set[str]:
    found, queue = set[str](), [team]
    while queue:
        above = queue.pop()
        new = {t for t, parent in desk.team_parents.items() if parent == above} - found
        found |= new
        queue += sorted(new)
    return found


def _periods(desk: Desk, table: pd.DataFrame) -> list[tuple[str, str]]:
    pairs = sorted(set(zip(table["period_start"], table["period_end"], strict=True)), reverse=True)
    return [(f"{start}_{end}", goal_words.period(desk, start, end)) for start, end in pairs]


def _finding(desk: Desk, table: pd.DataFrame) -> str:
    """Whether the goals of persons add up to the one above all."""
    say, f = desk.language.say, desk.formats
    if table.empty:
        return say("No goal runs that you may see.")
    sums = table[table["metric"].isin(["bookings", "won_deals", "activities", "new_accounts", "collected"])]
    tops = sums[sums["owner_kind"] != "rep"]

    # The shortest period first: a year's people have their goals by quarter.
    def place(row: Mapping[Any, Any]) -> tuple[Any, ...]:
        return row["metric"] != "bookings", row["period_end"] - row["period_start"], -row["target"], row["owner_kind"]

    for top in sorted(tops.to_dict("records"), key=place):
        people = _leaves(sums, top)
        if people is None:
            continue
        gap = round(top["target"] - people, 2)
        whose = goal_words.owner(desk, top["owner_kind"], top["owner_id"])
        whole = goal_words.value(f, top["metric"], top["target"])
        said = goal_words.value(f, top["metric"], abs(gap))
        if not gap:
            return say("Goals of people add up to the {target} of {owner} exactly.", target=whole, owner=whose)
        if gap > 0:
            return say("{gap} of the {target} of {owner} is not given to anybody.", gap=said, target=whole, owner=whose)
        return say("People have {gap} more than the {target} of {owner}.", gap=said, target=whole, owner=whose)
    return desk.language.say_n("{n} goal.", "{n} goals.", len(table))


def _leaves(table: pd.DataFrame, top: Mapping[Any, Any]) -> float | None:
    """Sum of persons' goals of the same metric under a goal; None where it has none."""
    alike = table[table["metric"] == top["metric"]]
    alike = alike[(alike["period_start"] == top["period_start"]) & (alike["period_end"] == top["period_end"])]
    under, found = {top["goal_id"]}, list[float]()
    for _ in range(20):  # a tree is never deeper
        level = alike[alike["parent_goal_id"].isin(under)]
        if level.empty:
            break
        people = level[level["owner_kind"] == "rep"]
        found += people["target"].tolist()
        under = set(level.loc[level["owner_kind"] != "rep", "goal_id"])
    return float(sum(found)) if found else None
