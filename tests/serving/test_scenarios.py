"""Scenarios by API and page: what a lever needs, whom it may name, and what no model is told as."""

from dataclasses import replace

import httpx
import pytest

from planning.levers import BadLever, OddsRatio
from planning.scenarios import Comparison, run
from serving.access import Sight
from serving.cli.scenario import BadLeverText, _lever
from serving.home import Home
from serving.proposals import spread_of
from serving.reviews.material import Material
from serving.scenarios import GivenLever, Ground, check_sight, levers_of
from serving.store import Store
from tests.builders import a_rep
from tests.planning.test_scenarios import a_base
from tests.serving.small_site import PASSWORD, TEAM_OF, fill, write_scores


@pytest.fixture(scope="module")
def material(home):
    store = Store(home.database_url)
    yield Material.at_machine(home, store)
    store.close()


@pytest.fixture(scope="module")
def goals_too(tmp_path_factory):
    """The small company with a goal of 3,300 for the quarter that runs; who leads teams carries none."""
    made = Home(tmp_path_factory.mktemp("goals"))
    made.make()
    made.company_file.write_text("people: {level: person}\n", encoding="utf-8")
    goal = {"goal_id": "g", "owner_kind": "company", "owner_id": "company", "metric": "bookings", "target": 3300.0,
            "period_start": "2026-01-01", "period_end": "2026-04-01"}  # fmt: skip
    reps = [a_rep(rep, team_id=team, role="rep" if rep[0] == "r" else "manager") for rep, team in TEAM_OF.items()]
    fill(made, goals=[goal], reps=reps)
    write_scores(made)
    store = Store(made.database_url)
    yield Material.at_machine(made, store)
    store.close()


def test_without_eight_campaigns_the_effect_must_be_typed_in_and_is_an_assumption():
    ground = Ground(a_base(50), None, 3)
    with pytest.raises(BadLever, match="Fewer than 8 past campaigns"):
        levers_of([GivenLever(kind="promotion")], ground)
    with pytest.raises(BadLever, match="both ends"):
        levers_of([GivenLever(kind="promotion", odds_low=1.2)], ground)
    found = run(ground.base, levers_of([GivenLever(kind="promotion", odds_low=1.2, odds_high=1.9)], ground))
    assert found.basis == ("assumption",)


def test_what_past_campaigns_went_with_is_called_an_association():
    ground = Ground(a_base(50), OddsRatio(1.1, 1.3, "association"), 9)
    assert run(ground.base, levers_of([GivenLever(kind="promotion")], ground)).basis == ("association",)


def test_a_lever_names_the_field_that_is_missing():
    with pytest.raises(BadLever, match=r"levers\.1\.to_team"):
        levers_of(
            [
                GivenLever(kind="promotion", odds_low=1, odds_high=2),
                GivenLever(kind="move", people=1, from_team="west"),
            ],
            Ground(a_base(5), None, 0),
        )


def test_goals_split_anew_move_targets_and_no_draw(goals_too):
    ground = Ground(a_base(50), None, 0)
    for method in ("equal", "potential", None):
        (lever,) = levers_of([GivenLever(kind="resplit", method=method)], ground, goals_too.plan)
        # Teams right below the top and people each carry the company's 3,300 to the cent.
        assert sum(lever.targets[team] for team in ("west", "east")) == 3300
        assert sum(target for owner, target in lever.targets.items() if owner.startswith("r")) == 3300
        total = run(ground.base, [lever]).totals["company"]
        assert (total.gain, total.better, total.worse) == (0, 0, 0)
    with pytest.raises(BadLever, match=r"levers\.0\.kind: There is no goal of the company"):
        levers_of([GivenLever(kind="resplit")], ground)


def test_only_who_sees_the_company_splits_its_goal_anew(material):
    west = replace(material, sight=Sight(frozenset({"r1", "r2"}), frozenset({"west"}), frozenset(), own="m1"))
    with pytest.raises(BadLever, match="sees the whole company"):
        check_sight([GivenLever(kind="resplit")], west)
    check_sight([GivenLever(kind="resplit")], material)


def test_a_split_anew_is_told_by_how_far_chances_lie_apart(material):
    def of(owner, before, after):
        parts = ({} if p is None else {"p_attain": p} for p in (before, after))
        return Comparison(owner, *parts, 0.0, 0.0, 0.0, 0.0, 0.0)

    teams = [of("company", 0.3, 0.3), of("west", 0.2, 0.4), of("east", 0.9, 0.5), of("all", 0.0, 1.0)]
    # Without figures on people teams are told, those that have teams below them not; r3 has no goal.
    assert spread_of(teams, material) == ((0.2, 0.9), (0.4, 0.5))
    people = [of("r1", 0.01, 0.3), of("r2", 0.99, 0.6), of("r3", None, None)]
    assert spread_of([*teams, *people], material) == ((0.01, 0.99), (0.3, 0.6))
    assert spread_of(teams[:2], material) is None


def test_what_is_not_seen_answers_like_what_is_not_there(material):
    west = replace(material, sight=Sight(frozenset({"r1", "r2"}), frozenset({"west"}), frozenset(), own="m1"))
    for lever, said in (
        (GivenLever(kind="move", people=1, from_team="west", to_team="east"), "no team 'east'"),
        (GivenLever(kind="hand_over", deal_id="d4", rep_id="r1"), "no open deal 'd4'"),
        (GivenLever(kind="hand_over", deal_id="d1", rep_id="r3"), "nobody 'r3'"),
    ):
        with pytest.raises(BadLever, match=said):
            check_sight([lever], west)
        check_sight([lever], material)  # the whole company is seen


def test_what_a_persons_leaving_costs_is_a_figure_on_that_person(material):
    hidden = replace(material, sight=Sight(persons=frozenset(), least=2))
    with pytest.raises(BadLever, match="shows no figures"):
        check_sight([GivenLever(kind="leave", rep_id="r1")], hidden)


def test_without_a_model_the_api_says_what_to_do(site):
    with site.client("admin@example.com") as client:
        answer = client.post("/scenarios", json={"levers": []})
        assert (answer.status_code, "train" in answer.json()["detail"]) == (503, True)
        found = client.get("/scenarios/signals").json()
        assert found == {"signals": [], "trend": None}  # nothing was ever won here


def test_the_page_answers_without_levers_and_says_what_is_wrong_with_one(site):
    with httpx.Client(base_url=site.address, timeout=60, follow_redirects=True) as browser:
        browser.headers["origin"] = site.address
        browser.post("/sign-in", data={"email": "admin@example.com", "password": PASSWORD, "next": "/plan/scenarios"})
        page = browser.get("/plan/scenarios")
        assert page.status_code == 200
        assert "(assumption)" in page.text
        wrong = browser.get("/plan/scenarios?kind=sorcery")
        assert "kind" in wrong.text


def test_a_lever_on_the_command_line():
    assert _lever("move people=1.5 from_team=a to_team=b").people == 1.5
    with pytest.raises(BadLeverText, match="from_taem"):
        _lever("move people=1 from_taem=a")
