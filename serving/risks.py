"""The risk register: filled by each scoring, changed by people, every change kept and to be undone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.company import Company
from crm.errors import BadInput, NotFound
from planning.risks import Risk
from serving.access import NotYours, Sight, Viewer
from serving.goals import By
from serving.store import Store
from serving.tables.risks import RiskChange, StoredRisk

STATES = ("open", "mitigating", "accepted", "closed")
BY_HAND = ("open", "mitigating", "accepted")
_FIELDS = ("state", "owner_id", "note", "accepted_until")
_WEEK = timedelta(days=7)
_CLOSED_AFTER = 2  # weekly runs in a row that do not find it
# A person's own figure; that somebody goes, or writes nothing down any more, tells of deals that others see.
_OF_PERSONS = ("target_missed", "overload", "forecast_bias")


class NoSuchRisk(NotFound):
    """There is no such risk, or not for this viewer."""

    def __init__(self, risk_id: int) -> None:
        super().__init__("There is no risk {risk_id} that you can see. The list is at /api/v1/risks.", risk_id=risk_id)


class BadRiskChange(BadInput):
    """A risk cannot be changed like this."""


class NothingToUndo(BadInput):
    """No change of a person is left to be undone."""

    def __init__(self, risk_id: int) -> None:
        super().__init__("Risk {risk_id} has no change by a person that could be undone.", risk_id=risk_id)


@dataclass(frozen=True, slots=True)
class Run:
    """What a run of the rules did to the register."""

    opened: tuple[int, ...]
    closed: tuple[int, ...]
    standing: int


class Register:
    """The risks of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self) -> list[StoredRisk]:
        """All risks, closed ones too: the largest expected loss first, those without a price last."""
        with self._store.reading() as session:
            rows = list(session.scalars(select(StoredRisk)))
        return sorted(rows, key=_order)

    def read(self, risk_id: int) -> StoredRisk:
        """One risk.

        Raises
        ------
        NoSuchRisk
            If there is none.
        """
        with self._store.reading() as session:
            return _find(session, risk_id)

    def history(self, risk_id: int) -> list[RiskChange]:
        """All changes of a risk, oldest first."""
        with self._store.reading() as session:
            query = select(RiskChange).where(RiskChange.risk_id == risk_id).order_by(RiskChange.change_id)
            return list(session.scalars(query))

    def take(self, found: Sequence[Risk], at: datetime, *, near: float = 0.0) -> Run:
        """Bring the register to what a run found.

        What is new is opened, what was closed is opened again as the same risk; what is not found any more closes with
        the second week in which it is not.

        Parameters
        ----------
        at : datetime
            Moment of the data. The same moment again is the same run.
        near : float
            Chance to reach a goal below which a run is counted towards a contingency plan.
        """
        opened, closed = list[int](), list[int]()
        with self._store.session() as session:
            known = {(r.kind, r.subject_kind, r.subject_id): r for r in session.scalars(select(StoredRisk))}
            for risk in found:
                stored = known.pop(risk.key, None)
                if stored is None:
                    stored = _new(risk, at)
                    session.add(stored)
                    session.flush()
                    _note(session, stored, By(None, at, ""), "opened", None)
                    opened.append(stored.risk_id)
                elif stored.state == "closed":
                    stored.state, stored.closed_at, stored.opened_at = "open", None, at
                    _note(session, stored, By(None, at, ""), "reopened", {"state": "closed"})
                    opened.append(stored.risk_id)
                _seen(session, stored, risk, at, near)
            for gone in known.values():
                if gone.state != "closed" and _fades(gone, at):
                    before = {"state": gone.state}
                    gone.state, gone.closed_at = "closed", at
                    _note(session, gone, By(None, at, ""), "closed", before)
                    closed.append(gone.risk_id)
        return Run(tuple(opened), tuple(closed), len(found))

    def change(self, risk_id: int, fields: Mapping[str, Any], by: By) -> StoredRisk:
        """Change state, owner, note or the day until which a risk is accepted.

        Raises
        ------
        NoSuchRisk, BadRiskChange
            If there is none, it is closed, or the change makes no sense.
        """
        with self._store.session() as session:
            risk = _find(session, risk_id)
            if risk.state == "closed":
                raise BadRiskChange(
                    "Risk {risk_id} is closed. The rules open it again if it is found again.", risk_id=risk_id
                )
            _check(fields, risk, by.at)
            before = {name: _told(getattr(risk, name)) for name in _FIELDS if name in fields}
            for name, value in fields.items():
                setattr(risk, name, value)
            if "owner_id" in fields:
                risk.owner_set = True
            if risk.state != "accepted":
                risk.accepted_until = None
            if before != {name: _told(getattr(risk, name)) for name in before}:
                _note(session, risk, by, "changed", before)
            return risk

    def undo(self, risk_id: int, by: By) -> StoredRisk:
        """Take back the newest change that a person made; that it was made stays in the history.

        Raises
        ------
        NoSuchRisk, NothingToUndo
            If there is no such risk or change.
        """
        with self._store.session() as session:
            risk = _find(session, risk_id)
            query = (
                select(RiskChange)
                .where(RiskChange.risk_id == risk_id, RiskChange.what == "changed", RiskChange.undone.is_(False))
                .order_by(RiskChange.change_id.desc())
            )
            last = session.scalars(query).first()
            if last is None or risk.state == "closed":
                raise NothingToUndo(risk_id)
            before = {name: _told(getattr(risk, name)) for name in last.before or {}}
            for name, value in (last.before or {}).items():
                setattr(risk, name, date.fromisoformat(value) if name == "accepted_until" and value else value)
            last.undone = True
            _note(session, risk, by, "undone", before)
            return risk


