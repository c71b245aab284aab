"""What effects measured on history or by chance say of a step for each deal, in place of what is only seen together."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from crm.company import Company
from crm.lake import View
from models.actions import Action
from models.effects import Effects
from models.effects_action import PARTS
from models.effects_estimate import Z90
from models.effects_history import past_of
from models.effects_rows import taken
from models.effects_rules import Known, believed, from_history
from models.effects_segments import of_deals
from models.learners import Floats

Flags = npt.NDArray[np.bool_]


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
        For which deals there is such evidence.
    barred : bool
        Deals for which the step is not to be suggested: it helped, but on deals without an earlier one only.
    uplift, low, high : float
        Believed effect with its 90 % interval for one deal.
    deals : int
        Past deals with the step that this rests on; 0 where it rests on chance alone.
    measured : bool
        Whether chance has proved it.
    """

    holds: Flags
    barred: Flags
    uplift: Floats
    low: Floats
    high: Floats
    deals: npt.NDArray[np.intp]
    measured: bool


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
    claims = _claims(effects)
    wanted = [a for a in actions if a.name in claims or (a.name in randomised and randomised[a.name].proved)]
    if not wanted:
        return {}
    kinds = {a.name: a.kind for a in wanted if a.name in claims}
    past = past_of(view, X[["deal_id", "as_of"]], kinds, company=company, until=as_of)
    before = {name: taken(X, past.taken[name]).before for name in kinds}
    found = {}
    for action in wanted:
        earlier = before.get(action.name, np.zeros(len(X), dtype=bool))
        parts = claims.get(action.name, {})
        found[action.name] = _evidence(X, chance, action, parts, effects, earlier, randomised.get(action.name))
    return found


def _claims(effects: Effects | None) -> dict[str, dict[str, dict[str, Any]]]:
    """Adjusted effects by step and part."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    if effects is not None and len(effects.table):
        for row in effects.table[effects.table["basis"] == "adjusted"].to_dict("records"):
            found.setdefault(str(row["action"]), {})[str(row["part"])] = {str(k): v for k, v in row.items()}
    return found


def _evidence(
    X: pd.DataFrame, chance: Floats, action: Action, parts: Mapping[str, dict[str, Any]], effects: Effects | None,
    earlier: Flags, trial: Randomised | None,
) -> Evidence:  # fmt: skip
    n = len(X)
    uplift, half = np.zeros(n), np.zeros(n)
    holds, deals = np.zeros(n, dtype=bool), np.zeros(n, dtype=np.intp)
    measured = trial is not None and trial.proved
    if trial is not None and measured:
        alone = believed(None, trial.known)
        holds[:], uplift[:], half[:] = True, alone.mean, Z90 * np.sqrt(alone.variance)
    for part in PARTS:
        if part in parts and effects is not None:
            row = parts[part]
            value, spread, fits = _adjusted(X, row, effects)
            mine = fits & (earlier if part == "again" else ~earlier)
            beliefs = [believed(_known(row, float(v)), trial.known if trial else None) for v in value[mine]]
            uplift[mine] = [b.mean for b in beliefs]
            half[mine] = [Z90 * np.sqrt(b.variance + spread) for b in beliefs]
            holds[mine], deals[mine] = True, int(row["treated_deals"])
    barred = earlier & ("first" in parts) & ("again" not in parts) & (not measured)
    # A deal that is as good as won or lost has little to gain.
    room = chance * (1 - chance)
    among = holds & action.fits(X)
    scale = room / room[among].mean() if among.any() and room[among].mean() > 0 else np.ones(n)
    uplift, half = uplift * scale, half * np.maximum(scale, 0.25)
    return Evidence(holds & ~barred, barred, uplift, uplift - half, uplift + half, deals, measured)


def _adjusted(X: pd.DataFrame, row: Mapping[str, Any], effects: Effects) -> tuple[Floats, float, Flags]:
    """Effect for deals, variance between parts of the business, and for which deals it is claimed."""
    parts = effects.segments
    mine = parts[(parts["action"] == row["action"]) & (parts["part"] == row["part"])]
    table = {
        (str(d), str(level)): (float(shrunk), float(own))
        for d, level, shrunk, own in mine[["dimension", "level", "shrunk", "own"]].itertuples(index=False)
    }
    value, least = of_deals(X, float(row["corrected"]), table)
    stages = json.loads(str(row["stages"]))
    among = X["stage"].astype(object).isin(stages).to_numpy() if stages and "stage" in X else np.ones(len(X), bool)
    spread = float(mine.groupby("dimension")["between"].first().sum()) if len(mine) else 0.0
    return value, spread, among & (least > 0) & (value > 0)


def _known(row: Mapping[str, Any], value: float) -> Known:
    return from_history(value, float(row["corrected_se"]), float(row["bias"]))
