"""Forecasts as issued, never rewritten: each row seals one run's forecasts and the row before it.

A row's hash is the SHA-256 of the previous row's hash and the row's fields with its payload's digest, so that whoever
changes, drops or inserts a row breaks the chain there. Forecasts on persons are emptied once their time is over: such a
row keeps its digest and place in the chain. Forecasts reconstructed for past dates stand apart by `kind`.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

import pandas as pd
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from crm.errors import NotReady
from serving.store import Store
from serving.tables.ledger import LedgerRow

Kind = Literal["issued", "reconstructed"]
Entity = Literal["deal", "rep", "team", "account"]
START = "0" * 64
_TRIES = 20


class LedgerBusy(NotReady):
    """Other processes kept adding rows."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A row of the ledger without its payload."""

    number: int
    kind: str
    entity: str
    as_of: datetime
    made_at: datetime
    model_version: str
    data_cut: int
    rows: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the chain holds: how many rows were checked, and what is wrong at which one.

    `emptied` of those that hold are forecasts on persons that were kept no longer.
    """

    checked: int
    broken: int | None = None
    problem: str = ""
    emptied: int = 0

    @property
    def whole(self) -> bool:
        """True where nothing is wrong."""
        return self.broken is None


class Ledger:
    """Adds, reads and checks sealed forecasts."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def store(self) -> Store:
        """Where it is kept."""
        return self._store

    def add(
        self, kind: Kind, entity: Entity, forecasts: pd.DataFrame, *, as_of: datetime, model_version: str, data_cut: int
    ) -> int:
        """Seal one run's forecasts and give the row's number.

        Parameters
        ----------
        forecasts : DataFrame
            Rows as in the score files.
        data_cut : int
            Number of the data cut that the forecasts were made from.

        Raises
        ------
        LedgerBusy
            If other processes kept adding rows.
        """
        buffer = io.BytesIO()
        forecasts.to_parquet(buffer, index=False, compression="zstd")
        payload = buffer.getvalue()
        for _ in range(_TRIES):
            row = LedgerRow(
                kind=kind,
                entity=entity,
                as_of=pd.Timestamp(as_of).to_pydatetime().astimezone(UTC),
                made_at=datetime.now(UTC),
                model_version=model_version,
                data_cut=data_cut,
                rows=len(forecasts),
                payload=payload,
                payload_digest=hashlib.sha256(payload).hexdigest(),
            )
            try:
                return self._append(row)
            except IntegrityError:
                continue  # another process took this place in the chain; take the next
        raise LedgerBusy("Other processes keep adding to the ledger. Try again.")

    def sealed(self, *, kind: Kind | None = None, entity: Entity | None = None) -> list[Sealed]:
        """Rows without payload, first to last."""
        fields = [getattr(LedgerRow, name) for name in Sealed.__slots__]
        query = select(*fields).order_by(LedgerRow.number)
        query = query.where(LedgerRow.kind == kind) if kind else query
        query = query.where(LedgerRow.entity == entity) if entity else query
        with self._store.reading() as session:
            return [Sealed(*row) for row in session.execute(query)]

    def forecasts(self, kind: Kind, entity: Entity, *, since: datetime | None = None) -> pd.DataFrame:
        """All forecasts of a kind as they were issued, with `as_of`, `issued_at` and `ledger_row`.

        Where one as-of was scored several times, all are given; the first is what counted then.
        """
        query = select(LedgerRow).where(LedgerRow.kind == kind, LedgerRow.entity == entity).order_by(LedgerRow.number)
        query = query.where(LedgerRow.as_of >= since) if since else query
        with self._store.reading() as session:
            parts = [_unpacked(row) for row in session.scalars(query) if row.payload]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()

    def row(self, number: int) -> pd.DataFrame:
        """The forecasts of one row as they were issued; empty where there is none, or it was emptied."""
        with self._store.reading() as session:
            row = session.get(LedgerRow, number)
            return _unpacked(row) if row is not None and row.payload else pd.DataFrame()

    def forecasts_of(self, kind: Kind, entity: Entity, ident: str, *, since: datetime | None = None) -> pd.DataFrame:
        """What was issued on one entity, as `forecasts` gives it, of the first run of each day; oldest first."""
        days: dict[date, int] = {}
        for row in self.sealed(kind=kind, entity=entity):
            if since is None or row.as_of >= since:
                days.setdefault(row.as_of.date(), row.number)
        with self._store.reading() as session:
            rows = session.scalars(
                select(LedgerRow).where(LedgerRow.number.in_(days.values())).order_by(LedgerRow.as_of)
            )
            parts = [_unpacked(row, ident) for row in rows if row.payload]
        parts = [part for part in parts if len(part)]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()

    def forecasts_in(self, number: int) -> pd.DataFrame | None:
        """What one row sealed, or None where it was emptied."""
        with self._store.reading() as session:
            row = session.get(LedgerRow, number)
            return _unpacked(row) if row is not None and row.payload else None

    def verify(self, progress: Callable[[int], None] | None = None) -> Verdict:
        """Check every row's payload, hash and link, first to last; the first broken one is named."""
        previous, expected, emptied = START, 1, 0
        with self._store.reading() as session:
            total = session.scalar(select(func.count()).select_from(LedgerRow)) or 0
            for row in session.scalars(select(LedgerRow).order_by(LedgerRow.number).execution_options(yield_per=20)):
                if problem := _problem(row, previous, expected):
                    return Verdict(expected, row.number, problem)
                previous, expected, emptied = row.row_hash, expected + 1, emptied + (not row.payload)
                if progress:
                    progress(expected - 1)
        return Verdict(total, emptied=emptied)

    def empty_persons(self, *, before: datetime) -> int:
        """Take out the forecasts on persons of as-ofs before a moment; give the number of rows emptied."""
        old = (LedgerRow.entity == "rep", LedgerRow.as_of < before, func.length(LedgerRow.payload) > 0)
        with self._store.session() as session:
            found = list(session.scalars(select(LedgerRow.number).where(*old)))
            session.execute(update(LedgerRow).where(LedgerRow.number.in_(found)).values(payload=b""))
        return len(found)

    def _append(self, row: LedgerRow) -> int:
        with self._store.session() as session:
            last = session.execute(
                select(LedgerRow.number, LedgerRow.row_hash).order_by(LedgerRow.number.desc()).limit(1)
            ).first()
            row.number, row.previous_hash = (last[0] + 1, last[1]) if last else (1, START)
            row.row_hash = _hash(row)
            session.add(row)
            return row.number


