"""A quarterly pack's look ahead: next quarter's goals checked, how even people's goals are, departures rehearsed."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from serving.format import Formats
from serving.goals import FIELDS, By, Goals
from serving.home import Home
from serving.i18n import language
from serving.ledger import Ledger
from serving.reviews.material import Material
from serving.reviews.pack import make_pack
from serving.reviews.wording import sheet_of
from serving.store import Store
from tests.serving.small_site import fill, write_draws, write_scores

NOW, NEXT = (date(2026, 1, 1), date(2026, 4, 1)), (date(2026, 4, 1), date(2026, 7, 1))


def a_goal(owner, target, period, **more):
    kind = {"company": "company", "west": "team"}.get(owner, "rep")
    return {"goal_id": f"{owner}-{period[0].month}", "owner_kind": kind, "owner_id": owner, "metric": "bookings",
            "period_start": period[0], "period_end": period[1], "target": target, **more}  # fmt: skip


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """The small company with goals; every rep is forecast to bring 50, each deal 0 to 1,000 in the draws."""
    home = Home(tmp_path_factory.mktemp("ahead"))
    home.make()
    home.company_file.write_text("people: {level: person}\n", encoding="utf-8")
    goals = [
        a_goal("company", 3300.0, NOW), a_goal("r1", 100.0, NOW), a_goal("r2", 50.0, NOW), a_goal("r3", 40.0, NOW),
        a_goal("company", 7000.0, NEXT), a_goal("west", 5000.0, NEXT),
        a_goal("r1", 100.0, NEXT), a_goal("r2", 100.0, NEXT),
    ]  # fmt: skip
    fill(home, goals=goals)
    write_scores(home)
    write_draws(home)
    store = Store(home.database_url)
    yield Material.at_machine(home, store)
    store.close()


@pytest.fixture(scope="module")
def pack(material):
    return make_pack(material, "quarterly")


def test_next_quarters_goals_stand_with_what_their_check_finds(pack):
    found = {one.goal.owner_id: one for one in pack.ahead.goals}
    assert (pack.ahead.period.start, list(found)) == (date(2026, 4, 1), ["company", "west"])
    assert (found["company"].goal.target, found["company"].now) == (7000, 3300.0)
    # Nothing was ever won here, so nothing says what can be reached.
    said = {(one.letter, one.field) for one in found["company"].off}
    assert ("A", "target") in said


def test_a_teams_pack_has_that_teams_goals_and_people(material):
    ahead = make_pack(material, "quarterly", "west").ahead
    assert [one.goal.goal_id for one in ahead.goals] == ["west-4"]
    assert [f.letter for f in ahead.goals[0].off if f.field == "parent_goal_id"] == ["R"]  # it serves no goal above it
    assert {line.rep_id for line in ahead.even.people} == {"r1", "r2"}


def test_how_even_goals_are_for_this_quarter_and_the_next(pack):
    even = pack.ahead.even
    assert [(one.rep_id, one.expected) for one in even.people] == [("r1", 0.5), ("r2", 1.0), ("r3", 1.25)]
    # Together 150 of 190 = 0.789; mean distance (0.289 + 0.211 + 0.461) / 3 = 0.320; 1 - 0.320 / 0.789 = 0.594.
    assert even.now.value == pytest.approx(0.594444, abs=1e-6)
    assert (even.now.lowest, even.now.highest, even.now.word) == ("r1", "r3", "uneven")
    # Next quarter r1 and r2 have 100 each, and this quarter's forecast of both is 50: wholly even.
    assert [(one.rep_id, one.expected_following) for one in even.people] == [("r1", 0.5), ("r2", 0.5), ("r3", None)]
    assert even.following.value == 1.0


def test_departures_are_rehearsed_on_the_same_draws(pack):
    told = {one.rep_id: one.told for one in pack.ahead.rehearsed}
    assert list(told) == ["r1", "r2", "r3"]  # all are forecast the same; the first by name
    whole = told["r1"]["company"]
    # Six deals of 100k in draw k = 0..10, so 3,000 in the middle; four when r1 and his two deals are gone.
    assert (whole["before"]["p50"], whole["after"]["p50"]) == (3000.0, 2000.0)
    # The goal of 3,300 is reached by 600k from k = 6 on, by 400k from k = 9 on.
    assert (whole["before"]["p_attain"], whole["after"]["p_attain"]) == pytest.approx((5 / 11, 2 / 11))
    assert (told["r1"]["team"]["before"]["p50"], told["r1"]["team"]["after"]["p50"]) == (1500.0, 500.0)
    assert set(pack.ahead.persons) >= {"r1", "r2", "r3"}


def test_sentences_of_the_pack_name_nobody_since_minutes_quote_them(pack, material):
    f = Formats(language("en"), material.company.base_currency, material.company.zone, material.as_of)
    parts = {part.key: part for part in sheet_of(pack, material, f).sections}
    assert parts["fairness"].lines == (
        "This quarter 50% – 125% of the goal is expected, person by person: uneven (0.59).",
        (
            "Next quarter's goals against this quarter's forecasts, since there are none of it yet: 50% – 50%, "
            "fair to all (1.00)."
        ),
    )
    assert parts["rehearsed"].lines[0] == ("What if one person left tomorrow: rehearsed for 3 people, one at a time.")
    row = parts["rehearsed"].tables[0].rows[0]
    assert [cell.text for cell in row[:3]] == ["r1", "Company", "$3,000 ($600 – $5,400)"]
    assert row[2].value == 3000.0


def test_a_goal_set_after_the_scoring_stands_in_the_pack_at_once(material, tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    fields = {**dict.fromkeys(FIELDS), "owner_kind": "team", "owner_id": "east", "metric": "bookings",
              "period_start": NEXT[0], "period_end": NEXT[1], "target": 2000.0}  # fmt: skip
    Goals(store).make(fields, By(None, datetime(2026, 3, 5, tzinfo=UTC), "after the scores of 1 March"))
    fresh = replace(material, ledger=Ledger(store))
    assert [one.goal.target for one in make_pack(fresh, "quarterly", "east").ahead.goals] == [2000]
    store.close()
