"""Who takes over which deals of a person: by fit and value, customers kept together, nobody over their room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import Bounds, LinearConstraint, milp

from crm.lake import connect
from planning.capacity import Person
from planning.risk_people import going
from planning.risks import Situation

KEPT, BY_FIT = 0.7, 0.3
"""Share of a deal's value kept in any new hands, and the share that fit adds."""
_NEAR = 0.99  # of the best value, given up for even loads
_TINY = 1e-6  # so that a deal without value is handed over as well where there is room


@dataclass(frozen=True)
class HandOver:
    """Each deal with who takes it, and those that nobody has room for, the least valuable first."""

    taken: Mapping[str, str]
    left: tuple[str, ...]
    value: float


def hand_over(
    value: Mapping[str, float],
    fit: Mapping[tuple[str, str], float],
    room: Mapping[str, int],
    *,
    account: Mapping[str, str | None] | None = None,
    load: Mapping[str, int] | None = None,
) -> HandOver:
    """The best hand-over, then, at no less than 99 % of its value, the one with the lowest highest load.

    Parameters
    ----------
    value : mapping of str to float
        Of each deal: amount times chance.
    fit : mapping of (deal, person) to float
        0 to 1; 0 where it is not named.
    room : mapping of str to int
        Deals that each person can still take.
    account : mapping of str to str, optional
        Customer of each deal; deals of one stay together.
    load : mapping of str to int, optional
        Deals that each person has already.

    References
    ----------
    Huangfu and Hall (2018), "Parallelizing the dual revised simplex method" (HiGHS), by SciPy.
    """
    groups, people = _groups(value, account or {}), sorted(room)
    if not groups or not people:
        return HandOver({}, tuple(sorted(value, key=lambda d: (value[d], d))), 0.0)
    worth = np.array([[_worth(group, rep, value, fit) for rep in people] for group in groups])
    sizes = np.array([len(group) for group in groups])
    own = np.array([(load or {}).get(rep, 0) for rep in people])
    space = np.array([max(room[rep], 0) for rep in people])
    best = _best(worth + _TINY * sizes[:, None], sizes, space)
    chosen = _evened(worth, best, sizes, space, own)
    taken = {deal: people[r] for g, r in zip(*np.nonzero(chosen), strict=True) for deal in groups[g]}
    left = sorted(set(value) - set(taken), key=lambda d: (value[d], d))
    return HandOver(taken, tuple(left), float((worth * chosen).sum()))


def keeps(fit: float) -> float:
    """Share of a deal's value that is kept in new hands."""
    return KEPT + BY_FIT * fit


def proposal(s: Situation, rep: str) -> tuple[HandOver, dict[tuple[str, str], float], list[str]]:
    """A hand-over of a person's open deals within the team, else the next one above; fits, and who was asked."""
    mine = s.open[s.open["owner_id"] == rep]
    chance = mine["p_win_in_period"].fillna(mine["win_probability"]).fillna(0.0)
    value = {str(d): float(v) for d, v in (mine["amount"].fillna(0.0).clip(lower=0) * chance).items()}
    people = takers(s, rep)
    counts = s.open.groupby("owner_id").size()
    load = {p.rep_id: int(counts.get(p.rep_id, 0)) for p in people}
    fits = fit_of(s, mine, [p.rep_id for p in people])
    account = {str(d): a if isinstance(a, str) else None for d, a in mine["account_id"].items()}
    return hand_over(value, fits, rooms(s, people, load), account=account, load=load), fits, [p.rep_id for p in people]


def takers(s: Situation, rep: str) -> list[Person]:
    """Colleagues who are there and sell: of the team, or of the next team above that has any."""
    roles, facts = s.plan.company.plan.no_target_roles, s.plan.facts
    team, seen = facts.team_of.get(rep), set[str]()
    while team is not None and team not in seen:
        seen.add(team)
        below = facts.below.get(team, frozenset({team}))
        found = [
            p for p in s.plan.people
            if p.rep_id != rep and facts.team_of.get(p.rep_id) in below and p.role not in roles
            and not (p.left_on and p.left_on <= s.sales.today) and going(p, s) is None
        ]  # fmt: skip
        if found:
            return found
        team = s.parents.get(team)
    return []


def rooms(s: Situation, people: Sequence[Person], load: Mapping[str, int]) -> dict[str, int]:
    """Deals that each can still take before standing in the register as overloaded."""
    usual = float(np.median([load[p.rep_id] for p in people])) if people else 0.0
    return {p.rep_id: max(0, int(s.limits.overload * max(usual, 1.0) * p.fte) - load[p.rep_id]) for p in people}


