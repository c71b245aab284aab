"""Goals set here: made, changed, ended, taken over from the CRM, put back; every change kept, copied to the lake."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import duckdb
import pyarrow as pa
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from crm.errors import BadInput, NotFound
from crm.lake import Lake, View, conform
from crm.schema import OWN_GOAL
from serving.home import Home
from serving.store import Store
from serving.tables.goals import GoalChange, GoalOutbox, StoredGoal

if TYPE_CHECKING:
    import pandas as pd

FIELDS = (
    "owner_kind", "owner_id", "metric", "product_id", "product_family", "segment", "period_start", "period_end",
    "target", "currency", "parent_goal_id",
)  # fmt: skip
_SAME = ("owner_kind", "owner_id", "metric", "product_id", "product_family", "segment", "period_start", "period_end")
_NONE = 0.0  # how the lake says that there is no goal any more


class NoSuchGoal(NotFound):
    """No such goal was set here."""

    def __init__(self, goal_id: str | None = None) -> None:
        if goal_id is None:
            super().__init__("There is no goal for bookings of a company or team of yours. See /api/v1/goals.")
        else:
            super().__init__(
                "There is no goal {goal_id} that can be changed. The list is at /api/v1/goals.", goal_id=goal_id
            )


class GoalThere(BadInput):
    """There is a goal of that owner, metric and period already."""

    def __init__(self, goal_id: str, *, of_crm: bool = False) -> None:
        if of_crm:
            super().__init__(
                "There is such a goal already: {goal_id}. It comes from the CRM: take it over by POST "
                "/api/v1/goals/{goal_id}/take-over.",
                goal_id=goal_id,
            )
        else:
            super().__init__("There is such a goal already: {goal_id}. Change that one instead.", goal_id=goal_id)


class GoalMoved(BadInput):
    """Somebody else changed the goal meanwhile."""

    def __init__(self, goal_id: str, version: int) -> None:
        super().__init__(
            "Goal {goal_id} was changed meanwhile and is at version {version} now. Read it again.",
            goal_id=goal_id,
            version=version,
        )


class NothingToUndo(NotFound):
    """No such change can be undone."""

    def __init__(self, batch: str) -> None:
        super().__init__("There is no change {batch} that you can undo. See the history of the goal.", batch=batch[:40])


@dataclass(frozen=True, slots=True)
class By:
    """Who changes goals, when and why; in the sample company 'when' is the moment of its data.

    Parameters
    ----------
    batch : str
        Names all that is done in one go.
    """

    user_id: int | None
    at: datetime
    why: str
    batch: str = field(default_factory=lambda: uuid4().hex)


def id_of(number: int) -> str:
    """The name of a goal set here."""
    return f"{OWN_GOAL}{number}"


class Goals:
    """The goals of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self) -> list[StoredGoal]:
        """All goals set here, ended ones too."""
        with self._store.reading() as session:
            return list(session.scalars(select(StoredGoal).order_by(StoredGoal.goal_number)))

    def read(self, goal_id: str) -> StoredGoal:
        """One goal.

        Raises
        ------
        NoSuchGoal
            If none of that name was set here.
        """
        with self._store.reading() as session:
            return _find(session, goal_id)

    def history(self, goal_id: str) -> list[GoalChange]:
        """All changes of a goal, oldest first."""
        with self._store.reading() as session:
            number = _find(session, goal_id).goal_number
            query = select(GoalChange).where(GoalChange.goal_number == number).order_by(GoalChange.version)
            return list(session.scalars(query))

    def make(self, fields: Mapping[str, Any], by: By, *, hides: str | None = None) -> StoredGoal:
        """Set a goal; with `hides`, in place of a goal of the CRM, which counts no more.

        Raises
        ------
        GoalThere
            If one of that owner, metric, part and period was set here already.
        """
        with self._store.session() as session:
            return _make(session, fields, by, hides)

    def change(self, goal_id: str, fields: Mapping[str, Any], by: By, *, version: int | None = None) -> StoredGoal:
        """Change some fields of a goal.

        Parameters
        ----------
        version : int, optional
            The one that the change was thought for; another one is refused.

        Raises
        ------
        NoSuchGoal, GoalMoved, GoalThere
            If it is not there, is at another version, or would be like another one.
        """
        with self._store.session() as session:
            goal = _running(session, goal_id)
            if version is not None and version != goal.version:
                raise GoalMoved(goal_id, goal.version)
            return _change(session, goal, fields, by)

    def end(self, goal_id: str, by: By) -> StoredGoal:
        """End a goal: from now on there is none; what was scored before keeps it.

        Raises
        ------
        NoSuchGoal
            If it is not there, or was ended before.
        """
        with self._store.session() as session:
            return _end(session, _running(session, goal_id), by, "ended")

    def set_all(self, wanted: Sequence[tuple[Mapping[str, Any], str | None, str | None]], by: By) -> list[StoredGoal]:
        """Set many goals at once, all or none: those that are there are changed, others made.

        Parameters
        ----------
        wanted : sequence of (fields, goal of the CRM that is taken over, team)
            Where the team's goal is among those before, it is the goal above, else the one that the fields name. A
            target of 0 ends the goal that is there. `parts` of the fields are kept with the goal.
        """
        with self._store.session() as session:
            made, of_team = [], dict[str, str]()
            for fields, hides, team in wanted:
                above = of_team.get(team or "", fields["parent_goal_id"])
                there = _like(session, fields)
                if not fields["target"]:
                    made += [_end(session, there, by, "ended")] if there else []
                    continue
                kept = {"target": fields["target"], "currency": fields["currency"], "parent_goal_id": above}
                kept |= {"parts": fields["parts"]} if "parts" in fields else {}
                goal = _change(session, there, kept, by) if there else _make(session, {**fields, **kept}, by, hides)
                if goal.owner_kind == "team":
                    of_team[goal.owner_id] = id_of(goal.goal_number)
                made.append(goal)
            return made

    def batch(self, batch: str) -> list[GoalChange]:
        """All changes that were made in one go, by goal; empty where there are none."""
        with self._store.reading() as session:
            return _batch(session, batch)

    def newest(self, most: int = 200) -> list[GoalChange]:
        """The newest changes of all goals, newest first."""
        with self._store.reading() as session:
            return list(session.scalars(select(GoalChange).order_by(GoalChange.change_id.desc()).limit(most)))

    def undo(self, batch: str, by: By, of_crm: Callable[[str], Mapping[str, Any] | None]) -> list[StoredGoal]:
        """Put back what was done in one go, all or nothing; that is a change of its own, and can be undone too.

        Parameters
        ----------
        of_crm : callable
            Fields of a goal of the CRM; a goal that was taken over gets those back, and stays here.

        Raises
        ------
        NothingToUndo
            If there is no such change.
        GoalMoved, GoalThere
            If a goal was changed since, or another one took its place.
        """
        with self._store.session() as session:
            changes = _batch(session, batch)
            if not changes:
                raise NothingToUndo(batch)
            return [_put_back(session, change, by, of_crm) for change in changes]


