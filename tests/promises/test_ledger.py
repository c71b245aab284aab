"""Promise: every issued forecast is kept as issued, sealed by a hash chain; whoever changes one is found out."""

from datetime import UTC, datetime

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, update

from serving.ledger import Ledger
from serving.store import Store
from serving.tables.ledger import LedgerRow

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
ROWS = 4


@pytest.fixture
def sealed(tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    ledger = Ledger(store)
    for number in range(ROWS):
        forecasts = pd.DataFrame({"deal_id": ["d1"], "win_probability": [number / 10]})
        ledger.add("issued", "deal", forecasts, as_of=AS_OF, model_version="1", data_cut=1)
    yield store, ledger
    store.close()


CHANGES = {
    "kind": "reconstructed",
    "entity": "rep",
    "as_of": datetime(2026, 2, 1, tzinfo=UTC),
    "made_at": datetime(2026, 2, 1, tzinfo=UTC),
    "model_version": "2",
    "data_cut": 2,
    "rows": 99,
    "payload": b"other",
    "payload_digest": "0" * 64,
    "previous_hash": "1" * 64,
    "row_hash": "2" * 64,
}


def test_an_untouched_ledger_is_whole(sealed):
    _, ledger = sealed
    assert (ledger.verify().whole, ledger.verify().checked) == (True, ROWS)


@pytest.mark.parametrize("row", [1, 2, ROWS])
@pytest.mark.parametrize("column", CHANGES)
def test_a_changed_field_is_found_at_its_row(sealed, row, column):
    store, ledger = sealed
    with store.session() as session:
        session.execute(update(LedgerRow).where(LedgerRow.number == row).values({column: CHANGES[column]}))
    assert (ledger.verify().whole, ledger.verify().broken) == (False, row)


def test_the_changes_cover_every_column():
    assert set(CHANGES) | {"number"} == set(LedgerRow.__table__.columns.keys())


def test_a_dropped_row_is_missed_by_name(sealed):
    store, ledger = sealed
    with store.session() as session:
        session.execute(delete(LedgerRow).where(LedgerRow.number == 2))
    assert ledger.verify().problem == "row 2 is missing"


def test_dropping_a_row_and_counting_the_others_anew_is_found(sealed):
    store, ledger = sealed
    with store.session() as session:
        session.execute(delete(LedgerRow).where(LedgerRow.number == 2))
    for number in range(3, ROWS + 1):
        with store.session() as session:
            session.execute(update(LedgerRow).where(LedgerRow.number == number).values(number=number - 1))
    assert ledger.verify().broken == 2


@given(rows=st.permutations(range(1, ROWS + 1)))
@settings(max_examples=24, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_forecasts_in_another_order_are_found(sealed, rows):
    """Payloads moved among rows: whole only where nothing moved."""
    store, ledger = sealed
    with store.reading() as session:
        kept = {n: session.get_one(LedgerRow, n).payload for n in rows}
    put = dict(zip(range(1, ROWS + 1), rows, strict=True))
    _write(store, {number: kept[source] for number, source in put.items()})
    assert ledger.verify().whole == (list(rows) == sorted(rows))
    _write(store, kept)


def _write(store, payloads):
    with store.session() as session:
        for number, payload in payloads.items():
            session.execute(update(LedgerRow).where(LedgerRow.number == number).values(payload=payload))
