"""From which moment on the features of deals may differ between two views of the same company's data.

What was known at a moment T follows from the deals as they were made, from the rows of the log and of the event tables
that were written down by T, and from a few facts about the whole data. So it is the same in both views for every T
before the first moment at which a row that differs was known. Rows are compared as they are: whether one was added,
recorded late, corrected or taken away makes no difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from crm.company import Company
from crm.lake import View, connect
from crm.quality import late_filled
from crm.schema import LOGGED_FIELDS, TABLES
from crm.stages import stage_order
from features.as_of import attach_state, logged_since
from features.build import attach_standing
from features.lineage import columns_read
from features.session import DUCKDB, opened

BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
_EVER = "timestamptz '0001-01-01'"
# When a row of a table without a clock of moments was known; a day is left for the company's time zone.
_CLOCKS: Mapping[str, str] = MappingProxyType(
    {
        "reps": "hired_on::timestamptz - interval 1 day",
        "subscriptions": "started_on::timestamptz - interval 1 day",
        "fx_rates": f"case when first then {_EVER} else on_date::timestamptz - interval 1 day end",
    }
)
# Columns that are filled in when a later moment has come: that moment is when they were known.
_ENDS: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType(
    {
        "orders": ("cancelled_at", ("cancelled_at",)),
        "tickets": ("closed_at", ("closed_at", "satisfaction")),
        "subscriptions": ("ended_on::timestamptz - interval 1 day", ("ended_on",)),
        "contacts": ("left_at", ("left_at",)),
    }
)
# A rate holds before the first of its currency too.
_FIRST = "on_date = min(on_date) over (partition by currency) as first"

_PAIR = ("one", "other")


@dataclass(frozen=True)
class _Standing:
    """Facts about a whole view, the fields it does not log, and every deal as it stood when it was made.

    All that came later is in the log, or in how the deal ended.
    """

    facts: tuple[Any, ...]
    unlogged: tuple[str, ...]
    made: pa.Table


def changed_since(before: View, now: View, company: Company) -> datetime | None:
    """The first moment at which features of deals may differ; None if they cannot.

    Parameters
    ----------
    before, now : View
        Two views of one company's data.
    company : Company
        Its settings and own features.

    Returns
    -------
    datetime or None
        `BEGINNING` where a fact about the whole data differs: which columns are filled in late, which fields are
        logged since when, the order of stages, the company's own columns.
    """
    read = _columns_read(company)
    old, new = (_standing(view, company, read) for view in (before, now))
    if old.facts != new.facts:
        return BEGINNING
    asked = [*_of_ends(old.unlogged), *(one for name in read if name != "deals" for one in _of_table(name, read[name]))]
    answers = [_answers(view, [query for query, _ in asked]) for view in (before, now)]
    pairs = [(old.made, new.made, "created_at"), *zip(*answers, [moment for _, moment in asked], strict=True)]
    return _least(pairs)


def _columns_read(company: Company) -> dict[str, list[str]]:
    """Columns that features of deals rest on, by table, with the keys of those that have an end."""
    found: dict[str, set[str]] = {}
    for column in columns_read("deal", company):
        table, _, name = column.partition(".")
        found.setdefault(table, set()).add(name)
    for table in found.keys() & _ENDS.keys():
        found[table] |= {*TABLES[table].key, *_ENDS[table][1]}
    return {table: sorted(columns) for table, columns in sorted(found.items())}


def _standing(view: View, company: Company, read: Iterable[str]) -> _Standing:
    late = late_filled(view)
    with opened(DUCKDB, view, company.time_zone) as session:
        custom = {name: kind for name, kind in session.columns("deals").items() if name.startswith("x_")}
        attach_standing(session, view, "deal", company, late, ())
        logged = logged_since(session)
        session.make("points", "select deal_id, created_at as as_of from deals where created_at is not null")
        attach_state(session, late, ended=True)
        unlogged = tuple(name for name in LOGGED_FIELDS if name not in logged)
        left_out = {"name", "as_of", *unlogged, *(("stage_place",) if "stage" in unlogged else ())}
        kept = [f'"{c}"' for c in session.columns("deal_state") if c not in left_out]
        made = session.fetch(f"select {', '.join(kept)} from deal_state")
    return _Standing((late, stage_order(view, company), logged, custom, view.present & set(read)), unlogged, made)


def _of_table(name: str, columns: list[str]) -> list[tuple[str, str]]:
    """Queries for what is compared of a table, each with the moment from which one of its rows counts."""
    end, ends = _ENDS.get(name, ("", ()))
    clock = f"coalesce({_CLOCKS.get(name) or TABLES[name].clock or _EVER}, {_EVER})"
    more = f", {_FIRST}" if name == "fx_rates" else ""
    early = ", ".join(f'"{c}"' for c in columns if c not in ends)
    found = [(f"select {early}{more} from {name}", clock)]
    if ends:
        # Of a row that was written down after its end, nothing was known before.
        later = ", ".join(f'"{c}"' for c in (*TABLES[name].key, *ends))
        known = f"case when {end} is not null then greatest({end}, {clock}) end"
        found.append((f"select {later}, {known} as known from {name}", "known"))
    return found


def _of_ends(unlogged: tuple[str, ...]) -> list[tuple[str, str]]:
    ended = "select deal_id, created_at, outcome, closed_at from deals"
    when = "coalesce(closed_at, case when outcome <> 'open' then created_at end)"
    # What a deal closed at counts even where the field is not logged.
    closed = f"select {', '.join(['deal_id', 'closed_at', *unlogged])} from deals where outcome <> 'open'"
    return [(ended, when), (closed, "closed_at")]


def _answers(view: View, queries: list[str]) -> list[pa.Table]:
    with connect() as con:
        view.attach(con)
        return [con.sql(query).to_arrow_table() for query in queries]


def _least(pairs: Iterable[tuple[pa.Table, pa.Table, str]]) -> datetime | None:
    """The least moment among rows that only one table of a pair has."""
    found: list[datetime | None] = []
    with connect() as con:
        for one, other, moment in pairs:
            for name, table in zip(_PAIR, (one, other), strict=True):
                con.register(name, table)
            gone, new = (f"select * from {a} except all select * from {b}" for a, b in (_PAIR, _PAIR[::-1]))
            found += con.sql(f"select min({moment}) from (({gone}) union all ({new}))").fetchall()[0]
    return min((moment.astimezone(UTC) for moment in found if moment is not None), default=None)
