"""Zoho CRM against a stand-in: whatever happens on the way, the lake equals the CRM row by row."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from crm.company import Company
from crm.connectors import base, sync
from crm.connectors.base import BadCrmKey, CrmUnreachable, SyncReport
from crm.connectors.web import Patience
from crm.connectors.zoho import Zoho, ZohoKeys, ZohoLimits
from crm.connectors.zoho.auth import ZohoTokens
from crm.lake import Lake
from crm.mapping import load
from crm.people import MemoryPeopleBook
from tests.crm.connectors.tryton_server import UV
from tests.crm.connectors.zoho_server import KEYS, STAGES, ZohoCrm, ZohoServer

OUTCOMES = {"Qualification": "open", "Proposal": "open", "Signed": "won", "Dropped": "lost"}


@pytest.fixture
def crm() -> ZohoCrm:
    """Two users, three accounts, contacts, twelve deals with a few stages, calls and a meeting."""
    crm = ZohoCrm()
    for n in (1, 2):
        user = {"id": str(n), "full_name": f"Person{n} Secret", "email": f"person{n}@example.org"}
        crm.users.append({**user, "role": {"id": "9", "name": "rep"}, "status": "active"})
    for n in range(3):
        crm.put("Accounts", f"10{n}", Account_Name=f"Firm {n}", Industry="Tools", Employees=10 * n, Owner=owner(1))
        firm = {"id": f"10{n}", "name": f"Firm {n}"}
        crm.put("Contacts", f"20{n}", Full_Name=f"Client{n} Secret", Email="c@example.org", Account_Name=firm)
    for n in range(12):
        add_deal(crm, str(300 + n))
        if n % 3 == 0:
            crm.tick(days=1)
            crm.put("Deals", str(300 + n), Stage="Proposal")
        if n % 6 == 0:
            crm.tick(days=1)
            crm.put("Deals", str(300 + n), Stage="Signed" if n else "Dropped")
    add_call(crm, "400", "300", seconds=90)
    return crm


def owner(n: int) -> dict[str, str]:
    return {"id": str(n), "name": f"Person{n} Secret", "email": f"person{n}@example.org"}


def add_deal(crm: ZohoCrm, ident: str, amount: float = 1000.5) -> None:
    crm.tick(hours=5)
    firm = {"id": f"10{int(ident) % 3}", "name": "Firm"}
    crm.put(
        "Deals", ident, Deal_Name=f"Deal {ident}", Account_Name=firm, Owner=owner(1 + int(ident) % 2), Amount=amount,
        Stage="Qualification", Closing_Date="2026-06-30", Type="New Business",
    )  # fmt: skip


def add_call(crm: ZohoCrm, ident: str, deal: str, seconds: int) -> None:
    crm.tick(hours=1)
    about = {"What_Id": {"id": deal, "name": "Deal"}, "$se_module": "Deals"}
    start = (crm.now - timedelta(minutes=30)).isoformat()
    crm.put(
        "Calls", ident, **about, Call_Type="Outbound", Call_Start_Time=start, Call_Duration_in_seconds=seconds,
        Owner=owner(1),
    )  # fmt: skip


@pytest.fixture
def address(crm: ZohoCrm) -> Iterator[str]:
    with ZohoServer(crm) as url:
        yield url


class Site:
    """A home of a kind: lake, people, cursor."""

    def __init__(self, root: Path, crm: ZohoCrm, address: str) -> None:
        self.root, self.crm, self.address = root, crm, address
        self.lake, self.people, self.state = Lake(root / "lake"), MemoryPeopleBook(), root / "zoho.json"
        self.ahead, self.timeout = timedelta(0), 5.0

    def sync(
        self, page: int = 5, pages: int = 10, calls: int = 2000, timeline: bool = False, bulk: bool = False, **keys: str
    ) -> SyncReport:
        connector = Zoho(
            ZohoKeys(**{**KEYS, **keys}), accounts=self.address,
            limits=ZohoLimits(page=page, pages=pages, calls=calls, bulk=bulk, poll=0.01),
            timeline=timeline,
            patience=Patience(tries=5, first_wait=0.01, longest_wait=2, timeout=self.timeout),
        )  # fmt: skip
        return sync(
            connector, lake=self.lake, people=self.people, quarantine=self.root / "q", company=Company(),
            state_file=self.state, stop=self.crm.now + self.ahead, mapping=load(connector.declaration.mapping),
        )  # fmt: skip

    def rows(self, table: str, *columns: str) -> list[tuple[Any, ...]]:
        found = self.lake.view().arrow(table).to_pylist()
        return sorted((tuple(r[c] for c in columns) for r in found), key=str)


@pytest.fixture
def site(tmp_path: Path, crm: ZohoCrm, address: str) -> Site:
    return Site(tmp_path, crm, address)


def assert_equal(site: Site) -> None:
    """Deals, their stages, calls, accounts and contacts are those of the CRM."""
    crm = site.crm
    deals = []
    for d in crm.records["Deals"].values():
        outcome = OUTCOMES[d["Stage"]]
        ended = at(crm.stages[d["id"]][0]["Modified_Time"]) if outcome != "open" else None
        amount, day = Decimal(str(d["Amount"])), datetime.fromisoformat(d["Closing_Date"]).date()
        made = at(d["Created_Time"])
        deals.append((d["id"], d["Stage"], outcome, amount, day, made, ended, d["Owner"]["id"]))
    columns = ("deal_id", "stage", "outcome", "amount", "close_date", "created_at", "closed_at", "owner_id")
    assert site.rows("deals", *columns) == sorted(deals, key=str)
    moves = []
    for deal in crm.records["Deals"]:
        before = None
        for period in reversed(crm.stages[deal]):
            moves.append((deal, at(period["Modified_Time"]), before, period["Stage"]))
            before = period["Stage"]
    logged = [r[1:] for r in site.rows("deal_changes", "field", "deal_id", "changed_at", "old_value", "new_value")
              if r[0] == "stage"]  # fmt: skip
    assert sorted(logged, key=str) == sorted(moves, key=str)
    calls = [(c["id"], c["What_Id"]["id"], c["Call_Duration_in_seconds"] / 60) for c in crm.records["Calls"].values()]
    called = [r[1:] for r in site.rows("activities", "kind", "activity_id", "deal_id", "duration_minutes")
              if r[0] == "call"]  # fmt: skip
    assert called == sorted(calls, key=str)
    assert site.rows("accounts", "account_id") == sorted((i,) for i in crm.records["Accounts"])
    assert site.rows("contacts", "contact_id") == sorted((i,) for i in crm.records["Contacts"])
    assert crm.peak_at_once <= 4  # of the ten calls at a time that are allowed


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def test_a_first_load_takes_all_and_names_stay_out_of_the_lake(site: Site) -> None:
    site.sync()
    assert_equal(site)
    assert site.rows("reps", "rep_id", "role") == [("1", "rep"), ("2", "rep")]
    files = [f for f in site.lake.root.rglob("*") if f.is_file()]
    assert files
    assert not any(b"Secret" in f.read_bytes() or b"example.org" in f.read_bytes() for f in files)


def test_later_syncs_read_only_what_changed_and_log_what_zoho_keeps_no_log_of(site: Site) -> None:
    site.sync()
    crm = site.crm
    crm.tick(days=2)
    crm.put("Deals", "301", Amount=2000, Stage="Proposal", Owner=owner(2))
    changed = crm.now
    add_deal(crm, "350")
    crm.delete("Deals", "302")
    crm.put("Accounts", "102", Industry="Boats")
    crm.tick(minutes=5)
    crm.asked.clear()
    site.sync()
    assert_equal(site)
    # Deal 301 was owned by 1 + 301 % 2 = person 2 before as well, so the owner is no difference.
    assert [r for r in site.rows("deal_changes", "field", "deal_id", "changed_at", "old_value", "new_value", "source")
            if r[0] != "stage"] == [("amount", "301", changed, "1000.50", "2000.00", "difference")]  # fmt: skip
    assert ("102", "Boats") in site.rows("accounts", "account_id", "industry")
    assert sum("Stage_History" in path for path in crm.asked) == 2
    number = site.lake.cut().number
    crm.tick(minutes=5)
    site.sync()
    assert site.lake.cut().number == number


def test_timelines_tell_past_amounts_and_close_dates_from_before_the_first_sync(site: Site) -> None:
    crm = site.crm
    crm.put("Deals", "301", Amount=12345.5, Closing_Date="2026-07-31")
    first = crm.now
    crm.tick(days=1)
    crm.put("Deals", "301", Amount=12000)
    site.sync(timeline=True)
    crm.tick(days=1)
    crm.put("Deals", "301", Closing_Date="2026-08-31")
    crm.tick(minutes=5)
    site.sync(timeline=True)
    assert_equal(site)
    made, day = at(crm.records["Deals"]["301"]["Created_Time"]), timedelta(days=1)
    columns = ("field", "changed_at", "old_value", "new_value", "source", "deal_id")
    rows = [r[:5] for r in site.rows("deal_changes", *columns) if r[0] != "stage" and r[5] == "301"]
    assert sorted(rows, key=lambda r: r[:2]) == [
        ("amount", made, None, "1000.50", "crm"),
        ("amount", first, "1000.50", "12345.50", "crm"),
        ("amount", first + day, "12345.50", "12000.00", "crm"),
        ("close_date", made, None, "2026-06-30", "crm"),
        ("close_date", first, "2026-06-30", "2026-07-31", "crm"),
        ("close_date", first + 2 * day, "2026-07-31", "2026-08-31", "crm"),
    ]


def test_a_field_that_is_empty_at_first_holds_what_the_crm_says_it_holds(site: Site) -> None:
    made = {"custom_field": True}
    site.crm.own["Deals"] = {"Risk": {**made, "data_type": "double"}, "Class": {**made, "data_type": "picklist"}}
    site.sync()
    for deal in ("301", "302"):
        site.crm.put("Deals", deal, Risk=3.5, Class="7")
    site.crm.tick(hours=1)
    site.sync()
    assert ("301", 3.5, "7") in site.rows("deals", "deal_id", "x_risk", "x_class")
    logged = site.rows("deal_changes", "deal_id", "field", "old_value", "new_value")
    assert [r for r in logged if r[0] == "301" and r[1].startswith("x_")] == [
        ("301", "x_class", None, "7"), ("301", "x_risk", None, "3.5"),
    ]  # fmt: skip


def test_leads_are_deals_of_their_kind_and_converted_ones_are_won(site: Site) -> None:
    crm = site.crm
    for ident, status, converted in (("600", "Contacted", False), ("601", "Junk Lead", False), ("602", None, True)):
        crm.put("Leads", ident, Lead_Status=status, Owner=owner(1), **{"$converted": converted})
    site.sync()
    leads = [r for r in site.rows("deals", "deal_id", "stage", "outcome", "kind") if r[3] == "lead"]
    assert [r[:3] for r in leads] == [
        ("600", "Contacted", "open"), ("601", "Junk Lead", "lost"), ("602", "none", "won"),
    ]  # fmt: skip


def test_faults_on_the_way_change_nothing(site: Site) -> None:
    faults = [
        "429",
        "",
        "429 0",
        "cut",
        "503 1",
        "500",
        "",
        "expire",
        "",
        "500",
        "",
        "half",
        "cut",
        "",
        "expire",
        "slow 1.5",
        "429",
    ]
    site.timeout = 1.0
    site.crm.faults.extend(faults)
    site.sync()
    assert_equal(site)
    assert not site.crm.faults


@pytest.mark.parametrize("ahead", [timedelta(minutes=5), timedelta(minutes=-5)])
def test_a_clock_that_is_five_minutes_off_loses_nothing(site: Site, ahead: timedelta) -> None:
    site.ahead = ahead
    site.crm.tick(hours=1)
    for n in range(3):
        site.crm.tick(minutes=2)
        site.crm.put("Deals", str(300 + n), Amount=n + 0.5)
        site.sync()
        assert_equal(site)


def test_a_token_that_ends_is_renewed_once_by_all_threads(site: Site) -> None:
    site.sync()
    assert site.crm.renewed == 1
    site.crm.faults.extend([*[""] * 20, "expire"])
    site.state.unlink()
    site.sync()
    # One token for the second run, one more for its end in the middle.
    assert site.crm.renewed == 3


def test_a_crm_that_stays_away_is_named_and_the_next_sync_goes_on(site: Site) -> None:
    with pytest.raises(CrmUnreachable, match="14 calls of one run are spent"):
        site.sync(calls=14)
    done = len(site.crm.asked)
    assert site.lake.cut().number > 0
    site.sync()
    assert_equal(site)
    again = site.crm.asked[done:]
    # What was finished is asked for only as to what is new since: nothing there, so no second page.
    assert sum(path.endswith("/Accounts") for path in again) == 1
    site.crm.faults.extend(["503"] * 5)
    with pytest.raises(CrmUnreachable, match="answered 503, 5 times"):
        site.sync()


def test_waiting_for_longer_than_patience_ends_the_run(site: Site) -> None:
    site.crm.faults.append("429 3600")
    with pytest.raises(CrmUnreachable, match="asks to wait 3,600 seconds"):
        site.sync()


@pytest.mark.parametrize("place", [3, 22, 31])
def test_a_run_that_dies_anywhere_is_gone_on_with(site: Site, place: int) -> None:
    with pytest.raises(CrmUnreachable):
        site.sync(calls=place, pages=1)
    site.sync()
    assert_equal(site)


def test_a_deal_deleted_while_its_pages_are_read_hides_no_other(site: Site) -> None:
    """Without care the next page starts one record too far: the first of it is never read."""
    crm = site.crm

    def delete() -> None:
        crm.tick(seconds=1)
        crm.delete("Deals", "300")

    site.sync()
    for deal in list(crm.records["Deals"]):
        crm.tick(seconds=10)
        crm.put("Deals", deal, Amount=7)
    crm.tick(minutes=5)
    crm.meanwhile["Stage_History"] = delete  # after the first page of deals, before the second
    site.sync(pages=1)
    assert "300" not in crm.records["Deals"]
    assert_equal(site)


def test_a_page_token_that_is_too_old_starts_the_reading_anew(site: Site) -> None:
    with pytest.raises(CrmUnreachable):
        site.sync(calls=20, pages=1)
    state = base.read_state(site.state)
    assert state["Deals"]["token"]
    site.crm.pages.clear()
    site.sync()
    assert_equal(site)


def test_a_meeting_that_is_planned_comes_when_it_has_been(site: Site) -> None:
    crm = site.crm
    crm.tick(hours=1)
    start = crm.now + timedelta(days=3)
    about = {"What_Id": {"id": "101", "name": "Firm 1"}, "$se_module": "Accounts"}
    end = (start + timedelta(minutes=45)).isoformat()
    crm.put("Events", "500", **about, Start_DateTime=start.isoformat(), End_DateTime=end, Owner=owner(2))
    crm.tick(minutes=5)
    site.sync()
    meeting = ("meeting", "500", "101", start, 45.0)
    columns = ("kind", "activity_id", "account_id", "occurred_at", "duration_minutes")
    assert meeting not in site.rows("activities", *columns)
    crm.tick(days=4)
    site.sync()
    assert meeting in site.rows("activities", *columns)


def test_wrong_keys_say_so_and_show_no_secret(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BadCrmKey, match=r"gives no token \(invalid_code\)") as caught:
        site.sync(refresh_token="hush-wrong")
    assert "hush" not in str(caught.value) + repr(ZohoKeys(**KEYS)) + "".join(capfd.readouterr())
    with pytest.raises(BadCrmKey, match=r"no data centre 'mars'. Give one of us, eu"):
        Zoho(ZohoKeys(**KEYS, data_centre="mars"))
    with pytest.raises(BadCrmKey, match="is not encrypted"):
        ZohoTokens(ZohoKeys(**KEYS), "http://accounts.example.org")


def test_a_first_load_takes_files_where_they_hold_all_and_the_next_sync_pages(site: Site) -> None:
    crm = site.crm
    crm.looks, crm.file_rows = 2, 7  # the twelve deals come in two files
    site.sync(bulk=True)
    assert_equal(site)
    assert [f["query"]["module"]["api_name"] for f in crm.files.values()] == [
        "Accounts", "Contacts", "Products", "Deals", "Deals",
    ]  # fmt: skip
    assert not any(path.endswith("/v8/Deals") for path in crm.asked)
    crm.tick(hours=1)
    crm.put("Deals", "305", Amount=7)
    crm.tick(minutes=5)
    site.sync(bulk=True)
    assert_equal(site)
    assert len(crm.files) == 5


@pytest.mark.parametrize("place", range(10, 34, 4))
def test_a_run_that_dies_over_a_file_goes_on_with_it(site: Site, place: int) -> None:
    site.crm.file_rows = 7
    with pytest.raises(CrmUnreachable):
        site.sync(calls=place, pages=1, bulk=True)
    site.sync(bulk=True)
    assert_equal(site)


def test_a_file_that_is_gone_or_was_never_made_is_done_without(site: Site) -> None:
    with pytest.raises(CrmUnreachable):
        site.sync(calls=23, pages=1, bulk=True)
    assert base.read_state(site.state)["Deals"]["token"].startswith("bulk ")
    site.crm.files.clear()
    site.sync(bulk=True)
    assert_equal(site)
    assert any(path.endswith("/v8/Deals") for path in site.crm.asked)


def test_what_is_deleted_while_a_file_is_read_is_gone_and_nothing_is_read_again(site: Site) -> None:
    crm = site.crm

    def delete() -> None:
        crm.tick(seconds=1)
        crm.delete("Deals", "300")

    crm.meanwhile["deleted"] = lambda: None
    crm.meanwhile["result"] = delete
    site.sync(bulk=True)
    assert_equal(site)
    assert len(crm.files) == 4


def test_a_module_with_more_fields_than_a_page_gives_is_read_by_queries(site: Site) -> None:
    crm = site.crm
    crm.query_rows = 5
    crm.own["Deals"] = {f"Own_{n}": {"data_type": "integer"} for n in range(60)}
    crm.put("Deals", "301", Own_59=7)
    crm.tick(minutes=5)
    site.sync()
    assert_equal(site)
    assert ("301", 7) in site.rows("deals", "deal_id", "x_own_59")
    crm.tick(hours=1)
    for n in range(0, 12, 2):
        crm.tick(seconds=1)
        crm.put("Deals", str(300 + n), Own_59=n)
    crm.delete("Deals", "311")
    crm.tick(minutes=5)
    crm.asked.clear()
    site.sync()
    assert_equal(site)
    assert {("304", 4), ("310", 10)} <= set(site.rows("deals", "deal_id", "x_own_59"))
    # Six deals by five a query are two; deals whose fields fit a page are read by pages.
    assert sum(path.endswith("/coql") for path in crm.asked) == 2


def test_territories_are_teams(site: Site) -> None:
    top = {"id": "71", "name": "All", "reporting_to": None, "manager": {"id": "2", "name": "Person2 Secret"}}
    site.crm.territories = [top, {**top, "id": "72", "name": "East", "reporting_to": {"id": "71", "name": "All"}}]
    site.crm.members = {"72": ["1"], "71": ["2"]}
    site.sync()
    assert site.rows("teams", "team_id", "name", "parent_team_id", "manager_rep_id") == [
        ("71", "All", None, "2"),
        ("72", "East", "71", "2"),
    ]
    assert site.rows("reps", "rep_id", "team_id") == [("1", "72"), ("2", "71")]


@pytest.mark.peers
def test_the_stand_in_serves_the_vendors_own_library(site: Site, tmp_path: Path) -> None:
    """zohocrmsdk8-0, unchanged but for the address, reads from it what is there."""
    crm, python = site.crm, tmp_path / "env/bin/python"
    subprocess.run([UV, "venv", "-q", "--python", sys.executable, tmp_path / "env"], check=True)
    subprocess.run([UV, "pip", "install", "-q", "--python", python, "zohocrmsdk8-0>=7"], check=True)
    crm.delete("Deals", "302")
    crm.territories = [{"id": "71", "name": "All", "reporting_to": None, "manager": {"id": "2", "name": "Bo"}}]
    client, keys = Path(__file__).with_name("zoho_client.py"), json.dumps(KEYS)
    command = [python, client, site.address, tmp_path, keys, "306"]
    said = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(said.stdout)
    there = {key: crm.records["Deals"][key] for key in sorted(crm.records["Deals"])}
    assert found["deals"] == [[key, d["Stage"], d["Amount"]] for key, d in there.items()]
    assert found["deleted"] == ["302"]
    assert found["stages"] == [period["Stage"] for period in crm.stages["306"]] == [
        "Signed", "Proposal", "Qualification",
    ]  # fmt: skip
    assert found["outcomes"] == STAGES
    assert (found["users"], found["territories"]) == (["Person1 Secret", "Person2 Secret"], ["All"])
    assert found["queried"] == [[key, d["Stage"]] for key, d in there.items() if int(key) > 306]
    assert found["filed"] == ["Id,Stage,Amount", *(f"{key},{d['Stage']},{d['Amount']}" for key, d in there.items())]


def test_no_secret_is_kept_in_any_file(site: Site) -> None:
    site.sync()
    assert not any(b"hush" in f.read_bytes() for f in site.root.rglob("*") if f.is_file())
