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
    against : Draws, optional
        What is lost in the same draws: totals are then shares won of all that ended.
    """

    closed: Floats
    deals: Floats
    credit: csr_array
    new: Floats
    against: Draws | None = None

    @property
    def reps(self) -> Floats:
        """Totals by rep, shape (reps, draws)."""
        return self.closed[:, None] + np.asarray(self.credit @ self.deals) + self.new

    def of(self, members: list[int], reps: Floats | None = None) -> Floats:
        """Total of a team, shape (draws,): its members' draws added up, draw by draw.

        Of shares, wins and losses are added up before one is divided by the other; NaN in draws where nothing ends.
        """
        sums = np.asarray((self.reps if reps is None else reps)[members].sum(axis=0))
        return sums if self.against is None else share_won(sums, self.against.of(members))

    def so_far(self, members: list[int]) -> float:
        """What a team has by now; NaN for a share where nothing ended."""
        closed = self.closed[members].sum(keepdims=True)
        if self.against is not None:
            closed = share_won(closed, self.against.closed[members].sum(keepdims=True))
        return float(closed[0])


def share_won(won: Floats, lost: Floats) -> Floats:
    """Wins of all that ended, same shape; NaN where nothing did."""
    ended = won + lost
    return np.divide(won, ended, out=np.full(ended.shape, np.nan), where=ended > 0)


def draw_period(
    closed: Floats,
    win: Floats,
    deals: pd.DataFrame,
    credit: csr_array,
    new: NewBusiness,
    *,
    amounts: AmountModel | None,
    spread: Spread,
    lost: tuple[Floats, Floats] | None = None,
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
    lost : two arrays, optional
        Lost so far, shape (reps,), and each open deal's probability to be lost by the period's end, shape (n,): the
        draws are then of the share won.
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
    luck = rng.random(chance.shape)
    won = (luck < chance) & (win > 0)[:, None]
    value = won.astype(np.float64)
    if amounts is not None:
        value *= np.nan_to_num(amounts.draw(deals, rng, draws))
    half = (spread.common**2 + spread.own**2) / 2
    new_won = new.draw(shift - half, rng)
    if lost is None:
        return Draws(closed, value, credit, new_won)
    # What is not won is lost as often as it would be anyway.
    lose = (lost[1] / np.maximum(1 - win, 1e-9))[:, None] * (1 - chance)
    losing = ((luck >= chance) & (luck < chance + lose)).astype(np.float64)
    return Draws(closed, value, credit, new_won, Draws(lost[0], losing, credit, new.draw_lost(draws, rng)))
