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
from tests.e2e.forks import Forks, wait_for_end
from tests.e2e.killed_crms import FxiaokeSide, HubSpotSide, SalesforceSide, Side, TrytonSide, ZohoSide

Rows = dict[str, list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    made = Forks(tmp_path_factory.mktemp("forks") / "log")
    yield made
    made.close()


def rows(home: Home) -> Rows:
    """All rows of the lake, but for the keys of persons, which are drawn, and the order of coming."""
    view, found = home.lake.view(), {}
    for name in sorted(view.present):
        drawn = {c.name for c in TABLES[name].columns if c.personal} | {PERSON_KEY}
        columns = [c for c in view.arrow(name).column_names if c not in drawn and not c.startswith("_")]
        found[name] = sorted((tuple(row[c] for c in columns) for row in view.arrow(name).to_pylist()), key=str)
    return found


def kill_the_sync(forks: Forks, folder: Path, side: Side, moments: int) -> list[str]:
    """Kill a sync at moments drawn from equal parts of the time it takes, in turn a first load and a later one."""
    draw, notes = random.Random(11), []

    new = Home(folder / "new")
    new.make()
    Store(new.database_url).close()

    def begun(name: str, source: Path = new.root) -> Home:
        shutil.copytree(source, folder / name)
        return Home(folder / name)

    with side.serve(folder / "crm") as address:

        def run(home: Home, wait: float | None = None) -> float:
            side.begin(home.root)
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
        for kind, source in (("first", new.root), ("later", loaded.root)):
            whole = begun(f"whole-{kind}", source)
            spans[kind] = run(whole)
            wholes[kind] = rows(whole)
        assert wholes["first"]["deals"] == wholes["later"]["deals"] != rows(loaded)["deals"]
        for moment in range(moments):
            kind = ("first", "later")[moment % 2]
            home = begun(f"{moment}", loaded.root if kind == "later" else new.root)
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
def test_a_sync_that_is_killed_is_gone_on_with(forks: Forks, tmp_path: Path, side: type[Side]) -> None:
    print("\n".join(kill_the_sync(forks, tmp_path, side(), 2)))  # noqa: T201


@pytest.mark.slow_study
@pytest.mark.parametrize("side", [HubSpotSide, ZohoSide, FxiaokeSide, SalesforceSide, TrytonSide])
def test_a_sync_killed_at_30_moments_ends_the_same(forks: Forks, tmp_path: Path, side: type[Side]) -> None:
    print("\n".join(kill_the_sync(forks, tmp_path, side(), 30)))  # noqa: T201
