"""Credit, teams and targets on a few visible rows."""

from datetime import date

import numpy as np
import pandas as pd

from crm.company import Company
from features.build import build
from models.rollup import booked, credit_matrix, credits_of, people_at, targets
from tests.builders import a_deal, a_rate, a_rep, view_of

AT = pd.Timestamp("2026-02-15", tz="UTC")
TODAY = date(2026, 2, 15)
START = pd.Timestamp("2026-01-01", tz="UTC")
TEAMS = [
    {"team_id": "top", "name": "Top"},
    {"team_id": "north", "name": "North", "parent_team_id": "top"},
    {"team_id": "south", "name": "South", "parent_team_id": "top"},
]


def won(deal_id, **values):
    return a_deal(deal_id, outcome="won", closed_at="2026-02-01T10:00:00Z", **values)


def goal(goal_id, kind, owner, target, **values):
    period = {"period_start": "2026-01-01", "period_end": "2026-04-01", "metric": "bookings"}
    return {"goal_id": goal_id, "owner_kind": kind, "owner_id": owner, "target": target, **period, **values}


def test_shares_take_the_place_of_the_owner_credit():
    splits = [{"deal_id": "d1", "rep_id": "r1", "share": 0.7}, {"deal_id": "d1", "rep_id": "r2", "share": 0.3}]
    view = view_of(deals=[won("d1"), won("d2", owner_id="r2")], deal_splits=splits, reps=[a_rep("r1"), a_rep("r2")])
    shares = credits_of(view, Company())
    people = people_at(view, shares, AT, TODAY)
    # d1 is worth 1000: 700 and 300; d2 is all r2's; the last place is nobody's.
    np.testing.assert_allclose(booked(shares, people, START, AT, "bookings"), [700, 1300, 0])
    np.testing.assert_allclose(booked(shares, people, START, AT, "won_deals"), [0.7, 1.3, 0])
    matrix = credit_matrix(["d1", "d9"], ["r1", "r2"], shares, people).toarray()
    np.testing.assert_allclose(matrix, [[0.7, 0], [0.3, 1], [0, 0]])


def test_what_closed_later_or_was_lost_is_not_booked():
    late = a_deal("d2", outcome="won", closed_at="2026-03-01T10:00:00Z")
    lost = a_deal("d3", outcome="lost", closed_at="2026-02-01T10:00:00Z")
    view = view_of(deals=[won("d1"), late, lost], reps=[a_rep("r1")])
    shares = credits_of(view, Company())
    assert booked(shares, people_at(view, shares, AT, TODAY), START, AT, "bookings").tolist() == [1000, 0]


def test_a_lead_that_became_a_deal_is_not_won_twice():
    view = view_of(deals=[won("d1"), won("l1", kind="lead", amount=300)], reps=[a_rep("r1")])
    shares = credits_of(view, Company())
    people = people_at(view, shares, AT, TODAY)
    assert booked(shares, people, START, AT, "bookings").tolist() == [1000, 0]
    assert booked(shares, people, START, AT, "won_deals").tolist() == [1, 0]


def test_a_goal_of_zero_is_no_goal():
    view = view_of(goals=[goal("g1", "rep", "r1", 0), goal("g2", "rep", "r2", 500)])
    assert targets(view, Company(), AT, TODAY)["owner_id"].tolist() == ["r2"]


def test_a_deal_of_nobody_counts_for_the_company_only():
    view = view_of(deals=[won("d1", owner_id=None)], reps=[a_rep("r1", team_id="north")], teams=TEAMS)
    shares = credits_of(view, Company())
    people = people_at(view, shares, AT, TODAY)
    sums = booked(shares, people, START, AT, "bookings")
    assert sums[people.teams["company"]].sum() == 1000
    assert sums[people.teams["top"]].sum() == 0


