"""The learnt part of the win model: won and lost in each bin ahead, and 'won in the end', from a deal's fields."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.encoding import Encoder, Reading, numeric
from models.learners import Blend, Floats, Matrix, TreeShape, even_rows, probability, safe_logit
from models.win_calendar import ClosingCalendar, seconds_of
from models.win_curve import BinRows, Curves, Fate, bin_rows, curves_of, known_bins

Rows = npt.NDArray[np.intp]
_LAG_COLUMNS = 4  # weeks ahead, the calendar's pull on a win and on a loss, the deal's age by then
_AGE = "days_open"
_LAG_GROUPS = np.array([1.0, 4.0, 13.0]) * 7  # days: where the logistic lets a stage's odds change
_CHUNK = 2_000
_MOST_HELD = 50_000


@dataclass(frozen=True, slots=True)
class Mix:
    """Shares: of the trees against the logistic, and of 'won in the end' against the curve."""

    trees: float = 0.5
    ever: float = 0.5


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is spent on one fit: trees (0: none) and their shape, rows for them, rows for the logistics (0: none).

    `ever`: whether the classifier of the end is fitted.
    """

    trees: int = 150
    rows: int = 150_000
    linear_rows: int = 40_000
    shape: TreeShape = field(default_factory=TreeShape)
    ever: bool = True

    def only(self, mix: Mix) -> Effort:
        """The same without the learners that have no share in a mix: they would be kept, and asked, for nothing."""
        return replace(
            self,
            trees=self.trees if mix.trees > 0 else 0,
            linear_rows=self.linear_rows if mix.trees < 1 else 0,
            ever=self.ever and mix.ever > 0,
        )


@dataclass(frozen=True, slots=True)
class Parts:
    """What the learners say of n deals, unmixed: log odds of the bins, shape (n, k), and of the end, shape (n,)."""

    won: tuple[Floats, Floats]
    lost: tuple[Floats, Floats]
    ever: tuple[Floats, Floats]

    def curves(self, edges: Floats, mix: Mix) -> Curves:
        """Curves whose end is the mean of the logits of the curve and of the classifier of the end."""
        won, lost, ever = (mix.trees * t + (1 - mix.trees) * z for t, z in (self.won, self.lost, self.ever))
        curves = curves_of(edges, probability(won), probability(lost))
        if not mix.ever:
            return curves
        return curves.scaled(probability((1 - mix.ever) * safe_logit(curves.ever) + mix.ever * ever))


