"""A log of changes where the CRM keeps none: deals as a sync brings them against deals as the lake has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from crm.lake import View, connect
from crm.schema import LOGGED_FIELDS

SOURCE = "source"
DIFFERENCE = "difference"


@dataclass(frozen=True, slots=True)
class Differences:
    """Rows of `deal_changes` for fields that differ between two syncs; follows `crm.importing.Derive`.

    A field that changed twice between two syncs shows one change, at the record's last change: no earlier moment is
    proven. Such rows say `difference` in `source`.

    Parameters
    ----------
    moments : mapping of str to str
        When each deal that was read was last changed, ISO 8601 with its offset.
    known : frozenset of str
        Fields whose log the CRM gives itself.
    """

    moments: Mapping[str, str]
    known: frozenset[str]

    def __call__(self, rows: Mapping[str, pa.Table], view: View) -> dict[str, pa.Table]:
        """Changes of the deals in `rows` since `view`; none for deals that are new."""
        fresh = rows.get("deals")
        if fresh is None or "deals" not in view.present:
            return {}
        changes = self._changes(fresh, view)
        return {"deal_changes": changes} if changes.num_rows else {}

    def _changes(self, fresh: pa.Table, view: View) -> pa.Table:
        before = view.arrow("deals")
        fields = [f for f in fresh.column_names if self._watched(f) and f in before.column_names]
        if not fields:
            return pa.table({})
        with connect() as con:
            con.register("fresh", fresh)
            con.register("before", before)
            con.register("moments", pa.table({"deal_id": list(self.moments), "moment": list(self.moments.values())}))
            return con.sql(" union all ".join(_changed(f) for f in fields)).to_arrow_table()

    def _watched(self, name: str) -> bool:
        return (name in LOGGED_FIELDS or name.startswith("x_")) and name not in self.known


def _changed(name: str) -> str:
    return (
        f"select f.deal_id, m.moment::timestamptz as changed_at, '{name}' as field, "
        f'b."{name}"::varchar as old_value, f."{name}"::varchar as new_value, \'{DIFFERENCE}\' as {SOURCE} '
        f"from fresh f join before b using (deal_id) join moments m using (deal_id) "
        f'where f."{name}" is distinct from b."{name}"'
    )
