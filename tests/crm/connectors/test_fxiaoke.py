"""纷享销客 against a stand-in: whatever happens on the way, the lake equals the CRM row by row."""

import random
import stat
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from crm.company import Company
from crm.connectors import base, sync
from crm.connectors.base import BadCrmKey, CrmUnreachable, SyncReport
from crm.connectors.fxiaoke import Fxiaoke, FxiaokeKeys, FxiaokeLimits
from crm.connectors.fxiaoke.auth import CLOUDS, FxiaokeTokens
from crm.connectors.fxiaoke.objects import UnclearAmount
from crm.connectors.web import Patience
from crm.lake import Lake
from crm.mapping import load, parse
from crm.people import MemoryPeopleBook
from tests.crm.connectors.fxiaoke_server import KEYS, STAGES, FxiaokeCrm, serve

SHANGHAI = ZoneInfo("Asia/Shanghai")
DEALS = "NewOpportunityObj"
PATIENCE = Patience(tries=5, first_wait=0.01, longest_wait=2, timeout=0.5)


def key(number: int) -> str:
    """Keys are 24 hexadecimal digits; their order is not the order in which records are made."""
    return f"{(number * 7919) % 100_000:05d}".ljust(24, "a")


def midnight(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=SHANGHAI).timestamp() * 1000)


@pytest.fixture
def crm() -> FxiaokeCrm:
    """Two people, three accounts, a contact each, twelve deals in several stages, calls."""
    crm = FxiaokeCrm()
    crm.put("DepartmentObj", "d1", name="销售部", dept_id="1001", parent_id=["999999"])
    for n in (1000, 1001):
        crm.put("PersonnelObj", f"p{n}", user_id=str(n), name=f"Person{n} Secret", email="a@example.org",
                main_department=["1001"])  # fmt: skip
    for n in range(3):
        crm.put("AccountObj", key(n), name=f"Firm {n}", account_level=str(1 + n % 2), owner=["1000"])
        crm.put("ContactObj", key(50 + n), name=f"Client{n} Secret", email="c@example.org", account_id=key(n))
    for n in range(12):
        add_deal(crm, n)
        if n % 3 == 0:
            crm.tick(days=1)
            crm.put(DEALS, key(100 + n), sales_stage="s3" if n else "s4")
    crm.put("ActiveRecordObj", key(200), active_record_type="1", owner=["1001"], interaction_time=crm.ms(),
            related_object_data=[{"id": key(101), "describe_api_name": DEALS}])  # fmt: skip
    return crm


def add_deal(crm: FxiaokeCrm, n: int) -> None:
    crm.tick(hours=5)
    crm.put(
        DEALS, key(100 + n), name=f"Deal {n}", owner=[str(1000 + n % 2)], account_id=key(n % 3), sales_stage="s1",
        deal_money=f"{1000.5 + n:.2f}", close_date=midnight("2026-06-30"), risk__c="3.5", secret__c="said by Secret",
    )  # fmt: skip


@pytest.fixture
def address(crm: FxiaokeCrm) -> Iterator[str]:
    with serve(crm) as url:
        yield url


class Site:
    """A home of a kind: lake, people, cursor, shared tokens."""

    def __init__(self, root: Path, crm: FxiaokeCrm, address: str) -> None:
        self.root, self.crm, self.address = root, crm, address
        self.lake, self.people, self.state = Lake(root / "lake"), MemoryPeopleBook(), root / "cursors/fxiaoke.json"
        self.ahead, self.tokens = timedelta(0), root / "tokens"

    def connector(self, *, page: int = 5, pages: int = 10, calls: int = 2000, **keys: str) -> Fxiaoke:
        limits = FxiaokeLimits(page=page, pages=pages, calls=calls, burst=90, seconds=self.crm.seconds)
        given = FxiaokeKeys(**{**KEYS, **keys})
        return Fxiaoke(given, self.tokens, host=self.address, limits=limits, patience=PATIENCE)

    def sync(self, mapping: Any = None, **options: Any) -> SyncReport:
        """Deals, customers and follow-ups alone, where no other mapping is given: the rest goes the same way."""
        connector = self.connector(**options)
        whole = load(connector.declaration.mapping)
        few = [t for t in whole.tables if t.table in ("accounts", "deals", "activities")]
        return sync(
            connector, lake=self.lake, people=self.people, quarantine=self.root / "q", company=Company(),
            state_file=self.state, stop=self.crm.now + self.ahead,
            mapping=mapping or whole.model_copy(update={"tables": few}),
        )  # fmt: skip

    def rows(self, table: str, *columns: str) -> list[tuple[Any, ...]]:
        found = self.lake.view().arrow(table).to_pylist()
        return sorted((tuple(r[c] for c in columns) for r in found), key=str)


