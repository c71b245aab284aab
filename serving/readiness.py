"""Whether the parts of the service work: store, lake, scores, models; and how old what they hold is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from sqlalchemy import func, select

from serving.tables.audit import AuditEntry
from serving.tables.jobs import StoredJob
from serving.watched import Watched, newest

if TYPE_CHECKING:
    from serving.dependencies import Server

State = Literal["ok", "waiting", "loading", "failed"]


@dataclass(frozen=True, slots=True)
class Check:
    """One part: works, waits for something that people do first, is being loaded, or fails."""

    part: str
    state: State
    text: str


@dataclass
class Readiness:
    """What all checks found.

    Attributes
    ----------
    checks : list of Check
        Each part once.
    jobs : dict of str to int
        Number of jobs by state.
    models : dict of str to str
        Version of each model that made the newest scores.
    scored_at, imported_at : datetime, optional
        Moment of the newest scores, and when data last came into the lake; UTC.
    watched : Watched, optional
        What was found last about when to train again.
    """

    checks: list[Check] = field(default_factory=list)
    jobs: dict[str, int] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    scored_at: datetime | None = None
    imported_at: datetime | None = None
    watched: Watched | None = None

    @property
    def ready(self) -> bool:
        """Whether requests can be answered; a company that has not imported anything yet counts as ready."""
        return all(check.state in ("ok", "waiting") for check in self.checks)

    @classmethod
    def of(cls, server: Server) -> Readiness:
        """Check a server now; a part that fails does not stop the others."""
        found = cls()
        for part, look in _PARTS.items():
            try:
                state, text = look(server, found)
            except Exception as error:  # whatever it is, the part does not work
                state, text = "failed", type(error).__name__
            found.checks.append(Check(part, state, text))
        return found


def _store(server: Server, found: Readiness) -> tuple[State, str]:
    with server.store.reading() as session:
        session.execute(select(AuditEntry.audit_id).limit(1)).all()
        query = select(StoredJob.state, func.count()).group_by(StoredJob.state)
        found.jobs = {str(state): int(number) for state, number in session.execute(query)}
    return "ok", server.store.engine.dialect.name


def _lake(server: Server, found: Readiness) -> tuple[State, str]:
    cut = server.home.lake.cut()
    if not cut.number:
        return "waiting", "nothing imported yet"
    found.imported_at = datetime.fromisoformat(cut.made_at).astimezone(UTC)
    return "ok", f"data cut {cut.number}"


def _scores(server: Server, found: Readiness) -> tuple[State, str]:
    newest = server.book.newest(server.company())
    if not newest.mark:
        return "waiting", "nothing scored yet"
    found.scored_at = newest.as_of
    found.models = {str(name): str(version) for name, version in newest.meta.get("models", {}).items()}
    return "ok", newest.meta["as_of"]


def _models(server: Server, found: Readiness) -> tuple[State, str]:
    found.watched = newest(server.home)
    return server.live.state


_PARTS: dict[str, Callable[[Server, Readiness], tuple[State, str]]] = {
    "store": _store,
    "lake": _lake,
    "scores": _scores,
    "models": _models,
}
