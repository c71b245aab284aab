"""How far more data would move a forecast: models refitted on deals drawn with replacement."""

from __future__ import annotations

import numpy as np
import pandas as pd

from models.learners import Floats, probability, safe_logit

LEVEL = 0.9


def resampled_deals(deal: pd.Series, *, seed: int) -> Floats:
    """How often each row counts, shape (n,), when whole deals are drawn with replacement.

    Parameters
    ----------
    deal : shape (n,)
        Deal of each row; all rows of a deal count equally often.
    """
    codes, names = pd.factorize(deal)
    draws = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)))
    return draws[codes].astype(np.float64)


def spread_around(p: Floats, replicates: Floats) -> tuple[Floats, Floats]:
    """90 % interval: the replicates' logits, centred, around the full model's.

    Parameters
    ----------
    p : shape (n,)
        Probabilities of the full model.
    replicates : shape (models, n)
        Probabilities of the models on resampled deals. Smaller models lean to the mean; centring takes that out.
    """
    low, high = np.quantile(moved_around(p, replicates), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return np.minimum(low, p), np.maximum(high, p)


def moved_around(p: Floats, replicates: Floats) -> Floats:
    """Where the full model's probabilities might be with other data, shapes as for `spread_around`: (models, n)."""
    logits = safe_logit(replicates)
    return probability(safe_logit(p) + logits - logits.mean(axis=0))
