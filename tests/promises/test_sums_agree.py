"""Sums agree: one joint simulation lies behind deal, rep, team and company; forecasts add up draw by draw."""

import numpy as np
import pytest

from tests.models.sold_company import sold


@pytest.fixture(scope="module")
def forecast():
    s = sold()
    quarter = s.company.period_of(s.as_of.date())
    periods = [(quarter.start, quarter.end, "bookings")]
    return s.attainment.forecasts(s.view, s.company, as_of=s.as_of, deals_scored=s.scored, periods=periods)[0]


def test_a_rep_draw_is_closed_and_deals_and_new_business(forecast):
    draws = forecast.draws
    for rep in range(len(draws.closed)):
        share = draws.credit.toarray()[rep]
        by_hand = draws.closed[rep] + (share[:, None] * draws.deals).sum(axis=0) + draws.new[rep]
        np.testing.assert_allclose(draws.reps[rep], by_hand, rtol=1e-12)


def test_a_team_draw_is_the_sum_of_those_below(forecast):
    s = sold()
    parents = dict(s.view.arrow("teams").select(["team_id", "parent_team_id"]).to_pandas().itertuples(index=False))
    draws, people = forecast.draws, forecast.people
    for team in parents:
        children = [child for child, parent in parents.items() if parent == team]
        direct = set(people.teams[team]) - {i for child in children for i in people.teams[child]}
        by_hand = draws.reps[sorted(direct)].sum(axis=0) + sum(draws.of(people.teams[child]) for child in children)
        np.testing.assert_allclose(draws.of(people.teams[team]), by_hand, rtol=1e-12)


def test_the_company_draw_is_all_deals_in_full(forecast):
    draws = forecast.draws
    np.testing.assert_allclose(np.asarray(draws.credit.sum(axis=0)), 1.0, atol=1e-9)  # no credit is lost or doubled
    by_hand = draws.closed.sum() + draws.deals.sum(axis=0) + draws.new.sum(axis=0)
    np.testing.assert_allclose(draws.of(forecast.people.teams["company"]), by_hand, rtol=1e-12)


def test_the_files_say_the_same():
    s = sold()
    reps, teams, _ = s.attainment.score(s.view, s.company, as_of=s.as_of, deals_scored=s.scored)
    tree = s.view.arrow("teams").to_pandas()
    staff = s.view.arrow("reps").to_pandas().set_index("rep_id")["team_id"]
    leaf = set(tree["team_id"]) - set(tree["parent_team_id"].dropna())
    for column in ("actual_to_date", "expected_open", "expected_new"):
        by_team = reps.groupby(reps["rep_id"].map(staff))[column].sum()
        for team in leaf & set(by_team.index):
            row = teams[(teams["team_id"] == team)].iloc[0]
            assert row[column] >= by_team[team] - 1e-6
            assert row[column] == pytest.approx(by_team[team], rel=0.02, abs=1)  # the rest: those who left
