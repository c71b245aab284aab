"""A search for a win model's parameters: candidates one after another, each against the best so far, on past dates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from models.learners import Floats, TreeShape, side_by_side
from models.prior import RateCurves
from models.rolling import Gain, gain, log_loss, plan
from models.win_core import Effort, Mix, Parts
from models.win_curve import edges_of, fate
from models.win_look import Span, learners_at, span_of
from models.win_params import WEIGHTINGS, WinParams
from models.win_past import PastDate, Seen, default_mix, mixes_of

HALF_LIVES = (52.0, 26.0)  # weeks
NO_IDENTITY = "without who works on it"
PLAIN = TreeShape(leaves=31, depth=-1, min_rows=20, penalty=0.0, row_share=1.0, column_share=1.0)
"""Trees as LightGBM grows them unasked, at our rate: on small data with strong categories they won."""
_MAX_ROWS = 60_000  # snapshots, of whole deals
_EFFORT = Effort(rows=15_000, linear_rows=6_000)
_SURE = 1.645  # standard errors: 90 % both sides


@dataclass(frozen=True, slots=True)
class Judged:
    """Forecasts of past dates by one candidate: losses and what was said, a row a deal and date."""

    said: Floats
    loss: Floats
    past: Seen

    @property
    def level(self) -> tuple[float, float]:
        """Mean forecast less the realised share, and its standard error over deals."""
        error = pd.Series(self.said - self.past.y).groupby(self.past.deals).sum().to_numpy()
        return float(error.sum() / len(self.said)), float(np.sqrt((error**2).sum()) / len(self.said))


@dataclass(frozen=True, slots=True)
class Identity:
    """Share of the log loss on past dates that features about who works on a deal save, with its 90 % interval."""

    kept: bool
    saved: float
    low: float
    high: float

    @property
    def sentence(self) -> str:
        """In words."""
        # Adding 0 turns a rounded -0.0 into 0.0.
        saved, low, high = (f"{round(100 * share, 1) + 0.0:.1f}%" for share in (self.saved, self.low, self.high))
        figures = f"they lower the log loss on past dates by {saved} (90% interval {low} to {high})"
        if self.kept:
            return f"Features about who works on a deal stay: {figures}."
        return f"Features about who works on a deal are left out: {figures}, which is no certain gain."


@dataclass(frozen=True, slots=True)
class Found:
    """The parameters chosen, the mix they were judged with, a row a candidate on how it did, the best's forecasts."""

    params: WinParams
    mix: Mix
    table: pd.DataFrame
    best: Judged

    @property
    def identity(self) -> Identity:
        """What features about who works on a deal save, and whether they stay."""
        row = self.table.set_index("candidate").loc[NO_IDENTITY]
        return Identity(not row["taken"], -row["better"], -row["better_high"], -row["better_low"])


class Arena:
    """Past spans, prepared once, on which candidates compete.

    Parameters
    ----------
    rows : shape (n, p)
        Snapshots as `training.snapshots.deal_snapshots` makes them.
    until : Timestamp, UTC
        Up to when outcomes are known.
    cuts : int
        Past spans, four weeks each.
    """

    def __init__(
        self, rows: pd.DataFrame, until: pd.Timestamp, *, horizon_weeks: int, start_month: int, cuts: int, seed: int
    ) -> None:
        rows = _some_deals(rows[rows["as_of"] <= until], seed)
        edges = edges_of(horizon_weeks)
        pooled = RateCurves(edges, by_stage=False).fit(rows, fate(rows, until)).curves(rows.iloc[:1])
        ahead = plan(rows, until, pooled, cuts=cuts)
        looked = [span_of(rows, *span, edges=edges, start_month=start_month, seed=seed) for span in ahead.spans]
        self.spans: list[Span] = [span for span in looked if span is not None]
        self.days = ahead.horizon_days
        self.until = until
        self.seed = seed
        self.weeks = (until - rows["as_of"].min()).days / 7
        self.default_mix = default_mix(rows, until, WinParams())

    def look(self, params: WinParams, *, beside: Seen | None = None) -> Seen:
        """What learners with these parameters would have said.

        Parameters
        ----------
        beside : Seen, optional
            Whose logistics to take instead of fitting them anew, where only the trees differ.
        """
        effort = replace(_EFFORT, trees=params.trees, shape=params.shape)
        if beside is not None:
            effort = replace(effort, linear_rows=0)
        tasks = [partial(learners_at, span, params, effort=effort, seed=self.seed) for span in self.spans]
        past = side_by_side(tasks)
        if beside is not None:
            past = [_with_logistic(date, other) for date, other in zip(past, beside.past, strict=True)]
        return Seen(past, self.until, self.days)

    def best_mix(self, seen: Seen) -> Mix:
        """The mix of the learners with the lowest log loss."""
        mixes = mixes_of(WinParams(), self.default_mix)
        return min(mixes, key=lambda mix: float(judged(seen, mix).loss.mean()))


