"""Risks of the market, of currencies, of grades, of calls and of overdue work, on figures worked out by hand."""

from dataclasses import replace
from datetime import date, timedelta
from math import log, sqrt
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.company import Company
from planning.risk_grades import unhappy_customers
from planning.risk_market import chance_to_fall, currencies, market_downturns, volatility
from planning.risk_work import bias_of, forecast_biases, held_up_work
from planning.risks import Written
from planning.trend import market_outlook
from tests.builders import a_deal
from tests.planning.test_risks import situation

TODAY = date(2026, 5, 15)


def won(number, day, amount, **values):
    given = {"owner_id": "r1", "amount": str(amount), "created_at": "2024-01-05T00:00:00Z", **values}
    return a_deal(f"w{number}", outcome="won", closed_at=f"{day}T10:00:00Z", **given)


# -- market_downturn


def months(values):
    return pd.Series([float(v) for v in values], index=[f"m{n}" for n in range(len(values))])


def test_the_next_month_is_held_against_the_same_one_a_year_before():
    # Two years of 100 and then 12 of 40: whatever method is taken, it says about 40 of a month that had 40 before.
    level = market_outlook(months([100] * 12 + [40] * 13))
    assert level.year_before == 40
    # After a year of 100 the last six months have been 40: next year's seventh had 100.
    falls = market_outlook(months([100] * 18 + [40] * 6))
    assert falls.year_before == 100
    assert falls.expected < 100
    assert market_outlook(months([100] * 11)) is None


def test_a_market_that_shrinks_is_a_risk_of_whoever_leads_and_a_steady_one_is_none():
    def market(amounts):
        days = pd.date_range("2024-05-10", "2026-04-10", freq="MS") + pd.Timedelta(days=9)
        rows = [won(n, day.date(), amounts(n)) for n, day in enumerate(days)]
        return list(market_downturns(situation(deals=[*rows, a_deal("d1", owner_id="r1")])))

    assert market(lambda n: 100_000) == []
    # Every month of the second year brings half of the same one before; what runs is May, after April.
    (risk,) = market(lambda n: 100_000 if n < 12 else 50_000 - 1000 * (n - 12))
    assert (risk.subject_kind, risk.owner_id, risk.exposed) == ("company", "m", 100_000)
    assert 0.8 <= risk.likelihood <= 1
    # May 2025 had 100,000; months since June 2025 were 50,000 to 60,000 below those a year before.
    assert risk.money == 100_000 - risk.facts["expected"]
    assert 45_000 < risk.money < 65_000


# -- currency


def test_the_spread_of_a_basket_is_that_of_its_rates_over_ninety_days():
    # The rate goes up and down by 1 % each week: 20 steps of |ln 1.01| in 140 days.
    days = [TODAY - timedelta(days=7 * n) for n in range(20, -1, -1)]
    rates = pd.DataFrame({"currency": "EUR", "on_date": days, "rate_to_base": [1.01 ** (n % 2) for n in range(21)]})
    spread = volatility(rates, {"EUR": 1000.0}, TODAY)
    assert spread == pytest.approx(sqrt(20 * log(1.01) ** 2 / 140 * 90))
    assert chance_to_fall(spread) == pytest.approx(NormalDist().cdf(log(0.95) / spread))
    # Half in a currency that always moves the other way hardly moves at all.
    other = rates.assign(currency="USD", rate_to_base=1 / rates["rate_to_base"])
    assert volatility(pd.concat([rates, other]), {"EUR": 500.0, "USD": 500.0}, TODAY) < 0.01 * spread
    assert volatility(rates.tail(12), {"EUR": 1.0}, TODAY) is None  # eleven changes are too few
    assert volatility(rates, {"EUR": 1.0, "JPY": 1.0}, TODAY) is None
    assert chance_to_fall(0.0) == 0


