"""Feature tables as matrices: codes for trees, standardised columns for linear models; the unseen is 'other'."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

KEYS = ("deal_id", "rep_id", "account_id", "as_of")
OTHER = "(other)"
_MAX_LEVELS = 40
_CLIP = 4.0


def feature_columns(X: pd.DataFrame) -> list[str]:
    """Names of the columns that are features: neither key nor private (leading underscore)."""
    keys = set(KEYS[:1] if "deal_id" in X else KEYS[1:2] if "rep_id" in X else KEYS[2:3]) | {"as_of"}
    return [c for c in X.columns if c not in keys and not str(c).startswith("_")]


@dataclass(frozen=True, slots=True)
class _Number:
    name: str
    centre: float
    scale: float
    logged: bool
    gaps: bool  # some values are missing: the linear matrix says which


@dataclass(frozen=True, slots=True)
class _Category:
    name: str
    codes: dict[Hashable, int]  # level to code; OTHER is the last


class Encoder:
    """Turn a feature table into matrices of a fixed shape.

    Columns without two different known values at fit are dropped. A category keeps its most frequent levels; rare ones
    and those unseen at fit share one level. A column that is absent at transform counts as missing.

    Parameters
    ----------
    min_rows : int
        Rows a level must have to be kept apart.
    """

    def __init__(self, *, min_rows: int = 20) -> None:
        self.min_rows = min_rows

    def fit(self, X: pd.DataFrame) -> Self:
        """Learn columns, levels and scales from a feature table, shape (n, p)."""
        self.numbers_: list[_Number] = []
        self.categories_: list[_Category] = []
        for name in feature_columns(X):
            values = X[name]
            if _is_number(values):
                self._learn_number(name, values.to_numpy(np.float64, na_value=np.nan))
            else:
                self._learn_category(name, values)
        self.names_ = [c.name for c in self.numbers_] + [c.name for c in self.categories_]
        self.categorical_ = list(range(len(self.numbers_), len(self.names_)))
        self.linear_feature_ = np.array(self._linear_owner(), dtype=np.intp)
        return self

    def trees(self, X: pd.DataFrame) -> Floats:
        """Matrix for trees, shape (n, n_features): values as they are, categories as codes, NaN where missing."""
        return np.column_stack([self._numbers(X), *(_codes(X, c) for c in self.categories_)])

    def linear(self, X: pd.DataFrame) -> Floats:
        """Matrix for linear models, shape (n, n_columns): standardised, missing flagged, categories one-hot."""
        return self._spread(self._numbers(X), [_codes(X, c) for c in self.categories_])

    def both(self, read: Reading) -> tuple[Floats, Floats]:
        """What `trees` and `linear` give, of a table that is read once for several encoders."""
        values = read.numbers([n.name for n in self.numbers_])
        codes = [read.codes(c) for c in self.categories_]
        return np.column_stack([values, *codes]), self._spread(values, codes)

    def _spread(self, values: Floats, codes: list[Floats]) -> Floats:
        """The matrix of `linear`; the values are changed in place."""
        logged = np.array([n.logged for n in self.numbers_], dtype=bool)
        gaps, flagged = np.isnan(values), np.array([n.gaps for n in self.numbers_], dtype=bool)
        values[:, logged] = _signed_log(values[:, logged])
        values -= np.array([n.centre for n in self.numbers_], dtype=np.float64)
        values /= np.array([n.scale for n in self.numbers_], dtype=np.float64)
        made = np.empty((len(values), len(self.linear_feature_)))
        place = np.arange(len(self.numbers_)) + np.cumsum(flagged) - flagged  # a flag stands after its number
        made[:, place] = np.where(gaps, 0.0, np.clip(values, -_CLIP, _CLIP))
        made[:, place[flagged] + 1] = gaps[:, flagged]
        begins = len(self.numbers_) + int(flagged.sum())
        for category, code in zip(self.categories_, codes, strict=True):
            ends = begins + len(category.codes)
            made[:, begins:ends] = code[:, None] == np.arange(len(category.codes))
            begins = ends
        return made

    def _numbers(self, X: pd.DataFrame) -> Floats:
        return numbers(X, [n.name for n in self.numbers_])

    def _learn_number(self, name: str, values: Floats) -> None:
        known = values[np.isfinite(values)]
        if not known.size or known.min() == known.max():
            return
        spread = np.quantile(np.abs(known - np.median(known)), [0.5, 0.99])
        logged = bool(spread[1] > 10 * max(spread[0], 1e-9))
        shaped = _signed_log(known) if logged else known
        self.numbers_.append(
            _Number(name, float(shaped.mean()), float(shaped.std()) or 1.0, logged, bool(known.size < values.size))
        )

    def _learn_category(self, name: str, values: pd.Series) -> None:
        counts = values.astype("object").value_counts()
        kept = [level for level, rows in counts.items() if rows >= self.min_rows][:_MAX_LEVELS]
        if len(counts) < 2 or not kept:
            return
        self.categories_.append(_Category(name, {level: code for code, level in enumerate([*kept, OTHER])}))

    def _linear_owner(self) -> list[int]:
        owners: list[int] = []
        for index, number in enumerate(self.numbers_):
            owners += [index] * (2 if number.gaps else 1)
        for index, category in enumerate(self.categories_, start=len(self.numbers_)):
            owners += [index] * len(category.codes)
        return owners


class Reading:
    """A feature table that several encoders turn into matrices: what they share is read once.

    Parameters
    ----------
    X : shape (n, p)
        Keys and features.

    Attributes
    ----------
    kept : dict
        What else was worked out of the table alone, by a key of whoever did.
    """

    def __init__(self, X: pd.DataFrame) -> None:
        self.X = X
        self.kept: dict[object, Floats] = {}
        kinds = dict(zip(X.columns, X.dtypes, strict=True))
        names = [str(name) for name in feature_columns(X) if _is_numeric(kinds[name])]
        self._place = {name: place for place, name in enumerate(names)}
        self._values = numbers(X, names)
        self._levels: dict[str, pd.Categorical] = {}

    def numbers(self, names: list[str]) -> Floats:
        """Columns as numbers, shape (n, names): a copy of what the function `numbers` gives."""
        if all(name in self._place for name in names):
            return np.ascontiguousarray(self._values[:, [self._place[name] for name in names]])
        return numbers(self.X, names)

    def codes(self, category: _Category) -> Floats:
        """A category's codes, shape (n,)."""
        name = category.name
        if name not in self.X:
            return np.full(len(self.X), np.nan)
        if name not in self._levels:
            self._levels[name] = _levels(self.X[name])
        return _coded(self._levels[name], category)


