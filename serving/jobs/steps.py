"""Steps of a home's first build, while pages are already served: how far each is, in the store for all processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, select, update

from crm.errors import BellwetherError
from serving.store import Store
from serving.tables.jobs import BuildStep


@dataclass(frozen=True, slots=True)
class Step:
    """A step as pages show it; `done` is its share from 0 to 1."""

    name: str
    state: str
    done: float
    text: str


class Steps:
    """Steps of the first build of one home; states: waiting, running, done, failed."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def plan(self, names: Sequence[str]) -> None:
        """Set the steps; those that are done stay done."""
        with self._store.session() as session:
            kept = {step.name: step for step in session.scalars(select(BuildStep))}
            session.execute(delete(BuildStep).where(BuildStep.name.not_in(names)))
            for place, name in enumerate(names):
                step = kept.get(name) or BuildStep(name=name, state="waiting", done=0.0, text="")
                step.place = place
                if step.state != "done":
                    step.state, step.done, step.text = "waiting", 0.0, ""
                session.add(step)

    def all(self) -> list[Step]:
        """All steps in their order."""
        with self._store.reading() as session:
            steps = session.scalars(select(BuildStep).order_by(BuildStep.place)).all()
        return [Step(step.name, step.state, step.done, step.text) for step in steps]

    def is_done(self, name: str) -> bool:
        """Whether a step has been finished."""
        with self._store.reading() as session:
            return session.scalar(select(BuildStep.state).where(BuildStep.name == name)) == "done"

    def tell(self, name: str, text: str, done: float | None = None) -> None:
        """Say what a step is at."""
        values: dict[str, object] = {"text": text} if done is None else {"text": text, "done": done}
        with self._store.session() as session:
            session.execute(update(BuildStep).where(BuildStep.name == name).values(**values))

    @contextmanager
    def running(self, name: str) -> Iterator[None]:
        """Mark a step as running, then as done, or as failed with the reason."""
        self._set(name, state="running", started_at=datetime.now(UTC), ended_at=None)
        try:
            yield
        except BaseException as error:
            text = str(error) if isinstance(error, BellwetherError) else type(error).__name__
            self._set(name, state="failed", text=text, ended_at=datetime.now(UTC))
            raise
        self._set(name, state="done", done=1.0, text="", ended_at=datetime.now(UTC))

    def fail_unfinished(self, text: str) -> None:
        """Say that what waits or runs will not be done now."""
        unfinished = BuildStep.state.in_(("waiting", "running"))
        with self._store.session() as session:
            session.execute(update(BuildStep).where(unfinished).values(state="failed", text=text))

    def _set(self, name: str, **values: object) -> None:
        with self._store.session() as session:
            session.execute(update(BuildStep).where(BuildStep.name == name).values(**values))
