"""Suggestions shown against suggestions held back by chance: an interval that holds however often it is looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.learners import Floats

ALPHA = 0.1
LEAST_UNITS = 500
"""Below so many units the interval, which holds in the limit, is not shown."""
PLANNED_UNITS = 10_000
"""Where the interval is tightest; fixed before anything is looked at."""
AIM = 0.03
"""The difference that 'how many more are needed' is worked out for."""


@dataclass(frozen=True, slots=True)
class Sequence:
    """A randomised comparison so far.

    Parameters
    ----------
    mean : float
        Difference in the share won, shown less held back.
    half : float
        Half the width of the interval; infinite before `LEAST_UNITS`.
    units : int
        Suggestions drawn whose outcome is known.
    variance : float
        Of `mean`.
    """

    mean: float
    half: float
    units: int
    variance: float

    @property
    def low(self) -> float:
        """Lower end."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """Upper end."""
        return self.mean + self.half

    @property
    def proves(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0 or self.high < 0


def contrasts(y: Floats, forecast: Floats, shown: npt.NDArray[np.bool_], share: Floats) -> Floats:
    """What each unit says of the difference, all shape (n,): x = (y - mu) z / (1 - q) - (y - mu)(1 - z) / q.

    Parameters
    ----------
    forecast : shape (n,)
        Chance to win as forecast before the draw; taking it off makes x vary less and moves no mean.
    share : shape (n,)
        Chance of being held back, above 0 and below 1.
    """
    rest = y - forecast
    return np.where(shown, rest / (1 - share), -rest / share)


def half_width(n: float, variance: float, *, planned: float = PLANNED_UNITS, alpha: float = ALPHA) -> float:
    """Half the width of an asymptotic confidence sequence for the mean of n values.

    r2 = (-2 log a + log(-2 log a + 1)) / (planned v) makes it tightest at `planned` values.

    References
    ----------
    Waudby-Smith et al. (2024), "Time-uniform central limit theory and asymptotic confidence sequences".
    """
    if variance <= 0 or n <= 0:
        return float("inf")
    r2 = (-2 * np.log(alpha) + np.log(-2 * np.log(alpha) + 1)) / (planned * variance)
    grown = n * variance * r2 + 1
    return float(np.sqrt(2 * grown / r2 * np.log(np.sqrt(grown) / alpha)) / n)


def compare(x: Floats, *shared: npt.ArrayLike) -> Sequence:
    """The comparison so far, from what units say of it.

    Parameters
    ----------
    x : shape (n,)
        As `contrasts` gives them, in the order in which they became known.
    *shared : shape (n,)
        What units may share, such as the deal and the rep: x of one are added up first. Of several the one with the
        largest variance counts.
    """
    n = len(x)
    if n == 0:
        return Sequence(0.0, float("inf"), 0, float("inf"))
    mean = float(x.mean())
    # Sums about the mean over what is shared: their variance is that of n times the mean.
    per_unit = max(
        float((np.bincount(pd.factorize(np.asarray(codes))[0], weights=x - mean) ** 2).sum() / n)
        for codes in (shared or (np.arange(n),))
    )
    half = half_width(n, per_unit) if n >= LEAST_UNITS else float("inf")
    return Sequence(mean, half, n, per_unit / n)


def more_needed(found: Sequence, share: float, *, rate: float = 0.35, aim: float = AIM) -> int:
    """About how many more units it takes until a difference of `aim` is proved.

    Parameters
    ----------
    share : float
        Held back, above 0 and below 1.
    rate : float
        Share won, for a guess of the variance while there are few units: rate (1 - rate) (1 / q + 1 / (1 - q)).
    """
    guess = rate * (1 - rate) * (1 / share + 1 / (1 - share))
    variance = found.variance * found.units if found.units >= LEAST_UNITS else guess
    n = float(LEAST_UNITS)
    while half_width(n, variance) > aim and n < 1e9:
        n *= 1.02
    return max(0, round(n) - found.units)
