"""A manager's ways through the plan in a real browser: goals, risks, reviews, reports, levers, each from end to end."""

import re
from datetime import UTC, date, datetime

import pytest

from planning.risks import Risk
from serving.home import Home
from serving.risks import Register
from serving.store import Store
from tests.e2e.chain import built
from tests.e2e.test_browser import silent, site

__all__ = ["silent", "site"]
pytestmark = pytest.mark.browser


def amounts(page):
    """Goals of people in the preview: rows that have a weight."""
    read = "rows => rows.map(row => [...row.cells].map(cell => cell.innerText))"
    rows = page.locator("table.goals tbody tr").evaluate_all(read)
    return [int(re.sub(r"[^\d]", "", target)) for _, weight, target, *_ in rows if weight]


@pytest.mark.parametrize("script", [True, False])
def test_a_goal_is_set_split_followed_and_the_split_taken_back(site, script):
    with site.visit(java_script_enabled=script) as context:
        page = context.new_page()
        page.goto("/goals")
        page.get_by_role("link", name="Set a goal").first.click()
        page.get_by_label("What is counted").select_option("activities")
        page.get_by_label("Goal", exact=True).fill("5,000")
        page.get_by_label("Why").fill("agreed in the planning round")
        page.get_by_role("button", name="Set this goal").click()
        page.wait_for_url("**/goals/bw-*")
        assert " of 5,000 reached" in page.locator(".finding").inner_text()
        address = page.url

        page.get_by_role("link", name="Split it over teams and people").click()
        page.get_by_label("Equal shares").first.check()
        page.get_by_role("button", name="Calculate").first.click()
        assert sum(amounts(page)) == 5000
        page.get_by_label("Why").fill("equal shares for a start")
        page.get_by_role("button", name="Make these the goals").click()
        page.wait_for_url("**/goals?done=*")
        done = page.locator("[role=status].done")
        assert "equal shares for a start" in done.inner_text()

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


def test_somebody_leaves_and_the_rest_of_the_quarter_is_split_anew_and_taken_back(site):
    with site.visit() as context:
        page = context.new_page()
        page.goto("/goals/new")
        period = page.locator("select[name=period] option").nth(1).get_attribute("value")  # the next quarter
        start, end = (date.fromisoformat(day) for day in period.split("_"))
        page.get_by_label("What is counted").select_option("won_deals")
        page.locator("select[name=period]").select_option(period)
        page.get_by_label("Goal", exact=True).fill("400")
        page.get_by_label("Why").fill("next quarter")
        page.get_by_role("button", name="Set this goal").click()
        page.wait_for_url("**/goals/bw-*")
        page.get_by_role("link", name="Split it over teams and people").click()
        page.get_by_label("Equal shares").first.check()
        page.get_by_role("button", name="Calculate").first.click()
        read = "rows => rows.map(row => [...row.cells].map(cell => cell.innerText))"
        shares = page.locator("table.goals tbody tr").evaluate_all(read)
        who = next(name for name, weight, *_ in shares if weight).strip()  # somebody who carries a part
        page.get_by_label("Why").fill("equal shares")
        page.get_by_role("button", name="Make these the goals").click()
        page.wait_for_url("**/goals?done=*")

        page.get_by_role("link", name="Somebody comes, goes or moves").click()
        chosen = page.locator("select[name=goal] option", has_text="Won deals").first.get_attribute("value")
        page.locator("select[name=goal]").select_option(chosen)
        page.get_by_text("Somebody whom the data does not have yet").click()
        page.locator("select[name=rep_id]").select_option(label=who)
        page.locator("input[name=day]").fill(str(start + (end - start) / 2))
        page.get_by_role("button", name="Calculate").first.click()
        page.get_by_role("rowheader", name="Open seat").first.wait_for()
        rows = page.locator("table.goals tbody tr").evaluate_all(read)
        person, seat = (next(r for r in rows if (r[0] == "Open seat") is want) for want in (False, True))
        before, after, left = (int(re.sub(r"\D", "", text)) for text in (person[2], person[3], seat[3]))
        assert before == after + left  # what the person no longer carries waits at the seat
        assert 0 < after < before
        page.get_by_label("Why").fill("leaves in the middle of the quarter")
        page.get_by_role("button", name="Make these the goals").click()
        page.wait_for_url("**/goals?done=*")
        assert "leaves in the middle of the quarter" in page.locator("[role=status].done").inner_text()
        page.get_by_role("button", name=re.compile("^Undo: ")).first.click()
        page.wait_for_url("**/goals")


def test_a_risk_is_taken_on_put_back_and_its_contingency_plan_followed(site):
    store = Store(Home(built().home).database_url)
    facts = {"target": 1e6, "p50": 4e5, "p_attain": 0.1, "gone": 0.6}
    missed = Risk("target_missed", "company", "company", 0.9, 6e5, 1e6, None, 1e6, facts)
    Register(store).take([missed], datetime.now(UTC))
    store.close()
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

        page.get_by_role("button", name="Start its contingency plan").click()
        page.wait_for_url("**/risks/plans/*")
        assert page.get_by_role("table").count() >= 1
        page.get_by_role("button", name="Done").first.click()
        assert page.locator("td", has_text="done").count() >= 1
        page.get_by_role("button", name="End this plan").click()
        page.get_by_text("It is over.").wait_for()


def test_a_review_is_planned_held_written_down_and_its_decision_stands_in_the_record(site):
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
        page.goto("/plan/record")
        row = page.locator("tr", has_text="Two more people for the largest team.")
        assert row.count() == 1
        assert "the period still runs" in row.inner_text()


def test_a_report_is_read_and_taken_along_and_levers_are_compared(site):
    with site.visit() as context:
        page = context.new_page()
        page.goto("/plan/reports")
        page.get_by_role("link", name="Funnel").click()
        page.get_by_label("Period").select_option("last-quarter")
        page.get_by_role("button", name="Show").click()
        page.wait_for_url("**/funnel?*period=last-quarter*")
        assert page.locator("section table tbody tr").count() > 0
        taken = context.request.get(page.locator("a[download][href^='/api/']").first.get_attribute("href"))
        assert taken.headers["content-type"].startswith("text/csv")
        assert len(taken.text().splitlines()) > 1

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
