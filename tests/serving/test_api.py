"""The API's answers on a small company whose scores are written out by hand."""

import httpx
import pytest

from tests.serving.small_site import PASSWORD


@pytest.fixture
def client(site):
    with site.client("admin@example.com") as client:
        yield client


def test_deals_come_by_expected_amount_a_page_at_a_time(client):
    # Deal dN is worth N * 100, so the order is d6 to d1; pages of 4 and 2.
    first = client.get("/deals", params={"limit": 4}).json()
    second = client.get("/deals", params={"limit": 4, "cursor": first["next_cursor"]}).json()
    assert [d["deal_id"] for d in first["deals"]] == ["d6", "d5", "d4", "d3"]
    assert [d["deal_id"] for d in second["deals"]] == ["d2", "d1"]
    assert (first["total"], second["next_cursor"]) == (6, None)


def test_deals_can_be_sorted_and_picked(client):
    low = client.get("/deals", params={"sort": "win_probability", "owner": "r4"}).json()
    assert [d["deal_id"] for d in low["deals"]] == ["d5", "d6"]
    assert client.get("/deals", params={"stage": "Qualify"}).json()["total"] == 6
    assert client.get("/deals", params={"stage": "Elsewhere"}).json() | {"as_of": "", "quality": ""} == {
        "as_of": "",
        "quality": "",
        "total": 0,
        "deals": [],
        "next_cursor": None,
    }


def test_a_deal_has_reasons_that_add_up_and_its_curve(client):
    deal = client.get("/deals/d4").json()
    reasons = deal["reasons"]
    total = reasons["base_value"] + sum(c["contribution"] for c in reasons["contributions"])
    assert total == pytest.approx(deal["win_probability"], abs=1e-6) == pytest.approx(0.4)
    assert [c["feature"] for c in reasons["contributions"]] == ["touches_30d", "stage"]  # 0.15 and 0.05
    assert deal["main_reason"]["feature"] == "touches_30d"
    assert deal["next_action"] == "call"
    assert [p["day"] for p in deal["curve"]] == [0, 30]
    assert (deal["note"], deal["quality"]) == ("Tested.", "no_signal")
    assert client.get("/deals").json()["quality"] == "no_signal"
    assert client.get("/accounts").json()["quality"] is None  # nothing says what its model is worth


def test_a_range_that_is_not_there_yet_is_said_to_be_computed(client):
    found = {d["deal_id"]: d for d in client.get("/deals").json()["deals"]}
    states = {deal: row["win_probability_range"] for deal, row in found.items()}
    assert states == {"d1": "being computed"} | dict.fromkeys(["d2", "d3", "d4", "d5", "d6"], "known")
    assert (found["d1"]["win_probability_low"], found["d1"]["win_probability_high"]) == (None, None)
    assert client.get("/deals/d1").json()["win_probability_range"] == "being computed"


def test_advice_says_what_it_rests_on_and_its_horizon(client):
    answer = client.get("/deals/d1/advice").json()
    assert answer["horizon_days"] == 60 * 7  # the company's default
    (step,) = answer["advice"]
    assert (step["action"], step["basis"], step["uplift_low"], step["uplift_high"]) == (
        "call",
        "association",
        -0.01,
        0.05,
    )
    assert step["reasons"]["zh"] == ["沉默"]
    assert (answer["on_track"], step["colleague_id"]) == (False, None)
    assert (
        step["would_change"][0]["en"] == "It leaves the list with a contact with the customer within the last 5 days."
    )


def test_a_deal_that_stands_like_deals_won_is_on_track(client):
    answer = client.get("/deals/d5/advice").json()
    assert (answer["on_track"], answer["advice"]) == (True, [])


def test_accounts_come_by_value_at_risk(client):
    answer = client.get("/accounts", params={"limit": 2}).json()
    assert [(a["account_id"], a["name"]) for a in answer["accounts"]] == [("a6", "Account a6"), ("a5", "Account a5")]
    assert client.get("/accounts/a6").json()["value_at_risk"] == 6


def test_forecasts_of_reps_and_teams(client):
    rep, team = client.get("/reps/r1/forecast").json(), client.get("/teams/company/forecast").json()
    assert (rep["forecasts"][0]["p50"], team["forecasts"][0]["p_attain"]) == (50, 0.1)


