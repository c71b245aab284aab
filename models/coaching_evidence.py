"""What effects measured on history or by chance say of a step for each deal, in place of what is only seen together."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm

from crm.company import Company
from crm.lake import View
from models.actions import Action
from models.effects import Effects
from models.effects_action import PARTS
from models.effects_estimate import Z90
from models.effects_history import past_of
from models.effects_rows import HORIZON_WEEKS, taken
from models.effects_rules import PRIOR_SD, Known, believed, from_history
from models.effects_segments import of_deals
from models.learners import Floats

Flags = npt.NDArray[np.bool_]
FAIRLY_SURE = 0.8
"""History speaks for a step that it does not prove where helping is at least so likely."""
_PART_OF_STAGE = ("near_stage", "after_move")
LEAST = 0.001
"""A smaller gain is not worth a line."""
_ROW = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Randomised:
    """What suggestions shown and held back by chance say of a step: difference, its variance, whether it is proved."""

    value: float
    variance: float
    proved: bool

    @property
    def known(self) -> Known:
        """As evidence."""
        return Known(self.value, self.variance)


@dataclass(frozen=True, slots=True)
class Evidence:
    """A step's effects for deals, all of shape (n,).

    Parameters
    ----------
    holds : bool
        For which deals it is claimed, from history or by chance.
    speaks : bool
        For which others history speaks for it without proof: helping is likelier than `FAIRLY_SURE`. It ranks there
        like what is claimed and stays an association.
    leans : bool
        For which others history leans to it: helping is likelier than not. It ranks below these.
    barred : bool
        Deals for which the step is not to be suggested: it helped, but on deals without an earlier one only.
    uplift, low, high : float
        Believed effect with its 90 % interval for one deal; where nothing is claimed the interval holds 0.
    deals : int
        Past deals with the step that this rests on; 0 where it rests on chance alone.
    measured : bool
        Whether chance has proved it.
    weeks : int
        'Won' means within so many in what history says; 0 where it says nothing.
    """

    holds: Flags
    speaks: Flags
    leans: Flags
    barred: Flags
    uplift: Floats
    low: Floats
    high: Floats
    deals: npt.NDArray[np.intp]
    measured: bool
    weeks: int


def evidence_for(
    X: pd.DataFrame,
    chance: Floats,
    actions: tuple[Action, ...],
    *,
    effects: Effects | None,
    randomised: Mapping[str, Randomised],
    view: View,
    company: Company,
    as_of: pd.Timestamp,
) -> dict[str, Evidence]:
    """Evidence by step, for steps that have any.

    Parameters
    ----------
    X : shape (n, p)
        Open deals.
    chance : shape (n,)
        Their chance to be won.
    """
    known = _estimates(effects)
    wanted = [a for a in actions if a.name in known or (a.name in randomised and randomised[a.name].proved)]
    if not wanted:
        return {}
    kinds = {a.name: a.kind for a in wanted if a.name in known}
    past = past_of(view, X[["deal_id", "as_of"]], kinds, company=company, until=as_of)
    before = {name: taken(X, past.taken[name]).before for name in kinds}
    found = {}
    for action in wanted:
        earlier = before.get(action.name, np.zeros(len(X), dtype=bool))
        parts = known.get(action.name, {})
        found[action.name] = _evidence(X, chance, action, parts, effects, earlier, randomised.get(action.name))
    return found


def _estimates(effects: Effects | None) -> dict[str, dict[str, _ROW]]:
    """Effects that history estimates, by step and part; what is nearly a part of the stage tells nothing."""
    found: dict[str, dict[str, _ROW]] = {}
    if effects is None or effects.table.empty:
        return found
    for row in effects.table[effects.table["corrected"].notna()].to_dict("records"):
        if row["basis"] != "none" and row.get("reason") not in _PART_OF_STAGE:
            found.setdefault(str(row["action"]), {})[str(row["part"])] = {str(k): v for k, v in row.items()}
    return found


def _evidence(
    X: pd.DataFrame, chance: Floats, action: Action, parts: Mapping[str, _ROW], effects: Effects | None,
    earlier: Flags, trial: Randomised | None,
) -> Evidence:  # fmt: skip
    n = len(X)
    uplift, half = np.zeros(n), np.zeros(n)
    holds, speaks, leans = (np.zeros(n, dtype=bool) for _ in range(3))
    deals = np.zeros(n, dtype=np.intp)
    measured = trial is not None and trial.proved
    if trial is not None and measured:
        alone = believed(None, trial.known)
        holds[:], uplift[:], half[:] = True, alone.mean, Z90 * np.sqrt(alone.variance)
    told = set()
    for part in PARTS:
        if part in parts and effects is not None:
            found = _believed_of(X, parts[part], effects, trial)
            here = earlier if part == "again" else ~earlier
            claimed = found.claimed & here
            spoken = found.likely & ~claimed & here & (not measured)
            leant = (found.mean > 0) & ~claimed & ~spoken & here & (not measured)
            mine = claimed | spoken | leant
            doubt = found.variance[mine] + found.spread + found.bias**2
            uplift[mine], half[mine] = found.mean[mine], Z90 * np.sqrt(doubt)
            holds, speaks, leans = holds | claimed, speaks | spoken, leans | leant
            deals[mine] = int(parts[part]["treated_deals"])
            if found.claimed.any() or found.likely.any():
                told.add(part)
    barred = earlier & ("first" in told) & ("again" not in told) & (not measured)
    # A deal that is as good as won or lost has little to gain.
    room = chance * (1 - chance)
    among = (holds | speaks | leans) & action.fits(X)
    scale = room / room[among].mean() if among.any() and room[among].mean() > 0 else np.ones(n)
    uplift, half = uplift * scale, half * np.maximum(scale, 0.25)
    half = np.where(speaks | leans, np.maximum(half, np.abs(uplift) + LEAST), half)
    weeks = max((int(row.get("horizon_weeks", HORIZON_WEEKS)) for row in parts.values()), default=0)
    low, high = uplift - half, uplift + half
    return Evidence(
        holds & ~barred, speaks & ~barred, leans & ~barred, barred, uplift, low, high, deals, measured, weeks
    )


@dataclass(frozen=True, slots=True)
class _Belief:
    """What is believed of a step for deals, (n,): claimed, likely to help, mean, variance.

    `spread` is the variance between parts; `bias` the allowance for what may be left after the placebos.
    """

    claimed: Flags
    likely: Flags
    mean: Floats
    variance: Floats
    spread: float
    bias: float


def _believed_of(X: pd.DataFrame, row: _ROW, effects: Effects, trial: Randomised | None) -> _Belief:
    value, spread, among, least = _estimated(X, row, effects)
    mean, variance = np.zeros(len(X)), np.full(len(X), PRIOR_SD**2)
    for here, more in ((among, 0.0), (~among, PRIOR_SD**2)):
        # Stages in which it was as good as never taken may differ from the others as steps differ from each other.
        beliefs = [believed(_known(row, float(v), more), trial.known if trial else None) for v in value[here]]
        mean[here], variance[here] = [b.mean for b in beliefs], [b.variance for b in beliefs]
    whole = believed(_known(row, float(row["corrected"])), trial.known if trial else None)
    # Of an effect that is doubtful as a whole a part of the business stands out by chance all too easily. Stages it was
    # not taken in say nothing against it: more doubt lowers its place there, and does not silence it.
    likely = np.where(among, _likely(mean, variance), mean > 0) & bool(_likely(whole.mean, whole.variance))
    claimed = among & (least > 0) & (value > 0) if row["basis"] == "adjusted" else np.zeros(len(X), dtype=bool)
    return _Belief(claimed, likely, mean, variance, spread, _bias(row))


def _likely(mean: npt.ArrayLike, variance: npt.ArrayLike) -> Flags:
    return np.asarray(norm.cdf(np.asarray(mean) / np.sqrt(variance)) >= FAIRLY_SURE)


def _estimated(X: pd.DataFrame, row: _ROW, effects: Effects) -> tuple[Floats, float, Flags, Floats]:
    """Effect for deals, variance between parts, whether of a stage it was taken in, least of the parts' own effects."""
    parts = effects.segments
    mine = parts[(parts["action"] == row["action"]) & (parts["part"] == row["part"])]
    table = {
        (str(d), str(level)): (float(shrunk), float(own))
        for d, level, shrunk, own in mine[["dimension", "level", "shrunk", "own"]].itertuples(index=False)
    }
    whole, share = float(row["corrected"]), float(row.get("placebo_share", 0.0))
    value, least = of_deals(X, whole, table)
    # The share that the placebos speak of comes off the parts' differences too; not known, it may be all of them.
    value = whole + (value - whole) * (1 - share if np.isfinite(share) else 0.0)
    stages = json.loads(str(row["stages"]))
    among = X["stage"].astype(object).isin(stages).to_numpy() if stages and "stage" in X else np.ones(len(X), bool)
    spread = float(mine.groupby("dimension")["between"].first().sum()) if len(mine) else 0.0
    return value, spread, among, least


def _known(row: _ROW, value: float, more: float = 0.0) -> Known:
    """A deal's effect as evidence for the order of steps.

    The share that the placebos speak of is off already, and how far it is in doubt is part of the error. Were it
    counted again as possible bias, steps of which nothing is known would pass those that were looked at and corrected:
    that allowance belongs to what is claimed, and to the range. Where no placebo could be looked at nothing is off,
    and all of it may be hidden interest.
    """
    known = from_history(value, float(row["corrected_se"]), 0.0 if _looked_at(row) else abs(float(row["corrected"])))
    return Known(known.value, known.chance + more, known.bias)


def _looked_at(row: _ROW) -> bool:
    return any(np.isfinite(row.get(name, 0.0)) for name in ("placebo_now", "answers_now"))


def _bias(row: _ROW) -> float:
    """The allowance for bias in the range of one deal."""
    return float(row["bias"]) if _looked_at(row) else 0.0  # else the variance has it
