"""Who sells: teams, seats and the reps who hold them one after the other, absences, skill and style."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from crm.simulation import names
from crm.simulation.calendar import Calendar
from crm.simulation.randomness import Bools, Floats, Ints, stream

REGIONS = ("Europe North", "China East", "Europe South", "China South", "Europe West", "China North")
_DIVISIONS = ("Europe", "China")
_SEATS_PER_TEAM = 8
_LEAVING_A_YEAR = 0.14
_MOVES_TEAM = 0.04


@dataclass(frozen=True)
class Staff:
    """Seats and their holders; a territory belongs to a seat, people come and go."""

    reps: pd.DataFrame
    """One row a person (managers too): rep_id, name, email, team_id, role, fte, hired_on, left_on."""
    teams: pd.DataFrame
    memberships: pd.DataFrame
    absences: pd.DataFrame
    seat_team: Ints
    """Team number of each seat; the team's region is `REGIONS[team % 6]`."""
    holder: Ints
    """(seats, weeks): row number in `reps`, -1 while vacant."""
    ramp: Floats
    """(seats, weeks): share of a full rep's new business."""
    present: Bools
    """(people, weeks): at work."""
    skill: Floats
    style: Ints
    """0 reserved, 1 active."""
    call_bias: Floats
    """How much too rosy the rep's own calls are."""
    leaving: dict[int, list[tuple[int, list[int]]]]
    """Week to (who left, colleagues who take over)."""


def hire_staff(seed: int, seats: int, calendar: Calendar) -> Staff:
    """Fill every seat, let people leave and be replaced, put them into a team tree."""
    rng = stream(seed, "staff")
    n_teams = max(1, round(seats / _SEATS_PER_TEAM))
    seat_team = np.arange(seats) % n_teams
    stints = [_stints(rng, calendar) for _ in range(seats)]
    people = [(seat, first, last) for seat, held in enumerate(stints) for first, last in held]
    holder, ramp = np.full((seats, calendar.weeks), -1), np.zeros((seats, calendar.weeks))
    for row, (seat, first, last) in enumerate(people):
        begin, stop = max(first, 0), min(last, calendar.weeks)
        holder[seat, begin:stop] = row
        ramp[seat, begin:stop] = np.interp(np.arange(begin, stop) - first, [0, 17], [0.3, 1.0])
    leaving: dict[int, list[tuple[int, list[int]]]] = {}
    for row, (seat, _, last) in enumerate(people):
        if last < calendar.weeks:
            mates = holder[(seat_team == seat_team[seat]), last]
            heirs = [int(mate) for mate in mates if mate >= 0 and people[int(mate)][2] > last]
            heirs = heirs or [int(mate) for mate in holder[:, last] if mate >= 0 and people[int(mate)][2] > last]
            leaving.setdefault(last, []).append((row, heirs))
    reps, teams, memberships = _tables(rng, calendar, people, seat_team, n_teams)
    sellers = len(people)
    absences, present = _absences(rng, calendar, reps.iloc[:sellers])
    return Staff(
        reps=reps,
        teams=teams,
        memberships=memberships,
        absences=absences,
        seat_team=seat_team,
        holder=holder,
        ramp=ramp,
        present=present,
        skill=np.clip(rng.normal(0, 0.6, sellers), -1.4, 1.4),
        style=rng.integers(0, 2, sellers),
        call_bias=rng.normal(0.25, 0.45, sellers),
        leaving=leaving,
    )


def _stints(rng: np.random.Generator, calendar: Calendar) -> list[tuple[int, int]]:
    """Weeks [first, last) of a seat's holders; beyond the history means still here."""
    held = []
    first = -int(rng.integers(10, 300)) if rng.random() < 0.9 else int(rng.integers(2, 30))
    while first < calendar.weeks - 2:
        stay = max(int(rng.exponential(52 / _LEAVING_A_YEAR)), 20)
        last = max(first, 0) + stay
        # Nobody leaves in the last weeks: the one who takes over needs a week in the data.
        last = last if last < calendar.weeks - 2 else calendar.weeks + 1
        held.append((first, last))
        first = last + int(rng.integers(4, 11))
    return held