def fit_of(s: Situation, deals: pd.DataFrame, people: Sequence[str]) -> dict[tuple[str, str], float]:
    """Half for having worked the customer, 0.3 for won deals in its segment, 0.2 for its product, against peers."""
    with connect() as con:
        s.plan.view.attach(con)
        worked = set(
            con.execute(
                "select distinct rep_id, account_id from activities "
                "where rep_id is not null and occurred_at <= $moment "
                "union select owner_id, account_id from deals where created_at <= $moment and owner_id is not null",
                {"moment": s.sales.moment},
            ).fetchall()
        )
    won = s.sales.closed[s.sales.closed["won"] & s.sales.closed["rep_id"].isin(people)]
    total = won.groupby("rep_id")["share"].sum()
    found = {}
    for deal, row in deals.iterrows():
        segment, product = (_record(won, total, column, row[column], people) for column in ("segment", "product_id"))
        for rep in people:
            known = 0.5 * ((rep, row["account_id"]) in worked)
            found[str(deal), rep] = known + 0.3 * segment[rep] + 0.2 * product[rep]
    return found


def _record(won: pd.DataFrame, total: pd.Series, column: str, value: object, people: Sequence[str]) -> dict[str, float]:
    """Share of each one's own won deals that are of a kind, over the largest such share."""
    same = won[won[column] == value].groupby("rep_id")["share"].sum()
    shares = {rep: float(same.get(rep, 0.0) / total[rep]) if total.get(rep, 0) > 0 else 0.0 for rep in people}
    top = max(shares.values(), default=0.0)
    return {rep: share / top if top else 0.0 for rep, share in shares.items()}


def _groups(value: Mapping[str, float], account: Mapping[str, str | None]) -> list[list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for deal in sorted(value):
        customer = account.get(deal)
        found.setdefault(("account", customer) if customer else ("deal", deal), []).append(deal)
    return list(found.values())


def _worth(group: Sequence[str], rep: str, value: Mapping[str, float], fit: Mapping[tuple[str, str], float]) -> float:
    return sum(max(value[deal], 0.0) * keeps(fit.get((deal, rep), 0.0)) for deal in group)


def _best(gain: npt.NDArray[Any], sizes: npt.NDArray[Any], room: npt.NDArray[Any]) -> npt.NDArray[Any]:
    n, m = gain.shape
    found = milp(-gain.ravel(), constraints=_limits(n, m, sizes, room), integrality=1, bounds=Bounds(0, 1))
    return np.zeros((n, m)) if found.x is None else np.round(found.x).reshape(n, m)


def _evened(
    worth: npt.NDArray[Any], best: npt.NDArray[Any], sizes: npt.NDArray[Any], room: npt.NDArray[Any],
    load: npt.NDArray[Any],
) -> npt.NDArray[Any]:  # fmt: skip
    """The same number of deals at 99 % of the value, the highest load as low as can be; then the value again."""
    n, m = worth.shape
    every = np.zeros((m, n * m + 1))
    for r in range(m):
        every[r, r : n * m : m] = sizes
        every[r, -1] = -1
    least = _NEAR * float((worth * best).sum())
    rows = [
        *(LinearConstraint(np.c_[c.A, np.zeros(len(c.A))], c.lb, c.ub) for c in _limits(n, m, sizes, room)),
        LinearConstraint(every, -np.inf, -load),
        LinearConstraint(np.r_[worth.ravel(), 0][None, :], least, np.inf),
        LinearConstraint(np.r_[np.repeat(sizes, m), 0][None, :], float((sizes[:, None] * best).sum()), np.inf),
    ]
    tie = 1e-6 * worth.ravel() / max(float(worth.max()), 1.0)
    bounds = Bounds(0, np.r_[np.ones(n * m), np.inf])
    found = milp(np.r_[-tie, 1.0], constraints=rows, integrality=np.r_[np.ones(n * m), 0], bounds=bounds)
    return best if found.x is None else np.round(found.x[:-1]).reshape(n, m)


def _limits(n: int, m: int, sizes: npt.NDArray[Any], room: npt.NDArray[Any]) -> list[LinearConstraint]:
    once, space = np.zeros((n, n * m)), np.zeros((m, n * m))
    for g in range(n):
        once[g, g * m : (g + 1) * m] = 1
    for r in range(m):
        space[r, r::m] = sizes
    return [LinearConstraint(once, -np.inf, np.ones(n)), LinearConstraint(space, -np.inf, room)]
