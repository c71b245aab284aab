"""Whether forecasts mean what they say: bins, calibration error beside its floor, slope, parts of the Brier score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.learners import Floats, probability, safe_logit
from models.rolling import LEVEL, log_loss

BINS = 10
MEASURES = (
    "log_loss", "brier", "reliability", "resolution", "uncertainty", "within_bins",
    "calibration_error", "calibration_floor", "calibration_excess", "slope", "intercept", "mean_forecast",
    "realised_share",
)  # fmt: skip
_RESAMPLES = 400
_REDRAWN = 200
_LEAST_ROWS = 100  # of a segment: fewer say nothing of calibration
_NO_MISS = 1e-3  # mean log loss
# A resample adds noise of its own to what is never negative: resamples are moved so that their mean is the value.
_MOVED = ("calibration_error", "calibration_excess", "reliability", "resolution")


def one_a_cut(table: pd.DataFrame) -> pd.DataFrame:
    """The last forecast of each deal at each past date (and horizon): what statements on calibration rest on."""
    keys = [name for name in ("deal_id", "as_of", "horizon_days") if name in table]
    return table.drop_duplicates(keys, keep="last")


def reliability(p: Floats, y: Any, *, bins: int = BINS, deal: Any = None) -> pd.DataFrame:
    """Mean forecast against realised share in bins of equal numbers, with the 90 % range chance alone would give.

    Parameters
    ----------
    p, y : shape (n,)
        Forecasts and what came.
    deal : shape (n,), optional
        Rows of a deal share their luck; without it every row has its own.

    Returns
    -------
    pd.DataFrame
        `forecast`, `realised`, `low`, `high`, `rows`, a row a bin from the least to the most likely.
    """
    y = np.asarray(y, dtype=bool)
    order, starts = _bins(p, bins)
    if not len(starts):
        return pd.DataFrame(columns="forecast realised low high rows".split())
    rows = np.diff(np.append(starts, len(p)))
    drawn = np.add.reduceat(_redrawn(p, deal, 2 * _REDRAWN)[:, order], starts, axis=1, dtype=np.float64) / rows
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    forecast, realised = (np.add.reduceat(v[order].astype(np.float64), starts) / rows for v in (p, y))
    return pd.DataFrame({"forecast": forecast, "realised": realised, "low": low, "high": high, "rows": rows})


def floor(p: Floats, *, deal: Any = None, bins: int = BINS) -> float:
    """Mean calibration error of exact forecasts: outcomes redrawn from p, one draw of luck a deal.

    A deal forecast at several dates comes out the same each time; luck of its own for each row would put the floor of
    such a table too low.
    """
    order, starts = _bins(p, bins)
    if not len(starts):
        return float("nan")
    misses = _redrawn(p, deal, _REDRAWN) - p
    return float(np.abs(np.add.reduceat(misses[:, order], starts, axis=1)).sum(axis=1).mean() / len(p))


def calibration_figures(table: pd.DataFrame, *, forecast: str = "forecast", seed: int = 0) -> pd.DataFrame:
    """Every measure of past forecasts with its 90 % interval over whole deals.

    Parameters
    ----------
    table : shape (n, p)
        `deal_id`, `won` (what came) and a column of probabilities; a row a deal and date.

    Returns
    -------
    pd.DataFrame
        A row a measure of `MEASURES`: `value`, `low`, `high`; empty for no rows. `slope` and `intercept` are NaN where
        outcomes or forecasts are all alike.

        - `brier` = `reliability` - `resolution` + `uncertainty` + `within_bins`, over ten bins of equal numbers.
        - `calibration_error` is the mean distance of forecast and share in the bins, `calibration_floor` what exact
          forecasts would show, `calibration_excess` the difference.
        - `slope` b: log odds of the outcome are a + b logit(p); 1 is right, .5 is too sure by a factor of two.
        - `intercept`: how far log odds lie off with the slope held at 1; 0 is right.

    References
    ----------
    Cox (1958), "Two further applications of a model for binary regression". Stephenson, Coelho, Jolliffe (2008), "Two
    extra components in the Brier score decomposition".
    """
    if not len(table):
        return pd.DataFrame(columns=["value", "low", "high"])
    p, y = table[forecast].to_numpy(np.float64), table["won"].to_numpy(bool)
    deal = table["deal_id"].to_numpy(object)
    codes, names = pd.factorize(deal)
    start = _logistic_fit(p, y)
    terms = _terms(p, y, start)
    sums = np.column_stack([np.bincount(codes, weights=term, minlength=len(names)) for term in terms.T])
    draws = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), _RESAMPLES)
    lowest = floor(p, deal=deal)
    found, resampled = (_measures(s, start, lowest) for s in (sums.sum(axis=0)[None, :], np.asarray(draws @ sums)))
    rows = {name: _with_interval(name, found[name][0], resampled[name]) for name in MEASURES}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["value", "low", "high"])


def by_segment(table: pd.DataFrame, columns: Sequence[str], *, forecast: str = "forecast") -> pd.DataFrame:
    """Calibration of each part of the deals that has a hundred forecasts or more.

    Returns
    -------
    pd.DataFrame
        `by` (column), `value` (level), `rows`, `deals`, and of `log_loss`, `calibration_error`, `calibration_floor`,
        `slope`, `intercept`, `mean_forecast`, `realised_share` the value; of slope and intercept the interval as well.
    """
    rows: list[dict[str, Any]] = []
    for column in (c for c in columns if c in table):
        for level, part in table.groupby(table[column].astype(object), sort=True):
            if len(part) < _LEAST_ROWS:
                continue
            found = calibration_figures(part, forecast=forecast)
            kept = ("log_loss", "calibration_error", "calibration_floor", "mean_forecast", "realised_share")
            rows.append(
                {"by": column, "value": str(level), "rows": len(part), "deals": part["deal_id"].nunique()}
                | {name: found.loc[name, "value"] for name in (*kept, "slope", "intercept")}
                | {f"{name}_{end}": found.loc[name, end] for name in ("slope", "intercept") for end in ("low", "high")}
            )
    return pd.DataFrame(rows)


def _bins(p: Floats, bins: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Order of the rows by forecast, and where each bin of (nearly) equal numbers starts in it."""
    order = np.argsort(p, kind="stable")
    sizes = [len(group) for group in np.array_split(order, min(bins, max(1, len(p)))) if len(group)]
    return order, np.cumsum([0, *sizes[:-1]], dtype=np.intp) if sizes else np.zeros(0, dtype=np.intp)


