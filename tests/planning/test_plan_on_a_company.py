"""What must hold of plans on any company: simulated ones, with chances and draws that are made up."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from crm.company import Company
from crm.lake import newest_event
from crm.simulate import lake_view, simulate
from planning.goals import COMPANY
from planning.handover import proposal
from planning.outcomes import Outcomes
from planning.overview import Plan
from planning.resplit import ResplitWish, resplit
from planning.risks import Situation, Written, found
from planning.sales import Sales
from planning.splitting import cascade_table
from planning.turnover import totals

DRAWS = 200


@dataclass
class Made:
    plan: Plan
    situation: Situation


@pytest.fixture(scope="module", params=[5, 6])
def made(request):
    """A company with chances between 0 and 1 and draws by them; goals are those of the simulation."""
    rng, sample = np.random.default_rng(request.param), simulate(reps=8, months=9, seed=request.param)
    view, company = lake_view(sample), Company.parse(sample.settings)
    moment = newest_event(view)
    plan = Plan(view, company, moment, {})
    sales = Sales.read(view, company, moment, plan.facts)
    deals, quarter = sales.open, company.period_of(plan.facts.today)
    chance, ids = rng.random(len(deals)), list(deals["deal_id"])
    amount = deals["amount"].fillna(0.0).clip(lower=0).to_numpy(float)
    reps = sorted({p.rep_id for p in plan.people})
    credit = csr_array((deals["owner_id"].to_numpy()[None, :] == np.array(reps, dtype=object)[:, None]).astype(float))
    teams = {team: [n for n, rep in enumerate(reps) if plan.facts.team_of.get(rep) in below]
             for team, below in plan.facts.below.items()}  # fmt: skip
    draws = (rng.random((len(deals), DRAWS)) < chance[:, None] / 2) * amount[:, None]
    outcomes = Outcomes(quarter.start, quarter.end, reps, {**teams, COMPANY: list(range(len(reps)))}, ids,
                        rng.random(len(reps)) * 1e5, draws, credit, rng.random((len(reps), DRAWS)) * 1e5)  # fmt: skip
    scores = pd.DataFrame({"deal_id": ids, "win_probability": chance, "expected_amount": amount * chance,
                           "p_win_in_period": chance / 2, "p_slip": chance / 2})  # fmt: skip
    keys = view.arrow("accounts")["account_id"].to_pylist()
    leaves = rng.random(len(keys))
    accounts = pd.DataFrame({"account_id": keys, "churn_probability": leaves, "horizon_days": 90,
                             "value_at_risk": leaves * rng.random(len(keys)) * 1e5})  # fmt: skip
    advice = pd.DataFrame({"deal_id": ids, "action": rng.choice(["call", "add_contact"], len(ids)),
                           "expected_uplift": rng.random(len(ids)) * 2})  # fmt: skip
    late = pd.DataFrame({"rep_id": rng.choice(reps, 80), "due": quarter.start, "deal_id": rng.choice(ids, 80)})
    calls = pd.DataFrame(columns=["entity", "entity_id", "user_id", "period_start", "period_end", "value"])
    return Made(plan, Situation(plan, sales, outcomes, scores, accounts, advice, Written(calls, late)))


def test_a_risk_s_money_never_exceeds_what_is_exposed_on_any_company(made):
    risks = found(made.situation)
    assert len({risk.kind for risk in risks}) >= 5
    for risk in risks:
        assert risk.likelihood is None or 0 <= risk.likelihood <= 1, risk
        if risk.money is not None:
            assert 0 <= risk.money <= risk.exposed * (1 + 1e-9), risk


def test_whoever_leaves_each_open_deal_is_handed_over_or_named_once(made):
    owned = made.situation.open.groupby("owner_id").groups
    assert len(owned) > 3
    for rep, deals in owned.items():
        plan, _, asked = proposal(made.situation, str(rep))
        assert sorted([*plan.taken, *plan.left]) == sorted(deals)
        assert set(plan.taken.values()) <= set(asked) - {rep}


@pytest.mark.parametrize("method", ["equal", "history", "capacity"])
def test_splits_of_the_company_s_goal_sum_exactly_at_each_level(made, method):
    table, _ = cascade_table(made.plan, None, method)
    goal = next(g for g in made.plan.running if g.owner_kind == COMPANY and g.metric == "bookings"
                and (g.start, g.end) == (made.situation.outcomes.start, made.situation.outcomes.end))  # fmt: skip
    people = table[table["owner_kind"] == "rep"]
    assert people["target"].sum() == goal.target
    months = [name for name in table.columns if str(name).startswith("FY")]
    assert (people[months].sum(axis=1) == people["target"]).all()
    for team, rows in people.groupby("team_id"):
        below = table[(table["owner_kind"] == "team") & (table["owner_id"] == team)]["target"].iloc[0]
        assert rows["target"].sum() <= below


def test_split_anew_for_who_came_and_went_each_team_keeps_its_sum(made):
    for vacancy in ("team", "redistribute"):
        done = resplit(made.plan, None, ResplitWish(vacancy, rebase=True))
        assert totals(done.after, "team_id") == totals(done.before, "team_id")
