"""Goals by the API: who sees and sets which, what is refused, and a target split into goals."""

import pytest

from serving.app import create_app
from serving.home import Home
from serving.settings import Settings
from serving.store import Store
from serving.tokens import make_token
from serving.users import add_user, read_user
from tests.builders import table_of
from tests.serving.asked import ask
from tests.serving.small_site import fill, write_scores

USERS = {
    "admin": ("admin", None), "analyst": ("analyst", None), "head": ("manager", "head"), "m1": ("manager", "m1"),
    "r1": ("rep", "r1"), "r3": ("rep", "r3"),
}  # fmt: skip
CRM = {"metric": "bookings", "period_start": "2026-01-01", "period_end": "2027-01-01", "target": 1_000_000}
WEST = {"owner_kind": "team", "owner_id": "west", "metric": "bookings", "target": 900.0, "why": "plan of the year",
        "period_start": "2026-01-01", "period_end": "2027-01-01"}  # fmt: skip


class Company:
    def __init__(self, root):
        home = Home(root)
        home.make()
        fill(home)
        write_scores(home)
        rows = [
            CRM | {"goal_id": "g-all", "owner_kind": "company", "owner_id": "company"},
            CRM | {"goal_id": "g-west", "owner_kind": "team", "owner_id": "west", "target": 600_000},
            CRM
            | {"goal_id": "g-r3", "owner_kind": "rep", "owner_id": "r3", "target": 200_000, "parent_goal_id": "g-all"},
        ]
        home.lake.merge({"goals": table_of("goals", rows)}, source="test")
        store = Store(home.database_url)
        self.tokens = {}
        for name, (role, rep) in USERS.items():
            number = add_user(store, f"{name}@example.com", None, role, rep_id=rep)
            self.tokens[name] = make_token(store, read_user(store, number), "t", ["read", "write"], days=1)[1]
        store.close()
        self.app = create_app(Settings(home=home.root))

    def ask(self, who, method, path="", **given):
        headers = {"authorization": f"Bearer {self.tokens[who]}", "accept": "application/json"}
        return ask(self.app, f"/api/v1/goals{path}", method=method, headers=headers, **given)

    def made(self, who="admin", **fields):
        answer = self.ask(who, "POST", json=WEST | fields)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def names(self, who, **query):
        return sorted(goal["goal_id"] for goal in self.ask(who, "GET", params=query).json()["goals"])


@pytest.fixture
def company(tmp_path):
    made = Company(tmp_path / "home")
    yield made
    made.app.state.server.store.close()


def test_each_sees_the_goals_of_whom_they_see(company):
    # West is led by m1 (r1, r2); r3 is in East; head leads the team above both, and nobody of them the company.
    assert company.names("admin") == company.names("analyst") == ["g-all", "g-r3", "g-west"]
    assert company.names("head") == ["g-r3", "g-west"]
    assert company.names("m1") == ["g-west"]
    assert company.names("r3") == ["g-r3"]
    assert company.names("r1") == []
    assert company.ask("r1", "GET", "/g-west").status_code == company.ask("r1", "GET", "/none").status_code == 404


def test_who_may_set_what(company):
    rep = {"owner_kind": "rep", "owner_id": "r1", "metric": "won_deals", "target": 9}
    wished = {
        ("admin", "company"): 201, ("head", "west"): 201, ("m1", "r1"): 201,
        ("analyst", "west"): 403, ("r1", "r1"): 403, ("m1", "company"): 404, ("m1", "r3"): 404, ("m1", "m1"): 403,
    }  # fmt: skip
    kinds = {"company": "company", "west": "team"}
    found = {
        (who, owner): company.ask(
            who, "POST", json=WEST | rep | {"owner_kind": kinds.get(owner, "rep"), "owner_id": owner}
        ).status_code
        for who, owner in wished
    }
    assert found == wished


def test_a_goal_is_changed_and_ended_with_its_history(company):
    made = company.made(metric="won_deals", target=10)
    path = f"/{made['goal_id']}"
    assert (made["goal_id"], made["source"], made["version"], made["may_change"]) == ("bw-1", "here", 1, True)
    changed = company.ask("head", "PATCH", path, json={"target": 12, "version": 1, "why": "more people"})
    assert (changed.json()["target"], changed.json()["version"]) == (12, 2)
    late = company.ask("head", "PATCH", path, json={"target": 13, "version": 1, "why": "more people"})
    assert (late.status_code, "version 2" in late.json()["detail"]) == (409, True)
    assert company.ask("m1", "DELETE", path).status_code == 422
    ended = company.ask("m1", "DELETE", path, params={"why": "team merged"}).json()
    assert ended["ended_at"] is not None
    assert company.names("m1") == ["g-west"]
    assert company.names("m1", ended="true") == ["bw-1", "g-west"]
    told = company.ask("m1", "GET", f"{path}/history").json()["changes"]
    assert [(c["version"], c["what"], c["why"]) for c in told] == [
        (1, "made", "plan of the year"), (2, "changed", "more people"), (3, "ended", "team merged"),
    ]  # fmt: skip
    assert (told[1]["before"]["target"], told[1]["after"]["target"]) == (10, 12)
    assert told[1]["user_id"] != told[2]["user_id"]
    assert company.ask("r1", "GET", f"{path}/history").status_code == 404


