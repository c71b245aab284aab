"""HubSpot against a stand-in: whatever happens on the way, the lake equals the company's data row by row."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from crm.company import Company
from crm.connectors import sync
from crm.connectors.base import BadCrmKey, CrmUnreachable, SyncReport
from crm.connectors.hubspot import HubSpot, HubSpotKeys, HubSpotLimits
from crm.connectors.hubspot.auth import HubSpotTokens
from crm.connectors.hubspot.objects import Stages, deal_log
from crm.connectors.hubspot.writer import HubSpotWriter
from crm.connectors.web import Patience
from crm.connectors.writing import NoSuchField, Written
from crm.lake import Lake
from crm.mapping import load
from crm.people import MemoryPeopleBook
from tests.crm.connectors.hubspot_server import APP, STAGES, TOKEN, HubSpotAccount, serve
from tests.crm.connectors.tryton_server import UV

OUTCOMES = {"101": "open", "102": "open", "103": "won", "104": "lost"}
EASTERN = ZoneInfo("US/Eastern")
PATIENCE = Patience(tries=5, first_wait=0.01, longest_wait=2, timeout=5)


@pytest.fixture
def account() -> HubSpotAccount:
    """Two owners in a team, three companies with a contact each, twelve deals in several stages, a call, a task."""
    account = HubSpotAccount()
    for n in (1, 2):
        times = {"createdAt": account.stamp(), "updatedAt": account.stamp(), "archived": n == 2}
        owner = {"id": str(n), "firstName": f"Person{n}", "lastName": "Secret", "email": "p@example.org", "userId": n}
        account.owners.append({**owner, "type": "PERSON", "teams": [{"id": "9", "name": "East", "primary": True}]})
        account.owners[-1] |= times
    for n in range(3):
        account.put("companies", f"2{n}", name=f"Firm {n}", industry="TOOLS", hubspot_owner_id="1")
        account.put("contacts", f"3{n}", firstname=f"Client{n}", lastname="Secret", associatedcompanyid=f"2{n}")
    for n in range(12):
        add_deal(account, n)
        if n % 3 == 0:
            account.tick(days=1)
            account.put("deals", f"10{n}", dealstage="103" if n else "104")
    account.put("calls", "500", hs_timestamp=account.stamp(), hs_call_direction="OUTBOUND", hs_call_duration="90000",
                hubspot_owner_id="2", hs_call_status="COMPLETED")  # fmt: skip
    account.link("calls", "500", "deals", "101")
    account.link("calls", "500", "contacts", "31")
    account.put("tasks", "501", hs_task_status="NOT_STARTED", hs_timestamp=account.stamp(), hubspot_owner_id="2")
    return account


def add_deal(account: HubSpotAccount, n: int) -> None:
    account.tick(hours=5)
    # 03:30 in Greenwich is still the day before in New York.
    account.put(
        "deals", f"10{n}", dealname=f"Deal {n}", dealstage="101", pipeline="default", amount=f"{1000.5 + n}",
        closedate="2026-07-01T03:30:00Z", hubspot_owner_id=str(1 + n % 2), risk_points="3.5",
    )  # fmt: skip
    account.link("deals", f"10{n}", "companies", "20", f"2{n % 3}", primary=f"2{n % 3}")


@pytest.fixture
def address(account: HubSpotAccount) -> Iterator[str]:
    with serve(account) as url:
        yield url


class Site:
    """A home of a kind: lake, people, cursor."""

    def __init__(self, root: Path, account: HubSpotAccount, address: str) -> None:
        self.root, self.account, self.address = root, account, address
        self.lake, self.people, self.state = Lake(root / "lake"), MemoryPeopleBook(), root / "hubspot.json"
        self.ahead, self.timeout = timedelta(0), 5.0
        self.keys = HubSpotKeys(**APP)

    def connector(self, **limits: Any) -> HubSpot:
        wide = {"burst": 100_000, "searches": 100_000, **limits}
        return HubSpot(
            self.keys, host=self.address, limits=HubSpotLimits(**wide), patience=replace(PATIENCE, timeout=self.timeout)
        )

    def sync(self, connector: HubSpot | None = None, **limits: Any) -> SyncReport:
        connector = connector or self.connector(**limits)
        return sync(
            connector, lake=self.lake, people=self.people, quarantine=self.root / "q", company=Company(),
            state_file=self.state, stop=self.account.now + self.ahead, mapping=load(connector.declaration.mapping),
        )  # fmt: skip

    def rows(self, table: str, *columns: str) -> list[tuple[Any, ...]]:
        found = self.lake.view().arrow(table).to_pylist()
        return sorted((tuple(r[c] for c in columns) for r in found), key=str)


@pytest.fixture
def site(tmp_path: Path, account: HubSpotAccount, address: str) -> Site:
    account.list_page = 100
    return Site(tmp_path, account, address)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def assert_equal(site: Site) -> None:
    """Deals with their company, the whole log of each, companies, contacts and calls are those of the account."""
    account = site.account
    deals, log = [], []
    for key, record in account.records["deals"].items():
        d = record["properties"]
        [firm] = [other for other, kind in account.links["deals", "companies"][key] if kind == 5]
        day = at(d["closedate"]).astimezone(EASTERN).date()
        ended = at(record["past"]["dealstage"][0]["timestamp"]) if OUTCOMES[d["dealstage"]] != "open" else None
        deals.append((key, STAGES[d["dealstage"]][0], OUTCOMES[d["dealstage"]], Decimal(d["amount"]), day, firm,
                      d["hubspot_owner_id"], float(d["risk_points"]), ended))  # fmt: skip
        for name, prop in (("stage", "dealstage"), ("amount", "amount"), ("owner_id", "hubspot_owner_id")):
            before = None
            for version in reversed(record["past"][prop]):
                value = STAGES[version["value"]][0] if name == "stage" else version["value"]
                log.append((key, name, at(version["timestamp"]), before, value))
                before = value
    columns = ("deal_id", "stage", "outcome", "amount", "close_date", "account_id", "owner_id", "x_risk_points",
               "closed_at")  # fmt: skip
    assert site.rows("deals", *columns) == sorted(deals, key=str)
    logged = site.rows("deal_changes", "deal_id", "field", "changed_at", "old_value", "new_value")
    assert [r for r in logged if r[1] != "close_date"] == sorted(log, key=str)
    assert site.rows("accounts", "account_id") == sorted((k,) for k in account.records["companies"])
    assert site.rows("contacts", "contact_id") == sorted((k,) for k in account.records["contacts"])
    assert site.rows("activities", "activity_id") == sorted((k,) for k in account.records["calls"])


def test_a_first_load_takes_all_and_names_stay_out_of_the_lake(site: Site) -> None:
    site.sync()
    assert_equal(site)
    assert site.rows("reps", "rep_id", "team_id") == [("1", "9"), ("2", "9")]  # one of them has left
    assert site.rows("teams", "team_id", "name") == [("9", "East")]
    columns = ("kind", "direction", "deal_id", "contact_id", "rep_id", "duration_minutes")
    assert site.rows("activities", *columns) == [("call", "out", "101", "31", "2", 1.5)]
    files = [f for f in site.root.rglob("*") if f.is_file()]
    assert files
    assert not any(word in f.read_bytes() for f in files for word in (b"Secret", b"example.org", b"hush"))


def test_later_syncs_follow_changes_with_their_log_deletions_and_merges(site: Site) -> None:
    site.sync()
    account = site.account
    account.tick(days=2)
    account.put("deals", "101", amount="2000", hubspot_owner_id="1", closedate="2026-08-01T16:00:00Z")
    changed = account.now
    account.tick(hours=1)
    account.put("deals", "101", amount="2500")
    add_deal(account, 40)
    account.delete("deals", "102")
    account.merge("companies", "22", "21")
    account.merge("deals", "105", "101")
    for key, links in account.links["deals", "companies"].items():
        if ("22", 5) in links and key in account.records["deals"]:
            account.link("deals", key, "companies", "21", primary="21")
            account.put("deals", key)
    account.put("tasks", "501", hs_task_status="COMPLETED", hs_task_completion_date=account.stamp())
    account.tick(minutes=10)
    site.sync()
    done = ("task", "501")
    assert done in site.rows("activities", "kind", "activity_id")
    account.put("tasks", "501", hs_task_status="NOT_STARTED")  # opened again: it was not done after all
    account.tick(minutes=10)
    site.sync()
    assert_equal(site)
    # Deal 1 was made with 1000.5 + 1 for the second owner. HubSpot logs each value itself.
    columns = ("changed_at", "field", "old_value", "new_value", "source", "deal_id")
    later = [r for r in site.rows("deal_changes", *columns) if r[0] >= changed and r[5] == "101"]
    assert [r[:5] for r in later] == [
        (changed, "amount", "1001.5", "2000", "crm"),
        (changed, "close_date", "2026-06-30", "2026-08-01", "crm"),
        (changed, "owner_id", "2", "1", "crm"),
        (changed + timedelta(hours=1), "amount", "2000", "2500", "crm"),
    ]
    number = site.lake.cut().number
    account.tick(minutes=10)
    site.sync()
    assert site.lake.cut().number == number


def test_a_record_that_was_erased_without_a_trace_leaves_with_the_next_days_list(site: Site) -> None:
    site.sync()
    site.account.erase("contacts", "31")
    site.account.tick(hours=2)
    site.sync()
    assert ("31",) in site.rows("contacts", "contact_id")
    site.account.tick(days=1)
    site.sync()
    assert_equal(site)


def test_a_search_that_would_end_at_its_ten_thousandth_row_loses_none(site: Site) -> None:
    """The stand-in's end is set to 400 rows, two of its pages; 1,000 deals change at once."""
    site.sync()
    account = site.account
    account.search_end = 400
    account.tick(hours=1)
    for n in range(2000, 3000):
        account.put("deals", f"{n}", dealstage="101", pipeline="default", amount="5", hubspot_owner_id="1",
                    closedate="2026-07-01T03:30:00Z", risk_points="1")  # fmt: skip
        account.link("deals", f"{n}", "companies", "20", primary="20")
    account.tick(minutes=1)
    site.sync(pages=2)
    assert_equal(site)
    assert len(site.rows("deals", "deal_id")) == 1012