class WinCore:
    """Landmark competing risks with the lag as a feature, beside a classifier of the end.

    Parameters
    ----------
    edges : shape (bins + 1,)
        Edges of the bins in days.
    calendar : ClosingCalendar
        How a bin's days pull closings: known ahead, and so a feature.

    References
    ----------
    van Houwelingen (2007), "Dynamic prediction by landmarking in event history analysis".
    """

    def __init__(self, edges: Floats, *, effort: Effort, calendar: ClosingCalendar, random_state: int = 0) -> None:
        self.edges = edges
        self.effort = effort
        self.calendar = calendar
        self.random_state = random_state

    def fit(
        self, X: pd.DataFrame, what: Fate, *, weight: Floats | None = None, leave_out: Collection[str] = ()
    ) -> Self:
        """Learn from snapshots and their fate.

        Parameters
        ----------
        X : shape (n, p)
            Keys and features.
        weight : shape (n,), optional
            How much a row counts.
        leave_out : collection of str
            Features not to look at.
        """
        weight = np.ones(len(X)) if weight is None else weight
        self.encoder_ = Encoder().fit(X.drop(columns=[name for name in leave_out if name in X]))
        pairs = bin_rows(what, self.edges)
        self.known_ = known_bins(pairs, len(self.edges) - 1)
        usable = np.flatnonzero((pairs.bin < self.known_) & (weight[pairs.row] > 0))
        pairs = pairs.take(usable[even_rows(len(usable), self.effort.rows, self.random_state)])
        staying = pairs.take(np.flatnonzero(~pairs.won))
        self.won_ = self._fit_bins(X, pairs, pairs.won, weight)
        self.lost_ = self._fit_bins(X, staying, staying.lost, weight)
        self.ever_ = self._fit_ever(X, what, weight)
        return self

    @property
    def names(self) -> list[str]:
        """Features in use, in the order of `contributions`."""
        return self.encoder_.names_

    def parts(self, X: pd.DataFrame | list[Reading]) -> Parts:
        """Log odds of deals X, shape (n, p), unmixed; several models need not read it each, see `readings`."""
        chunks = [self._parts(some) for some in (X if isinstance(X, list) else _read(X))]
        won, lost, ever = (
            tuple(np.concatenate([getattr(c, name)[side] for c in chunks]) for side in (0, 1))
            for name in ("won", "lost", "ever")
        )
        return Parts((won[0], won[1]), (lost[0], lost[1]), (ever[0], ever[1]))

    def contributions(self, X: pd.DataFrame, mix: Mix) -> Floats:
        """What moves the log odds of being won, by feature, shape (n, features).

        The classifier of the end by its own trees and coefficients; the curve by those of each bin and the chain rule.
        """
        p = len(self.names)
        owner = self.encoder_.linear_feature_
        total = np.zeros((len(X), p))
        if mix.ever:
            total += mix.ever * self.ever_.contributions(self._plain(X), mix.trees, owner)[:, :p]
        if mix.ever < 1:
            total += (1 - mix.ever) * self._curve_contributions(X, mix, owner)
        return total

    def _fit_bins(self, X: pd.DataFrame, pairs: BinRows, y: npt.NDArray[np.bool_], weight: Floats) -> Blend:
        linear = even_rows(len(pairs.row), self.effort.linear_rows, self.random_state)
        some = pairs.take(linear)
        pulls, some_pulls = (self._pulls(X, each.row, each.bin) for each in (pairs, some))
        trees, line = _of_rows(self.encoder_.trees, X, pairs.row), _of_rows(self.encoder_.linear, X, some.row)
        matrix = Matrix(
            self._lagged_trees(trees, numeric(X, _AGE), pairs.row, pairs.bin, pulls),
            self._lagged_linear(line, some.row, some.bin, some_pulls),
        )
        blend = Blend(trees=self.effort.trees, shape=self.effort.shape, random_state=self.random_state)
        return blend.fit(
            matrix, y, categorical=self.encoder_.categorical_, linear_rows=linear, weight=weight[pairs.row]
        )

    def _fit_ever(self, X: pd.DataFrame, what: Fate, weight: Floats) -> Blend:
        rows = np.flatnonzero(what.closed & (weight > 0))
        rows = rows[even_rows(len(rows), self.effort.rows if self.effort.ever else 0, self.random_state)]
        linear = even_rows(len(rows), self.effort.linear_rows, self.random_state)
        matrix = Matrix(self.encoder_.trees(X.iloc[rows]), self.encoder_.linear(X.iloc[rows[linear]]))
        blend = Blend(trees=self.effort.trees, shape=self.effort.shape, random_state=self.random_state)
        # All rows of a deal tell of one end: the penalties are measured against deals, not rows.
        once = weight[rows] * X["deal_id"].iloc[rows].nunique() / max(1, len(rows))
        return blend.fit(
            matrix, what.won[rows], categorical=self.encoder_.categorical_, linear_rows=linear, weight=once
        )

    def _parts(self, read: Reading) -> Parts:
        plain = Matrix(*self.encoder_.both(read))
        matrix = self._lagged(read, plain)
        shape = (len(read.X), self.known_)
        won, lost = self.won_.parts(matrix), self.lost_.parts(matrix)
        return Parts(
            (won[0].reshape(shape), won[1].reshape(shape)),
            (lost[0].reshape(shape), lost[1].reshape(shape)),
            self.ever_.parts(plain),
        )

    def _plain(self, X: pd.DataFrame) -> Matrix:
        return Matrix(self.encoder_.trees(X), self.encoder_.linear(X))

    def _lagged(self, read: Reading, plain: Matrix) -> Matrix:
        X = read.X
        row = np.repeat(np.arange(len(X)), self.known_)
        bin_ = np.tile(np.arange(self.known_), len(X))
        each = plain.take(row)
        # Models on resampled deals have the calendar and the bins of the model that they stand beside.
        if (key := (self.calendar, self.edges.tobytes(), self.known_)) not in read.kept:
            read.kept[key] = self._pulls(X, row, bin_)
        pulls = read.kept[key]
        return Matrix(
            self._lagged_trees(each.trees, read.numbers([_AGE])[:, 0], row, bin_, pulls),
            self._lagged_linear(each.linear, row, bin_, pulls),
        )

    def _lagged_trees(self, plain: Floats, age: Floats, row: Rows, bin_: Rows, pulls: Floats) -> Floats:
        """The matrix of each pair's row with its bin, shape (m, p + lag columns); `plain` has shape (m, p).

        `age` is that of the deals in days, shape (n,).
        """
        lag = self._middle(bin_)
        # At the end, so that the codes' columns keep their numbers.
        # Trees can't add: an age at which deals end shows only in the sum of age and lag.
        return np.column_stack([plain, lag / 7, pulls, age[row] + lag])

    def _lagged_linear(self, plain: Floats, row: Rows, bin_: Rows, pulls: Floats) -> Floats:
        """As `_lagged_trees`, for the logistic."""
        lag = self._middle(bin_)
        bins = (bin_[:, None] == np.arange(self.known_)).astype(np.float64)
        later = (lag[:, None] > _LAG_GROUPS).astype(np.float64)
        stage = plain[:, self._stage_columns()]
        crossed = (stage[:, :, None] * later[:, None, :]).reshape(len(row), stage.shape[1] * len(_LAG_GROUPS))
        return np.hstack([plain, crossed, bins, pulls])

    def _stage_columns(self) -> Rows:
        names = self.encoder_.names_
        return np.flatnonzero(self.encoder_.linear_feature_ == (names.index("stage") if "stage" in names else -1))

    def _middle(self, bin_: Rows) -> Floats:
        return (self.edges[bin_] + self.edges[bin_ + 1]) / 2

    def _pulls(self, X: pd.DataFrame, row: Rows, bin_: Rows) -> Floats:
        """Log of the calendar's pull on a win and on a loss in each bin, shape (m, 2)."""
        start = seconds_of(X["as_of"])[row]
        low, high = self.edges[bin_], self.edges[bin_ + 1]
        return np.log(np.column_stack([self.calendar.pull(start, low, high, won=won) for won in (True, False)]))

    def _curve_contributions(self, X: pd.DataFrame, mix: Mix, owner: Rows) -> Floats:
        n, p, k = len(X), len(self.names), self.known_
        matrix = self._lagged(Reading(X), self._plain(X))
        trees_p = matrix.trees.shape[1]
        lag_owner = self._lag_owner(owner, matrix.linear.shape[1], trees_p)
        won = self.won_.contributions(matrix, mix.trees, lag_owner).reshape(n, k, trees_p + 1)
        lost = self.lost_.contributions(matrix, mix.trees, lag_owner).reshape(n, k, trees_p + 1)
        by_won, by_lost = _slopes(won.sum(axis=2), lost.sum(axis=2))
        if _AGE in self.names:
            for parts in (won, lost):
                parts[:, :, self.names.index(_AGE)] += parts[:, :, trees_p - 1]
        return np.einsum("nk,nkp->np", by_won, won[:, :, :p]) + np.einsum("nk,nkp->np", by_lost, lost[:, :, :p])

    def _lag_owner(self, owner: Rows, width: int, trees_p: int) -> Rows:
        stage = self._stage_columns()
        crossed = np.repeat(owner[stage], len(_LAG_GROUPS))
        rest = np.full(width - len(owner) - len(crossed), trees_p - _LAG_COLUMNS)  # the lag's own column
        return np.concatenate([owner, crossed, rest])


