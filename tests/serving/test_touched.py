"""From a change in a CRM to what the API says of a deal: the deals that a message touches are rated anew, no others."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from crm.connectors.web import Patience
from crm.connectors.zoho import Zoho, ZohoKeys
from crm.connectors.zoho.channels import ZohoChannels
from crm.connectors.zoho.modules import DECLARATION
from serving import messages
from serving.home import Home
from serving.jobs.queue import Queue
from serving.jobs.tasks import Work, do
from serving.ledger import Ledger
from serving.replay import replay
from serving.settings import Settings
from serving.store import Store
from serving.touched import deals_touched
from tests.crm.connectors.zoho_server import KEYS, ZohoCrm, ZohoServer
from tests.serving.crm_site import Api, home, ratings, store, work_off

__all__ = ["home", "store"]


@pytest.fixture
def crm() -> ZohoCrm:
    """Three deals of one customer, a call on the second."""
    crm = ZohoCrm()
    crm.now = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=6)
    crm.users.append({"id": "1", "full_name": "Ann Lee"})
    crm.put("Accounts", "101", Account_Name="Firm", Owner={"id": "1"})
    for deal in ("300", "301", "302"):
        crm.put("Deals", deal, Deal_Name=deal, Stage="Qualification", Closing_Date="2027-01-31", Amount=1000,
                Owner={"id": "1"}, Account_Name={"id": "101", "name": "Firm"})  # fmt: skip
    crm.tick(hours=1)
    about = {"What_Id": {"id": "301", "name": "Deal"}, "$se_module": "Deals", "Owner": {"id": "1"}}
    crm.put("Calls", "400", **about, Call_Start_Time=crm.stamp(), Call_Duration_in_seconds=60)
    return crm


@pytest.fixture
def channel(crm: ZohoCrm, store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with ZohoServer(crm) as url:
        monkeypatch.setenv("BELLWETHER_ZOHO_ACCOUNTS", url)
        for name, value in KEYS.items():
            monkeypatch.setenv(f"BELLWETHER_ZOHO_{name.upper()}", value)
        patience = Patience(tries=2, first_wait=0.01)
        channels = ZohoChannels(Zoho(ZohoKeys(**KEYS), accounts=url, patience=patience))
        address = "https://forecasts.example.com/api/v1/crms/zoho/messages"
        yield messages.listen(store, "zoho", channels, address).channel_id


def test_a_change_shows_in_the_api_and_only_the_touched_deal_is_rated_anew(
    home: Home, store: Store, crm: ZohoCrm, channel: str
) -> None:
    Queue(store).ask("sync", {"crm": "zoho"})
    first = work_off(home, store)["score"]
    before, api = ratings(home), Api(home, store)
    assert first["rated"] == len(before) > 20
    old = api.deal("301")
    crm.tick(hours=1)
    crm.put("Deals", "301", Amount=250_000, Stage="Proposal", Closing_Date="2027-03-31")
    messages.receive(store, "zoho", crm.message(channel, "Deals", "301", "update"))
    second = work_off(home, store)["score"]
    after, new = ratings(home), api.deal("301")
    print(  # noqa: T201
        f"{first['rated']} deals rated at first, {second['rated']} after the message; deal 301: "
        + " -> ".join(f"{d['stage']}, {d['amount']}, {d['win_probability']:.4f}" for d in (old, new))
    )
    assert second["rated"] == 1
    assert (old["stage"], old["amount"]) == ("Qualification", 1000)
    assert (new["stage"], new["amount"]) == ("Proposal", 250_000)
    assert new["win_probability"] != old["win_probability"]
    assert after.loc["301", "as_of"] == pd.Timestamp(crm.now)
    pd.testing.assert_frame_equal(after.drop("301").sort_index(), before.drop("301").sort_index())
    # What was rated at each of the two moments is rebuilt from the data of then.
    days = {row.as_of.date() for row in Ledger(store).sealed(kind="issued")}
    rebuilt = [row for day in sorted(days) for row in replay(home, store, day)]
    assert [row.rows for row in rebuilt if row.kind == "issued" and row.entity == "deal"][-2:] == [len(before), 1]
    assert all(row.holds for row in rebuilt[-2:]), rebuilt
    # The next scores of all deals leave none behind.
    with_all = Queue(store).ask("score", {})
    third = work_off(home, store)["score"]
    assert (third["rated"], with_all.params) == (len(before) - 1, {})
    assert set(ratings(home)["as_of"]) == {pd.Timestamp(crm.now)}


def test_after_a_day_or_under_other_settings_all_are_rated(
    home: Home, store: Store, crm: ZohoCrm, channel: str
) -> None:
    Queue(store).ask("sync", {"crm": "zoho"})
    work_off(home, store)
    home.company_file.write_text(
        home.company_file.read_text(encoding="utf-8") + "\nadvice: {hold_back: 0.2}\n", encoding="utf-8"
    )
    crm.tick(hours=1)
    crm.put("Deals", "301", Stage="Proposal")
    messages.receive(store, "zoho", crm.message(channel, "Deals", "301", "update"))
    assert work_off(home, store)["score"]["rated"] == len(ratings(home))


def test_deals_of_activities_customers_and_contacts_are_touched(
    home: Home, store: Store, crm: ZohoCrm, channel: str
) -> None:
    Queue(store).ask("sync", {"crm": "zoho"})
    queue = Queue(store)
    job = queue.claim("test")
    assert job is not None
    do(Work(Settings(home=home.root), home, store, job, lambda text, share: None))
    view = home.lake.view()

    def of(**keys: list[str]) -> set[str]:
        return deals_touched(view, DECLARATION, keys)

    assert of(Calls=["400"]) == {"301"}
    assert of(Deals=["302"], Leads=["new"], Calls=["400"]) == {"301", "302", "new"}
    assert of(Accounts=["101"]) == {"300", "301", "302"}
    assert of(Users=["1"], Products=["7"]) == set()
