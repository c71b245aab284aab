"""From a user's change in a real Tryton to what the API says of the deal, in one sync."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from crm.lake import connect
from crm.simulate import lake_view, simulate
from serving.home import Home
from serving.jobs.queue import Queue
from serving.scoring import score_all
from serving.store import Store
from tests.builders import table_of
from tests.crm.connectors.tryton_server import PASSWORD, TrytonAdmin, decimal, tryton
from tests.serving.crm_site import Api, ratings, store, work_off
from tests.serving.live_site import train_win

__all__ = ["store"]
pytestmark = pytest.mark.peers
STATES = {
    "Qualification": "lead", "New lead": "lead", "Contacted": "lead", "Interested": "lead", "Upcoming": "lead",
    "Discovery": "opportunity", "Solution": "opportunity", "In talks": "opportunity", "Proposal": "opportunity",
    "Negotiation": "converted", "Terms sent": "converted",
}  # fmt: skip
"""What Tryton calls the stages of the company that has a past."""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A company with a past in Tryton's words and a win model fitted on it: of a stage without a past nothing is known.

    Its deals have too few features that help in so small a company, so its model goes by the stage alone.
    """
    view = lake_view(simulate(reps=5, months=14, seed=4))
    made = Home(tmp_path / "home")
    made.make()
    tables = {name: view.arrow(name) for name in sorted(view.present)}
    tables["deals"] = _in_words(tables["deals"], "stage")
    log = tables["deal_changes"]
    staged = pc.equal(log["field"], "stage")
    moves = _in_words(_in_words(log.filter(staged), "old_value"), "new_value")
    stayed = pc.fill_null(pc.equal(moves["old_value"], moves["new_value"]), False)
    tables["deal_changes"] = pa.concat_tables([log.filter(pc.invert(staged)), moves.filter(pc.invert(stayed))])
    made.lake.merge(tables, source="test")
    train_win(made)
    score_all(made)
    return made


def _in_words(table: pa.Table, column: str) -> pa.Table:
    values = [STATES.get(v, v) for v in table[column].to_pylist()]
    return table.set_column(table.column_names.index(column), column, pa.array(values, pa.string()))


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
    # A second opinion: in the company's past, more of those that came as far as an opportunity were won than of leads.
    shares = [share_won(home, stage) for stage in ("lead", "opportunity")]
    print(f"won of closed deals that were ever a lead {shares[0]:.3f}, an opportunity {shares[1]:.3f}")  # noqa: T201
    assert shares[1] > shares[0]
    assert after["win_probability"] > before["win_probability"] + 0.01
    assert after["expected_amount"] > 10 * before["expected_amount"]
    other = api.deal(str(two))
    assert (other["stage"], other["amount"]) == ("lead", 1000)
    admin.call("model.sale.opportunity.lost", [two])  # closed: it is no open deal any more
    sync()
    assert str(two) not in ratings(home).index


def share_won(home: Home, stage: str) -> float:
    """Of closed deals that were ever in a stage, the share that was won."""
    view = home.lake.view()
    with connect() as con:
        con.register("deals", view.arrow("deals"))
        con.register("changes", view.arrow("deal_changes"))
        found = con.execute(
            "select avg((outcome = 'won')::int) from deals where outcome <> 'open' and deal_id in "
            "(select deal_id from changes where field = 'stage' and new_value = ?)", [stage],
        ).fetchone()  # fmt: skip
    assert found is not None
    return float(found[0])
