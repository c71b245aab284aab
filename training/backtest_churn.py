"""Rolling origin for customers: who would have been forecast to leave at past dates, beside plain ways."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from crm.company import Company
from crm.errors import NotReady
from crm.lake import View
from features.build import build
from models.churn import ChurnModel
from models.churn_rows import Customers, customers
from models.learners import Floats
from models.rolling import gain, log_loss
from training import plots
from training.backtest import Progress
from training.backtest_result import Backtest, TooShort, log
from training.baselines.churn import CHURN_BASELINES
from training.metrics import win_metrics
from training.reliability import calibration_figures, reliability
from training.verdicts import Sentence, differences, verdict

WAYS = ("forecast", *CHURN_BASELINES)
_APART = pd.Timedelta(days=28)
_WARM_UP = pd.Timedelta(days=90)
_MOST_TRAINING_DATES = 26
_LEAST_LEFT = 5


def backtest_churn(
    view: View,
    company: Company,
    *,
    until: datetime,
    dates: int = 6,
    tracking: str | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Backtest:
    """Refit at past dates, four weeks apart, and compare with the baselines on who had left by the horizon's end.

    Raises
    ------
    NotReady
        If there are no customers, or the history is too short for a single past date.
    """
    say = progress or (lambda _text, _done: None)
    end = pd.Timestamp(until)
    horizon = pd.Timedelta(days=company.churn.horizon_days)
    known = customers(view, company, end)
    grid = _grid(known, end - horizon)
    say("Customers on past dates", None)
    rows = _rows(view, company, known, grid, company.churn.horizon_days)
    cuts = [at for at in grid[::-1] if _enough(rows, at, horizon)][:dates]
    parts = []
    for done, cut in enumerate(cuts):
        say(f"Forecasts as of {cut:%Y-%m-%d}", done / len(cuts))
        parts.append(_forecasts(view, company, rows, cut, horizon, seed))
    parts = [part for part in parts if len(part)]
    if not parts:
        raise TooShort(2 * company.churn.horizon_days, "customers who left and who stayed")
    result = _result(pd.concat(parts, ignore_index=True), company.churn.horizon_days, wanted=dates)
    settings: dict[str, object] = {"dates": result.table["as_of"].nunique(), "seed": seed}
    return replace(result, run_id=log(result, tracking=tracking, until=end, params=settings)) if tracking else result


def _grid(known: Customers, last: pd.Timestamp) -> list[pd.Timestamp]:
    """Dates four weeks apart whose horizon has passed, oldest first."""
    first = known.first + _WARM_UP
    count = int((last - first) / _APART) + 1 if last >= first else 0
    return [last - _APART * k for k in range(min(count, 2 * _MOST_TRAINING_DATES))][::-1]


def _rows(
    view: View, company: Company, known: Customers, grid: list[pd.Timestamp], horizon_days: float
) -> pd.DataFrame:
    """Live customers on each date with their features, and whether they had left by the horizon's end."""
    parts = []
    for at in grid:
        live = known.live(at)
        parts.append(live[["account_id"]].assign(as_of=at, _left=known.left(live, at, horizon_days)))
    parts = [part for part in parts if len(part)]
    if not parts:
        return pd.DataFrame({"account_id": [], "as_of": [], "_left": []})
    spine = pd.concat(parts, ignore_index=True)
    spine["as_of"] = spine["as_of"].astype("datetime64[us, UTC]")
    table = build(view, spine[["account_id", "as_of"]], "account", company=company)
    return table.assign(_left=spine["_left"].to_numpy(bool))


def _enough(rows: pd.DataFrame, cut: pd.Timestamp, horizon: pd.Timedelta) -> bool:
    """Whether enough had left, and stayed, among what was known at a date."""
    past = rows.loc[rows["as_of"] + horizon <= cut, ["account_id", "_left"]]
    left = past["_left"].to_numpy(bool)
    return (
        min(past.loc[which, "account_id"].nunique() for which in (left, ~left)) >= _LEAST_LEFT if len(past) else False
    )


def _forecasts(
    view: View, company: Company, rows: pd.DataFrame, cut: pd.Timestamp, horizon: pd.Timedelta, seed: int
) -> pd.DataFrame:
    past, live = rows[rows["as_of"] + horizon <= cut], rows[rows["as_of"] == cut]
    if not len(live):
        return pd.DataFrame()
    try:
        model = ChurnModel(random_state=seed).fit(view, company, until=cut)
    except NotReady:  # by the customers as they were known then, too few had left
        return pd.DataFrame()
    X, left = past.drop(columns="_left"), past["_left"].to_numpy(bool)
    now = live.drop(columns="_left")
    said: dict[str, Floats] = {"forecast": model.predict_proba_left(now)}
    said |= {name: kind().fit(X, left).predict_proba_left(now) for name, kind in CHURN_BASELINES.items()}
    keys = {"account_id": live["account_id"].to_numpy(object), "as_of": cut, "left": live["_left"].to_numpy(bool)}
    return pd.DataFrame({**keys, **said})


def _result(table: pd.DataFrame, horizon_days: int, *, wanted: int) -> Backtest:
    # The same figures as for deals: who left stands for what came.
    judged = table.rename(columns={"account_id": "deal_id", "left": "won", "churn_rate": "base_rate"})
    y = judged["won"].to_numpy(bool)
    losses = {way: log_loss(y, table[way].to_numpy(np.float64)) for way in WAYS}
    compared = differences(losses, table["account_id"])
    said = verdict(
        compared,
        of=Sentence(f"leaving within {horizon_days} days", f"{horizon_days}天内流失"),
        unit=Sentence("customers", "个客户"),
        measure=Sentence("log loss", "对数损失"),
        dates=table["as_of"].nunique(),
        wanted=wanted,
    )
    summary = pd.DataFrame([_line(judged, way) for way in WAYS])
    bins = reliability(judged["forecast"].to_numpy(np.float64), y, deal=judged["deal_id"])
    calibration = calibration_figures(judged).rename_axis("measure").reset_index()
    past = _per_date(table, losses)
    figures = {"reliability": plots.reliability_svg(judged), "dates": plots.dates_svg(past)}
    more = {"calibration": calibration, "reliability": bins, "dates": past}
    return Backtest("churn", table, summary, compared, said, more, figures)


def _line(judged: pd.DataFrame, way: str) -> dict[str, Any]:
    column = "base_rate" if way == "churn_rate" else way
    figures = win_metrics(judged, forecast=column)
    return {"way": way, "dates": judged["as_of"].nunique(), **figures, "customers": figures.pop("deals")}


def _per_date(table: pd.DataFrame, losses: dict[str, Floats]) -> pd.DataFrame:
    rows = []
    for at, places in table.groupby("as_of").indices.items():
        found = gain(losses["forecast"][places], losses["churn_rate"][places], table["account_id"].iloc[places])
        rows.append((at, found.skill, found.low, found.high, len(places)))
    return pd.DataFrame(rows, columns="as_of skill low high rows".split())
