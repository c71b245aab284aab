"""Targets when people join, leave or move within a period: what was before that day is never touched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from planning.cascade import MONEY_UNIT
from planning.workdays import Workdays, split_exactly

Vacancy = Literal["team", "redistribute"]
Share = Callable[[date, date], float]
"""Weight of a stretch `[start, end)` of the period: working days, or the season's curve."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a target: who carries it from when to when (exclusive), for which team."""

    owner_id: str
    team_id: str
    start: date
    end: date
    target: Decimal


def seat(team_id: str) -> str:
    """Owner of what an empty place of a team carries."""
    return f"seat:{team_id}"


def by_days(workdays: Workdays) -> Share:
    """Stretches weighed by their working days."""
    return workdays.count


def leave(
    segments: Sequence[Segment],
    who: str,
    day: date,
    share: Share,
    *,
    vacancy: Vacancy = "team",
    capacity_left: Mapping[str, float] | None = None,
    unit: Decimal = MONEY_UNIT,
) -> list[Segment]:
    """A person goes: the part before the day stays theirs, the rest goes to the open seat or to others of the team.

    Parameters
    ----------
    capacity_left : mapping of str to float
        Of each other person of the team from the day to the end; `redistribute` splits by it. With nobody who has any,
        the rest stays with the team's open seat.
    """
    kept, freed = _cut(segments, {who}, day, share, unit)
    takers = {rep: weight for rep, weight in (capacity_left or {}).items() if weight > 0 and rep != who}
    if vacancy == "team" or not takers:
        return kept + [replace(part, owner_id=seat(part.team_id)) for part in freed]
    return kept + [given for part in freed for given in _spread(part, takers, unit)]


def join(
    segments: Sequence[Segment],
    who: str,
    team_id: str,
    day: date,
    share: Share,
    *,
    capacity: float,
    full_capacity: float,
    unit: Decimal = MONEY_UNIT,
) -> list[Segment]:
    """A person comes and takes from the team's open seat: own capacity left over that of a full seat.

    Without an open seat nothing changes: the newcomer carries no target until the whole team is split anew.
    """
    kept, open_ = _cut(segments, {seat(team_id)}, day, share, unit)
    part = min(1.0, capacity / full_capacity) if full_capacity > 0 else 0.0
    weights = {who: Fraction(part), seat(team_id): 1 - Fraction(part)}
    return kept + [given for piece in open_ for given in _spread(piece, weights, unit)]


def rebase(
    segments: Sequence[Segment],
    team_id: str,
    day: date,
    share: Share,
    *,
    capacity_left: Mapping[str, float],
    unit: Decimal = MONEY_UNIT,
) -> list[Segment]:
    """All that a team has left from a day on, split anew over its people by capacity left.

    Raises
    ------
    planning.workdays.NoWeight
        If nobody has any.
    """
    owners = {part.owner_id for part in segments if part.team_id == team_id}
    kept, freed = _cut(segments, owners, day, share, unit, team_id)
    return kept + [given for part in _merged(freed) for given in _spread(part, capacity_left, unit)]


def move(
    segments: Sequence[Segment],
    who: str,
    to_team: str,
    day: date,
    share: Share,
    *,
    capacity: float,
    full_capacity: float,
    unit: Decimal = MONEY_UNIT,
) -> list[Segment]:
    """A person changes team: leaves an open seat behind and takes from one there; both teams' totals stay."""
    left = leave(segments, who, day, share, unit=unit)
    return join(left, who, to_team, day, share, capacity=capacity, full_capacity=full_capacity, unit=unit)


def totals(segments: Sequence[Segment], by: Literal["owner_id", "team_id"] = "owner_id") -> dict[str, Decimal]:
    """Target of each person and seat, or of each team."""
    found: dict[str, Decimal] = {}
    for part in segments:
        name = getattr(part, by)
        found[name] = found.get(name, Decimal(0)) + part.target
    return found


def _cut(
    segments: Sequence[Segment], owners: set[str], day: date, share: Share, unit: Decimal, team_id: str | None = None
) -> tuple[list[Segment], list[Segment]]:
    """What stays, and what the owners (in a team) would carry from the day on."""
    kept, freed = [], []
    for part in segments:
        if part.owner_id not in owners or part.end <= day or (team_id is not None and part.team_id != team_id):
            kept.append(part)
        elif part.start >= day:
            freed.append(part)
        else:
            before, after = _halves(part, day, share, unit)
            kept.append(before)
            freed.append(after)
    return kept, [part for part in freed if part.target]


def _halves(part: Segment, day: date, share: Share, unit: Decimal) -> tuple[Segment, Segment]:
    weights = {"1": share(part.start, day), "2": share(day, part.end)}
    if not any(weights.values()):
        weights = {"1": 1.0, "2": 0.0}
    amounts = split_exactly(part.target, weights, unit)
    return replace(part, end=day, target=amounts["1"]), replace(part, start=day, target=amounts["2"])


def _spread(part: Segment, weights: Mapping[str, float | Fraction], unit: Decimal) -> list[Segment]:
    amounts = split_exactly(part.target, weights, unit)
    return [replace(part, owner_id=rep, target=amount) for rep, amount in sorted(amounts.items()) if amount]


def _merged(parts: Sequence[Segment]) -> list[Segment]:
    """Parts of one team over the same days as one, so that rounding happens once."""
    sums: dict[tuple[str, date, date], Decimal] = {}
    for part in parts:
        key = (part.team_id, part.start, part.end)
        sums[key] = sums.get(key, Decimal(0)) + part.target
    return [Segment("", *key, target) for key, target in sorted(sums.items())]
