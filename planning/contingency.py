"""Contingency plans: when each starts, its steps, and what it is filled with from the deals and customers at hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import pandas as pd

from models.actions import CATALOGUE
from planning.cover_customers import LATE_ORDER, RENEWAL, customers_to_call
from planning.goals import COMPANY
from planning.handover import keeps, proposal
from planning.outcomes import Floats, Outcomes
from planning.risk_people import going
from planning.risks import Risk, Situation
from planning.turnover import Segment, by_days, leave
from planning.workdays import Workdays

Template = Literal["target_missed", "account_lost", "person_gone"]
HOURS: Mapping[str, float] = {action.name: action.effort_hours for action in CATALOGUE} | {
    "pull_forward": 4.0, RENEWAL: 2.0, LATE_ORDER: 1.0,
}  # fmt: skip
"""Hours that an action is taken to cost, to put what brings most an hour first."""
_MONTH = 30
_MOST = 25
MANAGER, OWNER = "manager", "owner"
STEPS: Mapping[Template, tuple[tuple[str, int, str], ...]] = {
    "target_missed": (
        ("causes", 0, MANAGER), ("cover", 1, MANAGER), ("levers", 2, MANAGER), ("assign", 3, MANAGER),
        ("weekly_check", 8, MANAGER), ("helped", 20, MANAGER),
    ),
    "account_lost": (
        ("owner_call", 0, OWNER), ("executive_call", 0, MANAGER), ("account_causes", 1, OWNER), ("offer", 2, OWNER),
        ("alike", 3, MANAGER), ("refill", 5, MANAGER),
    ),
    "person_gone": (
        ("handover", 0, MANAGER), ("confirm", 1, MANAGER), ("customers", 1, MANAGER), ("resplit", 2, MANAGER),
        ("vacancy", 3, MANAGER), ("notes", 5, OWNER),
    ),
}  # fmt: skip
"""Of each template: step, working day after the start, whose."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A way to cover part of a gap.

    Attributes
    ----------
    deal_id : str or None
        None where it is about a customer without an open deal.
    gain : float
        Base currency.
    hours : float
        What it is taken to cost.
    """

    deal_id: str | None
    what: str
    gain: float
    hours: float
    account_id: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a plan with whose it is and by when."""

    what: str
    owner_id: str | None
    due: date


def starts(risk: Risk, low_runs: int, s: Situation) -> Template | None:
    """The plan that a risk starts by itself, if any.

    Parameters
    ----------
    low_runs : int
        Runs in a row, this one included, in which the goal's chance was below `plan.risks.contingency`.
    """
    limits = s.limits
    if risk.kind == "target_missed" and risk.subject_kind != "rep" and risk.facts["gone"] >= 0.25:
        once = risk.facts["p_attain"] < limits.contingency_once
        return "target_missed" if once or low_runs >= 2 else None
    if risk.kind == "key_account_leaving" and (risk.likelihood or 0) >= limits.account_lost:
        return "account_lost"
    if risk.kind == "person_leaving" and risk.subject_kind == "rep":
        return "person_gone"
    return None


def steps(template: Template, start: date, manager: str | None, owner: str | None, days: Workdays) -> list[Step]:
    """The steps of a plan that starts on a day; a step whose owner is not known is the manager's."""
    return [
        Step(what, (owner or manager) if whose == OWNER else (manager or owner), after(start, n, days))
        for what, n, whose in STEPS[template]
    ]


def after(day: date, n: int, days: Workdays) -> date:
    """The n-th working day after a day; for 0 the day itself, or the next working day."""
    while day not in days:
        day += timedelta(days=1)
    for _ in range(n):
        day += timedelta(days=1)
        while day not in days:
            day += timedelta(days=1)
    return day


