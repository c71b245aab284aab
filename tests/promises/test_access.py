"""Promise: access follows the team tree as of the date; what one may not see answers like what does not exist."""

import pytest

from crm.company import Company
from serving.access import Viewer, sight_of
from tests.builders import a_deal, a_rep, an_account, at, view_of
from tests.serving.small_site import OWNERS, TEAMS

# Who sees whose deals, read off the tree in tests/serving/small_site.py.
SEES = {
    "r1@example.com": {"d1", "d2"},
    "r3@example.com": {"d4"},
    "m1@example.com": {"d1", "d2", "d3"},
    "head@example.com": set(OWNERS),
    "analyst@example.com": set(OWNERS),
    "admin@example.com": set(OWNERS),
}


@pytest.mark.parametrize("email", SEES)
def test_the_list_holds_just_what_one_may_see(site, email):
    with site.client(email) as client:
        answer = client.get("/deals").json()
    assert {deal["deal_id"] for deal in answer["deals"]} == SEES[email]
    assert answer["total"] == len(SEES[email])


@pytest.mark.parametrize("email", SEES)
@pytest.mark.parametrize("ending", ["", "/advice"])
def test_a_forbidden_deal_answers_like_one_that_does_not_exist(site, email, ending):
    with site.client(email) as client:
        absent = client.get(f"/deals/nowhere{ending}")
        for deal in OWNERS:
            answer = client.get(f"/deals/{deal}{ending}")
            if deal in SEES[email]:
                assert answer.status_code == 200
            else:
                assert (answer.status_code, answer.json()) == (404, absent.json())
                assert _telling(answer) == _telling(absent)


def _telling(answer):
    return {name: value for name, value in answer.headers.items() if name not in ("date", "x-request-id")}


@pytest.mark.parametrize(
    ("email", "path", "status"),
    [
        ("r1@example.com", "/reps/r1/forecast", 200),
        ("r1@example.com", "/reps/r2/forecast", 404),
        ("r1@example.com", "/teams/west/forecast", 404),
        ("r1@example.com", "/teams/company/forecast", 404),
        ("r1@example.com", "/accounts/a1", 200),
        ("r1@example.com", "/accounts/a3", 404),
        ("m1@example.com", "/reps/r2/forecast", 200),
        ("m1@example.com", "/reps/r3/forecast", 404),
        ("m1@example.com", "/teams/west/forecast", 200),
        ("m1@example.com", "/teams/east/forecast", 404),
        ("m1@example.com", "/teams/all/forecast", 404),
        ("head@example.com", "/teams/east/forecast", 200),
        ("admin@example.com", "/teams/company/forecast", 200),
    ],
)
def test_people_teams_and_accounts_follow_the_tree(site, email, path, status):
    with site.client(email) as client:
        assert client.get(path).status_code == status


def test_feedback_on_a_forbidden_deal_is_refused_like_on_an_absent_one(site):
    with site.client("r1@example.com") as client:
        given = {"answer": "helped"}
        forbidden, absent = (client.post(f"/deals/{d}/advice/1/feedback", json=given) for d in ("d4", "nowhere"))
        assert (forbidden.status_code, forbidden.json()) == (404, absent.json())
        assert client.post("/deals/d1/advice/1/feedback", json=given).status_code == 204
        assert client.get("/deals/d1/advice").json()["advice"][0]["answer"] == "helped"
        assert client.delete("/deals/d4/advice/1/feedback").status_code == 404
        assert client.delete("/deals/d1/advice/1/feedback").status_code == 204
        assert client.get("/deals/d1/advice").json()["advice"][0]["answer"] is None
        assert client.post("/deals/d1/advice/1/feedback", json={"answer": "not_now"}).status_code == 204
        assert client.get("/deals/d1/advice").json()["advice"][0]["answer"] == "not_now"
    with site.client("m1@example.com") as client:
        assert client.get("/deals/d1/advice").json()["advice"][0]["answer"] is None  # each one's own


@pytest.mark.parametrize("path", ["/deals", "/deals/d1", "/reps/r1/forecast", "/accounts", "/accuracy", "/jobs"])
def test_a_real_company_shows_strangers_nothing(site, path):
    with site.client() as client:
        assert client.get(path).status_code == 401
        assert client.get("/health").json()["status"] == "ok"


def test_the_tree_is_that_of_the_day():
    """r9 changed from West to East on 2026-02-01: on the day itself it is East's manager who sees r9."""
    moves = [
        {"rep_id": "r9", "team_id": "west", "valid_from": "2025-01-01", "valid_to": "2026-02-01"},
        {"rep_id": "r9", "team_id": "east", "valid_from": "2026-02-01"},
    ]
    view = view_of(
        teams=TEAMS,
        team_memberships=moves,
        reps=[a_rep("r9", team_id="west")],
        accounts=[an_account("a9", owner_id="r9")],
        deals=[a_deal("d9", owner_id="r9", account_id="a9")],
    )

    def sees(manager, day):
        sight = sight_of(Viewer("manager", user_id=1, rep_id=manager), view, Company(), day=at(day).date())
        return sight.owner("r9"), sight.account("a9")

    assert (sees("m1", "2026-01-31"), sees("m2", "2026-01-31")) == ((True, True), (False, False))
    assert (sees("m1", "2026-02-01"), sees("m2", "2026-02-01")) == ((False, False), (True, True))


def test_a_tree_that_bites_its_tail_ends():
    teams = [
        {"team_id": "x", "name": "X", "parent_team_id": "y", "manager_rep_id": "m"},
        {"team_id": "y", "name": "Y", "parent_team_id": "x"},
    ]
    sight = sight_of(
        Viewer("manager", user_id=1, rep_id="m"), view_of(teams=teams), Company(), day=at("2026-01-01").date()
    )
    assert sight.teams == {"x", "y"}


def test_an_analyst_sees_names_only_where_the_company_allows_it():
    view = view_of(teams=TEAMS)
    day = at("2026-01-01").date()
    allowed = Company.parse({"people": {"level": "person"}})
    analyst = Viewer("analyst", user_id=1)
    assert (sight_of(analyst, view, Company(), day=day).names, sight_of(analyst, view, allowed, day=day).names) == (
        False,
        True,
    )