def test_a_change_that_cannot_be_searched_for_yet_comes_with_the_next_sync(site: Site) -> None:
    site.sync()
    account = site.account
    account.lag = timedelta(minutes=2)
    account.tick(hours=1)
    account.put("deals", "101", amount="7")
    account.tick(minutes=1)
    site.sync()
    assert Decimal(7) not in [r[0] for r in site.rows("deals", "amount")]
    account.tick(minutes=2)
    site.sync()
    assert_equal(site)


def test_faults_on_the_way_change_nothing(site: Site) -> None:
    faults = ["503", "", "500", "cut", "", "429 1", "half", "", "expire", "", "503 0", "cut", "half", "", "expire"]
    site.timeout = 1.0
    site.account.faults.extend([*faults, "423", "", "429", "", "slow 1.5"])
    site.sync()
    assert_equal(site)
    assert not site.account.faults


def test_records_that_change_while_pages_are_read_are_neither_lost_nor_doubled(site: Site) -> None:
    """Between two pages of a list, and of a search: the first deal changes, the last goes, one comes."""
    account = site.account
    account.list_page = account.search_page = 6

    def users(new: int) -> None:
        account.tick(seconds=1)
        first, *_, last = sorted(account.records["deals"], key=int)
        account.delete("deals", last)
        account.put("deals", first, amount="8")
        add_deal(account, new)

    account.meanwhile["deals/batch/read"] = partial(users, 77)
    site.sync(pages=1)
    account.tick(days=1)
    for key in list(account.records["deals"]):
        account.put("deals", key, amount="9")
    account.meanwhile["deals/batch/read"] = partial(users, 78)
    site.sync(pages=1)
    assert not account.meanwhile
    account.tick(minutes=10)
    site.sync(pages=1)
    assert_equal(site)
    assert ("1078",) in site.rows("deals", "deal_id")


