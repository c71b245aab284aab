"""Rolling origin: what would have been forecast at past dates from what was known then, against the baselines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crm.company import Company
from crm.errors import NotReady
from crm.lake import View
from models.amounts import AmountModel
from models.attainment import AttainmentModel
from models.learners import Floats
from models.rolling import won_within
from models.win import WinModel
from training import plots, registry
from training.baselines import rate_curves
from training.fit import win_model
from training.metrics import skill, win_metrics
from training.snapshots import deal_snapshots, open_snapshots

Progress = Callable[[str], None]
HORIZONS = (30, 90, 182)
WAYS = ("forecast", "stage_rate", "base_rate")
RECONSTRUCTED = "reconstructed"
_FEW_DRAWS = 500


class TooShort(NotReady):
    """There is no past date with enough history before and enough time since."""

    def __init__(self, days: int) -> None:
        super().__init__(
            f"The history is too short for a forecast of the past: deals closed before {days} days ago are needed. "
            "Import more history, or wait."
        )


@dataclass(frozen=True, slots=True)
class Backtest:
    """Past forecasts, a row a deal, date and horizon, and figures a way of forecasting and horizon."""

    table: pd.DataFrame
    summary: pd.DataFrame
    run_id: str = ""


def backtest(
    view: View,
    company: Company,
    *,
    until: datetime,
    folder: Path | None = None,
    dates: int = 6,
    weeks_apart: int = 4,
    tracking: str | None = None,
    seed: int = 0,
    model: WinModel | None = None,
    progress: Progress | None = None,
) -> Backtest:
    """Refit at past dates and compare with the base rate and the stage rate, in time order.

    Parameters
    ----------
    until : datetime, UTC
        Up to when outcomes are known.
    dates, weeks_apart : int
        How many past dates, and how far apart; a horizon is judged on the dates whose outcomes are all known.
    tracking : str, optional
        Where to log table and figure; unset: nowhere.
    model : WinModel, optional
        Settings to try instead of the defaults.

    Raises
    ------
    NotReady
        If the history is too short for a single past date.
    """
    say = progress or (lambda _: None)
    rows = deal_snapshots(view, company, until=until, folder=folder)
    end = pd.Timestamp(until)
    found = []
    for cut in past_dates(rows, end, dates=dates, weeks_apart=weeks_apart):
        say(f"Forecasts as of {cut:%Y-%m-%d}")
        found.append(_forecasts(rows, cut, end, model or light_model(company, seed=seed)))
    table = pd.concat([f for f in found if len(f)], ignore_index=True) if any(len(f) for f in found) else pd.DataFrame()
    if not len(table):
        raise TooShort(min(HORIZONS))
    summary = summarise(table)
    run_id = _log(table, summary, tracking, end) if tracking else ""
    return Backtest(table, summary, run_id)


def compare(
    rows: pd.DataFrame,
    models: Mapping[str, WinModel],
    *,
    until: datetime,
    dates: int = 3,
    weeks_apart: int = 8,
    days: int = 90,
) -> pd.DataFrame:
    """Several settings of the win model side by side, on the same past dates and deals.

    Parameters
    ----------
    rows : shape (n, p)
        Snapshots as `training.snapshots.deal_snapshots` makes them.
    models : mapping of str to WinModel
        Settings by name; the first is what the others are compared with.
    days : int
        Horizon: 'won within so many days'.

    Returns
    -------
    pd.DataFrame
        A row a model: figures of `training.metrics.win_metrics`, and `better`, `better_low`, `better_high`: the share
        of the first one's log loss that it saves, with its 90 % interval over deals.
    """
    end = pd.Timestamp(until)
    cuts = past_dates(rows, end - pd.Timedelta(days=days - min(HORIZONS)), dates=dates, weeks_apart=weeks_apart)
    tables: dict[str, pd.DataFrame] = {}
    for name, model in models.items():
        parts = [part for cut in cuts if len(part := _forecasts(rows, cut, end, model, [days]))]
        if not parts:
            raise TooShort(days)
        tables[name] = pd.concat(parts, ignore_index=True)
    first = next(iter(tables.values()))["forecast"]
    lines = []
    for name, table in tables.items():
        better = skill(table.assign(first=first), forecast="forecast", rival="first")
        versus = {"better": better.skill, "better_low": better.low, "better_high": better.high}
        lines.append({"model": name, **win_metrics(table), **versus})
    return pd.DataFrame(lines)


def light_model(company: Company, *, seed: int = 0) -> WinModel:
    """The win model with half the trees, fewer rows, one past span and no interval: for many refits."""
    return win_model(company, seed=seed, trees=60, rows=20_000, replicates=0, cuts=1)


def past_dates(rows: pd.DataFrame, until: pd.Timestamp, *, dates: int, weeks_apart: int) -> list[pd.Timestamp]:
    """Dates of the snapshots' grid, newest first, from the shortest horizon before `until` back."""
    grid = pd.DatetimeIndex(rows["as_of"].unique()).sort_values()
    chosen: list[pd.Timestamp] = []
    for date in grid[grid <= until - pd.Timedelta(days=min(HORIZONS))][::-1]:
        if len(chosen) < dates and (not chosen or chosen[-1] - date >= pd.Timedelta(weeks=weeks_apart)):
            chosen.append(date)
    return chosen


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Log loss, Brier, calibration and skill against the base rate, a row a horizon and way of forecasting."""
    rows: list[dict[str, Any]] = []
    for days, part in table.groupby("horizon_days"):
        rows += [{"horizon_days": days, "way": way, **win_metrics(part, forecast=way)} for way in WAYS]
    return pd.DataFrame(rows)


def _forecasts(
    rows: pd.DataFrame, cut: pd.Timestamp, until: pd.Timestamp, model: WinModel, horizons: Sequence[int] = HORIZONS
) -> pd.DataFrame:
    """What would have been said at `cut` of the deals open then, beside what came."""
    deals = rows[rows["as_of"] == cut].reset_index(drop=True)
    try:
        model.fit(rows[rows["as_of"] <= cut], until=cut)
    except NotReady:  # nothing closed yet, or one outcome only
        return pd.DataFrame()
    rated = rate_curves(rows, deals, until=cut, horizon_weeks=model.horizon_weeks)
    parts = []
    for days in horizons:
        if cut + pd.Timedelta(days=days) > until:
            continue
        said: dict[str, Floats] = {name: curves.by(float(days))[0] for name, curves in rated.items()}
        parts.append(
            pd.DataFrame(
                {
                    "deal_id": deals["deal_id"],
                    "as_of": cut,
                    "horizon_days": days,
                    "won": won_within(deals, until, float(days)),
                    "forecast": model.won_within(deals, days),
                    **said,
                }
            )
        )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _log(table: pd.DataFrame, summary: pd.DataFrame, tracking: str, until: pd.Timestamp) -> str:
    metrics = {
        f"{row['way']}_{row['horizon_days']}d_{name}": float(row[name])
        for row in summary.to_dict("records")
        for name in ("log_loss", "brier", "calibration_error", "skill", "skill_low", "skill_high")
        if np.isfinite(row[name])
    }
    longest = table[table["horizon_days"] == table["horizon_days"].max()]
    return registry.log_run(
        "backtest",
        tracking=tracking,
        params={"dates": table["as_of"].nunique()},
        metrics=metrics,
        tags={"until": until.isoformat()},
        tables={"forecasts": table, "summary": summary},
        figures={"reliability": plots.reliability_svg(longest)},
    )


def reconstruct(
    view: View,
    company: Company,
    *,
    as_ofs: Sequence[datetime],
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, pd.DataFrame]:
    """Forecasts of past dates, each by a model that saw only what was known then.

    Parameters
    ----------
    as_ofs : sequence of datetime, UTC
        Past dates.

    Returns
    -------
    dict of str to pd.DataFrame
        'deals', 'reps', 'teams' with the columns of the score files and `as_of`; dates without enough history are
        left out.
    """
    say = progress or (lambda _: None)
    found: dict[str, list[pd.DataFrame]] = {"deals": [], "reps": [], "teams": []}
    if not as_ofs:
        return {name: pd.DataFrame() for name in found}
    rows = deal_snapshots(view, company, until=max(as_ofs))
    for as_of in as_ofs:
        say(f"Forecasts as of {as_of:%Y-%m-%d}")
        for name, table in _reconstruct_one(view, company, rows, pd.Timestamp(as_of), seed).items():
            found[name].append(table)
    return {name: pd.concat(t, ignore_index=True) if t else pd.DataFrame() for name, t in found.items()}


def _reconstruct_one(
    view: View, company: Company, rows: pd.DataFrame, as_of: pd.Timestamp, seed: int
) -> dict[str, pd.DataFrame]:
    win = light_model(company, seed=seed)
    deals = open_snapshots(view, company, as_of=as_of)
    try:
        win.fit(rows, until=as_of)  # what was made or became known later is not looked at
    except NotReady:
        return {}
    end = company.period_of(as_of.tz_convert(company.time_zone).date()).bounds(company.time_zone)[1]
    scored = win.score(deals, as_of=as_of, period_end=pd.Timestamp(end).tz_convert("UTC"))
    amounts = AmountModel(seed).fit(view, company, until=as_of)
    scored.insert(5, "expected_amount", scored["win_probability"].to_numpy() * amounts.when_won(deals))
    found = {"deals": scored, **_reconstruct_periods(view, company, win, scored, as_of, seed)}
    return {name: table.assign(as_of=as_of, model_version=RECONSTRUCTED) for name, table in found.items()}


def _reconstruct_periods(
    view: View, company: Company, win: WinModel, scored: pd.DataFrame, as_of: pd.Timestamp, seed: int
) -> dict[str, pd.DataFrame]:
    try:
        model = AttainmentModel(seed, draws=_FEW_DRAWS, periods=1).fit(view, company, until=as_of, win=win)
        reps, teams, _ = model.score(view, company, as_of=as_of, deals_scored=scored)
    except NotReady:  # nothing was sold yet
        return {}
    return {"reps": reps, "teams": teams}
