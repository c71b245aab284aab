"""A target split down the team tree, over months, and anew when people join, leave or move; sums stay exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from crm.errors import BadInput
from planning.workdays import NoWeight, split_exactly

MONEY_UNIT = Decimal(1000)
COUNT_UNIT = Decimal(1)
GOOD, FAIR = 0.90, 0.80
"""Bounds of fairness; below the second a split is uneven."""

_HELD = "held in "  # how a team's fixed numbers are named among the parts
_PRIOR_YEARS = 2  # the plain share of working days counts like so many years of history

Weight = float | Fraction


class PinsDoNotFit(BadInput):
    """Numbers fixed by hand leave less than nothing, or a rest that nobody may take."""

    def __init__(self, rest: Decimal) -> None:
        number = f"{abs(rest).normalize():f}"
        if rest < 0:
            super().__init__(
                "The numbers fixed by hand sum to {number} more than the target. Change one of them, or the target.",
                number=number,
            )
        else:
            super().__init__(
                "The numbers fixed by hand sum to {number} less than the target, and nobody else is left. Change one "
                "of them, or the target.",
                number=number,
            )


@dataclass(frozen=True, slots=True)
class Node:
    """A team with its people and the teams below it."""

    team_id: str
    people: tuple[str, ...] = ()
    teams: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Fairness:
    """How alike the expected attainment of people is; 1 is alike.

    Attributes
    ----------
    expected : dict of str to float
        Mean of the draws over target, by person.
    overall, value : float
        Sum of means over sum of targets; 1 less the mean relative distance from it.
    lowest, highest : str
        Who is expected to reach the least and the most of their target.
    """

    expected: dict[str, float]
    overall: float
    value: float
    lowest: str
    highest: str

    @property
    def word(self) -> str:
        """`good`, `fair` or `uneven`."""
        return "good" if self.value >= GOOD else "fair" if self.value >= FAIR else "uneven"


def split(
    total: Decimal,
    weights: Mapping[str, Weight],
    pins: Mapping[str, Decimal] | None = None,
    unit: Decimal = MONEY_UNIT,
    over_assign: Decimal = Decimal(0),
) -> dict[str, Decimal]:
    """A target split over people (or teams): fixed numbers first, the rest by weight, in whole units.

    Who has weight 0 and no fixed number is left out: no target, not a target of 0.

    Parameters
    ----------
    over_assign : Decimal
        What is handed out above the target, as a share of it, such as 0.05.

    Raises
    ------
    PinsDoNotFit
        If fixed numbers exceed what there is, or nobody is left to take the rest.
    NoWeight
        If nobody has a weight.
    """
    pins = dict(pins or {})
    rest = total * (1 + over_assign) - sum(pins.values(), Decimal(0))
    free = {name: weight for name, weight in weights.items() if weight > 0 and name not in pins}
    if rest < 0 or (rest and pins and not free):
        raise PinsDoNotFit(rest)
    return pins | (split_exactly(rest, free, unit) if free or rest else {})


def cascade(
    total: Decimal,
    tree: Node,
    weights: Mapping[str, Weight],
    pins: Mapping[str, Decimal] | None = None,
    unit: Decimal = MONEY_UNIT,
    over_assign: Decimal = Decimal(0),
) -> dict[str, Decimal]:
    """A target split level by level: each team and each person below `tree`, which itself has `total`.

    A team weighs what its people without a fixed number weigh. Fixed numbers may be given for teams and people; those
    deeper in the tree come out first as well, and stay within their team. Errors as in `split`.
    """
    pins = dict(pins or {})
    own = {rep: weights.get(rep, 0.0) for rep in tree.people}
    fixed = {name: pins[name] for name in (*own, *(team.team_id for team in tree.teams)) if name in pins}
    free = [team for team in tree.teams if team.team_id not in pins]
    inside = {team.team_id: _pinned(team, pins) for team in free}
    held = {_HELD + team: number for team, number in inside.items() if number}
    sums = {team.team_id: _weight(team, weights, pins) for team in free}
    parts = split(total, sums | own, fixed | held, unit, over_assign)
    found = {name: number for name, number in parts.items() if name not in held}
    for name in held:
        team_id = name.removeprefix(_HELD)
        found[team_id] = found.get(team_id, Decimal(0)) + inside[team_id]
    parts = dict(found)
    for team in tree.teams:
        if team.team_id in parts:
            found |= cascade(parts[team.team_id], team, weights, pins, unit, over_assign)
    return found


def tree_of(above: Mapping[str, str | None], team_of: Mapping[str, str], root: str | None = None) -> Node:
    """The team tree under a team, or the whole company's; people and teams in the order of their names."""
    known = set(above)
    tops = [team for team in above if above[team] not in known] if root is None else []
    inner = sorted(tops) if root is None else sorted(team for team in above if above[team] == root)
    people = tuple(sorted(rep for rep, team in team_of.items() if team == root)) if root is not None else ()
    return Node(root or "company", people, tuple(tree_of(above, team_of, team) for team in inner))


