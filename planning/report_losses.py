"""Won and lost by competitor and by reason, and which competitor is rising."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from planning.goals import wilson
from planning.rates import Change, change
from planning.report_parts import Kind, Report, Table
from planning.sales import Sales, Window

LEAST = 5
"""Closed deals below which a rate against a competitor is not told."""
NOT_RECORDED = ""
COMPETITORS: Mapping[str, Kind] = {
    "competitor": "text", "closed": "number", "won": "number", "rate": "share", "low": "share", "high": "share",
    "rate_before": "share", "share": "share", "share_before": "share", "share_change": "points",
    "share_low": "points", "share_high": "points", "rate_change": "points", "rate_low": "points",
    "rate_high": "points", "rising": "text", "few": "text", "open_amount": "money",
}  # fmt: skip
REASONS: Mapping[str, Kind] = {"reason": "text", "lost": "number", "share": "share", "share_before": "share",
                               "amount": "money"}  # fmt: skip


def win_loss(sales: Sales, window: Window) -> Report:
    """Deals closed in the window by competitor and reason; 'not recorded' is a row of its own."""
    now, before = (_deals(sales.within(*days)) for days in _both(window))
    names = sorted(set(now["competitor"]) | set(before["competitor"]))
    rows = [against(name, now, before, sales.open) for name in names]
    rows.sort(key=lambda row: (row["competitor"] == NOT_RECORDED, -row["closed"], row["competitor"]))
    rising = [row["competitor"] for row in rows if row["rising"]]
    won = float(now["won"].sum())
    facts: dict[str, Any] = {
        "won": won, "lost": len(now) - won, "rate": won / len(now) if len(now) else None, "rising": rising,
        "rate_before": float(before["won"].mean()) if len(before) else None,
    }  # fmt: skip
    reasons = _reasons(now, before)
    if len(reasons.rows):
        facts |= {"reason": reasons.rows.iloc[0]["reason"], "reason_share": reasons.rows.iloc[0]["share"]}
    return Report("win-loss", window, (Table.of("competitors", COMPETITORS, rows), reasons), facts)


def against(name: str, now: pd.DataFrame, before: pd.DataFrame, open_: pd.DataFrame) -> dict[str, Any]:
    """Our record against one competitor, and whether it is rising: met more often, or beating us more often."""
    mine, theirs = (rows[rows["competitor"] == name] for rows in (now, before))
    won, won_before = int(mine["won"].sum()), int(theirs["won"].sum())
    rate, share = change(won, len(mine), won_before, len(theirs)), change(len(mine), len(now), len(theirs), len(before))
    low, high = wilson(won, len(mine))
    enough = len(mine) >= LEAST
    known = open_[open_["competitor"] == name] if name else open_[open_["competitor"].isna()]
    return {
        "competitor": name, "closed": len(mine), "won": won, "rate": rate.now if enough else None,
        "low": low if enough else None, "high": high if enough else None,
        "rate_before": rate.before if len(theirs) >= LEAST else None, "share": share.now,
        "share_before": share.before, "share_change": share.delta, "share_low": share.low, "share_high": share.high,
        "rate_change": rate.delta, "rate_low": rate.low, "rate_high": rate.high,
        "rising": "yes" if name and enough and rising(rate, share) else "", "few": "" if enough else "yes",
        "open_amount": float(known["amount"].sum()),
    }  # fmt: skip


def rising(rate: Change, share: Change) -> bool:
    """Whether a competitor is met surely more often than before, or surely beats us more often."""
    return share.rose or rate.fell


def _deals(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a closed deal, however many share it."""
    rows = rows.drop_duplicates("deal_id")
    named = {name: rows[name].astype(object) for name in ("competitor", "loss_reason")}
    return rows.assign(**{name: column.where(column.notna(), NOT_RECORDED) for name, column in named.items()})


def _reasons(now: pd.DataFrame, before: pd.DataFrame) -> Table:
    lost, lost_before = (rows[~rows["won"].astype(bool)] for rows in (now, before))
    counts, earlier = lost["loss_reason"].value_counts(), lost_before["loss_reason"].value_counts()
    amounts = lost.groupby("loss_reason")["amount"].sum()
    rows = [
        {"reason": name, "lost": int(n), "share": n / len(lost), "amount": float(amounts[name]),
         "share_before": earlier.get(name, 0) / len(lost_before) if len(lost_before) else None}
        for name, n in counts.items()
    ]  # fmt: skip
    rows.sort(key=lambda row: (row["reason"] == NOT_RECORDED, -row["lost"], row["reason"]))
    return Table.of("reasons", REASONS, rows)


def _both(window: Window) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    return (window.start, window.end), (window.start_before, window.end_before)
