"""What a definition may say, and the one clear sentence where it may not."""

import pytest

from crm.company import Company
from features.build import build
from features.language import BadDefinition, checked, rows_counted
from tests.features.rows import a_deal, a_touch, describe, spine, view

COLUMNS = frozenset({"kind", "direction", "age"})
LATER = frozenset({"outcome"})


def test_days_are_written_out_in_seconds():
    sql = checked("f", "count(*) filter (where age < days(30))", COLUMNS, LATER, True)
    assert sql.replace(" ", "").lower() == "count(*)filter(whereage<(30*86400.0))"


@pytest.mark.parametrize(
    ("sql", "problem", "mend"),
    [
        ("count(*) filter (where knd = 'email')", "no column knd", "Did you mean kind?"),
        ("count(*) filter (where colour = 1)", "no column colour", "Columns here: age, direction, kind."),
        ("max(outcome)", "outcome, which is filled in later", "use another column"),
        ("(select max(age) from deals)", "a subquery or window", "the block's own events"),
        ("max(age) over ()", "a subquery or window", "the block's own events"),
        ("exists(select 1)", "a subquery or window", "the block's own events"),
        ("count(*) from deals", "more than one expression", "without 'from'"),
        ("count(*), max(age)", "more than one expression", "Give one SQL expression"),
        ("count(*) where age > 1", "more than one expression", "Give one SQL expression"),
        ("1; drop table deals", "more than one expression", "Give one SQL expression"),
        ("max(deals.age)", "a table's name, deals", "Name columns alone."),
        ("sum(columns(*))", "a star", "count(*) alone"),
        ("max(random())", "the function rand", "Allowed: days, "),
        ("max(getenv('HOME'))", "the function getenv", "Allowed: days, "),
        ("age / 2", "no aggregate", "Use count, sum"),
        ("count(", "no SQL at", "such as count(*)"),
        ("max($1)", "a parameter", "Write the value itself"),
    ],
)
def test_what_is_refused(sql, problem, mend):
    with pytest.raises(BadDefinition) as error:
        checked("mine", sql, COLUMNS, LATER, True)
    said = str(error.value)
    assert said.startswith("Feature mine: ")
    assert f"'{sql}'" in said
    assert problem in said
    assert mend in said


def test_an_aggregate_is_refused_where_there_is_one_row():
    with pytest.raises(BadDefinition, match="an aggregate in 'max\\(age\\)'"):
        checked("mine", "max(age)", COLUMNS, LATER, False)


def test_a_sum_is_known_by_its_rows():
    assert rows_counted("sum(age)") == "count(*)"
    assert rows_counted("sum(age) filter (where age > 1)") == "COUNT(*) FILTER(WHERE age > 1)"
    assert rows_counted("sum(age) / sum(age)") is None


def own(sql: str, block: str = "deal_activity") -> Company:
    return Company.parse({"features": [{"block": block, "name": "mine", "sql": sql, "unit": "count", "en": "My own"}]})


def test_a_feature_of_the_companys_own_is_worked_out_beside_the_others():
    tables = {"deals": [a_deal()], "activities": [a_touch(1, "2026-03-01", "call", duration_minutes=40.0)]}
    company = own("count(*) filter (where duration_minutes >= 30)")
    assert describe("deal", "2026-03-02", company=company, **tables)["mine"] == 1
    assert describe("deal", "2026-02-28", company=company, **tables)["mine"] == 0


@pytest.mark.parametrize(
    ("sql", "block"),
    [("sum(kind)", "deal_activity"), ("count(*) / age", "deal_activity"), ("kind * 2", "deal_context")],
)
def test_what_only_the_engine_can_refuse_is_named_too(sql, block):
    tables = view(deals=[a_deal()], activities=[a_touch(1, "2026-03-01", "call")])
    with pytest.raises(BadDefinition, match=r"company\.yaml: feature mine: the engine cannot use it"):
        build(tables, spine("deal_id", ("d1", "2026-03-02")), "deal", company=own(sql, block))


def test_how_a_deal_ended_is_out_of_reach():
    with pytest.raises(BadDefinition, match="loss_reason, which is filled in later"):
        build(
            view(deals=[a_deal()]),
            spine("deal_id", ("d1", "2026-03-02")),
            "deal",
            company=own("case when loss_reason is null then 1 else 0 end", "deal_context"),
        )


IN_A_FILE = """# Our settings
name: Bell
features:
  - block: deal_activity
    name: talks
    sql: count(*) filter (where contact)
    unit: count
    en: Talks
  - block: {block}
    name: mine
    sql: {sql}
    unit: count
    en: Mine
"""


@pytest.mark.parametrize(
    ("block", "sql", "said"),
    [
        (
            "deal_activity",
            "max(durations_minutes)",
            "no column durations_minutes in 'max(durations_minutes)'. Did you mean",
        ),
        ("deal_context", "max(close_in_days)", "an aggregate in 'max(close_in_days)'. Use an expression on one row."),
        (
            "deal_context",
            "lower(loss_reason)",
            "loss_reason, which is filled in later in 'lower(loss_reason)'. Its past",
        ),
        ("deal_activity", "(select count(*) from deals)", "a subquery or window in '(select count(*) from deals)'."),
        ("deal_activity", "max(age) over ()", "a subquery or window in 'max(age) over ()'. Aggregate the block's"),
        ("deal_activity", "max(getenv('HOME'))", "the function getenv in 'max(getenv('HOME'))'. Allowed: days, abs"),
        (
            "deal_activity",
            "max(columns(*))",
            "a star in 'max(columns(*))'. Name one column; * stands in count(*) alone",
        ),
        ("deal_activity", "sum(kind)", "cannot use it"),
    ],
)
def test_what_is_refused_in_company_yaml_is_said_with_its_line(tmp_path, block, sql, said):
    path = tmp_path / "company.yaml"
    path.write_text(IN_A_FILE.format(block=block, sql=sql), encoding="utf-8")
    with pytest.raises(BadDefinition) as error:
        build(
            view(deals=[a_deal()], activities=[a_touch(1, "2026-03-01", "call")]),
            spine("deal_id", ("d1", "2026-03-02")),
            "deal",
            company=Company.load(path),
        )
    assert str(error.value).startswith("company.yaml line 9: feature mine: ")
    assert said in str(error.value)
