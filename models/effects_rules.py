"""What may be said of an action's effect: refusals, the placebo's correction, the basis, evidence put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from models.effects_estimate import Mean
from models.learners import Floats

Basis = Literal["measured", "adjusted", "association", "none"]
Repeat = Literal["only_first", "not_known", "same_rules"]
LEAST_ROWS, LEAST_DEALS, LEAST_CAUSES = 100, 50, 20
PRIOR_SD = 0.03
"""Of an action's effect, in probability, before anything is known of it."""
BIAS_SD = 0.02
"""What bias may be left in an adjusted effect however much history there is."""
_PART_OF_STAGE, _NEAR_STAGE = 0.9, 0.6
_MOST_HIDDEN = 0.5
_MOST_DOUBT = 0.5
_OVERLAP = 0.7
_FALSE_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Corrected:
    """An effect with the share that the placebos speak of taken off.

    Parameters
    ----------
    share : float
        k, from 0 to 1: how much of the link to what came soon after it next week's action shows too; NaN: not known.
    mean : Mean
        (1 - k) theta.
    bias : float
        Allowance b = |theta - theta_c|.
    """

    share: float
    mean: Mean
    bias: float

    @property
    def low(self) -> float:
        """Lower end of the 90 % interval with the allowance."""
        return self.mean.low - self.bias

    @property
    def high(self) -> float:
        """Upper end of the 90 % interval with the allowance."""
        return self.mean.high + self.bias


@dataclass(frozen=True, slots=True)
class Placebo:
    """An action's link to something that shows soon how the customer takes it.

    Parameters
    ----------
    now : Mean
        Of this week's action, to what came with or after it: it may have worked, or go with hidden interest.
    later : Mean
        Of next week's action, to what came before it: it cannot have worked.
    """

    now: Mean
    later: Mean