def test_goals_of_the_crm_are_read_only_until_taken_over(company):
    for method, how in (
        ("PATCH", {"json": {"target": 1, "why": "because"}}),
        ("DELETE", {"params": {"why": "because"}}),
    ):
        refused = company.ask("m1", method, "/g-west", **how)
        assert (refused.status_code, "take-over" in refused.json()["detail"]) == (400, True)
    refused = company.ask("m1", "POST", json=WEST)
    assert (refused.status_code, "g-west" in refused.json()["detail"]) == (400, True)
    taken = company.ask("m1", "POST", "/g-west/take-over", json={"why": "kept here from now on"}).json()
    assert (taken["target"], taken["hides"], taken["source"]) == (600_000, "g-west", "here")
    assert company.names("m1") == ["bw-1"]
    assert company.ask("m1", "POST", "/g-west/take-over", json={"why": "once more"}).status_code == 404
    assert company.ask("m1", "POST", "/bw-1/take-over", json={"why": "once more"}).status_code == 400


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"period_end": "2026-01-01"}, 400, "period_end"),
        ({"metric": "conversion_rate", "target": 25}, 400, "share"),
        ({"metric": "won_deals", "currency": "EUR"}, 400, "currency"),
        ({"metric": "won_deals", "product_id": "none"}, 400, "product_id"),
        ({"metric": "won_deals", "parent_goal_id": "none"}, 400, "parent_goal_id"),
        ({"owner_id": "nowhere"}, 404, "nowhere"),
        ({"owner_kind": "company", "owner_id": "west"}, 400, "company"),
        ({"target": 0}, 422, "target"),
        ({"target": -5}, 422, "target"),
        ({"why": ""}, 422, "why"),
        ({"colour": "red"}, 422, "colour"),
    ],
)
def test_a_goal_that_makes_no_sense_is_refused_with_its_field(company, fields, status, said):
    answer = company.ask("admin", "POST", json=WEST | fields)
    assert (answer.status_code, said in answer.json()["detail"]) == (status, True), answer.text
    assert company.names("admin") == ["g-all", "g-r3", "g-west"]


def test_a_target_split_equally_is_shown_then_applied_but_for_the_viewer(company):
    wish = {"goal_id": "g-west", "method": "equal", "pins": {"r1": 400_000}}
    shown = company.ask("m1", "POST", "/cascade", json=wish).json()
    # 600,000 less 400,000 fixed by hand for r1 leaves 100,000 each for r2 and m1.
    wanted = {"r1": 400_000, "r2": 100_000, "m1": 100_000}
    assert {row["owner_id"]: row["target"] for row in shown["rows"]} == wanted
    assert {row["owner_id"]: sum(row["months"].values()) for row in shown["rows"]} == wanted
    assert company.names("m1") == ["g-west"]
    assert company.ask("m1", "POST", "/cascade", json=wish | {"apply": True}).status_code == 400
    order = wish | {"apply": True, "why": "the split of 2026"}
    done = company.ask("m1", "POST", "/cascade", json=order).json()["goals"]
    assert {goal["owner_id"]: goal["target"] for goal in done} == {"r1": 400_000, "r2": 100_000}
    assert {goal["parent_goal_id"] for goal in done} == {"g-west"}
    again = company.ask("m1", "POST", "/cascade", json=order).json()["goals"]
    assert {goal["version"] for goal in again} == {1}  # what is the same is no change


def test_a_split_applied_takes_over_what_the_crm_says_of_the_people(company):
    wish = {"goal_id": "g-all", "method": "equal", "apply": True, "why": "the split of 2026"}
    done = company.ask("admin", "POST", "/cascade", json=wish).json()["goals"]
    # A million over seven people in units of 1,000; teams have the sums of their people.
    targets = {goal["owner_id"]: goal["target"] for goal in done}
    assert sum(targets[person] for person in ("r1", "r2", "r3", "r4", "m1", "m2", "head")) == 1_000_000
    assert targets["west"] == targets["r1"] + targets["r2"] + targets["m1"]
    assert {goal["owner_id"]: goal["hides"] for goal in done if goal["hides"]} == {"west": "g-west", "r3": "g-r3"}