@pytest.fixture
def site(tmp_path: Path, crm: FxiaokeCrm, address: str) -> Site:
    crm.seconds = 0.3  # the vendor's 20 seconds, faster
    return Site(tmp_path, crm, address)


def assert_equal(site: Site) -> None:
    """Deals, accounts, contacts and activities are those of the CRM that are not in its bin."""
    crm = site.crm
    deals = []
    for d in crm.records[DEALS].values():
        if d["life_status"] == "invalid":
            continue
        outcome = {"s3": "won", "s4": "lost"}.get(d["sales_stage"], "open")
        ended = at(d["stg_changed_time"]) if outcome != "open" else None
        day = datetime.fromtimestamp(d["close_date"] / 1000, SHANGHAI).date()
        deals.append((d["_id"], STAGES[d["sales_stage"]], outcome, Decimal(d["deal_money"]), day,
                      at(d["create_time"]), ended, d["owner"][0], d["account_id"], float(d["risk__c"])))  # fmt: skip
    columns = ("deal_id", "stage", "outcome", "amount", "close_date", "created_at", "closed_at", "owner_id",
               "account_id", "x_risk")  # fmt: skip
    assert site.rows("deals", *columns) == sorted(deals, key=str)
    kinds = (("AccountObj", "accounts", "account_id"), ("ActiveRecordObj", "activities", "activity_id"))
    for name, table, column in kinds:
        kept = [(i,) for i, r in crm.records[name].items() if r["life_status"] != "invalid"]
        assert site.rows(table, column) == sorted(kept)
    assert not crm.exceeded
    assert crm.most_tokens_at_once <= 1


def at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def test_a_first_load_takes_all_and_names_stay_out_of_the_lake(site: Site) -> None:
    site.sync(load(site.connector().declaration.mapping))
    assert_equal(site)
    assert site.rows("contacts", "contact_id") == sorted((i,) for i in site.crm.records["ContactObj"])
    assert site.rows("reps", "rep_id", "team_id") == [("1000", "1001"), ("1001", "1001")]
    assert site.rows("teams", "team_id", "parent_team_id") == [("1001", None)]
    assert site.rows("accounts", "segment") == [("普通客户",), ("重要客户",), ("重要客户",)]
    assert site.rows("activities", "kind", "deal_id", "rep_id") == [("call", key(101), "1001")]
    files = [f for f in site.lake.root.rglob("*") if f.is_file()]
    assert files
    assert not any(b"Secret" in f.read_bytes() or b"example.org" in f.read_bytes() for f in files)


def test_later_syncs_read_only_what_changed_and_log_the_differences(site: Site) -> None:
    site.sync()
    crm = site.crm
    crm.tick(days=2)
    crm.put(DEALS, key(101), deal_money="2000.00", sales_stage="s2", owner=["1000"])
    changed = crm.now
    add_deal(crm, 40)
    crm.put("AccountObj", key(2), account_level="2")
    crm.tick(minutes=5)
    crm.asked.clear()
    site.sync()
    assert_equal(site)
    # Deal 1 was made with 1000.5 + 1 in stage s1 and belonged to person 1000 + 1.
    assert site.rows("deal_changes", "field", "deal_id", "changed_at", "old_value", "new_value", "source") == [
        ("amount", key(101), changed, "1001.50", "2000.00", "difference"),
        ("owner_id", key(101), changed, "1001", "1000", "difference"),
        ("stage", key(101), changed, "初步接洽", "方案报价", "difference"),
    ]
    number = site.lake.cut().number
    site.sync()
    assert site.lake.cut().number == number


