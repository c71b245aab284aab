"""Salesforce against a stand-in: whatever happens on the way, the lake equals the company's data row by row."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from crm.company import Company
from crm.connectors import sync
from crm.connectors.base import BadCrmKey, CrmUnreachable, SyncReport
from crm.connectors.salesforce import Salesforce, SalesforceKeys, SalesforceLimits
from crm.connectors.salesforce.auth import SalesforceTokens
from crm.connectors.salesforce.objects import log_of
from crm.connectors.salesforce.writer import SalesforceWriter
from crm.connectors.web import Patience
from crm.connectors.writing import NoSuchField, Written
from crm.lake import Lake
from crm.mapping import load
from crm.people import MemoryPeopleBook
from tests.crm.connectors.salesforce_server import KEYS, STAGES, SalesforceOrg, serve
from tests.crm.connectors.tryton_server import UV

ANN, BO = "005000000000000001", "005000000000000002"


def opp(n: int) -> str:
    return f"006{n:015d}"


def acc(n: int) -> str:
    return f"001{n:015d}"


@pytest.fixture
def org() -> SalesforceOrg:
    """Two users, three accounts, twelve opportunities in several stages, a lead, a call that was made."""
    org = SalesforceOrg()
    for n, user in enumerate((ANN, BO)):
        org.put("User", user, Name=f"Person{n} Secret", Email="p@example.org")
    for n in range(3):
        org.put("Account", acc(n), Name=f"Firm {n}", Industry="Tools", OwnerId=ANN)
        org.put("Contact", f"003{n:015d}", Name=f"Client{n} Secret", Email="c@example.org", AccountId=acc(n))
    for n in range(12):
        add_deal(org, n)
        if n % 3 == 0:
            org.tick(days=1)
            org.put("Opportunity", opp(n), StageName="Won" if n else "Lost")
    org.put("Lead", "00Q000000000000001", Status="Open - Not Contacted", OwnerId=ANN, IsConverted=False)
    org.put("Task", "00T000000000000001", WhatId=opp(1), OwnerId=BO, TaskSubtype="Call", CompletedDateTime=org.stamp())
    return org


def add_deal(org: SalesforceOrg, n: int) -> None:
    org.tick(hours=5)
    org.put(
        "Opportunity", opp(n), Name=f"Deal {n}", AccountId=acc(n % 3), OwnerId=(ANN, BO)[n % 2], Amount=1000.5 + n,
        StageName="Prospecting", CloseDate="2026-06-30", ForecastCategory="Pipeline", Risk__c=3.5,
    )  # fmt: skip


@pytest.fixture
def address(org: SalesforceOrg) -> Iterator[str]:
    with serve(org) as url:
        yield url


class Site:
    """A home of a kind: lake, people, cursor."""

    def __init__(self, root: Path, org: SalesforceOrg, address: str) -> None:
        self.root, self.org, self.address = root, org, address
        self.lake, self.people, self.state = Lake(root / "lake"), MemoryPeopleBook(), root / "salesforce.json"
        self.ahead, self.timeout = timedelta(0), 5.0

    def connector(self, calls: int = 2000, **keys: str) -> Salesforce:
        given = SalesforceKeys(self.address, **{**KEYS, **keys})
        patience = Patience(tries=5, first_wait=0.01, longest_wait=2, timeout=self.timeout)
        return Salesforce(given, limits=SalesforceLimits(batch=10, calls=calls), patience=patience)

    def sync(self, **options: Any) -> SyncReport:
        connector = self.connector(**options)
        return sync(
            connector, lake=self.lake, people=self.people, quarantine=self.root / "q", company=Company(),
            state_file=self.state, stop=self.org.now + self.ahead, mapping=load(connector.declaration.mapping),
        )  # fmt: skip

    def rows(self, table: str, *columns: str) -> list[tuple[Any, ...]]:
        found = self.lake.view().arrow(table).to_pylist()
        return sorted((tuple(r[c] for c in columns) for r in found), key=str)


@pytest.fixture
def site(tmp_path: Path, org: SalesforceOrg, address: str) -> Site:
    org.page = 4
    return Site(tmp_path, org, address)


def assert_equal(site: Site) -> None:
    """Deals, the log of their stages, accounts and activities are those of the company that are not deleted."""
    org = site.org
    there = {n: [r for r in rows.values() if not r.get("IsDeleted")] for n, rows in org.records.items()}
    deals = []
    for d in there["Opportunity"]:
        closed, won = STAGES[d["StageName"]]
        outcome = "won" if won else "lost" if closed else "open"
        deals.append((d["Id"], d["StageName"], outcome, Decimal(str(d["Amount"])), d["OwnerId"], d["Risk__c"]))
    leads = [(r["Id"], r["Status"], "open", None, r["OwnerId"], None) for r in there["Lead"]]
    columns = ("deal_id", "stage", "outcome", "amount", "owner_id", "x_risk")
    assert site.rows("deals", *columns) == sorted(deals + leads, key=str)
    moves, last = [], {}
    alive = {d["Id"] for d in there["Opportunity"]}
    for row in there["OpportunityHistory"]:
        deal, before = row["OpportunityId"], last.get(row["OpportunityId"])
        if deal in alive and row["StageName"] != before:
            moves.append((deal, datetime.fromisoformat(row["CreatedDate"]), before, row["StageName"]))
        last[deal] = row["StageName"]
    logged = [r[1:] for r in site.rows("deal_changes", "field", "deal_id", "changed_at", "old_value", "new_value")
              if r[0] == "stage"]  # fmt: skip
    assert sorted(logged, key=str) == sorted(moves, key=str)
    assert site.rows("accounts", "account_id") == sorted((r["Id"],) for r in there["Account"])
    assert site.rows("activities", "activity_id") == sorted((r["Id"],) for r in there["Task"])


def test_a_first_load_takes_all_and_names_stay_out_of_the_lake(site: Site) -> None:
    site.sync()
    assert_equal(site)
    assert site.rows("activities", "kind", "deal_id", "rep_id") == [("call", opp(1), BO)]
    files = [f for f in site.root.rglob("*") if f.is_file()]
    assert files
    assert not any(word in f.read_bytes() for f in files for word in (b"Secret", b"example.org", b"hush"))


def test_later_syncs_follow_changes_with_their_log_deletions_and_merges(site: Site) -> None:
    site.sync()
    org = site.org
    org.tick(days=2)
    org.put("Opportunity", opp(1), Amount=2000.0, OwnerId=ANN, CloseDate="2026-07-31")
    changed = org.now
    add_deal(org, 40)
    org.delete("Opportunity", opp(2))
    org.delete("Account", acc(2))  # merged into another: its deals point there, it is deleted
    org.tick(minutes=10)
    org.asked.clear()
    site.sync()
    assert_equal(site)
    later = [r for r in site.rows("deal_changes", "field", "old_value", "new_value", "changed_at", "source", "deal_id")
             if r[3] == changed and r[5] == opp(1)]  # fmt: skip
    # Deal 1 was made with 1000.5 + 1 for Bo; each change is logged by Salesforce itself, the owner's by key alone.
    assert [r[:3] for r in later] == [
        ("amount", "1001.5", "2000"),
        ("close_date", "2026-06-30", "2026-07-31"),
        ("owner_id", BO, ANN),
    ]
    assert {r[4] for r in later} == {"crm"}
    number = site.lake.cut().number
    org.tick(minutes=10)
    site.sync()
    assert site.lake.cut().number == number


def test_faults_on_the_way_change_nothing(site: Site) -> None:
    faults = ["503", "", "500", "cut", "", "429 1", "half", "", "expire", "", "503 0", "cut", "half", "", "expire"]
    site.timeout = 1.0
    site.org.faults.extend([*faults, "429", "", "slow 1.5"])
    site.sync()
    assert_equal(site)
    assert not site.org.faults


def test_records_that_change_while_pages_are_read_are_neither_lost_nor_doubled(site: Site) -> None:
    """Between two pages of a query: the first deal changes, the last goes, one comes."""
    org = site.org

    def users(new: int) -> None:
        org.tick(seconds=1)
        first, *_, last = sorted(i for i, r in org.records["Opportunity"].items() if not r["IsDeleted"])
        org.delete("Opportunity", last)
        org.put("Opportunity", first, Amount=8.0, StageName="Proposal")
        add_deal(org, new)

    org.meanwhile["query/01g"] = partial(users, 77)
    site.sync()
    org.tick(days=1)
    for key in list(org.records["Opportunity"]):
        org.put("Opportunity", key, Amount=9.0)
    org.meanwhile["query/01g"] = partial(users, 78)
    site.sync()
    assert not org.meanwhile
    org.tick(minutes=10)
    site.sync()
    assert_equal(site)
    assert (opp(78),) in site.rows("deals", "deal_id")


@pytest.mark.parametrize("place", [10, 12, 14])
def test_a_run_that_dies_anywhere_is_gone_on_with(site: Site, place: int) -> None:
    with pytest.raises(CrmUnreachable):
        site.sync(calls=place)
    site.sync()
    assert_equal(site)


def test_the_days_calls_are_not_used_up_to_the_last(site: Site) -> None:
    site.org.most = 20
    with pytest.raises(CrmUnreachable, match=r"the day's calls are used up \(18 of 20\)"):
        site.sync()
    assert len(site.org.asked) == 18  # a tenth is left to others
    site.org.most = 100_000
    site.sync()
    assert_equal(site)


@pytest.mark.parametrize("ahead", [timedelta(minutes=5), timedelta(minutes=-5)])
def test_a_clock_that_is_five_minutes_off_loses_nothing(site: Site, ahead: timedelta) -> None:
    site.ahead = ahead
    site.org.tick(hours=1)
    for n in range(3):
        site.org.tick(minutes=2)
        site.org.put("Opportunity", opp(n), Amount=float(n))
        site.sync()
        assert_equal(site)


def test_wrong_keys_say_so_and_show_no_secret(site: Site) -> None:
    with pytest.raises(BadCrmKey, match=r"gives no token \(invalid_client\)") as caught:
        site.sync(client_secret="hush-wrong")
    assert "hush" not in str(caught.value) + repr(SalesforceKeys("https://a.example", **KEYS))
    with pytest.raises(BadCrmKey, match="is not encrypted"):
        SalesforceTokens(SalesforceKeys("http://firm.example.com", **KEYS))


def test_a_log_is_made_of_what_differs_from_one_snapshot_to_the_next() -> None:
    def snapshot(ident: str, stage: str, amount: float, day: int) -> dict[str, Any]:
        at = f"2026-01-{day:02d}T08:00:00.000+0000"
        return {"Id": ident, "StageName": stage, "Amount": amount, "CloseDate": "2026-06-30", "CreatedDate": at}

    rows = log_of("d", [snapshot("2", "B", 5.0, 3), snapshot("1", "A", 5.0, 1), snapshot("3", "B", 7.5, 9)], [])
    assert [(r["Field"], r["Old"], r["New"], r["Changed_Time"][:10]) for r in rows] == [
        ("stage", None, "A", "2026-01-01"),
        ("amount", None, "5", "2026-01-01"),
        ("close_date", None, "2026-06-30", "2026-01-01"),
        ("stage", "A", "B", "2026-01-03"),
        ("amount", "5", "7.5", "2026-01-09"),
    ]


def test_fields_are_written_and_what_is_refused_is_told(site: Site) -> None:
    writer = SalesforceWriter(site.connector())
    writer.check(["Chance__c"], ["Memo__c"])
    with pytest.raises(NoSuchField, match="'Luck__c' is not there in Opportunity"):
        writer.check(["Luck__c"], [])
    with pytest.raises(NoSuchField, match="'Memo__c' of Opportunity is no number"):
        writer.check(["Memo__c"], [])
    told = list(writer.write({opp(1): {"Chance__c": 30, "Memo__c": "Call"}, opp(99): {"Chance__c": 1}}))
    assert told == [Written(opp(1)), Written(opp(99), "INVALID_CROSS_REFERENCE_KEY")]
    assert (site.org.records["Opportunity"][opp(1)]["Chance__c"], len(told)) == (30, 2)


_CLIENT = """
import json, sys
import requests
from simple_salesforce import Salesforce