def sees(sight: Sight, teams: frozenset[str], risk: StoredRisk, company: Company) -> bool:
    """Whether a risk is shown to somebody.

    Parameters
    ----------
    teams : frozenset of str
        Teams whose forecasts that one sees: where groups may be too small, only theirs are shown.
    """
    kind, subject = risk.subject_kind, risk.subject_id
    if kind == "team":
        return sight.team(subject) and (not sight.least or subject in teams)
    if kind == "rep":
        if company.people.level == "off":
            return False
        return sight.person(subject) if risk.kind in _OF_PERSONS else sight.owner(subject)
    if kind == "account":
        return sight.account(subject)
    if kind == "deal":
        return sight.owner(risk.facts.get("owner_id"))
    return sight.teams is None


def money_shown(sight: Sight, risk: StoredRisk) -> bool:
    """Whether what a risk costs is shown: that of a person who goes tells what the person would bring."""
    return risk.subject_kind != "rep" or sight.person(risk.subject_id)


def may_change(viewer: Viewer, sight: Sight, risk: StoredRisk) -> bool:
    """Whether somebody may set state, owner and note: managers and administrators, and whoever owns the risk."""
    if not viewer.signed_in:
        return False
    return viewer.role in ("admin", "manager") or (viewer.rep_id is not None and viewer.rep_id == risk.owner_id)


def need_change(viewer: Viewer, sight: Sight, risk: StoredRisk) -> None:
    """Refuse whoever may not change a risk.

    Raises
    ------
    NotYours
        If it is neither theirs, nor are they a manager or administrator.
    """
    if not may_change(viewer, sight, risk):
        raise NotYours(viewer.role, "admin", "manager")


def _order(risk: StoredRisk) -> tuple[bool, bool, float, int]:
    return risk.state == "closed", risk.expected_loss is None, -(risk.expected_loss or 0), risk.risk_id


def _find(session: Session, risk_id: int) -> StoredRisk:
    risk = session.get(StoredRisk, risk_id) if 0 < risk_id < 2**31 else None
    if risk is None:
        raise NoSuchRisk(risk_id)
    return risk


def _new(risk: Risk, at: datetime) -> StoredRisk:
    kind, subject_kind, subject = risk.key
    return StoredRisk(
        kind=kind, subject_kind=subject_kind, subject_id=subject[:200], state="open", owner_id=risk.owner_id,
        owner_set=False, note="", level=risk.level, rest=risk.rest, facts={}, opened_at=at, seen_at=at - _WEEK,
        false_weeks=0, low_runs=0,
    )  # fmt: skip


def _seen(session: Session, stored: StoredRisk, risk: Risk, at: datetime, near: float) -> None:
    if stored.level != risk.level and stored.likelihood is not None:
        _note(session, stored, By(None, at, ""), "level", {"level": stored.level}, {"level": risk.level})
    if at != stored.seen_at:
        stored.low_runs = stored.low_runs + 1 if risk.facts.get("p_attain", 1.0) < near else 0
    for name in ("level", "likelihood", "money", "exposed", "expected_loss", "rest"):
        setattr(stored, name, getattr(risk, name))
    stored.facts = {name: _told(value) for name, value in risk.facts.items()}
    stored.seen_at, stored.false_weeks, stored.false_at = at, 0, None
    if not stored.owner_set:
        stored.owner_id = risk.owner_id
    if stored.state == "accepted" and stored.accepted_until is not None and stored.accepted_until < at.date():
        _note(session, stored, By(None, at, ""), "reopened", {"state": "accepted"}, {"state": "open"})
        stored.state, stored.accepted_until = "open", None


def _fades(risk: StoredRisk, at: datetime) -> bool:
    """Count a week in which a risk was not found; True with the second."""
    if risk.false_at is None or at - risk.false_at >= _WEEK:
        risk.false_weeks, risk.false_at = risk.false_weeks + 1, at
    return risk.false_weeks >= _CLOSED_AFTER


def _check(fields: Mapping[str, Any], risk: StoredRisk, at: datetime) -> None:
    state = fields.get("state", risk.state)
    until = fields.get("accepted_until", risk.accepted_until)
    if state not in BY_HAND:
        raise BadRiskChange(
            "state: '{state}' cannot be set. Take one of {by_hand}; the rules close a risk.",
            state=state,
            by_hand=", ".join(BY_HAND),
        )
    if state == "accepted" and until is None:
        raise BadRiskChange("accepted_until: say until which day the risk is accepted, such as 2026-03-31.")
    if fields.get("accepted_until") is not None and fields["accepted_until"] < at.date():
        raise BadRiskChange("accepted_until: {day} is over. Give a later day.", day=fields["accepted_until"])


def _note(
    session: Session, risk: StoredRisk, by: By, what: str, before: dict[str, Any] | None,
    after: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    if after is None:
        after = {name: _told(getattr(risk, name)) for name in before or {"state": risk.state}}
    session.add(
        RiskChange(
            risk_id=risk.risk_id, at=by.at, user_id=by.user_id, what=what, why=by.why, before=before, after=after,
            undone=False,
        )
    )  # fmt: skip


def _told(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    return value.item() if hasattr(value, "item") else value
