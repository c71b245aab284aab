"""The verbs about features, as a user types them."""

from typer.testing import CliRunner

from serving.cli import app


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
