"""Deals as they would look right after a step: copies with the step's rows among their events, features built anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from crm.company import Company
from crm.lake import View, connect
from crm.quality import late_filled
from crm.stages import stage_order
from features.build import build
from features.catalogue import blocks, standard_blocks
from models.actions import Action, values

_OWN = ("", "deal_id")  # what blocks are matched by that read nothing but the deal's own rows
# Copies alone, for what others do tells nothing here; but when a field was first logged is asked of the whole log.
_COPIES = {
    "deals": "select d.* replace (s.copy_id as deal_id) from deals d join _steps s on s.deal_id = d.deal_id",
    "deal_changes": """
        select c.* replace (s.copy_id as deal_id) from deal_changes c join _steps s on s.deal_id = c.deal_id
        union all by name
        select copy_id as deal_id, 'close_date' as field, was::varchar as old_value, becomes::varchar as new_value,
               $at as changed_at, (select coalesce(max(_seq), 0) + 1 from deal_changes) as _seq
        from _steps where becomes is not null
        union all by name
        select * from deal_changes
        qualify row_number() over (partition by field order by coalesce(recorded_at, changed_at)) = 1""",
    "activities": """
        select a.* replace (s.copy_id as deal_id) from activities a join _steps s on s.deal_id = a.deal_id
        union all by name
        select s.copy_id as deal_id, s.copy_id as activity_id, s.kind, 'out' as direction, s.contact_id,
               d.account_id, d.owner_id as rep_id, $at as occurred_at,
               (select coalesce(max(_seq), 0) + 1 from activities) as _seq
        from _steps s join deals d on d.deal_id = s.deal_id where s.kind is not null""",
}


@dataclass(frozen=True, slots=True)
class Step:
    """A step to be supposed for some deals: their places in the table, and for each of all deals a contact or None."""

    action: Action
    rows: npt.NDArray[np.intp]
    contact: npt.NDArray[np.object_]


def after_steps(
    X: pd.DataFrame, steps: Sequence[Step], *, view: View, company: Company, as_of: pd.Timestamp
) -> list[pd.DataFrame]:
    """Deals as they would look had the step been written down at that moment, a table of shape (rows, p) for each step.

    A step is an activity of ours, or a new planned close date. Only what the rep does, never how the customer answers:
    inbound contacts are signs of interest, not actions. Features that rest on more than the deal's own rows (an owner's
    record, a customer's orders) stay as they are.

    Parameters
    ----------
    X : shape (n, p)
        Deals with their features at `as_of`.
    """
    at = pd.Timestamp(as_of)
    asked = _asked(X, steps, company, at)
    names = [name for name in _own_features(company) if name in X]
    if not asked.num_rows or not names:
        return [X.iloc[step.rows] for step in steps]
    order = company.stages or stage_order(view, company)
    spine = pd.DataFrame({"deal_id": asked["copy_id"].to_pylist(), "as_of": at})
    spine["as_of"] = spine["as_of"].astype("datetime64[us, UTC]")
    told = company.model_copy(update={"stages": order})
    built = build(_Supposed(view, asked, at), spine, "deal", company=told, late=late_filled(view), only=names)
    found, start = [], 0
    for step in steps:
        moved = X.iloc[step.rows].copy()
        mine = built.iloc[start : start + len(moved)]
        for name in names:
            moved[name] = mine[name].set_axis(moved.index)
        found.append(moved)
        start += len(moved)
    return found


def _asked(X: pd.DataFrame, steps: Sequence[Step], company: Company, at: pd.Timestamp) -> pa.Table:
    """A row for each step and deal: the copy's key, the activity or the change of the close date."""
    today = at.tz_convert(company.time_zone).date()
    ahead = values(X, "close_date_days")
    rows = []
    for k, step in enumerate(steps):
        close = step.action.close_in_days
        for row in step.rows.tolist():
            deal = str(X["deal_id"].iat[row])
            was = today + timedelta(days=float(ahead[row])) if close is not None and np.isfinite(ahead[row]) else None
            rows.append(
                {
                    "copy_id": f"{deal}\x1f{k}",
                    "deal_id": deal,
                    "kind": step.action.kind or None,
                    "contact_id": step.contact[row],
                    "was": was,
                    "becomes": None if close is None else today + timedelta(days=close),
                }
            )
    text, day = pa.string(), pa.date32()
    kinds = {"copy_id": text, "deal_id": text, "kind": text, "contact_id": text, "was": day, "becomes": day}
    return pa.Table.from_pylist(rows, schema=pa.schema(kinds))


def _own_features(company: Company) -> list[str]:
    """Features that rest on a deal's own rows alone."""
    return [*_standard(), *(own.name for own in company.features if _is_own(own.name, company))]


@lru_cache(maxsize=1)
def _standard() -> tuple[str, ...]:
    shown = [f.name for b in standard_blocks() if b.entity == "deal" and b.by in _OWN for f in b.features if f.shown]
    return tuple(name for name in shown if _is_own(name, None))


def _is_own(name: str, company: Company | None) -> bool:
    found = blocks("deal", company)
    if name not in {feature.name for block in found for feature in block.features}:
        return False  # of a rep or a customer
    return all(block.by in _OWN for block in blocks("deal", company, [name]))


class _Supposed:
    """A view of copies of deals, each with the rows of one step; other tables are those of the view they come from."""

    def __init__(self, view: View, steps: pa.Table, at: pd.Timestamp) -> None:
        self._view, self._steps, self._at = view, steps, at

    @property
    def present(self) -> frozenset[str]:
        """Tables that the company has."""
        return self._view.present

    def arrow(self, table: str) -> pa.Table:
        """A whole table."""
        with connect() as con:
            self.attach(con)
            return con.sql(f"select * from {table}").to_arrow_table()

    def attach(self, con: duckdb.DuckDBPyConnection) -> None:
        """Create one SQL table a canonical table; those with copies in place of what they had."""
        self._view.attach(con)
        con.register("_given", self._steps)
        con.execute("create or replace temp table _steps as select * from _given")
        con.unregister("_given")
        for name, query in _COPIES.items():
            values = {"at": self._at.to_pydatetime()} if "$at" in query else {}
            con.execute(f"create or replace temp table _with_{name} as {query}", values)
        views = {row[0] for row in con.sql("select view_name from duckdb_views() where not internal").fetchall()}
        for name in _COPIES:
            con.execute(f"drop {'view' if name in views else 'table'} {name}")
            con.execute(f"alter table _with_{name} rename to {name}")