@pytest.mark.parametrize("shows_bin", [True, False])
def test_the_bin_deletions_and_recovery_are_followed(site: Site, shows_bin: bool) -> None:
    site.crm.shows_bin = shows_bin
    site.sync()
    crm = site.crm
    crm.tick(days=2)
    crm.invalidate(DEALS, key(102))
    crm.invalidate("AccountObj", key(1))
    crm.delete(DEALS, key(103))
    crm.delete("ActiveRecordObj", key(200))
    site.sync()
    assert_equal(site)
    assert site.rows("deal_changes", "deal_id") == []
    crm.tick(days=2)
    crm.put(DEALS, key(102), life_status="normal")
    site.sync()
    assert_equal(site)


def test_rows_from_files_are_never_taken_for_deleted_ones(site: Site) -> None:
    from crm.importing import import_path

    site.sync()
    folder = site.root / "files"
    folder.mkdir()
    (folder / "deals.csv").write_text("deal_id,stage,created_at,outcome\nold-1,Offer,2024-01-01,open\n")
    import_path(folder, lake=site.lake, people=site.people, quarantine=site.root / "q", company=Company())
    site.crm.tick(days=2)
    site.sync()
    assert ("old-1",) in site.rows("deals", "deal_id")


def test_faults_on_the_way_change_nothing(site: Site) -> None:
    faults = [
        "code -1", "", "429", "cut", "", "503 1", "half", "code 30004", "", "expire", "code -2", "code 50009", "",
        "500", "", "slow 0.7", "cut", "", "expire", "429 0", "half",
    ]  # fmt: skip
    site.crm.faults.extend(faults)
    site.sync()
    assert_equal(site)
    assert not site.crm.faults


@pytest.mark.parametrize("code", [30002, 30003])
def test_a_quota_that_is_used_up_ends_the_run_at_once_and_the_next_goes_on(site: Site, code: int) -> None:
    site.crm.faults.extend([*[""] * 11, f"code {code}"])
    with pytest.raises(CrmUnreachable, match=rf"errorCode {code}, traceId E-O.{code}\). Sync again tomorrow"):
        site.sync()
    assert len(site.crm.asked) == 12
    site.sync()
    assert_equal(site)


def test_another_code_is_named_with_its_trace(site: Site) -> None:
    site.crm.faults.extend(["", "code 20017"])
    with pytest.raises(CrmUnreachable, match=r"answered with errorCode 20017, traceId E-O.20017"):
        site.sync()


def test_killed_at_random_moments_the_next_sync_ends_the_same(site: Site) -> None:
    site.sync(calls=2000)
    whole = len(site.crm.asked)
    chosen = random.Random(7).sample(range(1, whole), 5)
    for place in chosen:
        root = site.root / f"killed{place}"
        again = Site(root, site.crm, site.address)
        again.tokens = site.tokens
        with pytest.raises(CrmUnreachable):
            again.sync(calls=place, pages=1)
        again.sync(pages=1)
        assert_equal(again)


def test_records_that_change_while_pages_are_read_are_neither_lost_nor_doubled(site: Site) -> None:
    crm = site.crm
    site.sync()
    crm.tick(days=1)
    for deal in list(crm.records[DEALS]):
        crm.tick(seconds=10)
        crm.put(DEALS, deal, deal_money="7.00")

    def users() -> None:
        crm.tick(seconds=1)
        first, *_, last = sorted(crm.records[DEALS])
        crm.delete(DEALS, last)
        crm.put(DEALS, first, deal_money="8.00")
        add_deal(crm, 77)

    for query in range(5, 60):  # somewhere in the reading of deals, whichever query that is
        if query % 9 == 0:
            crm.at_query[crm.queries + query] = users
            break
    site.sync(pages=1)
    crm.tick(days=2)
    site.sync(pages=1)
    assert_equal(site)


@pytest.mark.parametrize("ahead", [timedelta(minutes=5), timedelta(minutes=-5)])
def test_a_clock_that_is_five_minutes_off_loses_nothing(site: Site, ahead: timedelta) -> None:
    site.ahead = ahead
    site.crm.tick(hours=1)
    site.sync()
    for n in range(6):
        site.crm.tick(minutes=2)
        site.crm.put(DEALS, key(100 + n), deal_money=f"{n}.00")
        site.sync()
        assert_equal(site)


