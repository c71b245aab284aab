"""Figures and logs on persons that are kept no longer than the company's `keep_months` are taken out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import pandas as pd
from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import Session

from crm.company import Company
from serving.ledger import Ledger
from serving.store import Store
from serving.tables.advice import Feedback, HoldBack
from serving.tables.audit import AuditEntry
from serving.tables.base import Base
from serving.tables.people_data import PersonRequest, PersonView


@dataclass(frozen=True, slots=True)
class Tidied:
    """How many rows of each kind were taken out.

    Attributes
    ----------
    forecasts : int
        Rows of the ledger, each one run's forecasts on all persons.
    holdbacks : int
        Chance draws on suggestions, which stay without the deal's owner.
    """

    forecasts: int
    looks: int
    requests: int
    answers: int
    holdbacks: int
    audit: int


def kept_since(company: Company, now: datetime) -> datetime:
    """What is older than this is taken out: whole months back from now."""
    return (pd.Timestamp(now) - pd.DateOffset(months=company.people.keep_months)).to_pydatetime()


def tidy(store: Store, company: Company, *, now: datetime | None = None, who: str = "cli") -> Tidied:
    """Take out forecasts on persons, looks, answered requests, answers on suggestions and audit entries that are old.

    Requests that nobody has answered stay until they are. Goals, agreements and the CRM's own data are not touched.
    """
    before = kept_since(company, now or datetime.now(UTC))
    forecasts = Ledger(store).empty_persons(before=before)
    with store.session() as session:
        found = Tidied(
            forecasts,
            _delete(session, PersonView, PersonView.at < before),
            _delete(session, PersonRequest, PersonRequest.answered_at < before),
            _delete(session, Feedback, Feedback.made_at < before),
            _forget_owners(session, before),
            _delete(session, AuditEntry, AuditEntry.at < before),
        )
    if any(asdict(found).values()):
        store.audit(who, "people tidied", before=before.isoformat(), **asdict(found))
        store.scrub()
    return found


def _delete(session: Session, table: type[Base], old: ColumnElement[bool]) -> int:
    count = session.scalar(select(func.count()).select_from(table).where(old)) or 0
    session.execute(delete(table).where(old))
    return count


def _forget_owners(session: Session, before: datetime) -> int:
    old = (HoldBack.made_at < before) & HoldBack.owner_id.is_not(None)
    count = session.scalar(select(func.count()).select_from(HoldBack).where(old)) or 0
    session.execute(update(HoldBack).where(old).values(owner_id=None))
    return count
