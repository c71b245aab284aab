"""What to expect of a row before an action: chance of the action, outcome without and with it; each by other deals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.model_selection import GroupKFold

from models.learners import THREADS, Floats

Ints = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]
Folds = list[tuple[Ints, Ints]]
Learner = Literal["linear", "trees"]
FOLDS = 4
MOST_TRIED = 8_000
"""Rows that the strength of a penalty is chosen on; more would cost time and say the same."""
_STRENGTHS = (0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
_TREES: dict[str, Any] = {
    "n_estimators": 60, "num_leaves": 10, "learning_rate": 0.08, "min_child_samples": 40, "colsample_bytree": 0.6,
    "subsample": 0.7, "subsample_freq": 1, "reg_lambda": 5.0, "max_bin": 63, "verbosity": -1, "deterministic": True,
    "force_row_wise": True,
}  # fmt: skip
_TREE_COUNTS = (60, 30, 15, 8)


@dataclass(frozen=True, slots=True)
class Expected:
    """What learners that had not seen a row's deal expect of it, all of shape (n,).

    Parameters
    ----------
    without, with_it : float
        Outcome without and with the action.
    chance : float
        Of the action, between 0 and 1.
    """

    without: Floats
    with_it: Floats
    chance: Floats


def folds_of(deals: Ints) -> Folds:
    """Rows to learn from and rows to judge, all rows of a deal on one side."""
    splits = GroupKFold(n_splits=FOLDS, shuffle=True, random_state=0).split(np.zeros(len(deals)), groups=deals)
    return [(learnt, judged) for learnt, judged in splits]


def expected(X: Floats, y: Floats, treated: Flags, folds: Folds, *, learner: Learner, seed: int = 0) -> Expected:
    """Learn outcome and chance of the action, each no finer than serves deals that were not seen.

    Parameters
    ----------
    X : shape (n, p)
        What was known before.
    y : shape (n,)
        Outcome.
    treated : bool, shape (n,)
        Whether the action was taken.

    Notes
    -----
    A penalty set beforehand does harm either way: hundreds of columns against a few thousand rows, of which some
    hundred have the action, make a light one say less of new deals than their mean does, and a heavy one leaves out
    what did drive the action. So it is chosen by what it says of deals left out.
    Rows with the action are few. The outcome with it is therefore that without it and a step that is the same for all;
    where the effect is not the same for all, the chance of the action still makes up for it in the mean.
    """
    crossed = _linear if learner == "linear" else _trees
    without = crossed(X, y, ~treated, folds, seed)
    with_it = without.copy()
    for learnt, judged in folds:
        acted = learnt[treated[learnt]]
        with_it[judged] += (y[acted] - without[acted]).mean() if len(acted) else 0.0
    everyone = np.ones(len(y), dtype=bool)
    return Expected(without, with_it, crossed(X, treated.astype(np.float64), everyone, folds, seed))


def _linear(X: Floats, y: Floats, use: Flags, folds: Folds, seed: int) -> Floats:
    make = _ridge(y, _strength(X, y, use & _some(len(y), seed), folds))
    said = np.empty(len(y))
    for learnt, judged in folds:
        rows = learnt[use[learnt]]
        same = _says_nothing(y[rows])
        said[judged] = _level(y, rows) if same else _told(make().fit(X[rows], y[rows]), X[judged])
    return said


def _strength(X: Floats, y: Floats, use: Flags, folds: Folds) -> float:
    """The C of `_STRENGTHS` that says most of deals left out.

    By least squares, where one decomposition a fold serves every strength: near its mean a logistic loss bends by
    p (1 - p) where a squared one bends by 1.
    """
    lost, bend = np.zeros(len(_STRENGTHS)), max(float(y[use].var()), 1e-6)
    for learnt, judged in folds:
        rows, asked = learnt[use[learnt]], judged[use[judged]]
        if _says_nothing(y[rows]):
            continue
        centre, level = X[rows].mean(axis=0), y[rows].mean()
        values, axes = np.linalg.eigh((X[rows] - centre).T @ (X[rows] - centre))
        slopes = axes.T @ ((X[rows] - centre).T @ (y[rows] - level))
        turned = (X[asked] - centre) @ axes
        for place, strength in enumerate(_STRENGTHS):
            said = level + turned @ (slopes / (values + 1 / (strength * bend)))
            lost[place] += ((y[asked] - said) ** 2).sum()
    return _STRENGTHS[int(np.argmin(lost))]


def _ridge(y: Floats, strength: float) -> Callable[[], Any]:
    if is_binary(y):
        return lambda: LogisticRegression(C=strength, solver="newton-cholesky", max_iter=50, tol=1e-3)
    return lambda: Ridge(alpha=1 / (strength * float(y.var())))


def _trees(X: Floats, y: Floats, use: Flags, folds: Folds, seed: int) -> Floats:
    """Fitted once a fold; how many of the trees count is chosen by what they say of deals left out."""
    make = lgb.LGBMClassifier if is_binary(y) else lgb.LGBMRegressor
    said = np.empty((len(_TREE_COUNTS), len(y)))
    for learnt, judged in folds:
        rows = learnt[use[learnt]]
        if _says_nothing(y[rows]):
            said[:, judged] = _level(y, rows)
            continue
        model = make(**_TREES, random_state=seed, n_jobs=THREADS).fit(X[rows], y[rows])
        for place, count in enumerate(_TREE_COUNTS):
            said[place, judged] = _told(model, X[judged], num_iteration=count)
    return said[int(np.argmin([_loss(y, one, use) for one in said]))]


def _says_nothing(y: Floats) -> bool:
    """Whether there is nothing to learn: no row, or the same outcome in all."""
    return len(y) == 0 or bool(np.ptp(y) == 0)


def _level(y: Floats, rows: Ints) -> float:
    return float(y[rows].mean() if len(rows) else y.mean())


def _told(model: Any, X: Floats, **values: int) -> Floats:
    says = model.predict_proba(X, **values)[:, 1] if hasattr(model, "predict_proba") else model.predict(X, **values)
    return np.asarray(says, dtype=np.float64)


def _loss(y: Floats, said: Floats, use: Flags) -> float:
    if is_binary(y):
        return float(log_loss(y[use], np.clip(said[use], 1e-4, 1 - 1e-4), labels=[0.0, 1.0]))
    return float(((y[use] - said[use]) ** 2).mean())


def is_binary(y: Floats) -> bool:
    """Whether an outcome is 0 or 1 in every row."""
    return bool(np.isin(y, (0.0, 1.0)).all())


def _some(n: int, seed: int) -> Flags:
    """At most `MOST_TRIED` rows by chance, as flags of shape (n,)."""
    return np.random.default_rng(seed).permutation(n) < MOST_TRIED
