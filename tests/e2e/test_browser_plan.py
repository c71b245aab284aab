"""A manager's way through the plan in a real browser: sets a goal, splits it, sees its pace, takes the split back."""

import re

import pytest

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
