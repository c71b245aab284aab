"""Rolling origin: what would have been forecast at past dates from what was known then, against the baselines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crm.company import Company
from crm.errors import NotReady
from crm.lake import View
from models.learners import Floats
from models.rolling import log_loss, won_within
from models.win import WinModel
from training import plots
from training.backtest_result import Backtest, TooShort, log
from training.baselines import BASELINES, SIMPLE, Baseline, available
from training.fit_win import win_model
from training.metrics import per_date, skill, win_metrics
from training.people import WITHOUT, gain_from_people, sentence
from training.reliability import by_segment, calibration_figures, one_a_cut, reliability
from training.segments import SEGMENTS, deal_segments, team_of
from training.snapshots import deal_snapshots
from training.verdicts import Sentence, differences, verdict

Progress = Callable[[str, float | None], None]
HORIZONS = (30, 90, 182)
MAIN = 90
"""Horizon at which the verdict is given, and learners compete: they take long."""


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
    rivals: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> Backtest:
    """Refit at past dates and compare with the baselines, in time order.

    Parameters
    ----------
    until : datetime, UTC
        Up to when outcomes are known.
    dates, weeks_apart : int
        How many past dates each horizon gets at least, where the history has them, and how far apart; a horizon is
        judged on all dates whose outcomes are all known.
    tracking : str, optional
        Where to log tables and figures; unset: nowhere.
    model : WinModel, optional
        Settings to try instead of the defaults.
    rivals : sequence of str, optional
        Names in `training.baselines.BASELINES`; unset: all that are installed. The base rate is always there.
    progress : callable, optional
        Told in words what is being done, and the share done.

    Raises
    ------
    NotReady
        If the history is too short for a single past date.
    """
    say = progress or (lambda _text, _done: None)
    say("Snapshots of past weeks", None)
    rows = deal_snapshots(view, company, until=until, folder=folder)
    rows = rows.assign(_team=team_of(view, rows))
    end = pd.Timestamp(until)
    kinds = {
        name: kind for name, kind in available().items() if name == "base_rate" or rivals is None or name in rivals
    }
    cuts = judged_dates(rows, end, dates=dates, weeks_apart=weeks_apart)
    found = []
    for done, cut in enumerate(cuts):
        say(f"Forecasts as of {cut:%Y-%m-%d}", done / len(cuts))
        found.append(_forecasts(rows, cut, end, model or light_model(company, seed=seed), kinds=kinds))
    table = pd.concat([f for f in found if len(f)], ignore_index=True) if any(len(f) for f in found) else pd.DataFrame()
    if not len(table):
        raise TooShort(min(HORIZONS))
    say("Figures", None)
    result = _judged(table, wanted=dates)
    settings = {"dates": table["as_of"].nunique(), "weeks_apart": weeks_apart, "seed": seed}
    return replace(result, run_id=log(result, tracking=tracking, until=end, params=settings)) if tracking else result


def _judged(table: pd.DataFrame, *, wanted: int) -> Backtest:
    main = main_horizon(table)
    part = one_a_cut(table[table["horizon_days"] == main])
    y, ways = part["won"].to_numpy(bool), ways_of(part)
    losses = {way: log_loss(y, part[way].to_numpy(np.float64)) for way in ways}
    compared = differences(losses, part["deal_id"])
    past = per_date(part)
    bins = reliability(part["forecast"].to_numpy(np.float64), y, deal=part["deal_id"])
    said = verdict(
        compared,
        of=Sentence(f"a win within {main} days", f"{main}天内赢单"),
        unit=Sentence("deals", "个商机"),
        measure=Sentence("log loss", "对数损失"),
        dates=part["as_of"].nunique(),
        wanted=wanted,
    )
    people = gain_from_people(one_a_cut(table))
    calibration = {days: calibration_figures(one_a_cut(rows)) for days, rows in table.groupby("horizon_days")}
    more = {
        "calibration": calibration[main].rename_axis("measure").reset_index(),
        "calibration_by_horizon": pd.concat(calibration, names=["horizon_days", "measure"]).reset_index(),
        "reliability": bins,
        "segments": by_segment(part, SEGMENTS),
        "dates": past,
        "people": people,
    }
    figures = {"reliability": plots.reliability_svg(part), "dates": plots.dates_svg(past)}
    return Backtest("win", table, summarise(table), compared, said, more, figures, _remarks(sentence(people, main)))


def _remarks(people: str) -> tuple[str, ...]:
    missing = set(BASELINES) - set(available())
    absent = (f"Not compared: {name}, which is not installed (pip install {name})." for name in sorted(missing))
    return (people, *absent)


def main_horizon(table: pd.DataFrame) -> int:
    """The horizon of the verdict: 90 days, or the longest one on record below it."""
    known = [int(days) for days in table["horizon_days"].unique() if days <= MAIN]
    return max(known)


def ways_of(table: pd.DataFrame) -> list[str]:
    """Ways of forecasting that have a probability in every row, the forecast first."""
    return [way for way in ("forecast", *available()) if way in table and table[way].notna().all()]


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
    cuts = past_dates(rows, end, dates=dates, weeks_apart=weeks_apart, days=days)
    plain = {"base_rate": available()["base_rate"]}
    tables: dict[str, pd.DataFrame] = {}
    for name, model in models.items():
        parts = [p for cut in cuts if len(p := _forecasts(rows, cut, end, model, [days], kinds=plain, both=False))]
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
    """The win model with fewer rows, one past span and no interval: for many refits.

    With 20,000 rows and 60 trees forecasts of the near weeks were too timid: slopes of 1.14 to 1.27 at 30 days on three
    sample companies, against 1.01 to 1.12 here and 0.98 to 1.10 of the model in use, at four times the time.
    """
    return win_model(company, seed=seed, rows=60_000, replicates=0, cuts=1)


def past_dates(
    rows: pd.DataFrame, until: pd.Timestamp, *, dates: int, weeks_apart: int, days: float = min(HORIZONS)
) -> list[pd.Timestamp]:
    """Dates of the snapshots' grid, newest first, from `days` before `until` back."""
    grid = pd.DatetimeIndex(rows["as_of"].unique()).sort_values()
    chosen: list[pd.Timestamp] = []
    for date in grid[grid <= until - pd.Timedelta(days=days)][::-1]:
        if len(chosen) < dates and (not chosen or chosen[-1] - date >= pd.Timedelta(weeks=weeks_apart)):
            chosen.append(date)
    return chosen


