"""A goal split anew mid-period, kept: who may, the parts that are stored with each goal, and what a split sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from planning.goals import COMPANY, Goal
from planning.overview import Plan
from planning.resplit import SEAT, Resplit, ResplitWish, parts_of, resplit
from planning.turnover import Segment, totals
from serving.goal_changes import BadGoal, Desk
from serving.goals import FIELDS, Goals, id_of
from serving.tables.goals import StoredGoal

Wanted = list[tuple[Mapping[str, Any], str | None, str | None]]


class NothingToResplit(BadGoal):
    """Nobody's part changes."""

    def __init__(self) -> None:
        super().__init__("Nobody came, went or moved within the period whose part is not settled, so nothing changes.")


def kept_parts(goals: Goals) -> dict[str, list[Segment]]:
    """Parts that were kept when goals were split anew before, by goal_id."""
    return {id_of(goal.goal_number): [_part(p) for p in goal.parts] for goal in goals.all() if goal.parts}


def preview(desk: Desk, goal_id: str | None, wish: ResplitWish) -> tuple[dict[str, Any], Resplit]:
    """A goal that the viewer may see, split anew; nothing is stored.

    Raises
    ------
    NoSuchGoal, NoGoal, BadStaffChange
        If it cannot be split so.
    """
    goal = desk.read(goal_id or desk.to_split())
    found = resplit(desk.plan, goal["goal_id"], wish, kept_parts(desk.goals))
    return goal, found


def apply(desk: Desk, found: Resplit, why: str) -> tuple[list[StoredGoal], str]:
    """Keep a split made anew, all of it or none; the name of that batch takes it back.

    Raises
    ------
    NothingToResplit
        If nobody's part changes.
    NoSuchOwner, NotYours
        If a goal in it is not the viewer's to set.
    """
    goals = wanted(desk.plan, found, desk.of_crm)
    for fields, _, _ in goals:
        desk.check({name: fields[name] for name in FIELDS})
    return desk.set_all(goals, why)


def wanted(plan: Plan, found: Resplit, of_crm: Callable[[Mapping[str, Any]], str | None]) -> Wanted:
    """Goals that a split made anew sets: people's by what their parts add up to, teams' with their open seats.

    Parameters
    ----------
    of_crm : callable
        The goal of the CRM of that owner, metric and period, if there is one: it is taken over.

    Raises
    ------
    NothingToResplit
        If nobody's part changes.
    """
    rows, seats, made = found.table(), set[str](), Wanted()
    for row in rows.to_dict("records"):
        if row["owner_kind"] == "seat":
            seats.add(_holder(found, str(row["team_id"])))
        else:
            made.append(_of_person(found, row, of_crm))
    for name in sorted(seats):
        made.append(_of_holder(found, found.teams[name], of_crm))
    if not made:
        raise NothingToResplit
    return made


def _of_person(
    found: Resplit, row: Mapping[str, Any], of_crm: Callable[[Mapping[str, Any]], str | None]
) -> tuple[Mapping[str, Any], str | None, str | None]:
    stands, team = found.stands.get(row["owner_id"]), str(row["team_id"])
    above = stands.parent_goal_id if stands else found.teams.get(team, found.goal).goal_id
    fields = _fields(found.goal, "rep", row["owner_id"], row["after"], above)
    parts = {"parts": [_told(p) for p in row["parts"]]}
    return fields | parts, of_crm(fields), None


def _of_holder(
    found: Resplit, goal: Goal, of_crm: Callable[[Mapping[str, Any]], str | None]
) -> tuple[Mapping[str, Any], str | None, str | None]:
    """The goal of a team, or the one that was split, with the open seats that it holds."""
    mine = [name for name in totals(found.after) if name.startswith(SEAT)
            and _holder(found, name.removeprefix(SEAT)) == goal.owner_id]  # fmt: skip
    parts = [_told(p) for name in sorted(mine) for p in parts_of(found.after, name)]
    fields = _fields(goal, goal.owner_kind, goal.owner_id, goal.target or Decimal(0), goal.parent_goal_id)
    return fields | {"parts": parts or None}, of_crm(fields), None


def _holder(found: Resplit, team: str) -> str:
    """Whose goal holds a team's open seat: the team's own, else the one that was split."""
    return team if team in found.teams else found.goal.owner_id


def _fields(goal: Goal, kind: str, owner: str, target: Decimal, above: str | None) -> dict[str, Any]:
    return {
        "owner_kind": kind, "owner_id": owner if kind != COMPANY else COMPANY, "metric": goal.metric,
        "product_id": goal.product_id, "product_family": goal.product_family, "segment": goal.segment,
        "period_start": goal.start, "period_end": goal.end, "target": float(target),
        "currency": None, "parent_goal_id": above,
    }  # fmt: skip


def _told(part: Segment) -> dict[str, str]:
    return {"owner_id": part.owner_id, "team_id": part.team_id, "start": part.start.isoformat(),
            "end": part.end.isoformat(), "target": str(part.target)}  # fmt: skip


def _part(told: Mapping[str, str]) -> Segment:
    return Segment(told["owner_id"], told["team_id"], date.fromisoformat(told["start"]),
                   date.fromisoformat(told["end"]), Decimal(told["target"]))  # fmt: skip


def persons_of(found: Resplit) -> Sequence[str]:
    """People whose parts change."""
    rows = found.table()
    return [str(owner) for owner in rows.loc[rows["owner_kind"] == "rep", "owner_id"]]
