"""Whether what comes now is what was learnt from: inputs by PSI with KS or chi-squared, forecasts by CUSUM."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import chi2_contingency, false_discovery_control, ks_2samp

from models.encoding import feature_columns
from models.learners import Floats, probability, safe_logit

_BINS = 10
FEWEST = 30
"""Rows of each side below which nothing is judged."""
_SHIFT = np.log(1.5)  # odds ratio that the CUSUM is tuned to
_REDRAWN = 500


def input_drift(before: pd.DataFrame, now: pd.DataFrame, *, psi: float = 0.2, error: float = 0.05) -> pd.DataFrame:
    """Columns whose values are spread otherwise now.

    A column has drifted where the population stability index is at least `psi` (the change matters) and the test
    rejects (it is no chance): Kolmogorov-Smirnov for numbers, chi-squared for categories, whose p-values are corrected
    for the many columns by Benjamini and Hochberg.

    Parameters
    ----------
    before, now : shape (n, p) and (m, p)
        Rows of different deals; keys and private columns are passed over.
    error : float
        Share of false alarms among the columns that are named.

    Returns
    -------
    pd.DataFrame
        `column`, `psi`, `p` (corrected), `drifted`, `before`, `now` (mean, or share of the level that moved most, in
        words); the largest index first.

    References
    ----------
    Benjamini and Hochberg (1995), "Controlling the false discovery rate".
    """
    lines = [
        line for name in feature_columns(before) if name in now if (line := _compared(name, before[name], now[name]))
    ]
    found = pd.DataFrame(lines, columns="column psi p before now".split())
    if len(found):
        found["p"] = false_discovery_control(found["p"].to_numpy(np.float64))
    found["drifted"] = (found["psi"] >= psi) & (found["p"] <= error)
    return found.sort_values("psi", ascending=False, ignore_index=True)


def stability_index(before: Floats, now: Floats) -> float:
    """Population stability index of two sets of counts in the same bins, shape (k,); empty ones hold half a row."""
    p, q = (np.maximum(counts, 0.5) / np.maximum(counts, 0.5).sum() for counts in (before, now))
    return float(((q - p) * np.log(q / p)).sum())


def calibration_drift(p: Floats, won: npt.NDArray[np.bool_], *, error: float = 0.05, seed: int = 0) -> dict[str, Any]:
    """Whether issued forecasts have come to be too high or too low, by a two-sided CUSUM in order of time.

    Each forecast adds the log likelihood ratio of odds 1.5 times (or 1/1.5 times) what was said; the sum never falls
    below 0. The bound is the level that such a walk of exact forecasts passes with probability `error`, found by
    redrawing outcomes from p, so that looking at every step raises no more false alarms.

    Parameters
    ----------
    p, won : shape (n,)
        Forecasts of different deals in order of time, and what came.

    Returns
    -------
    dict
        `drifted`, `direction` ('too high', 'too low' or ''), `statistic`, `bound`, `since` (index of the forecast after
        which the walk last left 0; None without drift), `rows`.

    References
    ----------
    Page (1954), "Continuous inspection schemes"; Steiner et al. (2000), for risk-adjusted outcomes.
    """
    y = np.asarray(won, dtype=bool)
    if len(p) < FEWEST:
        return {"drifted": False, "direction": "", "statistic": 0.0, "bound": np.inf, "since": None, "rows": len(p)}
    redrawn = np.random.default_rng(seed).random((_REDRAWN, len(p))) < p
    bound = float(np.quantile([max(_walk(p, r, s).max() for s in (_SHIFT, -_SHIFT)) for r in redrawn], 1 - error))
    walks = {"too low": _walk(p, y, _SHIFT), "too high": _walk(p, y, -_SHIFT)}
    direction = max(walks, key=lambda name: walks[name].max())
    walk = walks[direction]
    drifted, peak = bool(walk.max() > bound), int(walk.argmax())
    zeros = np.flatnonzero(walk[: peak + 1] == 0)
    since = (int(zeros[-1]) + 1 if len(zeros) else 0) if drifted else None
    return {
        "drifted": drifted, "direction": direction if drifted else "", "statistic": float(walk.max()), "bound": bound,
        "since": since, "rows": len(p),
    }  # fmt: skip


def _walk(p: Floats, y: npt.NDArray[np.bool_], shift: float) -> Floats:
    moved = probability(safe_logit(p) + shift)
    steps = np.where(
        y, np.log(np.maximum(moved, 1e-12) / np.maximum(p, 1e-12)), np.log((1 - moved) / np.maximum(1 - p, 1e-12))
    )
    sums = np.cumsum(steps)
    return sums - np.minimum(np.minimum.accumulate(sums), 0.0)


def _compared(name: str, before: pd.Series, now: pd.Series) -> tuple[str, float, float, str, str] | None:
    if min(len(before), len(now)) < FEWEST:
        return None
    number = pd.api.types.is_numeric_dtype(before.dtype) and pd.api.types.is_numeric_dtype(now.dtype)
    return _numbers(name, before, now) if number else _categories(name, before, now)


def _numbers(name: str, before: pd.Series, now: pd.Series) -> tuple[str, float, float, str, str] | None:
    one, two = (v.to_numpy(np.float64, na_value=np.nan) for v in (before, now))
    known = [v[np.isfinite(v)] for v in (one, two)]
    if min(map(len, known)) < FEWEST:
        return None
    edges = np.unique(np.quantile(known[0], np.linspace(0, 1, _BINS + 1)[1:-1]))
    gaps = [float((~np.isfinite(v)).sum()) for v in (one, two)]
    counts = [
        np.append(np.bincount(np.searchsorted(edges, v, side="right"), minlength=len(edges) + 1), gap).astype(
            np.float64
        )
        for v, gap in zip(known, gaps, strict=True)
    ]
    # Ranks at the edges would share a bin with the values below: a constant column has one bin and no drift.
    return (
        name,
        stability_index(*counts),
        float(ks_2samp(*known).pvalue),
        f"{known[0].mean():.4g}",
        f"{known[1].mean():.4g}",
    )


def _categories(name: str, before: pd.Series, now: pd.Series) -> tuple[str, float, float, str, str] | None:
    one, two = (v.astype(object).where(v.notna(), "(none)").astype(str) for v in (before, now))
    kept = set(one.value_counts().head(40).index)
    counts = pd.DataFrame({k: v.where(v.isin(kept), "(other)").value_counts() for k, v in {"b": one, "n": two}.items()})
    counts = counts.fillna(0.0)
    if len(counts) < 2:
        return None
    shares = counts / counts.sum()
    level = (shares["n"] - shares["b"]).abs().idxmax()
    told = [f"{level} {100 * shares.loc[level, side]:.0f}%" for side in ("b", "n")]
    p = float(chi2_contingency(counts.to_numpy().T).pvalue)
    return name, stability_index(counts["b"].to_numpy(), counts["n"].to_numpy()), p, told[0], told[1]
