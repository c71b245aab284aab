"""Sales over time, by team, product and region; and how fast the pipeline turns into money."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from math import log
from typing import Any

import pandas as pd

from planning.report_parts import Kind, Report, Table, ratio
from planning.sales import Sales, Window

MONTHS: Mapping[str, Kind] = {
    "month": "text", "bookings": "money", "won": "decimal", "year_before": "money", "change": "share",
}  # fmt: skip
GROUP: Mapping[str, Kind] = {
    "name": "text", "bookings": "money", "before": "money", "change": "share", "share": "share",
    "share_before": "share", "won": "decimal", "mean": "money",
}  # fmt: skip
SPEED: Mapping[str, Kind] = {"part": "text", "now": "decimal", "before": "decimal", "effect": "log"}
NONE = ""
"""Stands for what names no product, region or the like."""
_SHOWN_MONTHS = 24


def trend(sales: Sales, window: Window) -> Report:
    """Bookings month by month beside the year before, and by team against the period before."""
    won = sales.closed[sales.closed["won"]]
    now, before = (float(_won(sales, *days)["value"].sum()) for days in _both(window))
    year_ago = tuple((pd.Timestamp(d) - pd.DateOffset(years=1)).date() for d in (window.start, window.end))
    year = float(_won(sales, year_ago[0], year_ago[1])["value"].sum())
    known = bool(len(won)) and won["day"].min() <= pd.Timestamp(year_ago[0])
    facts = {
        "bookings": now, "before": before, "change": ratio(now, before),
        "year_before": year if known else None, "change_year": ratio(now, year) if known else None,
    }  # fmt: skip
    return Report("trend", window, (_months(won, sales.today), group("teams", sales, window, "team_id")), facts,
                  _unpriced(won))  # fmt: skip


def mix(sales: Sales, window: Window) -> Report:
    """What is sold where: products, families, regions, segments and kinds of deals, against the period before."""
    columns = {
        "products": "product_id", "families": "product_family", "regions": "region", "customer_segments": "segment",
        "kinds": "kind",
    }  # fmt: skip
    tables = tuple(group(name, sales, window, column) for name, column in columns.items())
    named = tables[0].rows.dropna(subset=["share", "share_before"])
    moved = named.assign(move=named["share"] - named["share_before"]).sort_values("move")
    facts: dict[str, Any] = {"bookings": float(_won(sales, window.start, window.end)["value"].sum())}
    if len(moved):
        facts |= {"up": moved.iloc[-1]["name"], "up_by": moved.iloc[-1]["move"],
                  "down": moved.iloc[0]["name"], "down_by": moved.iloc[0]["move"]}  # fmt: skip
    return Report("mix", window, tables, facts, _unpriced(sales.closed[sales.closed["won"]]))


def velocity(sales: Sales, window: Window) -> Report:
    """Money a day that the pipeline brings, and which of its four parts moved it."""
    now, before = (_speed(sales, *days) for days in _both(window))
    effects = explained(now, before)
    rows = [
        {"part": name, "now": now[name], "before": before[name], "effect": effects.get(name)}
        for name in ("deals", "win_rate", "amount", "cycle_days", "velocity")
    ]
    facts = {
        "now": now["velocity"], "before": before["velocity"], "effects": effects,
        "change": ratio(now["velocity"], before["velocity"]) if now["velocity"] and before["velocity"] else None,
    }  # fmt: skip
    return Report("velocity", window, (Table.of("parts", SPEED, rows),), facts)


def speed(deals: float, win_rate: float, amount: float, cycle_days: float) -> float:
    """Base currency a day: open deals times win rate times mean won amount over mean days to close."""
    return deals * win_rate * amount / cycle_days


def explained(now: Mapping[str, float | None], before: Mapping[str, float | None]) -> dict[str, float]:
    """Logarithm of the ratio of two velocities, and the part of each factor; the parts add up to it.

    Empty where a factor is not known or 0, so that nothing can be told.
    """
    names = ("deals", "win_rate", "amount", "cycle_days")
    pairs = {name: (now[name], before[name]) for name in names}
    if any(not a or not b for a, b in pairs.values()):
        return {}
    effects = {name: log(a / b) for name, (a, b) in pairs.items() if a and b}
    effects["cycle_days"] *= -1
    return effects | {"velocity": sum(effects.values())}


def group(table: str, sales: Sales, window: Window, column: str) -> Table:
    """Bookings by the values of a column in the window and before it, the largest first."""
    parts = [_by(_won(sales, *days), column) for days in _both(window)]
    sums = [float(part["value"].sum()) for part in parts]
    names = sorted(set(parts[0].index) | set(parts[1].index))
    rows = []
    for name in names:
        now, before = (float(p["value"].get(name, 0.0)) for p in parts)
        deals = float(parts[0]["share"].get(name, 0.0))
        rows.append(
            {"name": name, "bookings": now, "before": before, "change": ratio(now, before),
             "share": now / sums[0] if sums[0] else None, "share_before": before / sums[1] if sums[1] else None,
             "won": deals, "mean": now / deals if deals else None}
        )  # fmt: skip
    return Table.of(table, GROUP, sorted(rows, key=lambda row: (-row["bookings"], -row["before"], row["name"])))


def _by(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    key = rows[column].astype(object)
    return rows.assign(key=key.where(key.notna(), NONE)).groupby("key")[["value", "share"]].sum()


def _months(won: pd.DataFrame, today: date) -> Table:
    months = pd.period_range(end=pd.Period(today, "M"), periods=_SHOWN_MONTHS, freq="M")
    sums = won.assign(month=won["day"].dt.to_period("M")).groupby("month")[["value", "share"]].sum()
    first = sums.index.min() if len(sums) else months[-1]
    rows = []
    for month in months[months >= first]:
        now, ago = (float(sums["value"].get(m, 0.0)) for m in (month, month - 12))
        known = month - 12 >= first
        rows.append(
            {"month": str(month), "bookings": now, "won": float(sums["share"].get(month, 0.0)),
             "year_before": ago if known else None, "change": ratio(now, ago) if known else None}
        )  # fmt: skip
    return Table.of("months", MONTHS, rows)


def _speed(sales: Sales, start: date, end: date) -> dict[str, float | None]:
    rows = sales.within(start, end)
    won = rows[rows["won"]]
    share = float(won["share"].sum())
    open_ = float(_open_at(sales, start))
    found: dict[str, float | None] = {
        "deals": open_,
        "win_rate": share / float(rows["share"].sum()) if len(rows) else None,
        "amount": float(won["value"].sum()) / share if share else None,
        "cycle_days": float((won["took"] * won["share"]).sum()) / share if share else None,
    }
    known = [value for value in found.values() if value]
    found["velocity"] = speed(*known) if len(known) == len(found) else None
    return found


def _open_at(sales: Sales, day: date) -> int:
    """Deals that were open at the start of a day."""
    at = pd.Timestamp(day, tz="UTC")
    deals = sales.deals
    return int(((deals["created_at"] < at) & (deals["closed_at"].isna() | (deals["closed_at"] >= at))).sum())


def _won(sales: Sales, start: date, end: date) -> pd.DataFrame:
    rows = sales.within(start, end)
    return rows[rows["won"]]


def _both(window: Window) -> tuple[tuple[date, date], tuple[date, date]]:
    return (window.start, window.end), (window.start_before, window.end_before)


def _unpriced(won: pd.DataFrame) -> tuple[str, ...]:
    lost = won.loc[won["value"].isna(), "deal_id"].nunique()
    return (f"{lost} deals left out: no amount, or no rate to the base currency",) if lost else ()
