"""Functions that SQLite lacks, as DuckDB works them out."""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Callable
from datetime import date, timedelta
from functools import lru_cache
from statistics import median

import duckdb

Cell = float | int | str | None
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,9})?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class _Median:
    def __init__(self) -> None:
        self._seen: list[float] = []

    def step(self, x: Cell) -> None:
        if isinstance(x, int | float):
            self._seen.append(x)

    def finalize(self) -> float | None:
        return float(median(self._seen)) if self._seen else None


class _ArgMax:
    """The value where the order is greatest; rows without one of them are passed over, the first of equals counts."""

    def __init__(self) -> None:
        self._best: tuple[float | int | str, Cell] | None = None

    def step(self, x: Cell, order: float | int | str | None) -> None:
        if x is not None and order is not None and (self._best is None or self._better(order, self._best[0])):
            self._best = order, x

    def finalize(self) -> Cell:
        return None if self._best is None else self._best[1]

    def _better(self, new: float | int | str, old: float | int | str) -> bool:
        return new > old  # type: ignore[operator]  # one column, so one type


class _ArgMin(_ArgMax):
    def _better(self, new: float | int | str, old: float | int | str) -> bool:
        return new < old  # type: ignore[operator]


def _over(a: float | None, b: float | None) -> float | None:
    if a is None or b is None:
        return None
    return a / b if b else float(a) * math.inf  # nought by nought is NaN, which SQLite keeps as missing


def _rest(a: float | None, b: float | None) -> float | None:
    if a is None or b is None or not b:
        return None
    found = math.fmod(a, b)
    return int(found) if isinstance(a, int) and isinstance(b, int) else found


def _exp(x: float | None) -> float | None:
    try:
        return None if x is None else math.exp(x)
    except OverflowError:
        return math.inf


def _ln(x: float | None) -> float | None:
    if x is None or x < 0:
        return None
    return math.log(x) if x else -math.inf


@lru_cache(maxsize=4096)
def _asked_duckdb(words: str, kind: str) -> float | str | None:
    """What DuckDB reads in a text that is not written in the plain way."""
    with duckdb.connect() as con:
        found = con.execute(f"select try_cast($1 as {kind})", [words]).fetchall()[0][0]
    return found if found is None or isinstance(found, float) else str(found)


def _try_double(x: Cell) -> float | None:
    if x is None or isinstance(x, int | float):
        return x if x is None else float(x)
    return float(x) if _NUMBER.fullmatch(x) else _asked_duckdb(x, "double")  # type: ignore[return-value]


def _as_double(x: Cell) -> float | None:
    found = _try_double(x)
    if found is None and x is not None:
        raise ValueError(f"'{x}' is no number")
    return found


def _try_day(x: Cell) -> str | None:
    if x is None:
        return None
    return str(x) if _DAY.fullmatch(str(x)) and _is_day(str(x)) else _asked_duckdb(str(x), "date")  # type: ignore[return-value]


def _is_day(words: str) -> bool:
    try:
        return bool(date.fromisoformat(words))
    except ValueError:
        return False


def _as_text(x: Cell) -> str | None:
    return None if x is None else str(x)


def _days_between(start: str | None, end: str | None) -> int | None:
    if start is None or end is None:
        return None
    return date.fromisoformat(end).toordinal() - date.fromisoformat(start).toordinal()


def _month(day: str | None) -> int | None:
    return None if day is None else date.fromisoformat(day).month


def _last_day(day: str | None) -> str | None:
    if day is None:
        return None
    in_next = date.fromisoformat(day).replace(day=28) + timedelta(days=4)
    return (in_next - timedelta(days=in_next.day)).isoformat()


def _among(choose: Callable[[list[float]], float]) -> Callable[..., Cell]:
    def chosen(*values: float | None) -> Cell:
        known = [value for value in values if value is not None]
        return choose(known) if known else None

    return chosen


def add_functions(con: sqlite3.Connection) -> None:
    """Make the functions known to a connection."""
    plain: dict[str, tuple[int, Callable[..., Cell]]] = {
        "over": (2, _over),
        "rest": (2, _rest),
        "exp_of": (1, _exp),
        "ln_of": (1, _ln),
        "as_double": (1, _as_double),
        "try_double": (1, _try_double),
        "try_day": (1, _try_day),
        "as_text": (1, _as_text),
        "try_text": (1, _as_text),
        "days_between": (2, _days_between),
        "month_of": (1, _month),
        "last_day_of": (1, _last_day),
        "greatest": (-1, _among(max)),
        "least": (-1, _among(min)),
        "lower_of": (1, lambda x: None if x is None else str(x).lower()),
        "upper_of": (1, lambda x: None if x is None else str(x).upper()),
    }
    for name, (arguments, function) in plain.items():
        con.create_function(name, arguments, function, deterministic=True)
    for name, arguments, kind in (("median", 1, _Median), ("arg_max", 2, _ArgMax), ("arg_min", 2, _ArgMin)):
        con.create_aggregate(name, arguments, kind)  # type: ignore[arg-type]
