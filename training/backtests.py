"""Backtests by kind of model."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from crm.company import Company
from crm.lake import View
from training.backtest import Progress, backtest
from training.backtest_attainment import backtest_attainment
from training.backtest_churn import backtest_churn
from training.backtest_result import Backtest
from training.registry import What


def run(
    what: What,
    view: View,
    company: Company,
    *,
    until: datetime,
    folder: Path | None = None,
    dates: int = 6,
    tracking: str | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Backtest:
    """Forecast the past with one kind of model, beside its rivals.

    See `backtest`, `backtest_attainment`, `backtest_churn`.

    Raises
    ------
    NotReady
        If the history is too short for a single past date.
    """
    if what == "churn":
        return backtest_churn(view, company, until=until, dates=dates, tracking=tracking, seed=seed, progress=progress)
    one = backtest if what == "win" else backtest_attainment
    return one(view, company, until=until, folder=folder, dates=dates, tracking=tracking, seed=seed, progress=progress)
