"""An action's effect in parts of the business: each drawn towards the mean as far as chance explains the difference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.effects_estimate import Mean, clustered
from models.learners import Floats

DIMENSIONS = ("stage", "segment", "kind")
"""Stage, the customer's size and the kind of deal: few, and set beforehand."""
LEAST_TREATED = 40


@dataclass(frozen=True, slots=True)
class Segment:
    """One part.

    Parameters
    ----------
    own : Mean
        From its rows alone.
    shrunk : float
        Drawn towards the mean of all parts.
    between : float
        Variance between parts, tau squared.
    """

    dimension: str
    level: str
    rows: int
    treated: int
    own: Mean
    shrunk: float
    between: float


def shrink(own: list[Mean]) -> tuple[Floats, float]:
    """Effects of parts drawn towards their weighted mean, shape (k,), and the variance between parts.

    References
    ----------
    DerSimonian and Laird (1986), "Meta-analysis in clinical trials".
    """
    value, variance = np.array([m.value for m in own]), np.array([m.se**2 for m in own])
    w = 1 / variance
    centre = float(w @ value / w.sum())
    q = float(w @ (value - centre) ** 2)
    spare = w.sum() - (w**2).sum() / w.sum()
    between = max(0.0, (q - (len(own) - 1)) / spare) if spare > 0 else 0.0
    return centre + between / (between + variance) * (value - centre), between


def segments(
    X: pd.DataFrame,
    scores: Floats,
    treated: npt.NDArray[np.bool_],
    clusters: npt.ArrayLike,
    weights: Floats | None = None,
) -> list[Segment]:
    """Effects by stage, customer size and kind; parts with too few rows with the action are left out.

    Parameters
    ----------
    X : shape (n, p)
        Features of the rows.
    scores : shape (n,)
        psi of the rows, whose mean is the effect.
    weights : shape (n,), optional
        How much each row counts; unset: all alike.
    """
    groups = np.asarray(clusters)
    w = np.ones(len(scores)) if weights is None else weights
    found: list[Segment] = []
    for dimension in DIMENSIONS:
        if dimension not in X:
            continue
        labels = X[dimension].astype(object).to_numpy(object)
        levels = [level for level in pd.unique(labels) if isinstance(level, str)]
        rows = {level: np.flatnonzero(labels == level) for level in sorted(levels)}
        rows = {level: r for level, r in rows.items() if treated[r].sum() >= LEAST_TREATED}
        own = {level: clustered(scores[r], groups[r], w[r]) for level, r in rows.items()}
        if len(own) < 2 or any(mean.se <= 0 for mean in own.values()):
            continue
        shrunk, between = shrink(list(own.values()))
        found += [
            Segment(dimension, level, len(rows[level]), int(treated[rows[level]].sum()), mean, float(value), between)
            for (level, mean), value in zip(own.items(), shrunk, strict=True)
        ]
    return found


def of_deals(
    X: pd.DataFrame, mean: float, table: Mapping[tuple[str, str], tuple[float, float]]
) -> tuple[Floats, Floats]:
    """Effects for deals, shape (n,), and the least of their parts' own estimates, shape (n,).

    Parameters
    ----------
    mean : float
        Effect over all rows.
    table : mapping of (dimension, level) to (shrunk, own)
        By part; a deal in none of a dimension's parts takes the mean there.
    """
    value, least = np.full(len(X), mean), np.full(len(X), np.inf)
    for dimension in DIMENSIONS:
        parts = {level: pair for (name, level), pair in table.items() if name == dimension}
        if not parts or dimension not in X:
            continue
        centre = float(np.mean([shrunk for shrunk, _ in parts.values()]))
        labels = X[dimension].astype(object).to_numpy(object)
        value = value + np.array([parts[x][0] - centre if x in parts else 0.0 for x in labels])
        least = np.minimum(least, np.array([parts[x][1] if x in parts else np.inf for x in labels]))
    return value, least