def test_a_split_reaches_only_below_the_viewer(company):
    assert company.ask("m1", "POST", "/cascade", json={"goal_id": "g-all"}).status_code == 404
    mine = company.ask("m1", "POST", "/cascade", json={"method": "equal"})
    assert mine.json()["goal_id"] == "g-west"
    assert company.ask("r1", "POST", "/cascade", json={"method": "equal"}).status_code == 404
    assert company.ask("analyst", "POST", "/cascade", json={"goal_id": "g-all", "method": "equal"}).status_code == 200
    refused = company.ask(
        "analyst", "POST", "/cascade", json={"goal_id": "g-all", "method": "equal", "apply": True, "why": "because"}
    )
    assert refused.status_code == 403


def test_lists_come_by_page_and_as_a_file(company):
    for metric in ("won_deals", "activities"):
        company.made(metric=metric)
    first = company.ask("admin", "GET", params={"limit": 2, "sort": "goal_id"}).json()
    second = company.ask("admin", "GET", params={"limit": 9, "sort": "goal_id", "cursor": first["next_cursor"]}).json()
    assert [g["goal_id"] for g in first["goals"] + second["goals"]] == ["bw-1", "bw-2", "g-all", "g-r3", "g-west"]
    assert first["total"] == 5
    assert company.names("admin", metric="won_deals") == ["bw-1"]
    assert company.names("admin", running_on="2025-12-31") == []
    text = company.ask("admin", "GET", params={"format": "csv"}).text
    assert text.splitlines()[0].lstrip("\ufeff").startswith("goal_id,source,owner_kind")
    assert len(text.splitlines()) == 6


def test_a_change_is_undone_and_the_undoing_too(company):
    made = company.made(metric="won_deals", target=10)
    path = f"/{made['goal_id']}"
    company.ask("m1", "PATCH", path, json={"target": 12, "why": "more people"})

    def newest():
        return company.ask("admin", "GET", f"{path}/history").json()["changes"][-1]

    def undo(who="admin"):
        return company.ask(who, "POST", "/undo", json={"batch": newest()["batch"], "why": "not agreed"})

    assert undo("r1").status_code == 404
    assert [(g["target"], g["version"]) for g in undo().json()["goals"]] == [(10, 3)]
    assert (newest()["what"], newest()["why"]) == ("undone", "not agreed")
    assert undo().json()["goals"][0]["target"] == 12
    company.ask("m1", "DELETE", path, params={"why": "team merged"})
    assert undo().json()["goals"][0]["ended_at"] is None
    assert company.names("m1") == ["bw-1", "g-west"]


def test_a_split_is_undone_whole_or_not_at_all(company):
    # West's 600,000 of the CRM on r1 and r2, both at full time: 300,000 each; r3's goal is the CRM's 200,000.
    split = {"goal_id": "g-all", "method": "equal", "apply": True, "why": "half year"}
    answer = company.ask("admin", "POST", "/cascade", json=split).json()
    made = {goal["owner_id"]: goal for goal in answer["goals"]}
    assert made["r3"]["hides"] == "g-r3"
    assert (made["r1"]["parent_goal_id"], made["all"]["parent_goal_id"]) == (made["west"]["goal_id"], "g-all")
    changed = company.ask("admin", "PATCH", f"/{made['r1']['goal_id']}", json={"target": 5, "why": "part time"})
    batch = {"batch": answer["batch"], "why": "wrong year"}
    refused = company.ask("admin", "POST", "/undo", json=batch)
    assert (refused.status_code, "version 2" in refused.json()["detail"]) == (409, True)
    assert company.ask("admin", "GET", f"/{made['r2']['goal_id']}").json()["ended_at"] is None
    last = company.ask("admin", "GET", f"/{changed.json()['goal_id']}/history").json()["changes"][-1]
    company.ask("admin", "POST", "/undo", json={"batch": last["batch"], "why": "after all"})
    # The goal was put back, but by one more change: it is at version 3, and the split was version 1.
    assert company.ask("admin", "POST", "/undo", json=batch).status_code == 409


def test_undoing_a_split_gives_back_the_numbers_of_the_crm(company):
    split = {"goal_id": "g-all", "method": "equal", "apply": True, "why": "half year"}
    answer = company.ask("admin", "POST", "/cascade", json=split).json()
    undone = company.ask("admin", "POST", "/undo", json={"batch": answer["batch"], "why": "wrong year"}).json()
    stand = {goal["owner_id"]: (goal["target"], goal["ended_at"] is None) for goal in undone["goals"]}
    assert stand["r3"] == (200_000, True)  # as in the CRM
    assert stand["west"] == (600_000, True)
    assert stand["r1"][1] is False  # there was none
