"""One simulation behind deal, rep, team and company: draws of what a period brings, summed within each draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import csr_array

from models.amounts import AmountModel
from models.attainment_new import NewBusiness
from models.learners import Floats, probability, safe_logit

DRAWS = 2_000
Change = Callable[[Floats], Floats]
"""From the chances of open deals in all draws, shape (deals, draws), to other ones."""
_SLOPE = 1.5  # how a common error of the win rate acts on the log odds of a deal


@dataclass(frozen=True, slots=True)
class Spread:
    """Standard deviation of the relative error that all reps share, and of each rep's own."""

    common: float
    own: float


@dataclass(frozen=True, slots=True)
class Losses:
    """What is lost of a period: by now, shape (reps,); each open deal's chance, shape (n,); errors that deals share."""

    so_far: Floats
    chance: Floats
    spread: Spread


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
    lost: Losses | None = None,
    seed: int = 0,
    draws: int = DRAWS,
    change: Change | None = None,
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
    lost : Losses, optional
        The draws are then of the share won.
    change : Change, optional
        Moves each deal's chance in each draw, whose luck stays the same: what it leaves alone ends as it did without.
    """
    rng = np.random.default_rng(seed)
    shape = len(closed), draws
    owner = np.asarray(credit.argmax(axis=0)).ravel() if len(deals) else np.zeros(0, dtype=np.intp)
    shift = _shift(spread, shape, rng)
    won = _happens(win, spread, shift[owner], rng, change)
    value = won.astype(np.float64)
    if amounts is not None:
        value *= np.nan_to_num(amounts.draw(deals, rng, draws))
    new_won = new.draw(shift - _half(spread), rng)
    if lost is None:
        return Draws(closed, value, credit, new_won)
    # Of deals that are not won, and with an error of its own: in slow quarters fewer are lost as well.
    shift = _shift(lost.spread, shape, rng)
    losing = ~won & _happens(np.clip(lost.chance / np.maximum(1 - win, 1e-9), 0, 1), lost.spread, shift[owner], rng)
    new_lost = new.draw_lost(shift - _half(lost.spread), rng)
    return Draws(closed, value, credit, new_won, Draws(lost.so_far, losing.astype(np.float64), credit, new_lost))


def _shift(spread: Spread, shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Errors by rep and draw: one that all share, one of each."""
    common = rng.normal(0.0, 1.0, shape[1]) * spread.common
    return common[None, :] + rng.normal(0.0, 1.0, shape) * spread.own


def _half(spread: Spread) -> float:
    """What keeps the mean of exp(error) at 1."""
    return (spread.common**2 + spread.own**2) / 2


def _happens(
    chance: Floats, spread: Spread, shift: Floats, rng: np.random.Generator, change: Change | None = None
) -> npt.NDArray[np.bool_]:
    """Whether it happens to each deal in each draw, shape (n, draws): log odds stretched so that the mean stays."""
    stretched = safe_logit(chance) * np.sqrt(1 + 0.346 * 2 * _half(spread) * _SLOPE**2)
    moved = probability(stretched[:, None] + _SLOPE * shift)
    if change is not None:
        moved = change(moved)
    return np.asarray((rng.random(moved.shape) < moved) & (chance > 0)[:, None])
