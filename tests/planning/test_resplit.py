"""A goal split anew for who comes, goes or moves, as the data of a company tells it."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.company import Company
from planning.overview import Plan
from planning.resplit import (
    BadStaffChange,
    ResplitWish,
    StaffChange,
    by_season,
    check_left_out,
    resplit,
    staff_changes,
)
from planning.turnover import Segment, seat, totals
from tests.builders import a_rep, at, view_of

MOMENT = at("2026-05-20T12:00:00Z")
START, END = date(2026, 4, 1), date(2026, 7, 1)
TEAMS = [{"team_id": "T", "name": "T", "manager_rep_id": "m"}, {"team_id": "U", "name": "U"}]
A, B = a_rep("A", team_id="T", hired_on="2020-01-01"), a_rep("B", team_id="T", hired_on="2026-03-01")
C = a_rep("C", team_id="T", hired_on="2020-01-01", left_on="2026-05-16")
M = a_rep("m", team_id="T", role="manager", hired_on="2020-01-01")


def goal(kind, owner, target, parent=None):
    return {"goal_id": f"g-{owner}", "owner_kind": kind, "owner_id": owner, "metric": "bookings",
            "period_start": "2026-04-01", "period_end": "2026-07-01", "target": float(target),
            "parent_goal_id": parent, "recorded_at": "2026-03-20"}  # fmt: skip


GOALS = [goal("team", "T", 1_000_000), goal("rep", "A", 459_000, "g-T"), goal("rep", "B", 230_000, "g-T"),
         goal("rep", "C", 311_000, "g-T")]  # fmt: skip


def plan_of(reps=(A, B, C, M), goals=GOALS, **tables):
    view = view_of(reps=list(reps), teams=TEAMS, goals=list(goals), **tables)
    return Plan(view, Company(), MOMENT, {})


def test_e2_8_a_leaver_of_the_data_keeps_the_days_worked_and_the_others_take_the_rest():
    found = resplit(plan_of(), "g-T", ResplitWish(vacancy="redistribute"))
    assert [c.key for c in found.found] == ["leaves C 2026-05-16"]
    # 33 of 65 days: 158 stay; 153 by capacity left, 32 : 21.5 = 92 : 61.
    assert totals(found.after) == {"A": 551_000, "B": 291_000, "C": 158_000}
    rows = found.table().set_index("owner_id")
    assert rows["change"].to_dict() == {"A": 92_000, "B": 61_000, "C": -153_000}
    assert [(p.start, p.end) for p in rows.at["C", "parts"]] == [(START, date(2026, 5, 16))]


def test_by_default_the_rest_waits_at_the_open_seat_and_a_newcomer_takes_from_it():
    # D comes on 1 June at no capacity in the first month; E, typed in, has long been with the company: 22 of 22 days.
    came = a_rep("D", team_id="T", hired_on="2026-06-01")
    other = a_rep("E", team_id="U", hired_on="2020-01-01")
    moved = StaffChange("moves", "E", date(2026, 6, 1), None, "T")
    found = resplit(plan_of([A, B, C, M, came, other]), "g-T", ResplitWish(more=[moved]))
    assert [c.what for c in found.found] == ["leaves", "joins", "moves"]
    # The seat's 153 lie over 10 days of May and 22 of June: 48 and 105; all of the 105 goes to E.
    assert totals(found.after) == {"A": 459_000, "B": 230_000, "C": 158_000, "E": 105_000, seat("T"): 48_000}


def test_what_is_not_assigned_of_a_team_s_goal_is_its_open_seat():
    came = a_rep("D", team_id="T", hired_on="2026-04-02")
    goals = [goal("team", "T", 200_000), goal("rep", "A", 100_000, "g-T")]
    found = resplit(plan_of([A, came], goals), "g-T", ResplitWish())
    # Of 100 from 2 April (64 of 65 days: 98). Full seat 64 days; D gives 0, .25 and .5 of 21, 21 (2 May to 1 June)
    # and 22 working days: 2 to 30 April 21 at 0, May 4-29 20 and 1 June 1 at .25, 2 to 30 June 21 at .5: 15.75.
    assert totals(found.after) == {"A": 100_000, "D": 24_000, seat("T"): 76_000}  # 98 · 15.75/64 = 24.1


def test_without_a_seat_the_rest_of_the_team_is_split_anew_only_where_that_is_asked():
    came = a_rep("D", team_id="T", hired_on="2026-04-02")
    goals = [goal("team", "T", 130_000), goal("rep", "A", 130_000, "g-T")]
    plan = plan_of([A, came], goals)
    assert resplit(plan, "g-T", ResplitWish()).table().empty
    found = resplit(plan, "g-T", ResplitWish(rebase=True))
    # 2 stay for 1 April, 128 over 64 : 15.75 = 102.7 : 25.3.
    assert totals(found.after) == {"A": 105_000, "D": 25_000}


def test_a_move_of_the_memberships_keeps_both_teams_sums():
    rows = [{"rep_id": "C", "team_id": "T", "valid_from": "2020-01-01", "valid_to": "2026-05-16"},
            {"rep_id": "C", "team_id": "U", "valid_from": "2026-05-16"},
            *({"rep_id": r, "team_id": "T", "valid_from": "2020-01-01"} for r in ("A", "B", "m"))]  # fmt: skip
    goals = [goal("company", "company", 1_100_000), *GOALS, goal("team", "U", 100_000)]
    stays = a_rep("C", team_id="U", hired_on="2020-01-01")
    found = resplit(plan_of([A, B, stays, M], goals, team_memberships=rows), "g-company", ResplitWish())
    assert [c.key for c in found.found] == ["moves C 2026-05-16"]
    assert totals(found.after, "team_id") == totals(found.before, "team_id") == {"T": 1_000_000, "U": 100_000}
    # U's seat after 33 of 65 days: 49; C is a full one and takes it all.
    assert totals(found.after) == {"A": 459_000, "B": 230_000, "C": 207_000, seat("T"): 153_000, seat("U"): 51_000}


def test_parts_that_were_kept_settle_a_change_and_a_number_set_since_holds_for_the_whole_period():
    first = resplit(plan_of(), "g-T", ResplitWish(vacancy="redistribute"))
    numbers = totals(first.after)
    goals = [GOALS[0], *(goal("rep", rep, number, "g-T") for rep, number in numbers.items())]
    kept = {f"g-{rep}": [p for p in first.after if p.owner_id == rep] for rep in numbers}
    again = resplit(plan_of(goals=goals), "g-T", ResplitWish(vacancy="redistribute"), kept)
    assert again.done == {"leaves C 2026-05-16"}
    assert again.table().empty
    # Somebody set C's number anew by hand: its parts no longer add up to it, so it is cut again.
    goals[-1] = goal("rep", "C", 200_000, "g-T")
    assert resplit(plan_of(goals=goals), "g-T", ResplitWish(), kept).done == frozenset()


def test_a_change_can_be_left_out_and_one_that_cannot_be_is_refused():
    out = ResplitWish(without=frozenset({"leaves C 2026-05-16"}))
    found = resplit(plan_of(), "g-T", out)
    assert found.table().empty
    check_left_out(found, sorted(out.without))
    with pytest.raises(BadStaffChange, match=r"no change 'leaves D 2026-05-16' in this period\. Changes: 'leaves C"):
        check_left_out(found, ["leaves D 2026-05-16"])
    for change, says in (
        (StaffChange("leaves", "Z", date(2026, 5, 1), None, None), "there is nobody 'Z'"),
        (StaffChange("leaves", "A", date(2026, 7, 1), None, None), "2026-07-01 is not within"),
        (StaffChange("moves", "A", date(2026, 5, 1), None, "X"), "there is no team 'X'"),
    ):
        with pytest.raises(BadStaffChange, match=says):
            resplit(plan_of(), "g-T", ResplitWish(more=[change]))


def test_managers_and_who_came_on_the_first_day_are_no_change():
    reps = [a_rep("x", team_id="T", hired_on="2026-04-01"),
            a_rep("m", team_id="T", role="manager", left_on="2026-05-01")]  # fmt: skip
    plan = plan_of(reps)
    assert staff_changes(plan, plan.goals[0]) == []


def test_the_season_s_stretches_add_up():
    plan = plan_of()
    share = by_season(plan, plan.goals[0])
    assert share(START, END) == pytest.approx(1)
    # Nothing is on record: plain working days.
    assert share(START, date(2026, 5, 16)) == pytest.approx(33 / 65)


@pytest.fixture(scope="module")
def company():
    came = a_rep("D", team_id="U", hired_on="2026-05-04")
    goals = [goal("company", "company", 1_200_000), *GOALS, goal("team", "U", 200_000)]
    return plan_of([A, B, C, M, came], goals)


days = st.dates(date(2026, 4, 2), date(2026, 6, 30))


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.sampled_from(["leaves", "joins", "moves"]), st.sampled_from("ABCD"), days), max_size=4),
    st.sampled_from(["team", "redistribute"]),
    st.booleans(),
)
def test_whoever_comes_goes_or_moves_each_team_s_sum_stays_to_the_cent(company, changes, vacancy, rebase):
    more = [StaffChange(what, rep, day, None, None if what == "leaves" else "U") for what, rep, day in changes]
    found = resplit(company, "g-company", ResplitWish(vacancy, rebase, more=more))
    assert totals(found.after, "team_id") == totals(found.before, "team_id")
    assert sum(totals(found.after).values()) == Decimal(1_200_000)
    assert all(isinstance(p, Segment) and p.target >= 0 and p.start < p.end for p in found.after)
