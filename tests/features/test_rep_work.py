"""How a rep works: contacts, absence, ramp and team, worked out by hand."""

from datetime import date

import pytest

from tests.features.rows import a_deal, a_goal, a_touch, day, describe


def a_person(key: str = "r1", hired: str = "2025-10-02", **more) -> dict:
    return {"rep_id": key, "hired_on": date.fromisoformat(hired)} | more


def an_absence(start: str, end: str, key: str = "r1") -> dict:
    return {"rep_id": key, "from": date.fromisoformat(start), "to": date.fromisoformat(end)}


def a_member(key: str, team: str, start: str, end: str | None = None) -> dict:
    row = {"rep_id": key, "team_id": team, "valid_from": date.fromisoformat(start)}
    return row | {"valid_to": end and date.fromisoformat(end)}


def test_contacts_of_the_last_thirty_days():
    touches = [
        a_touch(1, "2026-03-20", "visit"),
        a_touch(2, "2026-03-22", "visit"),
        a_touch(3, "2026-04-02", "demo", account_id="a2"),
        a_touch(4, "2026-04-03", "email", "out", account_id="a2"),
        a_touch(5, "2026-04-04", "task", account_id="a3"),
        a_touch(6, "2026-04-05", "call", rep_id="r2"),
        a_touch(7, "2026-04-10", "call", recorded_at=day("2026-04-21")),
    ]
    row = describe("rep", "2026-04-20", reps=[a_person()], deals=[], activities=touches)
    assert (row["contacts_30d"], row["meetings_held_30d"], row["accounts_met_30d"]) == (3, 2, 2)


def test_contacts_against_the_reps_own_past():
    # First contact 100 days before: five in the 70 days up to the last 30, three since. One is over a year old.
    touches = [
        a_touch(1, "2025-04-01", "call"),
        a_touch(2, "2026-01-10", "call"),
        a_touch(3, "2026-01-30", "visit"),
        a_touch(4, "2026-02-19", "email"),
        a_touch(5, "2026-03-06", "email"),
        a_touch(6, "2026-03-21", "call"),  # exactly 30 days before
        a_touch(7, "2026-03-22", "call"),
        a_touch(8, "2026-04-10", "visit"),
        a_touch(9, "2026-04-20", "visit"),
        a_touch(10, "2026-04-20 00:01", "visit"),
    ]
    row = describe("rep", "2026-04-20", deals=[], activities=touches)
    assert row["contacts_to_usual"] == pytest.approx((3 / 30) / (5 / 70))
    assert row["meetings_to_usual"] == pytest.approx((2 / 30) / (1 / 70))


def test_a_past_of_less_than_thirty_days_is_no_usual():
    touches = [a_touch(1, "2026-02-20", "call"), a_touch(2, "2026-04-10", "call")]  # 59 and 10 days before
    assert describe("rep", "2026-04-20", deals=[], activities=touches)["contacts_to_usual"] is None
    touches = [a_touch(1, "2026-02-19", "call"), a_touch(2, "2026-04-10", "call")]  # 60 days: 1 in 30 days, 1 in 30
    assert describe("rep", "2026-04-20", deals=[], activities=touches)["contacts_to_usual"] == 1


def test_days_away_in_the_quarter_so_far():
    absences = [
        an_absence("2026-03-25", "2026-04-03"),  # two days of April
        an_absence("2026-04-02", "2026-04-05"),  # two more: the first day was counted
        an_absence("2026-04-02", "2026-04-03"),  # none more
        an_absence("2026-04-18", "2026-05-01"),  # two until the morning of the 20th
        an_absence("2026-06-01", "2026-06-08"),  # of days to come nothing is known
        an_absence("2026-04-10", "2026-04-13", key="r2"),
    ]
    row = describe("rep", "2026-04-20", deals=[], absences=absences)
    assert row["absent_days"] == pytest.approx(2 + 2 + 2)
    assert describe("rep", "2026-04-04", deals=[], absences=absences)["absent_days"] == pytest.approx(2 + 1)
    assert describe("rep", "2026-04-20 12:00", deals=[], absences=absences)["absent_days"] == pytest.approx(6.5)
    assert describe("rep", "2026-05-11", deals=[], absences=absences)["absent_days"] == pytest.approx(4 + 13)