def copy_to_lake(store: Store, lake: Lake) -> int:
    """Bring changes of goals into the lake's table; how many rows. Done twice, it changes nothing.

    Raises
    ------
    LakeBusy
        If another process is writing to the lake.
    """
    with store.reading() as session:
        waiting = list(session.scalars(select(GoalOutbox).order_by(GoalOutbox.outbox_id)))
    if not waiting:
        return 0
    lake.merge({"goals": _table(row.row for row in waiting)}, source="goals set here")
    with store.session() as session:  # only now: what dies in between is copied once more, to the same rows
        session.execute(delete(GoalOutbox).where(GoalOutbox.outbox_id.in_([row.outbox_id for row in waiting])))
    return len(waiting)


def bring_goals(home: Home, store: Store | None = None) -> int:
    """Copy changes of goals to the lake of a home; how many rows.

    Parameters
    ----------
    store : Store, optional
        The home's store where it is open already.
    """
    if store is not None:
        return copy_to_lake(store, home.lake)
    opened = Store(home.database_url)
    try:
        return copy_to_lake(opened, home.lake)
    finally:
        opened.close()


class WithGoals:
    """A view of the lake with those changes of goals that have not been copied to it yet.

    Parameters
    ----------
    newest : View, optional
        Whose goals count in place of the view's, where that is an older data cut.
    """

    def __init__(self, view: View, store: Store, newest: View | None = None) -> None:
        self._view = view
        known = (newest or view).arrow("goals")
        with store.reading() as session:
            rows = [row.row for row in session.scalars(select(GoalOutbox).order_by(GoalOutbox.outbox_id))]
        self._goals = _after(known, rows) if rows else known if newest is not None else None

    @property
    def present(self) -> frozenset[str]:
        """Tables that the company has."""
        return self._view.present | ({"goals"} if self._goals is not None else frozenset())

    def arrow(self, table: str) -> pa.Table:
        """A whole table; empty with all columns where absent."""
        return self._goals if table == "goals" and self._goals is not None else self._view.arrow(table)

    def attach(self, con: duckdb.DuckDBPyConnection) -> None:
        """Create one SQL view a canonical table."""
        self._view.attach(con)
        if self._goals is not None:
            found = con.execute(
                "select table_type from information_schema.tables where table_name = 'goals'"
            ).fetchall()
            con.execute(f"drop {'view' if found == [('VIEW',)] else 'table'} goals")
            con.register("goals", self._goals)


