"""Goals, cascade and pace of a company with forecasts beside them."""

from dataclasses import replace
from datetime import date

import pandas as pd
import pytest

from crm.company import Company
from planning.overview import Plan, forecasts_of, goals_table, pace_table
from planning.splitting import cascade_table, weights_of
from tests.builders import a_deal, a_rep, at, view_of

PERIOD = {"period_start": "2026-04-01", "period_end": "2026-07-01"}
START, END = date(2026, 4, 1), date(2026, 7, 1)


def a_goal(goal_id, kind, owner, target, metric="bookings", parent="top"):
    return {"goal_id": goal_id, "owner_kind": kind, "owner_id": owner, "target": float(target), "metric": metric,
            "parent_goal_id": parent, "recorded_at": "2026-03-20", **PERIOD}  # fmt: skip


def a_score(key, who, **values):
    parts = {"expected_closed": 8000.0, "expected_open": 10_000.0, "expected_new": 2000.0}
    return {
        key: who,
        "metric": "bookings",
        "period_start": START,
        "period_end": END,
        "p_attain": 0.25,
        "p50": 19_000.0,
        **parts,
        **values,
    }


@pytest.fixture(scope="module")
def plan():
    """Two people with 30 and 20 thousand; 8,000 won by r1; forecasts of 20 and 30 thousand in the mean."""
    view = view_of(
        reps=[a_rep("r1", team_id="T1"), a_rep("r2", team_id="T1", hired_on="2026-03-01")],
        teams=[{"team_id": "T1", "name": "One"}],
        deals=[
            a_deal("d1", outcome="won", amount="8000", created_at="2026-03-02", closed_at="2026-04-20T10:00:00Z"),
            a_deal("d2", outcome="lost", owner_id="r2", created_at="2026-03-02", closed_at="2026-04-30T10:00:00Z"),
        ],
        goals=[
            a_goal("top", "company", "company", 50_000, parent=None),
            a_goal("g1", "rep", "r1", 30_000),
            a_goal("g2", "rep", "r2", 20_000),
            a_goal("rate", "company", "company", 0.6, "conversion_rate", None),
        ],
    )
    reps = pd.DataFrame([a_score("rep_id", "r1"), a_score("rep_id", "r2", expected_open=20_000.0)])
    teams = pd.DataFrame([a_score("team_id", "company", p_attain=float("nan"))])
    return Plan(view, Company(), at("2026-04-30T20:00:00Z"), forecasts_of(reps, teams))


def by_goal(table):
    return table.set_index("goal_id").to_dict("index")


def test_the_chance_comes_from_the_forecast_and_is_judged(plan):
    found = by_goal(goals_table(plan))
    assert found["g1"]["p_attain"] == 0.25
    # One event in a year is too few to measure by, and 0.25 is a stretch.
    assert found["g1"]["letters"] == "MA"
    assert pd.isna(found["top"]["p_attain"])
    assert found["rate"]["actual"] == 0.5


def test_what_open_deals_bring_need_not_be_sold_again(plan):
    # 30,000 - 8,000 reached - 10,000 expected of open deals; 8,000 a deal, as the team: 12/8 are two deals.
    found = by_goal(pace_table(plan))["g1"]
    assert (found["uncovered"], found["deals"], found["expected_open"]) == (12_000, 2, 10_000)
    assert found["basis"].endswith("open deals as forecast")
    # The company's scores say nothing of its chance, but of its open deals: 50 - 8 - 10 = 32, four deals.
    assert by_goal(pace_table(plan))["top"]["deals"] == 4


def test_the_rate_still_needed_assumes_that_closings_go_on(plan):
    # 2 closed on 22 of 65 working days; 43 left: 3.909 more. (0.6 · 5.909 - 1) / 3.909 = 0.651.
    assert by_goal(pace_table(plan))["rate"]["rate_needed"] == pytest.approx(0.651, abs=5e-4)


def test_potential_is_the_forecast_s_mean(plan):
    goal = next(g for g in plan.goals if g.goal_id == "top")
    assert weights_of(plan, goal, "potential", {}) == {"r1": 20_000, "r2": 30_000}
    table, fair = cascade_table(plan, "top", "potential")
    assert table.set_index("owner_id")["target"].to_dict() == {"T1": 50_000, "r1": 20_000, "r2": 30_000}
    assert fair.value == pytest.approx(1)  # everybody is expected to reach all of it


def test_fairness_names_who_has_it_hardest(plan):
    # Equal: 25 each against 20 and 30: 0.8 and 1.2 around 1.0.
    _, fair = cascade_table(plan, "top", "equal")
    assert (fair.lowest, fair.highest, fair.word) == ("r1", "r2", "fair")
    assert fair.value == pytest.approx(0.8)


def test_without_forecasts_fairness_is_not_told(plan):
    _, fair = cascade_table(replace(plan, forecasts={}), "top", "equal")
    assert fair is None


def test_two_periods_that_begin_on_the_same_day_keep_their_own_forecasts(plan):
    month = a_score("rep_id", "r1", p_attain=0.9, period_end=date(2026, 5, 1))
    forecasts = forecasts_of(pd.DataFrame([a_score("rep_id", "r1"), month]), pd.DataFrame([a_score("team_id", "T1")]))
    found = by_goal(goals_table(replace(plan, forecasts=forecasts)))
    assert found["g1"]["p_attain"] == 0.25  # the quarter's, whichever row came last


def test_a_goal_set_after_the_newest_data_counts_where_it_is_asked_for(plan):
    rows = [a_goal("late", "rep", "r1", 30_000) | {"recorded_at": "2026-05-02"}]
    late = Plan(view_of(reps=[a_rep("r1")], goals=rows), Company(), at("2026-04-30T20:00:00Z"), {})
    assert late.goals == []
    assert [g.goal_id for g in replace(late, set_by=at("2026-05-03")).running] == ["late"]
