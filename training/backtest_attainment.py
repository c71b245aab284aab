"""Rolling origin for periods: where quarters that are over would have been forecast to end, beside plain ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crm.company import Company
from crm.errors import NotReady
from crm.lake import View
from models.learners import Floats
from models.rollup import COMPANY, credits_of
from training import plots
from training.backtest import Progress
from training.backtest_result import Backtest, TooShort, log
from training.baselines.attainment import QUANTILES, WAYS, PeriodBaseline, PeriodMoment, period_moment
from training.metrics import difference
from training.reconstruct import reconstruct
from training.snapshots import deal_snapshots
from training.verdicts import Sentence, differences, verdict

_SHARES = (1 / 3, 2 / 3)
_MOST_PERIODS = 16
_COLUMNS = [f"q{round(100 * q)}" for q in QUANTILES]


def backtest_attainment(
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
    """Forecast quarters that are over at one and two thirds of them, each by models that knew no more than then.

    Parameters
    ----------
    dates : int
        How many past moments, two a quarter.

    Raises
    ------
    NotReady
        If no quarter that is over had one before it.
    """
    say = progress or (lambda _text, _done: None)
    say("Snapshots of past weeks", None)
    end = pd.Timestamp(until)
    rows = deal_snapshots(view, company, until=until, folder=folder)
    past = past_moments(view, company, rows, end)
    wanted = [m for m in past if any(p.end <= m.start for p in past)][-dates:]
    if not wanted:
        raise TooShort((end - pd.Timestamp(rows["as_of"].min())).days, "two quarters that were over")
    told = count()
    issued = reconstruct(
        view, company, as_ofs=[m.at.to_pydatetime() for m in wanted], seed=seed,
        progress=lambda text: say(text, next(told) / len(wanted)),
    )  # fmt: skip
    parts = [part for m in wanted if len(part := _judged(m, past, issued["reps"], issued["teams"]))]
    if not parts:
        raise TooShort((end - pd.Timestamp(rows["as_of"].min())).days, "wins")
    result = _result(pd.concat(parts, ignore_index=True), wanted=dates)
    settings: dict[str, object] = {"dates": result.table["as_of"].nunique(), "seed": seed}
    return replace(result, run_id=log(result, tracking=tracking, until=end, params=settings)) if tracking else result


def past_moments(view: View, company: Company, rows: pd.DataFrame, until: pd.Timestamp) -> list[PeriodMoment]:
    """Moments near one and two thirds of each quarter that is over, on dates of the snapshots, oldest first."""
    shares = credits_of(view, company)
    grid = pd.DatetimeIndex(rows["as_of"].unique()).sort_values()
    periods = _quarters(company, until)
    found = []
    for start, end in periods:
        for share in _SHARES:
            inside = grid[(grid > start) & (grid < end)]
            if not len(inside) or end > until or inside[0] > start + _SHARES[0] * (end - start):
                continue
            at = inside[int(np.argmin(np.abs(inside - (start + share * (end - start)))))]
            found.append(period_moment(view, company, shares, rows, at=at, start=start, end=end))
    return sorted(found, key=lambda moment: moment.at)


def _quarters(company: Company, until: pd.Timestamp) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    period = company.period_of(until.tz_convert(company.time_zone).date())
    found = []
    for _ in range(_MOST_PERIODS):
        start, end = (pd.Timestamp(m).tz_convert("UTC") for m in period.bounds(company.time_zone))
        found.append((start, end))
        period = company.previous(period)
    return found


def _judged(
    moment: PeriodMoment, past: Sequence[PeriodMoment], reps: pd.DataFrame, teams: pd.DataFrame
) -> pd.DataFrame:
    """Quantiles of each way at a moment beside what came, a row a rep (and the company) and way."""
    if not len(reps) or not (reps["as_of"] == moment.at).any():
        return pd.DataFrame()
    ours, whole = (_of_quarter(table, moment) for table in (reps, teams))
    ours = ours[ours["rep_id"].isin(np.array(moment.people.reps, dtype=object)[moment.judged])]
    whole = whole[whole["team_id"] == COMPANY]
    places = [moment.people.place[rep] for rep in ours["rep_id"]]
    came, total = moment.actual[places], np.array([moment.actual.sum()])
    said = ["p10", "p50", "p90"]
    parts = [_rows(moment, "forecast", "rep", ours["rep_id"], ours[said].to_numpy(np.float64), came)]
    if len(whole):
        parts.append(_rows(moment, "forecast", "company", [COMPANY], whole[said].to_numpy(np.float64)[:1], total))
    for way in WAYS:
        try:
            rival = PeriodBaseline(way).fit(past, before=moment.start)
        except NotReady:
            continue
        parts.append(_rows(moment, way, "rep", ours["rep_id"], rival.predict(moment)[places], came))
        parts.append(_rows(moment, way, "company", [COMPANY], rival.predict_company(moment)[None, :], total))
    return pd.concat(parts, ignore_index=True)


def _of_quarter(table: pd.DataFrame, moment: PeriodMoment) -> pd.DataFrame:
    """Forecasts of bookings in the moment's own quarter."""
    days = (moment.end - moment.start).days
    length = (pd.to_datetime(table["period_end"]) - pd.to_datetime(table["period_start"])).dt.days
    same = (table["as_of"] == moment.at) & (table["metric"] == "bookings") & ((length - days).abs() <= 1)
    return table[same]


