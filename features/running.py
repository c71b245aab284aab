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
    """Events by key and clock, and the points by key and as-of; keys are numbers."""

    keys: pa.Table
    event_key: Ints
    clock: Ints
    point_key: Ints
    as_of: Ints
    starts: Ints
    columns: Mapping[str, npt.NDArray[Any]]


def aggregate(
    con: duckdb.DuckDBPyConnection,
    points: str,
    events: str,
    key: str,
    clock: str,
    parts: Sequence[Part],
    within: int | None,
) -> pa.Table:
    """Every part at every point that some event passes to.

    Parameters
    ----------
    con : DuckDBPyConnection
        Holds the events.
    points : str
        SQL of distinct `_key` and `as_of`.
    events, key, clock : str
        Their table; its column that is matched with `_key`; SQL of the moment at which an event was known.
    parts : sequence of Part
        What is wanted.
    within : int, optional
        Days after which an event no longer counts for any part.

    Returns
    -------
    pa.Table
        `_key`, `as_of` and one column a part, each by its name.
    """
    data = _sorted(con, points, events, key, clock, parts)
    bounds = _Bounds(data)
    seen = bounds.of(_inside(Part("count"), within).window)
    kept = np.flatnonzero(seen[1] > seen[0])
    columns = {part.name: _worked_out(_inside(part, within), data, bounds, kept) for part in parts}
    moments = pa.array(data.as_of[kept]).cast(pa.timestamp("us", tz="UTC"))
    return pa.table({"_key": data.keys["_key"].take(pa.array(data.point_key[kept])), "as_of": moments, **columns})


def _inside(part: Part, within: int | None) -> Part:
    most = part.window.most
    if within is None or (most is not None and most <= within * _DAY):
        return part
    return replace(part, window=replace(part.window, most=within * _DAY))


def _sorted(
    con: duckdb.DuckDBPyConnection, points: str, events: str, key: str, clock: str, parts: Sequence[Part]
) -> _Sorted:
    wanted = {sql: f"c{i}" for i, sql in enumerate(dict.fromkeys(s for p in parts for s in _reads(p)))}
    con.execute(f"create or replace temp table _points as {points}")
    con.execute("""
        create or replace temp table _keys as
        select _key, row_number() over (order by _key) - 1 as code from (select distinct _key from _points)
    """)
    asked = con.sql("""select k.code, epoch_us(p.as_of) as as_of from _points p join _keys k using (_key)
                       order by 1, 2""").to_arrow_table()
    chosen = "".join(f", {sql} as {name}" for sql, name in wanted.items())
    rows = con.sql(f"""select k.code, epoch_us(e.{clock}) as clock{chosen} from {events} e
                       join _keys k on k._key = e."{key}" where e.{clock} is not null order by 1, 2""").to_arrow_table()
    keys = con.sql("select _key from _keys order by code").to_arrow_table()
    event_key = rows["code"].to_numpy()
    return _Sorted(
        keys,
        event_key,
        rows["clock"].to_numpy(),
        asked["code"].to_numpy(),
        asked["as_of"].to_numpy(),
        np.searchsorted(event_key, np.arange(len(keys) + 1)),
        {sql: _plain_array(rows[name]) for sql, name in wanted.items()},
    )


def _reads(part: Part) -> list[str]:
    found = [f"coalesce(({part.condition}), false)::utinyint"] if part.condition else []
    if part.kind == "distinct":
        return [*found, f"({part.value})"]
    if part.kind == "filled":
        return [*found, f"case when ({part.value}) is not null then 1.0::double end"]
    return [*found, f"({part.value})::double"] if part.value else found


def _plain_array(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """Numbers as they are, null as NaN; text as numbers of its own, null as -1."""
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


def _worked_out(part: Part, data: _Sorted, bounds: _Bounds, kept: Ints) -> pa.Array:
    low, high = (side[kept] for side in bounds.of(part.window))
    reads = [data.columns[sql] for sql in _reads(part)]
    value = reads[-1] if part.value else np.ones(len(data.clock))
    passes = reads[0] > 0 if part.condition else np.ones(len(data.clock), dtype=bool)
    if part.kind == "distinct":
        return _distinct(part, data, kept, np.flatnonzero(passes & (value >= 0)), value.astype(np.int64))
    passes &= ~np.isnan(value)
    before = np.concatenate([[0], np.cumsum(passes)])
    low, high = before[low], before[high]
    chosen = np.flatnonzero(passes)
    return _KINDS[part.kind](part, data.as_of[kept], data.clock[chosen], value[chosen], low, high)


def _count(_: Part, __: Ints, ___: Ints, ____: Floats, low: Ints, high: Ints) -> pa.Array:
    return pa.array(high - low)


def _newest(_: Part, as_of: Ints, clock: Ints, __: Floats, low: Ints, high: Ints) -> pa.Array:
    return _age(as_of, clock, high - 1, low < high)


def _oldest(_: Part, as_of: Ints, clock: Ints, __: Floats, low: Ints, high: Ints) -> pa.Array:
    return _age(as_of, clock, low, low < high)


def _age(as_of: Ints, clock: Ints, place: Ints, some: npt.NDArray[np.bool_]) -> pa.Array:
    age = np.zeros(len(as_of))
    age[some] = (as_of[some] - clock[place[some]]) / 1e6
    return pa.array(age, mask=~some)


def _reduced(how: np.ufunc) -> Callable[..., pa.Array]:
    def reduced(_: Part, __: Ints, ___: Ints, value: Floats, low: Ints, high: Ints) -> pa.Array:
        return pa.array(_slices(how, value, low, high), mask=low >= high)

    return reduced


def _average(_: Part, __: Ints, ___: Ints, value: Floats, low: Ints, high: Ints) -> pa.Array:
    return pa.array(_slices(np.add, value, low, high) / np.maximum(high - low, 1), mask=low >= high)


def _slices(how: np.ufunc, value: Floats, low: Ints, high: Ints) -> Floats:
    some = low < high
    result = np.zeros(len(low))
    if some.any():
        edges = np.stack([low[some], high[some]], axis=1).ravel()
        # Every second slice is one that was asked for; the element added at the end lets a slice reach the last value.
        result[some] = how.reduceat(np.append(value, 0.0), edges)[::2]
    return result


def _faded(part: Part, as_of: Ints, clock: Ints, value: Floats, low: Ints, high: Ints) -> pa.Array:
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
    return pa.array(result, mask=low >= high)


def _distinct(part: Part, data: _Sorted, kept: Ints, chosen: Ints, value: Ints) -> pa.Array:
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
    point_key, as_of = data.point_key[kept], data.as_of[kept]
    return pa.array(_until(key, begins, point_key, as_of) - _until(key, ends, point_key, as_of))


def _until(key: Ints, moment: Ints, point_key: Ints, as_of: Ints) -> Ints:
    moments, which = np.unique(as_of, return_inverse=True)
    width = len(moments) + 1
    place = np.sort(key * width + np.searchsorted(moments, moment, side="left"))
    first = np.searchsorted(place, point_key * width)
    return np.searchsorted(place, point_key * width + which, side="right") - first


_KINDS: Mapping[str, Callable[..., pa.Array]] = {
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
