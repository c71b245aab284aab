"""Rates compared: intervals of a rate and of the difference of two, and which of many differences stand out."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from planning.goals import wilson

FALSE_SHARE = 0.10
"""Share of false findings among those named, by Benjamini-Hochberg."""


@dataclass(frozen=True, slots=True)
class Change:
    """A rate now against one before: `delta` with its 90 % interval, and the p-value of no difference."""

    now: float | None
    before: float | None
    delta: float | None
    low: float | None
    high: float | None
    p: float | None

    @property
    def fell(self) -> bool:
        """Whether the whole interval lies below 0."""
        return self.high is not None and self.high < 0

    @property
    def rose(self) -> bool:
        """Whether the whole interval lies above 0."""
        return self.low is not None and self.low > 0


def change(k: float, n: float, k_before: float, n_before: float) -> Change:
    """How a rate of k in n differs from one of k_before in n_before; nothing is told of a rate of none.

    References
    ----------
    Newcombe (1998), "Interval estimation for the difference between independent proportions", method 10.
    """
    now, before = (k / n if n else None), (k_before / n_before if n_before else None)
    if now is None or before is None:
        return Change(now, before, None, None, None, None)
    low, high = newcombe(k, n, k_before, n_before)
    return Change(now, before, now - before, low, high, _p_of_no_difference(k, n, k_before, n_before))


def newcombe(k: float, n: float, k_before: float, n_before: float) -> tuple[float, float]:
    """90 % interval of k/n less k_before/n_before: two Wilson intervals, squares added."""
    here, there = k / n, k_before / n_before
    (low, high), (low_before, high_before) = wilson(k, n), wilson(k_before, n_before)
    return (
        here - there - float(np.hypot(here - low, high_before - there)),
        here - there + float(np.hypot(high - here, there - low_before)),
    )


def stand_out(p_values: Sequence[float | None], share: float = FALSE_SHARE) -> list[bool]:
    """Which of many tests stand out, so that at most such a share of those named is false.

    References
    ----------
    Benjamini and Hochberg (1995), "Controlling the false discovery rate".
    """
    from statsmodels.stats.multitest import multipletests

    known = [place for place, p in enumerate(p_values) if p is not None]
    found = [False] * len(p_values)
    if known:
        named = multipletests([p_values[place] for place in known], alpha=share, method="fdr_bh")[0]
        for place, yes in zip(known, named, strict=True):
            found[place] = bool(yes)
    return found


def _p_of_no_difference(k: float, n: float, k_before: float, n_before: float) -> float:
    from statsmodels.stats.proportion import proportions_ztest

    if (k + k_before) in (0, n + n_before):  # all or nothing in both: no difference to be tested
        return 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(proportions_ztest([k, k_before], [n, n_before])[1])