@pytest.mark.parametrize("place", [8, 14, 17, 22, 26])
def test_a_run_that_dies_anywhere_is_gone_on_with(site: Site, place: int) -> None:
    site.account.list_page = 4
    with pytest.raises(CrmUnreachable):
        site.sync(calls=place, pages=1)
    site.sync()
    assert_equal(site)


def test_the_limits_of_ten_seconds_and_of_searches_are_never_met(site: Site) -> None:
    """Windows of a tenth of their length: 20 calls a second, and 4 searches; both runs share the connector's pace."""
    account = site.account
    account.burst, account.seconds, account.searches = 20, 1.0, 4
    connector = site.connector(burst=18, seconds=1.0, searches=3)
    for _ in range(2):
        site.sync(connector)
        account.tick(hours=1)
    assert len(account.asked) > 50
    assert account.exceeded == 0
    assert_equal(site)


def test_the_days_calls_are_not_used_up_to_the_last(site: Site) -> None:
    site.account.most = 20
    with pytest.raises(CrmUnreachable, match=r"the day's calls are used up \(2 of 20 are left\)"):
        site.sync()
    assert len(site.account.asked) == 18
    site.account.most = 100_000
    site.sync()
    assert_equal(site)


def test_leads_are_deals_of_their_kind_with_keys_of_their_own(site: Site) -> None:
    """The second lead has the number of a deal; the fourth goes, and the fifth becomes the first."""
    account = site.account
    common = {"hs_pipeline": "lead-pipeline-id", "hs_pipeline_stage": "new-stage-id", "hs_lead_is_open": "true"}
    for number in ("700", "101", "702", "703", "704"):
        account.put("leads", number, **common, hs_lead_name="Ann Secret", hubspot_owner_id="1")
        account.link("leads", number, "companies", "21")
    site.sync()
    account.tick(hours=1)
    moved = account.stamp()
    account.put("leads", "101", hs_pipeline_stage="unqualified-stage-id", hs_lead_is_open="false",
                hs_lead_disqualification_reason="NO_BUDGET")  # fmt: skip
    account.put("leads", "702", hs_pipeline_stage="attempting-stage-id", hs_lead_is_open="false")
    account.delete("leads", "703")
    account.merge("leads", "704", "700")
    account.tick(minutes=1)
    site.sync()
    columns = ("deal_id", "kind", "stage", "outcome", "account_id", "owner_id", "closed_at", "loss_reason", "pipeline")
    rows = [r for r in site.rows("deals", *columns) if r[1] == "lead"]
    pipe = "Lead pipeline"
    assert rows == [
        ("lead-101", "lead", "Disqualified", "lost", "21", "1", at(moved), "NO_BUDGET", pipe),
        ("lead-700", "lead", "New", "open", "21", "1", None, None, pipe),
        ("lead-702", "lead", "Attempting", "won", "21", "1", at(moved), None, pipe),
    ]
    logged = site.rows("deal_changes", "deal_id", "field", "changed_at", "old_value", "new_value")
    assert ("lead-101", "stage", at(moved), "New", "Disqualified") in logged
    assert {"lead-703", "lead-704"}.isdisjoint(r[0] for r in logged)
    assert len([r for r in site.rows("deals", "deal_id") if r == ("101",)]) == 1
    files = [f for f in site.root.rglob("*") if f.is_file()]
    assert not any(b"Ann Secret" in f.read_bytes() for f in files)


