"""What win forecasts must beat, each with the same two calls: fit on snapshots, then a probability for each deal."""

from __future__ import annotations

from importlib.util import find_spec

from training.baselines.base import Baseline
from training.baselines.learned import CatBoostBaseline, LogisticBaseline
from training.baselines.naive_bayes import OdooBayes
from training.baselines.rates import BaseRate, OwnCall, StageRate

BASELINES: dict[str, type[Baseline]] = {
    "base_rate": BaseRate,
    "stage_rate": StageRate,
    "own_call": OwnCall,
    "odoo_bayes": OdooBayes,
    "logistic": LogisticBaseline,
    "catboost": CatBoostBaseline,
}
SIMPLE = ("base_rate", "stage_rate", "own_call", "odoo_bayes")
"""Those that a person could work out by hand; the rest are learners."""


def available() -> dict[str, type[Baseline]]:
    """All baselines that can be fitted here; CatBoost is an extra package."""
    return {name: kind for name, kind in BASELINES.items() if name != "catboost" or find_spec("catboost")}


__all__ = ["BASELINES", "SIMPLE", "BaseRate", "Baseline", "CatBoostBaseline", "LogisticBaseline", "OdooBayes",
           "OwnCall", "StageRate", "available"]  # fmt: skip
