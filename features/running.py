"""The gate's aggregates from sorted events: each count, sum, least and greatest is a difference of running positions.

The gate joins every as-of to all events before it. Where a definition compares an event's age with constants only, the
events it lets through lie next to each other once they are sorted by key and clock. Their first and last positions then
say everything, and no joined row is ever made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.parts import Part, Window

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_DAY = 86_400_000_000  # microseconds
_CHUNK = 4_000_000  # pairs of point and event that are held at once


@dataclass(frozen=True)
class _Sorted:
    """Events by key and clock, and the distinct points by key and as-of; keys are numbers.

    `rows` and `point` say which row of the table asked for is which point; rows without a key are none.
    """

    event_key: Ints
    clock: Ints
    point_key: Ints
    as_of: Ints
    starts: Ints
    n_rows: int
    rows: Ints
    point: Ints
    columns: Mapping[str, pa.ChunkedArray]

    def laid_out(self, values: npt.NDArray[Any], empty: npt.NDArray[np.bool_]) -> pa.Array:
        """Values of the points (missing where `empty`) at the rows of the table asked for."""
        found, missing = np.zeros(self.n_rows, dtype=values.dtype), np.ones(self.n_rows, dtype=bool)
        found[self.rows], missing[self.rows] = values[self.point], empty[self.point]
        return pa.array(found, mask=missing)


@dataclass(frozen=True, slots=True)
class Events:
    """Where events are read, and what they are matched by; see `features.catalogue.Block`."""

    table: str
    key: str
    clock: str


def aggregate(
    con: duckdb.DuckDBPyConnection, asked: str, by: str, events: Events, parts: Sequence[Part], within: int | None
) -> pa.Table:
    """Every part for every row of a table.

    Parameters
    ----------
    con : DuckDBPyConnection
        Holds the events and the table asked for.
    asked, by : str
        A table with `as_of`; its column that is matched with the events' key.
    events : Events
        Where they are read.
    parts : sequence of Part
        What is wanted.
    within : int, optional
        Days after which an event no longer counts for any part.

    Returns
    -------
    pa.Table, as many rows as the table asked for, in its order
        One column a part, by its name; missing where no event is seen at all.
    """
    wanted = dict.fromkeys(sql for part in parts for sql in _reads(part))
    data = _sorted(con, asked, by, events, list(wanted))
    bounds = _Bounds(data)
    low, high = bounds.of(_inside(Part("count"), within).window)
    unseen = low >= high
    made = {part.name: _worked_out(_inside(part, within), data, bounds) for part in parts}
    return pa.table({name: data.laid_out(values, unseen | empty) for name, (values, empty) in made.items()})


def latest(
    con: duckdb.DuckDBPyConnection,
    asked: str,
    by: str,
    events: Events,
    order: Sequence[str],
    fields: Sequence[str],
) -> pa.Table:
    """The last change of each field that each row of a table knows of: the greatest by `order`, not by clock.

    Returns
    -------
    pa.Table, as many rows as the table asked for, in its order
        For each field its value (empty text for none), `n_` and the field: how many changes are known, and `since_` and
        the field: the newest clock among them.
    """
    data = _sorted(con, asked, by, events, ["field", "coalesce(new_value, '')", *order])
    field, value = data.columns["field"].to_numpy(), data.columns["coalesce(new_value, '')"]
    keys = [_numbers(data.columns[name]) for name in reversed(order)]
    place = np.empty(len(data.clock), dtype=np.int64)
    in_order = np.lexsort((*keys, data.event_key))
    place[in_order] = np.arange(len(in_order))  # those of a later key come after all of an earlier one
    low, high = _Bounds(data).of(Window())
    found: dict[str, pa.Array] = {}
    for name in fields:
        chosen = np.flatnonzero(field == name)
        before = np.searchsorted(chosen, np.arange(len(field) + 1))
        first, last = before[low], before[high]
        newest = np.append(np.maximum.accumulate(place[chosen]), 0)[last - 1]
        which = data.laid_out(np.append(in_order, 0)[newest], first >= last)
        found[name] = value.take(which)
        found[f"n_{name}"] = data.laid_out(last - first, first >= last)
        since = data.laid_out(np.append(data.clock[chosen], 0)[last - 1], first >= last)
        found[f"since_{name}"] = since.cast(pa.timestamp("us", tz="UTC"))
    return pa.table(found)


def _inside(part: Part, within: int | None) -> Part:
    most = part.window.most
    if within is None or (most is not None and most <= within * _DAY):
        return part
    return replace(part, window=replace(part.window, most=within * _DAY))


def _sorted(con: duckdb.DuckDBPyConnection, asked: str, by: str, events: Events, wanted: Sequence[str]) -> _Sorted:
    con.execute(f"""
        create or replace temp table _keys as
        select _key, row_number() over (order by _key) - 1 as code
        from (select distinct "{by}" as _key from {asked}) where _key is not null
    """)
    rows = con.sql(f"""
        select a.rowid as row, k.code, epoch_us(a.as_of) as as_of from {asked} a join _keys k on k._key = a."{by}"
    """).to_arrow_table()
    chosen = "".join(f", {sql} as c{i}" for i, sql in enumerate(wanted))
    read = con.sql(f"""
        select k.code, epoch_us(e.{events.clock}) as clock{chosen} from {events.table} e
        join _keys k on k._key = e."{events.key}" where e.{events.clock} is not null order by 1, 2
    """).to_arrow_table()
    (n_rows,), (n_keys,) = con.sql(f"select count(*) from {asked} union all select count(*) from _keys").fetchall()
    moments, which = np.unique(rows["as_of"].to_numpy(), return_inverse=True)
    points, point = np.unique(rows["code"].to_numpy() * (len(moments) + 1) + which, return_inverse=True)
    event_key = read["code"].to_numpy()
    return _Sorted(
        event_key,
        read["clock"].to_numpy(),
        points // (len(moments) + 1),
        moments[points % (len(moments) + 1)],
        np.searchsorted(event_key, np.arange(n_keys + 1)),
        n_rows,
        rows["row"].to_numpy(),
        point,
        {sql: read[f"c{i}"] for i, sql in enumerate(wanted)},
    )


def _reads(part: Part) -> list[str]:
    found = [f"coalesce(({part.condition}), false)::utinyint"] if part.condition else []
    if part.kind == "distinct":
        return [*found, f"({part.value})"]
    if part.kind == "filled":
        return [*found, f"case when ({part.value}) is not null then 1.0::double end"]
    return [*found, f"({part.value})::double"] if part.value else found


def _numbers(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """Numbers as they are, null as NaN; moments as microseconds; text as numbers of its own, null as -1."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    if pa.types.is_floating(column.type) or (pa.types.is_integer(column.type) and not column.null_count):
        return column.to_numpy()
    return column.combine_chunks().dictionary_encode().indices.fill_null(-1).to_numpy()