def test_a_meeting_that_is_planned_comes_when_it_has_been(site: Site) -> None:
    crm = site.crm
    ahead = int((crm.now + timedelta(days=3)).timestamp() * 1000)
    crm.put("ActiveRecordObj", key(201), active_record_type="2", interaction_time=ahead, owner=["1000"])
    site.sync()
    assert site.rows("activities", "activity_id") == [(key(200),)]
    crm.tick(days=4)
    site.sync()
    assert site.rows("activities", "activity_id", "kind", "occurred_at")[1] == (key(201), "visit", at(ahead))


def test_the_companys_own_kinds_of_records_come_by_a_mapping(site: Site) -> None:
    site.crm.put("visit__c", key(300), deal__c=key(101), owner=["1000"])
    site.crm.put("visit__c", key(301), deal__c=key(102), owner=["1000"])
    mapping = parse("""
tables:
  - table: activities
    file: visit__c.parquet
    columns:
      {activity_id: _id, occurred_at: create_time, kind: {constant: visit}, deal_id: deal__c, rep_id: owner}
""")
    site.sync(mapping)
    assert site.rows("activities", "activity_id", "deal_id") == [(key(300), key(101)), (key(301), key(102))]
    assert any(a.path == "/cgi/crm/custom/v2/data/query" for a in site.crm.asked)
    site.crm.tick(days=2)
    site.crm.delete("visit__c", key(301))
    site.sync(mapping)
    assert site.rows("activities", "activity_id") == [(key(300),)]


def test_an_amount_that_may_be_either_of_two_fields_is_asked_for(site: Site) -> None:
    site.crm.fields[DEALS]["fee"] = {"type": "currency"}
    with pytest.raises(UnclearAmount, match=r"NewOpportunityObj has several fields of type currency \(deal_money, fee"):
        site.sync()


def test_the_vendors_pace_is_kept(site: Site) -> None:
    """100 calls in a window are allowed; far more than that are made, and the stand-in refuses none."""
    for n in range(600):
        site.crm.put(DEALS, key(1000 + n), sales_stage="s1", deal_money="1.00", owner=["1000"], account_id=key(1),
                     close_date=midnight("2026-06-30"), risk__c="1")  # fmt: skip
    site.sync(page=2, pages=50)
    assert site.crm.queries > 300
    assert_equal(site)


def test_requests_are_as_published(site: Site) -> None:
    """The literal example of the vendor's page, with this company's names in it."""
    site.sync(page=100)
    site.crm.asked.clear()
    site.crm.tick(minutes=1)
    site.sync(page=100)
    queries = [a for a in site.crm.asked if a.path == "/cgi/crm/v2/data/query"]
    asked = next(a for a in queries if a.json["data"]["dataObjectApiName"] == "AccountObj"
                 and a.json["data"]["search_query_info"]["filters"])  # fmt: skip
    newest = max(r["last_modified_time"] for r in site.crm.records["AccountObj"].values())
    assert asked.json == {
        "returnTotalNum": 3,
        "data": {
            "dataObjectApiName": "AccountObj",
            "find_explicit_total_num": False,
            "search_query_info": {
                "limit": 100,
                "offset": 0,
                "filters": [
                    {"field_name": "last_modified_time", "operator": "GTE", "field_values": [str(newest - 60_000)]}
                ],
                "orders": [{"fieldName": "_id", "isAsc": True}],
                "fieldProjection": [
                    "_id", "last_modified_time", "create_time", "life_status", "is_deleted", "name", "account_level",
                    "owner",
                ],
            },
        },
    }  # fmt: skip
    assert asked.headers["authorization"] == f"Bearer {site.crm.token}"
    assert (asked.headers["x-fs-ea"], asked.headers["x-fs-userid"]) == ("firm", "1000")
    assert set(asked.query) == {"thirdTraceId"}
    assert asked.headers["content-type"] == "application/json"


