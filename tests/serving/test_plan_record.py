"""Is the plan working: every figure of page, API and command line worked out by hand."""

import re
from datetime import UTC, date, datetime

import pytest
from typer.testing import CliRunner

from serving.app import create_app
from serving.cli import app as command
from serving.goals import FIELDS, By, Goals
from serving.home import Home
from serving.ledger import Ledger
from serving.reviews.meetings import Meetings
from serving.settings import Settings
from serving.store import Store
from serving.tokens import make_token
from serving.users import add_user, read_user
from tests.builders import a_deal
from tests.serving.asked import ask
from tests.serving.small_site import fill, score_frames, write_scores

LAST = {"metric": "bookings", "period_start": date(2025, 10, 1), "period_end": date(2026, 1, 1)}


def when(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def closed(deal_id, day, amount, owner, outcome="won", **more):
    return a_deal(deal_id, outcome=outcome, amount=amount, owner_id=owner, created_at="2025-07-10T09:00:00Z",
                  closed_at=f"{day}T10:00:00Z", kind="new", **more)  # fmt: skip


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    """October to December: 400 of r1 (west) and 200 of r3 (east) won, one lost to Rex; 100 of r1 the quarter before."""
    home = Home(tmp_path_factory.mktemp("record"))
    home.make()
    home.company_file.write_text("people: {level: person}\n", encoding="utf-8")
    deals = [
        closed("w0", "2025-08-15", "100", "r1"), closed("w1", "2025-11-10", "400", "r1"),
        closed("w2", "2025-12-05", "200", "r3"), closed("l1", "2025-12-06", "900", "r3", "lost", competitor="Rex"),
        a_deal("d1", kind="new"),
    ]  # fmt: skip
    goals = [
        {"goal_id": "all", "owner_kind": "company", "owner_id": "company", "target": 800.0, **LAST},
        {"goal_id": "west", "owner_kind": "team", "owner_id": "west", "target": 320.0, **LAST},
    ]
    fill(home, deals=deals, goals=goals)
    write_scores(home)
    store = Store(home.database_url)
    _history(store)
    tokens = {}
    for name, role, rep in (("boss", "admin", None), ("m1", "manager", "m1")):
        user = read_user(store, add_user(store, f"{name}@example.com", None, role, rep_id=rep))
        tokens[name] = make_token(store, user, "t", ["read"], days=1)[1]
    store.close()
    app = create_app(Settings(home=home.root))

    def asked(who, path, **headers):
        given = {"authorization": f"Bearer {tokens[who]}", "accept": "application/json", **headers}
        answer = ask(app, path, method="GET", headers=given)
        assert answer.status_code == 200, answer.text
        return answer

    asked.home = home
    return asked


def _history(store):
    """A goal of 3 won deals set on 5 October, raised to 4 on 1 November; forecasts on 20 October and 10 November."""
    goals, fields = (
        Goals(store),
        {**dict.fromkeys(FIELDS), **LAST, "metric": "won_deals", "owner_kind": "company", "owner_id": "company"},
    )
    made = goals.make({**fields, "target": 3.0}, By(None, when("2025-10-05T09:00"), "first plan of the quarter"))
    goals.change(f"bw-{made.goal_number}", {"target": 4.0}, By(None, when("2025-11-01T09:00"), "two more people"))
    ledger, frame = Ledger(store), score_frames()["teams"]
    frame = frame[frame["team_id"] == "company"].assign(
        metric="won_deals", period_start=LAST["period_start"], period_end=LAST["period_end"], p10=1.0, p90=5.0
    )
    for day, middle in (("2025-10-20T12:00", 2.0), ("2025-11-10T12:00", 3.0)):
        ledger.add("issued", "team", frame.assign(p50=middle), as_of=when(day), model_version="1", data_cut=1)
    meetings, at = Meetings(store), when("2025-12-01T09:00")
    series = meetings.plan("monthly", "company", weekday=1, begins="09:00", invited=[], user_id=None, at=at)
    review = meetings.start(series.series_id, day=date(2025, 12, 1), since=date(2025, 11, 1), as_of=at, data_cut=1,
                            forecast={}, user_id=None, at=at)  # fmt: skip
    rows = (("Push product P1", 9, "2025-10-01", "2026-01-01"), ("Hire", 10, "2026-01-01", "2026-04-01"))
    for text, hour, start, end in rows:
        said = {"metric": "bookings", "p10": 450.0, "p50": 500.0, "p90": 700.0, "period_start": start,
                "period_end": end}  # fmt: skip
        meetings.decide(review.review_id, "goals", text, forecast=said, user_id=None,
                        at=at.replace(hour=hour))  # fmt: skip


def test_the_api_has_results_and_what_came_of_each_change(company):
    told = company("boss", "/api/v1/plan/record").json()
    assert (told["period"], told["period_start"]) == ("FY2025-Q4", "2025-10-01")
    results = {(r["owner_id"], r["metric"]): (r["target"], r["result"], r["before"]) for r in told["results"]
               if r["part"] == "goal"}  # fmt: skip
    assert results == {
        ("company", "bookings"): (800.0, 600.0, 100.0),
        ("west", "bookings"): (320.0, 400.0, 100.0),
        ("company", "won_deals"): (4.0, 2.0, 1.0),
    }
    changes = {(c["text"], c["target_after"]): c for c in told["changes"]}
    assert list(changes) == [("Hire", None), ("Push product P1", None), ("two more people", 4.0),
                             ("first plan of the quarter", 3.0)]  # newest first  # fmt: skip
    figures = {text: (c["p50"], c["over"], c["result"]) for (text, _), c in changes.items()}
    assert figures == {
        "Hire": (500.0, False, None),  # January to March still runs on 1 March
        "Push product P1": (500.0, True, 600.0),
        "two more people": (2.0, True, 2.0),  # the forecast of 20 October, not that of the 10 November after it
        "first plan of the quarter": (None, True, 2.0),
    }
    assert changes["two more people", 4.0]["target_before"] == 3.0
    assert told["competitors"] == [{"name": "Rex", "won": 0, "lost": 1}, {"name": "", "won": 2, "lost": 0}]


def test_the_page_says_the_same_figures(company):
    text = company("boss", "/plan/record", accept="text/html").text
    plain = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text.split("<main")[1]))
    # 600 of 800 is 75 %; of the three goals west's alone was reached: 400 of 320.
    assert "The company came to 75% of its goal. 1 of 3 goals of the last quarter were reached." in plain
    assert "West · Bookings $320 $400 125% $100" in plain
    assert "Won deals: goal 3 → 4 · two more people Nov 1, 2025 Company 2 (1–5) 2" in plain
    assert "Push product P1 Dec 1, 2025 Monthly review, whole company $500 ($450–$700) $600" in plain
    assert "Hire Dec 1, 2025 Monthly review, whole company $500 ($450–$700) the period still runs" in plain


def test_who_leads_a_team_sees_that_teams_figures_alone(company):
    told = company("m1", "/api/v1/plan/record").json()
    assert [(r["owner_id"], r["result"]) for r in told["results"] if r["part"] == "goal"] == [("west", 400.0)]
    assert all(r["part"] == "goal" for r in told["results"])
    assert (told["changes"], told["competitors"], told["surveys"]) == ([], [], [])


def test_the_verb_prints_them(company):
    said = CliRunner().invoke(command, ["plan", "record", "--home", str(company.home.root)])
    assert said.exit_code == 0, said.output
    assert re.search(r"goal\s+company\s+bookings\s+800\s+600\s+75%\s+100", said.output)
    assert "2025-11-01 goal company: 3.00 -> 4.00, two more people; forecast before 2 (1 to 5); came to 2.00" in (
        said.output
    )