def season(days: Sequence[int], years: Sequence[Sequence[float]] = ()) -> list[float]:
    """Share of each month of a period, from past years' shares and the working days of each month.

    Parameters
    ----------
    days : shape (months,)
        Working days.
    years : shape (years, months)
        Shares of the same months in past years, each row summing to 1; none: working days alone.
    """
    whole, n = sum(days), len(years)
    plain = [day / whole for day in days]
    past = [sum(year[m] for year in years) / n for m in range(len(days))] if n else plain
    return [(n * p + _PRIOR_YEARS * d) / (n + _PRIOR_YEARS) for p, d in zip(past, plain, strict=True)]


def over_months(target: Decimal, shares: Sequence[float], unit: Decimal = MONEY_UNIT) -> list[Decimal]:
    """A person's target by month; a team's month is the sum of its people's, never rounded by itself."""
    parts = split_exactly(target, {f"{month:03d}": share for month, share in enumerate(shares)}, unit)
    return [parts[name] for name in sorted(parts)]


def fairness(means: Mapping[str, float], targets: Mapping[str, Decimal]) -> Fairness:
    """How alike people's expected attainment is.

    Parameters
    ----------
    means : mapping of str to float
        Mean of the forecast draws of the period, by person; people without one are left out.

    Raises
    ------
    NoWeight
        If nobody has both a forecast above 0 and a target.
    """
    who = sorted(rep for rep in targets if rep in means and targets[rep] > 0)
    total = float(sum((targets[rep] for rep in who), Decimal(0)))
    overall = sum(means[rep] for rep in who) / total if total else 0.0
    if overall <= 0:
        raise NoWeight(Decimal(str(total)), who)
    expected = {rep: means[rep] / float(targets[rep]) for rep in who}
    apart = sum(abs(value - overall) for value in expected.values()) / len(who)
    ranked = sorted(who, key=lambda rep: (expected[rep], rep))
    return Fairness(expected, overall, 1 - apart / overall, ranked[0], ranked[-1])


def rate_is_covered(parent: float, children: Sequence[tuple[float, float]]) -> bool:
    """Whether children's rates (expected number, rate) together reach the parent's: rates are not split."""
    n = sum(number for number, _ in children)
    return n > 0 and sum(number * rate for number, rate in children) / n >= parent - 1e-12


def _weight(node: Node, weights: Mapping[str, Weight], pins: Mapping[str, Decimal]) -> Fraction:
    own = (Fraction(weights.get(rep, 0.0)) for rep in node.people if rep not in pins)
    below = (_weight(team, weights, pins) for team in node.teams if team.team_id not in pins)
    return sum(own, Fraction(0)) + sum(below, Fraction(0))


def _pinned(node: Node, pins: Mapping[str, Decimal]) -> Decimal:
    """What fixed numbers below a team hold, the highest of each branch."""
    own = sum((pins[rep] for rep in node.people if rep in pins), Decimal(0))
    below = (pins[team.team_id] if team.team_id in pins else _pinned(team, pins) for team in node.teams)
    return own + sum(below, Decimal(0))