def _hash(row: LedgerRow) -> str:
    fields = {
        "number": row.number,
        "kind": row.kind,
        "entity": row.entity,
        "as_of": row.as_of.astimezone(UTC).isoformat(),
        "made_at": row.made_at.astimezone(UTC).isoformat(),
        "model_version": row.model_version,
        "data_cut": row.data_cut,
        "rows": row.rows,
        "payload_digest": row.payload_digest,
    }
    text = row.previous_hash + json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _problem(row: LedgerRow, previous: str, expected: int) -> str:
    if row.number != expected:
        return f"row {expected} is missing"
    if row.previous_hash != previous:
        return f"row {row.number} does not follow the row before it"
    emptied = row.entity == "rep" and not row.payload
    if not emptied and hashlib.sha256(row.payload).hexdigest() != row.payload_digest:
        return f"the forecasts of row {row.number} were changed"
    if _hash(row) != row.row_hash:
        return f"the fields of row {row.number} were changed"
    return ""


def _unpacked(row: LedgerRow, ident: str | None = None) -> pd.DataFrame:
    only = None if ident is None else [(f"{row.entity}_id", "==", ident)]
    frame = pd.read_parquet(io.BytesIO(row.payload), filters=only)
    return frame.assign(
        as_of=pd.Timestamp(row.as_of).as_unit("us"),
        issued_at=pd.Timestamp(row.made_at).as_unit("us"),
        ledger_row=row.number,
    )
