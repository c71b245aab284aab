"""One simulation behind deal, rep, team and company: draws of what a period brings, summed within each draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import csr_array

from models.amounts import AmountModel
from models.learners import Floats, probability, safe_logit
from models.rollup import People

DRAWS = 2_000
_WEEK = 7.0
_PRIOR_WEEKS = 6.0
_OWN_WINS = 10.0  # wins a rep needs for own amounts to count as much as the company's
_SLOPE = 1.5  # how a common error of the win rate acts on the log odds of a deal
_SEASON_PRIOR = 20.0  # wins


@dataclass(frozen=True, slots=True)
class Spread:
    """Standard deviation of the relative error that all reps share, and of each rep's own."""

    common: float
    own: float


@dataclass(frozen=True, slots=True)
class NewBusiness:
    """Deals not made yet that will be won by the period's end.

    Attributes
    ----------
    rate : shape (reps,)
        Expected number.
    mean : shape (reps,)
        Expected amount of one, base currency.
    pool : array
        Amounts of such deals in the company; 1 where deals are counted.
    own : list of arrays
        The same by rep.
    """

    rate: Floats
    mean: Floats
    pool: Floats
    own: list[Floats]

    @property
    def expected(self) -> Floats:
        """Expected sum by rep."""
        return self.rate * self.mean


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
    count = rng.poisson(new.rate[:, None] * np.exp(shift - half))
    return Draws(closed, value, credit, _new_sums(count, new, rng))


def new_business(
    shares: pd.DataFrame,
    people: People,
    *,
    at: pd.Timestamp,
    days: float,
    quarter_ends: list[pd.Timestamp],
    metric: str = "bookings",
) -> NewBusiness:
    """Rates of deals that are made after a moment and won within `days`, from windows of the year before it.

    Windows of that length start every week; as they overlap, one counts 1 / length. A rep's rate is drawn towards the
    company's mean by six weeks. Windows that end with a quarter tell the season. Windows before a rep began do not
    count.

    Parameters
    ----------
    shares : DataFrame
        As `rollup.credits_of` gives it; only wins before `at` are read.
    quarter_ends : list of Timestamp
        Ends of fiscal quarters, and of the period that is forecast.
    """
    won = shares[shares["won"] & (shares["closed_at"] <= at)]
    if metric == "bookings":
        won = won[won["amount"] > 0]
    length = max(days, 1e-9)
    starts = _starts(won, at, length)
    place, nobody = people.place, len(people.reps) - 1
    cycle = (won["closed_at"] - won["created_at"]).dt.total_seconds() / 86_400
    fast = won[cycle <= length]
    rep = np.array([place.get(r, nobody) for r in fast["rep_id"]], dtype=np.intp)
    inside = _inside(fast, starts, length) * fast["share"].to_numpy(np.float64)[:, None]
    counts = np.zeros((len(people.reps), len(starts)))
    np.add.at(counts, rep, inside)
    began = np.array([_seconds(people.began.get(r, at)) for r in people.reps])
    there = np.array([r in people.working or r == "" for r in people.reps])
    live = (starts[None, :] >= began[:, None]).astype(np.float64)
    rate = _rates(counts, live, length / _WEEK, there) * _season(counts, starts, length, quarter_ends)
    recent = fast[fast["closed_at"] > at - pd.Timedelta(days=365)]
    value = recent["amount"].to_numpy(np.float64) if metric == "bookings" else np.ones(len(recent))
    own = [value[(recent["rep_id"] == r).to_numpy()] for r in people.reps]
    pool = value if len(value) else np.zeros(1)
    return NewBusiness(rate * there, _means(pool, own), pool, own)


def _means(pool: Floats, own: list[Floats]) -> Floats:
    trust = np.array([len(o) / (len(o) + _OWN_WINS) for o in own])
    return trust * np.array([o.mean() if len(o) else 0.0 for o in own]) + (1 - trust) * pool.mean()


def _new_sums(count: npt.NDArray[np.int64], new: NewBusiness, rng: np.random.Generator) -> Floats:
    total = np.zeros(count.shape)
    for rep, row in enumerate(count):
        wins = int(row.sum())
        if not wins:
            continue
        own = new.own[rep]
        value = new.pool[rng.integers(0, len(new.pool), wins)]
        mine = rng.random(wins) < len(own) / (len(own) + _OWN_WINS)
        if len(own):
            value = np.where(mine, own[rng.integers(0, len(own), wins)], value)
        total[rep] = np.bincount(np.repeat(np.arange(len(row)), row), weights=value, minlength=len(row))
    return total


def _starts(won: pd.DataFrame, at: pd.Timestamp, length: float) -> Floats:
    """Starts of windows in seconds, newest first, back a year or to the first win on record."""
    if not len(won):
        return np.zeros(0)
    last = _seconds(at) - length * 86_400
    first = max(_seconds(won["closed_at"].min()), last - 365 * 86_400)
    return np.arange(last, first, -_WEEK * 86_400)


def _inside(fast: pd.DataFrame, starts: Floats, length: float) -> Floats:
    made = _all_seconds(fast["created_at"])[:, None]
    closed = _all_seconds(fast["closed_at"])[:, None]
    return ((made > starts) & (closed <= starts + length * 86_400)).astype(np.float64)


def _rates(counts: Floats, live: Floats, weeks: float, there: npt.NDArray[np.bool_]) -> Floats:
    windows = (live * there[:, None]).sum()
    mean = float((counts * live * there[:, None]).sum() / windows) if windows else 0.0
    seen = (counts * live).sum(axis=1) / weeks
    return (seen + _PRIOR_WEEKS * mean) / (live.sum(axis=1) / weeks + _PRIOR_WEEKS)


def _season(counts: Floats, starts: Floats, length: float, quarter_ends: list[pd.Timestamp]) -> float:
    """How much more windows that end with a quarter bring than all, drawn towards 1."""
    if not len(starts) or not quarter_ends:
        return 1.0
    ends = starts + length * 86_400
    at_end = np.zeros(len(ends), dtype=bool)
    for end in quarter_ends:
        at_end |= np.abs(ends - _seconds(end)) <= _WEEK * 86_400 / 2
    usual = counts.sum(axis=0).mean()
    if not at_end.any() or usual <= 0:
        return 1.0
    seen = counts[:, at_end].sum()
    return float((seen + _SEASON_PRIOR) / (usual * at_end.sum() + _SEASON_PRIOR))


def _seconds(moment: pd.Timestamp) -> float:
    return float(pd.Timestamp(moment).timestamp())


def _all_seconds(moments: pd.Series) -> Floats:
    return moments.to_numpy("datetime64[us]").astype(np.int64).astype(np.float64) / 1e6
