"""Coaching of people through the API, the page and the command line: to whom it is shown, and what it says."""

from collections.abc import Iterator
from datetime import timedelta

import httpx
import numpy as np
import pytest
from typer.testing import CliRunner

from serving.cli import app
from serving.home import Home
from serving.people_data.purposes import Purposes
from serving.people_data.views import looks_at
from serving.sign_in import start_session
from serving.store import Store
from serving.users import add_user
from tests.builders import a_deal, a_rep, an_account, an_activity, table_of
from tests.serving.small_site import AS_OF, PASSWORD, Site, serving, write_scores

REPS = [f"rep{n}x" for n in range(8)]
DEALS = 40


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Eight people in the team of `boss`: all meet two people on 7 deals of 10, but rep0x on 1 of 10."""
    home = Home(tmp_path_factory.mktemp("coaching"))
    home.make()
    home.company_file.write_text("people: {level: person}\n", encoding="utf-8")
    rng = np.random.default_rng(11)
    deals, said = [], []
    for rep in REPS:
        for n in range(DEALS):
            key, made = f"{rep}-{n}", AS_OF - timedelta(days=120)
            closed = AS_OF - timedelta(days=30 + n)
            deals.append(
                a_deal(key, owner_id=rep, outcome="lost", created_at=made.isoformat(), closed_at=closed.isoformat())
            )
            people = 2 if rng.random() < (0.1 if rep == "rep0x" else 0.7) else 1
            said += [
                an_activity(
                    f"{key}-{p}", deal_id=key, rep_id=rep, kind="call", contact_id=f"k{p}",
                    occurred_at=(made + timedelta(days=2)).isoformat(),
                )
                for p in range(people)
            ]  # fmt: skip
    tables = {
        "reps": [a_rep(rep, team_id="t") for rep in REPS] + [a_rep("boss")],
        "teams": [{"team_id": "t", "name": "T", "parent_team_id": None, "manager_rep_id": "boss"}],
        "accounts": [an_account()],
        "contacts": [{"contact_id": f"k{p}", "account_id": "a1", "seniority": "staff"} for p in range(2)],
        "deals": deals,
        "activities": said,
    }
    home.lake.merge({name: table_of(name, rows) for name, rows in tables.items()}, source="test")
    write_scores(home)
    store = Store(home.database_url)
    tokens = {}
    for name, role, rep in (
        ("rep0x", "rep", "rep0x"),
        ("rep1x", "rep", "rep1x"),
        ("boss", "manager", "boss"),
        ("admin", "admin", None),
    ):
        number = add_user(store, f"{name}@example.com", PASSWORD, role, rep_id=rep)
        tokens[name] = start_session(store, number, days=1, label="test")
    with serving(home) as address:
        yield Site(address, home, store, tokens)
    store.close()


def ask(site: Site, who: str, path: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {site.tokens[who]}", "accept": "text/html, application/json;q=0.9"}
    return httpx.get(site.address + path, headers=headers, timeout=60)


@pytest.fixture
def agreed(site: Site) -> Iterator[None]:
    """Coaching is agreed to while a test runs."""
    purposes = Purposes(site.store, site.home.company())
    purposes.record("coaching", agreed_by="council", agreed_on=AS_OF.date(), who="test")
    yield
    purposes.withdraw("coaching", why="the test is over", who="test")


def test_one_sees_the_own_theme_with_its_figures(site):
    told = ask(site, "rep0x", "/api/v1/reps/rep0x/coaching").json()
    assert told["deals"] == DEALS
    (theme,) = told["themes"]
    assert (theme["habit"], theme["unit"], theme["deals"]) == ("contacts", "share", DEALS)
    # Counted again by hand: deals of rep0x with two calls; the seven others for the colleagues: all deals are alike.
    rng = np.random.default_rng(11)
    both = np.array([[rng.random() < (0.1 if rep == "rep0x" else 0.7) for _ in range(DEALS)] for rep in REPS])
    assert theme["own"] == pytest.approx(both[0].mean())
    assert theme["colleagues"] == pytest.approx(both[1:].mean())
    assert theme["own"] - theme["colleagues"] < theme["gap"] < theme["high"] < 0  # drawn towards none
    assert told["strengths"] == []
    page = ask(site, "rep0x", "/people/rep0x").text
    assert "Worth practising: Deals with two or more people met." in page
    assert f"{both[1:].mean():.0%} on like deals" in page


def test_a_manager_sees_it_only_once_coaching_is_agreed_to(site):
    refused = ask(site, "boss", "/api/v1/reps/rep0x/coaching")
    assert refused.status_code == 403
    assert "people agree coaching" in refused.text
    page = ask(site, "boss", "/people/rep0x")
    assert page.status_code == 200
    assert "Coaching is off" in page.text
    assert "Worth practising" not in page.text


def test_a_manager_sees_it_then_and_the_person_learns_of_it(site, agreed):
    assert ask(site, "boss", "/api/v1/reps/rep0x/coaching").json()["themes"][0]["habit"] == "contacts"
    assert "Worth practising" in ask(site, "boss", "/people/rep0x").text
    assert {"api coaching", "page coaching"} <= {look.what for look in looks_at(site.store, "p_rep0x")}


@pytest.mark.usefixtures("agreed")
def test_a_colleague_never_sees_it(site):
    for path in ("/api/v1/reps/{}/coaching", "/people/{}"):
        hidden, absent = (ask(site, "rep1x", path.format(rep)) for rep in ("rep0x", "nobody"))
        assert hidden.status_code == absent.status_code == 404
        assert hidden.text.replace("rep0x", "nobody") == absent.text


def test_nobody_stands_out_where_all_work_alike(site):
    told = ask(site, "rep1x", "/api/v1/reps/rep1x/coaching").json()
    assert told["themes"] == []


def test_the_command_line_asks_for_the_agreement_too(site):
    run = CliRunner().invoke(app, ["people", "coaching", "rep0x", "--home", str(site.home.root)])
    assert run.exit_code != 0
    assert "agree" in str(run.exception or run.output)


@pytest.mark.usefixtures("agreed")
def test_the_command_line_tells_the_theme(site):
    at = ["--as-of", AS_OF.isoformat()]
    run = CliRunner().invoke(app, ["people", "coaching", "rep0x", "--home", str(site.home.root), *at])
    assert run.exit_code == 0, run.output
    assert "theme\tDeals with two or more people met\t" in run.output
