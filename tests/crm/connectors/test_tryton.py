"""A real Tryton: what users do there, with the whole past of each opportunity, is what the lake then holds."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

from crm.company import Company
from crm.connectors import sync
from crm.connectors.base import BadCrmKey, CrmUnreachable
from crm.connectors.tryton import Tryton, TrytonKeys
from crm.connectors.tryton.writer import TrytonWriter
from crm.connectors.web import Patience
from crm.connectors.writing import NoSuchField, Written
from crm.lake import Lake
from crm.mapping import load
from crm.people import MemoryPeopleBook
from tests.crm.connectors.stand_in import Answer, Asked, CrmStandIn, StandIn
from tests.crm.connectors.tryton_server import PASSWORD, TrytonAdmin, decimal, tryton

pytestmark = pytest.mark.peers


@pytest.fixture(scope="module")
def admin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrytonAdmin]:
    with tryton(tmp_path_factory.mktemp("tryton")) as running:
        yield running


def test_the_lake_follows_tryton(admin: TrytonAdmin, tmp_path: Path) -> None:
    people = MemoryPeopleBook()

    def run(password: str = PASSWORD) -> None:
        connector = Tryton(TrytonKeys(admin.url, "bell", "admin", password), page=2)
        sync(
            connector, lake=Lake(tmp_path / "lake"), people=people, quarantine=tmp_path / "q", company=Company(),
            state_file=tmp_path / "tryton.json", stop=datetime.now(UTC), mapping=load(connector.declaration.mapping),
        )  # fmt: skip

    def rows(table: str, *columns: str) -> list[tuple[object, ...]]:
        return [tuple(r[c] for c in columns) for r in Lake(tmp_path / "lake").view().arrow(table).to_pylist()]

    one, two, three = admin.add("Firm A", "100.50"), admin.add("Firm B", "70"), admin.add("Firm C", "5")
    run()
    columns = ("deal_id", "stage", "outcome", "amount", "currency", "owner_id")
    owner = str(admin.employee)
    assert sorted(rows("deals", *columns)) == [
        (str(one), "lead", "open", Decimal("100.50"), "EUR", owner),
        (str(two), "lead", "open", Decimal("70.00"), "EUR", owner),
        (str(three), "lead", "open", Decimal("5.00"), "EUR", owner),
    ]
    # Tryton keeps its own past: two changes of the amount between two syncs are two rows.
    admin.change(one, amount=decimal("200"))
    admin.change(one, amount=decimal("300"))
    admin.call("model.sale.opportunity.opportunity", [one])
    admin.call("model.sale.opportunity.lost", [two])
    admin.call("model.sale.opportunity.cancel", [three])
    admin.call("model.sale.opportunity.delete", [three])
    run()
    assert sorted(rows("deals", *columns)) == [
        (str(one), "opportunity", "open", Decimal("300.00"), "EUR", owner),
        (str(two), "lost", "lost", Decimal("70.00"), "EUR", owner),
    ]
    log = sorted(
        rows("deal_changes", "changed_at", "deal_id", "field", "old_value", "new_value"), key=lambda r: str(r[0])
    )
    assert [r[3:] for r in log if r[1:3] == (str(one), "amount")] == [
        (None, "100.50"), ("100.50", "200"), ("200", "300"),
    ]  # fmt: skip
    assert [r[3:] for r in log if r[1:3] == (str(one), "stage")] == [(None, "lead"), ("lead", "opportunity")]
    lost = [r for r in log if r[1:3] == (str(two), "stage")]
    assert [r[3:] for r in lost] == [(None, "lead"), ("lead", "lost")]
    assert (str(two), lost[-1][0]) in rows("deals", "deal_id", "closed_at")
    assert str(three) not in {r[1] for r in log}
    # Employees are parties in Tryton, and no customers here; their names stay out.
    assert {r[0] for r in rows("accounts", "name")} == {"Our Firm", "Firm A", "Firm B", "Firm C"}
    assert rows("reps", "rep_id") == [(owner,)]
    files = [f for f in tmp_path.rglob("*") if f.is_file()]
    assert not any(b"Ann Secret" in f.read_bytes() or PASSWORD.encode() in f.read_bytes() for f in files)
    number = Lake(tmp_path / "lake").cut().number
    run()
    assert Lake(tmp_path / "lake").cut().number == number
    with pytest.raises(BadCrmKey, match="refused the sign-in") as caught:
        run("hush-wrong")
    assert "hush" not in str(caught.value)


class Proxy(CrmStandIn):
    """Stands between a sync and the real Tryton, which itself refuses a session that has ended."""

    empty: ClassVar[list[int]] = [0, 0, 0]

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url, self._spoil = url, False

    def expire(self) -> None:
        self._spoil = True

    def busy(self, status: int, headers: dict[str, str]) -> Answer:
        return Answer(status, {"error": "busy"}, headers)

    def answer(self, asked: Asked) -> Answer:
        with self._lock:
            method = asked.json["method"]
            self.asked.append(method)
            self.let_users_act(method)
            if method != "common.db.login" and (said := self.fault()):
                return said
            session = "Session YTpiOmM=" if self._spoil else asked.headers.get("authorization", "")
            self._spoil = False
            headers = {"Content-Type": "application/json", "Authorization": session}
            answer = httpx.post(self._url + asked.path, content=asked.body, headers=headers, timeout=60)
            return Answer(answer.status_code, answer.content, {"Content-Type": "application/json"})


def same_as_tryton(admin: TrytonAdmin, lake: Lake) -> bool:
    """Whether the lake has each opportunity as Tryton has it, and no other."""
    read = ["state", "amount", "employee"]
    there = admin.call("model.sale.opportunity.search_read", [], 0, None, None, read)
    wanted = {
        str(r["id"]): (r["state"], Decimal(r["amount"]["decimal"]).quantize(Decimal("0.01")), str(r["employee"]))
        for r in there
    }
    found = {r["deal_id"]: (r["stage"], r["amount"], r["owner_id"]) for r in lake.view().arrow("deals").to_pylist()}
    return found == wanted


def test_faults_on_the_way_and_changes_between_pages_lose_and_double_nothing(
    admin: TrytonAdmin, tmp_path: Path
) -> None:
    proxy, lake = Proxy(admin.url), Lake(tmp_path / "lake")
    deals = [admin.add(f"Fault {n}", f"{n}.5") for n in range(7)]

    def run(url: str) -> None:
        patience = Patience(tries=5, first_wait=0.01, longest_wait=2, timeout=5)
        connector = Tryton(TrytonKeys(url, "bell", "admin", PASSWORD), page=3, patience=patience)
        sync(
            connector, lake=lake, people=MemoryPeopleBook(), quarantine=tmp_path / "q", company=Company(),
            state_file=tmp_path / "tryton.json", stop=datetime.now(UTC), mapping=load(connector.declaration.mapping),
        )  # fmt: skip

    def users() -> None:
        admin.change(deals[0], amount=decimal("9.5"))
        admin.call("model.sale.opportunity.cancel", [deals[6]])
        admin.call("model.sale.opportunity.delete", [deals[6]])
        admin.add("Between", "1")

    with StandIn(proxy.answer) as url:
        proxy.faults.extend(["503", "", "500", "cut", "", "429 1", "half", "", "expire", "", "429", "", "503 0", "cut"])
        proxy.faults.extend(["half", "", "expire", "", "slow 6", ""])
        proxy.meanwhile["model.sale.opportunity.history_revisions"] = users  # behind the first page
        run(url)
        assert not proxy.faults
        assert not proxy.meanwhile
        run(url)
        assert same_as_tryton(admin, lake)
        proxy.faults.extend(["cut"] * 20)
        with pytest.raises(CrmUnreachable, match="no connection"):
            run(url)
        proxy.faults.clear()
        admin.change(deals[1], amount=decimal("8.5"))
        run(url)
    assert same_as_tryton(admin, lake)


@pytest.mark.parametrize("ahead", [timedelta(minutes=5), timedelta(minutes=-5)])
def test_a_clock_that_is_five_minutes_off_loses_nothing(admin: TrytonAdmin, tmp_path: Path, ahead: timedelta) -> None:
    lake, deal = Lake(tmp_path / "lake"), admin.add("Clock", "1")

    def run() -> None:
        connector = Tryton(TrytonKeys(admin.url, "bell", "admin", PASSWORD))
        sync(
            connector, lake=lake, people=MemoryPeopleBook(), quarantine=tmp_path / "q", company=Company(),
            state_file=tmp_path / "tryton.json", stop=datetime.now(UTC) + ahead,
            mapping=load(connector.declaration.mapping),
        )  # fmt: skip

    for amount in ("2.5", "3.5"):
        run()
        admin.change(deal, amount=decimal(amount))
    run()
    assert same_as_tryton(admin, lake)


def test_chance_and_step_are_written_into_opportunities(admin: TrytonAdmin) -> None:
    one = admin.add("Firm D", "10")
    writer = TrytonWriter(Tryton(TrytonKeys(admin.url, "bell", "admin", PASSWORD)))
    writer.check(["conversion_probability"], ["comment"])
    with pytest.raises(NoSuchField, match="the field 'luck' is not there in opportunities"):
        writer.check(["luck"], [])
    with pytest.raises(NoSuchField, match="the field 'comment' of opportunities is no number"):
        writer.check(["comment"], [])
    values = {str(one): {"conversion_probability": 0.37, "comment": "Call by Mar 8"}, "999999": {"comment": "none"}}
    assert list(writer.write(values)) == [Written(str(one)), Written("999999", "there is no such opportunity")]
    [record] = admin.call("model.sale.opportunity.read", [one], ["conversion_probability", "comment"])
    assert (record["conversion_probability"], record["comment"]) == (0.37, "Call by Mar 8")
