"""Signing in at a real provider: Django OAuth Toolkit in its own process and environment, by real redirects."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from serving.home import Home
from serving.oidc import Provider
from serving.settings import Settings
from serving.sign_in import viewer_of
from serving.store import Store
from serving.tables.users import ProviderVisit
from serving.users import add_user, change_user, find_user
from tests.serving.small_site import fill, serving, write_scores

SCRIPT = Path(__file__).with_name("oidc_provider.py")
UV = Path(sys.executable).with_name("uv")
PASSWORD = "at the provider"


@pytest.fixture(scope="module")
def python_of_provider(tmp_path_factory):
    """An environment of its own, so that provider and client share no code."""
    folder = tmp_path_factory.mktemp("provider") / "venv"
    uv = str(UV) if UV.exists() else shutil.which("uv")
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(folder)], check=True)
    python = folder / "bin" / "python"
    subprocess.run([uv, "pip", "install", "-q", "--python", str(python), "django-oauth-toolkit>=3"], check=True)
    return python


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Place:
    """A served company whose users may sign in at the provider."""

    def __init__(self, address, store, issuer):
        self.address, self.store, self.issuer = address, store, issuer

    def browser(self):
        return httpx.Client(headers={"accept": "text/html"}, timeout=60)

    def to_provider(self, browser, wished="/deals"):
        """Where our page sends the browser."""
        answer = browser.get(f"{self.address}/sign-in/provider", params={"next": wished})
        assert answer.status_code == 303
        return answer.headers["location"]

    def at_provider(self, browser, address, name):
        """Sign in there; gives the address at which we are called back."""
        asked = browser.get(address)
        form = httpx.URL(address).join(asked.headers["location"])
        signed = browser.post(form, data={"username": name, "password": PASSWORD})
        back = browser.get(httpx.URL(address).join(signed.headers["location"]))
        return back.headers["location"]

    def sign_in(self, browser, name):
        return browser.get(self.at_provider(browser, self.to_provider(browser), name))


@pytest.fixture(scope="module")
def place(python_of_provider, tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("oidc"), free_port()
    home = Home(folder / "home")
    home.make()
    fill(home)
    write_scores(home)
    store, issuer = Store(home.database_url), f"http://127.0.0.1:{port}/o"
    add_user(store, "root@example.com", None, "admin")
    add_user(store, "ann@example.com", None, "rep", rep_id="m1")
    add_user(store, "bo@example.com", None, "analyst")
    given = {
        "oidc_issuer": issuer,
        "oidc_client_id": "bellwether",
        "oidc_client_secret": "known to both",
        "oidc_roles": {"sales-leads": "manager", "data": "analyst"},
    }
    with serving(home, **given) as address:
        command = [str(python_of_provider), str(SCRIPT), str(port), f"{address}/sign-in/provider/back", str(folder)]
        provider = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert provider.stdout.readline() == "ready\n"
            yield Place(address, store, issuer)
        finally:
            provider.terminate()
            provider.wait()
            provider.stdout.close()
    store.close()


def test_a_user_signs_in_at_the_provider_and_gets_the_mapped_role(place):
    with place.browser() as browser:
        assert "/sign-in/provider" in browser.get(f"{place.address}/sign-in").text
        answer = place.sign_in(browser, "ann")
        assert (answer.status_code, answer.headers["location"]) == (303, "/deals")
        viewer = viewer_of(place.store, browser.cookies["bellwether_session"])
        assert (viewer.name, viewer.role, viewer.rep_id) == ("ann@example.com", "manager", "m1")  # sales-leads: manager
        assert browser.get(f"{place.address}/deals/d3").status_code == 200  # of r2, in m1's team
        assert browser.get(f"{place.address}/deals/d4").status_code == 404  # of r3, in the other
    assert find_user(place.store, "ann@example.com").subject.startswith(place.issuer)


def test_what_is_asked_of_the_provider_is_bound_to_one_browser_and_one_time(place):
    with place.browser() as browser:
        asked = parse_qs(urlsplit(place.to_provider(browser)).query)
    assert asked["response_type"] == ["code"]
    assert asked["code_challenge_method"] == ["S256"]
    assert all(len(asked[name][0]) >= 20 for name in ("state", "nonce", "code_challenge"))


def test_an_e_mail_that_is_not_verified_does_not_sign_in(place):
    with place.browser() as browser:
        answer = place.sign_in(browser, "bo")
        assert (answer.status_code, "not verified" in answer.text) == (403, True)
        assert "bellwether_session" not in browser.cookies


def test_a_stranger_with_a_mapped_role_becomes_a_user_and_one_without_does_not(place):
    with place.browser() as browser:
        assert place.sign_in(browser, "cy").status_code == 303
        assert viewer_of(place.store, browser.cookies["bellwether_session"]).role == "analyst"  # data: analyst
    with place.browser() as browser:
        assert place.sign_in(browser, "dee").status_code == 403


def test_an_ended_user_does_not_come_in_by_the_provider(place):
    cy = find_user(place.store, "cy@example.com").user_id
    change_user(place.store, cy, active=False)
    try:
        with place.browser() as browser:
            assert place.sign_in(browser, "cy").status_code == 403
    finally:
        change_user(place.store, cy, active=True)


def test_a_way_back_works_once_and_in_the_browser_that_began_it(place):
    with place.browser() as browser, place.browser() as other:
        back = place.at_provider(browser, place.to_provider(browser), "ann")
        assert other.get(back).status_code == 403
        state = parse_qs(urlsplit(back).query)["state"][0]
        other.cookies.set("bellwether_state", "another", domain="127.0.0.1", path="/sign-in/provider")
        assert other.get(back).status_code == 403
        assert browser.get(back).status_code == 303
        browser.cookies.set("bellwether_state", state, domain="127.0.0.1", path="/sign-in/provider")
        assert browser.get(back).status_code == 403


def test_a_token_made_for_another_visit_is_refused(place):
    """The nonce that we kept is changed, as if the provider's answer had been made for somebody else's visit."""
    with place.browser() as browser:
        back = place.at_provider(browser, place.to_provider(browser), "ann")
        with place.store.session() as session:
            for visit in session.query(ProviderVisit):
                visit.nonce = "of another visit"
        assert browser.get(back).status_code == 403


def test_a_code_without_its_verifier_is_refused_by_the_provider(place):
    with place.browser() as browser:
        back = place.at_provider(browser, place.to_provider(browser), "ann")
        with place.store.session() as session:
            for visit in session.query(ProviderVisit):
                visit.verifier = "x" * 64
        assert browser.get(back).status_code == 403


def test_a_provider_that_does_not_answer_is_said_so(tmp_path):
    home = Home(tmp_path / "home")
    home.make()
    given = {"oidc_issuer": f"http://127.0.0.1:{free_port()}", "oidc_client_id": "x", "oidc_client_secret": "y"}
    with serving(home, **given) as address:
        answer = httpx.get(f"{address}/sign-in/provider", headers={"accept": "text/html"}, timeout=60)
        assert answer.status_code == 503


def test_without_a_provider_there_is_no_way_to_one(tmp_path):
    assert Provider.of(Settings(home=tmp_path)) is None
