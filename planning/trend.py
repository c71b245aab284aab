"""The market's trend in monthly totals: ETS or seasonal naive, with a band from the method's own past errors."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.learners import Floats

SEASON = 12
LEAST_MONTHS = 9
ORIGINS = 12
_LEAST_ERRORS = 4
_HEURISTIC = 10  # months that the start values need; finding them too takes many times as long
_LEVELS = (0.1, 0.5, 0.9)


@dataclass(frozen=True, slots=True)
class Trend:
    """What the newest whole month was likely to be, told before it was over.

    Attributes
    ----------
    month : str
        Such as 2026-10.
    method : str
        'ets' or 'seasonal naive', whichever had the lower pinball loss.
    expected, low, high : float
        Forecast and its 80 % band.
    actual : float
    losses : dict of str to float
        Pinball loss by method on past months, base currency.
    """

    month: str
    method: str
    expected: float
    low: float
    high: float
    actual: float
    losses: dict[str, float]

    @property
    def outside(self) -> bool:
        """Whether the month lies outside its band."""
        return not self.low <= self.actual <= self.high


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the month after the newest whole one is likely to be, against the same month of the year before.

    Attributes
    ----------
    expected, low, high : float
        Middle and 80 % band of the paths, base currency.
    year_before : float
    below : float
        Share of paths, the forecast with each of the method's past errors, that end below the year before.
    """

    method: str
    expected: float
    low: float
    high: float
    year_before: float
    below: float


def market_trend(monthly: pd.Series) -> Trend | None:
    """Judge the newest month against what was to be expected of it; None with under 9 months.

    Parameters
    ----------
    monthly : Series of float
        Totals of whole months, oldest first, by month's name.
    """
    values = monthly.to_numpy(np.float64)
    if len(values) < LEAST_MONTHS:
        return None
    # The newest month is what is judged: its own error is no part of the band.
    point, errors, best, losses = _ahead(values[:-1])
    low, high = np.quantile(errors, [0.1, 0.9])
    return Trend(
        str(monthly.index[-1]), best, point, point + float(low), point + float(high), float(values[-1]), losses
    )


def market_outlook(monthly: pd.Series) -> Outlook | None:
    """What the next month is likely to be; None with under a year of whole months.

    Parameters
    ----------
    monthly : Series of float
        As for `market_trend`.
    """
    values = monthly.to_numpy(np.float64)
    if len(values) < SEASON:
        return None
    point, errors, best, _ = _ahead(values)
    paths, before = point + errors, float(values[-SEASON])
    low, middle, high = (float(q) for q in np.quantile(paths, [0.1, 0.5, 0.9]))
    return Outlook(best, middle, low, high, before, float((paths < before).mean()))


def _ahead(values: Floats) -> tuple[float, Floats, str, dict[str, float]]:
    """The month after these by the better method: its point, that method's past errors, its name, losses by method."""
    methods: dict[str, Callable[[Floats], float]] = {"ets": _ets, "seasonal naive": _naive}
    first = max(len(values) - ORIGINS, _LEAST_ERRORS)
    said = {n: np.array([ahead(values[:k]) for k in range(first, len(values) + 1)]) for n, ahead in methods.items()}
    losses = {name: _loss(points[:-1], values[first:]) for name, points in said.items()}
    best = min(losses, key=lambda name: (losses[name], name))
    return float(said[best][-1]), values[first:] - said[best][:-1], best, losses


def _loss(points: Floats, actual: Floats) -> float:
    """Mean pinball loss of the band that was known at each origin."""
    found = []
    for n in range(2, len(points)):
        errors = actual[:n] - points[:n]
        for level, shift in zip(_LEVELS, np.quantile(errors, _LEVELS), strict=True):
            above = actual[n] - (points[n] + shift)
            found.append(max(level * above, (level - 1) * above))
    return float(np.mean(found)) if found else float("inf")


def _naive(past: Floats) -> float:
    """The same month a year before; the last month where there is none."""
    return float(past[-SEASON] if len(past) >= SEASON else past[-1])


def _ets(past: Floats) -> float:
    """Level with a damped trend, and the season from two years on."""
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    season = "add" if len(past) >= 2 * SEASON else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a fit that did not settle is judged by its loss like any other
            model = ETSModel(
                past, error="add", trend="add", damped_trend=True, seasonal=season, seasonal_periods=SEASON,
                initialization_method="heuristic" if len(past) >= _HEURISTIC else "estimated",
            )  # fmt: skip
            fit = model.fit(disp=False, maxiter=60)
            ahead = float(fit.forecast(1)[0])
    except (ValueError, np.linalg.LinAlgError):
        return _naive(past)
    return ahead if np.isfinite(ahead) else _naive(past)
