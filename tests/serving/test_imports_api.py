"""Imports over the web: dry run, report, refused rows as a list and a file; hostile archives are refused whole."""

import gzip
import io
import zipfile

import pytest
from starlette.datastructures import UploadFile

from crm.mapping import parse
from crm.reading.archives import BadArchive, TooLarge
from serving.home import Home
from serving.jobs.child import main
from serving.jobs.leases import process_name
from serving.jobs.queue import Queue
from serving.people import StorePeople
from serving.store import Store
from serving.uploads import keep_upload
from serving.users import add_user
from tests.serving.small_site import PASSWORD, Site, fill, serving

ACCOUNTS = "account_id,name,created_at\na1,One,2025-01-01\na8,Eight,2025-01-01\n"
# Row 3 (the header is row 1) has no amount that is a number; row 2 is good.
DEALS = (
    "deal_id,account_id,owner_id,created_at,outcome,stage,amount\n"
    "n1,a8,r1,2026-02-01,open,Qualify,500\n"
    "n2,a8,r1,2026-02-01,open,Qualify,5x0\n"
)
REPS = "rep_id,name,email\nr1,Ada Example,ada@example.com\nr77,Bob Example,bob@example.com\n"


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("imports"))
    home.make()
    fill(home)
    store = Store(home.database_url)
    for role in ("admin", "analyst"):
        add_user(store, f"{role}@example.com", PASSWORD, role)
    add_user(store, "r1@example.com", PASSWORD, "rep", rep_id="r1")
    with serving(home) as address:
        yield Site(address, home, store)
    store.close()


def do_all(site):
    """Do what is queued, each as the worker's child process does it."""
    queue, worker = Queue(site.store), process_name()
    while (job := queue.claim(worker)) is not None:
        assert main(site.home.root, job.job_id, worker) == 0


def csv_parts(**tables):
    return [("files", (f"{name}.csv", text.encode(), "text/csv")) for name, text in tables.items()]


def zipped(entries):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in entries:
            archive.writestr(name, text)
    return out.getvalue()


def test_a_dry_run_tells_what_an_import_would_do_and_writes_nothing(own):
    cut, files = own.home.lake.cut().number, csv_parts(accounts=ACCOUNTS, deals=DEALS, reps=REPS)
    with own.client("analyst@example.com") as client:
        asked = client.post("/imports", params={"dry_run": True}, files=files)
        assert asked.status_code == 202, asked.text
        assert asked.json()["state"] == "queued"
        do_all(own)
        found = client.get(asked.headers["location"].removeprefix("/api/v1")).json()
        refused = client.get(f"/imports/{found['import_id']}/refused").json()
    assert (found["state"], found["dry_run"]) == ("done", True), found["text"]
    tables = found["report"]["tables"]
    # In the lake stand a1..a6 and r1: a8 and r77 are new; of the two deals one is refused.
    assert (tables["accounts"]["new"], tables["deals"]["new"], tables["deals"]["refused"]) == (1, 1, 1)
    assert tables["reps"]["new"] == 1
    assert (refused["total"], refused["refused"][0]["row"], refused["refused"][0]["column"]) == (1, 3, "amount")
    assert own.home.lake.cut().number == cut
    assert StorePeople(own.store).names() == {}
    assert not own.home.quarantine.exists()
    assert "score_job" not in found["report"]


def test_an_import_takes_good_rows_and_keeps_refused_ones_with_their_reason(own):
    archive = zipped([("export/accounts.csv", ACCOUNTS), ("export/deals.csv", DEALS), ("__MACOSX/._deals.csv", "x")])
    with own.client("admin@example.com") as client:
        asked = client.post("/imports", files=[("files", ("export.zip", archive, "application/zip"))]).json()
        do_all(own)
        found = client.get(f"/imports/{asked['import_id']}").json()
        sheet = client.get(f"/imports/{asked['import_id']}/refused", params={"format": "csv"})
        listed = client.get("/imports").json()["imports"]
    assert found["state"] == "done", found["text"]
    deals = own.home.lake.view().arrow("deals").to_pandas().set_index("deal_id")
    assert "n1" in deals.index
    assert "n2" not in deals.index
    lines = sheet.content.decode("utf-8-sig").splitlines()
    assert lines[0].startswith("table,file,row,column,value")
    assert lines[1].startswith("deals,deals.csv,3,amount,5x0")
    assert listed[0]["import_id"] == asked["import_id"]
    assert listed[0]["report"] is None
    assert not list((own.home.root / "uploads").iterdir())


