"""The verbs about features, as a user types them."""

import pyarrow as pa
from typer.testing import CliRunner

from crm.simulate import lake_view, simulate
from serving.cli import app
from serving.home import Home


def typed(*words):
    result = CliRunner().invoke(app, ["features", *words])
    return result.output.splitlines() if result.exit_code == 0 else result.exception


def test_a_feature_is_described_with_what_it_rests_on(tmp_path):
    lines = typed("describe", "tickets_90d", "--home", str(tmp_path))
    assert lines[:3] == ["name: tickets_90d", "about: account", "unit: count"]
    assert "sql: count(*) filter (where age < days(90))" in lines
    assert lines[-1] == "rests on: tickets (account_id, opened_at, recorded_at)"


def test_a_name_that_deals_and_accounts_have_is_described_for_both(tmp_path):
    lines = typed("describe", "industry", "--home", str(tmp_path))
    assert [line for line in lines if line.startswith("about")] == ["about: deal", "about: account"]
    lines = typed("describe", "industry", "--entity", "account", "--home", str(tmp_path))
    assert [line for line in lines if line.startswith("about")] == ["about: account"]


def test_own_features_are_listed_and_described(tmp_path):
    own = "features: [{block: rep_activity, name: demos_30d, sql: count(*), unit: count, en: Demos}]"
    (tmp_path / "company.yaml").write_text(own, encoding="utf-8")
    listed = typed("list", "rep", "--home", str(tmp_path))
    assert "demos_30d\tcount\t\tDemos" in listed
    assert "en: Demos" in typed("describe", "demos_30d", "--home", str(tmp_path))


def test_no_such_feature_is_said(tmp_path):
    assert "no feature tuches" in str(typed("describe", "tuches", "--home", str(tmp_path)))


def test_columns_that_know_too_much_are_named(tmp_path):
    home, view = Home(tmp_path), lake_view(simulate(reps=5, months=7, seed=3))
    tables = {name: view.arrow(name) for name in view.present}
    outcome = tables["deals"]["outcome"].to_pylist()
    home.lake.merge(tables, source="test")
    assert typed("check", "--home", str(tmp_path))[-1].startswith("Nothing found in ")
    # One is filled in at every closing, the other says how it went, and is there for half of the open deals too.
    closed = [None if o == "open" else "yes" for o in outcome]
    went = [1.0 if o == "won" or (o == "open" and i % 2) else 0.0 for i, o in enumerate(outcome)]
    deals = tables["deals"].append_column("x_closed", pa.array(closed)).append_column("x_went", pa.array(went))
    home.lake.merge({"deals": deals}, source="test")
    lines = [line for line in typed("check", "--home", str(tmp_path)) if line.startswith("x_")]
    assert lines[0].startswith("x_closed: x_closed is filled in 100% of closed deals but 0% of open ones.")
    assert lines[1].startswith("x_went: x_went alone tells 100% of all pairs")
    assert len(lines) == 2
