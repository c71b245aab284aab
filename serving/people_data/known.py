"""What is known about one person: figures with their values, rows of the data, what the store keeps, who looked."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from threading import Lock
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from sqlalchemy import func, select

from crm.company import Company
from crm.lake import View, connect
from crm.people import PersonKind
from crm.schema import TABLES, Table
from features.build import build
from features.catalogue import Entity
from planning.habits import coaching
from planning.sales import Sales
from serving.ledger import Ledger
from serving.people_data.catalogue import PersonFigure, person_figures
from serving.people_data.requests import Request, requests
from serving.people_data.subjects import Subject
from serving.people_data.views import Look, looks_at
from serving.scores import Scores
from serving.store import Store
from serving.tables.advice import Feedback, HoldBack
from serving.tables.audit import AuditEntry
from serving.tables.people import Person
from serving.tables.users import User

Value = float | str | None
Values = dict[tuple[str, str], Value]
MOST_LOOKS = 100
_MOST_KEPT = 50
_kept: OrderedDict[tuple[object, ...], Values] = OrderedDict()  # features take seconds to work out
_lock = Lock()


@dataclass(frozen=True, slots=True)
class KnownFigure:
    """A figure with its value now; None where it is not known."""

    figure: PersonFigure
    value: Value


@dataclass(frozen=True, slots=True)
class KnownRows:
    """Rows of one table of the CRM's data that name the person; `newest` is the newest moment or day in them."""

    table: str
    column: str
    rows: int
    newest: datetime | date | None


@dataclass(frozen=True, slots=True)
class Known:
    """All that is known about one person.

    Attributes
    ----------
    details : dict of str to str
        Name and addresses in the people book.
    figures : list of KnownFigure
        Empty at the level `off`.
    """

    subject: Subject
    as_of: datetime | None
    details: dict[str, str]
    figures: list[KnownFigure]
    rows: list[KnownRows]
    looks: list[Look]
    requests: list[Request]


def known_about(
    subject: Subject, *, view: View, company: Company, store: Store, scores: Scores, with_features: bool = True
) -> Known:
    """All that is known about a person.

    Parameters
    ----------
    scores : Scores
        The newest ones, whole.
    with_features : bool
        False leaves features without value, which is faster.
    """
    figures: list[KnownFigure] = []
    if company.people.level != "off":
        values = _forecast(subject, scores) | stored_counts(store, subject)
        if with_features and scores.as_of is not None:
            values |= _features(subject, view, company, scores)
        figures = [KnownFigure(one, values.get((one.entity, one.name))) for one in person_figures(company)]
    return Known(
        subject,
        scores.as_of,
        details_of(store, subject),
        figures,
        rows_on(view, subject),
        looks_at(store, subject.person_key, most=MOST_LOOKS),
        requests(store, person_key=subject.person_key),
    )


def details_of(store: Store, subject: Subject) -> dict[str, str]:
    """Name and addresses of a person, as far as they are known."""
    with store.reading() as session:
        person = session.get(Person, subject.person_key)
        return {name: value for name, value in (person.details if person else {}).items() if value}


def rows_on(view: View, subject: Subject) -> list[KnownRows]:
    """How many rows of each table name the person, by column."""
    with connect() as con:
        view.attach(con)
        found = [_count(con, table, column, subject) for table, column in naming_columns(view, subject.kind)]
    return [rows for rows in found if rows.rows]


def naming_columns(view: View, kind: PersonKind) -> Iterator[tuple[Table, str]]:
    """Columns of the lake that hold the key of a rep or contact."""
    for table in TABLES.values():
        if table.name not in view.present:
            continue
        if table.name == f"{kind}s":
            yield table, f"{kind}_id"
        yield from ((table, c.name) for c in table.columns if c.refers == f"{kind}s")
        if kind == "rep" and table.name == "goals":
            yield table, "owner_id"


def condition(table: Table, column: str) -> str:
    """SQL of the rows that name a person: $ident."""
    only = " and owner_kind = 'rep'" if table.name == "goals" else ""
    return f'"{column}" = $ident{only}'


