"""Reports by API, page and verb: what each viewer may see of them, as JSON and as files."""

import io
import json

import openpyxl
import pandas as pd
import pytest
from typer.testing import CliRunner

from planning.reports import REPORTS
from serving.cli import app


def test_a_report_is_of_the_deals_that_one_sees(site):
    # Three open deals of 1,000 are r1's and r2's, whom m1 leads; six are the head's.
    for email, deals in (("m1@example.com", 3), ("head@example.com", 6)):
        with site.client(email) as client:
            found = client.get("/reports/funnel").json()
        assert sum(row["open"] for row in _table(found, "snapshot")) == deals


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_comes_as_json_csv_and_excel(site, name):
    with site.client("admin@example.com") as client:
        found = client.get(f"/reports/{name}").json()
        book = client.get(f"/reports/{name}?format=xlsx")
        text = client.get(f"/reports/{name}", headers={"accept": "text/csv"})
    sheets = openpyxl.load_workbook(io.BytesIO(book.content), read_only=True)
    assert sheets.sheetnames == [table["name"] for table in found["tables"]]
    columns = [column["name"] for column in found["tables"][0]["columns"]]
    assert pd.read_csv(io.BytesIO(text.content)).columns.tolist() == columns
    assert text.headers["content-disposition"] == f'attachment; filename="{name}-FY2026-Q1.csv"'


def test_one_table_can_be_chosen_and_a_wrong_name_is_told(site):
    with site.client("admin@example.com") as client:
        rows = client.get("/reports/funnel?format=csv&table=snapshot").text
        wrong = client.get("/reports/funnel?format=csv&table=nope")
        unknown = client.get("/reports/weather")
    assert rows.splitlines()[0].lstrip("\ufeff").split(",")[:3] == ["pipeline", "stage", "open"]
    assert (wrong.status_code, unknown.status_code) == (404, 404)
    assert "Known: cohort, snapshot" in wrong.json()["detail"]


def test_a_team_that_one_does_not_see_is_answered_like_one_that_is_not_there(site):
    with site.client("m1@example.com") as client:
        mine, other, none = (client.get(f"/reports/trend?team={team}") for team in ("west", "east", "nowhere"))
    assert (mine.status_code, other.status_code, none.status_code) == (200, 404, 404)
    assert other.json()["detail"].replace("east", "nowhere") == none.json()["detail"]


def _table(found, name):
    return next(table["rows"] for table in found["tables"] if table["name"] == name)


def run(home, *words):
    result = CliRunner().invoke(app, ["report", *words, "--home", str(home.root)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def test_the_verb_shows_one_table_and_writes_all(home, tmp_path):
    text = run(home, "funnel", "--table", "snapshot")
    assert "Qualify\t6\t6,000" in text
    assert "More with --table: cohort" in text
    out = tmp_path / "funnel.json"
    assert str(out) in run(home, "funnel", "--out", str(out))
    rows = json.loads(out.read_text(encoding="utf-8"))["tables"]["snapshot"]
    assert [(row["stage"], row["open"], row["amount"]) for row in rows] == [("Qualify", 6, 6000)]


def test_below_level_person_teams_of_too_few_are_left_out(home, tmp_path):
    import shutil

    shutil.copytree(home.root, tmp_path / "home")
    (tmp_path / "home" / "company.yaml").write_text("people: {level: team, min_group: 5}\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["report", "trend", "--team", "west", "--home", str(tmp_path / "home")])
    assert "no team 'west' whose figures you can see" in str(result.exception)
