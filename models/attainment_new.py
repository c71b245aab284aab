"""Deals not made yet: how many will be made and won by a period's end, and for what, by rep and kind of deal."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.learners import Floats
from models.rollup import People
from models.win_calendar import ClosingCalendar

_DAY = 86_400
_MADE_HALF_LIFE = 13 * 7.0  # days; how fast the company makes deals changes sooner than how they run
_OWN_HALF_LIFE = 26 * 7.0  # a rep's part in it is told from fewer deals
_RUN_HALF_LIFE = 52 * 7.0
_PRIOR_DAYS = 42.0  # of the company's pace, that a rep's own is drawn towards
_SMOOTH = 7  # days
_FIRST_DAYS = 14  # of a history: deals older than it are entered as if they were made then
_OWN_WINS = 10.0  # that a rep's own amounts are weighed against
_LEAST_POOL = 20
_YEAR = 365.0  # amounts older than that count only where newer ones are few


@dataclass(frozen=True, slots=True)
class NewBusiness:
    """Deals not made yet that will be won by the period's end.

    Attributes
    ----------
    rate, lost : shape (reps, kinds)
        Expected number won, and lost.
    pools : list of arrays
        By kind, amounts of such deals in the company, base currency; 1 where deals are counted.
    level : shape (reps,)
        Amounts of a rep's wins against those of the company's of the same kinds.
    """

    rate: Floats
    lost: Floats
    pools: list[Floats]
    level: Floats

    @property
    def expected(self) -> Floats:
        """Expected sum, shape (reps,)."""
        return np.asarray(self.rate @ np.array([pool.mean() for pool in self.pools])) * self.level

    def draw(self, shift: Floats, rng: np.random.Generator) -> Floats:
        """Sums of deals that come at `rate` times exp(`shift`), both shape (reps, draws)."""
        total = np.zeros(shift.shape)
        for rate, pool in zip(self.rate.T, self.pools, strict=True):
            count = rng.poisson(rate[:, None] * np.exp(shift))
            place = np.repeat(np.arange(count.size), count.ravel())
            value = pool[rng.integers(0, len(pool), len(place))]
            total += np.bincount(place, weights=value, minlength=count.size).reshape(count.shape)
        return total * self.level[:, None]

    def draw_lost(self, shift: Floats, rng: np.random.Generator) -> Floats:
        """Numbers of deals made and lost in the period, both shape (reps, draws)."""
        return rng.poisson(self.lost.sum(axis=1)[:, None] * np.exp(shift)).astype(np.float64)

    def raised(self, by: float) -> NewBusiness:
        """The same with `1 + by` times as many won."""
        return replace(self, rate=self.rate * (1 + by))


def new_business(
    shares: pd.DataFrame,
    people: People,
    *,
    at: pd.Timestamp,
    days: float,
    calendar: ClosingCalendar,
    metric: str = "bookings",
) -> NewBusiness:
    """Deals that will be made and won within `days` after a moment.

    Deals of a kind are made at a pace that weighs the last half year most, a rep's drawn towards the company's. A deal
    made runs as those before it did: on each day of its life it is won or lost as often as they were, more so where the
    calendar pulls. Counting wins of past weeks of that length instead misses the rush before a quarter's end.

    Parameters
    ----------
    shares : DataFrame
        As `rollup.credits_of` gives it; nothing after `at` is looked at. Leads are no deals yet.
    calendar : ClosingCalendar
        When in the year deals close, learnt at `at` or before.

    References
    ----------
    Aalen and Johansen (1978), "An empirical transition matrix for non-homogeneous Markov chains".
    """
    known = _known(shares[(shares["created_at"] <= at) & (shares["kind"] != "lead")], people, at, metric)
    reps = len(people.reps)
    there = np.array([rep in people.working or rep == "" for rep in people.reps])
    began = np.array([(at - people.began.get(rep, at)).total_seconds() / _DAY for rep in people.reps])
    if not len(known) or days <= 0:
        return NewBusiness(np.zeros((reps, 1)), np.zeros((reps, 1)), [np.zeros(1)], np.ones(reps))
    history = float(known["age"].max()) - _FIRST_DAYS
    seen = np.clip(np.minimum(began, history), 0, None)
    seen[-1] = max(history, 0.0)  # deals of nobody: no new hand that will sell as the others do
    ahead = int(np.ceil(days))
    pulls = [_daily(calendar, at, int(history) + _FIRST_DAYS + 1, ahead, won=won) for won in (True, False)]
    made, ended, pools = [], [], []
    for _, deals in known.groupby("kind"):
        fresh = deals[deals["age"] < history]
        made.append(_pace(fresh, seen, there) * there * days / max(ahead, 1))
        ended.append(_ended(fresh, ahead, pulls))
        pools.append(_pool(deals, days, metric))
    rate, lost = (np.array(made).T * each for each in np.array(ended).T)
    return NewBusiness(rate, lost, pools, _levels(known, reps, metric))


def _known(deals: pd.DataFrame, people: People, at: pd.Timestamp, metric: str) -> pd.DataFrame:
    """Deals as known at a moment: age and life in days (NaN while open), who has which share, whether it counts."""
    place, nobody = people.place, len(people.reps) - 1
    closed = deals["closed_at"].where(deals["closed_at"] <= at)
    won = deals["won"] & closed.notna()
    return pd.DataFrame(
        {
            "rep": [place.get(rep, nobody) for rep in deals["rep_id"]],
            "share": deals["share"].astype(float),
            "kind": deals["kind"].astype(object).fillna(""),
            "age": (at - deals["created_at"]).dt.total_seconds() / _DAY,
            "life": (closed - deals["created_at"]).dt.total_seconds() / _DAY,
            "won": won & (deals["amount"] > 0) if metric == "bookings" else won,
            "amount": deals["amount"].astype(float),
        }
    )


def _daily(calendar: ClosingCalendar, at: pd.Timestamp, back: int, ahead: int, *, won: bool) -> tuple[Floats, Floats]:
    """Pull of each day back from `at`, newest first, and of each day ahead."""
    step = np.arange(back + ahead, dtype=np.float64)
    start = np.full(len(step), int(at.timestamp()) - back * _DAY)
    each = calendar.pull(start, step, step + 1, won=won)
    return each[:back][::-1], each[back:]


def _ended(deals: pd.DataFrame, ahead: int, pulls: list[tuple[Floats, Floats]]) -> tuple[float, float]:
    """Expected wins and losses by the end if one such deal is made on each of the days ahead."""
    win, loss = (_hazard(deals, ahead, past, won=won) for won, (past, _) in zip((True, False), pulls, strict=True))
    alive, won, lost = np.ones(ahead), 0.0, 0.0
    for life in range(ahead):
        made = np.arange(ahead - life)  # deals made on later days are not that old before the end
        part = 0.5 if life == 0 else 1.0
        wins = alive[made] * np.minimum(part * win[life] * pulls[0][1][made + life], 1.0)
        losses = (alive[made] - wins) * np.minimum(part * loss[life] * pulls[1][1][made + life], 1.0)
        alive[made] -= wins + losses
        won, lost = won + float(wins.sum()), lost + float(losses.sum())
    return won, lost


def _hazard(deals: pd.DataFrame, days: int, past: Floats, *, won: bool) -> Floats:
    """Share of deals that end on each day of their life on a day without pull, smoothed over a week."""
    age, life, share = (deals[name].to_numpy(np.float64) for name in ("age", "life", "share"))
    at_risk = np.minimum(np.floor(np.where(np.isnan(life), age, life)).astype(np.intp) + 1, days)
    deal = np.repeat(np.arange(len(deals)), at_risk)
    day = np.arange(len(deal)) - np.repeat(np.cumsum(at_risk) - at_risk, at_risk)
    ago = np.maximum(age[deal] - day, 0.0)
    weight = share[deal] * 0.5 ** (ago / _RUN_HALF_LIFE)
    exposure = np.bincount(day, weight * past[ago.astype(np.intp)], days).astype(np.float64)
    ended = (life < days) & (deals["won"].to_numpy(bool) == won)
    ago = age[ended] - life[ended]
    events = np.bincount(life[ended].astype(np.intp), share[ended] * 0.5 ** (ago / _RUN_HALF_LIFE), days)
    window = np.ones(_SMOOTH)
    return np.asarray(_around(events.astype(np.float64), window) / np.maximum(_around(exposure, window), 1e-9))


def _around(values: Floats, window: Floats) -> Floats:
    half = len(window) // 2
    return np.convolve(np.pad(values, half), window, "valid")


def _pace(deals: pd.DataFrame, seen: Floats, there: npt.NDArray[np.bool_]) -> Floats:
    """Deals made a day by rep: each one's part of the last year, the sum as of late."""
    made, exposure = _weighted(deals, seen, _OWN_HALF_LIFE)
    mean = _mean(made, exposure, there)
    prior = np.where(np.arange(len(seen)) < len(seen) - 1, _PRIOR_DAYS, 0.0)
    own = (made + prior * mean) / np.maximum(exposure + prior, 1.0)
    lately = _mean(*_weighted(deals, seen, _MADE_HALF_LIFE), there)
    return np.asarray(own * (lately / mean if mean else 1.0))


