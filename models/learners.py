"""A binary learner of two kinds: small boosted trees and a ridge logistic, blended on the logit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Self, TypeVar

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from threadpoolctl import ThreadpoolController

from models.fast_contributions import tree_contributions

T = TypeVar("T")
Floats = npt.NDArray[np.float64]
# One thread a model: where other work holds a core, two that wait for each other took 20 times as long. Models that do
# not need each other are fitted side by side instead.
THREADS = 1
WORKERS = 2
_EDGE = 1e-6
_LONGEST_STEP = 0.2


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep the linear algebra inside to one thread, for the same reason."""
    with _pools().limit(limits=1):
        yield


@cache
def _pools() -> ThreadpoolController:
    return ThreadpoolController()


def side_by_side(tasks: Sequence[Callable[[], T]]) -> list[T]:
    """Run tasks on two threads and give their results in order; LightGBM and NumPy let go of Python meanwhile."""
    with one_thread(), ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(lambda task: task(), tasks))


def safe_logit(p: Floats) -> Floats:
    """Logit of probabilities kept off 0 and 1."""
    return np.asarray(logit(np.clip(p, _EDGE, 1 - _EDGE)), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Matrix:
    """The same rows for trees, shape (n, p), and for the linear model, shape (n, q)."""

    trees: Floats
    linear: Floats

    def take(self, rows: npt.NDArray[np.intp]) -> Matrix:
        """Some rows, with repeats allowed."""
        return Matrix(self.trees[rows], self.linear[rows])


@dataclass(frozen=True, slots=True)
class Line:
    """A fitted logistic, log odds `intercept + x @ slopes`, and the mean x: slopes and mean have shape (q,)."""

    slopes: Floats
    intercept: float
    mean: Floats


@dataclass(frozen=True, slots=True)
class TreeShape:
    """How boosted trees are grown; `penalty` is the leaves' where half the rows are true, `depth` -1 sets no limit.

    The defaults hold back strongly, as rows of one deal repeat each other and most fields say little.
    """

    leaves: int = 15
    depth: int = 6
    min_rows: int = 100
    penalty: float = 10.0
    rate: float = 0.05
    row_share: float = 0.7
    column_share: float = 0.7

    def for_fewer(self, times: float) -> TreeShape:
        """The shape for so many times fewer trees: steps longer by that, else they would stop half-way to the data."""
        return replace(self, rate=max(self.rate, min(_LONGEST_STEP, self.rate * times)))


class Blend:
    """Boosted trees and ridge logistic for one binary outcome; which share each has is decided by the caller.

    Parameters
    ----------
    trees : int
        Number of trees; 0 leaves the boosted part out.
    ridge : float
        Inverse strength of the logistic's ridge; 0 leaves the logistic out.
    shape : TreeShape, optional
        How the trees are grown.
    """

    def __init__(
        self, *, trees: int = 150, ridge: float = 0.1, shape: TreeShape | None = None, random_state: int = 0
    ) -> None:
        self.trees = trees
        self.ridge = ridge
        self.shape = shape or TreeShape()
        self.random_state = random_state

    def fit(
        self,
        X: Matrix,
        y: npt.NDArray[np.bool_],
        *,
        categorical: list[int],
        linear_rows: npt.NDArray[np.intp] | None = None,
        weight: Floats | None = None,
    ) -> Self:
        """Fit both parts.

        Parameters
        ----------
        X : Matrix
            n rows for the trees; `X.linear` holds only the rows `linear_rows` (all n where that is None).
        y, weight : shape (n,)
            Outcomes, and how often a row counts.
        categorical : list of int
            Columns of `X.trees` that are codes.
        """
        weight = np.ones(len(y)) if weight is None else weight
        share = (weight @ y + 0.5) / (weight.sum() + 1.0)
        self.rate_ = float(logit(share))
        self.booster_: lgb.Booster | None = None
        self.line_: Line | None = None
        if 0 < y.sum() < len(y):
            self._fit_trees(X.trees, y, weight, categorical)
            rows = np.arange(len(y)) if linear_rows is None else linear_rows
            self._fit_linear(X.linear, y[rows], weight[rows])
        return self

    def logits(self, X: Matrix, mix: float) -> Floats:
        """Log odds, shape (n,); `mix` is the share of the trees, 0 to 1."""
        trees, linear = self.parts(X)
        return mix * trees + (1 - mix) * linear

    def parts(self, X: Matrix) -> tuple[Floats, Floats]:
        """Log odds of the trees and of the logistic, each shape (n,); the other's where one was left out."""
        trees = linear = None
        if self.booster_ is not None:
            trees = np.asarray(self.booster_.predict(X.trees, raw_score=True, num_threads=THREADS))
        if self.line_ is not None:
            linear = X.linear @ self.line_.slopes + self.line_.intercept
        constant = np.full(len(X.trees), self.rate_)
        trees = trees if trees is not None else linear if linear is not None else constant
        return trees, linear if linear is not None else trees

    def contributions(self, X: Matrix, mix: float, owner: npt.NDArray[np.intp]) -> Floats:
        """Parts of the log odds by tree column, shape (n, p + 1), the last for what no column moves.

        Parameters
        ----------
        owner : shape (q,)
            Tree column that each linear column belongs to.

        References
        ----------
        Lundberg et al. (2020), "From local explanations to global understanding with explainable AI for trees".
        """
        n, p = X.trees.shape
        trees = linear = None
        if self.booster_ is not None:
            trees = tree_contributions(self.booster_, X.trees, threads=THREADS)
        if self.line_ is not None:
            linear = np.zeros((n, p + 1))
            moved = (X.linear - self.line_.mean) * self.line_.slopes
            for column, feature in enumerate(owner):
                linear[:, feature] += moved[:, column]
            linear[:, -1] = self.line_.intercept + self.line_.mean @ self.line_.slopes
        constant = np.zeros((n, p + 1))
        constant[:, -1] = self.rate_
        trees = trees if trees is not None else linear if linear is not None else constant
        return mix * trees + (1 - mix) * (linear if linear is not None else trees)

    def _fit_trees(self, T: Floats, y: npt.NDArray[np.bool_], weight: Floats, categorical: list[int]) -> None:
        if not self.trees or not T.shape[1]:
            return
        share = float(np.clip(weight @ y / weight.sum(), 0.001, 0.999))
        shape = self.shape
        settings = {
            "objective": "binary",
            "num_leaves": shape.leaves,
            "max_depth": shape.depth,
            "learning_rate": shape.rate,
            "min_data_in_leaf": int(np.clip(len(y) / 20, 5, shape.min_rows)),
            "bagging_fraction": shape.row_share,
            "bagging_freq": 1,
            "feature_fraction": shape.column_share,
            # A row of a rarer outcome tells less, in proportion to its variance.
            "lambda_l2": shape.penalty * 4 * share * (1 - share),
            "max_bin": 127,
            "cat_smooth": 20.0,
            "seed": self.random_state,
            "num_threads": THREADS,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        rows = lgb.Dataset(
            T, y.astype(np.float64), weight=weight, categorical_feature=categorical, free_raw_data=True, params=settings
        )
        self.booster_ = lgb.train(settings, rows, num_boost_round=self.trees)

    def _fit_linear(self, Z: Floats, y: npt.NDArray[np.bool_], weight: Floats) -> None:
        if not self.ridge or not Z.shape[1]:
            return
        if not 0 < y.sum() < len(y):
            return
        model = LogisticRegression(C=self.ridge, solver="newton-cholesky", max_iter=50, tol=1e-3)
        model.fit(Z, y, sample_weight=weight)
        self.line_ = Line(model.coef_[0], float(model.intercept_[0]), np.average(Z, axis=0, weights=weight))


def even_rows(n: int, cap: int, seed: int) -> npt.NDArray[np.intp]:
    """Indices of at most `cap` of n rows, each as likely as any other, in order."""
    if n <= cap:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, cap, replace=False))


def probability(logits: Floats) -> Floats:
    """Probabilities of log odds."""
    return np.asarray(expit(logits), dtype=np.float64)