def readings(X: pd.DataFrame) -> list[Reading] | None:
    """Deals X, shape (n, p), to be given to `WinCore.parts` of several models; None where they are too many to hold."""
    return list(_read(X)) if len(X) <= _MOST_HELD else None


def _read(X: pd.DataFrame) -> Iterator[Reading]:
    return (Reading(X.iloc[at : at + _CHUNK]) for at in range(0, max(len(X), 1), _CHUNK))


def _of_rows(encode: Callable[[pd.DataFrame], Floats], X: pd.DataFrame, row: Rows) -> Floats:
    """The matrix of some rows of X, with repeats allowed; each is encoded once."""
    seen, at = np.unique(row, return_inverse=True)
    return encode(X.iloc[seen])[at]


def _slopes(won_logits: Floats, lost_logits: Floats) -> tuple[Floats, Floats]:
    """How the log odds of the curve's end move with each bin's log odds of won and of lost, each shape (n, k)."""
    w, l = probability(won_logits), probability(lost_logits)  # noqa: E741
    staying = (1 - w) * (1 - l)
    still = np.cumprod(np.column_stack([np.ones(len(w)), staying[:, :-1]]), axis=1)
    gained = still * w
    after = gained.sum(axis=1, keepdims=True) - np.cumsum(gained, axis=1)
    end = np.clip(gained.sum(axis=1, keepdims=True), 1e-9, 1 - 1e-9)
    scale = end * (1 - end)
    return w * (still * (1 - w) - after) / scale, -l * after / scale
