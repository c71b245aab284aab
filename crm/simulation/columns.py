"""Arrays of the simulation as Arrow columns of the canonical types; -1 or NaN means empty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from crm.schema import ARROW_TYPES, TABLES
from crm.simulation.randomness import Floats, Ints

Columns = dict[str, Any]


def times(values: Ints) -> pa.Array:
    """Microseconds since 1970 as UTC times."""
    return pa.array(values, pa.int64(), mask=values < 0).cast(ARROW_TYPES["time"])


def days(values: Ints) -> pa.Array:
    """Days since 1970 as dates."""
    return pa.array(values.astype(np.int32), pa.int32(), mask=values < 0).cast(pa.date32())


def money(values: Floats) -> pa.Array:
    """Amounts, rounded to two decimals."""
    rounded = pa.array(np.round(values, 2), mask=np.isnan(values))
    return rounded.cast(pa.decimal128(38, 2), safe=False).cast(ARROW_TYPES["money"])


def pick(words: Sequence[str] | NDArray[Any] | pa.Array, rows: Ints) -> pa.Array:
    """The word at each row number."""
    listed = words if isinstance(words, pa.Array) else pa.array(list(words), pa.string())
    return listed.take(pa.array(rows, mask=rows < 0))


def numbered(prefix: str, count: int, width: int = 6) -> pa.Array:
    """Identifiers from 1 on."""
    return pc.binary_join_element_wise(
        prefix, pc.utf8_lpad(pa.array(np.arange(count) + 1).cast(pa.string()), width, "0"), ""
    )


def canonical(table: str, columns: Columns) -> pa.Table:
    """A canonical table with personal columns, in the schema's order, custom columns last."""
    spec = TABLES[table]
    names = [c.name for c in spec.columns if c.name in columns]
    names += sorted(n for n in columns if n.startswith("x_"))
    unknown = set(columns) - set(names)
    if unknown:
        raise KeyError(f"{table} has no column {sorted(unknown)}")
    arrays = [_typed(spec.by_name[n].type if n in spec.by_name else None, columns[n]) for n in names]
    return pa.table(dict(zip(names, arrays, strict=True)))


def _typed(kind: str | None, values: Any) -> pa.Array:
    if kind == "money" and not isinstance(values, pa.Array):
        return money(np.asarray(values, dtype=np.float64))
    array = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, from_pandas=True)
    return array.cast(ARROW_TYPES[kind]) if kind else array