def cover(candidates: Iterable[Candidate], gap: float) -> tuple[list[Candidate], float]:
    """Candidates by gain an hour (ties: the larger gain) until they cover a gap, and what stays open."""
    chosen, left = list[Candidate](), gap
    for one in sorted(candidates, key=lambda c: (-c.gain / c.hours, -c.gain, c.deal_id or "", c.account_id or "")):
        if left <= 1e-9:
            break
        if one.gain > 0:
            chosen.append(one)
            left -= one.gain
    return chosen, max(left, 0.0)


def candidates(s: Situation, owners: frozenset[str] | None, curves: pd.DataFrame) -> list[Candidate]:
    """Per open deal the better of its best step and closing up to a month earlier; customers to be called.

    A step brings its uplift times the amount; of customers see `planning.cover_customers`.

    Parameters
    ----------
    owners : frozenset of str, optional
        Whose deals; None: all.
    curves : DataFrame
        deal_id, day (from now), won: chance by then.
    """
    deals = s.open if owners is None else s.open[s.open["owner_id"].isin(owners)]
    amounts = deals["amount"].dropna()
    amounts = amounts[amounts > 0]
    found: dict[str, Candidate] = {}
    rows = s.advice[s.advice["deal_id"].isin(amounts.index)] if len(s.advice) else s.advice
    for row in rows.to_dict("records"):
        if row["action"] in HOURS:
            gain = max(float(row["expected_uplift"]), 0.0) * float(amounts[row["deal_id"]])
            _keep(found, Candidate(str(row["deal_id"]), str(row["action"]), gain, HOURS[row["action"]]))
    end = s.plan.company.period_of(s.sales.today).end
    days = (end - s.sales.today).days
    for deal, part in curves[curves["deal_id"].isin(amounts.index)].groupby("deal_id") if len(curves) else ():
        now, later = np.interp([days, days + _MONTH], part["day"], part["won"])
        gain = float(later - now) * float(amounts[deal])
        _keep(found, Candidate(str(deal), "pull_forward", gain, HOURS["pull_forward"]))
    called = [Candidate(None, one.what, one.gain, HOURS[one.what], one.account_id)
              for one in customers_to_call(s, owners)]  # fmt: skip
    return [c for c in found.values() if c.gain > 0] + called


def rehearse(s: Situation, rep: str) -> dict[str, Any]:
    """What if a person leaves tomorrow: the quarter of the team and the company before, after, and after a hand-over.

    All on the same draws; deals in other hands keep 70 % of their value and up to 30 % more by fit. Empty where there
    are no draws, or nothing of the person in them.
    """
    if s.outcomes is None or rep not in s.outcomes.place:
        return {}
    plan, fits, _ = proposal(s, rep)
    alone = s.outcomes.without(rep)
    handed = s.outcomes.without(rep, [(d, to, keeps(fits[d, to])) for d, to in plan.taken.items()])
    team = s.plan.facts.team_of.get(rep)
    whose = [("company", COMPANY), *([("team", team)] if team else [])]
    return {
        kind: _compared(s, kind, owner, s.outcomes, alone, handed)
        for kind, owner in whose
        if s.outcomes.of(kind, owner) is not None
    }


def fill(template: Template, subject_kind: str, subject: str, s: Situation, curves: pd.DataFrame) -> dict[str, Any]:
    """What a plan is filled with as things stand: plain values, ready to be kept."""
    if template == "person_gone":
        return _person_gone(s, subject)
    if template == "account_lost":
        return _account_lost(s, subject, curves)
    return _target_missed(s, subject_kind, subject, curves)


def _target_missed(s: Situation, kind: str, owner: str, curves: pd.DataFrame) -> dict[str, Any]:
    goal, draws = s.goals.get((kind, owner)), s.outcomes.of(kind, owner) if s.outcomes else None
    if goal is None or draws is None:
        return {}
    middle = float(np.quantile(draws, 0.5))
    gap = max(float(goal.target or 0) - middle, 0.0)
    owners = None if kind == COMPANY else _reps_of(s, owner)
    return {"target": float(goal.target or 0), "p50": middle, "causes": _causes(s, kind, owner),
            **_covered(s, owners, gap, curves)}  # fmt: skip


