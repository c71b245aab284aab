"""Reasons in the outcome's own unit: contributions on the log odds carried over to probability points, adding up."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from models.learners import Floats, probability

if TYPE_CHECKING:
    import shap


def shared_remainder(parts: Floats, total: Floats) -> Floats:
    """Parts of shape (n, p) made to add up to `total`, shape (n,): what remains goes to each in proportion to its size.

    Where all parts of a row are 0 they share equally.
    """
    size = np.abs(parts)
    sums = size.sum(axis=1, keepdims=True)
    share = np.where(sums > 1e-12, size / np.where(sums > 1e-12, sums, 1.0), 1.0 / max(1, parts.shape[1]))
    return parts + share * (total - parts.sum(axis=1))[:, None]


def in_probability(parts: Floats, base: float) -> tuple[Floats, float]:
    """Contributions to the log odds as contributions to the probability.

    contribution_i = part_i (g(m) - g(b)) / (m - b) with g the logistic function, b the base, m = b + sum of parts;
    the limit g'(b) part_i where m = b. Signs and order are kept, and they add up exactly.

    Parameters
    ----------
    parts : shape (n, p)
        Contributions to the log odds.
    base : float
        Log odds from which they start.

    Returns
    -------
    tuple of array (n, p) and float
        Contributions in probability, and the probability they start from.
    """
    start = float(probability(np.array([base]))[0])
    moved = parts.sum(axis=1)
    small = np.abs(moved) < 1e-9
    rise = probability(base + moved) - start
    slope = np.where(small, start * (1 - start), rise / np.where(small, 1.0, moved))
    return parts * slope[:, None], start


def shown(X: pd.DataFrame, names: list[str]) -> np.ndarray[tuple[int, int], np.dtype[np.object_]]:
    """The features' values as they stand beside the contributions, shape (n, p), None where missing."""
    columns = [X[name].astype("object") if name in X else pd.Series([None] * len(X), dtype="object") for name in names]
    cells = [column.where(column.notna(), None).to_numpy(object) for column in columns]
    return np.column_stack(cells) if cells else np.empty((len(X), 0), dtype=object)


def explanation(
    values: Floats, base_values: Floats, data: np.ndarray[tuple[int, int], np.dtype[np.object_]], names: list[str]
) -> shap.Explanation:
    """SHAP's own container, for its plots and for whoever knows it; values of shape (n, p), base_values of (n,)."""
    with warnings.catch_warnings():
        # shap sets up matplotlib colours in a way that matplotlib is about to drop; it is imported only here.
        warnings.simplefilter("ignore")
        import shap
    return shap.Explanation(values=values, base_values=base_values, data=data, feature_names=names)


def by_theme(explained: shap.Explanation, members: Mapping[str, str]) -> shap.Explanation:
    """Contributions of some features summed into themes, so that none of them is a figure of its own.

    Parameters
    ----------
    explained : shap.Explanation, values of shape (n, p)
        Contributions by feature.
    members : mapping of str to str
        Features and the theme that each goes into; the others stay. Themes have no value of their own.
    """
    names = list(explained.feature_names)
    kept = [i for i, name in enumerate(names) if name not in members]
    themes = {
        theme: [i for i, n in enumerate(names) if members.get(n) == theme] for theme in dict.fromkeys(members.values())
    }
    themes = {theme: places for theme, places in themes.items() if places}
    values, data = np.asarray(explained.values), np.asarray(explained.data, dtype=object)
    sums = [values[:, places].sum(axis=1, keepdims=True) for places in themes.values()]
    nothing = np.full((len(values), len(themes)), None, dtype=object)
    return explanation(
        np.hstack([values[:, kept], *sums]),
        np.asarray(explained.base_values),
        np.hstack([data[:, kept], nothing]),
        [*(names[i] for i in kept), *themes],
    )
