"""A real Tryton: what users do there, with the whole past of each opportunity, is what the lake then holds."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from crm.company import Company
from crm.connectors import sync
from crm.connectors.base import BadCrmKey
from crm.connectors.tryton import Tryton, TrytonKeys
from crm.connectors.tryton.writer import TrytonWriter
from crm.connectors.writing import NoSuchField, Written
from crm.lake import Lake
from crm.mapping import load
from crm.people import MemoryPeopleBook
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
