"""Pace by the API: figures worked out by hand, live with new data, and only what one may see."""

from datetime import timedelta

import pytest

from serving.app import create_app
from serving.home import Home
from serving.settings import Settings
from serving.store import Store
from serving.tokens import make_token
from serving.users import add_user, read_user
from tests.builders import a_deal, at, table_of
from tests.serving.asked import ask
from tests.serving.small_site import fill, write_scores

USERS = {"admin": ("admin", None), "m1": ("manager", "m1"), "r1": ("rep", "r1"), "r3": ("rep", "r3")}
QUARTER = {"metric": "bookings", "period_start": "2026-01-01", "period_end": "2026-04-01"}


def won(deal_id, owner, amount, **values):
    return a_deal(deal_id, owner_id=owner, outcome="won", amount=str(amount), created_at="2026-01-05",
                  closed_at="2026-02-10T10:00:00Z", **values)  # fmt: skip


@pytest.fixture
def company(tmp_path):
    home = Home(tmp_path / "home")
    home.make()
    home.company_file.write_text("people: {level: person}\n", encoding="utf-8")
    fill(home)
    write_scores(home)
    goals = [
        QUARTER | {"goal_id": "all", "owner_kind": "company", "owner_id": "company", "target": 100_000},
        QUARTER | {"goal_id": "west", "owner_kind": "team", "owner_id": "west", "target": 60_000},
        QUARTER | {"goal_id": "r1", "owner_kind": "rep", "owner_id": "r1", "target": 40_000},
        QUARTER | {"goal_id": "p9", "owner_kind": "company", "owner_id": "company", "target": 10_000,
                   "product_id": "P9"},
    ]  # fmt: skip
    rows = {
        "goals": table_of("goals", goals),
        "products": table_of("products", [{"product_id": "P9", "name": "Nine"}]),
        "deals": table_of("deals", [won("w1", "r1", 20_000), won("w2", "r3", 8_000, product_id="P9")]),
    }
    home.lake.merge(rows, source="test")
    store = Store(home.database_url)
    tokens = {}
    for name, (role, rep) in USERS.items():
        number = add_user(store, f"{name}@example.com", None, role, rep_id=rep)
        tokens[name] = make_token(store, read_user(store, number), "t", ["read", "write"], days=1)[1]
    store.close()
    app = create_app(Settings(home=home.root))

    def pace(who, **query):
        headers = {"authorization": f"Bearer {tokens[who]}", "accept": "application/json"}
        answer = ask(app, "/api/v1/pace", headers=headers, params=query)
        assert answer.status_code == 200, answer.text
        return {row["goal_id"]: row for row in answer.json()["goals"]}

    yield home, pace
    app.state.server.store.close()


def test_each_goal_stands_against_the_working_days_gone(company):
    # Newest event Sunday 1 March: 22 + 20 of 64 working days gone, no like period before: a straight line, 0.65625.
    found = company[1]("admin")
    assert found["all"]["due"] == pytest.approx(42 / 64)
    assert (found["all"]["actual"], found["all"]["expected"], found["all"]["gap"]) == (28_000, 65_625, -37_625)
    assert found["all"]["status"] == "far behind"  # 0.43
    # r1: due 26,250, reached 20,000: 0.762. 20,000 left, the scores expect 30 of open deals: 19,970 uncovered.
    assert (found["r1"]["status"], found["r1"]["uncovered"]) == ("far behind", 19_970)
    # Only deals of P9 count for the product's goal: 8,000 against 6,562.50.
    assert (found["p9"]["actual"], found["p9"]["gap"], found["p9"]["status"]) == (8_000, 1_437.5, "ahead")


def test_a_sync_is_seen_at_once(company):
    home, pace = company
    assert pace("admin")["r1"]["actual"] == 20_000
    late = won("w3", "r1", 5_000) | {"closed_at": at("2026-03-02T10:00:00Z") + timedelta(0)}
    home.lake.merge({"deals": table_of("deals", [late])}, source="sync")
    # One more working day is gone, and the deal counts, though nothing was scored since.
    assert (pace("admin")["r1"]["actual"], pace("admin")["r1"]["due"]) == (25_000, pytest.approx(43 / 64))


def test_each_sees_the_pace_of_whom_they_see(company):
    home, pace = company
    assert sorted(pace("m1")) == ["r1", "west"]
    assert sorted(pace("r1")) == ["r1"]
    assert sorted(pace("r3")) == []
    assert sorted(pace("admin", owner_kind="company")) == ["all", "p9"]
    assert sorted(pace("admin", product_id="P9")) == ["p9"]
    home.company_file.write_text("people: {level: team, min_group: 2}\n", encoding="utf-8")
    assert sorted(pace("m1")) == ["west"]  # figures on a person are that person's alone
    assert sorted(pace("r1")) == ["r1"]
