"""Each page asks a question in its module, and answers it to whoever opens it within two clicks.

The answer is found a second way: by plain SQL on the lake, or from the score files as the fixture writes them.
"""

import pkgutil
import re
from collections.abc import Callable
from html import unescape
from importlib import import_module
from typing import Any

import httpx
import pytest

from crm.lake import connect
from serving import pages
from serving.pages.rail import Rail
from tests.serving.pages.test_pages import text_of

FIRST = ""
QUARTER = "closed_at >= '2026-10-01' and closed_at < '2027-01-01'"
BEFORE = "closed_at >= '2026-07-01' and closed_at < '2026-10-01'"
WON = "sum(cast(amount as double)) from deals where outcome = 'won' and kind <> 'lead'"


def asked(site: Any, query: str) -> Any:
    """One value by SQL."""
    with connect() as con:
        site.home.lake.view().attach(con)
        return con.execute(f"select {query}").fetchone()[0]


def main_of(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.url
    main = answer.text.partition("<main")[2].partition("</main>")[0]
    return re.sub(r'<details class="help">.*?</details>', "", main, flags=re.S)


def click(client: httpx.Client, page: str, name: str) -> str:
    """The page behind the first link whose text begins with a name; FIRST is that of the first row."""
    found = page.partition("data-row")[2] if name == FIRST else page
    for address, inner in re.findall(r'<a [^>]*?href="([^"]+)"[^>]*>(.*?)</a>', found, flags=re.S):
        if name in (FIRST, text_of(inner)[: len(name)]):
            return main_of(client.get(unescape(address)))
    raise AssertionError(f"no link {name!r} on the page")


def dearest(site: Any) -> str:
    """Name of the open deal with the largest amount: every deal is at 40 %, so it is expected to bring most."""
    return str(asked(site, "name from deals where outcome = 'open' and kind <> 'lead' order by amount desc limit 1"))


GOAL = (
    "cast(target as double) from goals where owner_kind = 'company' and metric = 'bookings' "
    "and period_start = '2026-10-01' and period_end = '2027-01-01'"
)
GOALS_OF_PEOPLE = (
    "sum(cast(target as double)) from goals where owner_kind = 'rep' and metric = 'bookings' "
    "and period_start = '2026-10-01' and period_end = '2027-01-01'"
)

# Page (key in the rail): links clicked from it, and what must then stand there.
ANSWERS: dict[str, list[tuple[list[str], Callable[[Any], str]]]] = {
    # The company's goal is 100,000 and its middle 90,000 in the score files; 25 % is the chance written there.
    "today": [([], lambda site: "likely to end the quarter at €90K, 90% of goal (80% range 70–110%)"),
              (["To the forecast", "See the math"], lambda site: "€90,000")],
    "forecast": [([], lambda site: "Chance to reach the goal: 25%"),
                 (["See the math"], lambda site: "€90,000"),
                 (["Europe North"], lambda site: "Europe North is likely to end the quarter at €90K")],
    "deals": [([], dearest), ([FIRST], lambda site: "40% to be won")],
    # 50 customers at 100, 200, … 5,000: together 127,500; the five largest 24,000, which is 19 %.
    "accounts": [([], lambda site: "50 customers hold €128K at risk in the next 90 days; 5 of them hold 19%"),
                 ([FIRST], lambda site: "10%")],
    "accuracy": [([], lambda site: "the first period ends on Jan 1, 2027")],
    "effects": [([], lambda site: "Effects have not been measured yet")],
    "goals": [([], lambda site: f"€{asked(site, GOALS_OF_PEOPLE) - asked(site, GOAL):,.0f} more than the "
                                f"€{asked(site, GOAL):,.0f} of")],
    "plan": [([], lambda site: f"€{asked(site, f'{WON} and {QUARTER}') / 1000:,.0f}K reached")],
    "record": [([], lambda site: f"€{asked(site, f'{WON} and {BEFORE}'):,.0f}")],
    "reports": [([], lambda site: f"€{asked(site, f'{WON} and {QUARTER}') / 1000:,.0f}K booked"),
                (["Funnel"], lambda site: "Negotiation")],
    "scenarios": [([], lambda site: "Try a lever")],
    "risks": [([], lambda site: "No open risk.")],
    # Everybody is at half of the goal at half of the quarter.
    "people": [([], lambda site: "0 of 7 with a goal are clearly behind its pace")],
    "reviews": [([], lambda site: "No review is planned.")],
    "models": [([], lambda site: "None yet. Run: bellwether train win")],
    "data": [([], lambda site: f"activities {asked(site, 'count(*) from activities'):,}")],
    "users": [([], lambda site: "rep@example.com Salesperson " + site.rep)],
    "people_data": [([], lambda site: "Nobody waits for an answer.")],
    "settings": [([], lambda site: "Currency of all totals; models are trained on amounts in it. EUR")],
    "account": [([], lambda site: "ann@example.com, Administrator")],
    "audit": [([], lambda site: "Who changed what, and who took data out")],
    "known": [([], lambda site: "your user stands for nobody in the CRM's data")],
}  # fmt: skip
ELSEWHERE = {"leads"}  # test_leads_page.py: this company has no scored lead


def modules() -> list[Any]:
    """Modules of pages: those that answer a GET with a page."""
    every = [import_module(f"serving.pages.{found.name}") for found in pkgutil.iter_modules(pages.__path__)]
    routed = [m for m in every if hasattr(m, "router")]
    return [m for m in routed if any("GET" in r.methods and _is_page(r) for r in m.router.routes)]


def _is_page(route: Any) -> bool:
    return "HTMLResponse" in str(route.endpoint.__annotations__.get("return", ""))


def rails() -> dict[str, Rail]:
    return {m.RAIL.key: m.RAIL for m in modules() if hasattr(m, "RAIL")}


@pytest.mark.parametrize("module", modules(), ids=lambda m: m.__name__.rpartition(".")[2])
def test_a_page_names_its_question(module):
    assert "?" in module.__doc__.splitlines()[0]


def test_every_page_of_the_rail_has_an_answer_here():
    assert set(rails()) == set(ANSWERS) | ELSEWHERE


@pytest.mark.parametrize("key", ANSWERS)
def test_the_answer_is_at_most_two_clicks_away(site, key):
    with site.signed_in() as client:
        client.follow_redirects = True
        for links, answer in ANSWERS[key]:
            assert len(links) <= 2
            page = main_of(client.get(rails()[key].address))
            for name in links:
                page = click(client, page, name)
            assert answer(site) in text_of(page), links