@pytest.mark.parametrize("ahead", [timedelta(minutes=5), timedelta(minutes=-5)])
def test_a_clock_that_is_five_minutes_off_loses_nothing(site: Site, ahead: timedelta) -> None:
    site.ahead = ahead
    site.account.tick(hours=1)
    for n in range(3):
        site.account.tick(minutes=2)
        site.account.put("deals", f"10{n}", amount=f"{n + 0.5}")
        site.sync()
        assert_equal(site)


def test_a_meeting_comes_when_it_has_been_and_goes_when_it_was_called_off(site: Site) -> None:
    account = site.account
    start = account.now + timedelta(days=3)
    for key in ("600", "601"):
        account.put("meetings", key, hs_meeting_start_time=start.isoformat(), hs_meeting_outcome="SCHEDULED",
                    hs_meeting_end_time=(start + timedelta(minutes=45)).isoformat())  # fmt: skip
    site.sync()
    columns = ("kind", "activity_id", "occurred_at", "duration_minutes")
    assert not [r for r in site.rows("activities", *columns) if r[0] == "meeting"]
    account.tick(days=4)
    site.sync()
    both = [("meeting", key, start, 45.0) for key in ("600", "601")]
    assert [r for r in site.rows("activities", *columns) if r[0] == "meeting"] == both
    account.put("meetings", "601", hs_meeting_outcome="CANCELED")
    account.tick(minutes=1)
    site.sync()
    assert [r for r in site.rows("activities", *columns) if r[0] == "meeting"] == both[:1]


