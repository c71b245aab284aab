"""What deals that were won had at each stage they passed: contributions and values, to hold an open deal against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.types import is_numeric_dtype

from models.learners import Floats
from models.win_curve import Fate

FEWEST = 30
"""Won deals that a stage must have to be a yardstick of its own."""
_MOST = 100  # won deals a stage that are looked at: a mean of so many is known to a tenth of their spread
_ANY = ""
_Places = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class WonDeals:
    """Deals that were won, by kind and stage, by stage, and all of them; each deal counts once at a stage.

    Parameters
    ----------
    names : list of str
        The model's features.
    cells : list of (kind, stage)
        Those with enough won deals; an empty text stands for any.
    margin, middle : shape (cells, p)
        Mean contribution of each feature to the log odds, and the median of its values (NaN: no number).
    """

    names: list[str]
    cells: list[tuple[str, str]]
    margin: Floats
    middle: Floats

    def beside(self, X: pd.DataFrame) -> tuple[Floats, Floats]:
        """`margin` and `middle` of deals won from where each deal of X stands, two of shape (n, p).

        Where too few of its kind were won from there, all kinds count, and then all stages.
        """
        place = {cell: k for k, cell in enumerate(self.cells)}
        wanted = zip(_texts(X, "kind"), _texts(X, "stage"), strict=True)
        known = [
            next(place[cell] for cell in ((kind, stage), (_ANY, stage), (_ANY, _ANY)) if cell in place)
            for kind, stage in wanted
        ]
        return self.margin[known], self.middle[known]


@dataclass(frozen=True, slots=True)
class WonRows:
    """Snapshots of won deals to learn `WonDeals` from; `cells` says which rows are looked at for each of them."""

    rows: pd.DataFrame
    cells: dict[tuple[str, str], _Places]

    def learnt(self, names: list[str], margins: Callable[[pd.DataFrame], Floats]) -> WonDeals:
        """What they had in common; `margins` gives the contributions of rows to the log odds, shape (n, p)."""
        if not len(self.rows):  # none was won: deals are held against the typical open one
            return WonDeals(names, [(_ANY, _ANY)], np.zeros((1, len(names))), np.full((1, len(names)), np.nan))
        parts, values = margins(self.rows), _numbers(self.rows, names)
        margin = np.array([parts[places].mean(axis=0) for places in self.cells.values()])
        middle = np.array([_medians(values[places]) for places in self.cells.values()])
        return WonDeals(names, list(self.cells), margin, middle)


def won_rows(rows: pd.DataFrame, what: Fate, *, seed: int) -> WonRows:
    """A draw of snapshots of won deals: of each deal one at a stage, so that a slow deal counts like a quick one.

    Parameters
    ----------
    rows : shape (n, p)
        Snapshots, several a deal.
    what : Fate
        What became of them.
    """
    order = np.random.default_rng(seed).permutation(np.flatnonzero(what.closed & what.won))
    drawn = rows[[c for c in ("deal_id", "kind", "stage") if c in rows]].iloc[order]
    keys = pd.DataFrame(
        {"deal": drawn["deal_id"].to_numpy(object), "kind": _texts(drawn, "kind"), "stage": _texts(drawn, "stage")}
    )
    cells: dict[tuple[str, str], _Places] = {}
    for by in (["kind", "stage"], ["stage"], []):
        first = keys.drop_duplicates(["deal", *by])
        groups = first.groupby(by, sort=True) if by else [((), first)]
        for level, some in groups:
            named = dict(zip(by, level, strict=True))
            if not by or (len(some) >= FEWEST and all(named.values())):
                cells[named.get("kind", _ANY), named.get("stage", _ANY)] = order[some.index[:_MOST].to_numpy(np.intp)]
    used = np.unique(np.concatenate(list(cells.values())))
    return WonRows(
        rows.iloc[used].reset_index(drop=True), {cell: np.searchsorted(used, at) for cell, at in cells.items()}
    )


def _texts(X: pd.DataFrame, name: str) -> list[str]:
    if name not in X:
        return [_ANY] * len(X)
    values = X[name].astype(object)
    return [str(value) for value in values.where(values.notna(), _ANY)]


def _numbers(X: pd.DataFrame, names: list[str]) -> Floats:
    """Values of features, shape (n, p); NaN where they are missing or no numbers."""
    found = np.full((len(X), len(names)), np.nan)
    for k, name in enumerate(names):
        if name in X and is_numeric_dtype(X[name]):
            found[:, k] = X[name].to_numpy(np.float64, na_value=np.nan)
    return found


def _medians(values: Floats) -> Floats:
    known = np.isfinite(values).any(axis=0)
    found = np.full(values.shape[1], np.nan)
    found[known] = np.nanmedian(values[:, known], axis=0)
    return found
