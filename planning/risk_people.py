"""Risks about people, from dated facts and load alone: nothing here guesses from behaviour that somebody leaves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from statistics import median
from typing import Any

import pandas as pd

from planning.capacity import Person
from planning.risks import QUARTERS, Risk, Situation, frequency

LONG_ABSENCE = 10  # working days
_AHEAD = timedelta(days=90)
_CONTACTS = ("email", "call", "meeting", "demo", "proposal", "visit")


def departures(s: Situation) -> Iterator[Risk]:
    """People whose last day, or a long absence, is written down."""
    for person in s.plan.people:
        entered = going(person, s)
        if entered is None:
            continue
        day, why = entered
        lost, exposed = lost_without(s, person.rep_id)
        facts = {"day": day, "why": why, "deals": int((s.open["owner_id"] == person.rep_id).sum()),
                 "amount": float(s.open.loc[s.open["owner_id"] == person.rep_id, "amount"].sum())}  # fmt: skip
        yield Risk("person_leaving", "rep", person.rep_id, 1.0, lost, exposed, s.manager_of("rep", person.rep_id),
                   s.rest(), facts)  # fmt: skip


def going(person: Person, s: Situation) -> tuple[date, str] | None:
    """The day from which a person is not there, and why: leaving, or away for more than ten working days.

    Somebody who left stays listed while deals are still theirs.
    """
    today = s.sales.today
    has_deals = bool((s.open["owner_id"] == person.rep_id).any())
    if person.left_on is not None and (person.left_on > today or has_deals):
        return person.left_on, "leaves"
    for start, end in person.away:
        if end > today and start <= today + _AHEAD and s.plan.workdays.count(start, end) > LONG_ABSENCE:
            return start, "away"
    return None


def lost_without(s: Situation, rep: str) -> tuple[float | None, float | None]:
    """Mean that the quarter loses if a person leaves tomorrow and nobody takes over; and all they were to bring."""
    if s.outcomes is None or rep not in s.outcomes.place:
        return None, None
    whole, rest = s.outcomes.of("rep", rep), s.outcomes.without(rep).of("rep", rep)
    assert whole is not None
    assert rest is not None
    return float((whole - rest).mean()), float(whole.max() - s.outcomes.closed[s.outcomes.place[rep]])


def teams_that_lose_people(s: Situation) -> Iterator[Risk]:
    """Teams that lost two or more people in eight quarters, by their own rate: of the team, not of anybody in it."""
    since = s.sales.today - timedelta(days=round(QUARTERS * 365.25 / 4))
    for team, manager in s.managers.items():
        if any(above == team for above in s.parents.values()):
            continue
        left = [p for p in s.plan.people if p.team_id == team and p.left_on and since < p.left_on <= s.sales.today]
        quarters = {s.plan.company.period_of(p.left_on).start for p in left if p.left_on}
        here = [p.rep_id for p in s.plan.people if p.team_id == team and not _gone(p, s.sales.today)]
        losses = [loss for rep in here if (loss := lost_without(s, rep))[0] is not None]
        if len(left) >= 2 and losses:
            money = sum(m or 0.0 for m, _ in losses) / len(losses)
            yield Risk("person_leaving", "team", team, frequency(len(quarters), QUARTERS), money,
                       max(e or 0.0 for _, e in losses), manager, s.rest(), {"left": len(left)})  # fmt: skip


def overloads(s: Situation) -> Iterator[Risk]:
    """People with half as many open deals again as the team's median, whose contacts per deal fell by a third."""
    deals = s.open[s.open["owner_id"].notna()]
    counts = deals.groupby("owner_id").size().to_dict()
    touches = _touches(s)
    teams: dict[str, list[int]] = {}
    here = {p.rep_id for p in s.plan.people if not _gone(p, s.sales.today)}
    for rep in here:
        if rep in counts and (team := s.plan.facts.team_of.get(rep)):
            teams.setdefault(team, []).append(counts[rep])
    for rep in sorted(here & set(counts)):
        usual = median(teams.get(s.plan.facts.team_of.get(rep, ""), [counts[rep]]))
        now, before = touches.get(rep, (0.0, 0.0))
        if counts[rep] > s.limits.overload * usual and now <= 0.7 * before and before > 0:
            mine = deals[deals["owner_id"] == rep]
            money = contact_worth(mine["amount"], _uplifts(s, mine.index))
            facts = {"deals": counts[rep], "usual": usual, "touches": now, "touches_before": before}
            yield Risk("overload", "rep", rep, 1.0, money, float(mine["amount"].clip(lower=0).sum()),
                       s.manager_of("rep", rep), s.rest(), facts)  # fmt: skip


def contact_worth(amounts: pd.Series, uplifts: Mapping[Any, float]) -> float:
    """Sum of amounts times what contact is seen to add to each chance; no chance moves by more than all of it."""
    shares = pd.Series({deal: min(max(uplifts.get(deal, 0.0), 0.0), 1.0) for deal in amounts.index}, dtype=float)
    return float((amounts.astype(float).clip(lower=0).fillna(0.0) * shares).sum())


def _uplifts(s: Situation, deals: pd.Index) -> dict[Any, float]:
    rows = s.advice
    if not len(rows):
        return {}
    rows = rows[rows["action"].isin(_CONTACTS) & rows["deal_id"].isin(deals)]
    return rows.groupby("deal_id")["expected_uplift"].max().to_dict()


def _touches(s: Situation) -> dict[str, tuple[float, float]]:
    """Outward contacts a week per person in the last 30 days, and in the 60 before."""
    rows = s.plan.facts.events
    rows = rows[rows["what"] == "activity"]
    age = (pd.Timestamp(s.sales.today) - rows["day"]).dt.days
    rep = rows["rep_id"].astype(object)
    now, before = (rep[part].value_counts() for part in ((age < 30), (age >= 30) & (age < 90)))
    return {str(r): (7 * now.get(r, 0) / 30, 7 * before.get(r, 0) / 60) for r in set(now.index) | set(before.index)}


def _gone(person: Person, today: date) -> bool:
    return person.left_on is not None and person.left_on <= today