def _redrawn(p: Floats, deal: Any, draws: int) -> npt.NDArray[np.bool_]:
    rng = np.random.default_rng(0)
    if deal is None:
        return rng.random((draws, len(p))) < p
    codes, names = pd.factorize(np.asarray(deal, dtype=object))
    return np.asarray(rng.random((draws, len(names)))[:, codes] < p)


def _logistic_fit(p: Floats, y: npt.NDArray[np.bool_]) -> tuple[float, float, float]:
    """Intercept and slope of the outcome's log odds on the forecast's, and the intercept with the slope held at 1."""
    x = safe_logit(p)
    if y.all() or not y.any():
        return np.nan, np.nan, np.nan
    fit = np.array([0.0, 1.0]) if np.ptp(x) > 0 else np.array([np.nan, np.nan])
    held = 0.0
    for _ in range(50):
        q = probability(held + x)
        held += float(np.clip((y - q).sum() / max((q * (1 - q)).sum(), 1e-12), -1, 1))
        if np.isfinite(fit).all():
            fit = fit + np.clip(_step(_gradient(x, y, fit)[None, :]), -1, 1)[0]
    # Forecasts that part the outcomes without a miss have no finite slope.
    if np.isfinite(fit).all() and log_loss(y, probability(fit[0] + fit[1] * x)).mean() < _NO_MISS:
        fit = np.array([np.nan, np.nan])
    return float(fit[0]), float(fit[1]), held


def _gradient(x: Floats, y: npt.NDArray[np.bool_], fit: Floats) -> Floats:
    return _newton_terms(x, y, probability(fit[0] + fit[1] * x)).sum(axis=0)


def _newton_terms(x: Floats, y: npt.NDArray[np.bool_], q: Floats) -> Floats:
    v = q * (1 - q)
    return np.column_stack([y - q, (y - q) * x, v, v * x, v * x * x])


def _step(sums: Floats) -> Floats:
    """Newton's step of intercept and slope, a row a set of sums (two gradients, three curvatures)."""
    g0, g1, h00, h01, h11 = sums.T
    det = np.maximum(h00 * h11 - h01**2, 1e-12)
    return np.column_stack([(h11 * g0 - h01 * g1) / det, (h00 * g1 - h01 * g0) / det])


def _terms(p: Floats, y: npt.NDArray[np.bool_], start: tuple[float, float, float]) -> Floats:
    """What is summed over rows, shape (n, 10 + 3 bins): loss, square, forecast, slope's and intercept's steps, bins."""
    x = safe_logit(p)
    q = probability(start[2] + x)
    order, starts = _bins(p, BINS)
    bin_ = np.empty(len(p), dtype=np.intp)
    bin_[order] = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(p))))
    member = (bin_[:, None] == np.arange(len(starts))).astype(np.float64)
    return np.column_stack(
        [
            np.ones(len(p)), log_loss(y, p), (p - y) ** 2,
            _newton_terms(x, y, probability(start[0] + start[1] * x)), y - q, q * (1 - q),
            member, member * p[:, None], member * y[:, None],
        ]
    )  # fmt: skip


def _measures(sums: Floats, start: tuple[float, float, float], lowest: float) -> dict[str, Floats]:
    """All measures of sums over rows, a value a row; slopes of resamples are one Newton step from the full fit's."""
    n, loss, square = sums[:, :3].T
    rows, said, came = np.split(sums[:, 10:], 3, axis=1)
    filled = np.maximum(rows, 1e-12)
    share = came.sum(axis=1) / n
    brier = square / n
    reliable = ((said - came) ** 2 / filled).sum(axis=1) / n
    resolved = (rows * (came / filled - share[:, None]) ** 2).sum(axis=1) / n
    uncertain = share * (1 - share)
    error = np.abs(said - came).sum(axis=1) / n
    fit = np.array(start[:2]) + _step(sums[:, 3:8])
    return {
        "log_loss": loss / n,
        "brier": brier,
        "reliability": reliable,
        "resolution": resolved,
        "uncertainty": uncertain,
        "within_bins": brier - reliable + resolved - uncertain,
        "calibration_error": error,
        "calibration_floor": np.full(len(n), lowest),
        "calibration_excess": error - lowest,
        "slope": fit[:, 1],
        "intercept": start[2] + sums[:, 8] / np.maximum(sums[:, 9], 1e-12),
        "mean_forecast": said.sum(axis=1) / n,
        "realised_share": share,
    }


def _with_interval(name: str, value: float, resampled: Floats) -> tuple[float, float, float]:
    if name in _MOVED:
        resampled = resampled - resampled.mean() + value
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    if name in _MOVED and name != "calibration_excess":
        low = max(0.0, low)
    return float(value), float(low), float(high)
