"""Levers of the plan: what each changes in the draws of a period, and how sure its effect is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from math import exp, log
from typing import Literal

import numpy as np
import pandas as pd

from crm.errors import BadInput
from models.learners import Floats

Basis = Literal["assumption", "association", "adjusted", "measured"]
CAPACITY_POWER = 0.7
"""New business grows with capacity to this power: the next person finds less than the last one did."""
FIT_FLOOR = 0.7
"""Of a deal's chance stays so much with whoever has nothing to do with it."""
LEAST_CAMPAIGNS = 8
_Z90 = 1.6448536269514722


class BadLever(BadInput):
    """A lever cannot be used like this."""


@dataclass(frozen=True, slots=True)
class OddsRatio:
    """An effect on the odds to win: its 90 % range, and what that rests on.

    Raises
    ------
    BadLever
        If the range is empty or not above 0.
    """

    low: float
    high: float
    basis: Basis = "assumption"

    def __post_init__(self) -> None:
        """Check the range."""
        if not 0 < self.low <= self.high or not np.isfinite(self.high):
            raise BadLever(
                "odds: the range {low:g} to {high:g} cannot be. Give two numbers above 0, the lower first; 1 is no "
                "effect.",
                low=self.low,
                high=self.high,
            )

    @property
    def mu(self) -> float:
        """Mean of its logarithm."""
        return (log(self.low) + log(self.high)) / 2

    @property
    def sigma(self) -> float:
        """Standard deviation of its logarithm."""
        return (log(self.high) - log(self.low)) / (2 * _Z90)

    @property
    def median(self) -> float:
        """Its middle."""
        return exp(self.mu)

    def draw(self, n: int, rng: np.random.Generator) -> Floats:
        """Draws of it, shape (n,): lognormal."""
        return np.asarray(np.exp(self.mu + self.sigma * rng.standard_normal(n)))


@dataclass(frozen=True, slots=True)
class Promotion:
    """A promotion of a product or in a segment: better odds, a discount, a fixed cost."""

    odds: OddsRatio
    product_id: str | None = None
    segment: str | None = None
    discount: float = 0.0
    cost: float = 0.0
    start: date | None = None
    end: date | None = None


@dataclass(frozen=True, slots=True)
class MoveCapacity:
    """People who work for another team from a day on."""

    people: float
    from_team: str
    to_team: str
    start: date | None = None


@dataclass(frozen=True, slots=True)
class Hire:
    """New people in a team from a day on; they ramp up as the plan's capacity does."""

    people: float
    team: str
    start: date


@dataclass(frozen=True, slots=True)
class Leave:
    """A person leaves: new business ends, open deals go to colleagues."""

    rep_id: str
    start: date | None = None


@dataclass(frozen=True, slots=True)
class HandOver:
    """A deal goes to another person."""

    deal_id: str
    rep_id: str


@dataclass(frozen=True, slots=True)
class Retarget:
    """A segment's share of the deals that are made changes; the effort stays."""

    segment: str
    share: float
    start: date | None = None


@dataclass(frozen=True, slots=True)
class Resplit:
    """Other targets by owner; no draw moves."""

    targets: Mapping[str, Decimal]


Lever = Promotion | MoveCapacity | Hire | Leave | HandOver | Retarget | Resplit


def odds_moved(chance: Floats, ratio: Floats | float) -> Floats:
    """A chance after its odds were multiplied: xp / (1 - p + xp)."""
    return np.asarray(ratio * chance / (1 - chance + ratio * chance))


def break_even(chance: float, discount: float) -> float | None:
    """Odds ratio from which a discount pays at a chance; None where none can."""
    left = 1 - discount - chance
    return (1 - chance) / left if left > 0 else None


def capacity_factor(before: float, after: float) -> float:
    """New business after a change of capacity against that before it."""
    return (max(after, 0.0) / before) ** CAPACITY_POWER if before > 0 else 1.0


def handed_over(chance: Floats | float, fit: float) -> Floats:
    """A deal's chance with somebody who fits it so well, 0 to 1."""
    return np.asarray(chance * (FIT_FLOOR + (1 - FIT_FLOOR) * fit))


def retargeted(value_share: float, before: float, after: float) -> float:
    """New business after a segment's share of the deals made changes, against that before.

    Parameters
    ----------
    value_share : float
        The segment's share of new business in money.
    before, after : float
        Its share of the deals made; the other segments are scaled so that the effort stays the same.
    """
    if not 0 < before < 1:
        return 1.0
    return value_share * after / before + (1 - value_share) * (1 - after) / (1 - before)


def campaign_effect(campaigns: pd.DataFrame, deals: pd.DataFrame, today: date) -> OddsRatio | None:
    """What past campaigns went with: the odds of winning while they ran against as long before, pooled.

    An association: what else changed in those weeks is in it. None with fewer than 8 campaigns that have deals closed
    in both times.

    Parameters
    ----------
    campaigns : DataFrame
        product_id, segment (missing: all), starts_on, ends_on.
    deals : DataFrame
        product_id, segment, day (closed), won.

    References
    ----------
    DerSimonian and Laird (1986), "Meta-analysis in clinical trials".
    """
    found = [one for row in campaigns.to_dict("records") if (one := _one_campaign(row, deals, today)) is not None]
    if len(found) < LEAST_CAMPAIGNS:
        return None
    effect, variance = np.array(found).T
    weight = 1 / variance
    mean = (weight * effect).sum() / weight.sum()
    spread = (weight * (effect - mean) ** 2).sum() - (len(found) - 1)
    between = max(0.0, spread / (weight.sum() - (weight**2).sum() / weight.sum()))
    weight = 1 / (variance + between)
    mean, error = float((weight * effect).sum() / weight.sum()), float(1 / np.sqrt(weight.sum()))
    # The next campaign is one more of them: their own differences belong to the range.
    half = _Z90 * float(np.sqrt(error**2 + between))
    return OddsRatio(exp(mean - half), exp(mean + half), "association")


def _one_campaign(row: Mapping[str, object], deals: pd.DataFrame, today: date) -> tuple[float, float] | None:
    start, end = (pd.Timestamp(row[name]) for name in ("starts_on", "ends_on"))
    if pd.isna(end) or end.date() >= today or end < start:
        return None
    mine = deals
    for name in ("product_id", "segment"):
        if isinstance(row.get(name), str):
            mine = mine[mine[name] == row[name]]
    length = end - start + pd.Timedelta(days=1)
    inside = mine[(mine["day"] >= start) & (mine["day"] <= end)]["won"]
    before = mine[(mine["day"] >= start - length) & (mine["day"] < start)]["won"]
    if not len(inside) or not len(before):
        return None
    # Half a deal more in each cell keeps odds of nothing won, or all, finite.
    a, b, c, d = (n + 0.5 for n in (inside.sum(), (~inside).sum(), before.sum(), (~before).sum()))
    return log(a * d / (b * c)), float(1 / a + 1 / b + 1 / c + 1 / d)
