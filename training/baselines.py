"""What forecasts must beat: the base rate and the stage rate, on the deals of a date."""

from __future__ import annotations

import pandas as pd

from models.learners import Floats
from models.win_curve import Curves, edges_of
from models.win_past import rates


def rate_curves(
    snapshots: pd.DataFrame, deals: pd.DataFrame, *, until: pd.Timestamp, horizon_weeks: int = 60
) -> dict[str, Curves]:
    """Curves of the base rate and of the stage rate for `deals`, learnt from snapshots as known at `until`."""
    train = snapshots[snapshots["as_of"] < until] if (snapshots["as_of"] < until).any() else snapshots
    base, stage = rates(train, deals, until, edges_of(horizon_weeks))
    return {"base_rate": base, "stage_rate": stage}


def rate_probabilities(
    snapshots: pd.DataFrame, deals: pd.DataFrame, *, until: pd.Timestamp, days: float, horizon_weeks: int = 60
) -> dict[str, Floats]:
    """P(won within so many days) by each baseline, each shape (n,)."""
    found = rate_curves(snapshots, deals, until=until, horizon_weeks=horizon_weeks)
    return {name: curves.by(days)[0] for name, curves in found.items()}
