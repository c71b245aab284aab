"""Effects of actions as they are told: what history says, what chance says, why, and what is still missing."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from crm.company import Company
from crm.lake import View, newest_event
from models.effects_rules import LEAST_CAUSES, LEAST_DEALS, LEAST_ROWS
from models.effects_sequence import compare, more_needed
from serving.advising import weeks_of
from serving.holdback import ALL, Trial, trials
from serving.store import Store
from training.effects import newest_effects

REASONS = {
    "passed": "Compared with like deals without it, and it stood every check.",
    "process_step": "Part of moving to the next stage: not a choice that could be compared.",
    "too_few": f"Not known yet: it takes {LEAST_ROWS} weeks, {LEAST_DEALS} deals and {LEAST_CAUSES} causes with it.",
    "near_stage": "It mostly comes together with a move to the next stage.",
    "after_move": "It mostly follows a move to the next stage on the same day.",
    "placebo": "Next week's action goes together with what came before it as well: something unseen drives both.",
    "quiet": "Nothing shows in the weeks after it, so what it does cannot be told from what is hidden.",
    "looks_lower": "Deals with it were won less often; contact that follows trouble looks so, and harm is not claimed.",
    "holds_zero": "Once like deals are compared, the range holds 0.",
    "learners_differ": "Two ways to compare like deals disagree by more than one standard error.",
    "no_overlap": "Deals with and without it are hardly alike.",
    "many_tried": "Among so many actions tried, one such figure comes by chance.",
    "control": "No customer notices it, so the figure is all bias: others may hold as much.",
    "chance": "Shown and held back by chance: the range leaves 0 out.",
}
NEEDS = {
    "nothing": "",
    "no_choice": "Nothing can measure it: it comes with the move to the next stage.",
    "control": "Never: it is not suggested, so none is held back.",
    "off": "Nothing is held back by chance, so nothing can become measured: advice.hold_back in company.yaml.",
    "not_drawn": (
        "It was not suggested yet. It takes about {n} outcomes of suggestions, some of them held back by chance."
    ),
    "outcomes": "To be measured it takes about {n} more outcomes.",
}
"""What would make an action 'measured', by code."""
_INTERVALS = ("plain", "linear", "trees", "adjusted", "everyone", "placebo_now", "placebo_later", "answers_now",
              "answers_later", "permuted", "without_contacts", "landmark")  # fmt: skip
_Z90 = 1.645


@dataclass(frozen=True, slots=True)
class Range:
    """A difference in the share won with its 90 % range."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Told:
    """One action on deals without ('first') or with ('again') an earlier one; figures that were not worked out: None.

    Parameters
    ----------
    basis, reason : str
        What may be said, and the code of why, a key of `REASONS`.
    ranges : mapping of str to Range
        By what was compared: plain, adjusted and so on, corrected with its allowance for bias.
    shares : mapping of str to float
        overlap, clipped, process_share, after_move_share, placebo_share.
    parts : list of dict
        Parts of the business: dimension, level, rows, treated_rows, value, low, high.
    needs : str
        What would make it 'measured', a key of `NEEDS`.
    more_needed : int
        About how many more outcomes that takes; 0 where no number can be given.
    """

    action: str
    part: str
    basis: str
    reason: str
    repeat: str
    control: bool
    rows: int
    treated_rows: int
    treated_deals: int
    causes: int
    ranges: Mapping[str, Range | None]
    shares: Mapping[str, float | None]
    stages: list[str]
    parts: list[dict[str, Any]]
    trial: Trial | None
    needs: str
    more_needed: int

    @property
    def to_be_measured(self) -> str:
        """What would make it 'measured'; empty where it is."""
        return NEEDS[self.needs].format(n=f"{rounded(self.more_needed):,}")