def _after(known: pa.Table, rows: list[dict[str, Any]]) -> pa.Table:
    fresh = _table(rows)
    there = set(known["goal_id"].to_pylist())
    kept = fresh.filter(pa.array([goal not in there for goal in fresh["goal_id"].to_pylist()]))
    return pa.concat_tables([known, kept], promote_options="default")


def _table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    days = ("period_start", "period_end")
    moments = [
        {
            **row,
            **{d: date.fromisoformat(row[d]) for d in days},
            "recorded_at": datetime.fromisoformat(row["recorded_at"]),
        }
        for row in rows
    ]
    return conform("goals", pa.Table.from_pylist(moments))


def _find(session: Session, goal_id: str) -> StoredGoal:
    text = goal_id.removeprefix(OWN_GOAL)
    known = goal_id.startswith(OWN_GOAL) and text.isascii() and text.isdecimal() and len(text) < 10
    goal = session.get(StoredGoal, int(text)) if known else None
    if goal is None:
        raise NoSuchGoal(goal_id)
    return goal


def _running(session: Session, goal_id: str) -> StoredGoal:
    goal = _find(session, goal_id)
    if goal.ended_at is not None:
        raise NoSuchGoal(goal_id)
    return goal


def _like(session: Session, fields: Mapping[str, Any]) -> StoredGoal | None:
    same = [getattr(StoredGoal, name).is_not_distinct_from(fields[name]) for name in _SAME]
    return session.scalar(select(StoredGoal).where(StoredGoal.ended_at.is_(None), *same))


def _make(session: Session, fields: Mapping[str, Any], by: By, hides: str | None) -> StoredGoal:
    _refuse_double(session, fields)
    goal = StoredGoal(**fields, hides=hides, version=0, made_at=by.at, changed_at=by.at)
    session.add(goal)
    session.flush()
    _note(session, goal, by, "taken over" if hides else "made", None, _state(goal))
    _send(session, goal, by)
    return goal


