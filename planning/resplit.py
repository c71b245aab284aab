"""A goal split anew when people come, go or move within its period: who did, what each carries before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Literal

import pandas as pd

from crm.errors import BadInput
from crm.lake import View
from planning.capacity import Person, capacity, without_target
from planning.cascade import COUNT_UNIT, MONEY_UNIT, Fairness, fairness
from planning.goals import COMPANY, MONEY_METRICS, Goal, teams_on
from planning.overview import Plan
from planning.pace import Stretch, due
from planning.periods import months_of, season_of
from planning.splitting import goal_to_split, mean_of
from planning.turnover import Segment, Share, Vacancy, by_days, join, leave, rebase, seat, totals

What = Literal["leaves", "joins", "moves"]
WHATS: tuple[What, ...] = ("leaves", "joins", "moves")
SEAT = "seat:"
"""How the owner of an empty place begins; see `planning.turnover.seat`."""

Kept = Mapping[str, Sequence[Segment]]
"""Parts that were kept when a goal was split anew before, by goal_id: a person's own, or a team's open seats."""


class BadStaffChange(BadInput):
    """Somebody cannot come, go or move like this."""


@dataclass(frozen=True, slots=True)
class StaffChange:
    """Somebody comes, goes or moves within a period.

    Attributes
    ----------
    day : date
        First day in the new place; of who leaves, the first day no longer there.
    team_id, to_team : str or None
        Where they were, and where they are from then on; None for nowhere.
    """

    what: What
    rep_id: str
    day: date
    team_id: str | None
    to_team: str | None

    @property
    def key(self) -> str:
        """Names it, so that it can be left out."""
        return f"{self.what} {self.rep_id} {self.day.isoformat()}"


@dataclass(frozen=True, slots=True)
class ResplitWish:
    """How a goal is split anew.

    Parameters
    ----------
    vacancy : str
        Who carries what a leaver leaves: the team's open seat, or the others by capacity left.
    rebase : bool
        Whether the rest of a team is split anew where a newcomer finds no open seat; else nothing changes.
    by : str
        Stretches weigh by their working days, or by the season.
    more : sequence of StaffChange
        Changes that the data does not have; who moves or leaves needs no team_id.
    without : frozenset of str
        Keys of those in the data that are left out.
    """

    vacancy: Vacancy = "team"
    rebase: bool = False
    by: Literal["days", "season"] = "days"
    more: Sequence[StaffChange] = ()
    without: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Resplit:
    """A goal split anew.

    Attributes
    ----------
    found : list of StaffChange
        What the data and the wish tell, in the order of days; `done` of them were settled before.
    before, after : list of Segment
        All parts under the goal, those of open seats too.
    stands : dict of str to Goal
        Goals of the people in the split, by rep_id.
    teams : dict of str to Goal
        Goals of the teams in it, and of the one that is split, by team_id or 'company'.
    """

    goal: Goal
    found: list[StaffChange]
    done: frozenset[str]
    before: list[Segment]
    after: list[Segment]
    stands: dict[str, Goal]
    teams: dict[str, Goal]
    fair: Fairness | None

    def table(self) -> pd.DataFrame:
        """One row a person or open seat whose part changes.

        Columns: owner_kind ('rep' or 'seat'), owner_id, team_id (the last), before, after, change, parts (list of
        Segment).
        """
        then, now = totals(self.before), totals(self.after)
        rows = []
        for owner in sorted({*then, *now}, key=lambda name: (name.startswith(SEAT), name)):
            parts = parts_of(self.after, owner)
            if parts == parts_of(self.before, owner):
                continue
            last = (parts or parts_of(self.before, owner))[-1]
            was, becomes = then.get(owner, Decimal(0)), now.get(owner, Decimal(0))
            rows.append({"owner_kind": "seat" if owner.startswith(SEAT) else "rep", "owner_id": owner,
                         "team_id": last.team_id, "before": was, "after": becomes, "change": becomes - was,
                         "parts": parts})  # fmt: skip
        return pd.DataFrame(rows, columns=["owner_kind", "owner_id", "team_id", "before", "after", "change", "parts"])


def resplit(plan: Plan, goal_id: str | None, wish: ResplitWish, kept: Kept | None = None) -> Resplit:
    """Split the rest of a goal's period anew for everybody who comes, goes or moves in it; each team's sum stays.

    Parameters
    ----------
    goal_id : str, optional
        Of the company or a team; without it the company's bookings that run.

    Raises
    ------
    NoGoal
        If there is no such goal.
    BadStaffChange
        If a change that was typed in cannot be.
    """
    goal, kept = goal_to_split(plan, goal_id), kept or {}
    tree = _teams_under(plan, goal)
    stands, teams = _goals_under(plan, goal, kept, tree)
    before = _parts_now(plan, goal, kept, stands, teams, tree)
    known = [c for c in staff_changes(plan, goal) if tree & {c.team_id, c.to_team}]
    found = sorted([*known, *(_complete(plan, goal, one) for one in wish.more)], key=lambda c: (c.day, c.key))
    after, done = list(before), set[str]()
    for one in found:
        if _settled(one, after):
            done.add(one.key)
        elif one.key not in wish.without:
            after = _apply(plan, goal, one, after, wish)
    people = {rep: target for rep, target in totals(after).items() if not rep.startswith(SEAT) and target > 0}
    means = {rep: mean for rep in people if (mean := mean_of(plan, goal, rep)) is not None}
    fair = fairness(means, people) if any(mean > 0 for mean in means.values()) else None
    return Resplit(goal, found, frozenset(done), before, after, stands, teams, fair)


def check_left_out(found: Resplit, without: Sequence[str]) -> None:
    """See that changes that somebody named to be left out are there; a form may name some of another goal.

    Raises
    ------
    BadStaffChange
        If one is not.
    """
    known = [change.key for change in found.found]
    if unknown := [key for key in without if key not in known]:
        keys = ", ".join(f"'{key}'" for key in known) or "none"
        raise BadStaffChange(
            "without: there is no change '{unknown}' in this period. Changes: {keys}.",
            unknown=unknown[0][:80],
            keys=keys,
        )


def staff_changes(plan: Plan, goal: Goal) -> list[StaffChange]:
    """Who comes, goes or moves after the first day of a goal's period and before its end, as the data tells."""
    moves, first = _memberships(plan.view), teams_on(plan.view, goal.start)
    last = teams_on(plan.view, goal.end)
    found = list[StaffChange]()
    for person in plan.people:
        team = first.get(person.rep_id)
        if without_target(person, goal.start, plan.company.plan.no_target_roles):
            continue
        if _inside(goal, person.hired_on):
            assert person.hired_on is not None
            team = teams_on(plan.view, person.hired_on).get(person.rep_id)
            found.append(StaffChange("joins", person.rep_id, person.hired_on, None, team))
        for day, to_team in moves.get(person.rep_id, ()):
            began = person.hired_on is None or day > person.hired_on
            if _inside(goal, day) and began and to_team != team and team is not None:
                found.append(StaffChange("moves", person.rep_id, day, team, to_team))
                team = to_team
        if _inside(goal, person.left_on):
            assert person.left_on is not None
            found.append(StaffChange("leaves", person.rep_id, person.left_on, team or last.get(person.rep_id), None))
    return sorted(found, key=lambda c: (c.day, c.key))


