"""Weights of people when a target is split: equal, history, capacity, potential, and mixtures of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from statistics import median
from typing import Literal

from crm.company import Company
from crm.errors import BadInput
from crm.lake import View, connect
from crm.money import attach_rates
from planning.workdays import Workdays

Method = Literal["equal", "history", "capacity", "potential", "blend"]
METHODS: tuple[Method, ...] = ("equal", "history", "capacity", "potential", "blend")
RAMP = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Share of full capacity after so many completed months; the last holds from then on."""
NEWEST_FIRST = (0.4, 0.3, 0.2, 0.1)
"""Weights of the last like periods."""

_POTENTIAL = """
with spent as (
    select o.account_id, coalesce(a.segment, '') as segment, sum(o.amount::double * fx.rate) as spend
    from orders o join accounts a using (account_id)
    join fx on fx.currency = coalesce(o.currency, '') and o.ordered_at >= fx.valid_from and o.ordered_at < fx.valid_to
    where coalesce(o.kind, 'sale') = 'sale' and coalesce(o.cancelled_at > $moment, true)
          and coalesce(o.recorded_at, o.ordered_at) <= $moment and o.ordered_at > $moment - interval 365 days
    group by all
), usual as (select segment, median(spend) as spend from spent group by all)
select a.owner_id, sum(u.spend) from accounts a join usual u on u.segment = coalesce(a.segment, '')
where a.owner_id is not null and coalesce(a.created_at <= $moment, true)
group by all order by all
"""
_OWN = 0.8  # the rest is the mean of all: a good or bad year is partly luck


class NoSuchMethod(BadInput):
    """A way of splitting is not known, or a mixture names none."""

    def __init__(self, method: str) -> None:
        super().__init__(
            "'{method}' is no way to split. Take one of {methods}; a blend needs shares.",
            method=method,
            methods=", ".join(METHODS),
        )


@dataclass(frozen=True, slots=True)
class Person:
    """Who may carry a target.

    Parameters
    ----------
    hired_on, left_on : date, optional
        First working day; first day no longer employed. Unknown hiring counts as long ago.
    fte : float
        Share of a full working week.
    away : tuple of (date, date)
        Absences `[from, to)`.
    """

    rep_id: str
    hired_on: date | None = None
    left_on: date | None = None
    fte: float = 1.0
    role: str = "rep"
    team_id: str | None = None
    away: tuple[tuple[date, date], ...] = ()

    def present(self, day: date) -> bool:
        """Whether the person is employed and not away."""
        hired = self.hired_on is None or day >= self.hired_on
        gone = self.left_on is not None and day >= self.left_on
        return hired and not gone and not any(start <= day < end for start, end in self.away)

    def ramp(self, day: date) -> float:
        """Share of full capacity by completed months since hiring."""
        if self.hired_on is None:
            return RAMP[-1]
        months = (day.year - self.hired_on.year) * 12 + day.month - self.hired_on.month
        months -= day.day < self.hired_on.day
        return RAMP[min(max(months, 0), len(RAMP) - 1)]


def people_of(view: View, teams: Mapping[str, str]) -> list[Person]:
    """People of the table reps with their absences; `teams` says who is where."""
    away: dict[str, list[tuple[date, date]]] = {}
    for row in view.arrow("absences").to_pylist():
        away.setdefault(row["rep_id"], []).append((row["from"], row["to"]))
    rows = view.arrow("reps").sort_by("rep_id").to_pylist()
    return [
        Person(
            row["rep_id"], row["hired_on"], row["left_on"], 1.0 if row["fte"] is None else row["fte"],
            row["role"] or "rep", teams.get(row["rep_id"]), tuple(sorted(away.get(row["rep_id"], []))),
        )
        for row in rows
    ]  # fmt: skip


def capacity(person: Person, start: date, end: date, workdays: Workdays) -> float:
    """Working days of `[start, end)` that a person can give, ramp, part time and absence taken off."""
    days = (day for day in workdays.days(start, end) if person.present(day))
    return person.fte * sum(person.ramp(day) for day in days)


def history_weights(past: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Weights from own results of the last like periods, newest first; drawn a fifth of the way to the mean of all.

    Who has under two periods counts as the median of the others; if nobody has two, all count alike.
    """
    own = {rep: _recent_mean(values) for rep, values in past.items() if len(values) > 1}
    if not own:
        return dict.fromkeys(past, 1.0)
    middle = median(own.values())
    raw = {rep: own.get(rep, middle) for rep in past}
    mean = sum(sorted(raw.values())) / len(raw)  # sorted: the order of people must not move the last digit
    return {rep: _OWN * value + (1 - _OWN) * mean for rep, value in raw.items()}


def blend(shares: Mapping[str, float], weights: Mapping[str, Mapping[str, float]]) -> dict[str, Fraction]:
    """Mixture of weights, each scaled to sum 1, by the share of its method.

    Raises
    ------
    NoSuchMethod
        If a share names a method that has no weights, or no share is above 0.
    """
    wanted = {method: Fraction(share) for method, share in shares.items() if share > 0}
    unknown = sorted(set(wanted) - set(weights))
    if unknown or not wanted:
        raise NoSuchMethod(unknown[0] if unknown else "blend")
    people = {rep for method in wanted for rep in weights[method]}
    mixed = dict.fromkeys(people, Fraction(0))
    for method, share in wanted.items():
        exact = {rep: Fraction(value) for rep, value in weights[method].items()}
        whole = sum(exact.values(), Fraction(0))
        for rep, value in exact.items() if whole > 0 else ():
            mixed[rep] += share * value / whole
    return mixed


def without_target(person: Person, start: date, roles: Sequence[str]) -> bool:
    """Whether a person carries no target: by role, or gone before the period."""
    return person.role in roles or (person.left_on is not None and person.left_on <= start)


def potential_of_accounts(view: View, company: Company, moment: datetime) -> dict[str, float]:
    """Sum over a person's accounts of their segment's median spend in the last 365 days, base currency.

    What a person may reach where no forecast was made; the median is over accounts of the segment that bought at all.
    """
    with connect() as con:
        view.attach(con)
        attach_rates(con, company)
        rows = con.execute(_POTENTIAL, {"moment": moment}).fetchall()
    return {rep: float(value) for rep, value in rows}


def _recent_mean(values: Sequence[float]) -> float:
    pairs = list(zip(NEWEST_FIRST, values, strict=False))
    return sum(weight * value for weight, value in pairs) / sum(weight for weight, _ in pairs)
