"""Challenger against champion: the verdict, with its figures, by the policy in `mlflow/promotion.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from crm.errors import BadInput
from models.rolling import log_loss
from training.metrics import difference

POLICY_FILE = Path(__file__).resolve().parents[1] / "mlflow" / "promotion.yaml"


class BadPolicy(BadInput):
    """The promotion policy cannot be used."""


@dataclass(frozen=True, slots=True)
class Policy:
    """When a challenger is promoted: `level` of the interval, `tolerance` in mean log loss."""

    level: float = 0.9
    tolerance: float = 0.002


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to promote, and why in one sentence; `difference` is champion minus challenger, above 0 is better."""

    promote: bool
    text: str
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    deals: int = 0


def policy_of(what: str, path: Path = POLICY_FILE) -> Policy:
    """The policy for a kind of model; the defaults where the file or the kind is missing.

    Raises
    ------
    BadPolicy
        If a key is unknown or a value is no number in its range.
    """
    if not path.exists():
        return Policy()
    found = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get(what) or {}
    known = {"level": (0.5, 0.999), "tolerance": (0.0, 1.0)}
    for key, value in found.items():
        if key not in known:
            raise BadPolicy(f"{path.name}: {what}.{key} is not a known key. Known: {', '.join(known)}.")
        low, high = known[key]
        if not isinstance(value, int | float) or not low <= value <= high:
            raise BadPolicy(f"{path.name}: {what}.{key} is {value!r}. Give a number from {low} to {high}.")
    return Policy(**found)


def first_model() -> Verdict:
    """The verdict where there is no champion: what runs is better than nothing."""
    return Verdict(True, "Promoted: the first model of its kind.")


def same_recipe() -> Verdict:
    """The verdict where only the data is newer."""
    return Verdict(True, "Promoted: made like the champion, on newer or the same data.")


def other_definitions() -> Verdict:
    """The verdict where the champion cannot forecast any more: its features are made otherwise now."""
    return Verdict(True, "Promoted: the champion was trained on other definitions of the features and cannot be used.")


def judge(table: pd.DataFrame, policy: Policy, *, seed: int = 0) -> Verdict:
    """Compare by paired resampling of deals.

    The challenger is promoted unless it is worse beyond doubt (the interval lies below 0) or its mean log loss is
    higher by more than the tolerance.

    Parameters
    ----------
    table : shape (n, 4+)
        `deal_id`, `won`, and probabilities `challenger` and `champion`, forecast before the outcomes were known.
    """
    if not len(table):
        return Verdict(True, "Promoted: no past forecasts to compare with the champion's.")
    y = table["won"].to_numpy(bool)
    losses = {name: log_loss(y, table[name].to_numpy(np.float64)) for name in ("challenger", "champion")}
    found = difference(losses["challenger"], losses["champion"], table["deal_id"], level=policy.level, seed=seed)
    promote = found.high >= 0 and found.mean >= -policy.tolerance
    figures = (
        f"log loss {losses['challenger'].mean():.4f} against the champion's {losses['champion'].mean():.4f} "
        f"on {found.units} deals (difference {found.mean:+.4f}, {100 * policy.level:.0f}% interval "
        f"{found.low:+.4f} to {found.high:+.4f})"
    )
    text = f"Promoted: {figures}." if promote else f"Not promoted, the champion stays: {figures}."
    return Verdict(promote, text, found.mean, found.low, found.high, found.units)