def by_season(plan: Plan, goal: Goal) -> Share:
    """Stretches weighed by how the season falls over them."""
    shares, _ = season_of(goal, plan.facts, plan.company, plan.workdays)
    months = months_of(goal.start, goal.end, plan.company)
    stretches = [Stretch(m.start, m.end, Decimal(str(s))) for m, s in zip(months, shares, strict=True)]

    def until(day: date) -> float:
        return 0.0 if day <= goal.start else due(stretches, (pd.Timestamp(day) - pd.Timedelta(days=1)).date(),
                                                 plan.workdays)  # fmt: skip

    return lambda start, end: max(until(end) - until(start), 0.0)


def parts_of(segments: Sequence[Segment], owner: str) -> list[Segment]:
    """The parts of one owner in the order of their days; neighbours of one team become one."""
    mine = sorted((p for p in segments if p.owner_id == owner and p.target), key=lambda p: (p.start, p.end, p.team_id))
    found = list[Segment]()
    for part in mine:
        same = [k for k, old in enumerate(found) if (old.team_id, old.start, old.end) == (
            part.team_id, part.start, part.end)]  # fmt: skip
        if same:
            found[same[0]] = replace(part, target=found[same[0]].target + part.target)
        else:
            found.append(part)
    return found


def _inside(goal: Goal, day: date | None) -> bool:
    return day is not None and goal.start < day < goal.end


