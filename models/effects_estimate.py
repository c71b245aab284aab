"""An action's mean effect by doubly robust machine learning: folds by deal, errors by what the actions depend on."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.effects_nuisance import FOLDS, Expected, Folds, Learner, expected, folds_of
from models.encoding import Encoder
from models.learners import Floats, one_thread

Ints = npt.NDArray[np.intp]
LEARNERS: tuple[Learner, ...] = ("linear", "trees")
Z90 = 1.645
_CLIP = 0.01
_OVERLAP = (0.02, 0.98)


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean effect with its standard error, in probability."""

    value: float
    se: float

    @property
    def low(self) -> float:
        """Lower end of the 90 % interval."""
        return self.value - Z90 * self.se

    @property
    def high(self) -> float:
        """Upper end of the 90 % interval."""
        return self.value + Z90 * self.se


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean effect and what it rests on.

    Parameters
    ----------
    mean : Mean
        Over all rows, each weighted by how far it could have gone either way: chance x (1 - chance).
    everyone : Mean
        Over all rows alike.
    trimmed : Mean
        Over rows whose chance of the action lies between .02 and .98.
    scores : shape (n,)
        What each row says: psi, whose average is the effect.
    weights : shape (n,)
        How far each row could have gone either way; 1 on average.
    chance : shape (n,)
        Estimated chance of the action, before it is clipped.
    overlap, clipped : float
        Share of rows with a chance between .02 and .98, and of those whose chance was clipped at .01 or .99.
    """

    mean: Mean
    everyone: Mean
    trimmed: Mean
    scores: Floats
    weights: Floats
    chance: Floats
    overlap: float
    clipped: float


@dataclass(frozen=True, slots=True)
class Confounders:
    """What was known before the week, as a matrix for each kind of learner, shape (n, p)."""

    linear: Floats
    trees: Floats

    @classmethod
    def of(cls, X: pd.DataFrame) -> Confounders:
        """From a feature table, shape (n, p); keys and private columns are left out."""
        encoder = Encoder(min_rows=50).fit(X)
        trees = encoder.trees(X)
        # A missing value is a value of its own to trees; the library behind wants none.
        return cls(encoder.linear(X), np.where(np.isnan(trees), -999.0, trees))

    def take(self, rows: Ints) -> Confounders:
        """Some rows."""
        return Confounders(self.linear[rows], self.trees[rows])


def clustered(scores: Floats, clusters: npt.ArrayLike, weights: Floats | None = None) -> Mean:
    """Mean of scores, shape (n,), with an error that lets scores of one cluster, shape (n,), move together.

    se = sqrt(sum over clusters of (sum in it of w (score - mean))^2) / sum of w.
    """
    w = np.ones(len(scores)) if weights is None else weights
    mean = float(w @ scores / w.sum())
    codes, _ = pd.factorize(np.asarray(clusters))
    sums = np.bincount(codes, weights=w * (scores - mean))
    return Mean(mean, float(np.sqrt((sums**2).sum()) / w.sum()))


def plain_difference(y: Floats, treated: npt.NDArray[np.bool_], clusters: npt.ArrayLike) -> Mean:
    """Mean outcome with the action less that without, nothing adjusted."""
    share = treated.mean()
    with_it, without = float(y[treated].mean()), float(y[~treated].mean())
    scores = np.where(treated, (y - with_it) / share, -(y - without) / (1 - share))
    return Mean(with_it - without, clustered(scores, clusters).se)


def estimate(
    X: Confounders,
    y: Floats,
    treated: npt.NDArray[np.bool_],
    *,
    deals: npt.ArrayLike,
    clusters: npt.ArrayLike | None = None,
    learner: Learner = "linear",
    seed: int = 0,
) -> Estimate:
    """Estimate the mean effect of an action on an outcome, over all rows.

    Parameters
    ----------
    X : Confounders
        What was known before, n rows.
    y : shape (n,)
        Outcome: 0 or 1, or any number where rows not yet over are weighted.
    treated : bool, shape (n,)
        Whether the action was taken; at least one of each.
    deals : shape (n,)
        All rows of a deal fall into one fold.
    clusters : shape (n,), optional
        What the actions depend on where that is coarser than a deal, such as a colleague's leaving; unset: the deal.
    learner : {'linear', 'trees'}
        Ridge logistic or small boosted trees for outcome and chance of the action; see `models.effects_nuisance`.

    References
    ----------
    Chernozhukov et al. (2018), "Double/debiased machine learning for treatment and structural parameters".
    Li, Morgan and Zaslavsky (2018), "Balancing covariates via propensity score weighting", for the weights: a row that
    was as good as sure to go one way tells next to nothing, and counted in full it would drown the others.
    """
    codes, _ = pd.factorize(np.asarray(deals))
    matrix: Floats = getattr(X, learner)
    folds = folds_of(codes)
    with one_thread(), _quiet():
        told = expected(matrix, y, treated, folds, learner=learner, seed=seed)
        scores = _scores(matrix, y, treated, folds, told)
    chance = told.chance
    groups = codes if clusters is None else clusters
    inside = (chance > _OVERLAP[0]) & (chance < _OVERLAP[1])
    trimmed = clustered(scores[inside], np.asarray(groups)[inside]) if inside.any() else Mean(np.nan, np.inf)
    clipped = float(((chance <= _CLIP) | (chance >= 1 - _CLIP)).mean())
    weights = either_way(chance)
    mean, everyone = clustered(scores, groups, weights), clustered(scores, groups)
    return Estimate(mean, everyone, trimmed, scores, weights, chance, float(inside.mean()), clipped)


def either_way(chance: Floats) -> Floats:
    """Weight of rows by their chance of the action, both shape (n,): chance x (1 - chance), 1 on average."""
    inside = np.clip(chance, _CLIP, 1 - _CLIP)
    weights = inside * (1 - inside)
    return weights / weights.mean()


def _scores(X: Floats, y: Floats, treated: npt.NDArray[np.bool_], folds: Folds, told: Expected) -> Floats:
    """What each row says of the effect, shape (n,): psi of the doubly robust score, from what was expected of it."""
    from doubleml import DoubleMLData, DoubleMLIRM
    from doubleml.utils import DMLDummyClassifier, DMLDummyRegressor, PSProcessorConfig

    model = DoubleMLIRM(
        DoubleMLData.from_arrays(X[:, :1], y, treated.astype(np.float64)),
        DMLDummyRegressor(),
        DMLDummyClassifier(),
        n_folds=FOLDS,
        ps_processor_config=PSProcessorConfig(clipping_threshold=_CLIP),
        draw_sample_splitting=False,
    )
    model.set_sample_splitting(folds)
    parts = {"ml_g0": told.without, "ml_g1": told.with_it, "ml_m": told.chance}
    model.fit(external_predictions={"d": {name: values[:, None] for name, values in parts.items()}})
    return np.asarray(model.psi_elements["psi_b"], dtype=np.float64).reshape(-1)


class _quiet(warnings.catch_warnings):  # noqa: N801
    """Without what the library says about its own future, matrices without names, and a figure not used here."""

    def __enter__(self) -> Any:
        found = super().__enter__()
        warnings.simplefilter("ignore", FutureWarning)
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        warnings.filterwarnings("ignore", message="The estimated nu2")
        return found
