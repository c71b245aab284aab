"""How customers buy: how lately, often and much (RFM), whether they come back, and when the next order is due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from math import floor
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from planning.report_parts import Kind, Report, Table
from planning.sales import Sales, Window

LEAST_ACCOUNTS = 20
_SINCE, _YEAR = 730, 365
BACK_WITHIN = 180
OTHERS = 2  # other customers' gap counts like two gaps of one's own
LATE_AFTER, GONE_AFTER = 1.5, 3.0  # usual gaps
SEGMENTS = ("champions", "loyal", "promising", "need attention", "can't lose", "at risk", "asleep")
RFM: Mapping[str, Kind] = {
    "account_id": "text", "segment": "text", "recency": "number", "frequency": "number", "monetary": "number",
    "days_since": "days", "orders": "number", "amount": "money",
}  # fmt: skip
SIZES: Mapping[str, Kind] = {"segment": "text", "accounts": "number", "amount": "money", "share": "share"}
REPEAT: Mapping[str, Kind] = {"quarter": "text", "first_orders": "number", "again": "share", "followed": "text"}
NEXT: Mapping[str, Kind] = {
    "account_id": "text", "last": "date", "usual_gap": "days", "due": "date", "days_late": "days", "state": "text",
    "usual_amount": "money",
}  # fmt: skip


def customers(sales: Sales, window: Window) -> Report:
    """RFM segments, repeat purchases by quarter of the first, and next orders, the latest first."""
    sold = sales.orders[sales.orders["sale"].astype(bool)]
    scores, due, again = rfm(sales), next_orders(sold, sales.today), repeats(sold, sales.today)
    late = due.rows[due.rows["state"] == "late"]
    whole = scores.rows["amount"].sum()
    groups = scores.rows.groupby("segment")["amount"].agg(["size", "sum"])
    sizes = [
        {"segment": name, "accounts": int(groups.at[name, "size"]), "amount": float(groups.at[name, "sum"]),
         "share": float(groups.at[name, "sum"]) / whole if whole else None}
        for name in SEGMENTS if name in groups.index
    ]  # fmt: skip
    facts = {
        "customers": len(scores.rows), "late": len(late), "due": int((due.rows["state"] == "due").sum()),
        "late_amount": float(late["usual_amount"].sum()),
        "again": again.rows["again"].dropna().iloc[-1] if again.rows["again"].notna().any() else None,
    }  # fmt: skip
    few = len(scores.rows) < LEAST_ACCOUNTS
    notes = (f"under {LEAST_ACCOUNTS} customers with an order in two years: a list without scores",) if few else ()
    return Report("customers", window, (Table.of("segments", SIZES, sizes), scores, again, due), facts, notes)


def rfm(sales: Sales) -> Table:
    """Each customer with an order in two years: days since the last, order days and money of a year, and scores."""
    rows = sales.orders
    sold = rows[rows["sale"].astype(bool)]
    today = pd.Timestamp(sales.today)
    recent = sold[sold["day"] > today - pd.Timedelta(days=_SINCE)]
    year = rows[rows["day"] > today - pd.Timedelta(days=_YEAR)]
    last = recent.groupby("account_id")["day"].max()
    table = pd.DataFrame({"days_since": (today - last).dt.days.astype(float)})
    days = year[year["sale"].astype(bool)].groupby("account_id")["day"].nunique()
    table["orders"] = days.reindex(table.index).fillna(0.0)
    table["amount"] = year.groupby("account_id")["amount"].sum().reindex(table.index).fillna(0.0)
    table["recency"] = table["frequency"] = table["monetary"] = np.nan
    table["segment"] = ""
    if len(table) >= LEAST_ACCOUNTS:
        table["recency"] = scored(-table["days_since"])
        table["frequency"], table["monetary"] = scored(table["orders"]), scored(table["amount"])
        table["segment"] = [
            segment_of(int(r), joint(int(f), int(m)))
            for r, f, m in table[["recency", "frequency", "monetary"]].itertuples(index=False)
        ]
    table = table.reset_index(names="account_id").sort_values(["amount", "account_id"], ascending=[False, True])
    return Table("rfm", RFM, table[list(RFM)].reset_index(drop=True))


def scored(values: pd.Series) -> pd.Series:
    """Scores 1 (worst) to 5 by rank; ties share their mean rank."""
    ranks, n = values.rank(method="average"), len(values)
    return ranks.map(lambda rank: score(rank, n)).astype(float)


def score(rank: float, n: int) -> int:
    """Score of a rank, 1 the worst of n."""
    return min(5, floor(5 * (rank - 0.5) / n) + 1)


def joint(frequency: int, monetary: int) -> int:
    """Frequency and money as one score, halves up."""
    return floor((frequency + monetary) / 2 + 0.5)


def segment_of(recency: int, both: int) -> str:
    """Segment of a customer by recency and the joint score of frequency and money."""
    column = 0 if both >= 4 else 1 if both == 3 else 2
    row = 0 if recency >= 4 else 1 if recency == 3 else 2
    return (
        ("champions", "loyal", "promising"),
        ("loyal", "need attention", "need attention"),
        ("can't lose", "at risk", "asleep"),
    )[row][column]


def repeats(sold: pd.DataFrame, today: date) -> Table:
    """Share that ordered again within `BACK_WITHIN` days of the first order, by calendar quarter of that.

    Kaplan-Meier, so that customers followed for less count as far as they were.
    """
    days = sold.drop_duplicates(["account_id", "day"]).sort_values(["account_id", "day"])
    first = days.groupby("account_id")["day"].nth(0).set_axis(days.groupby("account_id").size().index)
    second = days.groupby("account_id")["day"].nth(1)
    second = second.set_axis(days.loc[second.index, "account_id"])
    wait = (second.reindex(first.index) - first).dt.days
    watched = (pd.Timestamp(today) - first).dt.days
    rows = []
    for quarter, part in first.groupby(first.dt.to_period("Q")):
        again, seen = wait.loc[part.index], watched.loc[part.index]
        share = _again(again.to_numpy(float), seen.to_numpy(float))
        whole = bool((seen >= BACK_WITHIN).all())
        rows.append({"quarter": str(quarter), "first_orders": len(part), "again": share,
                     "followed": "whole" if whole else "part"})  # fmt: skip
    return Table.of("repeat", REPEAT, rows[-12:])


def usual_gap(own: Sequence[float], others: float) -> float:
    """Days between orders: a customer's own median, drawn to the segment's as by two more gaps."""
    n = len(own)
    return (n * (median(own) if own else 0.0) + OTHERS * others) / (n + OTHERS)


def next_orders(sold: pd.DataFrame, today: date) -> Table:
    """When each customer's next order is due, the latest first; who has been silent for long stands as gone.

    Customers count once they have ordered on two days, or others of their segment have.
    """
    gaps = {account: _gaps(part["day"]) for account, part in sold.groupby("account_id")}
    segment = sold.groupby("account_id")["segment"].last().astype(object)
    segment = segment.where(segment.notna(), "")
    every = [gap for own in gaps.values() for gap in own]
    usual = {
        name: _median([gap for a in part.index for gap in gaps[a]], every) for name, part in segment.groupby(segment)
    }
    amounts = (
        sold[sold["day"] > pd.Timestamp(today) - pd.Timedelta(days=_YEAR)].groupby("account_id")["amount"].median()
    )
    rows = []
    for account, last in sold.groupby("account_id")["day"].max().items():
        others = usual[segment[account]]
        if others is None:
            continue
        gap, day = usual_gap(gaps[account], others), last.date()
        rows.append(_next(str(account), day, gap, today) | {"usual_amount": amounts.get(account)})
    order = {"late": 0, "due": 1, "not yet": 2, "gone": 3}
    return Table.of("next", NEXT, sorted(rows, key=lambda r: (order[r["state"]], -r["days_late"], r["account_id"])))


def _next(account: str, last: date, gap: float, today: date) -> dict[str, Any]:
    due, silent = last + timedelta(days=round(gap)), (today - last).days
    gaps = silent / max(gap, 1.0)
    state = "gone" if gaps > GONE_AFTER else "late" if gaps > LATE_AFTER else "due" if gaps >= 1 else "not yet"
    told = {"account_id": account, "last": last, "usual_gap": gap, "due": due}
    return told | {"days_late": silent - gap, "state": state}


def _gaps(days: pd.Series) -> list[float]:
    ordered = np.sort(days.unique())
    return [float(gap) for gap in np.diff(ordered) / np.timedelta64(1, "D")]


def _median(some: list[float], every: list[float]) -> float | None:
    return median(some) if some else median(every) if every else None


def _again(wait: np.ndarray, watched: np.ndarray) -> float | None:
    from statsmodels.duration.survfunc import SurvfuncRight

    came = wait <= np.minimum(watched, BACK_WITHIN)
    if not came.any():
        return 0.0 if (watched > 0).any() else None
    days = np.where(came, np.nan_to_num(wait), np.minimum(watched, BACK_WITHIN))
    with np.errstate(divide="ignore", invalid="ignore"):  # in its standard errors, once nobody is left
        curve = SurvfuncRight(days, came.astype(int))
    return float(1 - np.asarray(curve.surv_prob)[-1])
