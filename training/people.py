"""What past forecasts gain from features about who works on a deal: skill with and without them, and the difference."""

from __future__ import annotations

from typing import Any

import pandas as pd

from training.metrics import skill

WITHOUT = "without_people"
"""Column of past forecasts made by the same model without features about who works on a deal."""


def gain_from_people(table: pd.DataFrame) -> pd.DataFrame:
    """Skill of past forecasts with and without who works on a deal, a row a horizon.

    Parameters
    ----------
    table : shape (n, p)
        `deal_id`, `horizon_days`, `won` (what came), and three probabilities: `forecast`, `without_people`,
        `base_rate`; a row a deal, date and horizon.

    Returns
    -------
    pd.DataFrame
        `skill` and `skill_without`: shares of the base rate's log loss that are saved; `saved`: the share of the log
        loss without such features that they save. Each with its 90 % interval over whole deals (`_low`, `_high`), on
        the same draws. No row for a horizon where no forecast differs.
    """
    pairs = {
        "skill": ("forecast", "base_rate"),
        "skill_without": (WITHOUT, "base_rate"),
        "saved": ("forecast", WITHOUT),
    }
    rows = []
    for days, part in table.groupby("horizon_days"):
        if (part[WITHOUT] == part["forecast"]).all():
            continue
        row: dict[str, Any] = {"horizon_days": days}
        for name, (ours, rival) in pairs.items():
            found = skill(part, forecast=ours, rival=rival)
            row |= {name: found.skill, f"{name}_low": found.low, f"{name}_high": found.high}
        rows.append(row | {"rows": len(part), "deals": part["deal_id"].nunique()})
    return pd.DataFrame(rows)


def sentence(gains: pd.DataFrame, days: int) -> str:
    """The gain at one horizon in words."""
    if not len(gains) or days not in set(gains["horizon_days"]):
        return "No forecast looked at who works on a deal."
    row = gains.set_index("horizon_days").loc[days]
    share = {
        name: f"{round(100 * float(row[name]), 1) + 0.0:.1f}%" for name in row.index if name not in ("rows", "deals")
    }
    certain = "a certain gain" if row["saved_low"] > 0 else "no certain gain"
    return (
        f"Who works on a deal: skill against the base rate {share['skill']} with such features, "
        f"{share['skill_without']} without; they save {share['saved']} of the log loss "
        f"(90% interval {share['saved_low']} to {share['saved_high']}), {certain}."
    )