class Address(requests.adapters.HTTPAdapter):  # the library takes https for granted; the stand-in speaks http
    def send(self, request, **how):
        request.url = request.url.replace("https://", "http://", 1)
        return super().send(request, **how)

session = requests.Session()
session.mount("https://", Address())
sf = Salesforce(instance_url=sys.argv[1], session_id=sys.argv[2], session=session)
deals = sf.query_all("SELECT Id, StageName, Amount FROM Opportunity ORDER BY Id")
found = [r["Id"] for r in sf.query_all_iter("SELECT Id FROM OpportunityHistory")]
gone = sf.query_all("SELECT Id FROM Opportunity WHERE IsDeleted = true", include_deleted=True)
print(json.dumps(dict(
    deals=[[r["Id"], r["StageName"], r["Amount"]] for r in deals["records"]], total=deals["totalSize"],
    history=len(found), gone=[r["Id"] for r in gone["records"]],
    fields=[f["name"] for f in sf.Opportunity.describe()["fields"]],
    one=sf.Opportunity.get(deals["records"][0]["Id"])["Name"],
    usage=sf.api_usage["api-usage"].total,
)))
"""


@pytest.mark.peers
def test_the_stand_in_serves_the_clients_own_library(site: Site, tmp_path: Path) -> None:
    """simple-salesforce, unchanged but for the address, reads from it what is there."""
    from tests.crm.connectors.salesforce_server import FIELDS

    python = tmp_path / "env/bin/python"
    subprocess.run([UV, "venv", "-q", "--python", sys.executable, tmp_path / "env"], check=True)
    subprocess.run([UV, "pip", "install", "-q", "--python", python, "simple-salesforce>=1.12"], check=True)
    site.org.delete("Opportunity", opp(2))
    token = SalesforceTokens(SalesforceKeys(site.address, **KEYS)).headers()["Authorization"].removeprefix("Bearer ")
    said = subprocess.run([python, "-c", _CLIENT, site.address, token], check=True, capture_output=True, text=True)
    found = json.loads(said.stdout)
    whole = site.org.records["Opportunity"]
    assert found["deals"] == [[i, whole[i]["StageName"], whole[i]["Amount"]] for i in sorted(whole) if i != opp(2)]
    assert found["total"] == 11
    assert found["history"] == len(site.org.records["OpportunityHistory"])
    assert found["gone"] == [opp(2)]
    assert found["fields"] == list(FIELDS["Opportunity"])
    assert found["one"] == "Deal 0"
    assert found["usage"] == 100_000