def stored_counts(store: Store, subject: Subject) -> Values:
    """How many rows of each kind the store keeps on a person, by ('', name)."""
    with store.reading() as session:
        users = list(session.execute(select(User.user_id, User.email).where(User.rep_id == subject.ident)))
        ids, emails = [u.user_id for u in users], [u.email for u in users]
        counts = {
            "advice_answers": select(func.count()).select_from(Feedback).where(Feedback.user_id.in_(ids)),
            "advice_held_back": select(func.count()).select_from(HoldBack).where(HoldBack.owner_id == subject.ident),
            "audit_entries": select(func.count()).select_from(AuditEntry).where(AuditEntry.who.in_(emails)),
        }
        found: Values = {("", n): float(session.scalar(q) or 0) for n, q in counts.items()}
    found["", "looks"] = float(len(looks_at(store, subject.person_key)))
    found["", "forecasts_issued"] = float(len(forecasts_of(store, subject)))
    return found


def forecasts_of(store: Store, subject: Subject) -> pd.DataFrame:
    """Forecasts of a person as they were sealed, those for past dates after them."""
    ledger = Ledger(store)
    parts = [ledger.forecasts(kind, "rep").assign(kind=kind) for kind in ("issued", "reconstructed")]
    return pd.concat([p[p["rep_id"] == subject.ident] for p in parts if len(p)] or [pd.DataFrame()], ignore_index=True)


def _count(con: duckdb.DuckDBPyConnection, table: Table, column: str, subject: Subject) -> KnownRows:
    moments = [c.name for c in table.columns if c.type == "time"] or [c.name for c in table.columns if c.type == "date"]
    present = {row[0] for row in con.sql(f'describe "{table.name}"').fetchall()}
    chosen = next((name for name in moments if name in present), None)
    newest = f'max("{chosen}")' if chosen else "null"
    query = f'select count(*), {newest} from "{table.name}" where {condition(table, column)}'
    rows, moment = con.execute(query, {"ident": subject.ident}).fetchall()[0]
    return KnownRows(table.name, column, rows, moment)


def _forecast(subject: Subject, scores: Scores) -> Values:
    """The newest forecast of the leading metric."""
    if "reps" not in scores.frames:
        return {}
    reps = scores.frames["reps"]
    own = reps[(reps["rep_id"] == subject.ident) & (reps["metric"] == "bookings")]
    return {("", str(name)): value_of(x) for name, x in own.iloc[0].items()} if len(own) else {}


def _features(subject: Subject, view: View, company: Company, scores: Scores) -> Values:
    key = (scores.mark, company.model_dump_json(), subject)
    with _lock:
        if key not in _kept:
            _kept[key] = _worked_out(subject, view, company, scores)
            while len(_kept) > _MOST_KEPT:
                _kept.popitem(last=False)
        return _kept[key]


def _worked_out(subject: Subject, view: View, company: Company, scores: Scores) -> Values:
    found = _described(view, company, "rep", "rep_id", subject.ident, scores) | _habits(subject, view, company, scores)
    owned = scores.index.index[scores.index["owner_id"] == subject.ident]
    open_ones = scores.index.loc[owned]
    open_ones = open_ones[open_ones["outcome"] == "open"]
    if len(open_ones):
        found |= _described(view, company, "deal", "deal_id", str(open_ones["created_at"].idxmax()), scores)
    return found


def _habits(subject: Subject, view: View, company: Company, scores: Scores) -> Values:
    """Gaps to colleagues; those of stages in one line."""
    assert scores.as_of is not None
    gaps = coaching(view, company, Sales.read(view, company, scores.as_of)).of(subject.ident).gaps
    found: Values = {("", gap.habit.name): gap.gap for gap in gaps if not gap.habit.stage}
    passing = [f"{gap.habit.stage}: {gap.gap:+.1%}" for gap in gaps if gap.habit.stage]
    return found | {("", "passing"): "; ".join(passing) or None}


def _described(view: View, company: Company, entity: Entity, key: str, ident: str, scores: Scores) -> Values:
    moment = pd.Timestamp(scores.as_of).as_unit("us").tz_convert("UTC")
    spine = pd.DataFrame({key: pd.Series([ident], dtype=object), "as_of": pd.Series([moment])})
    spine["as_of"] = spine["as_of"].astype("datetime64[us, UTC]")
    only = [one.name for one in person_figures(company) if one.entity == entity]
    row = build(view, spine, entity, company=company).iloc[0]
    return {(entity, name): value_of(row[name]) for name in only if name in row.index}


def value_of(x: Any) -> Value:
    """A figure as a number or word; None where it is missing."""
    if x is None or x is pd.NA or (isinstance(x, float | np.floating) and not np.isfinite(x)):
        return None
    return float(x) if isinstance(x, int | float | np.number) else str(x)