@dataclass(frozen=True, slots=True)
class Counts:
    """How much there is to go by: rows, deals and causes with the action."""

    rows: int
    deals: int
    causes: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the basis is decided on.

    Parameters
    ----------
    linear, trees, trimmed : Mean
        Both learners, and their mean over rows that could have gone either way.
    corrected : Corrected
        After the placebo.
    overlap : float
        Share of rows with a chance of the action between .02 and .98.
    process : float
        Share of weeks with the action in which the stage moved.
    after_move : float
        Share of these in which the move came first, on the same day.
    """

    linear: Mean
    trees: Mean
    trimmed: Mean
    corrected: Corrected
    overlap: float
    process: float
    after_move: float


def too_few(counts: Counts) -> bool:
    """Whether nothing can be said yet."""
    return counts.rows < LEAST_ROWS or counts.deals < LEAST_DEALS or counts.causes < LEAST_CAUSES


def is_process_step(share: float) -> bool:
    """Whether an action that comes with a stage move in such a share of its weeks is part of the stage."""
    return share > _PART_OF_STAGE


def corrected(theta: Mean, placebos: Sequence[Placebo]) -> Corrected:
    """Take off the share of an effect that next week's action shows as well, which cannot have worked yet.

    Parameters
    ----------
    theta : Mean
        Effect on winning.
    placebos : sequence of Placebo
        For each thing that shows soon how the customer takes it.

    Notes
    -----
    With one placebo k = clip(later / now, 0, 1) and its variance is (se_later / now)^2 + (k se_now / now)^2; several
    are put together by least squares, each weighted by its certainty. theta_c = (1 - k) theta,
    var_c = (1 - k)^2 se^2 + theta^2 var(k); no k between 0 and 1 can err by more than .5.
    The share counts with its uncertainty however weak the links are: taken as 0 where they are weak, it let through
    what hidden interest does. Where nothing shows soon at all, all of the effect may be hidden state: the allowance is
    then the effect itself. It sees only what works quickly, so it lowers claims and never raises them.
    """
    told = [p for p in placebos if p.now.value > 0 and np.isfinite(p.later.value) and p.now.se > 0]
    if not told:
        return Corrected(float("nan"), theta, abs(theta.value))
    k, doubt = _share(told)
    spread = min(doubt, _MOST_DOUBT)
    left = Mean((1 - k) * theta.value, float(np.hypot((1 - k) * theta.se, theta.value * spread)))
    return Corrected(k, left, abs(theta.value - left.value))


def _share(told: Sequence[Placebo]) -> tuple[float, float]:
    """Share k and its standard error."""
    now, later = np.array([p.now.value for p in told]), np.array([p.later.value for p in told])
    se_now, se_later = np.array([p.now.se for p in told]), np.array([p.later.se for p in told])
    k = 0.0
    for _ in range(3):  # the weights depend on k, but little
        weight = 1 / (se_later**2 + (k * se_now) ** 2)
        k = float(np.clip((weight * now * later).sum() / (weight * now**2).sum(), 0, 1))
    weight = 1 / (se_later**2 + (k * se_now) ** 2)
    return k, float(1 / np.sqrt((weight * now**2).sum()))


def agree(one: Mean, other: Mean) -> bool:
    """Whether two estimates of one effect are within one standard error."""
    return bool(abs(one.value - other.value) <= np.sqrt((one.se**2 + other.se**2) / 2))


def basis_of(found: Evidence) -> tuple[Basis, str]:
    """The basis that history allows, and the code of the reason; 'measured' is for randomised evidence alone."""
    for holds, reason in (
        (found.process > _NEAR_STAGE, "near_stage"),
        (found.after_move > _NEAR_STAGE, "after_move"),
        (found.corrected.share > _MOST_HIDDEN, "placebo"),
        (found.corrected.high < 0, "looks_lower"),
        (np.isnan(found.corrected.share) and found.corrected.mean.low > 0, "quiet"),
        (found.corrected.low <= 0, "holds_zero"),
        (not agree(found.linear, found.trees), "learners_differ"),
        (found.overlap < _OVERLAP and not agree(found.trimmed, found.corrected.mean), "no_overlap"),
    ):
        if holds:
            return ("none", "process_step") if is_process_step(found.process) else ("association", reason)
    return "adjusted", "passed"


def discoveries(means: Sequence[Mean], share: float = _FALSE_SHARE) -> npt.NDArray[np.bool_]:
    """Which of several effects stand as helping when at most a tenth of those named may be false, shape (n,).

    One-sided: of harm nothing is ever claimed.

    References
    ----------
    Benjamini and Hochberg (1995), "Controlling the false discovery rate".
    """
    p = np.array([norm.sf(m.value / m.se) if m.se > 0 else 1.0 for m in means])
    order = np.argsort(p)
    passed = np.flatnonzero(p[order] <= share * np.arange(1, len(p) + 1) / max(len(p), 1))
    stands = np.zeros(len(p), dtype=bool)
    if len(passed):
        stands[order[: passed[-1] + 1]] = True
    return stands


def repeat_of(first: Mean, again: Mean | None) -> Repeat:
    """What holds where the action was taken before: `again` is the effect there, None where not known."""
    if again is None or again.low > 0:
        return "not_known" if again is None else "same_rules"
    return "only_first" if again.low <= 0 <= again.high and again.high < first.value / 2 else "not_known"


@dataclass(frozen=True, slots=True)
class Known:
    """One source's word on an effect: value, variance from chance, variance from bias."""

    value: float
    chance: float
    bias: float = 0.0

    @property
    def variance(self) -> float:
        """Both together."""
        return self.chance + self.bias


@dataclass(frozen=True, slots=True)
class Belief:
    """What is believed of an effect; `dropped` where history was set aside as randomised evidence contradicts it."""

    mean: float
    variance: float
    dropped: bool = False


def from_history(value: float, se: float, bias: float) -> Known:
    """A corrected effect as evidence; its bias does not shrink with more rows.

    Parameters
    ----------
    bias : float
        By how much the placebo corrected it.
    """
    return Known(value, se**2, bias**2 + BIAS_SD**2)


def believed(
    adjusted: Known | None, randomised: Known | None, *, prior: float = 0.0, prior_sd: float = PRIOR_SD
) -> Belief:
    """Put prior, history and randomised evidence together, each weighted by 1 / variance.

    History is dropped where it is further than two standard errors of the difference from the randomised evidence.
    """
    dropped = (
        adjusted is not None
        and randomised is not None
        and abs(adjusted.value - randomised.value) > 2 * np.sqrt(adjusted.variance + randomised.variance)
    )
    sources = [Known(prior, prior_sd**2), *(s for s in (None if dropped else adjusted, randomised) if s is not None)]
    weights: Floats = np.array([1 / s.variance for s in sources])
    mean = float(weights @ np.array([s.value for s in sources]) / weights.sum())
    return Belief(mean, float(1 / weights.sum()), bool(dropped))