def test_a_private_apps_token_is_taken_as_it_is_and_wrong_keys_show_no_secret(site: Site) -> None:
    site.keys = HubSpotKeys(token=TOKEN)
    site.sync()
    assert (site.account.renewed, len(site.rows("deals", "deal_id"))) == (0, 12)
    site.keys = HubSpotKeys(token="hush-wrong")
    with pytest.raises(BadCrmKey, match=r"refused the credentials \(EXPIRED_AUTHENTICATION\)") as caught:
        site.sync()
    assert "hush" not in str(caught.value) + repr(site.keys) + repr(HubSpotKeys(**APP))
    site.keys = HubSpotKeys(**{**APP, "client_secret": "hush-wrong"})
    with pytest.raises(BadCrmKey, match=r"gives no token \(BAD_REFRESH_TOKEN\)"):
        site.sync()
    with pytest.raises(BadCrmKey, match="is not encrypted"):
        HubSpotTokens(HubSpotKeys(token="t"), "http://api.example.com")


def test_of_a_history_that_was_cut_the_first_value_says_nothing_of_what_was_before() -> None:
    def version(n: int) -> dict[str, str]:
        return {"value": str(n), "timestamp": f"2026-01-{n:02d}T00:00:00Z"}

    def log(count: int) -> list[tuple[str | None, ...]]:
        past = {"amount": [version(n) for n in range(count, 0, -1)]}
        rows = deal_log({"id": "1", "propertiesWithHistory": past}, Stages(), UTC)
        return [(r["old"], r["new"]) for r in rows]

    assert log(3) == [(None, "1"), ("1", "2"), ("2", "3")]
    assert log(20)[:2] == [("1", "2"), ("2", "3")]


def test_fields_are_written_and_what_is_refused_is_told(site: Site) -> None:
    writer = HubSpotWriter(site.connector())
    writer.check(["win_chance"], ["memo"])
    with pytest.raises(NoSuchField, match="'luck' is not there in deals"):
        writer.check(["luck"], [])
    with pytest.raises(NoSuchField, match="'memo' of deals is no number"):
        writer.check(["memo"], [])
    with pytest.raises(NoSuchField, match="'hs_object_id' of deals cannot be written"):
        writer.check(["hs_object_id"], [])
    told = list(writer.write({"101": {"win_chance": 30, "memo": "Call"}, "999": {"win_chance": 1}}))
    assert told == [Written("101"), Written("999", "OBJECT_NOT_FOUND")]
    told = list(writer.write({"102": {"win_chance": "many"}, "103": {"win_chance": 0.25}}))
    refused = "/crm/v3/objects/deals/102 answered 400 (VALIDATION_ERROR)"
    assert told == [Written("102", refused), Written("103")]
    values = {key: record["properties"] for key, record in site.account.records["deals"].items()}
    assert (values["101"]["win_chance"], values["101"]["memo"], values["103"]["win_chance"]) == ("30", "Call", "0.25")
    assert "win_chance" not in values["102"]


