"""Risks to targets: one that is likely missed, and one that nothing in sight covers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from planning.outcomes import shortfall
from planning.risks import Risk, Situation


def targets_missed(s: Situation) -> Iterator[Risk]:
    """Goals of the quarter that most draws miss; of a person, that three in four miss."""
    for (kind, owner), goal in s.goals.items():
        draws = s.outcomes.of(kind, owner) if s.outcomes else None
        if draws is None or goal.target is None:
            continue
        target = float(goal.target)
        chance, short = shortfall(draws, target)
        limit = s.limits.p_attain_person if kind == "rep" else s.limits.p_attain
        if 1 - chance < limit:
            days = s.plan.workdays.count
            gone = days(goal.start, s.sales.today) / max(days(goal.start, goal.end), 1)
            facts = {"target": target, "p50": float(np.quantile(draws, 0.5)), "p_attain": 1 - chance, "gone": gone,
                     "goal_id": goal.goal_id}  # fmt: skip
            yield Risk("target_missed", goal.owner_kind, owner, chance, short, target, s.manager_of(kind, owner),
                       s.rest(kind, owner), facts)  # fmt: skip


def coverage_gaps(s: Situation) -> Iterator[Risk]:
    """Companies and teams whose open and new business does not cover what is left, with a tenth to spare."""
    for (kind, owner), goal in s.goals.items():
        told = s.plan.forecast_of(goal)
        if kind == "rep" or "expected_open" not in told or "p_attain" not in told or "mean" not in told:
            continue
        rest = s.rest(kind, owner)
        closed = float(goal.target or 0) - rest
        coming = max(told["mean"] - closed, 0.0)
        if rest > s.limits.coverage * coming:
            money = uncovered(rest, told["expected_open"])
            yield Risk("coverage_gap", goal.owner_kind, owner, 1 - told["p_attain"], money, rest,
                       s.manager_of(kind, owner), rest, {"rest": rest, "coming": coming})  # fmt: skip


def uncovered(rest: float, expected_open: float) -> float:
    """What is left of a target and not expected of open deals."""
    return max(0.0, rest - max(expected_open, 0.0))