def _covered(
    s: Situation, owners: frozenset[str] | None, gap: float, curves: pd.DataFrame, lost: str | None = None
) -> dict[str, Any]:
    """The cover list of a gap; a customer that is taken as lost covers nothing."""
    ways = candidates(s, owners, curves)
    chosen, left = cover([c for c in ways if lost is None or _cover_row(s, c)["account_id"] != lost], gap)
    # What is not listed is not covered: nobody works through more than the list.
    left += sum(c.gain for c in chosen[_MOST:])
    listed = chosen[:_MOST]
    return {"gap": gap, "cover": [_cover_row(s, c) for c in listed], "covered": sum(c.gain for c in listed),
            "open": left}  # fmt: skip


def _cover_row(s: Situation, c: Candidate) -> dict[str, Any]:
    if c.deal_id is not None:
        owner, account = (_text(s.open.at[c.deal_id, name]) for name in ("owner_id", "account_id"))
    else:
        owner, account = _text(s.account_owners.get(c.account_id or "")), c.account_id
    return {"deal_id": c.deal_id, "what": c.what, "gain": c.gain, "hours": c.hours, "owner_id": owner,
            "account_id": account}  # fmt: skip


def _causes(s: Situation, kind: str, owner: str) -> list[dict[str, Any]]:
    """Teams below whose middle lies below their goal, the largest gap first; what product lost most of its usual."""
    assert s.outcomes is not None
    rows: list[dict[str, Any]] = []
    for (what, name), goal in s.goals.items():
        below = kind == COMPANY or name in s.plan.facts.below.get(owner, frozenset())
        lowest = not any(above == name for above in s.parents.values())
        draws = s.outcomes.of(what, name)
        if what == "team" and name != owner and below and lowest and draws is not None:
            short = float(goal.target or 0) - float(np.quantile(draws, 0.5))
            if short > 0:
                rows.append({"team": name, "short": short})
    return sorted(rows, key=lambda row: -row["short"])[:8]


def _account_lost(s: Situation, account: str, curves: pd.DataFrame) -> dict[str, Any]:
    mine = s.open[s.open["account_id"] == account]
    rows = s.accounts.set_index("account_id") if len(s.accounts) else s.accounts
    here = rows.loc[account] if len(s.accounts) and account in rows.index else None
    p = float(here["churn_probability"]) if here is not None else None
    yearly = float(here["value_at_risk"]) / p if here is not None and p else 0.0
    in_period = float((mine["amount"].fillna(0.0) * mine["p_win_in_period"].fillna(0.0)).clip(lower=0).sum())
    return {
        "churn": p, "yearly": yearly,
        "deals": [{"deal_id": str(d), "amount": _number(r["amount"]), "chance": _number(r["win_probability"])}
                  for d, r in mine.iterrows()],
        "call_first": _alike(s, account), **_covered(s, None, yearly / 4 + in_period, curves, lost=account),
    }  # fmt: skip


def _alike(s: Situation, account: str) -> list[dict[str, Any]]:
    """Customers with a product of the same kind and a raised chance to leave, by value at risk."""
    if not len(s.accounts):
        return []
    orders = s.sales.orders
    families = set(orders.loc[orders["account_id"] == account, "product_family"].dropna())
    same = set(orders.loc[orders["product_family"].isin(families), "account_id"]) if families else None
    rows = s.accounts[s.accounts["account_id"] != account]
    rows = rows if same is None else rows[rows["account_id"].isin(same)]
    rows = rows[rows["churn_probability"] >= min(s.limits.churn, 2 * float(s.accounts["churn_probability"].mean()))]
    rows = rows.sort_values("value_at_risk", ascending=False).head(10)
    names = ("account_id", "churn_probability", "value_at_risk")
    return [{name: row[name] for name in names} for row in rows.to_dict("records")]


