"""Values of NumPy, pandas and the clock as JSON and plain arrays, and back: the leaves of a model file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

Node = dict[str, Any]
Array = npt.NDArray[Any]
_INLINE = 32  # elements up to which an array stands in the JSON, where people can read it
_PLAIN = "biufMmUS"  # kinds of dtype that a .npy file holds without pickle


class Unkept(ValueError):
    """A value of a kind that no model file holds; the message names the kind."""


class Arrays:
    """Arrays of plain dtypes: the small ones in the tree itself, the others beside it, by name."""

    def __init__(self, beside: Mapping[str, Array] | None = None) -> None:
        self.beside: dict[str, Array] = dict(beside or {})

    def put(self, array: Array) -> Node:
        """Keep an array; its memory order too, as sums of floats depend on it."""
        plain(array)
        if array.ndim == 1 and array.size <= _INLINE and array.dtype.kind in "biuf" and np.isfinite(array).all():
            return {"dtype": array.dtype.str, "of": array.tolist()}
        name = f"a{len(self.beside):05d}"
        self.beside[name] = array
        return {"beside": name}

    def get(self, node: Node) -> Array:
        """The array that `put` kept."""
        if "beside" in node:
            return self.beside[node["beside"]]
        return plain(np.array(node["of"], dtype=node["dtype"]))


def plain(array: Array) -> Array:
    """An array as it is, if its dtype is one that files hold.

    Raises
    ------
    Unkept
        If it is none, such as one of Python objects.
    """
    if array.dtype.kind not in _PLAIN:
        raise Unkept(f"an array of dtype {array.dtype}")
    return array


Put = Callable[[Any, str], Any]  # value and step of the path to it -> node
Get = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Leaf:
    """How values of exactly one type are kept; parts go through `put` and `get` of the tree."""

    type: type
    put: Callable[[Any, Put], Node]
    get: Callable[[Node, Get], Any]


def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)


def _zone_name(zone: tzinfo | None) -> str | None:
    if zone is not None and str(zone) != "UTC" and not isinstance(zone, ZoneInfo):
        raise Unkept(f"a time zone without a name, {zone}")
    return None if zone is None else str(zone)


def _put_timestamp(moment: pd.Timestamp, put: Put) -> Node:
    count = int(moment.as_unit(moment.unit).asm8.astype(np.int64))
    return {"of": count, "unit": moment.unit, "zone": _zone_name(moment.tz)}


def _get_timestamp(node: Node, get: Get) -> pd.Timestamp:
    moment = pd.Timestamp(np.datetime64(node["of"], node["unit"]))
    return moment if node["zone"] is None else moment.tz_localize("UTC").tz_convert(_zone(node["zone"]))


def _put_datetime(moment: datetime, put: Put) -> Node:
    return {"of": moment.replace(tzinfo=None).isoformat(), "fold": moment.fold, "zone": _zone_name(moment.tzinfo)}


def _get_datetime(node: Node, get: Get) -> datetime:
    zone = node["zone"]
    return datetime.fromisoformat(node["of"]).replace(fold=node["fold"], tzinfo=None if zone is None else _zone(zone))


def _values(holder: pd.Series | pd.Index) -> Any:
    """An array of NumPy's where the dtype is NumPy's, else the extension array."""
    return np.asarray(holder) if isinstance(holder.dtype, np.dtype) else holder.array


def _put_moments(moments: pd.arrays.DatetimeArray, put: Put) -> Node:
    plain = pd.DatetimeIndex(moments).tz_convert(None).to_numpy()
    return {"zone": _zone_name(moments.tz), "of": put(plain, "")}


def _get_moments(node: Node, get: Get) -> Any:
    return pd.DatetimeIndex(get(node["of"])).tz_localize("UTC").tz_convert(_zone(node["zone"])).array


def _put_strings(strings: Any, put: Put) -> Node:
    dtype = strings.dtype
    of = [None if missing else str(text) for text, missing in zip(strings, strings.isna(), strict=True)]
    return {"storage": dtype.storage, "missing": "NA" if dtype.na_value is pd.NA else "NaN", "of": of}


def _get_strings(node: Node, get: Get) -> Any:
    dtype: Any = pd.StringDtype(node["storage"], na_value={"NA": pd.NA, "NaN": np.nan}[node["missing"]])
    return pd.array(node["of"], dtype=dtype)


def _put_categories(values: pd.Categorical, put: Put) -> Node:
    return {
        "of": put(np.asarray(values.codes), ".codes"),
        "categories": put(values.categories, ".categories"),
        "ordered": bool(values.ordered),
    }


def _get_categories(node: Node, get: Get) -> pd.Categorical:
    return pd.Categorical.from_codes(get(node["of"]), categories=get(node["categories"]), ordered=node["ordered"])


def _put_index(index: pd.Index, put: Put) -> Node:
    return {"name": put(index.name, ".name"), "of": put(_values(index), "")}


def _get_index(node: Node, get: Get) -> pd.Index:
    values = get(node["of"])
    return pd.Index(values, dtype=values.dtype, name=get(node["name"]))


def _put_range(index: pd.RangeIndex, put: Put) -> Node:
    return {"name": put(index.name, ".name"), "of": [index.start, index.stop, index.step]}


def _get_range(node: Node, get: Get) -> pd.RangeIndex:
    return pd.RangeIndex(*node["of"], name=get(node["name"]))


def _put_series(series: pd.Series, put: Put) -> Node:
    return {"name": put(series.name, ".name"), "index": put(series.index, ".index"), "of": put(_values(series), "")}


def _get_series(node: Node, get: Get) -> pd.Series:
    values = get(node["of"])
    return pd.Series(values, index=get(node["index"]), name=get(node["name"]), dtype=values.dtype)


def _put_frame(frame: pd.DataFrame, put: Put) -> Node:
    columns = [put(_values(frame.iloc[:, k]), f"[{name!r}]") for k, name in enumerate(frame.columns)]
    return {"columns": put(frame.columns, ".columns"), "index": put(frame.index, ".index"), "of": columns}


def _get_frame(node: Node, get: Get) -> pd.DataFrame:
    index, values = get(node["index"]), [get(column) for column in node["of"]]
    columns = {k: pd.Series(column, index=index, dtype=column.dtype) for k, column in enumerate(values)}
    return pd.DataFrame(columns, index=index).set_axis(get(node["columns"]), axis=1)


LEAVES: dict[str, Leaf] = {
    "timestamp": Leaf(pd.Timestamp, _put_timestamp, _get_timestamp),
    "no moment": Leaf(type(pd.NaT), lambda moment, put: {}, lambda node, get: pd.NaT),
    "datetime": Leaf(datetime, _put_datetime, _get_datetime),
    "date": Leaf(date, lambda day, put: {"of": day.isoformat()}, lambda node, get: date.fromisoformat(node["of"])),
    "timedelta": Leaf(
        timedelta,
        lambda span, put: {"of": [span.days, span.seconds, span.microseconds]},
        lambda node, get: timedelta(*node["of"]),
    ),
    "span": Leaf(
        pd.Timedelta,
        lambda span, put: {"of": int(span.asm8.astype(np.int64)), "unit": span.unit},
        lambda node, get: pd.Timedelta(np.timedelta64(node["of"], node["unit"])),
    ),
    "moments": Leaf(pd.arrays.DatetimeArray, _put_moments, _get_moments),
    "strings": Leaf(pd.arrays.ArrowStringArray, _put_strings, _get_strings),
    "strings of Python": Leaf(pd.arrays.StringArray, _put_strings, _get_strings),
    "categories": Leaf(pd.Categorical, _put_categories, _get_categories),
    "index": Leaf(pd.Index, _put_index, _get_index),
    "moments index": Leaf(pd.DatetimeIndex, _put_index, _get_index),
    "categories index": Leaf(pd.CategoricalIndex, _put_index, _get_index),
    "range": Leaf(pd.RangeIndex, _put_range, _get_range),
    "series": Leaf(pd.Series, _put_series, _get_series),
    "frame": Leaf(pd.DataFrame, _put_frame, _get_frame),
}
