"""Messages of a CRM on changes: verified, taken once, in any order; records are read as they are, channels go on."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from crm.connectors.messages import BadMessage
from crm.connectors.web import Patience
from crm.connectors.zoho import Zoho, ZohoKeys
from crm.connectors.zoho.channels import NoChannelOpened, ZohoChannels
from serving import messages
from serving.cli import app
from serving.home import Home
from serving.jobs.queue import Queue
from serving.jobs.tasks import Work, do
from serving.messages import NoChannel, WrongToken
from serving.settings import Settings
from serving.store import Store
from tests.crm.connectors.zoho_server import KEYS, ZohoCrm, ZohoServer
from tests.serving.small_site import serving

ADDRESS = "https://forecasts.example.com/api/v1/crms/zoho/messages"


@pytest.fixture
def crm() -> ZohoCrm:
    crm = ZohoCrm()
    crm.now = datetime.now(UTC).replace(microsecond=0)
    crm.users.append({"id": "1", "full_name": "Ann Lee"})
    for deal in ("300", "301", "302"):
        crm.put("Deals", deal, Deal_Name=deal, Stage="Qualification", Closing_Date="2026-06-30", Owner={"id": "1"})
    return crm


@pytest.fixture
def address(crm: ZohoCrm, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with ZohoServer(crm) as url:
        monkeypatch.setenv("BELLWETHER_ZOHO_ACCOUNTS", url)
        for name, value in KEYS.items():
            monkeypatch.setenv(f"BELLWETHER_ZOHO_{name.upper()}", value)
        yield url


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.make()
    return made


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    opened = Store(home.database_url)
    yield opened
    opened.close()


@pytest.fixture
def channels(address: str) -> ZohoChannels:
    return ZohoChannels(Zoho(ZohoKeys(**KEYS), accounts=address, patience=Patience(tries=2, first_wait=0.01)))


@pytest.fixture
def channel(store: Store, channels: ZohoChannels) -> str:
    return messages.listen(store, "zoho", channels, ADDRESS).channel_id


def work_off(home: Home, store: Store) -> list[dict[str, object]]:
    """Do all jobs that wait, as a worker does; their parameters."""
    done = []
    queue = Queue(store)
    while job := queue.claim("test"):
        do(Work(Settings(home=home.root), home, store, job, lambda text, share: None))
        queue.end(job.job_id, "test", "done", "")
        done.append(job.params)
    return done


def stages(home: Home) -> dict[str, str]:
    rows = home.lake.view().arrow("deals").to_pylist()
    return {r["deal_id"]: r["stage"] for r in rows}


def test_a_message_has_the_named_record_read_and_no_other(home: Home, store: Store, crm: ZohoCrm, channel: str) -> None:
    crm.put("Deals", "301", Stage="Proposal")
    crm.put("Deals", "302", Stage="Proposal")
    assert messages.receive(store, "zoho", crm.message(channel, "Deals", "301", "update")) == 1
    crm.asked.clear()
    assert work_off(home, store) == [{"crm": "zoho", "touched": True}]
    assert stages(home) == {"301": "Proposal"}
    assert sum(path.endswith("/Stage_History") for path in crm.asked) == 1
    assert messages.touched(store, "zoho") == {}
    assert not (home.cursors / "zoho.json").exists()


def test_the_same_message_twice_is_taken_once(home: Home, store: Store, crm: ZohoCrm, channel: str) -> None:
    said = crm.message(channel, "Deals", "301", "update")
    assert [messages.receive(store, "zoho", said) for _ in range(3)] == [1, 0, 0]
    work_off(home, store)
    assert messages.receive(store, "zoho", said) == 0
    assert work_off(home, store) == []
    # Another change of the same record is another message.
    crm.tick(seconds=1)
    assert messages.receive(store, "zoho", crm.message(channel, "Deals", "301", "update")) == 1


def test_an_old_message_is_not_played_again(store: Store, crm: ZohoCrm, channel: str) -> None:
    said = crm.message(channel, "Deals", "301", "update")
    messages.receive(store, "zoho", said)
    for days in (3, 6.9, 7.1, 30):
        assert messages.receive(store, "zoho", said, datetime.now(UTC) + timedelta(days=days)) == 0
    with pytest.raises(BadMessage, match="lies ahead"):
        messages.receive(store, "zoho", crm.message(channel, "Deals", "301", "update", hours=2))


@pytest.mark.parametrize("seed", range(4))
def test_in_whatever_order_and_how_often_messages_come_the_lake_is_as_the_crm(
    home: Home, store: Store, crm: ZohoCrm, channel: str, seed: int
) -> None:
    said = [crm.message(channel, "Deals", "300", "insert", minutes=-5)]
    for stage in ("Proposal", "Signed"):
        crm.tick(seconds=20)
        crm.put("Deals", "300", Stage=stage)
        said.append(crm.message(channel, "Deals", "300", "update", minutes=5))
    for deal in ("301", "302"):
        crm.tick(seconds=20)
        crm.put("Deals", deal, Stage="Proposal")
        said.append(crm.message(channel, "Deals", deal, "update"))
    for message in said:
        messages.receive(store, "zoho", message)
    work_off(home, store)
    crm.delete("Deals", "302")
    crm.tick(seconds=1)
    said += [crm.message(channel, "Deals", "302", "delete")]
    chance = random.Random(seed)
    for message in chance.choices(said, k=8) + chance.sample(said, k=len(said)):
        messages.receive(store, "zoho", message)
        if chance.random() < 0.3:
            work_off(home, store)
    work_off(home, store)
    assert stages(home) == {"300": "Signed", "301": "Proposal"}


def test_a_record_that_is_only_not_seen_stays(home: Home, store: Store, crm: ZohoCrm, channel: str) -> None:
    messages.receive(store, "zoho", crm.message(channel, "Deals", "301", "insert"))
    work_off(home, store)
    crm.tick(seconds=1)
    hidden = crm.records["Deals"].pop("301")
    messages.receive(store, "zoho", crm.message(channel, "Deals", "301", "update"))
    work_off(home, store)
    assert stages(home) == {"301": "Qualification"}
    assert hidden["id"] == "301"


def test_what_is_named_again_while_it_is_read_stays_queued(store: Store, crm: ZohoCrm, channel: str) -> None:
    messages.receive(store, "zoho", crm.message(channel, "Deals", "301", "update"))
    rows = messages.touched(store, "zoho")
    messages.receive(store, "zoho", crm.message(channel, "Deals", "301", "update", seconds=9))
    messages.done(store, rows)
    assert list(messages.touched(store, "zoho")) == [("Deals", "301")]


def test_many_messages_ask_for_one_job(store: Store, crm: ZohoCrm, channel: str) -> None:
    for n in range(30):
        messages.receive(store, "zoho", crm.message(channel, "Deals", str(n), "update"))
    assert len(Queue(store).newest(kinds=("sync",))) == 1
    assert len(messages.touched(store, "zoho")) == 30


def test_what_does_not_come_from_the_crm_is_refused(home: Home, store: Store, crm: ZohoCrm, channel: str) -> None:
    said = crm.message(channel, "Deals", "301", "update")
    with serving(home) as url, httpx.Client(base_url=f"{url}/api/v1/crms", timeout=60) as client:
        for body, status, words in (
            ({**said, "token": "0" * 48}, 403, "does not carry its channel's token"),
            ({**said, "channel_id": "999"}, 404, "no such channel"),
            ({**said, "ids": ["drop table"]}, 400, "ids is no list"),
            ({**said, "server_time": "now"}, 400, "server_time"),
            ({k: v for k, v in said.items() if k != "token"}, 400, "token is missing"),
        ):
            answer = client.post("/zoho/messages", json=body)
            assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text
        assert client.post("/hubris/messages", json=said).status_code == 404
        assert messages.touched(store, "zoho") == {}
        good = client.post("/zoho/messages", json=said)
        assert (good.status_code, good.json()) == (202, {"records": 1})
    token = crm.channels[channel]["token"].encode()
    assert not any(token in f.read_bytes() for f in home.root.rglob("*") if f.is_file())


def test_a_channel_is_prolonged_before_it_ends(
    store: Store, crm: ZohoCrm, channels: ZohoChannels, channel: str
) -> None:
    begun = crm.now
    assert crm.channels[channel]["until"] > begun + timedelta(days=6, hours=22)
    now = datetime.now(UTC)
    assert messages.due(store, now + timedelta(days=4)) == []
    [soon] = messages.due(store, now + timedelta(days=6))
    crm.tick(days=6)
    messages.renew(store, channels, soon, now + timedelta(days=6))
    assert crm.channels[channel]["until"] > begun + timedelta(days=12)
    assert messages.due(store, now + timedelta(days=7)) == []
    assert Queue(store).newest() == []


@pytest.mark.parametrize("minutes", [-5, 5])
def test_a_channel_lasts_a_week_though_clocks_differ(
    store: Store, crm: ZohoCrm, channels: ZohoChannels, minutes: int
) -> None:
    now = crm.now + timedelta(minutes=minutes)
    made = messages.listen(store, "zoho", channels, ADDRESS, now)
    assert crm.channels[made.channel_id]["until"] > crm.now + timedelta(days=6, hours=22)


def test_a_channel_that_had_ended_is_opened_anew_and_all_is_synced(
    store: Store, crm: ZohoCrm, channels: ZohoChannels, channel: str
) -> None:
    crm.tick(days=9)
    [ended] = messages.open_channels(store)
    messages.renew(store, channels, ended, crm.now)
    assert crm.channels[channel]["until"] > crm.now + timedelta(days=6)
    assert [job.params for job in Queue(store).newest()] == [{"crm": "zoho"}]


def test_the_command_opens_shows_replaces_and_closes(home: Home, crm: ZohoCrm, address: str) -> None:
    def run(*words: str) -> str:
        command = ["listen", "zoho", "--home", str(home.root), *words]
        return CliRunner().invoke(app, command, catch_exceptions=False).output

    assert "zoho tells nothing" in run()
    assert f"zoho tells changes to {ADDRESS} until" in run("--address", "https://forecasts.example.com/")
    first = set(crm.channels)
    run("--address", "https://forecasts.example.com")
    assert len(crm.channels) == 1
    assert set(crm.channels) != first
    [wish] = crm.channels.values()
    assert wish["notify_url"] == ADDRESS
    assert "Deals.all" in wish["events"]
    assert "1 channels closed" in run("--stop")
    assert crm.channels == {}
    with pytest.raises(Exception, match="by https"):
        run("--address", "http://forecasts.example.com")


def test_who_opens_no_channel_is_told(store: Store, crm: ZohoCrm, channels: ZohoChannels) -> None:
    with pytest.raises(NoChannelOpened, match=r"opens no channel \(INVALID_DATA\)"):
        messages.listen(store, "zoho", channels, "http://not-encrypted.example.com")
    assert messages.open_channels(store) == []
    with pytest.raises(NoChannel):
        messages.receive(store, "fxiaoke", {})


def test_a_token_of_another_channel_does_not_do(store: Store, crm: ZohoCrm, channels: ZohoChannels) -> None:
    one = messages.listen(store, "zoho", channels, ADDRESS).channel_id
    said = crm.message(one, "Deals", "301", "update")
    two = messages.listen(store, "zoho", channels, ADDRESS).channel_id
    with pytest.raises(WrongToken):
        messages.receive(store, "zoho", {**said, "channel_id": two})
