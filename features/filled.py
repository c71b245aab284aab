"""The table of features that is handed out: its columns are laid out once and filled part by part."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from features.catalogue import Block
from features.session import RUNNING_FROM

Ints = npt.NDArray[np.int64]


class Filled:
    """Columns for all rows asked for, in their order.

    Parameters
    ----------
    spine : shape (n, >= 2)
        The rows asked for.
    key : str
        The column of their key.
    chosen : sequence of Block
        Whose features are shown; the company's own columns `x_*` come after them.
    numeric : set of str
        Which of those are numbers.
    """

    def __init__(self, spine: pd.DataFrame, key: str, chosen: Sequence[Block], numeric: set[str]) -> None:
        self._spine = spine
        self._key = key
        self._kinds = {f.name: f.kind == "category" for block in chosen for f in block.features if f.shown}
        self._numeric = numeric
        self._numbers: dict[str, npt.NDArray[np.float64]] = {}
        self._codes: dict[str, npt.NDArray[np.int32]] = {}
        self._names: dict[str, dict[str, int]] = {}
        self._order: list[str] = []

    def put(self, table: pa.Table, con: duckdb.DuckDBPyConnection) -> None:
        """Fill the rows of the table `asked`, whose `_row` is their place, from features by key and `as_of`."""
        given, rows = _places(table, con, self._key) if len(self._spine) >= RUNNING_FROM else self._few_places(table)
        kinds = self._kinds | {
            name: name not in self._numeric
            for name in sorted(table.column_names)
            if name.startswith("x_") and name not in self._kinds
        }
        self._order = list(kinds)
        for name, category in kinds.items():
            if category:
                self._put_category(name, table[name], given, rows)
            else:
                into = self._numbers.setdefault(name, np.full(len(self._spine), np.nan))
                into[rows] = _number(table[name])[given]

    def frame(self) -> pd.DataFrame:
        """Key, `as_of`, numbers as float64 (NaN: not known), categories as `category`, in order of their names."""
        columns: dict[str, object] = {self._key: self._spine[self._key].reset_index(drop=True)}
        columns["as_of"] = self._spine["as_of"].reset_index(drop=True).astype("datetime64[us, UTC]")
        for name in self._order:
            # Given away one by one, so that no column is held twice.
            columns[name] = self._numbers.pop(name) if name in self._numbers else self._category(name)
        return pd.DataFrame(columns)

    def _few_places(self, table: pa.Table) -> tuple[Ints, Ints]:
        """As `_places`: a few rows are found before DuckDB has planned how to find them."""
        keys, moments = table[self._key].to_pylist(), _micros(table["as_of"])
        place = {pair: row for row, pair in enumerate(zip(keys, moments, strict=True))}
        asked = zip(self._spine[self._key], self._spine["as_of"].dt.as_unit("us").astype("int64"), strict=True)
        pairs = np.array([(place[pair], row) for row, pair in enumerate(asked) if pair in place], dtype=np.int64)
        return pairs.reshape(-1, 2)[:, 0], pairs.reshape(-1, 2)[:, 1]

    def _put_category(self, name: str, values: pa.ChunkedArray, given: Ints, rows: Ints) -> None:
        coded = values.combine_chunks().dictionary_encode()
        known = self._names.setdefault(name, {})
        place = [known.setdefault(str(value), len(known)) for value in coded.dictionary.to_pylist()]
        codes = np.array([*place, -1], dtype=np.int32)[coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)]
        self._codes.setdefault(name, np.full(len(self._spine), -1, dtype=np.int32))[rows] = codes[given]

    def _category(self, name: str) -> pd.Categorical:
        names = sorted(known := self._names[name])
        place = np.full(len(names) + 1, -1, dtype=np.int32)
        place[[known[one] for one in names]] = np.arange(len(names))
        return pd.Categorical.from_codes(place[self._codes.pop(name)], pd.Index(names))


def _places(table: pa.Table, con: duckdb.DuckDBPyConnection, key: str) -> tuple[Ints, Ints]:
    """Which row of the table each row asked for has, and its place; shape (n,) each."""
    # DuckDB finds `found` by its name; to register it would change the catalog, which a few rows are spared.
    found = table.select([key, "as_of"]).append_column("_place", pa.array(np.arange(table.num_rows)))  # noqa: F841
    query = f"select f._place, a._row from asked a join found f on f.{key} = a.{key} and f.as_of = a.as_of"
    pairs = con.sql(query).to_arrow_table()
    return pairs["_place"].to_numpy(), pairs["_row"].to_numpy()


def _micros(moments: pa.ChunkedArray) -> list[int]:
    return list(moments.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_pylist())


def _number(values: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    if pa.types.is_boolean(values.type) or pa.types.is_integer(values.type) or pa.types.is_decimal(values.type):
        values = values.cast(pa.float64(), safe=False)
    if pa.types.is_floating(values.type):
        return values.to_numpy().astype(np.float64, copy=False)
    return pd.to_numeric(values.to_pandas(), errors="coerce").to_numpy(np.float64)
