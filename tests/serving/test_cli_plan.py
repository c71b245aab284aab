"""The verbs of the plan on a home: tables, files, and a sentence on trouble."""

import json
import shutil

import pandas as pd
import pytest
from typer.testing import CliRunner

from crm.errors import BadInput
from crm.lake import Lake
from planning.capacity import NoSuchMethod
from planning.cascade import PinsDoNotFit
from planning.splitting import NoGoal, NotInSplit
from serving.cli import app
from tests.builders import a_deal, a_rep, table_of

QUARTER = {"metric": "bookings", "period_start": "2026-04-01", "period_end": "2026-07-01"}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Two people of one team with goals for Q2 2026: 30,000 and 20,000 of 50,000; r1 has won 8,000, r2 nothing."""
    root = tmp_path_factory.mktemp("plan")
    goals = [
        {"goal_id": "top", "owner_kind": "company", "owner_id": "company", "target": 50_000.0, **QUARTER},
        *({"goal_id": f"g{rep}", "owner_kind": "rep", "owner_id": rep, "target": target, "parent_goal_id": "top",
           **QUARTER} for rep, target in (("r1", 30_000.0), ("r2", 20_000.0))),
    ]  # fmt: skip
    deals = [
        a_deal("d1", outcome="won", amount="8000", created_at="2026-03-02", closed_at="2026-04-20T10:00:00Z"),
        a_deal("d2", outcome="lost", owner_id="r2", created_at="2026-03-02", closed_at="2026-04-30T10:00:00Z"),
    ]
    rows = {
        "reps": [
            a_rep("r1", team_id="T1"),
            a_rep("r2", team_id="T1", fte=0.5),
            a_rep("m", team_id="T1", role="manager"),
        ],
        "teams": [{"team_id": "T1", "name": "One"}],
        "deals": deals,
        "goals": goals,
    }
    Lake(root / "lake").merge({name: table_of(name, part) for name, part in rows.items()}, source="test")
    (root / "company.yaml").write_text("people: {level: person}\n", encoding="utf-8")
    return root


def run(home, *words):
    result = CliRunner().invoke(app, ["plan", *words, "--home", str(home)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return [line.split("\t") for line in result.output.splitlines()]


def rows_of(lines):
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:] if len(line) > 1]


def test_goals_say_what_is_reached(home):
    found = {row["owner_id"]: row for row in rows_of(run(home, "goals"))}
    assert [found[who]["attainment"] for who in ("company", "r1", "r2")] == [
        "16%",
        "27%",
        "0%",
    ]  # of 50, 30, 20 thousand
    assert found["r1"]["period"] == "FY2026-Q2"


def test_below_level_person_no_goal_of_a_single_person_is_followed_here(home, tmp_path):
    shutil.copytree(home, tmp_path / "home")
    (tmp_path / "home" / "company.yaml").unlink()  # a new company starts at level team
    for verb in ("goals", "pace"):
        assert [row["owner_id"] for row in rows_of(run(tmp_path / "home", verb))] == ["company"]


def test_pace_says_what_is_due_by_working_days(home):
    # Newest event 30 April: April's 22 of the quarter's 65 working days are gone, 33.8 %. 8,000 - 16,923 = -8,923.
    found = {row["owner_id"]: row for row in rows_of(run(home, "pace"))}
    assert (found["company"]["due"], found["company"]["gap"]) == ("34%", "-8,923")
    assert found["company"]["pace"] == "0.47"  # 8,000 / 16,923
    # 42,000 left at 8,000 a deal: 6 deals; 1 of 2 was won: 12 opportunities.
    assert (found["company"]["deals"], found["company"]["opportunities"]) == ("6", "12")


def test_as_of_takes_back_what_came_later(home):
    found = rows_of(run(home, "pace", "--as-of", "2026-04-10"))
    assert {row["actual"] for row in found} == {"0"}


def test_cascade_leaves_managers_out_and_keeps_the_sum(home, tmp_path):
    out = tmp_path / "split.json"
    assert run(home, "cascade", "--out", str(out))[0] == [f"3 rows in {out}"]
    rows = {row["owner_id"]: row for row in json.loads(out.read_text(encoding="utf-8"))}
    # Full and half time: two thirds and one third of 50,000 in thousands.
    assert {who: row["target"] for who, row in rows.items()} == {"T1": 50_000, "r1": 33_000, "r2": 17_000}
    months = ["FY2026-P04", "FY2026-P05", "FY2026-P06"]
    assert all(sum(row[month] for month in months) == row["target"] for row in rows.values())
    assert all(rows["T1"][m] == rows["r1"][m] + rows["r2"][m] for m in months)
    assert (rows["r1"]["today"], rows["r2"]["today"]) == (30_000, 20_000)


def test_fixed_numbers_and_mixtures_are_kept(home, tmp_path):
    out = tmp_path / "split.csv"
    run(home, "cascade", "--pin", "r2=10000", "--out", str(out))
    assert pd.read_csv(out).set_index("owner_id")["target"].to_dict() == {"T1": 50_000, "r1": 40_000, "r2": 10_000}
    # Half by heads (1/2), half by capacity (2/3): 7/12 of 50,000 is 29.17 thousand.
    run(home, "cascade", "--method", "blend", "--share", "equal=0.5", "--share", "capacity=0.5", "--out", str(out))
    assert pd.read_csv(out).set_index("owner_id")["target"].to_dict() == {"T1": 50_000, "r1": 29_000, "r2": 21_000}


@pytest.mark.parametrize(
    ("words", "error", "says"),
    [
        (["cascade", "--goal", "nope"], NoGoal, "no goal 'nope'"),
        (["cascade", "--pin", "r1=60000"], PinsDoNotFit, "10000.* more than the target"),
        (["cascade", "--pin", "m=5"], NotInSplit, "'m' has a fixed number, but takes no part"),
        (["cascade", "--pin", "r1"], BadInput, "--pin is 'r1'"),
        (["cascade", "--pin", "r1=nan"], BadInput, "--pin is 'r1=nan'"),
        (["cascade", "--method", "blend"], NoSuchMethod, "a blend needs shares"),
        (["goals", "--out", "x.txt"], BadInput, "ends in .csv or .json"),
    ],
)
def test_what_cannot_be_done_is_said(home, words, error, says):
    with pytest.raises(error, match=says):
        run(home, *words)


def test_without_a_goal_that_runs_it_says_so(home):
    assert "No goal runs at that moment" in run(home, "goals", "--as-of", "2027-04-10")[0][0]
