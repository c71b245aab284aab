"""Working days of a company, and totals split by weights so that the parts always add up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from crm.company import Company
from crm.errors import BadInput

CENT = Decimal("0.01")
_PLACES = 9  # fractional parts that differ by less are a tie


class NoWeight(BadInput):
    """A total is to be split over weights that sum to nothing."""

    def __init__(self, total: Decimal, who: Iterable[str]) -> None:
        names = ", ".join(sorted(who)) or "nobody"
        super().__init__(
            "{total} cannot be split over {names}: no weight is above 0. Choose another method, or fix the "
            "numbers by hand.",
            total=total,
            names=names,
        )


@dataclass(frozen=True, slots=True)
class Workdays:
    """Which days are worked.

    Parameters
    ----------
    week : frozenset of int
        Weekdays worked, Monday 0 to Sunday 6.
    holidays, extra : frozenset of date
        Days off within the week; days worked outside it.
    """

    week: frozenset[int] = frozenset(range(5))
    holidays: frozenset[date] = field(default_factory=frozenset)
    extra: frozenset[date] = field(default_factory=frozenset)

    @classmethod
    def of(cls, company: Company) -> Workdays:
        """Those of the company's settings."""
        plan = company.plan
        return cls(
            frozenset(day - 1 for day in plan.workweek), frozenset(plan.holidays), frozenset(plan.extra_workdays)
        )

    def __contains__(self, day: date) -> bool:
        return day in self.extra or (day.weekday() in self.week and day not in self.holidays)

    def days(self, start: date, end: date) -> Iterator[date]:
        """Working days of `[start, end)` in order."""
        return (day for n in range((end - start).days) if (day := start + timedelta(days=n)) in self)

    def count(self, start: date, end: date) -> int:
        """Number of working days in `[start, end)`; 0 where the end is not after the start."""
        return sum(1 for _ in self.days(start, end))


def split_exactly(total: Decimal, weights: Mapping[str, float | Fraction], unit: Decimal = CENT) -> dict[str, Decimal]:
    """Shares of a total in whole units, by largest remainder; they sum to the total exactly.

    What the total has over a whole number of units goes to the first in the order of remainders. Ties: the larger
    weight, then the smaller name, so that the order of the mapping never matters.

    Raises
    ------
    NoWeight
        If there is something to split and no weight above 0.

    References
    ----------
    Balinski and Young (2001), "Fair Representation", for the method of Hamilton.
    """
    exact = {name: Fraction(weight) for name, weight in weights.items()}
    whole = sum(exact.values(), Fraction(0))
    if whole <= 0:
        if total:
            raise NoWeight(total, weights)
        return dict.fromkeys(weights, Decimal(0))
    quotas = {name: Fraction(total) * weight / whole / Fraction(unit) for name, weight in exact.items()}
    units = {name: int(quota // 1) for name, quota in quotas.items()}
    order = sorted(exact, key=lambda name: (-round(quotas[name] % 1, _PLACES), -exact[name], name))
    spare = int(total // unit) - sum(units.values())
    shares = {name: unit * (units[name] + (place < spare)) for place, name in enumerate(order)}
    shares[order[0]] += total - sum(shares.values(), Decimal(0))
    return {name: shares[name] for name in weights}
