"""A real company at level `team`, served: own figures, requests, purposes, export and erasing, by role."""

import csv
import io
import json
import zipfile

import pytest

from serving.people_data.views import looks_at
from tests.serving.people_site import NAME, team_site
from tests.serving.small_site import OWNERS

__all__ = ["team_site"]


@pytest.fixture
def admin(team_site):
    with team_site.client("admin@example.com") as client:
        yield client


@pytest.fixture
def rosalind(team_site):
    with team_site.client("rosalind@example.com") as client:
        yield client


@pytest.fixture
def head(team_site):
    with team_site.client("head@example.com") as client:
        yield client


def test_a_person_has_the_own_forecast_and_nobody_else_has_it(rosalind, head, admin):
    assert rosalind.get("/reps/r1/forecast").status_code == 200
    absent = head.get("/reps/nobody/forecast").json()
    for client, rep in ((head, "r1"), (admin, "r1"), (admin, "r3"), (rosalind, "r2")):
        answer = client.get(f"/reps/{rep}/forecast")
        assert (answer.status_code, answer.json()) == (404, absent)
    assert head.get("/teams/west/forecast").status_code == 200  # of two people


def test_deals_stay_visible_and_their_files_hold_no_figure_on_a_person(head):
    rows = list(csv.DictReader(io.StringIO(head.get("/deals", params={"format": "csv"}).text.lstrip("\ufeff"))))
    assert {row["owner_id"] for row in rows} == set(OWNERS.values())
    assert not any("attain" in column or column.startswith("rep_") for column in rows[0])


def test_what_is_known_on_me_names_figures_rows_and_those_who_looked(rosalind):
    known = rosalind.get("/people/me").json()
    assert (known["rep_id"], known["level"], known["details"]["name"]) == ("r1", "team", NAME)
    values = {(f["use"], f["name"]): f["value"] for f in known["figures"]}
    # As in tests/serving/small_site.py: everybody ends at 50 of 100; r1 owns two open deals and did one activity.
    assert (values["forecast", "p50"], values["forecast", "target"]) == (50.0, 100.0)
    assert values["attainment", "open_deals"] == 2.0
    assert {(r["table"], r["column"]): r["rows"] for r in known["rows"]} == {
        ("reps", "rep_id"): 1,
        ("deals", "owner_id"): 2,
        ("activities", "rep_id"): 1,
    }


def test_whoever_is_no_rep_is_told_so(admin, team_site):
    answer = admin.get("/people/me")
    assert (answer.status_code, "no rep_id" in answer.json()["detail"]) == (404, True)
    with team_site.client() as stranger:
        assert stranger.get("/people/me").status_code == 401


def test_an_objection_is_seen_and_answered_by_administrators_and_the_answer_by_the_person(rosalind, head, admin):
    made = rosalind.post("/people/me/requests", json={"kind": "objection", "text": "Not for pay.", "about": "p_attain"})
    assert (made.status_code, made.json()["state"]) == (201, "open")
    number = made.json()["request_id"]
    assert head.get("/people/requests").status_code == 403
    assert [r["request_id"] for r in admin.get("/people/requests", params={"state": "open"}).json()["requests"]] == [
        number
    ]
    answered = admin.post(f"/people/requests/{number}/answer", json={"text": "It is not used for pay."}).json()
    assert (answered["state"], answered["answered_by"]) == ("answered", "admin@example.com")
    assert rosalind.get("/people/me").json()["requests"][0]["answer"] == "It is not used for pay."
    assert admin.get("/people/requests", params={"state": "open"}).json()["total"] == 0
    assert rosalind.post("/people/me/requests", json={"kind": "comment", "text": "  "}).status_code == 400
    assert admin.post("/people/requests/9999/answer", json={"text": "No"}).status_code == 404


def test_a_purpose_is_put_on_by_an_administrator_alone_and_everybody_may_read_it(rosalind, admin):
    agreed = {"agreed_by": "Works council", "agreed_on": "2026-02-20"}
    assert rosalind.put("/purposes/coaching", json=agreed).status_code == 403
    assert admin.put("/purposes/coaching", json=agreed).json()["on"] is True
    assert [p["purpose"] for p in rosalind.get("/purposes").json()["purposes"] if p["on"]] == ["coaching"]
    assert admin.delete("/purposes/coaching", params={"why": "Over"}).json()["on"] is False
    assert admin.put("/purposes/dismissal", json=agreed).status_code == 404


def test_an_export_holds_all_that_carries_the_person_and_no_secret(rosalind, admin, head, team_site):
    own, given = rosalind.get("/people/me/export"), admin.get("/people/r1/export")
    assert head.get("/people/r1/export").status_code == 403
    assert own.headers["content-type"] == given.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(given.content)) as packed:
        files = {name: packed.read(name).decode() for name in packed.namelist()}
    assert json.loads(files["person.json"])["details"]["name"] == NAME
    deals = list(csv.DictReader(io.StringIO(files["data/deals.csv"])))
    assert {row["deal_id"] for row in deals} == {"d1", "d2"}
    assert {"store/people.csv", "store/users.csv", "store/sign_ins.csv"} <= set(files)
    assert not any(secret in text for text in files.values() for secret in ("argon2", "password_hash", "token_hash"))
    (look,) = looks_at(team_site.store, json.loads(files["person.json"])["person"]["person_key"])
    assert (look.who, look.what) == ("admin@example.com", "export")  # and it is told to the person
    assert rosalind.get("/people/me").json()["looks"][0]["what"] == "export"


def test_only_an_administrator_erases_and_the_person_is_gone_while_counts_stay(head, admin, team_site):
    assert head.delete("/people/r1").status_code == 403
    assert admin.delete("/people/nobody").status_code == 404
    assert admin.delete("/people/r1").status_code == 204
    with team_site.client("rosalind@example.com") as client:
        assert client.get("/people/me").status_code == 401
    assert NAME not in admin.get("/deals").text
    assert {d["owner_id"] for d in admin.get("/deals").json()["deals"]} == set(OWNERS.values())
