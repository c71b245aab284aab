"""How good forecasts were: log loss, Brier, calibration beside its floor, gains over rivals with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.calibration import calibration_error
from models.learners import Floats
from models.rolling import LEVEL, Gain, gain, log_loss
from training.reliability import floor

_RESAMPLES = 1_000


def win_metrics(table: pd.DataFrame, *, forecast: str = "forecast", rival: str = "base_rate") -> dict[str, float]:
    """Figures of past forecasts, each row a deal on a date.

    Parameters
    ----------
    table : shape (n, p)
        `deal_id`, `won` (what came), and one column of probabilities a way of forecasting.

    Returns
    -------
    dict of str to float
        `log_loss`, `brier`, `calibration_error` with `calibration_floor` (what exact forecasts would show), mean
        forecast and realised share, and `skill` against the rival with its 90 % interval.
    """
    if not len(table):
        return {}
    p, y = table[forecast].to_numpy(np.float64), table["won"].to_numpy(bool)
    found = skill(table, forecast=forecast, rival=rival)
    return {
        "log_loss": float(log_loss(y, p).mean()),
        "brier": float(((p - y) ** 2).mean()),
        "calibration_error": calibration_error(p, y),
        "calibration_floor": floor(p, deal=table["deal_id"].to_numpy(object)),
        "mean_forecast": float(p.mean()),
        "realised_share": float(y.mean()),
        "skill": found.skill,
        "skill_low": found.low,
        "skill_high": found.high,
        "rows": float(found.rows),
        "deals": float(found.deals),
    }


def skill(table: pd.DataFrame, *, forecast: str, rival: str) -> Gain:
    """Share of a rival's log loss that a forecast saves, with its 90 % interval over deals."""
    y = table["won"].to_numpy(bool)
    ours, theirs = (log_loss(y, table[name].to_numpy(np.float64)) for name in (forecast, rival))
    return gain(ours, theirs, table["deal_id"].to_numpy(object))


def per_date(table: pd.DataFrame, *, rival: str = "base_rate") -> pd.DataFrame:
    """Skill against a rival at each past date: `as_of`, `skill`, `low`, `high`, `mean_forecast`, `realised_share`."""
    rows = []
    for cut, part in table.groupby("as_of"):
        found = skill(part, forecast="forecast", rival=rival)
        rows.append((cut, found.skill, found.low, found.high, part["forecast"].mean(), part["won"].mean(), len(part)))
    return pd.DataFrame(rows, columns="as_of skill low high mean_forecast realised_share rows".split())


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean loss of a rival less the forecast's on the same rows, above 0 is better, with its interval."""

    mean: float
    low: float
    high: float
    units: int

    @property
    def certain(self) -> int:
        """1 where the forecast is better beyond doubt, -1 where it is worse, 0 where the interval holds 0."""
        return int(self.low > 0) - int(self.high < 0)


def difference(
    ours: Floats, rival: Floats, unit: Sequence[object] | pd.Series, *, level: float = LEVEL, seed: int = 0
) -> Difference:
    """Paired difference of losses, shape (n,); whole deals, customers or reps (`unit`) are drawn 1,000 times."""
    codes, names = pd.factorize(np.asarray(unit, dtype=object))
    if not len(names):
        return Difference(0.0, -np.inf, np.inf, 0)
    saved = np.asarray(rival, dtype=np.float64) - np.asarray(ours, dtype=np.float64)
    sums, rows = np.bincount(codes, weights=saved), np.bincount(codes)
    draws = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), _RESAMPLES)
    low, high = np.quantile((draws @ sums) / (draws @ rows), [(1 - level) / 2, (1 + level) / 2])
    return Difference(float(saved.mean()), float(low), float(high), len(names))
