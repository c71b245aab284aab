"""Goal against result of a quarter that is over, and what stands beside it."""

from datetime import UTC, datetime

import pytest

from crm.company import Company
from crm.lake import Lake
from planning.goals import Facts, goals_of
from planning.record import last_quarter, market_share, results, rivals, voices
from tests.builders import a_deal, a_rep, an_account, table_of

NOW = datetime(2026, 5, 15, 12, tzinfo=UTC)
QUARTER = {"metric": "bookings", "period_start": "2026-01-01", "period_end": "2026-04-01"}


def won(deal_id, day, amount, outcome="won", **more):
    return a_deal(
        deal_id, outcome=outcome, amount=amount, created_at="2025-08-01", closed_at=f"{day}T10:00:00Z", **more
    )


@pytest.fixture(scope="module")
def view(tmp_path_factory):
    """January to March: 400 of P1 (small) and 200 of P2 (large) won, one lost to Rex; 300 of P1 the quarter before."""
    goals = [
        {"goal_id": "top", "owner_kind": "company", "owner_id": "company", "target": 800.0, **QUARTER},
        {
            "goal_id": "p1",
            "owner_kind": "company",
            "owner_id": "company",
            "target": 500.0,
            "product_id": "P1",
            **QUARTER,
        },
        {"goal_id": "r1", "owner_kind": "rep", "owner_id": "r1", "target": 500.0, **QUARTER},
    ]
    deals = [
        won("d0", "2025-09-01", "50", product_id="P1", account_id="a1"),
        won("d1", "2025-11-03", "300", product_id="P1", account_id="a1"),
        won("d2", "2026-02-03", "400", product_id="P1", account_id="a1", competitor="Rex"),
        won("d3", "2026-03-03", "200", product_id="P2", account_id="a2"),
        won("d4", "2026-03-04", "900", "lost", product_id="P2", account_id="a2", competitor="Rex"),
    ]
    surveys = [
        {"response_id": f"s{n}", "account_id": "a1", "asked_at": when, "score": score, "scale": "1-5"}
        for n, (when, score) in enumerate([("2025-12-01", 3.0), ("2026-02-01", 4.0), ("2026-03-01", 5.0)])
    ]
    rows = {
        "reps": [a_rep("r1")], "deals": deals, "goals": goals, "surveys": surveys,
        "accounts": [an_account("a1", segment="small"), an_account("a2", segment="large")],
    }  # fmt: skip
    lake = Lake(tmp_path_factory.mktemp("record") / "lake")
    lake.merge({name: table_of(name, part) for name, part in rows.items()}, source="test")
    return lake.view()


def test_goals_products_and_segments_against_what_came(view):
    company = Company()
    facts = Facts.read(view, company, NOW)
    period = last_quarter(facts, company)
    assert (period.name, period.start.month) == ("FY2026-Q1", 1)
    found = {(r.part, r.scope): r for r in results(facts, goals_of(view, company, NOW), company, period)}
    assert found["goal", ""].attainment == pytest.approx(600 / 800)
    assert found["goal", "P1"].attainment == pytest.approx(400 / 500)
    assert (found["product", "P1"].result, found["product", "P1"].before) == (400.0, 300.0)
    assert (found["segment", "large"].result, found["segment", "large"].target) == (200.0, None)
    assert all(r.owner_kind != "rep" for r in found.values())


def test_competitors_surveys_and_the_market_stand_beside_it(view):
    company = Company()
    facts = Facts.read(view, company, NOW)
    period = last_quarter(facts, company)
    assert [(r.name, r.won, r.lost, r.rate) for r in rivals(view, facts, period)] == [
        ("Rex", 1, 1, None), ("", 1, 0, None)
    ]  # fmt: skip
    (said,) = voices(view, company, facts.today, period)
    assert (said.answers, said.mean, said.before) == (2, 4.5, 3.0)
    assert market_share(facts, period) == (None, "needs market_sizes")