_CLIENT = """
import json, sys
from hubspot import HubSpot
from hubspot.crm.associations.v4 import BatchInputPublicFetchAssociationsBatchRequest
from hubspot.utils.signature import Signature
from hubspot.crm.deals import BatchReadInputSimplePublicObjectId, Filter, FilterGroup, PublicObjectSearchRequest

client = HubSpot(access_token=sys.argv[2], host=sys.argv[1])
deals = client.crm.deals.get_all(properties=["dealstage", "amount"])
past = client.crm.deals.get_all(properties_with_history=["amount"], limit=2)
crm = client.crm.deals
filters = [Filter(property_name="hs_object_id", operator="GT", value=deals[4].id)]
wish = PublicObjectSearchRequest(
    filter_groups=[FilterGroup(filters=filters)], properties=["amount"], limit=3, after="0",
    sorts=[{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
)
found, pages = [], 0
while True:
    page = crm.search_api.do_search(wish)
    pages += 1
    found += [d.id for d in page.results]
    if page.paging is None:
        break
    wish.after = page.paging.next.after
inputs = [{"id": d.id} for d in deals[:2]] + [{"id": "999"}]
read = crm.batch_api.read(BatchReadInputSimplePublicObjectId(
    inputs=inputs, properties=["amount"], properties_with_history=["dealstage"]))
links = client.crm.associations.v4.batch_api.get_page("deals", "companies",
    BatchInputPublicFetchAssociationsBatchRequest(inputs=[{"id": deals[1].id}]))
[pipeline] = client.crm.pipelines.pipelines_api.get_all("deals").results
sent = json.loads(sys.argv[3])
print(json.dumps(dict(
    leads=[[r.id, r.properties["hs_pipeline_stage"]]
           for r in client.crm.objects.basic_api.get_page("leads", properties=["hs_pipeline_stage"]).results],
    signed=[Signature.is_valid(**{**sent, **other}, http_method="POST", signature_version="v3")
            for other in ({}, {"request_body": "[]"})],
    deals=[[d.id, d.properties["dealstage"], d.properties["amount"]] for d in deals],
    past=[[len(d.properties_with_history["amount"]), d.properties_with_history["amount"][0].value] for d in past],
    found=found, pages=pages, total=page.total,
    read=[[d.id, [v.value for v in d.properties_with_history["dealstage"]]] for d in read.results],
    links=[[str(t.to_object_id), t.association_types[0].type_id] for t in links.results[0].to],
    stages=[[s.id, s.label, s.metadata["isClosed"]] for s in pipeline.stages],
    owners=[o.last_name for o in client.crm.owners.owners_api.get_page().results],
    fields=[p.name for p in client.crm.properties.core_api.get_all("deals").results if not p.hubspot_defined],
    gone=[d.id for d in crm.basic_api.get_page(archived=True).results],
)))
"""


@pytest.mark.peers
def test_the_stand_in_serves_the_vendors_own_library(site: Site, tmp_path: Path) -> None:
    """hubspot-api-client, unchanged but for the address, reads from it what is there."""
    account = site.account
    python = tmp_path / "env/bin/python"
    subprocess.run([UV, "venv", "-q", "--python", sys.executable, tmp_path / "env"], check=True)
    subprocess.run([UV, "pip", "install", "-q", "--python", python, "hubspot-api-client>=12"], check=True)
    account.delete("deals", "102")
    account.put("leads", "700", hs_pipeline_stage="new-stage-id")
    account.list_page = 4  # the library follows the pages
    begun, account.now = account.now, datetime.now(UTC)
    body, headers = account.message("https://firm.example/hook?a=1", "hush", account.event("deal.creation", "101"))
    account.now = begun
    sent = {"request_body": body.decode(), "client_secret": "hush", "http_uri": "https://firm.example/hook?a=1"}
    sent |= {"timestamp": headers["X-HubSpot-Request-Timestamp"], "signature": headers["X-HubSpot-Signature-v3"]}
    given = [site.address, TOKEN, json.dumps(sent)]
    said = subprocess.run([python, "-c", _CLIENT, *given], check=True, capture_output=True, text=True)
    found = json.loads(said.stdout)
    assert found["signed"] == [True, False]
    assert found["leads"] == [["700", "new-stage-id"]]
    whole = {key: account.records["deals"][key] for key in sorted(account.records["deals"], key=int)}
    keys = list(whole)
    assert found["deals"] == [[k, r["properties"]["dealstage"], r["properties"]["amount"]] for k, r in whole.items()]
    assert found["past"] == [[1, "1000.5"], [1, "1001.5"]]
    assert (found["found"], found["pages"], found["total"]) == (keys[5:], 2, 6)
    assert found["read"] == [["100", ["104", "101"]], ["101", ["101"]]]
    assert found["links"] == [["20", 341], ["21", 5]]
    assert found["stages"] == [[k, label, str(closed).lower()] for k, (label, closed, _) in STAGES.items()]
    assert found["owners"] == ["Secret"]
    assert found["fields"] == ["risk_points", "memo", "win_chance"]
    assert found["gone"] == ["102"]