def search(arena: Arena, start: WinParams, *, say: Callable[[str], None]) -> Found | None:
    """Weights, half-life, the trees' shape, who works on a deal, in this order; None where there is no past span.

    A candidate is taken if its log loss is lower by more than the standard error of the difference over whole deals;
    within that, if the best so far is off in its mean forecast beyond doubt and the candidate less. Features about who
    works on a deal stay only where the whole 90 % interval of what they save lies above 0.
    """
    if not arena.spans:
        return None
    seen = arena.look(start)
    mix = arena.best_mix(seen)
    params, best = start, judged(seen, mix)
    lines = [line("start", best, best, taken=True)]
    for name, change in _candidates(arena.weeks):
        say(f"Trying on past dates: {name}")
        candidate = replace(params, **change)
        tried = judged(arena.look(candidate, beside=best.past if "shape" in change else None), mix)
        taken = _gain(best, tried).holds_zero if name == NO_IDENTITY else is_better(tried, best)
        lines.append(line(name, tried, best, taken=taken))
        if taken:
            params, best = candidate, tried
    return Found(params, mix, pd.DataFrame(lines), best)


def judged(seen: Seen, mix: Mix) -> Judged:
    """Losses of what the mixed learners would have said."""
    said = seen.said([date.curves(mix) for date in seen.past])
    return Judged(said, log_loss(seen.y, said), seen)


def is_better(tried: Judged, best: Judged) -> bool:
    """Whether a candidate beats the best so far: by its log loss, or at a tie by the level of its forecasts."""
    found = _gain(tried, best)
    if abs(found.mean) > found.se:
        return found.mean > 0
    off, se = best.level
    return abs(off) > _SURE * se and abs(tried.level[0]) < abs(off)


def line(name: str, tried: Judged, best: Judged, *, taken: bool) -> dict[str, object]:
    """A row of the table of past scores."""
    found = _gain(tried, best)
    return {
        "candidate": name,
        "log_loss": float(tried.loss.mean()),
        "mean_forecast": float(tried.said.mean()),
        "realised_share": float(tried.past.y.mean()),
        "better": found.skill,
        "better_low": found.low,
        "better_high": found.high,
        "taken": taken,
    }


def _candidates(weeks: float) -> Iterator[tuple[str, dict[str, Any]]]:
    for weighting in WEIGHTINGS[1:]:
        yield f"weighting {weighting}", {"weighting": weighting}
    for half_life in HALF_LIVES:
        if weeks >= half_life:
            yield f"half-life {half_life:.0f} weeks", {"half_life_weeks": half_life}
    yield "plain trees", {"shape": PLAIN}
    yield NO_IDENTITY, {"identity": False}


def _with_logistic(date: PastDate, other: PastDate) -> PastDate:
    assert date.parts is not None
    assert other.parts is not None
    pairs = zip(
        (date.parts.won, date.parts.lost, date.parts.ever), (other.parts.won, other.parts.lost, other.parts.ever),
        strict=True,
    )  # fmt: skip
    won, lost, ever = ((trees[0], linear[1]) for trees, linear in pairs)
    return replace(date, parts=Parts(won, lost, ever))


def _gain(tried: Judged, best: Judged) -> Gain:
    return gain(tried.loss, best.loss, best.past.deals)


def _some_deals(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Whole deals, so that weights by deal stay what they are."""
    if len(rows) <= _MAX_ROWS:
        return rows
    codes, names = pd.factorize(rows["deal_id"])
    kept = np.random.default_rng(seed).random(len(names)) < _MAX_ROWS / len(rows)
    return rows[kept[codes]]