def _rows(moment: PeriodMoment, way: str, level: str, who: Any, quantiles: Floats, actual: Floats) -> pd.DataFrame:
    values = dict(zip(_COLUMNS, quantiles.T, strict=True))
    keys = {"as_of": moment.at, "period_start": moment.start, "age": round(moment.age, 2), "level": level, "way": way}
    return pd.DataFrame({**keys, "who": np.asarray(who, dtype=object), "actual": actual, **values})


def pinball(table: pd.DataFrame) -> Floats:
    """Mean pinball loss of the three quantiles, a value a row, in the unit of what is forecast."""
    miss = table["actual"].to_numpy(np.float64)[:, None] - table[_COLUMNS].to_numpy(np.float64)
    q = np.array(QUANTILES)
    return np.asarray(np.maximum(q * miss, (q - 1) * miss).mean(axis=1))


def summarise_periods(table: pd.DataFrame) -> pd.DataFrame:
    """Pinball and bias as shares of what came, coverage and width of the 80 % range, a row a level and way."""
    rows = []
    for (level, way), part in table.groupby(["level", "way"], sort=False):
        came = max(float(part["actual"].sum()), 1e-9)
        held = (part["actual"] >= part["q10"]) & (part["actual"] <= part["q90"])
        rows.append(
            {
                "level": level, "way": way, "dates": part["as_of"].nunique(), "rows": len(part),
                "pinball": float(pinball(part).sum()) / came, "coverage": float(held.mean()),
                "width": float((part["q90"] - part["q10"]).sum()) / came,
                "bias": float((part["q50"] - part["actual"]).sum()) / came,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _result(table: pd.DataFrame, *, wanted: int) -> Backtest:
    reps = table[table["level"] == "rep"]
    losses = reps.assign(loss=pinball(reps)).pivot_table(index=["as_of", "who"], columns="way", values="loss")
    losses = losses.dropna(axis=1).reset_index()
    ways = {way: losses[way].to_numpy(np.float64) for way in ("forecast", *WAYS) if way in losses}
    compared = differences(ways, losses["who"])
    summary = summarise_periods(table)
    said = verdict(
        compared,
        of=Sentence("bookings at a quarter's end", "季末业绩"),
        unit=Sentence("reps", "名销售"),
        measure=Sentence("pinball loss", "分位数损失"),
        dates=losses["as_of"].nunique(),
        wanted=wanted,
    )
    past = _per_date(losses)
    chart = plots.dates_svg(past, measure="Share of the run-rate's pinball loss that is saved")
    figures = {"dates": chart}
    return Backtest("attainment", table, summary, compared, said, {"dates": past}, figures)


def _per_date(losses: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for at, part in losses.groupby("as_of"):
        found = difference(part["forecast"].to_numpy(np.float64), part["run_rate"].to_numpy(np.float64), part["who"])
        theirs = max(float(part["run_rate"].mean()), 1e-9)
        rows.append((at, found.mean / theirs, found.low / theirs, found.high / theirs, len(part)))
    return pd.DataFrame(rows, columns="as_of skill low high rows".split())
