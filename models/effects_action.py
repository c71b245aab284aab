"""One action, with or without an earlier one: both learners, placebos, checks, parts of the business, and the basis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.effects_estimate import (
    Confounders,
    Estimate,
    Mean,
    clustered,
    estimate,
    plain_difference,
)
from models.effects_nuisance import Learner
from models.effects_rows import DAY, WEEK, Compared, Ints, Taken, Units, moved, taken, units_of
from models.effects_rules import (
    LEAST_CAUSES,
    Basis,
    Corrected,
    Counts,
    Evidence,
    Placebo,
    basis_of,
    corrected,
    is_process_step,
    too_few,
)
from models.effects_segments import Segment, segments
from models.learners import Floats

Flags = npt.NDArray[np.bool_]
Part = Literal["first", "again"]
PARTS: tuple[Part, ...] = ("first", "again")
NOTHING = Mean(float("nan"), float("nan"))
NO_PLACEBO = Placebo(NOTHING, NOTHING)
_RARE = 0.2
ANSWER_WEEKS = 2
"""Weeks after an action in which an answer counts; and before one, to see whether interest was there already."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Deal-weeks that effects are measured on, all of shape (n,) or (n, p).

    Parameters
    ----------
    snapshots : DataFrame
        Features as known at `as_of`, with `deal_id` and `_closed_at`.
    X, bare : Confounders
        With and without what tells of contacts.
    moves, answers : DataFrame
        Moves to a later stage, and contacts that came from the customer: `deal_id`, `done_at`.
    y : float
        Won within the horizon.
    keep : bool
        Old enough to know.
    closes : float
        Seconds to the closing.
    """

    snapshots: pd.DataFrame
    X: Confounders
    bare: Confounders
    moves: pd.DataFrame
    answers: pd.DataFrame
    y: Floats
    keep: Flags
    closes: Floats
    compared: Compared
    seed: int = 0

    @property
    def deals(self) -> npt.NDArray[np.object_]:
        """Whose week each row is."""
        return self.snapshots["deal_id"].to_numpy(object)


@dataclass(frozen=True, slots=True)
class Effect:
    """What history says of one action; means in probability of being won within the horizon.

    Parameters
    ----------
    part : {'first', 'again'}
        On deals without or with an earlier such action.
    moves, answers : Placebo
        Link of this week's and of next week's action to this week's stage move; of this week's action to contacts that
        came from the customer in the two weeks after it, and of one in the next two weeks to those of this week.
    everyone : Mean
        Over all rows alike, not weighted by how far they could have gone either way.
    permuted : Mean
        The action shuffled among deals of one stage and week: must hold 0.
    without_contacts : Mean
        Without adjusting for contacts before.
    landmark : Mean
        Deals still open at the week's end only.
    reason : str
        Why the basis is what it is, as a code.
    stages : tuple of str
        Stages in which it is taken at all; rows in others tell nothing of it.
    """

    action: str
    part: Part
    rows: int
    counts: Counts
    process: float
    after_move: float
    basis: Basis
    reason: str
    stages: tuple[str, ...]
    plain: Mean = NOTHING
    linear: Mean = NOTHING
    trees: Mean = NOTHING
    mean: Mean = NOTHING
    everyone: Mean = NOTHING
    trimmed: Mean = NOTHING
    overlap: float = float("nan")
    clipped: float = float("nan")
    moves: Placebo = NO_PLACEBO
    answers: Placebo = NO_PLACEBO
    corrected: Corrected | None = None
    permuted: Mean = NOTHING
    without_contacts: Mean = NOTHING
    landmark: Mean = NOTHING
    segments: tuple[Segment, ...] = ()


def effect_of(action: str, part: Part, rows: Rows, events: pd.DataFrame, fits: Flags) -> Effect:
    """Measure one action on deals without ('first') or with ('again') an earlier one.

    Parameters
    ----------
    events : DataFrame
        When it was taken: `deal_id`, `done_at`, `cause`.
    fits : bool, shape (n,)
        Rows for which the catalogue would suggest it.
    """
    done = taken(rows.snapshots, events)
    eligible = fits & (done.before if part == "again" else ~done.before)
    stages = stages_with(rows.snapshots, eligible, done)
    eligible &= _is_one_of(rows.snapshots, stages)
    units = units_of(done, rows.closes, eligible & rows.keep, compared=rows.compared, seed=rows.seed)
    clusters = np.where(units.treated, done.cause[units.rows], rows.deals[units.rows])
    counts = _counts(units, rows, clusters)
    process, after_move = _with_moves(units, done, rows)
    found = Effect(action, part, len(units.rows), counts, process, after_move, "none", "too_few", stages)
    if is_process_step(process) and counts.rows >= LEAST_CAUSES:
        return replace(found, reason="process_step")
    if too_few(counts) or counts.rows == len(units.rows):
        return found
    return _estimated(found, rows, units, clusters, done, events, eligible)


def stages_with(snapshots: pd.DataFrame, eligible: Flags, done: Taken) -> tuple[str, ...]:
    """Stages in which an action is taken at least a fifth as often as overall.

    Where it is as good as never taken, deals cannot be compared; and a move out of such a stage makes room for the
    action, which would look as if the action had known of the move.
    """
    if "stage" not in snapshots or not eligible.any():
        return ()
    mine = pd.DataFrame({"stage": snapshots["stage"].astype(object), "done": np.isfinite(done.first)})[eligible]
    shares = mine.groupby("stage")["done"].mean()
    return tuple(sorted(str(stage) for stage in shares.index[shares >= _RARE * mine["done"].mean()]))


def _is_one_of(snapshots: pd.DataFrame, stages: tuple[str, ...]) -> Flags:
    if not stages:
        return np.ones(len(snapshots), dtype=bool)
    return snapshots["stage"].astype(object).isin(stages).to_numpy()


def _estimated(
    found: Effect, rows: Rows, units: Units, clusters: npt.NDArray[np.object_], done: Taken, events: pd.DataFrame,
    eligible: Flags,
) -> Effect:  # fmt: skip
    linear = _fit(rows, units, rows.y[units.rows], clusters)
    trees = _fit(rows, units, rows.y[units.rows], clusters, learner="trees")
    weights = (linear.weights + trees.weights) / 2
    scores = (linear.weights * linear.scores + trees.weights * trees.scores) / (2 * weights)
    alike = (linear.scores + trees.scores) / 2
    inside = (linear.chance > 0.02) & (linear.chance < 0.98)
    mean = clustered(scores, clusters, weights)
    # A placebo can only lower a claim: where none can be made it is not worth its time.
    moves = answers = NO_PLACEBO
    left = Corrected(0.0, mean, 0.0)
    if mean.low > 0:
        moves, answers = _placebos(rows, done, events, eligible)
        left = corrected(mean, (moves, answers))
    trimmed = clustered(alike[inside], clusters[inside]) if inside.any() else NOTHING
    overlap = min(linear.overlap, trees.overlap)
    evidence = Evidence(linear.mean, trees.mean, trimmed, left, overlap, found.process, found.after_move)
    basis, reason = basis_of(evidence)
    found = replace(
        found, basis=basis, reason=reason, plain=plain_difference(rows.y[units.rows], units.treated, clusters),
        linear=linear.mean, trees=trees.mean, mean=mean, everyone=clustered(alike, clusters), trimmed=trimmed,
        overlap=overlap, clipped=max(linear.clipped, trees.clipped), moves=moves, answers=answers, corrected=left,
        segments=tuple(segments(rows.snapshots.iloc[units.rows], scores, units.treated, clusters, weights)),
    )  # fmt: skip
    return _checked(found, rows, units, clusters) if mean.low > 0 else found


def _checked(found: Effect, rows: Rows, units: Units, clusters: npt.NDArray[np.object_]) -> Effect:
    """With the checks that are worth their time only where there seems to be an effect."""
    y = rows.y[units.rows]
    shuffled = replace(units, treated=_permuted(rows.snapshots.iloc[units.rows], units.treated, rows.seed))
    lived = rows.closes[units.rows] > WEEK
    alive = Units(units.rows[lived], units.treated[lived], units.start[lived])
    return replace(
        found,
        permuted=_fit(rows, shuffled, y, rows.deals[units.rows]).mean,
        without_contacts=_fit(replace(rows, X=rows.bare), units, y, clusters).mean,
        landmark=_fit(rows, alive, y[lived], clusters[lived]).mean
        if 0 < alive.treated.sum() < lived.sum()
        else NOTHING,
    )


def _fit(rows: Rows, units: Units, y: Floats, clusters: npt.ArrayLike, *, learner: Learner = "linear") -> Estimate:
    return estimate(
        rows.X.take(units.rows), y, units.treated, deals=rows.deals[units.rows], clusters=clusters, learner=learner,
        seed=rows.seed,
    )  # fmt: skip


def _placebos(rows: Rows, done: Taken, events: pd.DataFrame, eligible: Flags) -> tuple[Placebo, Placebo]:
    """Links to stage moves and to what the customer sends, on weeks that are over."""
    seen = (rows.snapshots["_observed_until"] - rows.snapshots["as_of"]).dt.total_seconds().to_numpy() / WEEK
    later = [taken(rows.snapshots, events, shift=week) for week in range(1, ANSWER_WEEKS + 1)]
    moves = _with_moves_on(rows, done, later[0], eligible & (seen >= 2))
    return moves, _with_answers(rows, done, later, eligible & (seen >= ANSWER_WEEKS + 1))


def _with_moves_on(rows: Rows, done: Taken, next_one: Taken, eligible: Flags) -> Placebo:
    units = units_of(done, rows.closes, eligible, compared=rows.compared, seed=rows.seed)
    quiet = eligible & np.isnan(done.first)
    waiting = units_of(next_one, rows.closes, quiet, compared=rows.compared, shift=1, seed=rows.seed)
    now = moved(rows.snapshots, rows.moves, units.start, units.rows)
    before = moved(rows.snapshots, rows.moves, np.zeros(len(waiting.rows)), waiting.rows)
    return Placebo(_link(rows, units.rows, units.treated, now), _link(rows, waiting.rows, waiting.treated, before))


def _with_answers(rows: Rows, done: Taken, later: Sequence[Taken], eligible: Flags) -> Placebo:
    """What comes after an action, and before one, equally far from it; on deals open all through these weeks.

    Interest lasts longer than a week: over two, twice as many actions come after a week's answers, and an answer has
    twice as long to come.
    """
    lived = eligible & (rows.closes > (ANSWER_WEEKS + 1) * WEEK)
    acted = np.isfinite(done.first)
    will_act = np.asarray(np.isfinite([one.first for one in later]).any(axis=0), dtype=bool)
    every, quiet = np.flatnonzero(lived), np.flatnonzero(lived & ~acted)
    after = np.mean([_answered(rows, every, week) for week in range(1, ANSWER_WEEKS + 1)], axis=0)
    before = _answered(rows, quiet, 0)
    return Placebo(_link(rows, every, acted[every], after), _link(rows, quiet, will_act[quiet], before))


def _answered(rows: Rows, places: Ints, week: int) -> Floats:
    """Whether something came from the customer in the week that starts so many weeks on, shape (m,)."""
    return moved(rows.snapshots, rows.answers, np.full(len(places), week * WEEK), places)


def _link(rows: Rows, places: Ints, treated: Flags, y: Floats) -> Mean:
    """Effect of an action on what came, y of shape (m,), on rows by place."""
    # A week without anything, or without the action, tells nothing.
    if not 20 <= y.sum() <= len(y) - 20 or not 20 <= treated.sum() <= len(y) - 20:
        return NOTHING
    return _fit(rows, Units(places, treated, np.zeros(len(places))), y, rows.deals[places]).mean


def _counts(units: Units, rows: Rows, clusters: npt.NDArray[np.object_]) -> Counts:
    mine = units.rows[units.treated]
    return Counts(len(mine), len(np.unique(rows.deals[mine])), len(np.unique(clusters[units.treated].astype(str))))


def _with_moves(units: Units, done: Taken, rows: Rows) -> tuple[float, float]:
    """Share of weeks with the action in which the stage moved, and of these in which it moved first, on the day."""
    mine = units.rows[units.treated]
    if not len(mine):
        return 0.0, 0.0
    with_move = moved(rows.snapshots, rows.moves, np.zeros(len(mine)), mine) > 0
    just_before = taken(_shifted(rows.snapshots.iloc[mine], done.first[mine] - DAY), rows.moves.assign(cause=""))
    first = just_before.first <= DAY
    return float(with_move.mean()), float(first[with_move].mean()) if with_move.any() else 0.0


def _shifted(snapshots: pd.DataFrame, seconds: Floats) -> pd.DataFrame:
    at = snapshots["as_of"] + pd.to_timedelta(seconds, unit="s")
    return pd.DataFrame({"deal_id": snapshots["deal_id"].to_numpy(object), "as_of": at.array})


def _permuted(snapshots: pd.DataFrame, treated: Flags, seed: int) -> Flags:
    """The action shuffled among rows of one stage and week."""
    stage = snapshots["stage"].astype(object).to_numpy(object) if "stage" in snapshots else np.zeros(len(treated))
    week = snapshots["as_of"].to_numpy()
    group = pd.MultiIndex.from_arrays([pd.Series(stage).fillna(""), week]).factorize()[0]
    luck = np.random.default_rng(seed).random(len(treated))
    by_place, by_luck = np.lexsort((np.arange(len(group)), group)), np.lexsort((luck, group))
    shuffled = np.zeros(len(treated), dtype=bool)
    shuffled[by_place] = treated[by_luck]
    return shuffled
