"""Calls on the forecast's page: a form that works without a script, and what it leaves."""

import pytest


def test_a_call_is_made_shown_and_taken_back(site):
    with site.signed_in() as client:
        given = {"kind": "commit", "metric": "bookings", "value": "95,000", "why": "Two renewals are <b>signed</b>"}
        answer = client.post("/forecast/teams/company/calls", data=given)
        assert (answer.status_code, answer.headers["location"]) == (303, "/forecast#calls")
        page = client.get("/forecast").text
        assert "€95K" in page
        assert "&lt;b&gt;signed&lt;/b&gt;" in page
        client.post("/forecast/teams/company/calls", data={**given, "value": ""})
        page = client.get("/forecast").text
        assert "Nobody has said yet" in page
        assert "taken back" in page


@pytest.mark.parametrize("value", ["many", "-5", "nan", "1e99"])
def test_what_is_no_value_is_said(site, value):
    with site.signed_in() as client:
        answer = client.post(
            "/forecast/teams/company/calls", data={"kind": "commit", "metric": "bookings", "value": value}
        )
    assert answer.status_code == 400
    assert "Give a number from 0 up" in answer.text


def test_a_rep_calls_for_nobody_else(site):
    with site.signed_in("rep@example.com") as client:
        given = {"kind": "commit", "metric": "bookings", "value": "5"}
        assert client.post("/forecast/teams/company/calls", data=given).status_code == 404
        assert client.post(f"/forecast/reps/{site.rep}/calls", data=given).status_code == 303
