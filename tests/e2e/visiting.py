"""A served home in a real browser: windows that are watched for what a visit must not cause."""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Locator, Page, Request, sync_playwright

from serving.dependencies import COOKIE
from serving.home import Home
from serving.sign_in import start_session
from serving.store import Store
from serving.users import add_user
from tests.e2e.chain import Chain

PHONE, LAPTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
PATIENCE = 120_000  # milliseconds: a slow machine is no fault of a page


@dataclass
class Visited:
    """A served home, a browser, and what visits caused that they must not: errors, failed and foreign requests."""

    address: str
    browser: Browser
    complaints: list[str] = field(default_factory=list, kw_only=True)

    def window(self, cookies: Mapping[str, str], language: str = "en", **wanted: object) -> BrowserContext:
        """A fresh browser window."""
        context = self.browser.new_context(**{"viewport": LAPTOP, "base_url": self.address, **wanted})
        context.set_default_timeout(PATIENCE)
        given = {"bellwether_language": language, **cookies}
        context.add_cookies([{"name": k, "value": v, "url": self.address} for k, v in given.items()])
        context.on("console", lambda message: self.complaints.append(message.text))
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.on("requestfailed", self._failed)
        context.on("request", self._own)
        context.on("response", lambda r: self.complaints.append(f"{r.url}: {r.status}") if r.status >= 400 else None)
        return context

    def _failed(self, request: Request) -> None:
        """Count what failed. What the browser itself ended, as its visitor went on or closed the window, did not."""
        if request.failure != "net::ERR_ABORTED":
            self.complaints.append(f"{request.url}: {request.failure}")

    def _own(self, request: Request) -> None:
        if not request.url.startswith((self.address, "data:")):
            self.complaints.append(f"foreign: {request.url}")


@contextmanager
def browsing(chain: Chain, chromium: str) -> Iterator[tuple[str, Browser]]:
    """The chain's home served, and a browser: the server's address and the browser."""
    with chain.serve() as client, sync_playwright() as playwright:
        until(lambda: client.get("/readyz").status_code == 200)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield str(client.base_url).rstrip("/"), browser
        browser.close()


def send(page: Page, button: Locator) -> None:
    """Press what leads to another page, and wait until it is there."""
    with page.expect_navigation():
        button.click()


def until(true: Callable[[], object], patience: float = 600) -> None:
    """Wait for something that a busy machine may take long over."""
    end = time.monotonic() + patience
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(1)


def a_copy(chain: Chain, folder: Path) -> Chain:
    """A home of its own, since others count what is in the chain's."""
    shutil.copytree(chain.home, folder / "home")
    shutil.copytree(chain.folder / "guard", folder / "guard")
    return Chain(folder, chain.calls)


def signed_in(store: Store, role: str, rep_id: str | None = None) -> dict[str, str]:
    """A new user of a role: the cookie of a session."""
    user = add_user(store, f"{role}@roles.example", None, role, rep_id=rep_id)
    return {COOKIE: start_session(store, user, days=1, label="test")}


def newest_scores(home: Home) -> Path:
    """Folder of the score files that are in use."""
    return home.scores / (home.scores / "current").read_text().strip()
