"""A manager's ways through the plan in a real browser, part by part, each from its first page to its end."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

import pandas as pd
import pytest
from playwright.sync_api import BrowserContext, Page

from planning.risks import Risk
from serving.home import Home
from serving.risks import Register
from serving.store import Store
from tests.e2e.chain import built
from tests.e2e.visiting import Visited, a_copy, browsing, newest_scores, signed_in

pytestmark = pytest.mark.browser
CELLS = "rows => rows.map(row => [...row.cells].map(cell => cell.innerText))"


@dataclass
class Site(Visited):
    """A served home of its own and the session of its administrator."""

    home: Home
    session: dict[str, str]

    def visit(self, **wanted: object) -> BrowserContext:
        return self.window(self.session, **wanted)

    def found(self, risk: Risk) -> None:
        """Have the register take in what the rules would find, were the company so."""
        store = Store(self.home.database_url)
        Register(store).take([risk], datetime.now(UTC))
        store.close()


@pytest.fixture(scope="module")
def site(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    chain = a_copy(built(), tmp_path_factory.mktemp("plan"))
    home = Home(chain.home)
    store = Store(home.database_url)
    session = signed_in(store, "admin")
    store.close()
    with browsing(chain, chromium) as (address, browser):
        yield Site(address, browser, home, session)


@pytest.fixture(autouse=True)
def silent(site: Site) -> Iterator[None]:
    site.complaints.clear()
    yield
    assert site.complaints == []


def set_goal(page: Page, metric: str, target: str, why: str, *, period: str | None = None) -> None:
    """Set a goal of the company by its form."""
    page.get_by_label("What is counted").select_option(metric)
    if period:
        page.locator("select[name=period]").select_option(period)
    page.get_by_label("Goal", exact=True).fill(target)
    page.get_by_label("Why").fill(why)
    page.get_by_role("button", name="Set this goal").click()
    page.wait_for_url("**/goals/bw-*")


def split_equally(page: Page, why: str) -> list[list[str]]:
    """Split the goal of the page in equal shares and keep it: the rows of the people in the preview."""
    page.get_by_role("link", name="Split it over teams and people").click()
    page.get_by_label("Equal shares").first.check()
    page.get_by_role("button", name="Calculate").first.click()
    rows = page.locator("table.goals tbody tr").evaluate_all(CELLS)
    page.get_by_label("Why").fill(why)
    page.get_by_role("button", name="Make these the goals").click()
    page.wait_for_url("**/goals?done=*")
    return [row for row in rows if row[1]]  # teams have no weight of their own


def whole(text: str) -> int:
    return int(re.sub(r"\D", "", text))


@pytest.mark.parametrize("script", [True, pytest.param(False, marks=pytest.mark.every_page)])
def test_goals_a_goal_is_set_split_followed_and_the_split_taken_back(site, script):
    with site.visit(java_script_enabled=script) as context:
        page = context.new_page()
        page.goto("/goals")
        page.get_by_role("link", name="Set a goal").first.click()
        set_goal(page, "activities", "5,000", "agreed in the planning round")
        assert " of 5,000 reached" in page.locator(".finding").inner_text()
        address = page.url

        people = split_equally(page, "equal shares for a start")
        assert sum(whole(target) for _, _, target, *_ in people) == 5000
        assert "equal shares for a start" in page.locator("[role=status].done").inner_text()

        page.goto(f"/plan?goal={address.rsplit('/', 1)[1]}")
        assert "reached; " in page.locator(".finding").inner_text()
        assert page.locator("table tbody tr").count() > 1

        page.goto("/goals")
        page.get_by_role("button", name=re.compile("^Undo: .*goals set")).first.click()
        page.wait_for_url("**/goals")
        page.goto("/goals?metric=activities")
        assert page.locator("table tbody tr").count() == 1  # the goal alone is left

        page.goto(address)
        page.get_by_role("button", name=re.compile("^Undo")).first.click()
        page.wait_for_url(address)
        assert page.locator(".finding").inner_text() == "This goal was ended."


@pytest.mark.every_page
def test_resplit_somebody_leaves_and_the_rest_of_the_quarter_is_split_anew_and_taken_back(site):
    with site.visit() as context:
        page = context.new_page()
        page.goto("/goals/new")
        period = page.locator("select[name=period] option").nth(1).get_attribute("value")  # the next quarter
        start, end = (date.fromisoformat(day) for day in period.split("_"))
        set_goal(page, "won_deals", "400", "next quarter", period=period)
        who = split_equally(page, "equal shares")[0][0].strip()

        page.get_by_role("link", name="Somebody comes, goes or moves").click()
        chosen = page.locator("select[name=goal] option", has_text="Won deals").first.get_attribute("value")
        page.locator("select[name=goal]").select_option(chosen)
        page.get_by_text("Somebody whom the data does not have yet").click()
        page.locator("select[name=rep_id]").select_option(label=who)
        page.locator("input[name=day]").fill(str(start + (end - start) / 2))
        page.get_by_role("button", name="Calculate").first.click()
        page.get_by_role("rowheader", name="Open seat").first.wait_for()
        rows = page.locator("table.goals tbody tr").evaluate_all(CELLS)
        person, seat = (next(r for r in rows if (r[0] == "Open seat") is want) for want in (False, True))
        before, after, left = (whole(text) for text in (person[2], person[3], seat[3]))
        assert before == after + left  # what the person no longer carries waits at the seat
        assert 0 < after < before
        page.get_by_label("Why").fill("leaves in the middle of the quarter")
        page.get_by_role("button", name="Make these the goals").click()
        page.wait_for_url("**/goals?done=*")
        assert "leaves in the middle of the quarter" in page.locator("[role=status].done").inner_text()
        page.get_by_role("button", name=re.compile("^Undo: ")).first.click()
        page.wait_for_url("**/goals")


def test_reports_a_report_is_narrowed_read_and_taken_along(site):
    with site.visit() as context:
        page = context.new_page()
        page.goto("/plan/reports")
        page.get_by_role("link", name="Funnel").click()
        page.get_by_label("Period").select_option("last-quarter")
        page.get_by_role("button", name="Show").click()
        page.wait_for_url("**/funnel?*period=last-quarter*")
        shown = page.locator("section table").first.locator("tbody tr").evaluate_all(CELLS)
        assert shown
        taken = context.request.get(page.locator("a[download][href^='/api/']").first.get_attribute("href"))
        assert taken.headers["content-type"].startswith("text/csv")
        assert len(taken.text().splitlines()) == 1 + len(shown)
        book = context.request.get(page.get_by_role("link", name="All tables as Excel").get_attribute("href"))
        assert book.body()[:2] == b"PK"  # a workbook is a zip file


def test_reviews_a_review_is_planned_held_and_written_down(site):
    with site.visit() as context:
        page = context.new_page()
        page.goto("/reviews")
        page.get_by_label("How often").select_option("monthly")
        page.get_by_role("button", name="Plan", exact=True).click()
        page.get_by_role("button", name=re.compile("^Start Monthly review")).first.click()
        page.wait_for_url(re.compile(r"/reviews/\d+$"))
        agenda = page.get_by_role("navigation", name="Agenda").inner_text()
        assert all(part in agenda for part in ("Risks", "Funnel", "Plan against reality, and levers"))
        part = page.locator("#part-goals")
        part.get_by_text("Decide", exact=True).click()
        part.get_by_label("Decision").fill("Two more people for the largest team.")
        part.get_by_role("button", name="Keep").click()
        page.get_by_text("Two more people for the largest team.").wait_for()
        part = page.locator("#part-deals")
        part.get_by_text("Decide", exact=True).click()
        part.get_by_label("Action").fill("Ask for the budget")
        part.get_by_role("button", name="Add").click()
        page.locator("#actions").get_by_text("Ask for the budget").wait_for()
        page.get_by_role("button", name="Write the minutes").click()
        said = page.locator("pre.minutes")
        said.wait_for()
        assert "Two more people for the largest team." in said.inner_text()
        assert "Ask for the budget" in said.inner_text()


def test_adjusting_levers_are_compared_and_one_is_tried(site):
    with site.visit() as context:
        page = context.new_page()
        page.goto("/plan/scenarios")
        page.get_by_role("link", name="Compare levers").click()
        page.wait_for_url("**compare=1")
        page.locator("summary", has_text="Hire").click()
        hire = page.locator("form", has=page.locator("input[value=hire]"))
        hire.get_by_label("People").fill("0")
        hire.get_by_role("button", name="Try").click()
        assert page.locator("#try [role=status]").inner_text() == "No change."
        hire.get_by_label("People").fill("2")
        hire.get_by_role("button", name="Try").click()
        page.locator("#try table tbody tr").first.wait_for()
        assert "assumption" in page.locator("#try [role=status]").inner_text()
        page.locator("summary", has_text="Split goals anew").click()
        page.locator("form", has=page.locator("input[value=resplit]")).get_by_role("button", name="Try").click()
        page.get_by_text("goals move, no draw does").wait_for()


def test_risks_a_risk_is_taken_on_with_a_note_and_put_back(site):
    facts = {"target": 1e6, "p50": 4e5, "p_attain": 0.1, "gone": 0.6}
    site.found(Risk("target_missed", "company", "company", 0.9, 6e5, 1e6, None, 1e6, facts))
    with site.visit() as context:
        page = context.new_page()
        page.goto("/risks")
        assert "open risk" in page.locator(".finding").inner_text()
        page.locator("section[aria-labelledby=open] tr", has_text="with a chance of 10%").get_by_role("link").click()
        page.wait_for_url("**/risks/*")
        page.get_by_label("State").select_option("mitigating")
        page.get_by_label("Note").fill("The owner calls on Monday.")
        page.get_by_role("button", name="Save").click()
        page.wait_for_url("**changed=1*")
        assert "The owner calls on Monday." in page.locator("main dl.facts").first.inner_text()
        page.get_by_role("button", name="Undo the last change").click()
        page.get_by_text("Taken back").wait_for()
        assert "The owner calls on Monday." not in page.locator("main dl.facts").first.inner_text()


def test_contingency_who_leaves_is_rehearsed_and_the_plan_followed_to_its_end(site):
    scores = newest_scores(site.home)
    owners = site.home.lake.view().arrow("deals").to_pandas().set_index("deal_id")["owner_id"]
    rep = str(pd.read_parquet(scores / "deals.parquet")["deal_id"].map(owners).value_counts().index[0])
    facts = {"day": "2026-12-31", "why": "leaves", "deals": 3, "amount": 1e5}
    site.found(Risk("person_leaving", "rep", rep, 1.0, 1e5, 1e5, None, 1e6, facts))
    with site.visit() as context:
        page = context.new_page()
        page.goto("/risks")
        page.locator("section[aria-labelledby=open] tr", has_text="leaves on").get_by_role("link").first.click()
        page.wait_for_url("**/risks/*")
        page.get_by_role("button", name="Start its contingency plan").click()
        page.wait_for_url("**/risks/plans/*")
        address = page.url
        assert "open deals of" in page.locator(".finding").inner_text()
        page.get_by_role("link", name="Rehearse").click()
        page.wait_for_url("**/risks/rehearsals/*")
        assert page.locator(".finding").inner_text().startswith("If ")
        assert page.locator("table tbody tr").count() >= 1
        page.goto(address)
        page.get_by_role("button", name="Done").first.click()
        page.locator("td", has_text="done").first.wait_for()
        page.get_by_role("button", name="End this plan").click()
        page.get_by_text("It is over.").wait_for()


def test_record_a_change_of_a_goal_stands_there_with_its_reason(site):
    with site.visit() as context:
        page = context.new_page()
        page.goto("/goals/new")
        set_goal(page, "new_accounts", "77", "more customers wanted")
        page.goto("/plan")
        page.get_by_role("link", name="Is the plan working?").first.click()
        page.wait_for_url("**/plan/record")
        row = page.locator("tr", has_text="more customers wanted").first
        assert "goal set at 77" in row.inner_text()
        assert "the period still runs" in row.inner_text()
        assert page.locator("section.card table").first.locator("tbody tr").count() >= 1