def _person_gone(s: Situation, rep: str) -> dict[str, Any]:
    plan, fits, asked = proposal(s, rep)
    person = next((p for p in s.plan.people if p.rep_id == rep), None)
    entered = going(person, s) if person else None
    mine = s.open[s.open["owner_id"] == rep]
    soon = s.sales.today + timedelta(days=_MONTH)
    due = mine["close_date"].map(lambda d: not pd.isna(d) and pd.Timestamp(d).date() <= soon).astype(bool)
    rows = [
        {"deal_id": str(d), "account_id": _text(r["account_id"]), "amount": _number(r["amount"]),
         "chance": _number(r["win_probability"]), "to": plan.taken.get(str(d)),
         "keeps": keeps(fits[str(d), plan.taken[str(d)]]) if str(d) in plan.taken else None}
        for d, r in mine.iterrows()
    ]  # fmt: skip
    rows.sort(key=lambda row: (row["to"] is None, str(row["to"]), -float(row["amount"] or 0)))
    call = [row | {"due": str(pd.Timestamp(mine.at[row["deal_id"], "close_date"]).date())} for row in rows
            if due[row["deal_id"]]]  # fmt: skip
    return {
        "day": entered[0].isoformat() if entered else None, "handover": rows, "left": list(plan.left), "asked": asked,
        "call_first": call, "goal": _freed(s, rep, entered[0] if entered else s.sales.today),
    }  # fmt: skip


def _freed(s: Situation, rep: str, day: date) -> dict[str, Any] | None:
    """What of the person's goal was theirs by the day, and what waits at the team's open seat."""
    goal, team = s.goals.get(("rep", rep)), s.plan.facts.team_of.get(rep)
    if goal is None or team is None or goal.target is None:
        return None
    parts = leave([Segment(rep, team, goal.start, goal.end, goal.target)], rep, day, by_days(s.plan.workdays))
    kept = sum((part.target for part in parts if part.owner_id == rep), Decimal(0))
    return {"target": float(goal.target), "kept": float(kept), "freed": float(goal.target - kept)}


def _compared(s: Situation, kind: str, owner: str, *all_: Outcomes) -> dict[str, Any]:
    goal = s.goals.get((kind, owner))
    target = float(goal.target) if goal and goal.target else None
    draws = [found for one in all_ if (found := one.of(kind, owner)) is not None]
    names = ("before", "after", "handed_over")
    told: dict[str, Any] = {name: _summary(one, target) for name, one in zip(names, draws, strict=True)}
    for name, one in zip(names[1:], draws[1:], strict=True):
        low, middle, high = np.quantile(one - draws[0], [0.1, 0.5, 0.9])
        told[f"{name}_change"] = {"low": float(low), "middle": float(middle), "high": float(high),
                                  "mean": float((one - draws[0]).mean())}  # fmt: skip
    return told


def _summary(draws: Floats, target: float | None) -> dict[str, float | None]:
    low, middle, high = (float(q) for q in np.quantile(draws, [0.1, 0.5, 0.9]))
    reached = None if target is None else float((draws >= target).mean())
    return {"p10": low, "p50": middle, "p90": high, "mean": float(draws.mean()), "p_attain": reached}


def _reps_of(s: Situation, team: str) -> frozenset[str]:
    below = s.plan.facts.below.get(team, frozenset({team}))
    return frozenset(rep for rep, its in s.plan.facts.team_of.items() if its in below)


def _keep(found: dict[str, Candidate], one: Candidate) -> None:
    assert one.deal_id is not None
    known = found.get(one.deal_id)
    if known is None or one.gain / one.hours > known.gain / known.hours:
        found[one.deal_id] = one


def _number(value: Any) -> float | None:
    return None if value is None or value != value else float(value)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