def test_a_token_is_shared_by_processes_and_closed_to_others(site: Site) -> None:
    site.sync()
    site.sync()
    assert len(site.crm.token_calls) == 1
    [file] = (site.root / "tokens").glob("*.token")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    kept = [f for f in site.root.rglob("*") if f.is_file() and f != file]
    assert not any(b"hush" in f.read_bytes() for f in kept)
    assert b"hush-secret" not in file.read_bytes()
    assert b"hush-code" not in file.read_bytes()


def test_many_askers_fetch_one_token_and_one_more_when_it_is_refused(site: Site) -> None:
    def ask(refused: dict[str, str] | None = None) -> dict[str, str]:
        return FxiaokeTokens(FxiaokeKeys(**KEYS), site.root / "tokens", site.address).headers(refused)

    def all_at_once(refused: dict[str, str] | None = None) -> set[str]:
        found: list[dict[str, str]] = []
        threads = [threading.Thread(target=lambda: found.append(ask(refused))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return {h["authorization"] for h in found}

    assert all_at_once() == {"Bearer hush-access-1"}
    refused = ask()
    site.crm.token = ""
    assert all_at_once(refused) == {"Bearer hush-access-2"}
    assert len(site.crm.token_calls) == 2
    assert site.crm.most_tokens_at_once == 1


def test_a_token_is_renewed_when_the_vendor_gives_a_new_one(site: Site) -> None:
    clock = {"now": 1_000_000.0}
    site.crm.token_clock = lambda: clock["now"]
    tokens = FxiaokeTokens(FxiaokeKeys(**KEYS), site.root, site.address, clock=lambda: clock["now"])
    assert tokens.headers()["authorization"] == "Bearer hush-access-1"
    clock["now"] += 6599
    assert tokens.headers()["authorization"] == "Bearer hush-access-1"
    clock["now"] += 1
    # From 6,600 seconds on the vendor gives another; asked a second earlier it would have given the same again.
    assert tokens.headers()["authorization"] == "Bearer hush-access-2"
    assert len(site.crm.token_calls) == 2


def test_no_more_than_ten_tokens_a_minute_are_asked_for(site: Site) -> None:
    clock, paused = {"now": 1_000_000.0}, []

    def pause(seconds: float) -> None:
        paused.append(seconds)
        clock["now"] += seconds

    site.crm.token_clock = lambda: clock["now"]
    for _ in range(12):
        tokens = FxiaokeTokens(FxiaokeKeys(**KEYS), site.root, site.address, clock=lambda: clock["now"], pause=pause)
        clock["now"] += 1
        tokens.headers(tokens.headers())
        site.crm.token = ""
    # Asked at seconds 1, 1, 2, ... : the eleventh has to wait until the first is a minute old.
    assert paused
    assert not site.crm.exceeded


def test_wrong_keys_say_so_and_show_no_secret(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BadCrmKey, match=r"gives no token \(errorCode 10006, traceId E-O.10006\)") as caught:
        site.sync(app_secret="hush-wrong")
    assert "hush" not in str(caught.value) + repr(FxiaokeKeys(**KEYS)) + "".join(capfd.readouterr())
    with pytest.raises(BadCrmKey, match=r"there is no cloud 'mars'\. Give one of fxiaoke, huawei"):
        Fxiaoke(FxiaokeKeys(**KEYS, cloud="mars"), site.root)
    with pytest.raises(BadCrmKey, match="is not encrypted"):
        FxiaokeTokens(FxiaokeKeys(**KEYS), site.root, "http://open.example.org")
    site.crm.faults.append("")
    assert all(url.startswith("https://") for url in CLOUDS.values())


def test_a_token_that_is_refused_twice_ends_the_run(site: Site) -> None:
    site.crm.faults.extend(["code 20016", "code 20016"])
    with pytest.raises(BadCrmKey, match="refused the credentials"):
        site.sync()


def test_the_cursor_is_a_plain_file(site: Site) -> None:
    site.sync()
    state = base.read_state(site.state)
    newest = max(r["last_modified_time"] for r in site.crm.records[DEALS].values())
    assert state[DEALS]["since"] == str(newest - 60_000)
