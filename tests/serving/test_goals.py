"""Goals set here: changes kept, copied to the lake, and which goal holds at which moment."""

import shutil
from datetime import UTC, date, datetime

import pandas as pd
import pytest

from crm.company import Company
from crm.lake import Lake, TableView, newest_event
from models.rollup import targets
from planning.goals import goals_of
from serving.goals import By, GoalMoved, Goals, GoalThere, NoSuchGoal, WithGoals, copy_to_lake
from serving.home import Home
from serving.scoring import score_all
from serving.store import Store
from tests.builders import a_deal, table_of

COMPANY = Company()
WEST = {
    "owner_kind": "team", "owner_id": "west", "metric": "bookings", "product_id": None, "product_family": None,
    "segment": None, "period_start": date(2026, 1, 1), "period_end": date(2026, 4, 1), "target": 900.0,
    "currency": None, "parent_goal_id": None,
}  # fmt: skip
CRM_GOAL = {k: v for k, v in WEST.items() if v is not None} | {"goal_id": "g1", "target": 700.0}


def moment(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 2, day, hour, tzinfo=UTC)


def by(day: int, why: str = "agreed") -> By:
    return By(None, moment(day), why)


@pytest.fixture
def goals(store):
    return Goals(store)


def held(view, day: int) -> dict[str, float]:
    """Target by goal as planning and forecasts see it at the end of a day; both must say the same."""
    at = pd.Timestamp(moment(day, 12)).as_unit("us")
    planned = {g.goal_id: float(g.target) for g in goals_of(view, COMPANY, at.to_pydatetime())}
    assert sorted(targets(view, COMPANY, at, at.date())["target"]) == sorted(planned.values())
    return planned


def test_every_change_is_kept_with_who_when_and_why(goals):
    made = goals.make(WEST, by(1, "board of January"))
    goals.change("bw-1", {"target": 950.0}, by(2, "two new people"))
    goals.end("bw-1", by(3, "team dissolved"))
    told = [(c.version, c.what, c.why, c.at) for c in goals.history("bw-1")]
    assert told == [
        (1, "made", "board of January", moment(1)),
        (2, "changed", "two new people", moment(2)),
        (3, "ended", "team dissolved", moment(3)),
    ]
    before, after = goals.history("bw-1")[1].before, goals.history("bw-1")[1].after
    assert (before["target"], after["target"]) == (900.0, 950.0)
    assert made.version == 1
    assert goals.read("bw-1").ended_at == moment(3)


def test_a_change_that_changes_nothing_leaves_no_trace(goals):
    goals.make(WEST, by(1))
    goals.change("bw-1", {"target": 900.0}, by(2))
    assert [c.what for c in goals.history("bw-1")] == ["made"]


def test_a_change_thought_for_another_version_is_refused(goals):
    goals.make(WEST, by(1))
    goals.change("bw-1", {"target": 950.0}, by(2), version=1)
    with pytest.raises(GoalMoved, match="version 2"):
        goals.change("bw-1", {"target": 999.0}, by(2), version=1)


@pytest.mark.parametrize("name", ["bw-2", "bw-", "bw-x", "g1", "bw-99999999999999999999", "bw-１"])
def test_a_goal_that_was_not_set_here_cannot_be_changed(goals, name):
    goals.make(WEST, by(1))
    with pytest.raises(NoSuchGoal):
        goals.change(name, {"target": 1.0}, by(2))


def test_one_goal_for_one_owner_metric_and_period(goals):
    goals.make(WEST, by(1))
    with pytest.raises(GoalThere, match="bw-1"):
        goals.make(WEST | {"target": 1.0}, by(2))
    goals.make(WEST | {"owner_id": "east"}, by(2))
    with pytest.raises(GoalThere, match="bw-1"):
        goals.change("bw-2", {"owner_id": "west"}, by(3))
    goals.end("bw-1", by(4))
    assert goals.make(WEST, by(5)).goal_number == 3