def _is_number(values: pd.Series) -> bool:
    return _is_numeric(values.dtype)


def _is_numeric(kind: Any) -> bool:
    return bool(pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind))


def numeric(X: pd.DataFrame, name: str) -> Floats:
    """A column as numbers, shape (n,): NaN where missing, infinite, or where there is no such column."""
    if name not in X:
        return np.full(len(X), np.nan)
    values = pd.to_numeric(X[name], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    return np.where(np.isfinite(values), values, np.nan)


def numbers(X: pd.DataFrame, names: list[str]) -> Floats:
    """Columns as numbers, shape (n, names): each as `numeric` gives it."""
    there = [name for name in names if name in X]
    found = X[there].to_numpy()
    if len(there) < len(names) or found.dtype.kind not in "fiub":
        columns = [numeric(X, name) for name in names]
        return np.column_stack(columns) if columns else np.empty((len(X), 0))
    values = np.array(found, dtype=np.float64)
    values[~np.isfinite(values)] = np.nan
    return values


def _codes(X: pd.DataFrame, category: _Category) -> Floats:
    if category.name not in X:
        return np.full(len(X), np.nan)
    return _coded(_levels(X[category.name]), category)


def _levels(column: pd.Series) -> pd.Categorical:
    values: Any = column.array
    return values if isinstance(values, pd.Categorical) else pd.Categorical(values)


def _coded(levels: pd.Categorical, category: _Category) -> Floats:
    known = np.array([category.codes.get(v, category.codes[OTHER]) for v in levels.categories], dtype=np.float64)
    return np.append(known, np.nan)[levels.codes]  # code -1, missing, takes the last


def _signed_log(values: Floats) -> Floats:
    return np.sign(values) * np.log1p(np.abs(values))