@pytest.mark.parametrize(("foreign", "found"), [(10_000, False), (60_000, True)])
def test_a_pipeline_largely_in_other_currencies_is_a_risk(foreign, found):
    rates = [{"currency": "EUR", "on_date": str(TODAY - timedelta(days=7 * n)), "rate_to_base": 2.0 if n % 2 else 2.2}
             for n in range(30, -1, -1)]  # fmt: skip
    deals = [a_deal("d1", owner_id="r1", amount="100000"), a_deal("d2", owner_id="r1", amount=str(foreign / 2.2),
                                                                  currency="EUR")]  # fmt: skip
    risks = list(currencies(situation(deals=deals, fx_rates=rates)))
    assert bool(risks) is found
    if found:  # 60,000 of 160,000 are 37.5 %; a fall by 5 % costs 3,000
        assert risks[0].money == pytest.approx(3000, rel=1e-3)
        assert risks[0].facts["share"] == pytest.approx(0.375, abs=1e-3)
    assert list(currencies(situation(deals=deals))) == []  # no rates: nothing can be told


# -- satisfaction_fall


def ticket(number, account, closed, grade=None, **values):
    return {"ticket_id": f"t{number}", "account_id": account, "opened_at": "2025-06-01T10:00:00Z", "closed_at": closed,
            "satisfaction": grade, **values}  # fmt: skip


def grades(account, before, now):
    old = [ticket(f"{account}o{n}", account, "2025-12-01T10:00:00Z", g) for n, g in enumerate(before)]
    return old + [ticket(f"{account}n{n}", account, "2026-05-01T10:00:00Z", g) for n, g in enumerate(now)]


def test_grades_that_fell_by_half_a_point_and_a_severe_ticket_left_open():
    given = [
        *grades("a1", [4, 4, 4, 4, 4], [4, 3, 4, 3, 3]),  # 4.0 to 3.4
        *grades("a2", [4, 4, 4, 4, 4], [4, 4, 4, 4, 3]),  # 4.0 to 3.8
        *grades("a3", [5, 5, 5, 5, 5], [1, 1, 1, 1]),  # four grades only
        ticket("s", "a3", None, severity="severe") | {"opened_at": "2026-05-11T10:00:00Z"},  # 12 to 15 May: four days
        ticket("m", "a2", None, severity="minor"),
    ]
    s = situation(tickets=given)
    found = {r.subject_id: r for r in unhappy_customers(s)}
    assert set(found) == {"a1", "a3"}
    assert (found["a1"].facts["was"], found["a1"].facts["now"]) == (4.0, 3.4)
    # Chances 0.25 and 0.01, mean 0.13; 30,000 at risk at 0.25 are 120,000 a year.
    assert found["a1"].likelihood == pytest.approx(0.12)
    assert found["a1"].money == pytest.approx(120_000)
    assert found["a1"].owner_id == "r1"
    assert found["a3"].facts["severe_days"] == 4
    assert (found["a3"].likelihood, found["a3"].money) == (None, None)  # of this customer nothing was scored
    in_time = ticket("s", "a3", None, severity="severe") | {"opened_at": "2026-05-12T10:00:00Z"}
    assert list(unhappy_customers(situation(tickets=[in_time]))) == []
    assert list(unhappy_customers(situation())) == []


# -- forecast_bias


def test_four_calls_off_the_same_way_are_a_bias_and_mixed_ones_are_none():
    # 120 + 130 + 110 + 140 against 4 · 100: off by 100 of 400.
    assert bias_of([120, 130, 110, 140], [100, 100, 100, 100], 0.15).share == pytest.approx(0.25)
    assert bias_of([80, 70, 60, 90], [100, 100, 100, 100], 0.15).share == pytest.approx(-0.25)
    assert bias_of([120, 130, 90, 140], [100, 100, 100, 100], 0.15) is None
    assert bias_of([110, 112, 108, 111], [100, 100, 100, 100], 0.15) is None
    assert bias_of([120, 130, 140], [100, 100, 100], 0.15) is None
    assert bias_of([120, 130, 110, 140], [100, None, 100, 100], 0.15) is None


