"""Scenarios by API and page: what a lever needs, whom it may name, and what no model is told as."""

import httpx
import pytest

from planning.levers import BadLever, OddsRatio
from planning.scenarios import run
from serving.access import Sight
from serving.cli.scenario import BadLeverText, _lever
from serving.reviews.material import Material
from serving.scenarios import GivenLever, Ground, check_sight, levers_of
from serving.store import Store
from tests.planning.test_scenarios import a_base
from tests.serving.small_site import PASSWORD


@pytest.fixture(scope="module")
def material(home):
    store = Store(home.database_url)
    yield Material.at_machine(home, store)
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


def test_what_is_not_seen_answers_like_what_is_not_there(material):
    from dataclasses import replace

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
    from dataclasses import replace

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