def test_whoever_is_not_analyst_or_administrator_may_neither_import_nor_look(own):
    with own.client("r1@example.com") as client:
        assert client.post("/imports", files=csv_parts(accounts=ACCOUNTS)).status_code == 403
        assert client.get("/imports").status_code == 403
        assert client.get("/jobs").json()["jobs"] == []
        assert client.post("/jobs", json={"kind": "score"}).status_code == 403
    with own.client() as client:
        assert client.post("/imports", files=csv_parts(accounts=ACCOUNTS)).status_code == 401


HOSTILE = {
    "a way out": (zipped([("../deals.csv", DEALS)]), "leads outside"),
    "a way out of Windows": (zipped([("..\\..\\deals.csv", DEALS)]), "leads outside"),
    "a root": (zipped([("/etc/deals.csv", DEALS)]), "leads outside"),
    "a program": (zipped([("deals.exe", DEALS)]), "no CSV"),
    "two of a name": (zipped([("a/deals.csv", DEALS), ("b/deals.csv", DEALS)]), "two files"),
    "no archive": (b"PK\x03\x04 nonsense", "no zip archive"),
    "nothing": (zipped([]), "No file"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_an_archive_that_leads_astray_is_refused_whole(own, what):
    archive, word = HOSTILE[what]
    with own.client("admin@example.com") as client:
        answer = client.post("/imports", files=[("files", ("x.zip", archive, "application/zip"))])
    assert answer.status_code == 400
    assert word in answer.json()["detail"]
    assert not list((own.home.root / "uploads").glob("*"))
    assert not list(own.home.root.parent.glob("deals.csv"))


def test_a_link_in_an_archive_is_refused(tmp_path):
    item = zipfile.ZipInfo("deals.csv")
    item.external_attr = 0o120777 << 16
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(item, "/etc/passwd")
    out.seek(0)
    with pytest.raises(BadArchive, match="is a link"):
        keep_upload(Home(tmp_path), [UploadFile(out, filename="x.zip")], None, None, 10**6)


@pytest.mark.parametrize("form", ["zip", "gz", "zip that lies"])
def test_a_small_file_that_unpacks_to_a_huge_one_is_refused(tmp_path, form):
    """40 MB of zeros pack into some 40 kB; with a limit of 1 MB sent, 10 MB may come out."""
    huge = b"0" * 40_000_000
    if form == "gz":
        packed, name = gzip.compress(huge), "deals.csv.gz"
    else:
        packed, name = zipped([("deals.csv", huge)]), "deals.zip"
    if form == "zip that lies":  # the size told in both headers is that of one byte
        packed = packed.replace(len(huge).to_bytes(4, "little"), (1).to_bytes(4, "little"))
    assert len(packed) < 1_000_000
    with pytest.raises((TooLarge, BadArchive)):
        keep_upload(Home(tmp_path), [UploadFile(io.BytesIO(packed), filename=name)], None, None, 1_000_000)
    assert not list((tmp_path / "uploads").glob("*"))


def test_more_than_the_limit_is_not_read(tmp_path):
    home = Home(tmp_path / "home")
    home.make()
    store = Store(home.database_url)
    add_user(store, "admin@example.com", PASSWORD, "admin")
    with serving(home, upload_mb=1) as address, Site(address, home, store).client("admin@example.com") as client:
        big = [("files", ("deals.csv", b"x" * 1_100_000, "text/csv"))]
        told = client.post("/imports", files=big)

        def parts():  # no length is told, so only counting helps
            yield b'--b\r\nContent-Disposition: form-data; name="files"; filename="deals.csv"\r\n\r\n'
            for _ in range(30):
                yield b"x" * 100_000
            yield b"\r\n--b--\r\n"

        untold = client.post("/imports", content=parts(), headers={"content-type": "multipart/form-data; boundary=b"})
        ill = client.post("/imports", json={})
    assert (told.status_code, untold.status_code, ill.status_code) == (400, 400, 400)
    assert "larger than 1 MB" in told.json()["detail"]
    assert "larger than 1 MB" in untold.json()["detail"]
    store.close()


def test_a_mapping_is_proposed_and_nothing_kept(own):
    deals = "Deal ID,Stage,Outcome,Created,Amount\n1,Talk,open,2026-01-01,5\n2,Offer,won,2026-01-02,6\n"
    with own.client("analyst@example.com") as client:
        cut = own.home.lake.cut()
        found = client.post("/imports/guess", files=csv_parts(deals=deals)).json()
        assert client.post("/imports/guess", files=csv_parts(other="a,b\n1,2\n")).status_code == 400
    assert {c["column"]: c["source"] for c in found["columns"]}["created_at"] == ["Created"]
    assert parse(found["yaml"]).tables[0].table == "deals"
    assert own.home.lake.cut() == cut
    assert not list((own.home.root / "uploads").glob("*"))
    with own.client("r1@example.com") as client:
        assert client.post("/imports/guess", files=csv_parts(deals=deals)).status_code == 403
