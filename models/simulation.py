"""One simulation behind deal, rep, team and company: draws of what a period brings, summed within each draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from models.amounts import AmountModel
from models.attainment_new import NewBusiness
from models.learners import Floats, probability, safe_logit

DRAWS = 2_000
_SLOPE = 1.5  # how a common error of the win rate acts on the log odds of a deal


@dataclass(frozen=True, slots=True)
class Spread:
    """Standard deviation of the relative error that all reps share, and of each rep's own."""

    common: float
    own: float


@dataclass(frozen=True, slots=True)
class Draws:
    """Draws of one period: what is closed, each open deal, new business.

    Attributes
    ----------
    closed : shape (reps,)
    deals : shape (deals, draws)
        What a deal brings in full, 0 where it is not won in the period.
    credit : shape (reps, deals)
        Who gets which share of it.
    new : shape (reps, draws)
    """

    closed: Floats
    deals: Floats
    credit: csr_array
    new: Floats

    @property
    def reps(self) -> Floats:
        """Totals by rep, shape (reps, draws)."""
        return self.closed[:, None] + np.asarray(self.credit @ self.deals) + self.new

    def of(self, members: list[int], reps: Floats | None = None) -> Floats:
        """Total of a team, shape (draws,): its members' draws added up, draw by draw."""
        return np.asarray((self.reps if reps is None else reps)[members].sum(axis=0))


def draw_period(
    closed: Floats,
    win: Floats,
    deals: pd.DataFrame,
    credit: csr_array,
    new: NewBusiness,
    *,
    amounts: AmountModel | None,
    spread: Spread,
    seed: int = 0,
    draws: int = DRAWS,
) -> Draws:
    """Draw how a period ends.

    Parameters
    ----------
    win : shape (n,)
        Probability of each open deal to be won by the period's end.
    deals : shape (n, p)
        The deals, as `amounts` needs them.
    amounts : AmountModel, optional
        What a won deal is worth; unset: each counts 1.
    spread : Spread
        Errors of the win rate that deals share; without them the luck of single deals averages out and large sums
        look far too sure.
    """
    rng = np.random.default_rng(seed)
    reps = len(closed)
    common = rng.normal(0.0, 1.0, draws) * spread.common
    own = rng.normal(0.0, 1.0, (reps, draws)) * spread.own
    shift = common[None, :] + own
    owner = np.asarray(credit.argmax(axis=0)).ravel() if len(deals) else np.zeros(0, dtype=np.intp)
    variance = _SLOPE**2 * (spread.common**2 + spread.own**2)
    stretched = safe_logit(win) * np.sqrt(1 + 0.346 * variance)
    chance = probability(stretched[:, None] + _SLOPE * shift[owner])
    won = (rng.random(chance.shape) < chance) & (win > 0)[:, None]
    value = won.astype(np.float64)
    if amounts is not None:
        value *= np.nan_to_num(amounts.draw(deals, rng, draws))
    half = (spread.common**2 + spread.own**2) / 2
    return Draws(closed, value, credit, new.draw(shift - half, rng))
