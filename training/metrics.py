"""How good win forecasts were: log loss, Brier, calibration beside its floor, skill with an interval over deals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from models.calibration import calibration_error, calibration_floor
from models.learners import Floats
from models.rolling import Gain, gain, log_loss


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
        "calibration_floor": calibration_floor(p),
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


def reliability(p: Floats, y: Any, *, bins: int = 10) -> pd.DataFrame:
    """Mean forecast against realised share in bins of equal numbers, with the 90 % range chance alone would give.

    Returns
    -------
    pd.DataFrame
        `forecast`, `realised`, `low`, `high`, `rows`, a row a bin from the least to the most likely.
    """
    y = np.asarray(y, dtype=bool)
    rng = np.random.default_rng(0)
    rows = []
    for group in np.array_split(np.argsort(p, kind="stable"), min(bins, max(1, len(p)))):
        drawn = (rng.random((400, len(group))) < p[group]).mean(axis=1)
        low, high = np.quantile(drawn, [0.05, 0.95])
        rows.append((p[group].mean(), y[group].mean(), low, high, len(group)))
    return pd.DataFrame(rows, columns="forecast realised low high rows".split())