def test_teams_hold_those_below_and_follow_memberships_of_the_day():
    moves = [
        {"rep_id": "r2", "team_id": "north", "valid_from": "2025-01-01", "valid_to": "2026-02-01"},
        {"rep_id": "r2", "team_id": "south", "valid_from": "2026-02-01", "valid_to": None},
    ]
    reps = [a_rep("r1", team_id="north"), a_rep("r2", team_id="north")]
    view = view_of(deals=[won("d1")], reps=reps, teams=TEAMS, team_memberships=moves)
    shares = credits_of(view, Company())
    people = people_at(view, shares, AT, TODAY)
    named = {team: [people.reps[i] for i in members] for team, members in people.teams.items()}
    assert named == {"north": ["r1"], "south": ["r2"], "top": ["r1", "r2"], "company": ["r1", "r2", ""]}


def test_a_loop_in_the_team_tree_ends():
    teams = [
        {"team_id": "a", "name": "A", "parent_team_id": "b"},
        {"team_id": "b", "name": "B", "parent_team_id": "a"},
    ]
    view = view_of(deals=[won("d1")], reps=[a_rep("r1", team_id="a")], teams=teams)
    assert people_at(view, credits_of(view, Company()), AT, TODAY).teams["b"] == [0]


def test_targets_run_now_were_known_and_are_in_base_currency():
    goals = [
        goal("g1", "rep", "r1", 100.0, currency="EUR"),
        goal("g2", "company", "anything", 900.0),
        goal("g3", "rep", "r1", 55.0, recorded_at="2026-03-01T00:00:00Z"),  # set later
        goal("g4", "rep", "r1", 77.0, segment="SMB"),  # part of the business
        goal("g5", "rep", "r1", 66.0, period_start="2025-10-01", period_end="2026-01-01"),  # over
    ]
    view = view_of(deals=[won("d1")], goals=goals, fx_rates=[a_rate("EUR", "2026-01-01", 2.0)])
    found = targets(view, Company(), AT, TODAY)
    assert found[["owner_kind", "owner_id", "target"]].values.tolist() == [
        ["company", "company", 900.0],
        ["rep", "r1", 200.0],
    ]


def test_of_two_goals_for_the_same_days_the_one_written_down_last_holds():
    goals = [
        goal("g1", "rep", "r1", 100.0, recorded_at="2025-12-20T00:00:00Z"),
        goal("g2", "rep", "r1", 130.0, recorded_at="2026-01-10T00:00:00Z"),
        goal("g3", "rep", "r1", 500.0, recorded_at="2026-02-20T00:00:00Z"),  # not known yet on 15 February
        goal("g4", "company", "company", 900.0, recorded_at="2025-12-20T00:00:00Z"),
        goal("g5", "company", "all of us", 950.0),  # no time of writing: known when its first day begins
        goal("g6", "rep", "r2", 70.0, recorded_at="2025-12-20T00:00:00Z"),
        goal("g7", "rep", "r2", 0.0, recorded_at="2026-01-05T00:00:00Z"),  # taken back
        goal("g8", "rep", "r1", 7.0, metric="won_deals", recorded_at="2025-12-20T00:00:00Z"),
        goal("g9", "rep", "r1", 40.0, segment="SMB", recorded_at="2026-01-20T00:00:00Z"),  # another scope
    ]
    view = view_of(deals=[won("d1")], goals=goals, reps=[a_rep("r1"), a_rep("r2")])
    found = targets(view, Company(), AT, TODAY)
    assert found[["owner_id", "metric", "target"]].values.tolist() == [
        ["company", "bookings", 950.0],
        ["r1", "bookings", 130.0],
        ["r1", "won_deals", 7.0],
    ]
    # The feature of the quarter's target follows the same rule: 130 for r1 and 0, that is none to reach, for r2.
    spine = pd.DataFrame({"rep_id": ["r1", "r2"], "as_of": [AT, AT]})
    spine["as_of"] = spine["as_of"].astype("datetime64[us, UTC]")
    assert build(view, spine, "rep", company=Company(), only=["target"])["target"].tolist() == [130.0, 0.0]
