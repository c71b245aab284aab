"""Data that break silently: fields that stop being filled, tables into which nothing comes any more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pandas as pd
from scipy.stats import binom, poisson

from crm.lake import View, connect
from crm.schema import TABLES

_WATCHED = ("deals", "activities", "orders", "payments", "tickets", "surveys", "contacts", "accounts", "deal_changes")
_WEEKS, _BEFORE = 4, 52
_FEWEST = 20  # rows that should have come, before a table or a field is judged
_USUAL = 0.2  # share of rows that have a field, below which it is not missed
_SURE = 1e-6  # chance of so few, were all as before
_HALF = 0.5


@dataclass(frozen=True, slots=True)
class Gap:
    """A field that is hardly filled any more, or (with `column` empty) a table that hardly gets rows."""

    table: str
    column: str
    usual: float
    now: float
    rows: int

    @property
    def text(self) -> str:
        """The alert, which names the field."""
        if not self.column:
            return (
                f"{self.table}: {self.now:.0f} rows in the last {_WEEKS} weeks, {self.usual:.0f} were usual. "
                "Check that the import still brings this table."
            )
        return (
            f"{self.table}.{self.column} stopped being filled: {100 * self.now:.0f}% of {self.rows} rows of the last "
            f"{_WEEKS} weeks have it, {100 * self.usual:.0f}% had it in the year before. Check the CRM and the mapping."
        )


def gaps(view: View, *, as_of: datetime) -> list[Gap]:
    """Fields and tables that stopped, the most telling first.

    The last four weeks are held against the year before. Fields that are filled in some time after a row was made
    are left out, as they are empty in new rows anyway.
    """
    found = [gap for name in _WATCHED if name in view.present for gap in _of_table(view, name, as_of)]
    return sorted(found, key=lambda gap: (bool(gap.column), gap.now / gap.usual))


def _of_table(view: View, name: str, as_of: datetime) -> list[Gap]:
    table = TABLES[name]
    columns = [c.name for c in table.columns if c.known in ("creation", "event") and c.name not in table.key]
    with connect() as con:
        view.attach(con)
        there = {row[0] for row in con.sql(f"describe {name}").fetchall()}
        kept = [c for c in columns if c in there] + [c for c in sorted(there) if c.startswith("x_")]
        counts = "".join(f', count("{c}") filter (recent), count("{c}") filter (not recent)' for c in kept)
        clock = f"({table.clock})::timestamptz"
        row = con.execute(
            f"select count(*) filter (recent), count(*) filter (not recent), min(known_at) {counts} from ("
            f"select *, {clock} as known_at, {clock} > $start as recent from {name} "
            f"where {clock} <= $end and {clock} > $first)",
            {
                "start": as_of - pd.Timedelta(weeks=_WEEKS),
                "end": as_of,
                "first": as_of - pd.Timedelta(weeks=_BEFORE + _WEEKS),
            },
        ).fetchone()
    assert row is not None
    recent, before, first, *filled = row
    if not before:
        return []
    weeks = max(1.0, (pd.Timestamp(as_of) - pd.Timestamp(first)).days / 7 - _WEEKS)
    usual = before / weeks * _WEEKS
    if usual >= _FEWEST and recent < _HALF * usual and poisson.cdf(recent, usual) < _SURE:
        return [Gap(name, "", usual, float(recent), int(recent))]
    pairs = zip(kept, filled[::2], filled[1::2], strict=True)
    return [gap for c, now, then in pairs if (gap := _of_field(name, c, recent, now, then / before))]


def _of_field(table: str, column: str, rows: int, filled: int, usual: float) -> Gap | None:
    if rows < _FEWEST or usual < _USUAL or filled >= _HALF * usual * rows or binom.cdf(filled, rows, usual) >= _SURE:
        return None
    return Gap(table, column, usual, filled / rows, rows)
