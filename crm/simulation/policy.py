"""A policy: which actions are done more or never from a date on, for runs that are compared with the usual one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches

import numpy as np
import pandas as pd

from crm.errors import BadInput
from crm.simulation.process import ACTIONS
from crm.simulation.randomness import Bools, Dice


class UnknownAction(BadInput):
    """A policy names an action that nobody in the sample company takes."""

    def __init__(self, action: str) -> None:
        near = get_close_matches(action, ACTIONS, n=1)
        mend = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(ACTIONS)}."
        super().__init__(f"Policy: '{action}' is no action of the sample company. {mend}")


@dataclass(frozen=True)
class Policy:
    """Change what reps do on open deals from a date on.

    Parameters
    ----------
    start : date
        The first whole week (Monday) on or after this day is the first that is changed.
    add : mapping of str to float
        Action to the chance that it is done in a week in which it would not have been done anyway.
    drop : frozenset of str
        Actions that are no longer done.
    where : callable, optional
        Gets a frame with one row an open deal (kind, segment, stage as numbers of `process.KINDS`, `process.SEGMENTS`
        and the stage's place; key; weeks_open) and says for which the policy holds. Default: all.

    Raises
    ------
    UnknownAction
        If an action is none of `process.ACTIONS`.
    """

    start: date
    add: Mapping[str, float] = field(default_factory=dict)
    drop: frozenset[str] = frozenset()
    where: Callable[[pd.DataFrame], Bools] | None = None

    def __post_init__(self) -> None:
        for action in [*self.add, *self.drop]:
            if action not in ACTIONS:
                raise UnknownAction(action)

    def change(self, done: Bools, deals: pd.DataFrame, dice: Dice) -> Bools:
        """Return what is done after all; `done` has one row a deal, one column an action."""
        chosen = np.ones(len(deals), dtype=bool) if self.where is None else np.asarray(self.where(deals), dtype=bool)
        changed = done.copy()
        for action, chance in self.add.items():
            changed[:, ACTIONS.index(action)] |= chosen & (dice.uniform(f"policy {action}") < chance)
        for action in self.drop:
            changed[:, ACTIONS.index(action)] &= ~chosen
        return changed
