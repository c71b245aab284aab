"""What figures on persons may be used for: each use is off until it is recorded who agreed; it can be withdrawn."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from crm.company import PURPOSES, Company, Purpose
from crm.errors import BadInput, NotAllowed, NotFound
from serving.store import Store
from serving.tables.people_data import PurposeRecord


class UnknownPurpose(NotFound):
    """There is no such purpose."""

    def __init__(self, purpose: str) -> None:
        super().__init__(
            "There is no purpose '{purpose}'. Known: {purposes}.", purpose=purpose, purposes=", ".join(PURPOSES)
        )


class PurposeOff(NotAllowed):
    """Figures on persons may not be used for this."""

    def __init__(self, purpose: str) -> None:
        super().__init__(
            "Figures on persons may not be used for {purpose} here: nobody's agreement is recorded. An "
            "administrator records who agreed: bellwether people agree {purpose} --by WHO --on DAY.",
            purpose=purpose,
        )


class BadAgreement(BadInput):
    """An agreement cannot be recorded or withdrawn like this."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """That somebody agreed to a use of figures on persons."""

    purpose: Purpose
    agreed_by: str
    agreed_on: date
    note: str
    recorded_by: str
    recorded_at: datetime
    withdrawn_at: datetime | None
    withdrawn_by: str | None
    withdrawn_why: str | None


@dataclass(frozen=True, slots=True)
class PurposeState:
    """Whether a purpose is on; why not; every agreement there was, the newest first."""

    purpose: Purpose
    on: bool
    why_off: str
    agreements: list[Agreement]


class Purposes:
    """The purposes of one company."""

    def __init__(self, store: Store, company: Company) -> None:
        self._store, self._company = store, company

    def allowed(self, purpose: Purpose) -> bool:
        """Whether figures on persons may be used for this; whatever serves a purpose asks here first."""
        return not self._closed(purpose) and any(a.withdrawn_at is None for a in self._agreements(purpose))

    def need(self, purpose: Purpose) -> None:
        """Refuse where a purpose is off.

        Raises
        ------
        PurposeOff
            If it is.
        """
        if not self.allowed(purpose):
            raise PurposeOff(purpose)

    def all(self) -> list[PurposeState]:
        """Every purpose as it stands."""
        found = []
        for purpose in PURPOSES:
            known, closed = self._agreements(purpose), self._closed(purpose)
            on = not closed and any(a.withdrawn_at is None for a in known)
            why = "" if on else closed or "No agreement is recorded."
            found.append(PurposeState(purpose, on, why, known))
        return found

    def record(self, purpose: str, *, agreed_by: str, agreed_on: date, note: str = "", who: str) -> None:
        """Record who agreed and when: the purpose is on from now.

        Raises
        ------
        UnknownPurpose, BadAgreement
            If there is no such purpose; if it is on, closed by company.yaml, agreed to by nobody or in the future.
        """
        known, today = _purpose(purpose), datetime.now(UTC).astimezone(self._company.zone).date()
        if closed := self._closed(known):
            raise BadAgreement(closed)
        if not agreed_by.strip():
            raise BadAgreement("It must be recorded who agreed, such as 'works council'. Name them.")
        if agreed_on > today:
            raise BadAgreement(
                "{agreed_on} lies after today, {today}. Give the day on which they agreed.",
                agreed_on=agreed_on,
                today=today,
            )
        with self._store.session() as session:
            if _open(session, known):
                raise BadAgreement(
                    "{known} is on already. Withdraw that agreement first to record another one.", known=known
                )
            session.add(
                PurposeRecord(
                    purpose=known,
                    agreed_by=agreed_by.strip(),
                    agreed_on=agreed_on,
                    note=note.strip(),
                    recorded_by=who,
                    recorded_at=datetime.now(UTC),
                )
            )
        self._store.audit(who, "purpose agreed", purpose=known, agreed_by=agreed_by.strip(), on=agreed_on.isoformat())

    def withdraw(self, purpose: str, *, why: str, who: str) -> None:
        """End a purpose from now on; that there was an agreement stays recorded.

        Raises
        ------
        UnknownPurpose, BadAgreement
            If there is no such purpose, or nobody's agreement stands.
        """
        known = _purpose(purpose)
        with self._store.session() as session:
            standing = _open(session, known)
            if not standing:
                raise BadAgreement("{known} is off: there is no agreement to withdraw.", known=known)
            for row in standing:
                row.withdrawn_at, row.withdrawn_by, row.withdrawn_why = datetime.now(UTC), who, why.strip()
        self._store.audit(who, "purpose withdrawn", purpose=known, why=why.strip())

    def _closed(self, purpose: Purpose) -> str:
        """Why company.yaml does not let a purpose be agreed to; empty where it does."""
        if self._company.people.level == "off":
            return "Figures on persons are off (people.level in company.yaml)."
        if purpose not in self._company.people.purposes:
            return f"{purpose} is not among people.purposes in company.yaml."
        return ""

    def _agreements(self, purpose: Purpose) -> list[Agreement]:
        query = select(PurposeRecord).where(PurposeRecord.purpose == purpose).order_by(PurposeRecord.record_id.desc())
        with self._store.reading() as session:
            return [_agreement(purpose, row) for row in session.scalars(query)]


def _purpose(name: str) -> Purpose:
    for known in PURPOSES:
        if known == name:
            return known
    raise UnknownPurpose(name)


def _open(session: Session, purpose: Purpose) -> list[PurposeRecord]:
    query = select(PurposeRecord).where(PurposeRecord.purpose == purpose, PurposeRecord.withdrawn_at.is_(None))
    return list(session.scalars(query))


def _agreement(purpose: Purpose, row: PurposeRecord) -> Agreement:
    return Agreement(
        purpose,
        row.agreed_by,
        row.agreed_on,
        row.note,
        row.recorded_by,
        row.recorded_at,
        row.withdrawn_at,
        row.withdrawn_by,
        row.withdrawn_why,
    )