def test_reps_and_teams_are_listed_by_page_and_as_files(client):
    reps = client.get("/reps", params={"limit": 3, "metric": "bookings"}).json()
    assert ([r["rep_id"] for r in reps["reps"]], reps["total"]) == (["r1", "r2", "r3"], 4)  # all end at 50: by key
    following = client.get("/reps", params={"limit": 3, "metric": "bookings", "cursor": reps["next_cursor"]}).json()
    assert ([r["rep_id"] for r in following["reps"]], following["next_cursor"]) == (["r4"], None)
    assert client.get("/reps", params={"metric": "won_deals"}).json()["reps"] == []
    teams = client.get("/teams").json()["teams"]
    assert [(t["team_id"], t["name"], t["p50"]) for t in teams] == [
        ("all", "All", 50),
        ("company", None, 50),
        ("east", "East", 50),
        ("west", "West", 50),
    ]
    file = client.get("/teams", params={"format": "csv"}).text.lstrip("\ufeff").splitlines()
    assert (len(file), file[0].split(",")[:3], file[4].split(",")[:2]) == (
        5,
        ["team_id", "name", "metric"],
        ["west", "West"],
    )
    assert client.get("/reps", headers={"accept": "text/csv"}).headers["content-disposition"].endswith('"reps.csv"')


def test_a_rep_is_listed_alone_and_a_manager_lists_the_team(site):
    found = {}
    for email in ("r1@example.com", "m1@example.com"):
        with site.client(email) as client:
            reps, teams = client.get("/reps").json(), client.get("/teams").json()
            found[email] = {r["rep_id"] for r in reps["reps"]}, {t["team_id"] for t in teams["teams"]}
    assert found == {"r1@example.com": ({"r1"}, set()), "m1@example.com": ({"r1", "r2"}, {"west"})}


def test_a_token_that_is_over_is_no_guest_of_the_sample_company(live_site):
    with live_site.client() as client:
        gone = {"authorization": "Bearer bw_gone"}
        assert (client.get("/deals").status_code, client.get("/deals", headers=gone).status_code) == (200, 401)


def test_a_body_that_is_no_json_is_told_where_it_breaks(site):
    with site.client("admin@example.com") as client:
        sent = {"content": '{"kind": score}', "headers": {"content-type": "application/json"}}
        answer = client.post("/jobs", **sent)
        # The word stands without quotes at character 9.
        assert (answer.status_code, "The body is no JSON, from character 9" in answer.json()["detail"]) == (422, True)


def test_accuracy_is_empty_but_there_while_no_period_is_over(client):
    answer = client.get("/accuracy").json()
    assert {kind: answer[kind]["deals"]["figures"] for kind in answer} == {"issued": {}, "reconstructed": {}}


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/deals?limit=0", 422, "limit"),
        ("/deals?limit=201", 422, "limit"),
        ("/deals?ownr=r1", 422, "ownr"),
        ("/deals?min_amount=5&max_amount=4", 400, "min_amount 5"),
        ("/deals?closing_from=2026-02-01&closing_to=2026-01-01", 400, "closing_from 2026-02-01"),
        ("/deals?sort=name", 422, "sort"),
        ("/deals?cursor=nowhere", 400, "cursor 'nowhere'"),
        ("/deals/nowhere", 404, "nothing here"),
        ("/nowhere", 404, "nothing here"),
    ],
)
def test_problems_are_documents_that_say_what_is_wrong(client, path, status, said):
    answer = client.get(path)
    assert answer.status_code == status == answer.json()["status"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert said in answer.json()["detail"]


def test_a_token_ends_with_its_session(site):
    with site.client("admin@example.com") as client:
        assert client.get("/session").json()["role"] == "admin"
        assert client.delete("/session").status_code == 204
        assert client.get("/deals").status_code == 401
    site.tokens.pop("admin@example.com")


def test_a_wrong_password_is_a_problem_too(site):
    with site.client() as client:
        answer = client.post("/session", json={"email": "admin@example.com", "password": PASSWORD + "!"})
        assert (answer.status_code, answer.json()["title"]) == (401, "Sign in needed")


def test_a_request_that_another_site_sent_is_refused(site):
    with site.client("admin@example.com") as client:
        answer = client.post(
            "/deals/d1/advice/1/feedback", json={"answer": "helped"}, headers={"origin": "https://elsewhere.example"}
        )
        assert answer.status_code == 403


def test_answers_keep_pages_to_themselves(site):
    answer = httpx.get(f"{site.address}/api/v1/health", timeout=60)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
