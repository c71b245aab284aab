"""Goals down the team tree: a year and its quarters for the company, quarters for teams and reps."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
import pandas as pd

from crm.simulation.calendar import Calendar, next_quarter
from crm.simulation.history import History
from crm.simulation.market import BASE_CURRENCY
from crm.simulation.randomness import Floats, stream

_FULL_QUARTER = 95_000.0
"""Bookings in the base currency that a full rep's quarter is planned at when the CRM was introduced."""
_GROWTH = 0.09  # of that, a quarter: customers won before buy more and renew
_SIZE = np.array([0.35, 0.9, 2.2])  # what an account of each segment is worth to the planner
_TEAM_DISCOUNT = 0.95  # a team is not held to the sum of its reps' goals
_TOLD_DAYS_BEFORE = 14
_Row = dict[str, Any]


def goals_table(history: History) -> pd.DataFrame:
    """Set goals from what was known beforehand: territory, season, ramp; never from what was sold."""
    calendar, rows = history.calendar, list[_Row]()
    begin = date(calendar.start.year, 1, 1)
    while begin.year <= (calendar.end - timedelta(days=1)).year:
        rows += _year(history, begin.year)
        begin = date(begin.year + 1, 1, 1)
    return pd.DataFrame(rows)


def _year(history: History, year: int) -> list[_Row]:
    quarters = [date(year, month, 1) for month in (1, 4, 7, 10)]
    company = _goal("company", "company", date(year, 1, 1), date(year + 1, 1, 1), None, f"G{year}-COMPANY")
    per_quarter = [_quarter(history, quarter, company["goal_id"]) for quarter in quarters]
    company["target"] = sum(rows[0]["target"] for rows in per_quarter)
    return [company, *(row for rows in per_quarter for row in rows)]


def _quarter(history: History, begin: date, above: str) -> list[_Row]:
    staff, end = history.staff, next_quarter(begin)
    tag = f"G{begin.year}Q{(begin.month + 2) // 3}"
    company = _goal("company", "company", begin, end, above, f"{tag}-COMPANY")
    parent = dict(zip(staff.teams["team_id"], staff.teams["parent_team_id"], strict=True))
    teams = {
        team: _goal(
            "team", team, begin, end, f"{tag}-{up}" if isinstance(up, str) else company["goal_id"], f"{tag}-{team}"
        )
        for team, up in parent.items()
    }
    reps = []
    for rep, team, target in _rep_targets(history, begin):
        reps.append(_goal("rep", rep, begin, end, teams[team]["goal_id"], f"{tag}-{rep}", target))
        teams[team]["target"] += _TEAM_DISCOUNT * target
    for team in reversed(list(parent)):  # teams stand from the top down
        teams[team]["target"] = round(teams[team]["target"], -3)
        if isinstance(parent[team], str):
            teams[parent[team]]["target"] += teams[team]["target"]
        else:
            company["target"] += teams[team]["target"]
    return [company, *teams.values(), *reps]


def _rep_targets(history: History, begin: date) -> list[tuple[str, str, float]]:
    staff, calendar = history.staff, history.calendar
    share = _shares(history, calendar, begin)
    noise = np.exp(stream(history.seed, f"goals {begin}").normal(0, 0.12, len(share)))
    reps = staff.reps.iloc[: len(share)]
    target = _FULL_QUARTER * share * noise * reps["fte"].to_numpy(np.float64)
    return [
        (rep, team, round(float(value), -3))
        for rep, team, value in zip(reps["rep_id"], reps["team_id"], target, strict=True)
        if value >= 5_000
    ]


def _shares(history: History, calendar: Calendar, begin: date) -> Floats:
    """Part of a full quarter's work that each rep can do, by territory; later quarters repeat the last weeks."""
    staff = history.staff
    season = np.array([0.90, 1.02, 0.95, 1.13])[(begin.month - 1) // 3]
    worth = np.bincount(history.market.seat, weights=_SIZE[history.market.segment], minlength=len(staff.seat_team))
    size = worth / np.bincount(history.market.seat, minlength=len(staff.seat_team))
    of_team = np.bincount(staff.seat_team, weights=size) / np.bincount(staff.seat_team)
    territory = (of_team / of_team.mean())[staff.seat_team]
    weeks = (begin - calendar.start).days // 7 + np.arange(13)
    share = np.zeros(len(staff.skill))
    inside = np.clip(weeks, 0, calendar.weeks - 1).tolist()
    first = staff.holder[:, inside[0]]
    for week in inside:
        # Nobody plans for a rep's leaving: while the seat is vacant its goal stays with the one who held it.
        holder, vacant = staff.holder[:, week], staff.holder[:, week] < 0
        planned, ramp = np.where(vacant, first, holder), np.where(vacant, 1.0, staff.ramp[:, week])
        np.add.at(share, planned[planned >= 0], (ramp * territory)[planned >= 0] / 13)
    return np.asarray(share * season * (1 + _GROWTH * max(weeks[0] / 13, 0.0)), dtype=np.float64)


def _goal(
    owner_kind: str, owner: str, begin: date, end: date, parent: str | None, name: str, target: float = 0.0
) -> _Row:
    told = datetime.combine(begin - timedelta(days=_TOLD_DAYS_BEFORE), time(9), tzinfo=UTC)
    return {
        "goal_id": name, "owner_kind": owner_kind, "owner_id": owner, "metric": "bookings", "period_start": begin,
        "period_end": end, "target": target, "currency": BASE_CURRENCY, "parent_goal_id": parent, "recorded_at": told,
    }  # fmt: skip
