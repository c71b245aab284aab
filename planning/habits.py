"""Where a person works deals otherwise than colleagues do like ones: strengths, themes, and whether they got better.

A figure of one person's few deals says little, so each gap is drawn towards nothing by as much as its own doubt asks
for; where people differ no more than chance would have them, nobody differs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from crm.company import Company
from crm.lake import View
from planning.habit_rows import LIKE, WINDOW_DAYS, Habit, habit, habit_rows
from planning.sales import Sales

Floats = npt.NDArray[np.float64]
LEAST_DEALS = 10
"""Deals of a person for a habit to be compared."""
LEAST_PEERS = 5
"""Other people with as many deals; with fewer there is nobody to be compared with."""
MOST_THEMES = 3
SINCE_DAYS = 90
SURE = 0.95
"""Probability of a gap in one direction from which on it is named."""
_PSEUDO = 10.0
_GRID = 80
_Z90 = 1.6448536269514722


@dataclass(frozen=True, slots=True)
class Gap:
    """How a person's deals went in one habit, against colleagues on like deals.

    Attributes
    ----------
    deals : int
        The person's deals that it rests on.
    own, peers : float
        Mean of the person's deals, and what colleagues reach on deals like them: a share, or days (geometric mean).
    gap, low, high : float
        The difference, shrunken, with its 90 % interval: points of a share; for days the ratio less 1.
    sure_better, sure_worse : float
        Probabilities that the person differs for the better, and for the worse.
    """

    habit: Habit
    rep_id: str
    deals: int
    own: float
    peers: float
    gap: float
    low: float
    high: float
    sure_better: float
    sure_worse: float

    @property
    def strength(self) -> bool:
        """Whether the person is better at it than colleagues."""
        return self.sure_better >= SURE

    @property
    def theme(self) -> bool:
        """Whether there is something to practise."""
        return self.sure_worse >= SURE


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a theme found some time ago.

    Attributes
    ----------
    then : Gap
        As it stood when it was found.
    deals : int
        The person's deals since.
    own, peers : float
        Figures since, as in `Gap`.
    change, low, high : float
        By how much the gap has changed since, with a 90 % interval; missing where there are too few deals.
    """

    then: Gap
    deals: int
    own: float
    peers: float
    change: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether there are deals enough to tell."""
        return bool(np.isfinite(self.change))

    @property
    def better(self) -> bool:
        """Whether the whole interval says that it became better."""
        edge = self.low if self.then.habit.more_is_better else -self.high
        return self.known and edge > 0

    @property
    def worse(self) -> bool:
        """Whether the whole interval says that it became worse."""
        edge = self.high if self.then.habit.more_is_better else -self.low
        return self.known and edge < 0


@dataclass(frozen=True, slots=True)
class Coaching:
    """One person: strengths first, themes, everything that was compared, and themes of some time ago.

    Attributes
    ----------
    deals : int
        Deals of the person that were looked at, whatever the habit.
    """

    rep_id: str
    deals: int
    strengths: list[Gap]
    themes: list[Gap]
    gaps: list[Gap]
    since: list[Change]


@dataclass(frozen=True, slots=True)
class Spread:
    """How one habit spreads over k people: by person the mean residual `d` of `n` deals, and the mean `own`.

    Attributes
    ----------
    within : float
        Variance of a deal within people.
    between : shape (m,)
        Standard deviations between people that are looked at, with the probability of each, `weight`.
    """

    reps: npt.NDArray[np.object_]
    n: Floats
    d: Floats
    own: Floats
    within: float
    between: Floats
    weight: Floats

    def parts(self) -> tuple[Floats, Floats]:
        """Mean and standard deviation of each person's true gap under each spread, both of shape (m, k)."""
        noise = (self.within / self.n)[None, :]
        kept = self.between[:, None] ** 2 / (self.between[:, None] ** 2 + noise)
        return kept * self.d[None, :], np.sqrt(kept * noise)

    def below(self, at: Floats) -> Floats:
        """Probability that each person's true gap lies below a value each, shape (k,)."""
        from scipy.special import ndtr

        mean, sd = self.parts()
        return np.asarray(self.weight @ ndtr((at - mean) / sd))

    def quantile(self, share: float) -> Floats:
        """That quantile of each person's true gap, shape (k,)."""
        mean, sd = self.parts()
        low, high = (mean - 6 * sd).min(axis=0), (mean + 6 * sd).max(axis=0)
        for _ in range(60):
            middle = (low + high) / 2
            short = self.below(middle) < share
            low, high = np.where(short, middle, low), np.where(short, high, middle)
        return np.asarray((low + high) / 2)

    @property
    def mean(self) -> Floats:
        """Each person's gap on average, shape (k,)."""
        return np.asarray(self.weight @ self.parts()[0])