def judged_dates(rows: pd.DataFrame, until: pd.Timestamp, *, dates: int, weeks_apart: int) -> list[pd.Timestamp]:
    """Evenly spaced past dates, newest first, so many that each horizon has at least `dates`, if there are so many."""
    grid = past_dates(rows, until, dates=len(rows), weeks_apart=weeks_apart)
    wanted = {cut for days in HORIZONS for cut in [c for c in grid if c + pd.Timedelta(days=days) <= until][:dates]}
    return sorted(wanted, reverse=True)


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Log loss, Brier, calibration and skill against the base rate, a row a horizon and way of forecasting."""
    rows: list[dict[str, Any]] = []
    for days, part in table.groupby("horizon_days"):
        rows += [
            {"horizon_days": days, "way": way, "dates": part["as_of"].nunique(), **win_metrics(part, forecast=way)}
            for way in ways_of(part)
        ]
    return pd.DataFrame(rows)


def _forecasts(
    rows: pd.DataFrame,
    cut: pd.Timestamp,
    until: pd.Timestamp,
    model: WinModel,
    horizons: Sequence[int] = HORIZONS,
    *,
    kinds: Mapping[str, type[Baseline]],
    both: bool = True,
) -> pd.DataFrame:
    """What would have been said at `cut` of the deals open then, with and without who works on them, and what came."""
    deals = rows[rows["as_of"] == cut].reset_index(drop=True)
    try:
        model.fit(rows[rows["as_of"] <= cut], until=cut)
    except NotReady:  # nothing closed yet, or one outcome only
        return pd.DataFrame()
    impartial = model.without_people(rows) if both else model
    parts = []
    for days in horizons:
        if cut + pd.Timedelta(days=days) > until:
            continue
        said = {
            name: _rival(kind, rows, deals, cut, days) for name, kind in kinds.items() if name in SIMPLE or days == MAIN
        }
        keys = {"deal_id": deals["deal_id"], "as_of": cut, "horizon_days": days}
        came = {"won": won_within(deals, until, float(days)), "forecast": model.won_within(deals, days)}
        if both:
            said[WITHOUT] = impartial.won_within(deals, days)
        parts.append(pd.DataFrame({**keys, **came, **said}).join(deal_segments(deals, deals.get("_team"))))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _rival(kind: type[Baseline], rows: pd.DataFrame, deals: pd.DataFrame, cut: pd.Timestamp, days: float) -> Floats:
    """A baseline's forecast; where nothing was watched long enough for it yet, the base rate's."""
    try:
        return kind(days).fit(rows, until=cut).predict_proba_won(deals)
    except NotReady:
        return available()["base_rate"](days).fit(rows[rows["as_of"] <= cut], until=cut).predict_proba_won(deals)