def _tables(
    rng: np.random.Generator, calendar: Calendar, people: list[tuple[int, int, int]], seat_team: Ints, n_teams: int
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    team_ids = [f"T{n + 1:02d}" for n in range(n_teams)]
    divisions = ["T-" + name.upper() for name in _DIVISIONS] if n_teams >= 4 else []
    led = ["T-SALES", *divisions, *team_ids]
    of_team = [int(seat_team[seat]) for seat, _, _ in people]
    chinese = np.array([_is_chinese(team) for team in of_team] + [rng.random() < 0.5 for _ in led])
    full_names = names.people(rng, chinese)
    count = len(people) + len(led)
    rep_ids = [f"U{n + 1:04d}" for n in range(count)]
    hired = [calendar.start + timedelta(weeks=first) for _, first, _ in people]
    left = [calendar.start + timedelta(weeks=last) if last < calendar.weeks else None for _, _, last in people]
    managers = rep_ids[len(people) :]
    long_ago = calendar.start - timedelta(days=900)
    reps = pd.DataFrame(
        {
            "rep_id": rep_ids,
            "name": full_names,
            "email": [f"{rep_id.lower()}@sample-company.example" for rep_id in rep_ids],
            "team_id": [team_ids[team] for team in of_team] + led,
            "role": ["rep"] * len(people) + ["manager"] * len(led),
            "fte": [float(share) for share in rng.choice([1.0, 1.0, 1.0, 1.0, 0.8], count)],
            "hired_on": hired + [long_ago] * len(led),
            "left_on": left + [None] * len(led),
        }
    )
    parents = [None] + ["T-SALES"] * len(divisions)
    parents += [divisions[int(_is_chinese(n))] if divisions else "T-SALES" for n in range(n_teams)]
    labels = ["Sales", *_DIVISIONS[: len(divisions)]]
    labels += [
        REGIONS[n % len(REGIONS)] + (f" {n // len(REGIONS) + 1}" if n >= len(REGIONS) else "") for n in range(n_teams)
    ]
    teams = pd.DataFrame({"team_id": led, "name": labels, "parent_team_id": parents, "manager_rep_id": managers})
    return reps, teams, _memberships(rng, calendar, reps, team_ids)


def _memberships(rng: np.random.Generator, calendar: Calendar, reps: pd.DataFrame, team_ids: list[str]) -> pd.DataFrame:
    rows: list[tuple[str, str, date, date | None]] = []
    for rep_id, team, role, hired, left in zip(
        reps["rep_id"], reps["team_id"], reps["role"], reps["hired_on"], reps["left_on"], strict=True
    ):
        begin = hired
        moved = calendar.start + timedelta(weeks=int(rng.integers(10, max(calendar.weeks - 8, 11))))
        wanders = rng.random() < _MOVES_TEAM and role == "rep" and len(team_ids) > 1
        if wanders and hired < moved and (left is None or moved < left):
            before = team_ids[(team_ids.index(team) + 1) % len(team_ids)]
            rows.append((rep_id, before, begin, moved))
            begin = moved
        rows.append((rep_id, team, begin, left))
    return pd.DataFrame(rows, columns=["rep_id", "team_id", "valid_from", "valid_to"])


def _absences(rng: np.random.Generator, calendar: Calendar, sellers: pd.DataFrame) -> tuple[pd.DataFrame, Bools]:
    present = np.ones((len(sellers), calendar.weeks), dtype=bool)
    rows = []
    for row, (rep_id, hired, left) in enumerate(
        zip(sellers["rep_id"], sellers["hired_on"], sellers["left_on"], strict=True)
    ):
        begin = max((hired - calendar.start).days // 7, 0)
        stop = (left - calendar.start).days // 7 if left is not None else calendar.weeks
        week = begin + int(rng.exponential(28))
        while week < stop:
            length = int(rng.choice([1, 1, 2, 2, 3]))
            length = min(length, stop - week)
            present[row, week : week + length] = False
            monday = calendar.start + timedelta(weeks=week)
            rows.append((rep_id, monday, monday + timedelta(weeks=length)))
            week += length + 4 + int(rng.exponential(24))
    return pd.DataFrame(rows, columns=["rep_id", "from", "to"]), present


def _is_chinese(team: int) -> bool:
    return REGIONS[team % len(REGIONS)].startswith("China")