def test_the_lake_keeps_what_held_at_each_moment(goals, store, tmp_path):
    lake = Lake(tmp_path / "lake")
    lake.merge({"deals": table_of("deals", [a_deal()])}, source="test")
    goals.make(WEST, by(2))
    goals.change("bw-1", {"target": 950.0}, by(4))
    assert copy_to_lake(store, lake) == 2
    goals.change("bw-1", {"period_end": date(2026, 3, 1)}, by(6))
    goals.end("bw-1", by(8))
    copy_to_lake(store, lake)
    assert copy_to_lake(store, lake) == 0
    view = lake.view()
    wanted = {1: {}, 3: {"bw-1": 900.0}, 5: {"bw-1": 950.0}, 7: {"bw-1": 950.0}, 9: {}}
    assert {day: held(view, day) for day in wanted} == wanted
    (moved,) = goals_of(view, COMPANY, moment(7))
    assert moved.end == date(2026, 3, 1)


def test_what_dies_between_lake_and_store_is_copied_again_to_the_same_rows(goals, store, tmp_path, monkeypatch):
    lake = Lake(tmp_path / "lake")
    goals.make(WEST, by(2))
    with monkeypatch.context() as patch:
        patch.setattr("serving.goals.delete", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            copy_to_lake(store, lake)
    assert copy_to_lake(store, lake) == 1
    assert lake.view().arrow("goals")["goal_id"].to_pylist() == ["bw-1.1"]


def test_what_is_not_copied_yet_is_seen_too_and_only_once(goals, store, tmp_path):
    lake = Lake(tmp_path / "lake")
    lake.merge({"goals": table_of("goals", [CRM_GOAL])}, source="test")
    goals.make(WEST | {"owner_id": "east"}, by(2))
    before = held(WithGoals(lake.view(), store), 3)
    copy_to_lake(store, lake)
    assert before == held(WithGoals(lake.view(), store), 3) == {"g1": 700.0, "bw-1": 900.0}


def test_a_goal_taken_over_hides_that_of_the_crm_from_then_on_whatever_the_crm_says_later(goals, store):
    rows = [
        CRM_GOAL | {"recorded_at": moment(1)},
        CRM_GOAL | {"goal_id": "g2", "target": 999.0, "recorded_at": moment(6)},
    ]
    below = CRM_GOAL | {"goal_id": "g3", "owner_kind": "rep", "owner_id": "r1", "parent_goal_id": "g1"}
    goals.make(WEST, by(4), hides="g1")
    view = WithGoals(TableView({"goals": table_of("goals", [*rows, below])}), store)
    assert held(view, 3) == {"g1": 700.0, "g3": 700.0}
    assert held(view, 5) == {"bw-1": 900.0, "g3": 700.0}
    assert held(view, 7) == {"bw-1": 900.0, "g3": 700.0}
    parents = {g.goal_id: g.parent_goal_id for g in goals_of(view, COMPANY, moment(5))}
    assert parents == {"bw-1": None, "g3": "bw-1"}
    assert [c.what for c in goals.history("bw-1")] == ["taken over"]


def test_many_are_set_together_or_not_at_all(goals):
    goals.make(WEST, by(1))
    goals.set_all([(WEST | {"target": 950.0}, None, None), (WEST | {"owner_id": "east"}, None, None)], by(2))
    assert {g.owner_id: g.target for g in goals.all()} == {"west": 950.0, "east": 900.0}
    with pytest.raises(Exception, match=r"NOT NULL|null value"):
        goals.set_all(
            [(WEST | {"target": 1.0}, None, None), (WEST | {"owner_id": "mid", "metric": None}, None, None)], by(3)
        )
    assert {g.owner_id: g.target for g in goals.all()} == {"west": 950.0, "east": 900.0}


def test_scoring_brings_goals_to_the_lake_first(live_home, tmp_path):
    home = Home(tmp_path / "copy")
    shutil.copytree(live_home.root, home.root)
    store = Store(home.database_url)
    at = newest_event(home.lake.view())
    start = home.company().period_of(at.date())
    fields = {"owner_kind": "company", "owner_id": "company", "period_start": start.start, "period_end": start.end}
    Goals(store).make(WEST | fields | {"metric": "won_deals", "target": 17.0}, By(None, at, "test"))
    score_all(home, store=store)
    rows = home.lake.view().arrow("goals").to_pandas()
    assert rows.loc[rows["goal_id"] == "bw-1.1", "target"].tolist() == [17.0]
    assert copy_to_lake(store, home.lake) == 0
    store.close()