def _memberships(view: View) -> dict[str, list[tuple[date, str]]]:
    """First day in each team, by person, in order."""
    found = dict[str, list[tuple[date, str]]]()
    rows = view.arrow("team_memberships").select(["rep_id", "team_id", "valid_from"]).to_pylist()
    for row in sorted(rows, key=lambda r: (r["rep_id"], r["valid_from"])):
        found.setdefault(row["rep_id"], []).append((row["valid_from"], row["team_id"]))
    return found


def _teams_under(plan: Plan, goal: Goal) -> frozenset[str | None]:
    below = plan.facts.below
    if goal.owner_kind == COMPANY:
        return frozenset(below) | frozenset(plan.facts.team_of.values())
    return frozenset(below.get(goal.owner_id, frozenset({goal.owner_id})))


def _goals_under(
    plan: Plan, goal: Goal, kept: Kept, tree: frozenset[str | None]
) -> tuple[dict[str, Goal], dict[str, Goal]]:
    """Goals like the one that is split: of people who are, or were, in its teams; of those teams and its own."""
    like = [g for g in plan.goals if (g.metric, g.start, g.end, g.scope, g.kinds)
            == (goal.metric, goal.start, goal.end, goal.scope, goal.kinds) and g.target]  # fmt: skip
    places = [teams_on(plan.view, goal.start), plan.facts.team_of]

    def near(one: Goal) -> bool:
        teams: set[str | None] = {part.team_id for part in kept.get(one.goal_id, ())}
        return bool(tree & (teams or {place.get(one.owner_id) for place in places}))

    people = {g.owner_id: g for g in like if g.owner_kind == "rep" and near(g)}
    teams = {g.owner_id: g for g in like if g.owner_kind == "team" and g.owner_id in tree}
    return people, teams | {goal.owner_id: goal}


def _parts_now(
    plan: Plan, goal: Goal, kept: Kept, stands: Mapping[str, Goal], teams: Mapping[str, Goal],
    tree: frozenset[str | None],
) -> list[Segment]:  # fmt: skip
    """What everybody carries now: as kept, else evenly over the period in the team where they began it."""
    began, now = teams_on(plan.view, goal.start), plan.facts.team_of
    found = list[Segment]()
    for rep, one in sorted(stands.items()):
        team = began.get(rep) or now.get(rep)
        found += _valid(kept.get(one.goal_id, ()), one.target) or (
            [Segment(rep, team, goal.start, goal.end, one.target or Decimal(0))] if team else [])  # fmt: skip
    for team in sorted(str(t) for t in tree if t):
        found += _open_seat(plan, goal, kept, teams, team, found)
    return found


def _open_seat(
    plan: Plan, goal: Goal, kept: Kept, teams: Mapping[str, Goal], team: str, people: Sequence[Segment]
) -> list[Segment]:
    """What a team's goal has over its people's and those of the teams below it; without a goal of its own, as kept."""
    own = teams.get(team)
    if own is None:
        return [p for p in kept.get(goal.goal_id, ()) if p.owner_id == seat(team)]
    inside = plan.facts.below.get(team, frozenset({team}))
    given = sum((p.target for p in people if p.team_id in inside), Decimal(0))
    rest = (own.target or Decimal(0)) - given
    if rest <= 0:
        return []
    stored = [p for p in kept.get(own.goal_id, ()) if p.owner_id == seat(team)]
    return _valid(stored, rest) or [Segment(seat(team), team, goal.start, goal.end, rest)]