@dataclass(frozen=True, slots=True)
class Report:
    """All effects of one company; `until` is None where they were not measured yet."""

    until: datetime | None
    horizon_weeks: int
    compared: str
    share: float
    effects: list[Told] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)

    @property
    def every(self) -> Trial | None:
        """The comparison of all suggestions, shown against held back."""
        return next((t for t in self.trials if t.action == ALL), None)


def report(view: View, company: Company, store: Store, *, tracking: str) -> Report:
    """What is known now: effects measured on history, and the comparison by chance so far."""
    found = newest_effects(tracking=tracking)
    weeks, share = weeks_of(found), company.advice.hold_back
    drawn = trials(store, view, weeks=weeks, as_of=newest_event(view), share=share) if "deals" in view.present else []
    if found is None:
        return Report(None, weeks, "", share, trials=drawn)
    by_action = {t.action: t for t in drawn}
    rows = found.table.to_dict("records")
    told = [_told(row, found.segments, by_action.get(str(row["action"])), share) for row in rows]
    first = found.table.iloc[0]
    return Report(first["until"].to_pydatetime(), weeks, str(first["compared"]), share, told, drawn)


def _told(row: Mapping[Any, Any], segments: pd.DataFrame, trial: Trial | None, share: float) -> Told:
    proved = trial is not None and trial.found.proves and trial.found.mean > 0
    # What an earlier version measured may lack a figure.
    ranges = {name: _range(row.get(name, math.nan), row.get(f"{name}_se", math.nan)) for name in _INTERVALS}
    ranges["corrected"] = (
        None if _missing(row["corrected"]) else Range(float(row["corrected"]), float(row["low"]), float(row["high"]))
    )
    shares = ("overlap", "clipped", "process_share", "after_move_share", "placebo_share")
    told_shares = {name: None if _missing(row[name]) else float(row[name]) for name in shares}
    if ranges["placebo_now"] is None and ranges["answers_now"] is None:
        told_shares["placebo_share"] = None  # no placebo was made: that is not a share of 0
    needs, more = _needs(row, trial, share, proved=proved)
    mine = segments[(segments["action"] == row["action"]) & (segments["part"] == row["part"])]
    return Told(
        action=str(row["action"]),
        part=str(row["part"]),
        basis="measured" if proved else str(row["basis"]),
        reason="chance" if proved else str(row["reason"]),
        repeat=str(row["repeat"]),
        control=bool(row["control"]),
        **{name: int(row[name]) for name in ("rows", "treated_rows", "treated_deals", "causes")},
        ranges=ranges,
        shares=told_shares,
        stages=json.loads(row["stages"]),
        parts=[_part(part) for part in mine.to_dict("records")],
        trial=trial,
        needs=needs,
        more_needed=more,
    )


def _needs(row: Mapping[Any, Any], trial: Trial | None, share: float, *, proved: bool) -> tuple[str, int]:
    """What would make an action 'measured', and how many more outcomes that takes."""
    if proved or row["control"] or row["reason"] == "process_step":
        return "nothing" if proved else "control" if row["control"] else "no_choice", 0
    if not 0 < share < 1:
        return "off", 0
    if trial is None:
        return "not_drawn", more_needed(compare(np.zeros(0)), share)
    return "outcomes", trial.more_needed


def rounded(outcomes: int) -> int:
    """To two figures: more would say that it is known."""
    return int(float(f"{outcomes:.2g}"))


def _part(row: Mapping[Any, Any]) -> dict[str, Any]:
    own = _range(row["own"], row["own_se"])
    return {
        "dimension": row["dimension"],
        "level": row["level"],
        "rows": int(row["rows"]),
        "treated_rows": int(row["treated_rows"]),
        "own": own,
        "shrunk": float(row["shrunk"]),
    }


def _range(value: float, se: float) -> Range | None:
    if _missing(value) or _missing(se):
        return None
    return Range(float(value), float(value - _Z90 * se), float(value + _Z90 * se))


def _missing(value: float) -> bool:
    return not math.isfinite(value)