def _weighted(deals: pd.DataFrame, seen: Floats, half_life: float) -> tuple[Floats, Floats]:
    """Deals made and days seen by rep, halved with each half-life."""
    weight = deals["share"].to_numpy(np.float64) * 0.5 ** (deals["age"].to_numpy(np.float64) / half_life)
    made = np.bincount(deals["rep"], weight, len(seen))
    return made.astype(np.float64), np.asarray((1 - 0.5 ** (seen / half_life)) * half_life / np.log(2))


def _mean(made: Floats, exposure: Floats, there: npt.NDArray[np.bool_]) -> float:
    return float(made[there][:-1].sum() / max(float(exposure[there][:-1].sum()), 1.0))


def _pool(deals: pd.DataFrame, days: float, metric: str) -> Floats:
    """Amounts of wins as quick as that, or of the quickest if these are few; of the last year if it has enough."""
    won = deals[deals["won"]]
    if metric != "bookings" or not len(won):
        return np.ones(1)
    recent = won[won["age"] - won["life"] <= _YEAR]
    won = recent if len(recent) >= _LEAST_POOL else won
    quick = int((won["life"] <= days).sum())
    return won.sort_values("life")["amount"].to_numpy(np.float64)[: max(quick, _LEAST_POOL)]


def _levels(known: pd.DataFrame, reps: int, metric: str) -> Floats:
    if metric != "bookings":
        return np.ones(reps)
    won = known[known["won"]]
    usual = won.groupby("kind")["amount"].transform("mean").to_numpy(np.float64)
    mean = float(usual.mean()) if len(usual) else 1.0
    own, same = (np.bincount(won["rep"], value, reps) for value in (won["amount"].to_numpy(np.float64), usual))
    return np.asarray((own + _OWN_WINS * mean) / (same + _OWN_WINS * mean))