def _valid(parts: Sequence[Segment], target: Decimal | None) -> list[Segment]:
    """Kept parts while they still add up to the goal: a number set by hand since holds for the whole period."""
    return list(parts) if parts and sum((p.target for p in parts), Decimal(0)) == target else []


def _complete(plan: Plan, goal: Goal, one: StaffChange) -> StaffChange:
    """A change that was typed in, with the team that somebody leaves."""
    people = {person.rep_id for person in plan.people}
    if one.rep_id not in people:
        raise BadStaffChange(
            "rep_id: there is nobody '{rep_id}'. Give a rep_id of the table reps.", rep_id=one.rep_id[:80]
        )
    if not _inside(goal, one.day):
        raise BadStaffChange(
            "day: {day} is not within the goal's period, {start} to {end} (exclusive). Give a day after its first.",
            day=one.day,
            start=goal.start,
            end=goal.end,
        )
    if one.what != "leaves" and one.to_team not in plan.facts.below:
        raise BadStaffChange("to_team: there is no team '{to_team}'. Give a team_id.", to_team=str(one.to_team)[:80])
    if one.what == "joins":
        return replace(one, team_id=None)
    before = teams_on(plan.view, goal.start)
    team = one.team_id or before.get(one.rep_id) or plan.facts.team_of.get(one.rep_id)
    if team is None:
        raise BadStaffChange("rep_id: '{rep_id}' is in no team that could be left.", rep_id=one.rep_id[:80])
    return replace(one, team_id=team, to_team=None if one.what == "leaves" else one.to_team)


def _settled(one: StaffChange, parts: Sequence[Segment]) -> bool:
    mine = [p for p in parts if p.owner_id == one.rep_id]
    if one.what == "joins":
        return bool(mine)
    if one.what == "leaves":
        return all(p.end <= one.day for p in mine)
    return any(p.team_id == one.to_team and p.end > one.day for p in mine)


def _apply(plan: Plan, goal: Goal, one: StaffChange, parts: list[Segment], wish: ResplitWish) -> list[Segment]:
    share = by_days(plan.workdays) if wish.by == "days" else by_season(plan, goal)
    unit = MONEY_UNIT if goal.metric in MONEY_METRICS else COUNT_UNIT
    if one.what != "joins":
        left = _capacity_left(plan, goal, parts, one.team_id, one)
        parts = leave(parts, one.rep_id, one.day, share, vacancy=wish.vacancy, capacity_left=left, unit=unit)
    if one.to_team is None:
        return parts
    newcomer = next(p for p in plan.people if p.rep_id == one.rep_id)
    own = capacity(newcomer, one.day, goal.end, plan.workdays)
    if wish.rebase and not any(p.owner_id == seat(one.to_team) and p.end > one.day for p in parts):
        left = _capacity_left(plan, goal, parts, one.to_team, one) | {one.rep_id: own}
        return rebase(parts, one.to_team, one.day, share, capacity_left=left, unit=unit)
    full = capacity(Person("seat"), one.day, goal.end, plan.workdays)
    return join(parts, one.rep_id, one.to_team, one.day, share, capacity=own, full_capacity=full, unit=unit)


def _capacity_left(
    plan: Plan, goal: Goal, parts: Sequence[Segment], team: str | None, one: StaffChange
) -> dict[str, float]:
    """Of each other person who carries a part of a team from a day on: working days they give to the period's end."""
    carry = {p.owner_id for p in parts if p.team_id == team and p.end > one.day} - {one.rep_id}
    roles = plan.company.plan.no_target_roles
    here = [p for p in plan.people if p.rep_id in carry and not without_target(p, one.day, roles)]
    return {p.rep_id: capacity(p, one.day, goal.end, plan.workdays) for p in here}
