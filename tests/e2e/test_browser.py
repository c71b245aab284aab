"""The pages in a real browser, on a home that the command line built: from signing in to one deal and what it says."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import httpx
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page

from serving.home import Home
from serving.store import Store
from serving.users import BadUser, add_user
from tests.e2e.chain import built
from tests.e2e.visiting import PHONE, Visited, browsing

pytestmark = pytest.mark.browser
EMAIL, PASSWORD = "eve@example.com", "a long password"


@dataclass
class Site(Visited):
    """The served home with the session of its administrator."""

    deals: pd.DataFrame
    session: dict[str, str]

    def visit(self, *, signed_in: bool = True, **wanted: object) -> BrowserContext:
        return self.window(self.session if signed_in else {}, **wanted)


@pytest.fixture(scope="module")
def site(chromium: str) -> Iterator[Site]:
    chain = built()
    store = Store(Home(chain.home).database_url)
    with suppress(BadUser):  # another file that uses this site has made her already
        add_user(store, EMAIL, PASSWORD, "admin")
    store.close()
    deals = pd.read_parquet(chain.folder / "out" / "deals.parquet")
    with browsing(chain, chromium) as (address, browser):
        with httpx.Client(base_url=address, trust_env=False, timeout=60) as client:
            client.post("/sign-in", data={"email": EMAIL, "password": PASSWORD})
            session = dict(client.cookies)
        yield Site(address, browser, deals, session)


@pytest.fixture(autouse=True)
def silent(site: Site) -> Iterator[None]:
    site.complaints.clear()
    yield
    assert site.complaints == []


def addresses(page: Page) -> list[str]:
    """One address of each kind of page, as links lead to them."""
    found = ["/forecast", "/deals", "/accounts", "/accuracy"]
    page.goto("/forecast")
    for start, pattern in (
        ("/forecast", "a[href^='/forecast/reps/']"),
        ("/deals", "a[href^='/deals/']"),
        ("/accounts", "a[href^='/accounts/']"),
    ):
        page.goto(start)
        if page.locator(pattern).count():
            found.append(str(page.locator(pattern).first.get_attribute("href")))
    return found


def test_one_signs_in_opens_the_deals_and_one_deal(site):
    with site.visit(signed_in=False) as context:
        page = context.new_page()
        page.goto("/deals")
        page.get_by_role("link", name="Sign in", exact=True).click()
        page.wait_for_url("**/sign-in?next=/deals")
        page.get_by_label("E-mail").fill(EMAIL)
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url("**/deals")
        row = page.locator("tbody tr").first
        name, chance = row.locator("th a").inner_text(), row.locator(".chance b").inner_text()
        row.locator("td").nth(1).click()  # anywhere in the row
        page.wait_for_url("**/deals/*")
        assert page.locator("h1").inner_text() == name
        assert page.locator(".finding").inner_text().startswith(f"{chance} to be won (90% range ")


def test_figures_of_list_and_page_are_those_of_the_score_file(site):
    scores = site.deals.set_index("deal_id")
    with site.visit() as context:
        page = context.new_page()
        page.goto("/deals")
        for row in page.locator("tbody tr").all()[:10]:
            ident = str(row.locator("th a").get_attribute("href")).rsplit("/", 1)[1]
            said = row.locator(".chance b").inner_text()
            # Whole percent: a half may round either way in a double.
            assert (
                abs(float(said.strip("<>%")) / 100 - scores.at[ident, "win_probability"]) <= 0.0051 or said[0] in "<>"
            )
        found = re.match(r"([\d,]+) open deals", page.locator(".finding").inner_text())
        count = int(found[1].replace(",", "")) if found else 0
    assert count == len(scores)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible(site, language, scheme):
    with site.visit(language=language, color_scheme=scheme) as context:
        page = context.new_page()
        for address in addresses(page):
            page.goto(address)
            found = Axe().run(page).response["violations"]
            assert [(v["id"], [n["html"][:120] for n in v["nodes"][:3]]) for v in found] == [], address


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_phone_scrolls_down_only(site, language):
    with site.visit(language=language, viewport=PHONE) as context:
        page = context.new_page()
        for address in addresses(page):
            page.goto(address)
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], address
            small = page.evaluate(
                "[...document.querySelectorAll('nav a, button, .tabs a, summary')].filter(e => e.offsetParent)"
                ".filter(e => e.getBoundingClientRect().height < 24).map(e => e.outerHTML.slice(0, 80))"
            )
            assert small == [], address


def test_pages_read_without_script(site):
    with site.visit(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto("/forecast")
        assert page.locator(".finding").inner_text().count("likely to end the quarter") == 1
        page.get_by_role("button", name="中文").click()
        assert page.locator("html").get_attribute("lang") == "zh-Hans"
        assert "本季度预计完成" in page.locator(".finding").inner_text()
        page.locator("figure details:has(table) > summary").first.click()
        assert page.locator("figure table").first.is_visible()


def test_the_theme_turns_at_once_and_stays(site):
    with site.visit(color_scheme="light") as context:
        page = context.new_page()
        page.goto("/forecast")
        bright = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.get_by_role("button", name="Dark theme").click()
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (bright, dark) == ("rgb(246, 247, 249)", "rgb(15, 19, 24)")  # the two canvas tokens
        page.goto("/deals")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark


def test_the_first_tab_leads_past_the_menu(site):
    with site.visit() as context:
        page = context.new_page()
        page.goto("/deals")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        page.keyboard.press("Enter")
        page.wait_for_url("**#main")


def test_a_search_is_found_by_its_key_and_kept_in_the_address(site):
    with site.visit() as context:
        page = context.new_page()
        page.goto("/deals")
        page.keyboard.press("/")
        page.keyboard.type("no such deal at all")
        page.keyboard.press("Enter")
        page.wait_for_url("**q=no+such+deal+at+all*")
        assert page.locator(".empty").inner_text().startswith("No deal matches.")


def test_a_page_moves_nothing_after_it_is_painted(site):
    with site.visit() as context:
        page = context.new_page()
        page.add_init_script(
            "window.moved = 0; new PerformanceObserver(list => list.getEntries().forEach("
            "e => { window.moved += e.value })).observe({type: 'layout-shift', buffered: true})"
        )
        for address in ("/forecast", "/deals"):
            page.goto(address)
            page.wait_for_timeout(200)
            assert page.evaluate("window.moved") < 0.01, address
