"""Pages of users, one's own account, one-time links, the audit, and the sample company through someone's eyes."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pandas as pd
import pytest

from serving.first_start import SampleOnNetwork, check_address, first_link, through_proxy
from serving.home import Home
from serving.settings import Settings
from serving.sign_in import sign_in, viewer_of
from serving.store import Store
from serving.users import add_user
from tests.serving.pages.conftest import AS_HTML
from tests.serving.small_site import PASSWORD, fill, serving, write_scores


class Place:
    """A served real company with an administrator."""

    def __init__(self, home: Home, store: Store, address: str) -> None:
        self.home, self.store, self.address = home, store, address

    @contextmanager
    def client(self, email: str | None = None) -> Iterator[httpx.Client]:
        headers = {**AS_HTML, "origin": self.address}
        with httpx.Client(base_url=self.address, headers=headers, timeout=60) as client:
            if email:
                answer = client.post("/sign-in", data={"email": email, "password": PASSWORD})
                assert answer.status_code == 303
            yield client


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("place"))
    home.make()
    fill(home)
    write_scores(home)
    store = Store(home.database_url)
    add_user(store, "admin@example.com", PASSWORD, "admin")
    add_user(store, "r1@example.com", PASSWORD, "rep", rep_id="r1")
    with serving(home) as address:
        yield Place(home, store, address)
    store.close()


def shown_link(text):
    return re.search(r"<code>(http[^<]*)</code>", text)[1]


def test_an_administrator_adds_a_user_who_chooses_a_password(place):
    with place.client("admin@example.com") as admin, place.client() as bo:
        answer = admin.post("/users", data={"email": "bo@example.com", "role": "rep", "rep_id": "r3"})
        assert answer.status_code == 201
        link = shown_link(answer.text)
        assert "bo@example.com" in bo.get(link).text
        differ = bo.post(link, data={"password": PASSWORD, "again": "another one"})
        assert (differ.status_code, "differ" in differ.text) == (400, True)
        answer = bo.post(link, data={"password": PASSWORD, "again": PASSWORD})
        assert (answer.status_code, answer.headers["location"]) == (303, "/today")
        assert bo.get("/deals/d4").status_code == 200  # signed in at once, as r3
        assert bo.get("/deals/d1").status_code == 404
        assert bo.get(link).status_code == 403


def test_a_deal_that_stands_like_deals_won_is_said_to_be_on_track(place):
    with place.client("admin@example.com") as admin:
        assert "On track in what can be changed: there it stands as deals" in admin.get("/deals/d5").text
        assert "进展正常" in admin.get("/deals/d5", headers={"accept-language": "zh-CN"}).text
        assert "On track" not in admin.get("/deals/d4").text


def test_a_user_is_changed_ended_and_let_in_again(place):
    number = add_user(place.store, "cy@example.com", PASSWORD, "rep", rep_id="r1")
    with place.client("admin@example.com") as admin, place.client("cy@example.com") as cy:
        assert admin.post(f"/users/{number}", data={"role": "rep", "rep_id": "r4"}).status_code == 303
        assert cy.get("/deals/d5").status_code == 200
        bad = admin.post(f"/users/{number}", data={"role": "rep", "rep_id": "nobody"})
        assert (bad.status_code, "There is no rep" in bad.text) == (400, True)
        assert admin.post(f"/users/{number}/end").status_code == 303
        assert cy.get("/deals/d5").headers["location"].startswith("/sign-in")
        assert admin.post(f"/users/{number}/return").status_code == 303
        assert admin.post(f"/users/{number}/link").status_code == 201


@pytest.mark.parametrize("path", ["/users", "/audit"])
def test_only_administrators_have_users_and_audit(place, path):
    with place.client("admin@example.com") as admin, place.client("r1@example.com") as rep:
        assert admin.get(path).status_code == 200
        assert rep.get(path).status_code == 403
        assert f'href="{path}"' in admin.get("/account").text
        assert f'href="{path}"' not in rep.get("/account").text


@pytest.mark.parametrize("path", ["/users", "/audit", "/account"])
def test_the_pages_speak_chinese(place, path):
    with place.client("admin@example.com") as admin:
        text = admin.get(path, headers={"accept-language": "zh"}).text
    assert re.search(r"<h1>([^<]*)</h1>", text)[1] in ("用户", "审计", "您的账户")


def test_a_token_is_shown_once_and_revoked(place):
    with place.client("r1@example.com") as client:
        given = {"name": "nightly", "scopes": ["read"], "days": "30"}
        answer = client.post("/account/tokens", data=given)
        secret = re.search(r"<code>(bw_[^<]*)</code>", answer.text)[1]
        assert viewer_of(place.store, secret).scopes == {"read"}
        again = client.get("/account").text
        assert (secret in again, "nightly" in again) == (False, True)
        number = re.search(r"/account/tokens/(\d+)/revoke", again)[1]
        assert client.post(f"/account/tokens/{number}/revoke").status_code == 303
        assert viewer_of(place.store, secret) is None


def test_a_new_password_needs_the_present_one_and_ends_other_sessions(place):
    add_user(place.store, "dee@example.com", PASSWORD, "analyst")
    other = sign_in(place.store, "dee@example.com", PASSWORD)
    with place.client("dee@example.com") as client:
        wrong = client.post("/account/password", data={"now": "not this one", "new": "quite a new one"})
        assert (wrong.status_code, viewer_of(place.store, other) is not None) == (400, True)
        short = client.post("/account/password", data={"now": PASSWORD, "new": "short"})
        assert short.status_code == 400
        assert client.post("/account/password", data={"now": PASSWORD, "new": "quite a new one"}).status_code == 303
        assert client.get("/account").status_code == 200
    assert viewer_of(place.store, other) is None
    assert sign_in(place.store, "dee@example.com", "quite a new one")


def test_files_and_changes_are_noted_with_who_and_what(place):
    with place.client("r1@example.com") as client, place.client("admin@example.com") as admin:
        assert client.get("/api/v1/deals?format=csv", headers={"accept": "*/*"}).status_code == 200
        given = {"answer": "helped"}
        assert client.post("/api/v1/deals/d1/advice/1/feedback", json=given).status_code == 204
        rows = admin.get("/api/v1/audit?who=r1@example.com&limit=2").json()
        assert [(row["what"], row["detail"]) for row in rows["entries"]] == [
            (
                "POST /api/v1/deals/{deal_id}/advice/{rank}/feedback",
                {"route": "/api/v1/deals/{deal_id}/advice/{rank}/feedback", "deal_id": "d1", "rank": "1"},
            ),
            ("export", {"route": "/api/v1/deals", "query": "format=csv"}),
        ]
        older = admin.get(f"/api/v1/audit?limit=1&cursor={rows['next_cursor']}").json()["entries"]
        assert older[0]["audit_id"] < rows["entries"][-1]["audit_id"]
        assert "format=csv" in admin.get("/audit?who=r1@example.com&what=export").text


def test_what_only_looks_or_fails_is_not_noted(place):
    with place.client("r1@example.com") as client, place.client("admin@example.com") as admin:
        newest = admin.get("/api/v1/audit?limit=1").json()["entries"][0]["audit_id"]
        client.get("/api/v1/deals")
        client.post("/api/v1/deals/d4/advice/1/feedback", json={"answer": "helped"})
        assert admin.get("/api/v1/audit?limit=1").json()["entries"][0]["audit_id"] == newest


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),  # a cookie, and nothing that says where from
        ({"origin": "https://elsewhere.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "same-origin"}, 303),
    ],
)
def test_a_write_by_cookie_must_come_from_our_own_page(place, headers, status):
    with place.client("r1@example.com") as client:
        del client.headers["origin"]
        given = {"answer": "helped"}
        answer = client.post("/deals/d1/advice/1", data=given, headers=headers)
        assert answer.status_code == status


def test_a_session_cookie_is_closed_to_scripts_and_other_sites(place):
    with place.client() as client:
        answer = client.post("/sign-in", data={"email": "r1@example.com", "password": PASSWORD})
    kept = answer.headers["set-cookie"].lower()
    assert "httponly" in kept
    assert "samesite=lax" in kept
    assert "secure" not in kept  # plain http, or the browser would drop it


def test_every_answer_closes_what_browsers_leave_open(place):
    with place.client("r1@example.com") as client:
        for path in ("/deals", "/nothing-here", "/static/app.css", "/api/v1/deals"):
            headers = client.get(path).headers
            policy = headers["content-security-policy"]
            assert ("unsafe" in policy, "default-src 'self'" in policy) == (False, True)
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"
        page = client.get("/account").text
    assert not re.search(r"<script(?![^>]*src=)|\sstyle=|\son\w+=", page)  # nothing inline, so nothing is let through


def test_the_first_administrator_is_made_by_the_link_on_the_console(tmp_path):
    home = Home(tmp_path / "home")
    home.make()
    store = Store(home.database_url)
    with serving(home) as address, httpx.Client(base_url=address, headers=AS_HTML, timeout=60) as client:
        told = first_link(store, address)
        link = re.search(r"http\S+", told)[0]
        assert "first administrator" in client.get(link).text
        given = {"email": "Eve@Example.com", "password": PASSWORD, "again": PASSWORD}
        bad = client.post(link, data={**given, "email": "eve"})
        assert bad.status_code == 400
        assert client.post(link, data=given).status_code == 303
        client.headers["origin"] = address
        assert "eve@example.com" in client.get("/users").text
        assert client.get(link).status_code == 403
    assert first_link(store, address) is None
    store.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "sample.example.com", "::"])
def test_the_sample_company_is_served_to_this_machine_only(host):
    with pytest.raises(SampleOnNetwork, match=re.escape(host)):
        check_address(Settings(host=host), sample=True)
    check_address(Settings(host=host), sample=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_any_loopback_address_will_do(host):
    check_address(Settings(host=host), sample=True)


@pytest.mark.parametrize("header", ["X-Forwarded-For", "x-forwarded-host", "Forwarded", "Via", "X-Real-IP"])
def test_a_request_passed_on_finds_no_sample_company(site, header):
    assert through_proxy([header])
    with site.client() as guest:
        assert guest.get("/deals").status_code == 200
        assert guest.get("/deals", headers={header: "198.51.100.1"}).status_code == 403


def test_the_sample_company_can_be_seen_through_someones_eyes(site):
    """Of the deals in the score file, a rep's are those that the lake gives the rep."""
    owners = dict(site.home.lake.view().arrow("deals").select(["deal_id", "owner_id"]).to_pandas().values)
    scored = pd.read_parquet(next(site.home.scores.glob("*/deals.parquet")))["deal_id"]
    theirs = {deal for deal in scored if owners[deal] == site.rep}
    other = next(deal for deal in scored if owners[deal] != site.rep)
    with site.client() as guest:
        assert f'value="{site.rep}"' in guest.get("/look").text
        assert guest.get(f"/deals/{other}").status_code == 200
        assert guest.post("/look", data={"rep_id": site.rep}).status_code == 303
        assert guest.get(f"/deals/{other}").status_code == 404
        assert {guest.get(f"/deals/{deal}").status_code for deal in theirs} == {200}
        assert guest.get("/api/v1/session", headers={"accept": "*/*"}).json()["signed_in"] is False
        guest.post("/look", data={"rep_id": ""})
        assert guest.get(f"/deals/{other}").status_code == 200


def test_a_real_company_is_not_looked_at_through_someones_eyes(place):
    with place.client("r1@example.com") as client:
        assert client.get("/look").status_code == 404
        client.cookies.set("bellwether_look", "head")
        assert client.get("/deals/d4").status_code == 404
