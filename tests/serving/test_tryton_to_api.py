"""From a user's change in a real Tryton to what the API says of the deal, in one sync."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from serving.home import Home
from serving.jobs.queue import Queue
from serving.store import Store
from tests.builders import table_of
from tests.crm.connectors.tryton_server import PASSWORD, TrytonAdmin, decimal, tryton
from tests.serving.crm_site import Api, home, ratings, store, work_off

__all__ = ["home", "store"]
pytestmark = pytest.mark.peers


@pytest.fixture
def admin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with tryton(tmp_path / "tryton") as running:
        for name, value in (("URL", running.url), ("DATABASE", "bell"), ("USER", "admin"), ("PASSWORD", PASSWORD)):
            monkeypatch.setenv(f"BELLWETHER_TRYTON_{name}", value)
        yield running


def test_a_change_made_in_tryton_shows_in_the_api_within_one_sync(admin: TrytonAdmin, home: Home, store: Store) -> None:
    rate = {"currency": "EUR", "on_date": date(2026, 1, 1), "rate_to_base": 1.0}
    home.lake.merge({"fx_rates": table_of("fx_rates", [rate])}, source="test")
    one, two = admin.add("Firm A", "1000"), admin.add("Firm B", "1000")

    def sync() -> None:
        Queue(store).ask("sync", {"crm": "tryton"})
        done = work_off(home, store)
        assert done["score"]["rated"] > 0

    sync()
    api = Api(home, store)
    before = api.deal(str(one))
    day = datetime.now(UTC).date() + timedelta(days=20)
    ends = {"__class__": "date", "year": day.year, "month": day.month, "day": day.day}
    admin.change(one, amount=decimal("250000"), end_date=ends)
    admin.call("model.sale.opportunity.opportunity", [one])  # the button that turns a lead into an opportunity
    began = datetime.now(UTC)
    sync()
    after = api.deal(str(one))
    took = (datetime.now(UTC) - began).total_seconds()
    for d in (before, after):
        shown = [d[name] for name in ("stage", "amount", "close_date", "win_probability", "expected_amount")]
        print(f"deal {one} in GET /api/v1/deals: {shown}")  # noqa: T201
    print(f"{took:.1f} s from asking for the sync to the answer")  # noqa: T201
    assert (before["stage"], before["amount"], before["close_date"]) == ("lead", 1000, None)
    assert (after["stage"], after["amount"], after["close_date"]) == ("opportunity", 250_000, str(day))
    assert after["expected_amount"] > 10 * before["expected_amount"]  # the forecast moves with it
    other = api.deal(str(two))
    assert (other["stage"], other["amount"]) == ("lead", 1000)
    admin.call("model.sale.opportunity.lost", [two])  # closed: it is no open deal any more
    sync()
    assert str(two) not in ratings(home).index