class _Bounds:
    """First and last position of the events that each point sees, by window."""

    def __init__(self, data: _Sorted) -> None:
        self._data = data
        self._moments, self._which = np.unique(data.as_of, return_inverse=True)
        self._known: dict[int, Ints] = {}

    def of(self, window: Window) -> tuple[Ints, Ints]:
        """Positions from (included) and to (excluded), shape (n_points,) each."""
        high = self._after(window.least)
        # Seen, less those older than `most`, that is at least one microsecond older.
        low = self._data.starts[self._data.point_key] if window.most is None else self._after(window.most + 1)
        return np.minimum(low, high), high

    def _after(self, age: int) -> Ints:
        """How many events, from the first of all keys on, came at least `age` microseconds before each point."""
        if age not in self._known:
            data = self._data
            edges = self._moments - age
            place = np.searchsorted(edges, data.clock, side="left")
            width = len(edges) + 1
            wanted = data.point_key * width + self._which
            self._known[age] = np.searchsorted(data.event_key * width + place, wanted, side="right")
        return self._known[age]


def _worked_out(part: Part, data: _Sorted, bounds: _Bounds) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Values at the points, and where there are none."""
    low, high = bounds.of(part.window)
    reads = [_numbers(data.columns[sql]) for sql in _reads(part)]
    value = reads[-1] if part.value else np.ones(len(data.clock))
    passes = reads[0] > 0 if part.condition else np.ones(len(data.clock), dtype=bool)
    if part.kind == "distinct":
        found = _distinct(part, data, np.flatnonzero(passes & (value >= 0)), value.astype(np.int64))
        return found, np.zeros(len(found), dtype=bool)
    passes &= ~np.isnan(value)
    before = np.concatenate([[0], np.cumsum(passes)])
    low, high = before[low], before[high]
    chosen = np.flatnonzero(passes)
    none = np.zeros(len(low), dtype=bool) if part.kind in ("count", "filled") else low >= high
    return _KINDS[part.kind](part, data.as_of, data.clock[chosen], value[chosen], low, high), none


def _count(_: Part, __: Ints, ___: Ints, ____: Floats, low: Ints, high: Ints) -> Ints:
    return high - low


def _newest(_: Part, as_of: Ints, clock: Ints, __: Floats, ___: Ints, high: Ints) -> Floats:
    return (as_of - np.append(clock, 0)[high - 1]) / 1e6


def _oldest(_: Part, as_of: Ints, clock: Ints, __: Floats, low: Ints, ___: Ints) -> Floats:
    return (as_of - np.append(clock, 0)[low]) / 1e6


def _reduced(how: np.ufunc) -> Callable[..., Floats]:
    def reduced(_: Part, __: Ints, ___: Ints, value: Floats, low: Ints, high: Ints) -> Floats:
        return _slices(how, value, low, high)

    return reduced


def _average(_: Part, __: Ints, ___: Ints, value: Floats, low: Ints, high: Ints) -> Floats:
    return _slices(np.add, value, low, high) / np.maximum(high - low, 1)


def _slices(how: np.ufunc, value: Floats, low: Ints, high: Ints) -> Floats:
    some = low < high
    result = np.zeros(len(low))
    if some.any():
        edges = np.stack([low[some], high[some]], axis=1).ravel()
        # Every second slice is one that was asked for; the element added at the end lets a slice reach the last value.
        result[some] = how.reduceat(np.append(value, 0.0), edges)[::2]
    return result


def _faded(part: Part, as_of: Ints, clock: Ints, value: Floats, low: Ints, high: Ints) -> Floats:
    many = high - low
    result = np.zeros(len(low))
    ends = np.concatenate([[0], np.cumsum(many)])
    edges = np.unique(np.searchsorted(ends, np.arange(0, ends[-1] + _CHUNK, _CHUNK)).clip(0, len(low)))
    for first, last in pairwise(edges):
        number = many[first:last]
        point = np.repeat(np.arange(len(number)), number)
        event = (
            np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number) + np.repeat(low[first:last], number)
        )
        weight = np.exp(-((as_of[first:last][point] - clock[event]) / 1e6) / part.fades)
        result[first:last] = np.bincount(point, weight * value[event], len(number))
    return result


def _distinct(part: Part, data: _Sorted, chosen: Ints, value: Ints) -> Ints:
    """Count what began, less what ended: an event stands for its value until it is too old or the value comes again."""
    key, clock, same = data.event_key[chosen], data.clock[chosen], value[chosen]
    order = np.lexsort((clock, same, key))
    key, clock, same = key[order], clock[order], same[order]
    begins, never = clock + part.window.least, np.iinfo(np.int64).max
    again = np.full(len(key), never)
    if len(key):
        repeats = (key[1:] == key[:-1]) & (same[1:] == same[:-1])
        again[:-1][repeats] = begins[1:][repeats]
    ends = again if part.window.most is None else np.minimum(again, clock + part.window.most + 1)
    return _until(key, begins, data) - _until(key, ends, data)


def _until(key: Ints, moment: Ints, data: _Sorted) -> Ints:
    moments, which = np.unique(data.as_of, return_inverse=True)
    width = len(moments) + 1
    place = np.sort(key * width + np.searchsorted(moments, moment, side="left"))
    first = np.searchsorted(place, data.point_key * width)
    return np.searchsorted(place, data.point_key * width + which, side="right") - first


_KINDS: Mapping[str, Callable[..., npt.NDArray[Any]]] = {
    "count": _count,
    "filled": _count,
    "newest": _newest,
    "oldest": _oldest,
    "sum": _reduced(np.add),
    "min": _reduced(np.minimum),
    "max": _reduced(np.maximum),
    "avg": _average,
    "fading": _faded,
}
