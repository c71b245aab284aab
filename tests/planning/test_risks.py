"""The register's rules on figures that can be worked out by hand, and bounds that hold for any."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from crm.company import Company
from planning.outcomes import Outcomes, shortfall
from planning.overview import Plan, forecasts_of
from planning.risk_customers import account_money
from planning.risk_deals import stalled_loss
from planning.risk_people import contact_worth
from planning.risk_targets import uncovered
from planning.risks import Risk, Situation, found, frequency, level_of
from planning.sales import Sales
from tests.builders import a_deal, a_rep, an_account, an_activity, at, view_of

MOMENT = at("2026-05-15T20:00:00Z")
money = st.floats(0, 1e7)
share = st.floats(0, 1)


def test_e10_1_expected_loss_against_what_is_still_to_be_made():
    chance, short = shortfall(np.array([90, 100, 110, 120, 130.0]), 105)
    assert (chance, short) == (0.4, 10)  # (15 + 5) / 2
    risk = Risk("target_missed", "team", "t", chance, short, 105, None, 105)
    assert risk.expected_loss == pytest.approx(4.0)
    assert risk.level == "medium"  # 3.8 % of 105
    assert (level_of(5.25, 105), level_of(1.0, 105), level_of(None, 105)) == ("high", "low", "low")


def test_e10_2_a_customer_takes_a_year_and_its_open_deals_along():
    risk = Risk("key_account_leaving", "account", "a", 0.25, account_money(120_000, 30_000), 150_000, None, 1e6)
    assert risk.expected_loss == pytest.approx(37_500)


def test_e10_3_departures_by_the_team_s_own_rate():
    assert frequency(2, 8) == pytest.approx(0.278, abs=5e-4)


@given(st.lists(money, min_size=1, max_size=30), st.floats(1, 1e7))
def test_what_is_missing_never_exceeds_the_target(draws, target):
    chance, short = shortfall(np.array(draws), target)
    assert 0 <= chance <= 1
    assert 0 <= short <= target


@given(st.lists(st.tuples(money, share, share), max_size=20))
def test_what_stalls_or_is_neglected_never_costs_more_than_it_is_worth(rows):
    table = pd.DataFrame(rows, columns=["amount", "usual", "now"], dtype=float)
    whole = table["amount"].sum()
    assert 0 <= stalled_loss(table["amount"], table["usual"], table["now"]) <= whole * (1 + 1e-9)
    assert 0 <= contact_worth(table["amount"], dict(table["usual"] * 3)) <= whole * (1 + 1e-9)


@given(money, money)
def test_a_gap_is_never_more_than_what_is_left(rest, expected):
    assert 0 <= uncovered(rest, expected) <= rest


def goal(owner_kind, owner, target):
    return {"goal_id": f"g-{owner}", "owner_kind": owner_kind, "owner_id": owner, "metric": "bookings",
            "period_start": "2026-04-01", "period_end": "2026-07-01", "target": float(target),
            "recorded_at": "2026-03-20"}  # fmt: skip


def situation(*, amounts=(100_000, 1000, 1000), draws=None, **tables):
    """Two people of one team; three open deals, the first and second of r1; draws as given, a column a draw."""
    reps = [a_rep("r1", team_id="T"), a_rep("r2", team_id="T"), a_rep("m", team_id="T", role="manager")]
    deals = [
        a_deal(f"d{n}", owner_id="r1" if n < 3 else "r2", amount=str(amount), account_id=f"a{n}")
        for n, amount in enumerate(amounts, 1)
    ]
    given = {
        "reps": reps,
        "teams": [{"team_id": "T", "name": "T", "manager_rep_id": "m"}],
        "deals": deals,
        "accounts": [an_account(f"a{n}", owner_id="r1") for n in range(1, 4)],
        "goals": [goal("company", "company", 100_000), goal("rep", "r1", 80_000)],
        **tables,
    }
    view = view_of(**given)
    plan = Plan(view, Company(), MOMENT, forecasts_of(*_no_scores()))
    sales = Sales.read(view, Company(), MOMENT, plan.facts)
    ids = [f"d{n}" for n in range(1, len(amounts) + 1)]
    values = np.array(draws if draws is not None else [[0, 100_000]] + [[0, 1000]] * (len(ids) - 1), dtype=float)
    credit = csr_array(np.array([[1.0 if d in ("d1", "d2") else 0.0 for d in ids], [float(d == "d3") for d in ids]]))
    outcomes = Outcomes(date(2026, 4, 1), date(2026, 7, 1), ["r1", "r2"], {"company": [0, 1], "T": [0, 1]}, ids,
                        np.zeros(2), values, credit, np.zeros((2, values.shape[1])))  # fmt: skip
    scores = pd.DataFrame({"deal_id": ids, "win_probability": 0.5, "expected_amount": [a / 2 for a in amounts],
                           "p_win_in_period": 0.5, "p_slip": 0.5})  # fmt: skip
    accounts = pd.DataFrame({"account_id": ["a1", "a2"], "churn_probability": [0.25, 0.01], "horizon_days": 90,
                             "value_at_risk": [30_000.0, 10.0]})  # fmt: skip
    return Situation(plan, sales, outcomes, scores, accounts, pd.DataFrame())


def _no_scores():
    parts = ["metric", "period_start", "period_end", "p_attain", "p50", "expected_closed", "expected_open",
             "expected_new"]  # fmt: skip
    return pd.DataFrame(columns=["rep_id", *parts]), pd.DataFrame(columns=["team_id", *parts])


def by_kind(s):
    return {(r.kind, r.subject_id): r for r in found(s)}


def test_a_goal_that_most_draws_miss_is_a_risk_of_whoever_leads():
    risk = by_kind(situation(draws=[[0, 0, 0, 100_000], [0, 0, 0, 0], [0, 0, 0, 0]]))["target_missed", "company"]
    assert (risk.likelihood, risk.money, risk.owner_id) == (0.75, 100_000, "m")
    assert risk.level == "high"


def test_one_deal_that_holds_most_of_what_is_expected_is_named():
    risk = by_kind(situation())["concentration", "d1"]
    # 50,000 of 51,000 on average; in one draw of two it brings nothing.
    assert (risk.likelihood, risk.money, risk.exposed) == (0.5, 50_000, 100_000)
    assert risk.facts["share"] == pytest.approx(50 / 51)


def test_a_large_customer_that_may_leave_takes_its_deals_along():
    risk = by_kind(situation())["key_account_leaving", "a1"]
    # 30,000 at risk at 25 % are 120,000 a year; its open deal is expected to bring 50,000.
    assert (risk.likelihood, risk.money, risk.owner_id) == (0.25, 170_000, "r1")
    assert ("key_account_leaving", "a2") not in by_kind(situation())


def test_only_a_date_that_is_written_down_says_that_somebody_leaves():
    assert not [k for k in by_kind(situation()) if k[0] == "person_leaving"]
    leaving = [a_rep("r1", team_id="T", left_on="2026-06-10"), a_rep("r2", team_id="T")]
    risk = by_kind(situation(reps=leaving))["person_leaving", "r1"]
    # Of the draws 0 and 101,000 nothing is left.
    assert (risk.likelihood, risk.money, risk.facts["day"]) == (1, 50_500, date(2026, 6, 10))


def test_a_long_absence_counts_and_a_short_one_does_not():
    away = [{"rep_id": "r1", "from": "2026-05-18", "to": "2026-06-20"},
            {"rep_id": "r2", "from": "2026-05-18", "to": "2026-05-25"}]  # fmt: skip
    assert [k[1] for k in by_kind(situation(absences=away)) if k[0] == "person_leaving"] == ["r1"]


def test_who_has_many_deals_and_less_contact_is_overloaded_and_load_alone_is_not_enough():
    deals = [a_deal(f"x{n}", owner_id="r1") for n in range(8)] + [a_deal(f"y{n}", owner_id="r2") for n in range(2)]
    before = [an_activity(occurred_at=f"2026-03-{n:02d}T10:00:00Z", deal_id="x1") for n in range(1, 29)]
    # Median of 8 and 2 is 5; 8 is above 7.5. No contact in the last 30 days, 28 in the 60 before.
    assert ("overload", "r1") in by_kind(situation(deals=deals, activities=before))
    still = [an_activity(occurred_at=f"2026-05-{n:02d}T10:00:00Z", deal_id="x1") for n in range(1, 15)]
    assert ("overload", "r1") not in by_kind(situation(deals=deals, activities=before + still))


def test_a_table_without_news_for_three_usual_gaps_is_quiet():
    days = [f"2026-04-{n:02d}T10:00:00Z" for n in (1, 2, 3, 7, 8, 9, 10)]
    old = [an_activity(occurred_at=day) for day in days]
    risk = by_kind(situation(activities=old))["data_quiet", "activities"]
    # From 10 April to 15 May 25 working days; usually a day.
    assert (risk.likelihood, risk.money, risk.facts["days"], risk.facts["usual"]) == (1, None, 25, 1)
    assert risk.level == "low"


def test_a_product_far_below_its_usual_quarter_slumps():
    def won(deal, day, amount):
        return a_deal(deal, outcome="won", product_id="p", amount=str(amount), created_at="2025-01-05T00:00:00Z",
                      closed_at=f"{day}T10:00:00Z")  # fmt: skip

    past = [won(f"w{n}", day, 90_000) for n, day in enumerate(("2025-08-10", "2025-11-10", "2026-02-10"))]
    given = {"deals": [*past, a_deal("d1", product_id="p")], "products": [{"product_id": "p", "name": "P"}]}
    risk = by_kind(situation(draws=[[0, 1000], [0, 0], [0, 0]], **given))["product_slump", "p"]
    # Three quarters of 90,000 are usual; its one deal brings 0 or 1,000.
    assert (risk.likelihood, risk.money, risk.exposed) == (1, 89_500, 90_000)
    # Draws of 0 and 100,000: only half lie below.
    assert ("product_slump", "p") not in by_kind(situation(**given))


@pytest.mark.parametrize("seed", range(5))
def test_a_risk_s_money_never_exceeds_what_is_exposed(seed):
    rng = np.random.default_rng(seed)
    draws = rng.random((3, 50)) * rng.integers(1, 200_000, (3, 1)) * (rng.random((3, 50)) < 0.4)
    leaving = [a_rep("r1", team_id="T", left_on="2026-06-10"), a_rep("r2", team_id="T")]
    risks = found(situation(amounts=tuple(rng.integers(1, 200_000, 3)), draws=draws, reps=leaving))
    assert len(risks) >= 2
    for risk in risks:
        if risk.money is not None:
            assert 0 <= risk.money <= risk.exposed * (1 + 1e-9), risk
            assert risk.expected_loss <= risk.money * (1 + 1e-9)


def test_without_scores_only_facts_are_risks():
    bare = replace(situation(), outcomes=None, deals=pd.DataFrame(), accounts=pd.DataFrame())
    assert {r.kind for r in found(bare)} <= {"person_leaving", "data_quiet", "renewal_unattended", "discount_creep"}
