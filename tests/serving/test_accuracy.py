"""Accuracy of forecasts on a few deals whose figures are worked out by hand."""

from math import log

import pandas as pd
import pytest

from crm.company import Company
from serving.accuracy import accuracy, actuals
from serving.ledger import Ledger
from serving.store import Store
from tests.builders import a_deal, a_rep, at, view_of

AS_OF = at("2025-11-15")  # in the quarter from 2025-10-01 to 2026-01-01, 45 days after its start, 47 before its end
UNTIL = at("2026-03-01")


def won(deal_id, day, **values):
    return a_deal(deal_id, created_at="2025-06-01T00:00:00Z", outcome="won", closed_at=f"{day}T10:00:00Z", **values)


def lost(deal_id, day):
    return {**won(deal_id, day), "outcome": "lost"}


# Open on 2025-08-15, 45 days into the quarter before: b1 to b4 and the later ones d1 to d4; of these 8 one (b1) was won
# by 2025-10-01. So the base rate known on AS_OF is (1 + 0.5) / (8 + 1) = 1/6.
DEALS = [
    won("b1", "2025-09-10", owner_id="r9"),
    lost("b2", "2025-09-10"),
    lost("b3", "2025-10-10"),
    lost("b4", "2025-10-10"),
    won("d1", "2025-12-01", amount="1000.00"),
    lost("d2", "2025-12-01"),
    won("d3", "2026-02-01"),  # won, but after the period: no win in it
    a_deal("d4", created_at="2025-06-01T00:00:00Z"),
]
SAID = {"d1": 0.9, "d2": 0.1, "d3": 0.2, "d4": 0.4}


@pytest.fixture
def ledger(tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    yield Ledger(store)
    store.close()


def issue(ledger, entity, frame, as_of=AS_OF, kind="issued"):
    ledger.add(kind, entity, frame, as_of=as_of, model_version="1", data_cut=1)


def said_of_deals():
    return pd.DataFrame({"deal_id": list(SAID), "p_win_in_period": list(SAID.values())})


def test_deals_are_judged_on_the_period_against_the_share_of_the_one_before(ledger):
    issue(ledger, "deal", said_of_deals())
    figures = accuracy(ledger, view_of(deals=DEALS), Company(), kind="issued", until=UNTIL).deals.figures
    ours = -(log(0.9) + log(0.9) + log(0.8) + log(0.6)) / 4
    base = -(log(1 / 6) + 3 * log(5 / 6)) / 4
    assert figures["log_loss"] == pytest.approx(ours)
    assert figures["skill"] == pytest.approx(1 - ours / base)
    assert figures["brier"] == pytest.approx((0.1**2 + 0.1**2 + 0.2**2 + 0.4**2) / 4)
    assert (figures["realised_share"], figures["mean_forecast"]) == (0.25, pytest.approx(0.4))


def test_what_was_said_first_counts_and_later_runs_on_the_same_moment_do_not(ledger):
    issue(ledger, "deal", said_of_deals())
    issue(ledger, "deal", said_of_deals().assign(p_win_in_period=[1.0, 0.0, 0.0, 0.0]))
    figures = accuracy(ledger, view_of(deals=DEALS), Company(), kind="issued", until=UNTIL).deals.figures
    assert (figures["rows"], figures["mean_forecast"]) == (4, pytest.approx(0.4))


def test_nothing_is_judged_before_its_period_is_over(ledger):
    issue(ledger, "deal", said_of_deals())
    early = accuracy(ledger, view_of(deals=DEALS), Company(), kind="issued", until=at("2025-12-31"))
    assert (early.deals.figures, early.reps.figures) == ({}, {})


def test_issued_and_reconstructed_stay_apart(ledger):
    issue(ledger, "deal", said_of_deals(), kind="reconstructed")
    view = view_of(deals=DEALS)
    assert accuracy(ledger, view, Company(), kind="issued", until=UNTIL).deals.figures == {}
    assert accuracy(ledger, view, Company(), kind="reconstructed", until=UNTIL).deals.figures["rows"] == 4


PERIOD = {
    "period_start": at("2025-10-01").date(),
    "period_end": at("2026-01-01").date(),
    "metric": "bookings",
    "p10": 1000.0,
    "p50": 1500.0,
    "p90": 2000.0,
}
REPS = [a_rep("r1", team_id="t1"), a_rep("r2", team_id="t2"), a_rep("r9", team_id="t2")]
TEAMS = [{"team_id": "top", "name": "Top"}, *({"team_id": t, "name": t, "parent_team_id": "top"} for t in ("t1", "t2"))]
# In the quarter r1 books 910 on 2025-10-20 and 1000 on 2025-12-01: in all 1910, before AS_OF 910.
SALES = [won("s1", "2025-10-20", amount="910.00"), *DEALS]


def test_a_total_is_judged_against_what_the_period_came_to_and_the_run_rate(ledger):
    issue(ledger, "rep", pd.DataFrame([{"rep_id": "r1", **PERIOD}]))
    found = accuracy(ledger, view_of(deals=SALES, reps=REPS), Company(), kind="issued", until=UNTIL).reps
    (row,) = found.rows.to_dict("records")
    # 910 so far, and 910 in the last 91 days are 10 a day for the 47 days left.
    assert (row["actual"], row["run_rate"]) == (1910, pytest.approx(910 + 10 * 47))
    assert found.figures["error"] == pytest.approx(410 / 1910)
    assert found.figures["rival_error"] == pytest.approx(530 / 1910)
    assert found.figures["coverage"] == 1


def test_a_goal_for_the_year_does_not_drown_the_quarters_errors(ledger):
    year = {**PERIOD, "period_start": at("2025-01-01").date(), "p50": 9000.0}
    issue(ledger, "rep", pd.DataFrame([{"rep_id": "r1", **PERIOD}, {"rep_id": "r1", **year}]))
    found = accuracy(ledger, view_of(deals=SALES, reps=REPS), Company(), kind="issued", until=UNTIL).reps
    assert (found.figures["rows"], found.figures["error"]) == (1, pytest.approx(410 / 1910))


def test_teams_count_their_people_and_those_below(ledger):
    rows = [{"team_id": t, **PERIOD} for t in ("t1", "t2", "top", "company")]
    issue(ledger, "team", pd.DataFrame(rows))
    view = view_of(deals=SALES, reps=REPS, teams=TEAMS)
    table = accuracy(ledger, view, Company(), kind="issued", until=UNTIL).teams.rows.set_index("team_id")
    # r9's only win was in the quarter before, so t2 ends at nothing, outside its range.
    assert table["actual"].to_dict() == {"t1": 1910, "t2": 0, "top": 1910, "company": 1910}


def test_shared_deals_count_by_their_shares_and_leads_not_at_all():
    splits = [{"deal_id": "d1", "rep_id": r, "share": s} for r, s in (("r1", 0.25), ("r2", 0.75))]
    deals = [won("d1", "2025-12-01", amount="1000.00"), won("l1", "2025-12-01", kind="lead")]
    view = view_of(deals=deals, deal_splits=splits)
    found = actuals(view, Company(), since=pd.Timestamp(at("2025-01-01")), until=pd.Timestamp(UNTIL))
    assert found.set_index("rep_id")["bookings"].to_dict() == {"r1": 250, "r2": 750}
    assert found.set_index("rep_id")["won_deals"].to_dict() == {"r1": 0.25, "r2": 0.75}
