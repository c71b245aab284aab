"""Checks of installation, home, store, lake, models and scores; each problem with its mend."""

from __future__ import annotations

import ctypes.util
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import httpx

from crm.errors import BellwetherError, NotReady
from serving.home import Home
from serving.settings import Settings, read_settings, unknown_names

_PACKAGES = ("lightgbm", "scikit-learn", "duckdb", "deltalake", "mlflow-skinny", "fastapi", "sqlalchemy")
_LEAST_FREE = 1 << 30
_AHEAD = timedelta(days=1)  # a date without its zone may be that far ahead


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: all well, worth knowing, or to be mended."""

    check: str
    state: Literal["ok", "note", "bad"]
    text: str


def examine_here(root: Path | None) -> list[Finding]:
    """Run all checks: of the environment, then of the home that was named, else of the one of the settings."""
    settings, problem = read_settings()
    if settings is None:
        return [Finding("environment", "bad", " ".join([problem, *_strange()]))]
    chosen = settings.model_copy(update={"home": root}) if root else settings
    return [_environment(), _port(chosen), *examine(Home.of(chosen))]


def _environment() -> Finding:
    said = _strange()
    return Finding("environment", "note" if said else "ok", " ".join(said) or "all settings are known")


def _strange() -> list[str]:
    """What is said of each name that is no setting."""
    return [
        f"{name} is no setting{f': write {nearest}' if nearest else ', take it out'}."
        for name, nearest in unknown_names()
    ]


def _port(settings: Settings) -> Finding:
    from serving.server import PortTaken, address_of, listen

    try:
        listen(settings).close()
    except PortTaken as error:
        if _serves(address_of(settings)):
            return Finding("port", "ok", f"Bellwether answers on {address_of(settings)}")
        return Finding("port", "bad", str(error))
    except BellwetherError as error:
        return Finding("port", "bad", str(error))
    return Finding("port", "ok", f"{settings.port} on {settings.host} is free")


def _serves(address: str) -> bool:
    try:
        return httpx.get(f"{address}/api/v1/health", timeout=2, trust_env=False).json().get("status") in (
            "ok",
            "waiting",
        )
    except (httpx.HTTPError, ValueError, AttributeError):
        return False


def examine(home: Home) -> list[Finding]:
    """Run all checks of a home; one that fails does not stop the others."""
    checks: dict[str, Callable[[Home], Finding]] = {
        "python": _python,
        "packages": _packages,
        "openmp": _openmp,
        "home": _home,
        "settings": _company,
        "store": _store,
        "ledger": _ledger,
        "lake": _lake,
        "clock": _clock,
        "models": _models,
        "scores": _scores,
    }
    return [_run(name, check, home) for name, check in checks.items()]


def _run(name: str, check: Callable[[Home], Finding], home: Home) -> Finding:
    try:
        return check(home)
    except BellwetherError as error:
        return Finding(name, "bad", str(error))
    except OSError as error:
        return Finding(name, "bad", f"{error.filename or home.root}: {error.strerror}. Check the path and its rights.")
    except Exception as error:
        return Finding(name, "bad", f"{type(error).__name__}: {error}. Install anew: make clean setup.")


def _python(_: Home) -> Finding:
    found = f"Python {sys.version.split()[0]}"
    if (3, 11) <= sys.version_info < (3, 14):
        return Finding("python", "ok", found)
    return Finding("python", "bad", f"{found}. Bellwether runs on 3.11 to 3.13: make setup PYTHON=python3.12.")


def _packages(_: Home) -> Finding:
    try:
        return Finding("packages", "ok", ", ".join(f"{name} {version(name)}" for name in _PACKAGES))
    except PackageNotFoundError as error:
        return Finding("packages", "bad", f"{error.name} is not installed. Install anew: make clean setup.")


def _openmp(_: Home) -> Finding:
    if sys.platform == "linux" and not ctypes.util.find_library("gomp"):
        return Finding("openmp", "bad", "LightGBM needs OpenMP. Debian: apt-get install libgomp1.")
    return Finding("openmp", "ok", "found")


def _home(home: Home) -> Finding:
    free = home.free_bytes()
    if not home.root.exists():
        above = next(folder for folder in home.root.parents if folder.exists())
        if not (above.is_dir() and os.access(above, os.W_OK | os.X_OK)):
            return Finding("home", "bad", f"{home.root} cannot be made: {above} cannot be written to. Change --home.")
        return Finding("home", "note", f"{home.root} does not exist yet. Import something: bellwether import PATH.")
    probe = home.root / ".doctor"
    try:
        probe.write_text("", encoding="utf-8")
        probe.unlink()
    except OSError as error:
        return Finding(
            "home", "bad", f"{home.root} cannot be written to: {error.strerror}. Change its owner or rights."
        )
    if free < _LEAST_FREE:
        return Finding("home", "note", f"Only {free >> 20} MB are free beside {home.root}. Make room.")
    return Finding("home", "ok", f"{home.root}, {free >> 30} GB free")


def _company(home: Home) -> Finding:
    company = home.company()
    kind = "sample company" if company.sample else "real company"
    return Finding("settings", "ok", f"{company.name} ({kind}), {company.base_currency}, {company.time_zone}")


def _store(home: Home) -> Finding:
    from serving.store import Store
    from serving.users import has_users

    if not home.root.exists() and home.database_url == Home(home.root).database_url:
        return Finding("store", "note", "There is none yet.")
    store = Store(home.database_url)
    users = has_users(store)
    store.close()
    if not users:
        return Finding("store", "note", "Nobody can sign in yet: bellwether user add EMAIL --role admin.")
    return Finding("store", "ok", store.engine.dialect.name)


def _ledger(home: Home) -> Finding:
    from serving.ledger import Ledger
    from serving.store import Store

    if not home.root.exists():
        return Finding("ledger", "note", "There is none yet.")
    store = Store(home.database_url)
    verdict = Ledger(store).verify()
    store.close()
    if not verdict.whole:
        return Finding("ledger", "bad", f"{verdict.problem}. Restore the store from a backup taken before that.")
    return Finding("ledger", "ok", f"{verdict.checked} rows, whole")


def _lake(home: Home) -> Finding:
    from crm.lake import newest_event

    if not home.has_data():
        return Finding("lake", "note", "It is empty. Import something: bellwether import PATH.")
    view = home.lake.view()
    return Finding(
        "lake",
        "ok",
        f"cut {view.cut.number}, {len(view.present)} tables, newest event {newest_event(view):%Y-%m-%d %H:%M}",
    )


def _clock(home: Home) -> Finding:
    from crm.lake import newest_event

    now = datetime.now(UTC)
    if not home.has_data():
        return Finding("clock", "ok", f"{now:%Y-%m-%d %H:%M} UTC")
    newest = newest_event(home.lake.view())
    if newest <= now + _AHEAD:
        return Finding("clock", "ok", f"{now:%Y-%m-%d %H:%M} UTC, the data's newest event is not after it")
    return Finding(
        "clock",
        "bad",
        f"The data's newest event ({newest:%Y-%m-%d %H:%M} UTC) is after this machine's clock "
        f"({now:%Y-%m-%d %H:%M} UTC). Set the clock, or correct the date in the CRM and import it again.",
    )


def _models(home: Home) -> Finding:
    from training import registry

    if not home.root.exists():
        return Finding("models", "note", "There are none yet: bellwether train.")
    found, damaged = {}, []
    for what in registry.KINDS:
        try:
            found[what] = registry.champion(what, tracking=home.tracking).version
        except registry.NoModel:
            continue
        except NotReady as error:
            damaged.append(str(error))
    if damaged:
        return Finding("models", "bad", " ".join(damaged))
    if absent := [what for what in registry.KINDS if what not in found]:
        return Finding("models", "note", f"Not trained yet: {', '.join(absent)}. Run: bellwether train {absent[0]}.")
    return Finding("models", "ok", ", ".join(f"{what} {number}" for what, number in found.items()))


def _scores(home: Home) -> Finding:
    from serving.scores import read_folder, read_pointer

    mark = read_pointer(home.scores)
    if not mark:
        return Finding("scores", "note", "There are none yet: bellwether score.")
    _, meta = read_folder(home.scores / mark)
    if meta["data_cut"] != home.lake.cut().number:
        return Finding("scores", "note", f"As of {meta['as_of']}; newer data has come since. Run: bellwether score.")
    return Finding("scores", "ok", f"as of {meta['as_of']}")
