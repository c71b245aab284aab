"""Pages on persons: what each role finds there at level `team` and at level `person`."""

import re
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

import serving
from serving.i18n import language
from serving.pages.known import place_name
from serving.people_data.requests import requests
from serving.people_data.subjects import keys_of
from serving.people_data.views import looks_at
from tests.serving.people_site import NAME, team_site
from tests.serving.small_site import PASSWORD, TEAM_OF

__all__ = ["team_site"]
LINK = re.compile(r'href="(/[^"#]*)"')


@contextmanager
def at_the_pages(site, email):
    headers = {"accept": "text/html", "origin": site.address}  # as a browser tells where a form came from
    with httpx.Client(base_url=site.address, headers=headers, timeout=60) as client:
        given = {"email": email, "password": PASSWORD, "next": "/today"}
        assert client.post("/sign-in", data=given).status_code == 303
        yield client


@pytest.mark.parametrize("email", ["head@example.com", "admin@example.com"])
def test_no_page_leads_to_figures_on_another_person_at_level_team(team_site, email):
    own = {"head@example.com": "head"}.get(email)
    with at_the_pages(team_site, email) as client:
        seen, queue = set(), ["/today", "/forecast", "/deals", "/people"]
        while queue:
            page = queue.pop()
            answer = client.get(page, follow_redirects=True)
            seen.add(page)
            found = set(LINK.findall(answer.text))
            others = {f"{place}/{rep}" for place in ("/forecast/reps", "/people") for rep in TEAM_OF if rep != own}
            assert not found & others, page
            queue += [
                link for link in found - seen - set(queue) if link.startswith(("/deals/", "/forecast", "/people"))
            ]
        assert {"/deals/d1", "/forecast", "/people"} <= seen
        for rep in ("r1", "r3"):
            assert client.get(f"/forecast/reps/{rep}").status_code == 404
            assert client.get(f"/people/{rep}").status_code == 404


def test_a_rep_finds_the_own_row_alone(team_site):
    with at_the_pages(team_site, "rosalind@example.com") as client:
        page = client.get("/people").text
        own = client.get("/people/r1").text
    assert page.count("<tr data-row>") == 1
    assert NAME in page
    assert "/people/r1" in page
    assert "/forecast/reps/r1" in own


def test_a_manager_finds_the_team_at_level_person_and_those_looked_at_learn_of_it(site):
    with at_the_pages(site, "m1@example.com") as client:
        page = client.get("/people").text
    # Closed 10 of 100 at 60 of the quarter's 90 days (today counts): 15 % of the pace, everybody alike.
    assert page.count("<tr data-row>") == 2
    assert page.count("15%") == 2
    assert "2 of 2 with a goal are clearly behind its pace." in page
    looks = looks_at(site.store, keys_of(site.home.lake.view())["r2"])
    assert ("m1@example.com", "manager", "page people") in {(look.who, look.role, look.what) for look in looks}


def test_what_is_known_on_me_is_told_an_objection_is_made_there_and_answered_by_an_administrator(team_site):
    with at_the_pages(team_site, "rosalind@example.com") as client:
        assert NAME in client.get("/me").text
        empty = client.post("/me/requests", data={"kind": "comment", "text": " "})
        assert (empty.status_code, "Write what it is about." in empty.text) == (400, True)
        made = client.post("/me/requests", data={"kind": "objection", "text": "Not for pay", "about": "p_attain"})
        assert made.status_code == 303
        assert client.get("/people-data").status_code == 403
        assert client.get("/me/export").headers["content-type"] == "application/zip"
    (one,) = requests(team_site.store)
    with at_the_pages(team_site, "admin@example.com") as client:
        page = client.get("/people-data").text
        assert "1 request waits for an answer." in page
        assert "Not for pay" in page
        assert "Chance to reach the goal" in page  # what the objection is about, in words
        assert client.post(f"/people-data/requests/{one.request_id}", data={"text": "Agreed"}).status_code == 303
    with at_the_pages(team_site, "rosalind@example.com") as client:
        assert "Agreed" in client.get("/me", headers={"accept-language": "zh"}).text


def test_every_place_where_figures_are_looked_at_has_a_name():
    source = "".join(path.read_text("utf-8") for path in Path(serving.__file__).parent.rglob("*.py"))
    places = set(re.findall(r'note_looks\([^"]*what="([^"]+)"', source))
    assert {"page people", "export", "review pack"} <= places
    desk = SimpleNamespace(language=language("zh"))
    assert not {place for place in places if place_name(desk, place) == place}


def test_an_administrator_stands_for_nobody_and_is_told_so(team_site):
    with at_the_pages(team_site, "admin@example.com") as client:
        assert "stands for nobody" in client.get("/me").text


def test_uses_are_put_on_and_off_there(team_site):
    with at_the_pages(team_site, "admin@example.com") as client:
        agreed = {"agreed_by": "Works council", "agreed_on": "2026-02-20"}
        assert client.post("/people-data/purposes/coaching", data=agreed).status_code == 303
        assert "Works council agreed on" in client.get("/people-data").text
        assert client.post("/people-data/purposes/coaching", data=agreed).status_code == 400
        assert client.post("/people-data/purposes/coaching/withdraw", data={"why": "Over"}).status_code == 303
        assert "Works council agreed on" not in client.get("/people-data").text


def test_erasing_asks_for_the_key_twice(team_site):
    with at_the_pages(team_site, "admin@example.com") as client:
        wrong = client.post("/people-data/erase", data={"key": "r1", "again": "r2"})
        assert (wrong.status_code, "Nobody was erased" in wrong.text) == (400, True)
        assert client.get("/people-data/export", params={"key": "nobody"}).status_code == 404
        assert client.get("/people-data/export", params={"key": "r1"}).headers["content-type"] == "application/zip"
        assert client.post("/people-data/erase", data={"key": "r1", "again": "r1"}).status_code == 200
        assert NAME not in client.get("/people-data").text
