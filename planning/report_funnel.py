"""The funnel: what becomes of deals that enter each stage, how long they stay, and where it got stuck."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from planning.goals import wilson
from planning.rates import Change, change, stand_out
from planning.report_parts import Kind, Report, Table
from planning.sales import Sales, Window
from planning.stage_paths import passing, slower

HORIZON = 90
FOLLOWED = 30
"""Days each entrant is followed where a stage is compared with before: both sides have had all of them."""
_YEAR = pd.Timedelta(days=365)

COHORT: Mapping[str, Kind] = {
    "pipeline": "text", "stage": "text", "entered": "number", "advance": "share", "loss": "share",
    "still_open": "share", "decided": "share",
    "median_days": "days", "longest": "days", "followed": "number", "passed_30": "share",
    "low": "share", "high": "share", "passed_30_before": "share", "change": "points", "change_low": "points",
    "change_high": "points", "p": "p", "bottleneck": "text", "cost": "money", "median_days_before": "days",
    "p_time": "p", "slower": "text",
}  # fmt: skip
SNAPSHOT: Mapping[str, Kind] = {
    "pipeline": "text", "stage": "text", "open": "number", "amount": "money", "in_stage": "days",
}  # fmt: skip


def funnel(sales: Sales, window: Window) -> Report:
    """Stages by those that entered them in the last year up to the window's end, against the window and before.

    The cohort's shares are of all that entered within a year before the window's end; whether a stage got worse is
    judged on those that entered in the window and in the one before it, each followed for `FOLLOWED` days.
    """
    rows = sales.visits
    end = _moment(window.end)
    year = rows[(rows["entered"] >= end - _YEAR) & (rows["entered"] < end)]
    stages = [_stage(sales, window, key, part) for key, part in year.groupby(["pipeline", "place"], sort=True)]
    _mark(stages)
    _price(sales, stages)
    worst = sorted((s for s in stages if s["bottleneck"]), key=lambda s: -(s["cost"] or 0))
    late = [s for s in stages if s["slower"]]
    facts: dict[str, Any] = {"bottlenecks": [_named(s) for s in worst], "slower": [_named(s) for s in late]}
    facts |= {"entered": sum(s["entered"] for s in stages if s["place"] == 0), "followed_days": FOLLOWED}
    return Report("funnel", window, (Table.of("cohort", COHORT, stages), _snapshot(sales)), facts)


def bottleneck_cost(delta: float, entrants: float, later: float, amount: float) -> float:
    """Money that a lower pass rate costs: entrants not passed, times the rest of the way, times a deal's amount."""
    return abs(delta) * entrants * later * amount


def _stage(sales: Sales, window: Window, key: Any, part: pd.DataFrame) -> dict[str, Any]:
    moment = sales.moment
    whole = passing(part, moment, HORIZON)
    compared, now = _compared(sales, window, key)
    fell, (low, high) = compared, wilson(*now)
    mine, theirs = (_entered(sales, key, *bounds) for bounds in _bounds(window))
    return {
        "pipeline": key[0], "stage": part["stage"].iloc[0], "place": int(key[1]), "entered": whole.entered,
        "advance": whole.advance, "loss": whole.loss, "still_open": 1 - whole.advance - whole.loss,
        "decided": whole.decided, "median_days": whole.median_days, "longest": whole.longest,
        "followed": now[1], "passed_30": fell.now, "low": low if now[1] else None, "high": high if now[1] else None,
        "passed_30_before": fell.before, "change": fell.delta, "change_low": fell.low, "change_high": fell.high,
        "p": fell.p, "_fell": fell.fell, "bottleneck": "", "cost": None,
        "median_days_before": passing(theirs, moment, HORIZON).median_days, "p_time": slower(mine, theirs, moment),
        "slower": "", "_longer": _longer(mine, theirs, moment),
    }  # fmt: skip


def _compared(sales: Sales, window: Window, key: Any) -> tuple[Change, tuple[int, int]]:
    """Passed within `FOLLOWED` days of all followed so long: in the window against the one before it."""
    counts = []
    for start, end in _bounds(window):
        rows = _entered(sales, key, start, end)
        rows = rows[rows["entered"] <= pd.Timestamp(sales.moment) - pd.Timedelta(days=FOLLOWED)]
        soon = (rows["passed"] - rows["entered"]) <= pd.Timedelta(days=FOLLOWED)
        counts.append((int(soon.sum()), len(rows)))
    return change(*counts[0], *counts[1]), counts[0]


def _bounds(window: Window) -> tuple[tuple[pd.Timestamp, pd.Timestamp], tuple[pd.Timestamp, pd.Timestamp]]:
    """The window's entrants and those before it, moved back so that the newest have been followed for long enough."""
    back = pd.Timedelta(days=FOLLOWED)
    start, end = _moment(window.start) - back, _moment(window.end) - back
    return (start, end), (start - (_moment(window.start) - _moment(window.start_before)), start)


def _entered(sales: Sales, key: Any, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    rows = sales.visits
    same = (rows["pipeline"] == key[0]) & (rows["place"] == key[1])
    return rows[same & (rows["entered"] >= start) & (rows["entered"] < end)]


def _longer(mine: pd.DataFrame, theirs: pd.DataFrame, moment: Any) -> bool:
    now, before = (passing(rows, moment, HORIZON).median_days for rows in (mine, theirs))
    return before is not None and (now is None or now > before) and len(mine) > 0


def _mark(stages: list[dict[str, Any]]) -> None:
    for name, sign, mark in (("p", "_fell", "bottleneck"), ("p_time", "_longer", "slower")):
        for row, named in zip(stages, stand_out([row[name] for row in stages]), strict=True):
            row[mark] = "yes" if named and row[sign] else ""


def _price(sales: Sales, stages: list[dict[str, Any]]) -> None:
    """What each bottleneck costs, by what deals that pass there go on to do."""
    won = sales.closed[sales.closed["won"]]
    amount = float(won["value"].sum() / won["share"].sum()) if won["share"].sum() else 0.0
    for row in stages:
        if row["bottleneck"]:
            later = 1.0
            for other in stages:
                if other["pipeline"] == row["pipeline"] and other["place"] > row["place"]:
                    later *= other["advance"]
            row["cost"] = bottleneck_cost(row["change"], row["followed"], later, amount)


def _named(row: Mapping[str, Any]) -> dict[str, Any]:
    names = ("pipeline", "stage", "change", "change_low", "change_high", "cost", "median_days", "median_days_before")
    return {name: row[name] for name in names}


def _snapshot(sales: Sales) -> Table:
    rows = sales.open.dropna(subset=["place"])
    days = (pd.Timestamp(sales.moment) - rows["stage_since"]) / pd.Timedelta(days=1)
    groups = rows.assign(days=days).groupby(["pipeline", "place", "stage"], sort=True)
    return Table.of(
        "snapshot",
        SNAPSHOT,
        [
            {"pipeline": key[0], "stage": key[2], "open": len(part), "amount": part["amount"].sum(),
             "in_stage": part["days"].median()}
            for key, part in groups
        ],
    )  # fmt: skip


def _moment(day: Any) -> pd.Timestamp:
    return pd.Timestamp(day, tz="UTC")
