"""A sync that is killed at any moment, in a first load or a later one: the next one ends with the same lake."""

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from crm.schema import PERSON_KEY, TABLES
from serving.home import Home
from serving.store import Store
from tests.crm.connectors import hubspot_server, test_hubspot, test_zoho, zoho_server
from tests.e2e.forks import Forks, wait_for_end

Rows = dict[str, list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    made = Forks(tmp_path_factory.mktemp("forks") / "log")
    yield made
    made.close()


class HubSpotSide:
    """A HubSpot account with sixty deals, and what its users change later."""

    name = "hubspot"

    def __init__(self) -> None:
        self.crm = hubspot_server.HubSpotAccount()
        self.crm.list_page = 10
        self.server = hubspot_server.serve(self.crm)
        for n in range(3):
            self.crm.put("companies", f"2{n}", name=f"Firm {n}", hubspot_owner_id="1")
            self.crm.put("contacts", f"3{n}", lastname="Secret", associatedcompanyid=f"2{n}")
        for n in range(60):
            test_hubspot.add_deal(self.crm, n)
            self.crm.put("deals", f"10{n}", dealstage="102")

    def settings(self, address: str) -> dict[str, str]:
        return {"hubspot_token": hubspot_server.TOKEN, "hubspot_host": address}

    def change(self) -> None:
        self.crm.tick(hours=1)
        for n in range(0, 60, 2):
            self.crm.put("deals", f"10{n}", amount=f"{n}.25", dealstage="103")
        for n in range(60, 80):
            test_hubspot.add_deal(self.crm, n)
        self.crm.delete("deals", "101")
        self.crm.merge("deals", "103", "105")
        self.crm.merge("companies", "22", "21")
        self.crm.tick(minutes=10)


class ZohoSide:
    """The same in Zoho CRM, with forty deals, since each costs a call for its stages."""

    name = "zoho"

    def __init__(self) -> None:
        self.crm = zoho_server.ZohoCrm()
        self.crm.page_limit = 10
        self.server = zoho_server.ZohoServer(self.crm)
        self.crm.users.append({"id": "1", "full_name": "Person1 Secret", "status": "active"})
        for n in range(3):
            self.crm.put("Accounts", f"10{n}", Account_Name=f"Firm {n}", Owner=test_zoho.owner(1))
        for n in range(40):
            test_zoho.add_deal(self.crm, str(300 + n))
        for n in range(20):
            test_zoho.add_call(self.crm, str(500 + n), str(300 + n), seconds=60)

    def settings(self, address: str) -> dict[str, str]:
        return {"zoho_accounts": address, **{f"zoho_{key}": value for key, value in zoho_server.KEYS.items()}}

    def change(self) -> None:
        self.crm.tick(hours=1)
        for n in range(0, 40, 2):
            self.crm.put("Deals", str(300 + n), Amount=n + 0.25, Stage="Signed")
        for n in range(40, 50):
            test_zoho.add_deal(self.crm, str(300 + n))
        self.crm.delete("Deals", "301")
        self.crm.delete("Accounts", "102")
        self.crm.tick(minutes=10)


def rows(home: Home) -> Rows:
    """All rows of the lake, but for the keys of persons, which are drawn, and the order of coming."""
    view, found = home.lake.view(), {}
    for name in sorted(view.present):
        drawn = {c.name for c in TABLES[name].columns if c.personal} | {PERSON_KEY}
        columns = [c for c in view.arrow(name).column_names if c not in drawn and not c.startswith("_")]
        found[name] = sorted((tuple(row[c] for c in columns) for row in view.arrow(name).to_pylist()), key=str)
    return found


def kill_the_sync(forks: Forks, folder: Path, side: HubSpotSide | ZohoSide, moments: int) -> list[str]:
    """Kill a sync at moments drawn from equal parts of the time it takes, in turn a first load and a later one."""
    draw, notes = random.Random(11), []

    def begun(name: str, source: Path | None = None) -> Home:
        if source:
            shutil.copytree(source, folder / name)
        home = Home(folder / name)
        home.make()
        Store(home.database_url).close()
        return home

    with side.server as address:

        def run(home: Home, wait: float | None = None) -> float:
            started = time.monotonic()
            number = forks.start("sync", home=str(home.root), crm=side.name, **side.settings(address))
            if wait is not None:
                time.sleep(wait)
                with suppress(ProcessLookupError):  # it may have ended before the moment came
                    os.kill(number, signal.SIGKILL)
            wait_for_end(number)
            return time.monotonic() - started

        loaded = begun("loaded")
        run(loaded)
        assert rows(loaded)["deals"]
        side.change()
        wholes, spans = {}, {}
        for kind, source in (("first", None), ("later", loaded.root)):
            whole = begun(f"whole-{kind}", source)
            spans[kind] = run(whole)
            wholes[kind] = rows(whole)
        assert wholes["first"]["deals"] == wholes["later"]["deals"] != rows(loaded)["deals"]
        for moment in range(moments):
            kind = ("first", "later")[moment % 2]
            home = begun(f"{moment}", loaded.root if kind == "later" else None)
            wait = spans[kind] * (moment + draw.random()) / moments
            run(home, wait)
            cut, cursor = home.lake.cut().number, home.cursors / f"{side.name}.json"
            notes.append(f"{side.name} {moment}: {kind} load killed after {wait:.2f} of {spans[kind]:.2f} s, cut {cut}")
            run(home)
            assert cursor.exists()
            assert rows(home) == wholes[kind], notes[-1]
            shutil.rmtree(home.root)
    return notes


@pytest.mark.parametrize("side", [HubSpotSide, ZohoSide])
def test_a_sync_that_is_killed_is_gone_on_with(forks: Forks, tmp_path: Path, side: Any) -> None:
    print("\n".join(kill_the_sync(forks, tmp_path, side(), 4)))  # noqa: T201


@pytest.mark.slow_study
@pytest.mark.parametrize("side", [HubSpotSide, ZohoSide])
def test_a_sync_killed_at_30_moments_ends_the_same(forks: Forks, tmp_path: Path, side: Any) -> None:
    print("\n".join(kill_the_sync(forks, tmp_path, side(), 30)))  # noqa: T201
