"""What past cuts teach about errors that deals share: level by age of the period, scatter beyond the luck of deals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq

from models.attainment_past import AGES, PastCut
from models.learners import Floats, probability, safe_logit
from models.simulation import Spread

_COMMON_ERROR, _COMMON_CUTS = 0.05, 6.0
_OWN_ERROR, _OWN_CUTS = 0.15, 3.0
_LEVEL_ERROR = 0.07  # how far off a level is before anything is seen
_SHORTEST = 0.1  # of a period: what is left is taken as no shorter
_NEAR = 0.3  # of a period: a cut that much older or younger counts 1/e
_OFF = (-0.9, 1.5)  # errors beyond are those of very few deals
_MOST = 0.95  # of all open deals, that a raised level lets be won


@dataclass(frozen=True, slots=True)
class Level:
    """By which share more was won than said, at cuts of past periods: each of shape (cuts,).

    Attributes
    ----------
    age, off, luck : shape (cuts,)
        Share of the period that was over, relative error of the number of wins to come, its variance by luck.
    common : float
        Scatter of that error from period to period beyond luck, for a whole period.
    """

    age: Floats
    off: Floats
    luck: Floats
    common: float

    def at(self, age: float) -> float:
        """Relative correction at an age: the mean of cuts of about that age, drawn to 0 as far as it is uncertain."""
        if not len(self.age):
            return 0.0
        near = np.exp(-np.abs(self.age - age) / _NEAR)
        share = near / near.sum()
        # Cuts of one period see the same error: it averages out over periods, luck over cuts.
        shared = self.common**2 * float(share @ (1 / _left(self.age))) / max(len(self.age) / len(AGES), 1.0)
        variance = float((share**2 * self.luck).sum()) + shared
        return float(share @ self.off) * _LEVEL_ERROR**2 / (_LEVEL_ERROR**2 + variance)


@dataclass(frozen=True, slots=True)
class Errors:
    """Of one way of forecasting: its level, and the scatter of wins and of losses about it over a whole period."""

    level: Level
    won: Spread
    lost: Spread

    def at(self, age: float) -> Errors:
        """The same for what is left at an age.

        Shared errors are those of weeks that go well or badly for all: the fewer, the less do they average out.
        """
        shorter = float(1 / np.sqrt(_left(np.array(age))))
        won, lost = (replace(spread, common=spread.common * shorter) for spread in (self.won, self.lost))
        return Errors(self.level, won, lost)


def learn(cuts: Sequence[PastCut], way: str) -> Errors:
    """Errors of a way at past cuts, in numbers of deals: amounts would add their own luck and tell no more.

    The level's correction is taken out before scatter is told. The common scatter is the posterior root mean square
    given that a cut's relative error has the variance of luck plus its own square, over the share of the period that
    was left. Cuts of one period see much of the same, so together they count as one; .05 counts as six such errors
    seen without luck. Adding up max(0, error^2 - luck) instead takes luck for an error: ranges too wide. The reps' own
    is what their errors scatter beyond luck over all cuts, .15 counting as three cuts.
    """
    won = np.array([_seen(cut, cut.win[way], cut.counts.rate, cut.won) for cut in cuts]).reshape(-1, 5)
    lost = np.array([_seen(cut, cut.lose[way], cut.counts.lost, cut.lost) for cut in cuts]).reshape(-1, 5)
    age = np.array([cut.age for cut in cuts])
    level = Level(age, won[:, 0], won[:, 1], _common(won[:, 0], won[:, 1], age))
    off = won[:, 0] - np.array([level.at(a) for a in age])
    return Errors(
        level,
        Spread(_common(off, won[:, 1], age), _own(won)),
        Spread(_common(lost[:, 0], lost[:, 1], age), _own(lost)),
    )


def raised(chance: Floats, by: float) -> Floats:
    """Chances whose sum is `1 + by` times as large, all log odds moved alike; shape (n,)."""
    some = (chance > 0) & (chance < 1)
    now = float(chance[some].sum())
    wanted = min(now * (1 + by), _MOST * int(some.sum()))
    if not some.any() or np.isclose(wanted, now):
        return chance
    odds = safe_logit(chance[some])
    found = chance.copy()
    found[some] = probability(odds + brentq(lambda move: float(probability(odds + move).sum()) - wanted, -20.0, 20.0))
    return found


def _seen(cut: PastCut, chance: Floats, rate: Floats, came: Floats) -> tuple[float, ...]:
    """Of numbers to come: relative error of the sum, its variance by luck; the same of reps; their size."""
    new = rate.sum(axis=1)
    said = np.asarray(cut.credit @ chance) + new
    own_luck = np.asarray(cut.credit.power(2) @ (chance * (1 - chance))) + new
    total, luck = max(float(said.sum()), 1e-9), float(own_luck.sum())
    part = said / total
    rest = came - part * came.sum()
    # What each has beside a fixed part of the sum varies by luck so much: own luck is in the sum too.
    rest_luck = own_luck @ (1 - 2 * part) + luck * (part**2).sum()
    error = float(np.clip(came.sum() / total - 1, *_OFF))
    return error, luck / total**2, float((rest**2).sum()) / total**2, float(rest_luck) / total**2, float(part @ part)


def _left(age: Floats) -> Floats:
    return np.maximum(1 - age, _SHORTEST)


def _common(error: Floats, luck: Floats, age: Floats) -> float:
    error, luck = error * np.sqrt(_left(age)), luck * _left(age)
    square = np.linspace(0.005, 0.5, 100)[:, None] ** 2
    seen = (np.log(luck + square) + error**2 / (luck + square)).sum(axis=1) / len(AGES)
    before = _COMMON_CUTS * (np.log(square) + _COMMON_ERROR**2 / square)[:, 0]
    chance = np.exp(-(seen + before - (seen + before).min()) / 2)
    return float(np.sqrt((chance * square[:, 0]).sum() / chance.sum()))


def _own(seen: Floats) -> float:
    _, _, own, luck, size = seen.T
    usual = float(size.mean()) if len(size) else 1.0
    scatter = float((own - luck).sum()) + _OWN_CUTS * usual * _OWN_ERROR**2
    return float(np.sqrt(np.clip(scatter / (size.sum() + _OWN_CUTS * usual), 0.0, 1.0)))
