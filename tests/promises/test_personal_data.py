"""Names and addresses of persons stay out of the lake, and are gone from every file of the home once erased."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from crm.importing import import_path
from serving.access import Viewer
from serving.home import Home
from serving.people import StorePeople
from serving.people_data.erasing import erase_person
from serving.people_data.requests import ask
from serving.people_data.subjects import subject_by_key
from serving.people_data.views import looks_at, note_looks
from serving.sign_in import sign_in
from serving.store import Store
from serving.tables.audit import AuditEntry
from serving.users import add_user

NAMES = ("Ottokar Quendel", "Xaverine Zwickl", "Ysolde Pfnuer")
ADDRESSES = ("ottokar@quendel.example", "xaverine@zwickl.example", "ysolde@pfnuer.example", "+43 5550 77123")
FILES = {
    "reps.csv": "rep_id,name,email,hired_on\n"
    f"r1,{NAMES[0]},{ADDRESSES[0]},2024-01-01\n"
    f"r9,{NAMES[2]},{ADDRESSES[2]},31/31/2024\n",  # refused for its date
    "accounts.csv": "account_id,name\na1,Findable Ltd\n",
    "contacts.csv": f"contact_id,account_id,name,email,phone\nc1,a1,{NAMES[1]},{ADDRESSES[1]},{ADDRESSES[3]}\n",
    "deals.csv": "deal_id,account_id,owner_id,stage,created_at,outcome\nd1,a1,r1,Meet,2026-01-05T09:00:00Z,open\n",
}


def files_that_hold(root: Path, word: str) -> set[str]:
    """Files below a folder with a word in their bytes, or in the values of a Parquet file, which are compressed."""
    found = set()
    for path in root.rglob("*"):
        if path.is_file():
            values = str(pq.read_table(path).to_pylist()) if path.suffix == ".parquet" else ""
            if word.encode() in path.read_bytes() or word in values:
                found.add(path.relative_to(root).as_posix())
    return found


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """The folder of an export and a home that holds it."""
    root = tmp_path_factory.mktemp("company")
    (root / "export").mkdir()
    for name, text in FILES.items():
        (root / "export" / name).write_text(text, encoding="utf-8")
    home = Home(root / "home")
    home.make()
    store = Store(home.database_url)
    read(root / "export", home, store)
    store.close()
    return root


@pytest.fixture
def home(imported, tmp_path):
    return Home(shutil.copytree(imported / "home", tmp_path / "home"))


def read(export, home, store):
    report = import_path(
        export, lake=home.lake, people=StorePeople(store), quarantine=home.quarantine, company=home.company()
    )
    assert report.taken == 4  # a rep, an account, a contact, a deal; the other rep is refused


def test_the_search_finds_what_is_there(home):
    """The lake does hold the company's name, so a search that finds no person's name there means something."""
    assert any(place.startswith("lake/accounts/") for place in files_that_hold(home.root, "Findable Ltd"))
    assert files_that_hold(home.root, "d1")


def test_names_and_addresses_are_in_the_store_alone(home):
    for word in (*NAMES[:2], ADDRESSES[0], ADDRESSES[1], ADDRESSES[3]):
        assert files_that_hold(home.root, word) == {"store.db"}
    for word in (NAMES[2], ADDRESSES[2]):  # their row was refused
        assert files_that_hold(home.root, word) <= {"store.db"}


def test_reports_of_refused_rows_hide_them_too(home):
    kept = "".join(path.read_text("utf-8") for path in home.quarantine.rglob("*.jsonl"))
    assert "31/31/2024" in kept
    assert not any(word in kept for word in (*NAMES, *ADDRESSES))


def test_an_erased_person_is_in_no_file_and_the_key_stays(home):
    (rep,) = home.lake.view().arrow("reps").to_pylist()
    (contact,) = home.lake.view().arrow("contacts").to_pylist()
    store = Store(home.database_url)
    people = StorePeople(store)
    assert people.names() == {rep["person_key"]: NAMES[0], contact["person_key"]: NAMES[1]}
    for person in (rep, contact):
        people.erase(person["person_key"])
    assert people.names() == {}
    store.close()
    for word in (NAMES[0], NAMES[1], ADDRESSES[0], ADDRESSES[1], ADDRESSES[3]):
        assert files_that_hold(home.root, word) == set()
    assert files_that_hold(home.root, rep["person_key"])


def test_an_erased_person_who_is_imported_again_stays_erased(home, imported):
    (rep,) = home.lake.view().arrow("reps").to_pylist()
    store = Store(home.database_url)
    StorePeople(store).erase(rep["person_key"])
    read(imported / "export", home, store)
    assert rep["person_key"] not in StorePeople(store).names()
    store.close()
    assert files_that_hold(home.root, NAMES[0]) == set()
    assert home.lake.view().arrow("reps").column("person_key").to_pylist() == [rep["person_key"]]


def test_erasing_one_who_signs_in_takes_out_user_words_and_e_mail_everywhere_and_keeps_counts(home):
    (rep,) = home.lake.view().arrow("reps").to_pylist()
    subject, key, email = subject_by_key(home.lake.view(), "r1"), rep["person_key"], ADDRESSES[0]
    store = Store(home.database_url)
    number = add_user(store, email, "a long password", "rep", rep_id="r1")
    sign_in(store, email, "a long password", address="127.0.0.1")
    store.audit("cli", "add user", email=email, more=[{"who": email}])
    store.audit(email, "export", route="/deals")
    ask(store, subject, kind="comment", text=f"I am {NAMES[0]}, call {ADDRESSES[3]}")
    note_looks(store, Viewer("rep", user_id=number, rep_id="r1"), ["r7"], {"r7": "p_other"}, what="page people")
    erase_person(store, subject, who="cli")
    for word in (NAMES[0], email, "a long password"):
        assert files_that_hold(home.root, word) == set()
    with store.reading() as session:
        entries = session.query(AuditEntry).order_by(AuditEntry.audit_id).all()
    gone = f"erased-{number}"
    assert [(e.who, e.what) for e in entries] == [("cli", "add user"), (gone, "export"), ("cli", "erase person")]
    assert entries[0].detail == {"email": gone, "more": [{"who": gone}]}
    assert [look.who for look in looks_at(store, "p_other")] == [gone]  # that somebody looked stays known
    store.close()
    assert files_that_hold(home.root, key)
