"""What keeps a deal below deals that were won from where it stands: contributions and values, feature by feature."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from crm.company import Company
from features.catalogue import Feature, features
from models.actions import values
from models.learners import Floats, probability, safe_logit
from models.win import WinModel

LEAST_PULL = 0.005
"""What takes less off a deal's chance is not worth a line."""


class Gap(NamedTuple):
    """A feature of a deal beside deals won from its stage.

    Parameters
    ----------
    feature : str
        Its name.
    value, usual : float
        The deal's value, and the median of those won.
    points : float
        By how much less it adds to this deal's chance than to theirs, as a change of this deal's chance; below 0.
    """

    feature: str
    value: float
    usual: float
    points: float


@dataclass(frozen=True, slots=True)
class Gaps:
    """Features that a person can act on, of deals beside deals won from the same stage; arrays of shape (n, p).

    `points` is what a feature adds to a deal's chance less what it added to theirs, in the unit of the deal's own
    reasons; `value` and `usual` are as in `Gap`.
    """

    names: list[str]
    points: Floats
    value: Floats
    usual: Floats

    def moved(self, rows: npt.NDArray[np.intp], after: pd.DataFrame) -> dict[str, Floats]:
        """Values after a step on some rows, shape (n,) each, of features that it changes on any of them."""
        found = {}
        for k, name in enumerate(self.names):
            new, old = values(after, name), self.value[rows, k]
            if _differs(new, old).any():
                found[name] = self.value[:, k].copy()
                found[name][rows] = new
        return found

    def pull(self, after: Mapping[str, Floats]) -> Floats:
        """Sum of the points of the features that a step changes, shape (n,); `after` has their values then, (n,)."""
        return np.where(self._changed(after), self.points, 0.0).sum(axis=1)

    def largest(self, row: int, after: Mapping[str, Floats]) -> Gap | None:
        """Of the features that a step brings nearer to what deals won had, the one that takes most; None: none does."""
        found = [
            Gap(name, float(self.value[row, k]), float(self.usual[row, k]), float(self.points[row, k]))
            for k, name in enumerate(self.names)
            if name in after
            and self.points[row, k] <= -LEAST_PULL
            # That there was much of it already is no reason for more. NaN compares as False.
            and (after[name][row] - self.value[row, k]) * (self.usual[row, k] - self.value[row, k]) > 0
        ]
        return min(found, key=lambda gap: (gap.points, gap.feature), default=None)

    def none_below(self, themes: Mapping[str, Hashable]) -> npt.NDArray[np.bool_]:
        """Deals of which no theme lies below deals won by what is worth a line, shape (n,).

        Features of one theme, such as the contacts of a week and of a month, are added up: what one takes another may
        give, and of dozens some always lie below. None where no theme parts any deal from those: a model that looks at
        nothing to act on cannot tell.
        """
        codes, _ = pd.factorize(pd.Series([themes.get(name, name) for name in self.names], dtype=object))
        parts = [self.points[:, codes == code].sum(axis=1) for code in np.unique(codes)]
        sums = np.array(parts).reshape(len(parts), len(self.points))
        tells = bool((np.abs(sums) >= LEAST_PULL).any())
        return np.asarray((sums > -LEAST_PULL).all(axis=0)) & tells

    def _changed(self, after: Mapping[str, Floats]) -> npt.NDArray[np.bool_]:
        found = np.zeros(self.points.shape, dtype=bool)
        for k, name in enumerate(self.names):
            if name in after:
                found[:, k] = _differs(after[name], self.value[:, k])
        return found


def _differs(new: Floats, old: Floats) -> npt.NDArray[np.bool_]:
    return np.asarray((new != old) & ~(np.isnan(new) & np.isnan(old)))


def actionable(company: Company) -> dict[str, Feature]:
    """Features of deals that somebody can act on, by name."""
    return {f.name: f for f in features("deal", company) if f.can_act}


def gaps_of(X: pd.DataFrame, win: WinModel, names: Collection[str], reasons: pd.DataFrame | None = None) -> Gaps:
    """Hold deals against those won from where they stand.

    Parameters
    ----------
    X : shape (n, p)
        Open deals with their features.
    names : collection of str
        Features to look at; those that the model does not use are left out.
    reasons : DataFrame, optional
        What the deals' chances are made of, where that is known: entity_id, feature, contribution.

    Raises
    ------
    NoWonDeals
        If the model does not know what deals that were won had.
    """
    won = win.won_deals()
    mine = [k for k, name in enumerate(won.names) if name in names]
    kept = [won.names[k] for k in mine]
    margin, usual = won.beside(X)
    parts, total = _parts(X, win, kept, reasons)
    base = float(win.reference_logit_)
    start = float(probability(np.array([base]))[0])
    moved = safe_logit(start + total) - base
    small = np.abs(moved) < 1e-9
    slope = np.where(small, start * (1 - start), total / np.where(small, 1.0, moved))
    value = np.column_stack([values(X, name) for name in kept] or [np.zeros((len(X), 0))])
    return Gaps(kept, parts - slope[:, None] * margin[:, mine], value, usual[:, mine])


def _parts(X: pd.DataFrame, win: WinModel, names: list[str], reasons: pd.DataFrame | None) -> tuple[Floats, Floats]:
    """Contributions to the chance of each deal, shape (n, names), and the sum of all, shape (n,)."""
    if reasons is None:
        explained = win.explain(X)
        every = np.asarray(explained.values, dtype=np.float64)
        place = [list(explained.feature_names).index(name) for name in names]
        return every[:, place], every.sum(axis=1)
    deals, columns = pd.Index(X["deal_id"].to_numpy(object)), pd.Index(names, dtype=object)
    row = deals.get_indexer(pd.Index(reasons["entity_id"].to_numpy(object)))
    column = columns.get_indexer(pd.Index(reasons["feature"].to_numpy(object)))
    points = reasons["contribution"].to_numpy(np.float64)
    parts, total = np.zeros((len(X), len(names))), np.zeros(len(X))
    here = row >= 0
    np.add.at(total, row[here], points[here])
    here &= column >= 0
    parts[row[here], column[here]] = points[here]
    return parts, total
