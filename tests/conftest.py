"""Fixtures for all tests: no connection leaves this machine; what a test needs of the system, or why it is skipped."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("bellwether", deadline=None, print_blob=True)
settings.load_profile("bellwether")

# .ci/run sets this: there nothing is skipped, so a test whose tool is missing fails.
TEST_EVERYTHING = "BELLWETHER_TEST_EVERYTHING" in os.environ  # noqa: TID251
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MAC_BROWSER = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")


@cache
def chromium_path() -> str | None:
    found = [path for name in BROWSERS if (path := shutil.which(name))]
    return found[0] if found else str(MAC_BROWSER) if MAC_BROWSER.exists() else None


@cache
def java_version() -> int | None:
    if not shutil.which("java"):
        return None
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    match = re.search(r'version "(\d+)', said)
    return int(match[1]) if match else None


def missing_tool(item: pytest.Item) -> str | None:
    if "browser" in item.keywords and chromium_path() is None:
        return "no Chromium (Debian: apt-get install chromium)"
    if "spark" in item.keywords and (java_version() or 0) < 17:
        return "no Java 17 or newer (Debian: apt-get install openjdk-17-jre-headless)"
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        reason = missing_tool(item)
        if reason and not TEST_EVERYTHING:
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Where Spark's Java has died, the test at hand has failed by itself; those after it shall not ask the dead."""
    if "spark" in item.keywords and "features.spark" in sys.modules:
        sys.modules["features.spark"].forget_the_dead()


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the browser that Playwright shall start."""
    path = chromium_path()
    assert path, "no Chromium"
    return path


def is_loopback(address: object) -> bool:
    if not isinstance(address, tuple):  # a Unix socket's path
        return True
    host = str(address[0])
    if host in ("", "localhost"):
        return True
    try:
        return ip_address(host.split("%")[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True)
def nothing_leaves(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Refuse and count every connection of this process to another machine; a test fails if there was one."""
    refused: list[object] = []

    def guarded(name: str) -> None:
        original = getattr(socket.socket, name)

        def call(self: socket.socket, address: object) -> object:
            if not is_loopback(address):
                refused.append(address)
                raise ConnectionRefusedError(f"tests talk to this machine only, not to {address}")
            return original(self, address)

        monkeypatch.setattr(socket.socket, name, call)

    guarded("connect")
    guarded("connect_ex")
    yield refused
    assert not refused, f"tried to reach {refused}"
