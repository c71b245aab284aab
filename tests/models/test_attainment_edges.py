"""Periods of odd companies: no goal, one rep, all amounts alike, a giant deal, a period that is over, leads only."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

from crm.company import Company
from models.attainment import AttainmentModel, NothingSold
from models.win import WinModel
from tests.builders import a_deal, a_rep, view_of
from training.snapshots import deal_snapshots

AT = pd.Timestamp("2026-06-01", tz="UTC")
NUMBERS = ["actual_to_date", "p10", "p50", "p90", "expected_closed", "expected_open", "expected_new"]


def sold_by(reps=1, *, amount="1000.00", giant=None, **values):
    """Two deals a week for a year; one is won after 20 days, the other lost after 30; the newest are open."""
    deals = []
    for number in range(104):
        made = AT - pd.Timedelta(days=3.5 * number + 1)
        won = number % 2 == 0
        closed = made + pd.Timedelta(days=20 if won else 30)
        ended = {"outcome": "won" if won else "lost", "closed_at": closed.isoformat()} if closed <= AT else {}
        worth = giant if giant and number == 60 else amount
        owner = f"r{number // 2 % reps}"
        deals.append(a_deal(f"d{number}", created_at=made.isoformat(), amount=worth, owner_id=owner, **ended, **values))
    return {"deals": deals, "reps": [a_rep(f"r{k}", team_id="t1") for k in range(reps)]}


def goal(goal_id, metric, target, *, kind="company", owner=None, start="2026-04-01", end="2026-07-01"):
    return {
        "goal_id": goal_id, "owner_kind": kind, "owner_id": owner, "metric": metric, "target": target,
        "period_start": start, "period_end": end,
    }  # fmt: skip


@cache
def fitted(reps=1, **values):
    view = view_of(**sold_by(reps, **values))
    win = WinModel(cuts=0, replicates=0).fit(deal_snapshots(view, Company(), until=AT), until=AT)
    return AttainmentModel(draws=300, periods=1).fit(view, Company(), until=AT, win=win)


def scored(reps=1, *, goals=(), as_of=AT, **values):
    view = view_of(**sold_by(reps, **values), goals=list(goals))
    none = pd.DataFrame({"deal_id": []})
    return fitted(reps, **values).score(view, Company(), as_of=as_of, deals_scored=none)


@pytest.mark.parametrize(
    "values", [{}, {"reps": 3}, {"giant": "10000000.00"}, {"amount": "1000.00", "currency": "USD"}]
)
def test_odd_companies_have_figures_without_gaps(values):
    reps, teams, reasons = scored(**values)
    for table in (reps, teams):
        assert len(table)
        assert np.isfinite(table[NUMBERS].to_numpy(float)).all()
        assert (table["p10"] <= table["p50"]).all()
        assert (table["p50"] <= table["p90"]).all()
    assert np.isfinite(reasons["contribution"]).all()


def test_a_single_rep_is_the_company():
    reps, teams, _ = scored()
    company = teams[teams["team_id"] == "company"].iloc[0]
    # Deals of the period: won 20 days after they were made, from 1 April to 1 June, 1000 each; one every 7 days.
    made = [AT - pd.Timedelta(days=3.5 * n + 1) for n in range(0, 104, 2)]
    closed = [m + pd.Timedelta(days=20) for m in made]
    so_far = 1000.0 * sum(pd.Timestamp("2026-04-01", tz="UTC") <= c <= AT for c in closed)
    assert company["actual_to_date"] == so_far == reps["actual_to_date"].item()
    np.testing.assert_allclose(
        company[["p10", "p50", "p90"]].astype(float), reps.iloc[0][["p10", "p50", "p90"]].astype(float)
    )


def test_where_all_amounts_are_alike_totals_are_multiples_of_it():
    reps, _, _ = scored()
    np.testing.assert_allclose(np.mod(reps[["p10", "p50", "p90"]].to_numpy(float), 1000), 0, atol=1e-6)


def test_a_giant_deal_of_the_past_does_not_move_the_middle():
    usual, giant = scored()[1], scored(giant="10000000.00")[1]
    # One of 50 wins was 10,000 times as large; the middle of a handful of wins stays within some wins of the usual one.
    assert giant["p50"].iloc[0] < 3 * usual["p90"].iloc[0]


def test_a_goal_of_zero_gives_no_chance_and_no_target():
    _, teams, _ = scored(goals=[goal("g", "bookings", 0)])
    assert teams[["target", "p_attain"]].isna().all().all()


def test_goals_of_overlapping_periods_each_have_their_own_forecast():
    goals = [
        goal("year", "bookings", 90_000, start="2026-01-01", end="2027-01-01"),
        goal("quarter", "bookings", 20_000),
        goal("month", "bookings", 5_000, start="2026-06-01", end="2026-07-01"),
    ]
    _, teams, _ = scored(goals=goals)
    company = teams[teams["team_id"] == "company"]
    company = company.set_index(company["period_start"].astype(str))
    assert company["target"].to_dict() == {"2026-04-01": 20_000, "2026-01-01": 90_000, "2026-06-01": 5_000}
    # A longer period holds what a shorter one does.
    assert company.loc["2026-01-01", "p50"] >= company.loc["2026-04-01", "p50"] >= company.loc["2026-06-01", "p50"]


def test_wins_are_counted_and_their_share_is_of_the_same_draws():
    goals = [goal("n", "won_deals", 20), goal("c", "conversion_rate", 0.4)]
    _, teams, _ = scored(goals=goals)
    company = teams[teams["team_id"] == "company"].set_index("metric")
    # Since 1 April the wins closed so far as above; losses 30 days after they were made.
    since = pd.Timestamp("2026-04-01", tz="UTC")
    ends = [AT - pd.Timedelta(days=3.5 * n + 1) + pd.Timedelta(days=20 if n % 2 == 0 else 30) for n in range(104)]
    won = sum(since <= e <= AT for n, e in enumerate(ends) if n % 2 == 0)
    lost = sum(since <= e <= AT for n, e in enumerate(ends) if n % 2)
    assert company.loc["won_deals", "actual_to_date"] == won
    assert company.loc["conversion_rate", "actual_to_date"] == pytest.approx(won / (won + lost))
    shares = company.loc["conversion_rate", ["p10", "p50", "p90"]].astype(float)
    assert shares.between(0, 1).all()
    assert shares.is_monotonic_increasing
    assert 0 < company.loc["conversion_rate", "p_attain"] < 1


def test_a_period_that_is_over_is_what_it_was():
    model, view = fitted(), view_of(**sold_by())
    none = pd.DataFrame({"deal_id": []})
    over = (pd.Timestamp("2026-01-01").date(), pd.Timestamp("2026-04-01").date())
    for metric in ("bookings", "won_deals", "conversion_rate"):
        found = model.forecasts(view, Company(), as_of=AT, deals_scored=none, periods=[(*over, metric)])[0]
        total = found.draws.of(found.people.teams["company"])
        np.testing.assert_allclose(total, found.draws.so_far(found.people.teams["company"]))
    # One win each week: 90 days hold 12 or 13 of them.
    assert found.draws.closed.sum() in (12, 13)


def test_leads_alone_are_no_sales():
    view = view_of(**sold_by(kind="lead"))
    with pytest.raises(NothingSold, match="Import deals with outcome and closed_at"):
        AttainmentModel(periods=1).fit(view, Company(), until=AT, win=WinModel())
