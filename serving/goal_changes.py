"""Goals seen and changed by a viewer, by API or page: who may, what is checked, and a target split into goals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

import pandas as pd

from crm.errors import BadInput, Both, NotFound
from crm.lake import View
from crm.schema import OWN_GOAL, SHARE_METRICS
from planning.capacity import Method
from planning.cascade import Fairness
from planning.goals import COMPANY, MONEY_METRICS, Goal
from planning.overview import Plan
from planning.smart import check
from planning.splitting import cascade_table
from serving.access import NotYours, Sight, Viewer
from serving.dependencies import Server
from serving.goals import FIELDS, By, Goals, GoalThere, NoSuchGoal, NothingToUndo, id_of
from serving.plans import shows
from serving.tables.goals import StoredGoal

HERE, CRM = "here", "crm"


class BadGoal(BadInput):
    """A goal cannot be set like this."""


def reason_of(why: str) -> str:
    """The reason for a change, without blanks around it.

    Raises
    ------
    BadGoal
        If it says nothing: fewer than three characters.
    """
    if len(why.strip()) < 3:
        raise BadGoal("why: give the reason, which is kept in the history of each goal.")
    return why.strip()


class NoSuchOwner(NotFound):
    """No such team or person, or not for this viewer."""

    def __init__(self, kind: str, owner: str) -> None:
        super().__init__("owner_id: there is no {kind} '{owner}' whose goals you can set.", kind=kind, owner=owner[:80])


@dataclass(frozen=True, slots=True)
class SplitWish:
    """How a goal is split: by which weights, with which numbers fixed by hand."""

    goal_id: str | None = None
    method: Method = "capacity"
    shares: Mapping[Any, float] = field(default_factory=dict)  # by method
    pins: Mapping[str, Decimal] = field(default_factory=dict)
    over_assign: Decimal = Decimal(0)


@dataclass(frozen=True)
class Desk:
    """One viewer at the company's goals.

    Parameters
    ----------
    scored_at : datetime, optional
        Moment of the newest scores; a sample company's time stands still there.
    """

    server: Server
    viewer: Viewer
    sight: Sight
    scored_at: datetime | None

    @property
    def now(self) -> datetime:
        """The moment that a change is recorded at."""
        sample = self.server.company().sample and self.scored_at is not None
        return self.scored_at if sample and self.scored_at else datetime.now(UTC)

    @property
    def goals(self) -> Goals:
        """The goals set here."""
        return Goals(self.server.store)

    @cached_property
    def plan(self) -> Plan:
        """All goals with what was reached; what of it may be shown is for whoever shows it to ask, see `shows`."""
        company = self.server.company()
        return self.server.plans.plan(company, self.server.book.newest(company), self.now)

    @cached_property
    def shown_teams(self) -> frozenset[str]:
        """Teams whose forecasts the viewer sees."""
        frames = self.server.book.seen_by(self.sight, self.server.company()).frames
        return frozenset(frames["teams"]["team_id"]) if "teams" in frames else frozenset()

    def shows(self, kind: str, owner: str) -> bool:
        """Whether figures on an owner are shown to the viewer."""
        return shows(self.sight, self.shown_teams, kind, owner)

    def table(self) -> pd.DataFrame:
        """All goals that the viewer may see: those set here, ended ones too, and those of the CRM not taken over.

        Columns: goal_id, source ('here' or 'crm'), the fields of a goal, hides, version, recorded_at, ended_at,
        may_change.
        """
        own = self.goals.all()
        hidden = {goal.hides for goal in own if goal.hides}
        crm = self._view.arrow("goals").to_pandas()
        crm = crm[~crm["goal_id"].str.startswith(OWN_GOAL) & ~crm["goal_id"].isin(hidden)]
        crm["owner_id"] = crm["owner_id"].where(crm["owner_kind"] != COMPANY, COMPANY)
        rows = [row_of(goal) for goal in own] + [_crm_row(row) for row in crm.to_dict("records")]
        seen = [row for row in rows if self.sees(row["owner_kind"], row["owner_id"])]
        for row in seen:
            may = self.may_set(row["owner_kind"], row["owner_id"])
            row["may_change"] = may and row["source"] == HERE and row["ended_at"] is None
        return pd.DataFrame(seen, columns=COLUMNS)

    def sees(self, kind: str, owner: str) -> bool:
        """Whether the goals of an owner are shown to the viewer."""
        if kind == COMPANY:
            return self.sight.teams is None
        return self.sight.team(owner) if kind == "team" else self.sight.owner(owner)

    def above(self, fields: Mapping[str, Any]) -> str | None:
        """The goal that a new one belongs under: the nearest above of that metric whose period holds it; None: none."""
        plan, kind, owner = self.plan, fields["owner_kind"], fields["owner_id"]
        start, end = fields["period_start"], fields["period_end"]
        size = (_narrowed(fields), start, end)
        for level in self._levels(kind, owner):
            near = [
                goal for goal in plan.goals
                if (goal.owner_kind, goal.owner_id) == level and goal.metric == fields["metric"] and self.sees(*level)
                and goal.start <= start and end <= goal.end and all(fields[n] == v for n, v in goal.scope.items())
                and (level != (kind, owner) or (len(goal.scope), goal.start, goal.end) != size)
            ]  # fmt: skip
            if near:
                return min(near, key=lambda g: (g.end - g.start, -len(g.scope), g.goal_id)).goal_id
        return None

    def _levels(self, kind: str, owner: str) -> list[tuple[str, str]]:
        """Whose goals may be above: teams upwards, the company, then the owner's own of a longer period."""
        if kind == COMPANY:
            return [(COMPANY, COMPANY)]
        facts = self.plan.facts
        first = facts.team_of.get(owner) if kind == "rep" else owner
        teams = sorted((t for t, inside in facts.below.items() if first in inside and (t != owner or kind == "rep")),
                       key=lambda t: len(facts.below[t]))  # fmt: skip
        return [*(("team", team) for team in teams), (COMPANY, COMPANY), (kind, owner)]

    def read(self, goal_id: str) -> dict[str, Any]:
        """One goal that the viewer may see.

        Raises
        ------
        NoSuchGoal
            If there is none, or not for this viewer.
        """
        table = self.table()
        found = table[table["goal_id"] == goal_id]
        if found.empty:
            raise NoSuchGoal(goal_id)
        return _records(found)[0]

    def make(self, fields: Mapping[str, Any], why: str) -> StoredGoal:
        """Set a goal.

        Raises
        ------
        BadGoal, NoSuchOwner, NotYours, GoalThere
            If it cannot be, or the viewer may not.
        """
        self.check(fields)
        self._check_sense(fields)
        if (there := self.of_crm(fields)) is not None:
            raise GoalThere(there, of_crm=True)
        return self.goals.make(fields, self._by(why))

    def change(self, goal_id: str, fields: Mapping[str, Any], why: str, version: int | None) -> StoredGoal:
        """Change a goal that was set here.

        Raises
        ------
        NoSuchGoal, BadGoal, NotYours, GoalMoved, GoalThere
            If it cannot be, or the viewer may not.
        """
        goal = self._mine(goal_id)
        self.check({**{name: getattr(goal, name) for name in FIELDS}, **fields})
        return self.goals.change(goal_id, fields, self._by(why), version=version)

    def end(self, goal_id: str, why: str) -> StoredGoal:
        """End a goal that was set here.

        Raises
        ------
        NoSuchGoal, NotYours
            If there is none, or the viewer may not.
        """
        self._mine(goal_id)
        return self.goals.end(goal_id, self._by(why))

    def take_over(self, goal_id: str, target: float | None, why: str) -> StoredGoal:
        """Set a goal in place of one of the CRM, at its target unless another is given.

        Raises
        ------
        NoSuchGoal, BadGoal, NotYours, GoalThere
            If it cannot be, or the viewer may not.
        """
        row = self.read(goal_id)
        if row["source"] != CRM:
            raise BadGoal(
                "goal_id: {goal_id} was set here already. Change it by PATCH /api/v1/goals/{goal_id}.", goal_id=goal_id
            )
        fields = {name: row[name] for name in FIELDS}
        fields["target"] = row["target"] if target is None else target
        self.check(fields)
        return self.goals.make(fields, self._by(why), hides=goal_id)

    def history(self, goal_id: str) -> list[dict[str, Any]]:
        """Every change of a goal that the viewer may see, oldest first.

        Raises
        ------
        NoSuchGoal
            If there is none, or it comes from the CRM, whose changes are not known.
        """
        self.read(goal_id)
        names = ("version", "at", "what", "why", "user_id", "before", "after", "batch")
        return [{name: getattr(change, name) for name in names} for change in self.goals.history(goal_id)]

    def newest_changes(self) -> list[dict[str, Any]]:
        """The newest changes of all goals, newest first: as `history`, with goal_id; not all are for every viewer."""
        names = ("at", "what", "why", "user_id", "before", "after", "batch")
        found = self.goals.newest(2000)
        return [{"goal_id": id_of(c.goal_number), **{name: getattr(c, name) for name in names}} for c in found]

    def may_undo(self, batch: str) -> bool:
        """Whether the viewer may put back what was done in one go, and nothing was changed since."""
        stand = {goal.goal_number: goal for goal in self.goals.all()}
        pairs = [(change, stand[change.goal_number]) for change in self.goals.batch(batch)]
        return (
            bool(pairs)
            and self.viewer.signed_in
            and all(
                goal.version == change.version and self.may_set(goal.owner_kind, goal.owner_id)
                for change, goal in pairs
            )
        )

    def undo(self, batch: str, why: str) -> list[StoredGoal]:
        """Put back all that was done in one go.

        Raises
        ------
        NothingToUndo
            If there is no such change, or one of its goals is not the viewer's to set.
        GoalMoved, GoalThere
            If a goal was changed since.
        """
        owners = {goal.goal_number: (goal.owner_kind, goal.owner_id) for goal in self.goals.all()}
        changes = self.goals.batch(batch)
        if not changes or not all(self.may_set(*owners[change.goal_number]) for change in changes):
            raise NothingToUndo(batch)
        crm = self._view.arrow("goals").to_pandas().set_index("goal_id", drop=False)

        def of_crm(goal_id: str) -> dict[str, Any] | None:
            return {n: v for n, v in _crm_row(crm.loc[goal_id].to_dict()).items() if n in FIELDS} if (
                goal_id in crm.index) else None  # fmt: skip

        return self.goals.undo(batch, self._by(why), of_crm)

    def split(self, wish: SplitWish) -> tuple[dict[str, Any], pd.DataFrame, Fairness | None]:
        """A goal, split over teams and people below it, and how fair that is; nothing is stored.

        Raises
        ------
        NoSuchGoal, NoGoal, NotInSplit, PinsDoNotFit, NoWeight, NoSuchMethod
            If it cannot be split so.
        """
        plan = self.plan
        goal_id = wish.goal_id or self.to_split()
        goal = self.read(goal_id)
        table, fair = cascade_table(
            plan, goal_id, wish.method, shares=wish.shares, pins=wish.pins, over_assign=wish.over_assign
        )
        return goal, table, fair

    def apply(self, goal: Mapping[str, Any], table: pd.DataFrame, why: str) -> tuple[list[StoredGoal], str]:
        """Make the numbers of a split the goals of those teams and people, all or none; also the name of that batch.

        The viewer's own number stays what whoever is above made it.

        Raises
        ------
        NoSuchOwner, NotYours
            If one of them is not the viewer's to set.
        """
        wanted, parents = [], {t["team_id"]: t["parent_team_id"] for t in self._view.arrow("teams").to_pylist()}
        for row in table.to_dict("records"):
            part = {"owner_kind": row["owner_kind"], "owner_id": row["owner_id"], "target": float(row["target"]),
                    "currency": None}  # a split is made in base currency  # fmt: skip
            fields = {**{name: goal[name] for name in FIELDS}, **part, "parent_goal_id": goal["goal_id"]}
            if part["target"] > 0 and not self._is_own(row["owner_kind"], row["owner_id"]):
                self.check(fields)
                team = row["team_id"] if row["owner_kind"] == "rep" else parents.get(row["owner_id"])
                wanted.append((fields, self.of_crm(fields), team))
        return self.set_all(wanted, why)

    def set_all(
        self, wanted: Sequence[tuple[Mapping[str, Any], str | None, str | None]], why: str
    ) -> tuple[list[StoredGoal], str]:
        """Set many goals at once, see `Goals.set_all`; also the name of that batch."""
        by = self._by(why)
        return self.goals.set_all(wanted, by), by.batch

    @property
    def _view(self) -> View:
        return self.server.home.lake.view()

    def _by(self, why: str) -> By:
        return By(self.viewer.user_id, self.now, why)

    def to_split(self) -> str:
        """The goal that is split where none is named: the viewer's highest of bookings that runs.

        Raises
        ------
        NoSuchGoal
            If there is none.
        """
        mine = [
            goal for goal in self.plan.running
            if goal.metric == "bookings" and not goal.scope and goal.owner_kind != "rep"
            and self.sees(goal.owner_kind, goal.owner_id)
        ]  # fmt: skip
        if not mine:
            raise NoSuchGoal
        # The highest first: what all people below it are to bring together.
        kinds = {COMPANY: 0, "team": 1}
        return min(mine, key=lambda g: (kinds[g.owner_kind], g.end - g.start, -(g.target or 0), g.goal_id)).goal_id

    def _mine(self, goal_id: str) -> StoredGoal:
        row = self.read(goal_id)
        if row["source"] == CRM:
            raise BadGoal(
                "goal_id: {goal_id} comes from the CRM. Take it over by POST /api/v1/goals/{goal_id}/take-over.",
                goal_id=goal_id,
            )
        self._need_to_set(row["owner_kind"], row["owner_id"])
        return self.goals.read(goal_id)

    def may_set(self, kind: str, owner: str) -> bool:
        """Whether the viewer may set goals of an owner."""
        if self.viewer.role == "admin":
            return True
        return (
            self.viewer.role == "manager"
            and kind != COMPANY
            and not self._is_own(kind, owner)
            and self.sees(kind, owner)
        )

    def _is_own(self, kind: str, owner: str) -> bool:
        return kind == "rep" and owner == self.viewer.rep_id

    def _need_to_set(self, kind: str, owner: str) -> None:
        if not self.sees(kind, owner):
            raise NoSuchOwner(kind, owner)
        if not self.may_set(kind, owner):
            raise NotYours(self.viewer.role, "admin", "manager above")

    def check(self, fields: Mapping[str, Any]) -> None:
        """Refuse a goal that is not the viewer's to set, or makes no sense.

        Raises
        ------
        BadGoal, NoSuchOwner, NotYours
            If so.
        """
        kind, owner = str(fields["owner_kind"]), str(fields["owner_id"])
        self._need_to_set(kind, owner)
        if kind != COMPANY and owner not in self._owners[kind]:
            raise NoSuchOwner(kind, owner)
        if kind == COMPANY and owner != COMPANY:
            raise BadGoal("owner_id: '{owner}' is not the company. Give the word company.", owner=owner[:80])
        _check_values(fields)
        product, parent = fields["product_id"], fields["parent_goal_id"]
        if product is not None and product not in self._view.arrow("products")["product_id"].to_pylist():
            raise BadGoal("product_id: there is no product '{product}'.", product=product[:80])
        if parent is not None and parent not in {row["goal_id"] for row in self._known}:
            raise BadGoal("parent_goal_id: there is no goal '{parent}' that you can see.", parent=parent[:80])

    def _check_sense(self, fields: Mapping[str, Any]) -> None:
        """Refuse a goal that is about nothing on record, or whose period half overlaps that of another like it."""
        if _narrowed(fields):
            goal = _as_goal(fields)
            found = check(goal, [], self.plan.facts, self.plan.company)
            for one in found:
                if one.grade == "fail" and one.letter == "S":
                    raise BadGoal(
                        "{field}: {finding} {mend}",
                        field=one.field,
                        finding=Both(one.en, one.zh),
                        mend=Both(one.mend_en, one.mend_zh),
                    )
        self._check_overlap(fields)

    def _check_overlap(self, fields: Mapping[str, Any]) -> None:
        same = ("owner_kind", "owner_id", "metric", "product_id", "product_family", "segment")
        start, end = fields["period_start"], fields["period_end"]
        for goal in self.plan.goals:
            alike = all(getattr(goal, name) == fields[name] for name in same)
            apart = goal.end <= start or end <= goal.start
            nested = (goal.start <= start and end <= goal.end) or (start <= goal.start and goal.end <= end)
            if alike and not apart and not nested:
                raise BadGoal(
                    "period_start: the period overlaps that of {goal_id}, {start} to {end} (exclusive), and neither "
                    "holds the other. Move the days.",
                    goal_id=goal.goal_id,
                    start=goal.start,
                    end=goal.end,
                )

    def of_crm(self, fields: Mapping[str, Any]) -> str | None:
        """The goal of the CRM of that owner, metric and period that was not taken over; None where there is none."""
        return self._crm_goals.get(tuple(fields[name] for name in _KEY))

    @cached_property
    def _known(self) -> list[dict[str, Any]]:
        """The goals of `table`, as they were when this was first asked: a split asks for each of its rows."""
        return _records(self.table())

    @cached_property
    def _crm_goals(self) -> dict[tuple[Any, ...], str]:
        return {tuple(row[n] for n in _KEY): str(row["goal_id"]) for row in self._known if row["source"] == CRM}

    @cached_property
    def _owners(self) -> dict[str, frozenset[str]]:
        return {k: frozenset(self._view.arrow(f"{k}s")[f"{k}_id"].to_pylist()) for k in ("team", "rep")}