def _change(session: Session, goal: StoredGoal, fields: Mapping[str, Any], by: By, what: str = "changed") -> StoredGoal:
    before = _state(goal)
    moved = any(name in fields and fields[name] != getattr(goal, name) for name in _SAME)
    if moved:
        _refuse_double(session, {**{name: getattr(goal, name) for name in _SAME}, **fields})
    old = _row(goal, by, target=_NONE)
    if "parts" not in fields and (moved or fields.get("target", goal.target) != goal.target):
        goal.parts = None  # a number set by hand holds for the whole period
    for name, value in fields.items():
        setattr(goal, name, value)
    if _state(goal) == before:
        return goal
    _note(session, goal, by, what, before, _state(goal))
    if moved:  # for the days before there is no goal any more
        session.add(GoalOutbox(row={**old, "goal_id": f"{id_of(goal.goal_number)}.{goal.version}.0"}))
    _send(session, goal, by)
    return goal


def _end(session: Session, goal: StoredGoal, by: By, what: str) -> StoredGoal:
    before = _state(goal)
    goal.ended_at = by.at
    _note(session, goal, by, what, before, None)
    _send(session, goal, by, target=_NONE)
    return goal


def _batch(session: Session, batch: str) -> list[GoalChange]:
    query = select(GoalChange).where(GoalChange.batch == batch).order_by(GoalChange.goal_number)
    return list(session.scalars(query))


def _put_back(
    session: Session, change: GoalChange, by: By, of_crm: Callable[[str], Mapping[str, Any] | None]
) -> StoredGoal:
    goal = _find(session, id_of(change.goal_number))
    if goal.version != change.version:
        raise GoalMoved(id_of(goal.goal_number), goal.version)
    before: Mapping[str, Any] | None = change.before
    if before is None and change.what == "taken over" and goal.hides:
        before = of_crm(goal.hides)
    if before is None:
        return _end(session, goal, by, "undone")
    if goal.ended_at is None:
        return _change(session, goal, _from_text(before), by, what="undone")
    _refuse_double(session, _from_text(before))
    goal.ended_at = None
    _note(session, goal, by, "undone", None, _state(goal))
    _send(session, goal, by)
    return goal


def _from_text(values: Mapping[str, Any]) -> dict[str, Any]:
    """Fields as kept in a history, or given as they are, to be stored again."""
    days = {
        name: date.fromisoformat(value)
        for name in ("period_start", "period_end")
        if isinstance(value := values[name], str)
    }
    return {**{name: values[name] for name in FIELDS}, **days, "parts": values.get("parts")}


def _refuse_double(session: Session, fields: Mapping[str, Any]) -> None:
    if there := _like(session, fields):
        raise GoalThere(id_of(there.goal_number))


def _note(
    session: Session, goal: StoredGoal, by: By, what: str, before: dict[str, Any] | None, after: dict[str, Any] | None
) -> None:
    goal.version += 1
    goal.changed_at = by.at
    session.add(
        GoalChange(
            goal_number=goal.goal_number, version=goal.version, at=by.at, user_id=by.user_id,
            what=what, why=by.why, before=before, after=after, batch=by.batch,
        )
    )  # fmt: skip


def _send(session: Session, goal: StoredGoal, by: By, *, target: float | None = None) -> None:
    session.add(GoalOutbox(row=_row(goal, by, target=target)))


def _row(goal: StoredGoal, by: By, *, target: float | None = None) -> dict[str, Any]:
    """A row of the lake: each version has its own, so that the past keeps what was known then."""
    values = _values(goal)
    values["target"] = goal.target if target is None else target
    return {**values, "goal_id": f"{id_of(goal.goal_number)}.{goal.version}", "recorded_at": by.at.isoformat()}


def _state(goal: StoredGoal) -> dict[str, Any]:
    """What a history keeps of a goal."""
    return _values(goal) | ({"parts": goal.parts} if goal.parts else {})


def _values(goal: StoredGoal) -> dict[str, Any]:
    values = {name: getattr(goal, name) for name in FIELDS}
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in values.items()}


def without_goals(reps: pd.DataFrame, teams: pd.DataFrame, day: date) -> str | None:
    """Why no chance of reaching a goal is told, if none is: tables as `AttainmentModel.score` gives them."""
    if reps["target"].notna().any() or teams["target"].notna().any():
        return None
    return f"No goal runs on {day} (a target of 0 is none). Set goals, as bellwether plan --help shows, or import them."
