"""What each level shows of persons: to the person, to managers, to administrators; small teams are withheld."""

import pandas as pd
import pytest

from crm.company import BadSetting, Company
from features.catalogue import OTHERS, WHO
from serving.access import Viewer, sight_of
from serving.scores import scores_of
from tests.builders import a_deal, a_rep, at, view_of

# North has six people, South five, West two; `lead` leads the whole and has neither goal nor business.
TEAM_OF = {
    **{f"n{i}": "north" for i in range(6)},
    **{f"s{i}": "south" for i in range(5)},
    **{f"w{i}": "west" for i in range(2)},
    "lead": "all",
}
TEAMS = [
    {"team_id": "all", "name": "All", "manager_rep_id": "lead"},
    {"team_id": "north", "name": "North", "parent_team_id": "all", "manager_rep_id": "n0"},
    {"team_id": "south", "name": "South", "parent_team_id": "all"},
    {"team_id": "west", "name": "West", "parent_team_id": "all", "manager_rep_id": "w0"},
]
AS_OF = at("2026-03-01T12:00:00Z")
VIEW = view_of(
    teams=TEAMS,
    reps=[a_rep(rep, team_id=team) for rep, team in TEAM_OF.items()],
    deals=[a_deal(f"d_{rep}", owner_id=rep) for rep in TEAM_OF],
)
REASON = {"value": 1.0, "text": None, "contribution": 0.1, "base_value": 0.2, "prediction": 0.3}


def _figures(**more):
    return {"metric": "bookings", "target": 100.0, "actual_to_date": 10.0, "p90": 90.0, **more}


FRAMES = {
    "reps": pd.DataFrame(
        [_figures(rep_id=rep) for rep in TEAM_OF if rep != "lead"]
        + [_figures(rep_id="lead") | {"target": None, "actual_to_date": 0.0, "p90": 0.0}]
    ),
    "teams": pd.DataFrame([_figures(team_id=team) for team in ("company", "all", "north", "south", "west")]),
    "reasons": pd.DataFrame(
        [{"entity": "rep", "entity_id": rep, "feature": "closed", **REASON} for rep in TEAM_OF]
        + [{"entity": "deal", "entity_id": f"d_{rep}", "feature": WHO.name, **REASON} for rep in TEAM_OF]
    ),
}
ADMIN = Viewer("admin", user_id=1)
LEAD = Viewer("manager", user_id=2, rep_id="lead")
NORTH = Viewer("manager", user_id=3, rep_id="n0")
WEST = Viewer("manager", user_id=4, rep_id="w0")
REP = Viewer("rep", user_id=5, rep_id="s1")
EVERYBODY = set(TEAM_OF)


def seen(level, viewer):
    """Reps and teams with figures, reps with reasons, reps of whose deals it is told what is owed to the owner."""
    company = Company.parse({"people": {"level": level}})
    sight = sight_of(viewer, VIEW, company, day=AS_OF.date())
    frames = scores_of(VIEW, company, FRAMES, {}, as_of=AS_OF).seen_by(sight).frames
    reasons = frames["reasons"]
    assert set(reasons["feature"]) <= {"closed", WHO.name, OTHERS.name}
    owed = reasons.loc[reasons["feature"] == WHO.name, "entity_id"].str.removeprefix("d_")
    return (
        set(frames["reps"]["rep_id"]),
        set(frames["teams"]["team_id"]),
        set(reasons.loc[reasons["entity"] == "rep", "entity_id"]),
        set(owed),
    )


@pytest.mark.parametrize(
    ("viewer", "reps", "teams", "owed"),
    [
        (ADMIN, EVERYBODY, {"company", "all", "north", "south", "west"}, set()),
        (LEAD, EVERYBODY, {"all", "north", "south", "west"}, EVERYBODY),
        (WEST, {"w0", "w1"}, {"west"}, {"w0", "w1"}),
        (REP, {"s1"}, set(), {"s1"}),
    ],
)
def test_level_person_follows_the_team_tree_alone(viewer, reps, teams, owed):
    assert seen("person", viewer) == (reps, teams, reps, owed)


@pytest.mark.parametrize(
    ("viewer", "own", "teams"),
    [
        # West is too small; South, the smallest of the others, hides with it, or West would be what is left over.
        (ADMIN, set(), {"company", "all", "north"}),
        (LEAD, {"lead"}, {"all", "north"}),
        (NORTH, {"n0"}, {"north"}),  # five others beside the reader
        (WEST, {"w0"}, set()),
        (REP, {"s1"}, set()),
    ],
)
def test_level_team_shows_each_person_only_the_own_figures(viewer, own, teams):
    assert seen("team", viewer) == (own, teams, own, own)


@pytest.mark.parametrize("viewer", [ADMIN, LEAD, NORTH, WEST, REP])
def test_level_off_shows_nothing_on_persons_to_anybody(viewer):
    reps, teams, reasons, owed = seen("off", viewer)
    assert (reps, reasons, owed) == (set(), set(), set())
    assert teams == seen("team", viewer)[1]


def test_the_smallest_group_is_the_companys_to_choose():
    company = Company.parse({"people": {"min_group": 2}})
    sight = sight_of(ADMIN, VIEW, company, day=AS_OF.date())
    shown = scores_of(VIEW, company, FRAMES, {}, as_of=AS_OF).seen_by(sight).frames["teams"]
    assert set(shown["team_id"]) == {"company", "all", "north", "south", "west"}


def test_a_new_company_starts_at_team_and_a_misspelt_key_is_told_the_nearest():
    assert Company().people.level == "team"
    with pytest.raises(BadSetting, match=r"people\.min_grup is not a known key\. Did you mean min_group\?"):
        Company.parse({"people": {"min_grup": 3}})


@pytest.mark.parametrize(("level", "reps", "teams"), [("person", 14, 5), ("team", 0, 3), ("off", 0, 3)])
def test_the_command_line_and_files_that_it_writes_hold_only_what_may_be_shown(level, reps, teams):
    """Thirteen reps and their lead; below level person the company, All and North are left of five teams."""
    people = Company.parse({"people": {"level": level}}).people
    frames = scores_of(VIEW, Company(), FRAMES, {}, as_of=AS_OF).seen_at_machine(people).frames
    assert (len(frames["reps"]), len(frames["teams"])) == (reps, teams)
    assert (frames["reasons"]["entity"] == "rep").sum() == reps