class Habits:
    """Habits of all people, as known at a moment.

    Parameters
    ----------
    sales : Sales
        Business as known at the moment; a year of it is looked at.
    before : Sales, optional
        Business as known `SINCE_DAYS` earlier, for themes of then.
    least_peers : int
        Fewer colleagues than these are not shown as a group.
    """

    def __init__(
        self, view: View, sales: Sales, *, before: Sales | None = None, least_peers: int = LEAST_PEERS
    ) -> None:
        self._least_peers = max(least_peers, LEAST_PEERS)
        year = timedelta(days=WINDOW_DAYS)
        now = habit_rows(view, sales, start=sales.moment - year, end=sales.moment)
        self._deals = now.groupby("rep_id")["deal_id"].nunique()
        self._gaps = self._compared(now)
        self._then: list[Gap] = []
        self._since = now.iloc[:0]
        if before is not None:
            then = habit_rows(view, before, start=before.moment - year, end=before.moment)
            self._then = [gap for gap in self._compared(then) if gap.theme]
            self._since = habit_rows(view, sales, start=before.moment, end=sales.moment)

    @property
    def people(self) -> list[str]:
        """Who had deals."""
        return sorted(map(str, self._deals.index))

    def of(self, rep_id: str) -> Coaching:
        """What is to be said to one person."""
        mine = [gap for gap in self._gaps if gap.rep_id == rep_id]
        strengths = sorted((g for g in mine if g.strength), key=_clearest)
        themes = sorted((g for g in mine if g.theme), key=_clearest)[:MOST_THEMES]
        then = sorted((g for g in self._then if g.rep_id == rep_id), key=_clearest)[:MOST_THEMES]
        deals = int(self._deals.get(rep_id, 0))
        return Coaching(rep_id, deals, strengths, themes, mine, [self._changed(gap) for gap in then])

    def _compared(self, rows: pd.DataFrame) -> list[Gap]:
        found: list[Gap] = []
        for name, part in rows.groupby("habit", sort=True):
            spread = spread_of(part)
            if len(spread.n) > self._least_peers and spread.within > 0:  # else nothing differs
                found += gaps_of(habit(str(name)), spread)
        return found

    def _changed(self, then: Gap) -> Change:
        rows = self._since[self._since["habit"] == then.habit.name]
        spread = spread_of(rows, least=1)
        place = np.flatnonzero(spread.reps == then.rep_id)
        n = int(spread.n[place[0]]) if len(place) else 0
        if n < LEAST_DEALS:
            return Change(then, n, np.nan, np.nan, np.nan, np.nan, np.nan)
        own, d = float(spread.own[place[0]]), float(spread.d[place[0]])
        # The gap of then is taken shrunken: an extreme figure comes back by itself, which is no improvement.
        low, middle, high = (_plain(then.habit, v) for v in (then.low, then.gap, then.high))
        half = float(np.hypot((high - low) / 2, _Z90 * np.sqrt(spread.within / n)))
        change = [_shown(then.habit, d - middle + by) for by in (0.0, -half, half)]
        return Change(then, n, _figure(then.habit, own), _figure(then.habit, own - d), *change)


def coaching(view: View, company: Company, sales: Sales, before: Sales | None = None) -> Habits:
    """Habits of a company's people; colleagues are shown as a group of at least `people.min_group`."""
    return Habits(view, sales, before=before, least_peers=company.people.min_group)


