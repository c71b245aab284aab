"""The page of the data: what it shows, jobs asked for and stopped without a script, a refused row mended in place."""

import html
import json
import re

import httpx
import pytest

from serving.home import Home
from serving.jobs.child import main
from serving.jobs.leases import process_name
from serving.jobs.queue import Queue
from serving.store import Store
from serving.users import add_user
from tests.serving.pages.conftest import AS_HTML, PASSWORD
from tests.serving.small_site import fill, serving

# Row 3 has no amount that is a number.
DEALS = (
    "deal_id,account_id,owner_id,created_at,outcome,stage,amount\n"
    "n1,a1,r1,2026-02-01,open,Qualify,500\n"
    "n2,a1,r1,2026-02-01,open,Qualify,5x0\n"
)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("data-page"))
    home.make()
    fill(home)
    store = Store(home.database_url)
    add_user(store, "analyst@example.com", PASSWORD, "analyst")
    add_user(store, "r1@example.com", PASSWORD, "rep", rep_id="r1")
    with serving(home) as address:
        yield home, store, address
    store.close()


@pytest.fixture
def page(own):
    yield from signed_in(own, "analyst@example.com")


def signed_in(own, email):
    address = own[2]
    with httpx.Client(base_url=address, headers={**AS_HTML, "origin": address}, timeout=60) as client:
        given = {"email": email, "password": PASSWORD, "next": "/data"}
        assert client.post("/sign-in", data=given).status_code == 303
        yield client


def do_all(home, store):
    queue, worker = Queue(store), process_name()
    while (job := queue.claim(worker)) is not None:
        assert main(home.root, job.job_id, worker) == 0


def mending_form(shown):
    """Where the form of the only refused row is sent, and its fields."""
    action = re.search(r'action="(/data/refused/[0-9a-f]+)"', shown)[1]
    fields = shown.split(action)[1].split("</form>")[0]
    return action, dict(re.findall(r'<input(?: type="hidden")? name="([^"]+)" value="([^"]*)">', fields))


def test_a_refused_row_is_mended_in_place_and_taken(own, page):
    home, store, _ = own
    sent = page.post("/data/import", files=[("files", ("deals.csv", DEALS.encode(), "text/csv"))])
    assert (sent.status_code, sent.headers["location"]) == (303, "/data#jobs")
    do_all(home, store)
    shown = page.get("/data").text
    assert "1 row waits to be mended." in shown
    action, form = mending_form(shown)
    assert form["v_amount"] == "5x0"
    assert page.post(action, data={**form, "v_amount": "5y0"}).status_code == 303  # still wrong
    do_all(home, store)
    shown = page.get("/data").text
    assert "1 row waits to be mended." in shown  # as it is now, in place of as it was
    assert "5y0" in shown
    assert "5x0" not in shown
    action, form = mending_form(shown)
    page.post(action, data={**form, "v_amount": "550"})
    do_all(home, store)
    assert "No row is waiting." in page.get("/data").text
    deals = home.lake.view().arrow("deals").to_pandas().set_index("deal_id")
    assert float(deals.at["n2", "amount"]) == 550
    assert page.post(action, data=form).status_code == 404


def test_jobs_are_asked_for_and_stopped_without_a_script(own, page):
    _, store, _ = own
    assert page.post("/data/train", data={"what": "win"}).status_code == 303
    newest = Queue(store).newest(limit=1)[0]
    assert (newest.kind, newest.params["what"], newest.state) == ("train", "win", "queued")
    assert f"/data/jobs/{newest.job_id}/cancel" in page.get("/data/jobs").text
    page.post(f"/data/jobs/{newest.job_id}/cancel")
    assert Queue(store).find(newest.job_id).state == "cancelled"
    assert page.post("/data/train", data={"what": "rain"}).status_code == 422
    shown = page.get("/data/jobs").text
    assert "cancelled" in shown
    assert f"/data/jobs/{newest.job_id}/cancel" not in shown


def test_the_page_shows_tables_and_findings_in_both_languages(page):
    english = page.get("/data").text
    chinese = page.get("/data", headers={"accept-language": "zh-CN"}).text
    assert "What there is" in english
    assert "现有数据" in chinese
    for table in ("accounts", "activities", "deals", "reps", "teams"):
        assert f'<th scope="row">{table}</th>' in english


def test_a_rep_has_no_such_page(own):
    for client in signed_in(own, "r1@example.com"):
        assert client.get("/data").status_code == 403
        assert client.post("/data/score").status_code == 403
        assert 'href="/data"' not in client.get("/deals").text


def test_pages_warn_of_data_that_is_old(own, page):
    """The scores of this home are of 2026-03-01: on the day this runs, older than three days."""
    home, _, _ = own
    from tests.serving.small_site import AS_OF, write_scores

    write_scores(home)
    answer = page.get("/deals")
    assert "days old; these forecasts know nothing of what came since." in answer.text
    assert answer.headers["bellwether-as-of"] == AS_OF.isoformat()
    assert int(answer.headers["bellwether-data-age"]) > 3 * 86400
    meta = home.scores / "first" / "meta.json"
    assert json.loads(meta.read_text())["as_of"] == AS_OF.isoformat()


def test_a_mapping_is_proposed_corrected_on_the_page_and_imported_by(own, page):
    home, store, _ = own
    export = (
        "Opportunity ID,Opportunity Name,Account Name,Stage,Amount,Close Date,begun\n"
        "006a,Alpha <b>,a1,Closed Won,10,2026-01-20,2025-11-03\n006b,Beta,a1,Talk,20,2026-05-01,2025-11-04\n"
        "006c,Gamma,a1,Closed Lost,30,2026-01-21,2025-11-05\n"
    )
    shown = page.post("/data/guess", files=[("files", ("report.csv", export.encode(), "text/csv"))])
    assert shown.status_code == 200
    assert "<b>created_at" not in shown.text
    assert "deals.created_at" in shown.text
    assert "could be: " in shown.text
    address = re.search(r'action="(/data/guess/[0-9a-f]{24})"', shown.text)[1]
    text = html.unescape(re.search(r"<textarea[^>]*>(.*?)</textarea>", shown.text, re.DOTALL)[1])
    refused = page.post(address, data={"mapping": text})
    assert refused.status_code == 400
    assert "deals needs created_at" in refused.text
    assert "# created_at:" in refused.text  # what was written is still there
    mended = re.sub(r"# created_at:.*", "created_at: begun", text)
    assert page.post(address, data={"mapping": mended}).status_code == 303
    do_all(home, store)
    rows = {r["deal_id"]: r["outcome"] for r in home.lake.view().arrow("deals").to_pylist()}
    assert (rows["006a"], rows["006b"], rows["006c"]) == ("won", "open", "lost")
    gone = page.post(address, data={"mapping": mended})  # the job has taken the files and dropped them
    assert gone.status_code == 400
    assert "Send them again" in gone.text
