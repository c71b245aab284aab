"""A goal is set, split, followed, out of reach: its risk opens, the plan fills with real deals, the pack shows it."""

import pandas as pd
import pytest

from crm.lake import newest_event
from crm.simulate import lake_view, simulate
from planning.overview import Plan, forecasts_of, pace_table
from serving.app import create_app
from serving.goals import WithGoals
from serving.home import Home
from serving.scores import ScoreBook
from serving.scoring import score_all
from serving.settings import Settings
from serving.store import Store
from serving.tokens import make_token
from serving.users import add_user, read_user
from tests.serving.asked import ask
from training.fit import train


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A small sample company with models in use and its first scores."""
    home = Home(tmp_path_factory.mktemp("home"))
    sample = simulate(reps=8, months=10, seed=3)
    home.make_sample(sample.settings)
    memory = lake_view(sample)
    home.lake.merge({name: memory.arrow(name) for name in memory.present}, source="test")
    view = home.lake.view()
    for what in ("win", "attainment"):
        given = {"tracking": home.tracking, "snapshots": home.snapshots, "as_of": newest_event(view), "trials": 0}
        train(what, view=view, company=home.company(), **given)
    score_all(home)
    return home


def test_a_goal_out_of_reach_opens_a_risk_starts_a_plan_with_real_deals_and_stands_in_the_pack(home):
    store = Store(home.database_url)
    number = add_user(store, "boss@example.com", None, "admin")
    token = make_token(store, read_user(store, number), "t", ["read", "write"], days=1)[1]
    app = create_app(Settings(home=home.root))

    def api(method, path, **given):
        headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
        answer = ask(app, f"/api/v1{path}", method=method, headers=headers, **given)
        assert answer.status_code < 300, answer.text
        return answer.json()

    company = home.company()
    first = ScoreBook(home.scores, home.lake).newest(company)
    period = company.period_of(first.as_of.astimezone(company.zone).date())
    before = _company_row(first, period)
    # Set: in place of the CRM's goal one that three times the middle of the forecast would just reach.
    goals = api("GET", "/goals", params={"owner_kind": "company", "metric": "bookings", "limit": 200})["goals"]
    crm = next(g for g in goals if g["period_start"] == str(period.start) and g["period_end"] == str(period.end))
    goal = api("POST", f"/goals/{crm['goal_id']}/take-over", json={"target": 3 * before["p50"], "why": "a bold year"})
    # Split: over teams and people, to the cent.
    split = api("POST", "/goals/cascade", json={"goal_id": goal["goal_id"], "apply": True, "why": "by capacity"})
    people = [row for row in split["rows"] if row["owner_kind"] == "rep"]
    assert sum(row["target"] for row in people) == pytest.approx(goal["target"])
    # Followed: it is far behind where the season's curve has it today.
    plan = Plan(WithGoals(home.lake.view(), store), company, first.as_of,
                forecasts_of(first.frames["reps"], first.frames["teams"]))  # fmt: skip
    pace = pace_table(plan).set_index("goal_id").loc[goal["goal_id"]]
    assert pace["status"] in ("behind", "far behind")
    # Missed, say the draws: the risk opens and the plan starts by itself.
    score_all(home, store=store, reuse=True)
    now = ScoreBook(home.scores, home.lake).newest(company)
    row = _company_row(now, period)
    assert row["target"] == pytest.approx(goal["target"])
    risks = api("GET", "/risks", params={"kind": "target_missed"})["risks"]
    risk = next(r for r in risks if r["subject_kind"] == "company")
    assert risk["likelihood"] == pytest.approx(1 - row["p_attain"], abs=0.001)
    assert 0 < risk["money"] <= risk["exposed"]
    started = [p for p in api("GET", "/risks/plans")["plans"] if p["template"] == "target_missed"]
    filled = next(p for p in started if p["subject_kind"] == "company")["filled"]
    assert filled["gap"] == pytest.approx(row["target"] - row["p50"], rel=1e-4)
    deals = home.lake.view().arrow("deals").to_pandas().set_index("deal_id")
    assert filled["cover"]
    of_deals = [line for line in filled["cover"] if line["deal_id"]]
    assert of_deals
    for line in of_deals:
        assert deals.at[line["deal_id"], "outcome"] == "open"
        assert deals.at[line["deal_id"], "owner_id"] == line["owner_id"]
    assert filled["covered"] + filled["open"] == pytest.approx(filled["gap"])
    # Reviewed: the pack of the meeting shows the risk and the plan with its gap, and what the plan covers.
    pack = api("GET", "/reviews/pack", params={"period": "monthly"})
    tables = next(part["tables"] for part in pack["sections"] if part["key"] == "risks")
    rows = [row for row in tables[0]["rows"] if row[0] == "Goal missed · new" and row[1].startswith("The company ")]
    assert [row[5] for row in rows] == [pytest.approx(risk["money"])]
    names = deals["name"].to_dict()
    (plan_row,) = [row for row in tables[1]["rows"] if row[0] == "Goal missed: The company"]
    assert plan_row[3:5] == [pytest.approx(filled["gap"]), pytest.approx(filled["covered"])]
    called = home.lake.view().arrow("accounts").to_pandas().set_index("account_id")["name"].to_dict()
    first = [
        names.get(line["deal_id"]) or line["deal_id"] if line["deal_id"] else called[line["account_id"]]
        for line in filled["cover"][:3]
    ]
    assert plan_row[5] == "; ".join(first)
    assert {"funnel", "levers"} <= {part["key"] for part in pack["sections"]}
    page = ask(app, "/today", headers={"authorization": f"Bearer {token}", "accept": "text/html"}).text
    assert "Contingency plan started" in page
    store.close()


def _company_row(scores, period):
    rows = scores.frames["teams"]
    mine = rows[(rows["team_id"] == "company") & (rows["metric"] == "bookings")]
    return mine[pd.to_datetime(mine["period_end"]).dt.date == period.end].sort_values("period_start").iloc[-1]
