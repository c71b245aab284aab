"""HubSpot's signed messages: verified, each event taken once and in any order; records are read as they are."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from serving import messages
from serving.cli import app
from serving.home import Home
from serving.messages import NoChannel, WrongSignature
from serving.store import Store
from tests.crm.connectors.hubspot_server import APP, TOKEN, HubSpotAccount, serve
from tests.crm.connectors.test_hubspot import add_deal
from tests.serving.small_site import serving
from tests.serving.test_messages import home, stages, store, work_off

__all__ = ["home", "store"]
SERVER = "https://forecasts.example.com"
ADDRESS = f"{SERVER}/api/v1/crms/hubspot/messages"
SECRET = APP["client_secret"]


@pytest.fixture
def account() -> HubSpotAccount:
    account = HubSpotAccount()
    account.now = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=20)
    for n in range(3):
        account.put("companies", f"2{n}", name=f"Firm {n}")
        add_deal(account, n)
    account.now = datetime.now(UTC).replace(microsecond=0)
    return account


@pytest.fixture
def listening(account: HubSpotAccount, home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with serve(account) as url:
        for name, value in (("HOST", url), ("TOKEN", TOKEN), ("CLIENT_SECRET", SECRET)):
            monkeypatch.setenv(f"BELLWETHER_HUBSPOT_{name}", value)
        said = CliRunner().invoke(app, ["listen", "hubspot", "--address", SERVER, "--home", str(home.root)])
        assert (said.exit_code, said.output.splitlines()[0]) == (0, f"hubspot tells changes to {ADDRESS}"), said.output
        yield url


def take(store: Store, account: HubSpotAccount, *events: dict[str, Any], later: timedelta = timedelta(0)) -> int:
    body, headers = account.message(ADDRESS, SECRET, *events)
    stamp, signature = headers["X-HubSpot-Request-Timestamp"], headers["X-HubSpot-Signature-v3"]
    return messages.receive_signed(store, body, stamp, signature, secret=SECRET, now=account.now + later)


@pytest.mark.usefixtures("listening")
def test_an_event_has_the_named_record_read_and_no_other(home: Home, store: Store, account: HubSpotAccount) -> None:
    account.put("deals", "101", dealstage="102")
    account.put("deals", "102", dealstage="102")
    assert take(store, account, account.event("deal.propertyChange", "101", propertyName="dealstage")) == 1
    account.asked.clear()
    assert work_off(home, store) == [{"crm": "hubspot", "touched": True}]
    assert stages(home) == {"101": "Contract sent"}
    assert not any(asked.path.endswith("/search") for asked in account.asked)
    assert messages.touched(store, "hubspot") == {}
    assert not (home.cursors / "hubspot.json").exists()


@pytest.mark.usefixtures("listening")
def test_an_event_that_is_sent_again_is_taken_once(home: Home, store: Store, account: HubSpotAccount) -> None:
    one, two = account.event("deal.propertyChange", "101"), account.event("deal.propertyChange", "102")
    assert take(store, account, one, two) == 2
    work_off(home, store)
    account.tick(minutes=10)
    assert take(store, account, {**one, "attemptNumber": 1}, account.event("company.creation", "21")) == 1
    assert take(store, account, {**two, "attemptNumber": 5}) == 0
    assert take(store, account, one, later=timedelta(minutes=6)) == 0


@pytest.mark.usefixtures("listening")
def test_in_whatever_order_and_how_often_events_come_the_lake_is_as_the_account(
    home: Home, store: Store, account: HubSpotAccount
) -> None:
    account.tick(hours=-30)  # a deal takes five hours
    told = [account.event("object.creation", n, objectTypeId="0-3") for n in ("100", "101", "102")]
    for n in range(3, 8):
        add_deal(account, n)
        told.append(account.event("deal.creation", f"10{n}"))
    account.put("deals", "103", dealstage="103")
    told.append(account.event("deal.propertyChange", "103", propertyName="dealstage"))
    account.delete("deals", "104")
    told.append(account.event("deal.deletion", "104"))
    account.merge("deals", "105", "106")
    told.append(account.event("deal.merge", "106", primaryObjectId=106, mergedObjectIds=[105], newObjectId=106))
    told.append(account.event("deal.associationChange", None, associationType="DEAL_TO_COMPANY", fromObjectId=107,
                              toObjectId=20, associationRemoved=False))  # fmt: skip
    told.append(account.event("ticket.creation", "9"))  # no kind that is read
    draw = random.Random(5)
    account.now = datetime.now(UTC).replace(microsecond=0)
    for _ in range(3):
        draw.shuffle(told)
        for begin in range(0, len(told), 4):
            take(store, account, *told[begin : begin + 4])
        work_off(home, store)
    there = {key: record["properties"]["dealstage"] for key, record in account.records["deals"].items()}
    assert stages(home) == {key: {"101": "Qualified", "103": "Closed won"}[stage] for key, stage in there.items()}
    assert {"104", "105"}.isdisjoint(there)


@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize("off", [timedelta(minutes=5), timedelta(minutes=-5)])
def test_clocks_that_differ_by_five_minutes_lose_nothing(store: Store, account: HubSpotAccount, off: timedelta) -> None:
    assert take(store, account, account.event("deal.creation", "101"), later=off) == 1


@pytest.mark.usefixtures("listening")
def test_what_does_not_come_from_hubspot_is_refused(home: Home, store: Store, account: HubSpotAccount) -> None:
    event = account.event("deal.creation", "101")
    body, headers = account.message(ADDRESS, SECRET, event)
    for later in (timedelta(minutes=16), timedelta(minutes=-16)):
        with pytest.raises(WrongSignature):
            take(store, account, event, later=later)
    with serving(home) as url, httpx.Client(base_url=f"{url}/api/v1/crms/hubspot", timeout=60) as client:
        for content, given in (
            (body, account.message(ADDRESS, "hush-other", event)[1]),
            (body, account.message(f"{ADDRESS}?x=1", SECRET, event)[1]),
            (body.replace(b"101", b"102"), headers),
            (body, {**headers, "X-HubSpot-Request-Timestamp": str(int(headers["X-HubSpot-Request-Timestamp"]) + 1)}),
            (body, {**headers, "X-HubSpot-Request-Timestamp": "yesterday"}),
            (body, {}),
        ):
            answer = client.post("/messages", content=content, headers={"content-type": "application/json", **given})
            assert (answer.status_code, "is not signed by" in answer.json()["detail"]) == (403, True), answer.text
        for wrong in ({**event, "occurredAt": "now"}, {**event, "objectId": "drop table"}, {"objectId": 1}):
            content, given = account.message(ADDRESS, SECRET, wrong)
            answer = client.post("/messages", content=content, headers={"content-type": "application/json", **given})
            assert (answer.status_code, "no message of a CRM" in answer.json()["detail"]) == (400, True), answer.text
        assert messages.touched(store, "hubspot") == {}
        answer = client.post("/messages", content=body, headers={"content-type": "application/json", **headers})
        assert (answer.status_code, answer.json()) == (202, {"records": 1})
    assert not any(SECRET.encode() in f.read_bytes() for f in home.root.rglob("*") if f.is_file())


def test_who_does_not_listen_takes_nothing_and_the_secret_is_asked_for(
    home: Home, store: Store, account: HubSpotAccount
) -> None:
    with pytest.raises(NoChannel):
        take(store, account, account.event("deal.creation", "101"))
    said = CliRunner().invoke(app, ["listen", "hubspot", "--address", SERVER, "--home", str(home.root)])
    assert "hubspot: client_secret is missing" in str(said.exception)


@pytest.mark.usefixtures("listening")
def test_the_command_stops(home: Home, store: Store, account: HubSpotAccount) -> None:
    said = CliRunner().invoke(app, ["listen", "hubspot", "--stop", "--home", str(home.root)])
    assert (said.exit_code, said.output) == (0, "1 channels closed\n")
    with pytest.raises(NoChannel):
        take(store, account, account.event("deal.creation", "101"))


def test_events_are_as_published(account: HubSpotAccount) -> None:
    """The parts that HubSpot's page on webhooks names for a change of a property."""
    body, headers = account.message(ADDRESS, SECRET, account.event("deal.propertyChange", "7", propertyName="amount"))
    [event] = json.loads(body)
    assert set(event) == {
        "eventId", "subscriptionId", "portalId", "appId", "occurredAt", "subscriptionType", "attemptNumber", "objectId",
        "changeSource", "propertyName",
    }  # fmt: skip
    assert (event["objectId"], set(headers)) == (7, {"X-HubSpot-Request-Timestamp", "X-HubSpot-Signature-v3"})
