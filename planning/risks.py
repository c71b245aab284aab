"""The risk register's rules: what may go wrong, how likely, how much money it concerns, whose it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import pandas as pd

from planning.goals import COMPANY, Goal, actual
from planning.outcomes import Outcomes
from planning.overview import Plan
from planning.sales import Sales, Window, window

Level = Literal["high", "medium", "low"]
SUBJECTS = ("company", "team", "rep", "account", "deal", "product", "competitor", "source")
HIGH, MEDIUM = 0.05, 0.01
"""Expected loss as a share of what is still to be made, from which a risk is high or medium."""
QUARTERS = 8
"""Quarters that a team's own rate of departures is read from."""


@dataclass(frozen=True, slots=True)
class Risk:
    """Something that may go wrong, or has.

    Attributes
    ----------
    kind, subject_kind, subject_id : str
        What, and to whom; at most one risk each.
    likelihood : float or None
        None where it cannot be told; 1 for a fact.
    money, exposed : float or None
        Base currency: what is lost if it happens, and all that it could concern; None where it has no price.
    owner_id : str or None
        Person whose it is.
    rest : float
        What the affected target still asks for; the level is judged by it.
    facts : mapping of str to value
        What the sentence about it says.
    """

    kind: str
    subject_kind: str
    subject_id: str
    likelihood: float | None
    money: float | None
    exposed: float | None
    owner_id: str | None
    rest: float
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes it the same risk from run to run."""
        return self.kind, self.subject_kind, self.subject_id

    @property
    def expected_loss(self) -> float | None:
        """Likelihood times money."""
        return None if self.likelihood is None or self.money is None else self.likelihood * self.money

    @property
    def level(self) -> Level:
        """High, medium or low, by the expected loss against what is still to be made."""
        return level_of(self.expected_loss, self.rest)


def level_of(loss: float | None, rest: float) -> Level:
    """Level of an expected loss; one without a price is low."""
    if not loss or rest <= 0:
        return "low"
    return "high" if loss / rest >= HIGH else "medium" if loss / rest >= MEDIUM else "low"


def frequency(times: int, periods: int) -> float:
    """Chance that what happened in so many of the last periods happens in the next."""
    return (times + 0.5) / (periods + 1)


_CALLS = ["entity", "entity_id", "user_id", "period_start", "period_end", "value"]
_ACTIONS = ["rep_id", "due", "deal_id"]


@dataclass(frozen=True)
class Written:
    """What people wrote down in the product that risks are found in.

    Attributes
    ----------
    calls : DataFrame
        The newest call of bookings of each person on each period: entity ('team' or 'rep'), entity_id, user_id,
        period_start, period_end (exclusive), value (base currency).
    actions : DataFrame
        Open actions and steps of plans: rep_id, due, deal_id (missing where they are about none).
    """

    calls: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=_CALLS))
    actions: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=_ACTIONS))


@dataclass(frozen=True)
class Situation:
    """All that risks are found in, as known at a moment.

    Parameters
    ----------
    outcomes : Outcomes, optional
        Joint draws of the running quarter.
    deals, accounts, advice : DataFrame
        Score files; empty where they were not made.
    written : Written
        What people wrote down in the product.
    """

    plan: Plan
    sales: Sales
    outcomes: Outcomes | None
    deals: pd.DataFrame
    accounts: pd.DataFrame
    advice: pd.DataFrame
    written: Written = field(default_factory=Written)

    @property
    def limits(self) -> Any:
        """Thresholds of the company."""
        return self.plan.company.plan.risks

    @cached_property
    def window(self) -> Window:
        """The running quarter, and the like days of the one before."""
        return window("quarter", self.plan.company, self.sales.today)

    @cached_property
    def open(self) -> pd.DataFrame:
        """Open deals with what was forecast of each, by deal_id."""
        rated = self.deals.set_index("deal_id") if len(self.deals) else pd.DataFrame(index=pd.Index([], name="deal_id"))
        names = ["win_probability", "expected_amount", "p_win_in_period", "p_slip"]
        rated = rated.reindex(columns=names).astype(float)
        return self.sales.open.set_index("deal_id").join(rated)

    @cached_property
    def managers(self) -> dict[str, str]:
        """Manager of each team that has one."""
        rows = self.plan.view.arrow("teams").select(["team_id", "manager_rep_id"]).to_pylist()
        return {row["team_id"]: row["manager_rep_id"] for row in rows if row["manager_rep_id"]}

    @cached_property
    def account_owners(self) -> dict[str, str | None]:
        """Who looks after each customer."""
        rows = self.plan.view.arrow("accounts").select(["account_id", "owner_id"]).to_pydict()
        return dict(zip(rows["account_id"], rows["owner_id"], strict=True))

    @cached_property
    def parents(self) -> dict[str, str | None]:
        """The team above each."""
        rows = self.plan.view.arrow("teams").select(["team_id", "parent_team_id"]).to_pylist()
        return {row["team_id"]: row["parent_team_id"] for row in rows}

    def manager_of(self, kind: str, owner: str) -> str | None:
        """Who leads a team, or a person's team or the next one above; of the company, who leads the top team."""
        if kind == COMPANY:
            tops = [team for team, above in self.parents.items() if above is None]
            return next((self.managers[team] for team in sorted(tops) if team in self.managers), None)
        team = self.plan.facts.team_of.get(owner) if kind == "rep" else owner
        seen = set[str]()
        while team is not None and team not in seen:
            seen.add(team)
            manager = self.managers.get(team)
            if manager is not None and manager != owner:
                return manager
            team = self.parents.get(team)
        return None

    @cached_property
    def goals(self) -> dict[tuple[str, str], Goal]:
        """Bookings goals of the quarter that the draws are about, by whose."""
        if self.outcomes is None:
            return {}
        span = (self.outcomes.start, self.outcomes.end)
        mine = [g for g in self.plan.running if g.metric == "bookings" and not g.scope and not g.kinds and g.target]
        return {(g.owner_kind, g.owner_id): g for g in mine if (g.start, g.end) == span}

    def rest(self, kind: str = COMPANY, owner: str = COMPANY) -> float:
        """What a target still asks for; without one, a quarter's usual bookings of the company."""
        company = self._rests.get((COMPANY, COMPANY), self._usual)
        return self._rests.get((kind, owner), company)

    @cached_property
    def _rests(self) -> dict[tuple[str, str], float]:
        return {
            whose: max(0.0, float(goal.target or 0) - (actual(goal, self.plan.facts).value or 0.0))
            for whose, goal in self.goals.items()
        }

    @cached_property
    def _usual(self) -> float:
        rows = self.sales.closed
        year = rows[rows["won"] & (rows["day"] > pd.Timestamp(self.sales.today) - pd.Timedelta(days=365))]
        return float(year["value"].sum()) / 4


Rule = Callable[[Situation], Iterator[Risk]]


def found(situation: Situation, rules: Sequence[Rule] | None = None) -> list[Risk]:
    """All risks that the rules find, the largest expected loss first; those without a price last."""
    if rules is None:
        from planning.risk_rules import RULES

        rules = RULES
    every = {risk.key: risk for rule in rules for risk in rule(situation)}
    return sorted(every.values(), key=lambda r: (r.expected_loss is None, -(r.expected_loss or 0), r.key))