def spread_of(rows: pd.DataFrame, least: int = LEAST_DEALS) -> Spread:
    """How one habit spreads over people, each against colleagues on like deals.

    What colleagues reach on like deals is their mean over deals of the same kind, drawn towards the mean of coarser
    groups by ten deals' worth at each step from coarse to fine; a person's own deals are left out of it. How much
    people differ is not known either: every spread counts by how well it explains the gaps, none preferred before.

    References
    ----------
    Gelman (2006), "Prior distributions for variance parameters in hierarchical models", for the uniform prior on the
    standard deviation between people.
    """
    expected = _expected(rows)
    table = rows.assign(d=rows["y"].to_numpy() - expected).groupby("rep_id", sort=True)
    n, d, own = (table["d"].size(), table["d"].mean(), table["y"].mean())
    spare = float((n - 1).sum())
    within = float((table["d"].var(ddof=0).fillna(0.0) * n).sum() / spare) if spare > 0 else 0.0
    enough = (n >= least).to_numpy()
    size, gap = n.to_numpy(np.float64)[enough], d.to_numpy(np.float64)[enough]
    between, weight = _between(size, gap, within)
    return Spread(
        n.index.to_numpy(object)[enough], size, gap, own.to_numpy(np.float64)[enough], within, between, weight
    )


def _between(n: Floats, d: Floats, within: float) -> tuple[Floats, Floats]:
    """Standard deviations between people on a grid, and the probability of each."""
    most = 3 * float(np.sqrt((d**2).mean())) if len(n) else 0.0
    if most <= 0 or within <= 0:
        return np.ones(1), np.ones(1)
    grid = np.linspace(0.0, most, _GRID + 1)[1:]
    variance = grid[:, None] ** 2 + (within / n)[None, :]
    fit = -0.5 * (np.log(variance) + d[None, :] ** 2 / variance).sum(axis=1)
    weight = np.exp(fit - fit.max())
    return grid, weight / weight.sum()


def _expected(rows: pd.DataFrame) -> Floats:
    """What colleagues reach on each row's like, shape (n,)."""
    y, rep = rows["y"].to_numpy(np.float64), rows["rep_id"].to_numpy(object)
    reached = _less_own(rows.assign(all=""), ["all"], y, rep, np.full(len(rows), y.mean() if len(y) else 0.0), 0.0)
    for depth in range(1, len(LIKE) + 1):
        reached = _less_own(rows, list(LIKE[:depth]), y, rep, reached, _PSEUDO)
    return reached


def _less_own(
    rows: pd.DataFrame, by: list[str], y: Floats, rep: npt.NDArray[np.object_], above: Floats, pseudo: float
) -> Floats:
    """Mean of others in the same group, with so many deals' worth of the mean above it."""
    frame = rows[by].assign(_y=y, _rep=rep)
    of_all, of_own = frame.groupby(by, dropna=False)["_y"], frame.groupby([*by, "_rep"], dropna=False)["_y"]
    others = (of_all.transform("size") - of_own.transform("size")).to_numpy(np.float64)
    total = (of_all.transform("sum") - of_own.transform("sum")).to_numpy(np.float64)
    weight = others + pseudo
    return np.where(weight > 0, (total + pseudo * above) / np.where(weight > 0, weight, 1.0), above)


def gaps_of(of: Habit, spread: Spread) -> list[Gap]:
    """Each person's gap in a habit."""
    edges = [spread.mean, spread.quantile(1 - SURE), spread.quantile(SURE)]
    below = spread.below(np.zeros(len(spread.n)))
    found = []
    for k, rep in enumerate(spread.reps):
        own, d = float(spread.own[k]), float(spread.d[k])
        gap, low, high = (_shown(of, float(edge[k])) for edge in edges)
        up, down = 1 - float(below[k]), float(below[k])
        better, worse = (up, down) if of.more_is_better else (down, up)
        figures = _figure(of, own), _figure(of, own - d)
        found.append(Gap(of, str(rep), int(spread.n[k]), *figures, gap, low, high, better, worse))
    return found


def _figure(of: Habit, mean: float) -> float:
    return float(np.expm1(mean)) if of.kind == "days" else mean


def _shown(of: Habit, gap: float) -> float:
    """A gap as it is shown: a difference of logarithms as a ratio less 1."""
    return float(np.expm1(gap)) if of.kind == "days" else gap


def _plain(of: Habit, shown: float) -> float:
    """A gap as it is averaged: what `_shown` shows."""
    return float(np.log1p(shown)) if of.kind == "days" else shown


def _clearest(gap: Gap) -> tuple[float, str]:
    """Sorts the clearest first: by how many times its doubt the gap is."""
    half = (gap.high - gap.low) / 2
    return -abs(gap.gap) / half if half > 0 else 0.0, gap.habit.name