def test_nobody_away_is_0_and_no_table_is_missing():
    away = [an_absence("2026-04-10", "2026-04-13", key="r2")]
    assert describe("rep", "2026-04-20", deals=[], absences=away)["absent_days"] == 0
    assert describe("rep", "2026-04-20", deals=[])["absent_days"] is None


@pytest.mark.parametrize(
    ("hired", "days", "quarters", "ramp"),
    [
        ("2026-04-20", 0, 0, 0),
        ("2026-04-01", 19, 0, 19 / 180),
        ("2026-03-31", 20, 1, 20 / 180),
        ("2026-01-01", 109, 1, 109 / 180),
        ("2025-12-31", 110, 2, 110 / 180),
        ("2025-10-22", 180, 2, 1),
        ("2024-04-01", 749, 8, 1),
        ("2026-05-01", None, None, None),  # yet to come
    ],
)
def test_ramp(hired, days, quarters, ramp):
    row = describe("rep", "2026-04-20", deals=[], reps=[a_person(hired=hired)])
    assert (row["tenure_days"], row["quarters_since_hired"]) == (days, quarters)
    assert row["ramp"] == (ramp if ramp is None else pytest.approx(ramp))


MEMBERS = [
    a_member("r1", "t9", "2025-01-01", "2026-04-01"),
    a_member("r1", "t1", "2026-04-01"),
    a_member("r2", "t1", "2025-01-01", "2026-04-16"),
    a_member("r3", "t1", "2026-04-20"),
    a_member("r4", "t1", "2026-04-21"),
]
GOALS = [
    a_goal(1, "2026-04-01", "2026-07-01", 1000.0, owner_kind="team", owner_id="t1"),
    a_goal(2, "2026-04-01", "2026-07-01", 7.0, owner_kind="team", owner_id="t9"),
    a_goal(3, "2026-04-01", "2026-07-01", 400.0),
]


def a_win(number: int, at: str, amount: float, owner: str) -> dict:
    return a_deal(f"w{number}", closed=at, outcome="won", amount=amount, owner_id=owner)


def test_the_team_that_a_rep_was_in_then():
    deals = [
        a_win(1, "2026-03-31 23:59", 1.0, "r2"),  # the quarter before
        a_win(2, "2026-04-15 23:59", 200.0, "r2"),  # r2's last day
        a_win(3, "2026-04-16", 10.0, "r2"),
        a_win(4, "2026-04-20", 50.0, "r3"),
        a_win(5, "2026-04-19", 3000.0, "r3"),  # not in the team yet
        a_win(6, "2026-04-10", 100.0, "r1"),
        a_win(7, "2026-04-22", 100.0, "r1"),
    ]
    row = describe("rep", "2026-04-20", deals=deals, team_memberships=MEMBERS, goals=GOALS)
    assert (row["team_size"], row["team_goal_booked"]) == (2, (200 + 50 + 100) / 1000)
    row = describe("rep", "2026-03-31", deals=deals, team_memberships=MEMBERS, goals=GOALS)
    assert (row["team_size"], row["team_goal_booked"]) == (1, None)  # t9 had no target for that quarter


def test_a_team_that_sold_nothing_and_a_rep_in_none():
    row = describe("rep", "2026-04-20", deals=[], team_memberships=MEMBERS, goals=GOALS)
    assert (row["team_size"], row["team_goal_booked"]) == (2, 0)
    there = describe("rep", "2026-04-15", deals=[], team_memberships=MEMBERS, goals=GOALS, key="r2")
    assert there["team_size"] == 2
    gone = describe("rep", "2026-04-16", deals=[], team_memberships=MEMBERS, goals=GOALS, key="r2")
    assert (gone["team_size"], gone["team_goal_booked"]) == (None, None)
    no_table = describe("rep", "2026-04-20", deals=[], goals=GOALS)
    assert (no_table["team_size"], no_table["team_goal_booked"]) == (None, None)