_KEY = tuple(name for name in FIELDS if name not in ("target", "currency", "parent_goal_id"))
COLUMNS = ["goal_id", "source", *FIELDS, "hides", "version", "recorded_at", "ended_at", "may_change"]


def row_of(goal: StoredGoal) -> dict[str, Any]:
    """A goal set here as a row of the table."""
    own = {"goal_id": id_of(goal.goal_number), "source": HERE, "recorded_at": goal.changed_at, "may_change": True}
    return own | {name: getattr(goal, name) for name in (*FIELDS, "hides", "version", "ended_at")}


def _crm_row(row: Mapping[Any, Any]) -> dict[str, Any]:
    plain = {name: None if pd.isna(row[name]) else row[name] for name in ("goal_id", *FIELDS, "recorded_at")}
    return {**plain, "source": CRM, "hides": None, "version": 0, "ended_at": None, "may_change": False}


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {str(k): v for k, v in row.items()}
        for row in table.astype(object).where(table.notna(), None).to_dict("records")
    ]


def _as_goal(fields: Mapping[str, Any]) -> Goal:
    names = ("product_id", "product_family", "segment")
    return Goal(
        "", fields["owner_kind"], fields["owner_id"], fields["metric"], fields["period_start"], fields["period_end"],
        Decimal(str(fields["target"])), **{name: fields[name] for name in names},
    )  # fmt: skip


def _narrowed(fields: Mapping[str, Any]) -> int:
    return sum(fields[name] is not None for name in ("product_id", "product_family", "segment"))


def _check_values(fields: Mapping[str, Any]) -> None:
    start, end, metric, target = (fields[n] for n in ("period_start", "period_end", "metric", "target"))
    if end <= start:
        raise BadGoal("period_end: {end} is not after {start}. It is the first day after.", start=start, end=end)
    if metric == "customer_satisfaction" and not 1 <= target <= 5:
        raise BadGoal("target: {target} is no mean grade. Give one from 1 to 5, such as 4.2.", target=target)
    if metric in SHARE_METRICS and target > 1:
        raise BadGoal(
            "target: {target} is no share. Give {metric} as a share, such as 0.25.", target=target, metric=metric
        )
    if fields["currency"] is not None and metric not in MONEY_METRICS:
        raise BadGoal("currency: {metric} is no money. Leave it out.", metric=metric)
