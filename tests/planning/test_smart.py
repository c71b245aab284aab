"""Whether a goal is specific, measurable, achievable, relevant, timely."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from crm.company import Company
from planning.goals import Facts, Goal
from planning.smart import Forecast, check, may_save
from tests.builders import a_deal, a_rep, at, view_of

PLAIN = Company()
START, END = date(2026, 4, 1), date(2026, 7, 1)


def a_goal(goal_id="g1", owner="r1", kind="rep", target=300_000, **more):
    values = {"metric": "bookings", "start": START, "end": END, "parent_goal_id": "top", **more}
    return Goal(goal_id, kind, owner, target=Decimal(target), **values)


TOP = a_goal("top", "T1", "team", 1_000_000, parent_goal_id=None)
SIBLINGS = [TOP, a_goal("g2", "r2", target=350_000), a_goal("g3", "r3", target=300_000)]
CENT = Forecast(0.5, 310_000, 100)


@pytest.fixture(scope="module")
def facts():
    deals = [a_deal(f"d{i}", outcome="won", closed_at="2026-04-09T10:00:00Z", product_id="p1") for i in range(9)]
    deals.append(a_deal("d9", outcome="won", closed_at="2026-04-09T10:00:00Z", product_id="p2", owner_id="r2"))
    return Facts.read(view_of(deals=deals, reps=[a_rep()]), PLAIN, at("2026-04-13T18:00:00Z"))


def grades(goal, facts, goals=SIBLINGS, **more):
    return {f.letter: f for f in check(goal, goals, facts, PLAIN, **more)}


def test_e1_5_a_stretch_with_a_gap_beside_it_set_late(facts):
    # 22 of 100 draws; 300 + 350 + 300 of 1,000 thousand; 10 April is the 8th working day of 65 (12.3 %).
    goal = a_goal(recorded_at=at("2026-04-10T09:00:00Z"))
    found = grades(goal, facts, forecast=Forecast(0.22, 240_000, 100))
    assert {k: f.grade for k, f in found.items()} == {"S": "ok", "M": "ok", "A": "warn", "R": "warn", "T": "warn"}
    assert found["A"].en == "A stretch. Reached in 22 of 100 simulated periods; USD 240,000 in half of them."
    assert found["R"].en == "USD 50,000 of the parent is not assigned (coverage 0.95)."
    assert found["T"].en == "Set on working day 8 of 65."
    assert all(f.mend_en and f.mend_zh for k, f in found.items() if k in "ART")


def test_set_on_the_sixth_working_day_is_in_time(facts):
    # 8 April is working day 6: 6/65 = 9.2 %; Easter is no holiday here.
    assert grades(a_goal(recorded_at=at("2026-04-08T09:00:00Z")), facts, forecast=CENT)["T"].grade == "ok"


@pytest.mark.parametrize(
    ("p", "grade", "word"),
    [(0.05, "warn", "Out of reach"), (0.10, "warn", "A stretch"), (0.30, "ok", "Reached in 30"),
     (0.80, "ok", "Reached in 80"), (0.81, "warn", "Easy"), (0.96, "warn", "Too easy")],
)  # fmt: skip
def test_the_chance_says_whether_it_is_achievable(facts, p, grade, word):
    found = grades(a_goal(), facts, forecast=Forecast(p, 1, 100))["A"]
    assert found.grade == grade
    assert found.en.startswith(word)


@pytest.mark.parametrize(
    ("past", "grade"),
    [([200_000, 200_000], "ok"), ([199_000, 199_000], "warn"), ([375_000] * 4, "ok"), ([376_000] * 4, "warn"),
     ([300_000], "warn"), ([], "warn")],
)  # fmt: skip
def test_without_a_forecast_the_last_periods_say_it(facts, past, grade):
    # 300,000 / 200,000 = 1.5 and / 375,000 = 0.8 are the bounds; one period alone tells nothing.
    assert grades(a_goal(), facts, past=past)["A"].grade == grade


def test_what_is_not_sold_is_not_specific(facts):
    assert not may_save(check(a_goal(product_id="p9"), SIBLINGS, facts, PLAIN))
    found = grades(a_goal(product_id="p9"), facts)["S"]
    assert (found.grade, found.field, found.en) == ("fail", "product_id", "No record of product_id p9.")
    assert grades(a_goal(product_id="p2"), facts)["S"].grade == "warn"  # sold, but by r2 alone
    assert grades(a_goal(product_id="p1"), facts)["S"].grade == "ok"


def test_what_has_no_data_or_hardly_any_is_not_measurable(facts):
    assert grades(a_goal(metric="market_share"), facts)["M"].en == "It cannot be measured: needs market_sizes."
    assert "1 such events in 365 days" in grades(a_goal(owner="r2"), facts)["M"].en
    few = Forecast(0.5, 0.3, 100, expected_n=3)
    deals = grades(a_goal(metric="conversion_rate", target=0), facts, forecast=few)["M"]
    assert deals.en == "Only 3 closed deals expected: one deal moves the rate by 33 points."


def test_a_goal_must_serve_the_one_above(facts):
    full = [TOP, a_goal("g2", "r2", target=350_000), a_goal("g3", "r3", target=350_000)]
    assert grades(a_goal(), facts, full)["R"].grade == "ok"  # 300 + 350 + 350 = 1,000
    assert grades(a_goal(target=401_000), facts, full)["R"].grade == "warn"  # 1,101: above 1.10
    assert grades(a_goal(parent_goal_id=None), facts, [])["R"].en == "It serves no goal above it."
    calls = a_goal(metric="activities", target=50)
    assert "Activities alone" in grades(calls, facts, [TOP])["R"].en
    churn = replace(TOP, goal_id="top", metric="retention_rate")
    assert grades(a_goal(), facts, [churn])["R"].grade == "fail"
    assert grades(a_goal(end=date(2026, 10, 1)), facts, [TOP])["R"].grade == "warn"


def test_bounds_must_be_in_order_and_on_the_calendar(facts):
    assert grades(a_goal(end=START), facts)["T"].grade == "fail"
    assert grades(a_goal(end=date(2026, 6, 15)), facts)["T"].grade == "warn"
    assert grades(a_goal(end=date(2027, 7, 1)), facts)["T"].en == "It runs longer than a year."