def called(values, entity="rep", owner="r1"):
    starts = [date(2025, 4, 1), date(2025, 7, 1), date(2025, 10, 1), date(2026, 1, 1), date(2026, 4, 1)]
    ends = [*starts[1:], date(2026, 7, 1)]
    return pd.DataFrame({"entity": entity, "entity_id": owner, "user_id": 1, "period_start": starts,
                         "period_end": ends, "value": [float(v) for v in values]})  # fmt: skip


def test_a_bias_costs_that_share_of_the_call_that_runs():
    days = ("2025-05-10", "2025-08-10", "2025-11-10", "2026-02-10")
    deals = [*(won(n, day, 100) for n, day in enumerate(days)), a_deal("d1", owner_id="r1")]
    s = replace(situation(deals=deals), written=Written(calls=called([120, 130, 110, 140, 1000])))
    (risk,) = forecast_biases(s)
    assert (risk.subject_kind, risk.subject_id, risk.likelihood, risk.owner_id) == ("rep", "r1", 1, "m")
    assert risk.money == pytest.approx(250)
    assert risk.exposed == 1000
    fair = replace(s, written=Written(calls=called([120, 90, 110, 140, 1000])))
    assert list(forecast_biases(fair)) == []
    assert list(forecast_biases(situation())) == []


# -- process


def actions(n, deal=None, due=date(2026, 5, 14)):
    return pd.DataFrame({"rep_id": "r1", "due": [due] * n, "deal_id": [deal] * n}).astype({"deal_id": object})


def test_more_than_five_overdue_actions_cost_the_deals_that_wait():
    s = replace(situation(), written=Written(actions=actions(6, "d1")))
    (risk,) = held_up_work(s)
    # One deal of 100,000 at a chance of a half, however many actions are about it.
    assert (risk.subject_kind, risk.subject_id, risk.likelihood, risk.money) == ("team", "T", 1, 50_000)
    assert risk.facts["actions"] == 6
    assert list(held_up_work(replace(s, written=Written(actions=actions(5, "d1"))))) == []
    assert list(held_up_work(replace(s, written=Written(actions=actions(9, "d1", due=TODAY))))) == []
    (bare,) = held_up_work(replace(s, written=Written(actions=actions(6))))
    assert (bare.money, bare.level) == (None, "low")


def test_an_approval_that_waits_for_more_than_five_days_holds_its_deal_up():
    asked = {"d1": "2026-05-09", "d2": "2026-05-10", "d3": None, "d4": "2026-01-01"}  # today is the 15th
    deals = [a_deal(d, owner_id="r1", amount="100000", x_approval_asked=day) for d, day in asked.items() if d != "d4"]
    gone = a_deal("d4", owner_id="r1", outcome="lost", closed_at="2026-02-01T10:00:00Z", x_approval_asked=asked["d4"])
    s = situation(deals=[*deals, gone])
    assert list(held_up_work(s)) == []  # nobody said which column it is
    told = Company(plan={"risks": {"approval_asked": "x_approval_asked"}})
    s = replace(s, plan=replace(s.plan, company=told))
    (risk,) = held_up_work(s)
    # d1 waits for six days and d2 for five; 100,000 at a chance of a half.
    assert (risk.kind, risk.subject_id, risk.owner_id, risk.money) == ("process", "T", "m", 50_000)
    assert risk.facts == {"actions": 0, "approvals": 1, "deals": 1, "oldest": date(2026, 5, 9)}
    (both,) = held_up_work(replace(s, written=Written(actions=actions(6, "d3"))))
    assert (both.facts["actions"], both.facts["approvals"], both.money) == (6, 1, 100_000)


@given(st.lists(st.floats(0, 1e6), min_size=4, max_size=4), st.lists(st.floats(1, 1e6), min_size=4, max_size=4))
def test_a_bias_is_found_only_on_one_side(calls, results):
    found = bias_of(calls, results, 0.15)
    if found is not None:
        assert np.sign(found.share) == np.sign(calls[0] - results[0])
        assert abs(found.share) > 0.15
