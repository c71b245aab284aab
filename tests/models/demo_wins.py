"""A win model of a small world in which one action goes together with winning."""

import numpy as np
import pandas as pd

from models.win import WinModel


def demo_wins(as_of: pd.Timestamp) -> WinModel:
    """Of 600 closed deals those with a demo were won in 70 %, the others in 20 %; calls tell nothing."""
    rng, n = np.random.default_rng(0), 600
    demos, calls = rng.integers(0, 2, n).astype(float), rng.integers(0, 3, n).astype(float)
    made = as_of - pd.to_timedelta(rng.uniform(60, 500, n), unit="D")
    won = rng.random(n) < np.where(demos > 0, 0.7, 0.2)
    rows = pd.DataFrame({"deal_id": [f"p{i}" for i in range(n)], "as_of": made, "demos": demos, "calls_30d": calls})
    rows["_closed_at"] = made + pd.to_timedelta(rng.uniform(5, 50, n), unit="D")
    rows["_outcome"] = np.where(won, "won", "lost")
    model = WinModel(horizon_weeks=20, replicates=0, cuts=2).fit(rows, until=as_of)
    assert model.note["signal"]
    return model
