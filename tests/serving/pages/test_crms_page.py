"""The page that connects CRMs: what is missing, what a test says, write-back as a job; no key is ever shown."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from serving.home import Home
from serving.jobs.child import main
from serving.jobs.leases import process_name
from serving.jobs.queue import Queue
from serving.store import Store
from serving.users import add_user
from tests.crm.connectors import hubspot_server
from tests.crm.connectors.hubspot_server import TOKEN, HubSpotAccount
from tests.serving.pages.conftest import AS_HTML, PASSWORD
from tests.serving.small_site import OWNERS, fill, serving, write_scores

SETTINGS = """people: {level: person}
write_back:
  hubspot: {win_probability: win_chance, next_step: memo}
"""


@pytest.fixture
def account() -> Iterator[HubSpotAccount]:
    """A HubSpot with the deals d1 to d6, by numbers."""
    account = HubSpotAccount()
    for deal in OWNERS:
        account.put("deals", deal[1:], dealname=deal, dealstage="101", pipeline="default")
    return account


@pytest.fixture
def own(tmp_path, account, monkeypatch):
    home = Home(tmp_path / "home")
    home.make()
    home.company_file.write_text(SETTINGS, encoding="utf-8")
    fill(home)
    write_scores(home)
    store = Store(home.database_url)
    add_user(store, "admin@example.com", PASSWORD, "admin")
    add_user(store, "analyst@example.com", PASSWORD, "analyst")
    with hubspot_server.serve(account) as crm:
        monkeypatch.setenv("BELLWETHER_HUBSPOT_HOST", crm)
        monkeypatch.setenv("BELLWETHER_HUBSPOT_TOKEN", TOKEN)
        with serving(home, hubspot_host=crm, hubspot_token=TOKEN) as address:
            yield home, store, address
    store.close()


@contextmanager
def signed_in(address: str, email: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, headers={**AS_HTML, "origin": address}, timeout=60) as client:
        given = {"email": email, "password": PASSWORD, "next": "/data"}
        assert client.post("/sign-in", data=given).status_code == 303
        yield client


def test_a_new_administrator_sees_what_to_set_and_tests_the_connection(own, account):
    with signed_in(own[2], "admin@example.com") as client:
        assert 'href="/data/crms"' in client.get("/data").text
        page = client.get("/data/crms").text
        assert page.index('<h2 id="crm-hubspot"') < page.index('<h2 id="crm-zoho"')  # what is ready comes first
        assert "All keys are given; not synced yet." in page
        assert "Still missing: client_id, client_secret, refresh_token" in page
        assert "BELLWETHER_ZOHO_REFRESH_TOKEN" in page
        good = client.post("/data/crms/test", data={"crm": "hubspot"})
        assert (good.status_code, "HubSpot lets us in." in good.text) == (200, True)
        assert "deals: risk_points, win_chance" in good.text
        account.tokens.clear()
        bad = client.post("/data/crms/test", data={"crm": "hubspot"})
        assert (bad.status_code, "refused the credentials (EXPIRED_AUTHENTICATION)" in bad.text) == (400, True)
        lacks = client.post("/data/crms/test", data={"crm": "zoho"})
        assert "Give BELLWETHER_ZOHO_CLIENT_ID" in lacks.text
        chinese = client.get("/data/crms", headers={"accept-language": "zh-CN"}).text
        assert "连接 CRM" in chinese
        assert not any(TOKEN in text for text in (page, good.text, bad.text, chinese))


def test_write_back_is_rehearsed_then_done_as_a_job(own, account):
    home, store, address = own

    def do_all() -> None:
        queue, worker = Queue(store), process_name()
        while (job := queue.claim(worker)) is not None:
            assert main(home.root, job.job_id, worker) == 0

    with signed_in(address, "admin@example.com") as client:
        asked = {"crm": "hubspot", "dry_run": "1"}
        assert client.post("/data/crms/write-back", data=asked).headers["location"] == "/data/crms#hubspot"
        do_all()
        page = client.get("/data/crms").text
        assert "6 deals would be written, 0 have nothing new" in page
        assert "win_chance = 30" in page  # the scores say 30 % for d3
        assert not any("win_chance" in r["properties"] for r in account.records["deals"].values())
        client.post("/data/crms/write-back", data={"crm": "hubspot"})
        do_all()
        [job] = Queue(store).newest(limit=1, kinds=("write-back",))
        # The home's deals are called d1 to d6, the CRM's 1 to 6: it takes none of them, and says so.
        assert (job.result["written"], job.result["refused"]) == (0, {"OBJECT_NOT_FOUND": 6})
        assert "Write-back HubSpot" in client.get("/data").text


def test_the_job_writes_what_the_crm_knows_and_only_administrators_ask_for_it(own, account):
    home, store, address = own
    for deal in OWNERS:
        account.put("deals", deal[1:])
        account.records["deals"][deal] = {**account.records["deals"].pop(deal[1:]), "id": deal}
    with httpx.Client(base_url=f"{address}/api/v1", timeout=60) as client:

        def sign_in(email: str) -> None:
            token = client.post("/session", json={"email": email, "password": PASSWORD}).json()["token"]
            client.headers["authorization"] = f"Bearer {token}"

        wish = {"kind": "write-back", "crm": "hubspot", "dry_run": False}
        sign_in("analyst@example.com")
        assert client.post("/jobs", json=wish).status_code == 403
        sign_in("admin@example.com")
        number = client.post("/jobs", json=wish).json()["job_id"]
        assert main(home.root, Queue(store).claim("w").job_id, "w") == 0
        job = client.get(f"/jobs/{number}").json()
    assert (job["state"], job["result"]["written"], job["result"]["refused"]) == ("done", 6, {})
    assert account.records["deals"]["d3"]["properties"]["win_chance"] == "30"
    with signed_in(address, "analyst@example.com") as client:
        assert client.get("/data/crms").status_code == 403
        assert client.post("/data/crms/test", data={"crm": "hubspot"}).status_code == 403
        assert 'href="/data/crms"' not in client.get("/data").text
