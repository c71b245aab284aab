"""Deal-weeks in which an action was or was not taken, what came of them, and whom a taken action is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.learners import Floats

Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.intp]
Compared = Literal["week", "moment"]
DAY = 86_400.0
WEEK = 7 * DAY
HORIZON_WEEKS = 26
_CLOSED_SHARE = 0.95
_ENOUGH_ROWS = 0.5


@dataclass(frozen=True, slots=True)
class Taken:
    """An action seen from each row, all of shape (n,): seconds from `as_of`.

    Parameters
    ----------
    first : float
        To the first one in the week that starts `shift` weeks on; NaN where there was none.
    before : bool
        Whether one was taken before that week.
    cause : object
        What caused the one in that week; empty where there was none.
    """

    first: Floats
    before: Flags
    cause: npt.NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Units:
    """Whom an action is compared with: rows by place, whether it was taken, and from when on the row counts."""

    rows: Ints
    treated: Flags
    start: Floats


def horizon_weeks(snapshots: pd.DataFrame) -> int:
    """Weeks by which 95 % of deals are closed, 8 to 52; 26 where the history is too short to tell.

    Kaplan and Meier's estimate over deals, counted from the first row of each.
    """
    by_deal = snapshots.groupby("deal_id", sort=False)
    first, closed = by_deal["as_of"].min(), by_deal["_closed_at"].first()
    until = snapshots["_observed_until"].max()
    ends = closed.fillna(until)
    weeks = np.ceil((ends - first).dt.total_seconds().to_numpy() / WEEK)
    gone = closed.notna().to_numpy()
    alive = 1.0
    for week in np.unique(weeks[gone]):
        alive *= 1 - (gone & (weeks == week)).sum() / (weeks >= week).sum()
        if alive <= 1 - _CLOSED_SHARE:
            return int(np.clip(week, 8, 52))
    return HORIZON_WEEKS


def closing(snapshots: pd.DataFrame) -> Floats:
    """Seconds from each row to the closing, shape (n,); infinite where the deal is open at the end."""
    seconds = (snapshots["_closed_at"] - snapshots["as_of"]).dt.total_seconds().to_numpy(np.float64)
    return np.where(np.isnan(seconds), np.inf, seconds)


def outcome(snapshots: pd.DataFrame, weeks: int) -> tuple[Floats, Flags]:
    """Won within so many weeks, and which rows count, both shape (n,).

    Only rows that are old enough count, whether the deal is closed or not. Where these are fewer than half, all do: a
    row that is over counts for those which could not be followed so long (inverse probability of censoring), so its
    outcome may exceed 1.
    """
    seen = (snapshots["_observed_until"] - snapshots["as_of"]).dt.total_seconds().to_numpy(np.float64)
    ends, limit = closing(snapshots), weeks * WEEK
    won = ((snapshots["_outcome"] == "won").to_numpy() & (ends <= limit)).astype(np.float64)
    old = seen >= limit
    if old.mean() >= _ENOUGH_ROWS or not old.any():
        return won, old
    needed = np.minimum(ends, limit)
    watched = 1 - np.searchsorted(np.sort(seen), needed, side="left") / len(seen)  # share followed at least so long
    over = needed <= seen
    return np.where(over, won / np.maximum(watched, 0.02), 0.0), np.ones(len(seen), dtype=bool)


def taken(snapshots: pd.DataFrame, events: pd.DataFrame, *, shift: int = 0) -> Taken:
    """Find for each row the first action in the week that starts `shift` weeks on, and whether there was one before.

    Parameters
    ----------
    events : DataFrame
        `deal_id`, `done_at`, `cause`.
    """
    start = snapshots["as_of"] + pd.Timedelta(weeks=shift)
    n = len(snapshots)
    first, before = np.full(n, np.nan), np.zeros(n, dtype=bool)
    cause = np.full(n, "", dtype=object)
    if not len(events):
        return Taken(first, before, cause)
    deals = pd.Index(events["deal_id"].unique())
    # One long line of time: a deal's events, then the next deal's.
    span = 4e9
    line = deals.get_indexer(events["deal_id"]) * span + _seconds(events["done_at"])
    order = np.argsort(line, kind="stable")
    line, causes = line[order], events["cause"].to_numpy(object)[order]
    known = deals.get_indexer(snapshots["deal_id"])
    at = known * span + _seconds(start)
    place = np.searchsorted(line, at, side="left")
    found = place < len(line)
    next_one = np.where(found, line[np.minimum(place, len(line) - 1)], np.inf) - at
    hit = (known >= 0) & (next_one < WEEK)
    first[hit] = next_one[hit] + shift * WEEK
    cause[hit] = causes[np.minimum(place, len(line) - 1)][hit]
    earlier = np.where(place > 0, line[np.maximum(place - 1, 0)], -np.inf)
    before = (known >= 0) & (earlier >= known * span)
    return Taken(first, before, cause)


def since_last(snapshots: pd.DataFrame, events: pd.DataFrame) -> Floats:
    """Seconds since the last such event before each row, shape (n,); infinite where there was none.

    Parameters
    ----------
    events : DataFrame
        `deal_id` and `done_at`.
    """
    keys = {"deal_id": object, "as_of": "datetime64[us, UTC]"}
    asked = snapshots[["deal_id", "as_of"]].assign(row=np.arange(len(snapshots))).astype(keys).sort_values("as_of")
    done = events[["deal_id", "done_at"]].astype({"deal_id": object}).sort_values("done_at")
    found = pd.merge_asof(asked, done, left_on="as_of", right_on="done_at", by="deal_id")
    seconds = (found["as_of"] - found["done_at"]).dt.total_seconds().to_numpy(np.float64)
    since = np.empty(len(snapshots))
    since[found["row"].to_numpy()] = np.where(np.isnan(seconds), np.inf, seconds)
    return since


def moved(snapshots: pd.DataFrame, moves: pd.DataFrame, start: Floats, rows: Ints) -> Floats:
    """Whether the deal moved on within 7 days of `start` (seconds from as_of), both shape (m,); for rows by place."""
    asked = snapshots.iloc[rows]
    moments = asked["as_of"] + pd.to_timedelta(start, unit="s")
    probe = pd.DataFrame({"deal_id": asked["deal_id"].to_numpy(object), "as_of": moments.to_numpy()})
    probe["as_of"] = pd.to_datetime(probe["as_of"], utc=True)
    found = taken(probe, moves.assign(cause=""))
    return np.isfinite(found.first).astype(np.float64)


def follows_hours(closes: Floats, actions: Sequence[Taken]) -> float:
    """How far actions need the deal to be open: 1 where they come at random while it is, 0 where a week has its share.

    Of deals that close within a week, those with an action close later in it where the action had to fit in before;
    the share with an action is then proportional to the time the deal was open. Pooled over actions.

    Parameters
    ----------
    closes : shape (n,)
        Seconds to the closing.
    """
    inside = closes < WEEK
    slope = needed = 0.0
    for action in actions:
        done = np.isfinite(action.first)
        chosen = inside & (np.isnan(action.first) | (action.first <= closes))
        if chosen.sum() < 2:
            continue
        c, t = closes[chosen] / WEEK, done[chosen].astype(np.float64)
        if c.var() > 0:
            slope += float(np.cov(t, c, bias=True)[0, 1] / c.var())
            needed += float(t.mean() / c.mean())
    return float(np.clip(slope / needed, 0, 1)) if needed else 1.0


def units_of(action: Taken, closes: Floats, keep: Flags, *, compared: Compared, shift: int = 0, seed: int = 0) -> Units:
    """Rows with the action and rows to compare them with.

    Parameters
    ----------
    closes : shape (n,)
        Seconds to the closing.
    keep : bool, shape (n,)
        Rows that count.
    compared : {'week', 'moment'}
        'week': with all other rows of the week. 'moment': an action can only be taken while the deal is open, so what
        closed early would stand among those without it; each is compared with rows open and without it at a moment
        drawn from the moments at which it was taken, and may itself be one of these before its own.
    shift : int
        Weeks from `as_of` to the action's week; the deal must be open when that starts.
    """
    base = shift * WEEK
    keep = keep & (closes > base)
    done = keep & np.isfinite(action.first)
    if compared == "week" or not done.any():
        rows = np.flatnonzero(keep)
        return Units(rows, done[rows], np.full(len(rows), base))
    draws = _moments(action.first[done], np.fmin(closes, action.first)[keep], len(keep), seed)
    waits = keep & (closes > draws) & ~(action.first <= draws)
    rows = np.concatenate([np.flatnonzero(done), np.flatnonzero(waits)])
    start = np.concatenate([action.first[done], draws[waits]])
    return Units(rows, np.arange(len(rows)) < done.sum(), start)


def _moments(acted: Floats, gone: Floats, n: int, seed: int) -> Floats:
    """Moments at which rows are looked at, shape (n,), so that those still there fall as the actions did.

    Fewer rows are left at a late moment (`gone` says until when each is), so late moments are drawn more often.
    """
    left = 1 - np.searchsorted(np.sort(gone), acted, side="left") / len(gone)
    weight = 1 / np.maximum(left, 1 / len(gone))
    return np.random.default_rng(seed).choice(acted, size=n, p=weight / weight.sum())


def _seconds(moments: pd.Series) -> Floats:
    return moments.dt.tz_convert(None).to_numpy("datetime64[us]").astype(np.int64) / 1e6
