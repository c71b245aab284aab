"""A goal split anew mid-period by API and page: seen, kept, settled, taken back; and who may."""

import re
from html import unescape

import pytest

from tests.builders import a_rep, table_of
from tests.serving.asked import ask
from tests.serving.test_goals_api import Company

QUARTER = {"metric": "bookings", "period_start": "2026-01-01", "period_end": "2026-04-01"}
# 1 January to 31 March 2026 has 22 + 20 + 22 = 64 working days; before 16 February there are 32.
LEFT = "2026-02-16"


@pytest.fixture
def company(tmp_path):
    made = Company(tmp_path / "home")
    west = made.made(who="head", **QUARTER, owner_id="west", target=300_000)
    for rep, target in (("r1", 200_000), ("r2", 100_000)):
        made.made(who="head", **QUARTER, owner_kind="rep", owner_id=rep, target=target, parent_goal_id=west["goal_id"])
    made.west = west["goal_id"]
    reps = [a_rep("r2", team_id="west", left_on=LEFT)]
    made.app.state.server.home.lake.merge({"reps": table_of("reps", reps)}, source="test")
    yield made
    made.app.state.server.store.close()


def targets(company):
    rows = company.ask("head", "GET", params={"running_on": "2026-03-01"}).json()["goals"]
    return {g["owner_id"]: g["target"] for g in rows if g["period_end"] == "2026-04-01"}


def resplit(company, who="head", **given):
    return company.ask(who, "POST", "/resplit", json={"goal_id": company.west} | given)


def test_a_leaver_s_rest_is_seen_then_kept_then_settled_then_taken_back(company):
    seen = resplit(company, vacancy="redistribute").json()
    assert [s["key"] for s in seen["staff"]] == [f"leaves r2 {LEFT}"]
    # 32 of 64 days: r2 keeps 50,000 and r1, the only other one who carries a goal, takes the rest.
    assert {r["owner_id"]: r["after"] for r in seen["rows"]} == {"r1": 250_000, "r2": 50_000}
    assert (seen["goals"], seen["batch"]) == ([], None)
    assert targets(company) == {"west": 300_000, "r1": 200_000, "r2": 100_000}
    kept = resplit(company, vacancy="redistribute", apply=True, why="r2 left us").json()
    assert targets(company) == {"west": 300_000, "r1": 250_000, "r2": 50_000}
    again = resplit(company, vacancy="redistribute").json()
    assert ([s["done"] for s in again["staff"]], again["rows"]) == ([True], [])
    none = resplit(company, apply=True, why="once more")
    assert (none.status_code, "nothing changes" in none.json()["detail"]) == (400, True)
    company.ask("head", "POST", "/undo", json={"batch": kept["batch"], "why": "r2 stays after all"})
    assert targets(company) == {"west": 300_000, "r1": 200_000, "r2": 100_000}
    assert resplit(company).json()["staff"][0]["done"] is False


def test_the_open_seat_is_kept_with_the_team_and_a_newcomer_takes_from_it(company):
    resplit(company, apply=True, why="r2 left us")
    assert targets(company) == {"west": 300_000, "r1": 200_000, "r2": 50_000}
    # On 2 March 20 + 2 of the seat's 32 days are left: from 16 February 10 days, then 22. Somebody of East comes then.
    come = {"what": "moves", "rep_id": "r3", "day": "2026-03-02", "to_team": "west"}
    rows = {r["owner_id"]: r for r in resplit(company, more=[come]).json()["rows"]}
    # 50,000 over 10 and 22 days: 15.6 and 34.4, in thousands 16 and 34; r3 is a full one.
    assert {k: r["after"] for k, r in rows.items()} == {"r3": 34_000, "seat:west": 16_000}
    assert rows["r3"]["parts"] == [{"team_id": "west", "start": "2026-03-02", "end": "2026-04-01", "target": 34_000}]


def test_who_may_and_what_is_refused(company):
    assert resplit(company, "r1").status_code == 404
    assert resplit(company, "analyst", apply=True, why="may I").status_code == 403
    assert "why:" in resplit(company, apply=True).json()["detail"]
    bad = resplit(company, more=[{"what": "leaves", "rep_id": "nobody", "day": "2026-02-01"}])
    assert (bad.status_code, "there is nobody 'nobody'" in bad.json()["detail"]) == (400, True)


def test_the_page_shows_who_left_and_keeps_the_split(company):
    def page(method="GET", path="", **data):
        headers = {"authorization": f"Bearer {company.tokens['head']}", "accept": "text/html"}
        return ask(company.app, f"/goals/resplit{path}", method=method, headers=headers, data=data or None)

    def text(answer):
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())

    first = text(page(path=f"?goal={company.west}"))
    assert "Goals of 1 people" not in first
    assert "The goal of 1 person changes; each team's sum stays as it is." in first
    assert "leaves West: not there from Feb 16, 2026" in first
    assert "Open seat" in first
    out = page("POST", goal=company.west, listed=f"leaves r2 {LEFT}", vacancy="team")
    assert "no number changes" in text(out) or "Nobody" in text(out)
    late = page("POST", "/apply", goal=company.west, listed=f"leaves r2 {LEFT}", take=f"leaves r2 {LEFT}", why="")
    assert (late.status_code, "why: give the reason" in text(late)) == (400, True)
    kept = page("POST", "/apply", goal=company.west, listed=f"leaves r2 {LEFT}", take=f"leaves r2 {LEFT}", why="gone")
    assert kept.status_code == 303
    assert kept.headers["location"].startswith("/goals?done=")
    assert targets(company)["r2"] == 50_000
