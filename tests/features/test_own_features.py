"""The features of the company's own that docs/company.md shows, worked out."""

from pathlib import Path

import pytest
import yaml

from crm.company import Company
from features.catalogue import ENTITIES, blocks
from features.language import BadDefinition
from tests.features.rows import a_change, a_deal, a_touch, day, describe

ACCOUNT = [{"account_id": "a1", "created_at": day("2025-01-01")}]
PAGE = Path(__file__).parents[2] / "docs" / "company.md"


def a_ticket(number, opened, **more):
    return {"ticket_id": f"t{number}", "account_id": "a1", "opened_at": day(opened)} | more


@pytest.fixture(scope="module")
def company():
    shown = PAGE.read_text(encoding="utf-8").split("## Features of your own")[1]
    return Company.parse(yaml.safe_load(shown.split("```yaml\n")[1].split("```")[0]))


def test_the_page_shows_one_of_each_kind(company):
    assert [own.block for own in company.features] == ["deal_activity", "account_service", "deal_context"]


def test_long_talks_count_those_of_the_last_60_days(company):
    touches = [
        a_touch(1, "2026-01-10", "call", duration_minutes=45.0),  # 71 days before: too old
        a_touch(2, "2026-03-01", "call", duration_minutes=45.0),
        a_touch(3, "2026-03-02", "meeting", duration_minutes=30.0),
        a_touch(4, "2026-03-03", "call", duration_minutes=10.0),  # too short
        a_touch(5, "2026-03-25", "call", duration_minutes=60.0),  # after the moment
    ]
    row = describe("deal", "2026-03-22", company=company, deals=[a_deal()], activities=touches)
    assert row["long_talks_60d"] == 2


def test_slow_tickets_are_those_still_open_at_the_moment(company):
    tickets = [
        a_ticket(1, "2026-02-01"),  # open for a month
        a_ticket(2, "2026-02-02", closed_at=day("2026-03-20")),  # closed later: nobody knew on 10 March
        a_ticket(3, "2026-02-03", closed_at=day("2026-03-01")),  # closed before
        a_ticket(4, "2026-03-08"),  # two days old
    ]
    row = describe("account", "2026-03-10", company=company, accounts=ACCOUNT, tickets=tickets)
    assert row["slow_tickets"] == 2


def test_an_amount_a_head_is_worked_out_on_the_row(company):
    accounts = [{**ACCOUNT[0], "employees": 20}]
    company = company.model_copy(update={"base_currency": "EUR"})
    row = describe("deal", "2026-03-10", company=company, deals=[a_deal(list_amount=5000.0)], accounts=accounts)
    assert row["amount_a_head"] is None  # without a log, nobody knows what the amount was
    log = [a_change("2026-01-02", "amount", None, "800")]
    row = describe("deal", "2026-03-10", company=company, deals=[a_deal()], accounts=accounts, deal_changes=log)
    assert row["amount_a_head"] == 40.0


def own(sql, block="account_service"):
    return Company.parse({"features": [{"block": block, "name": "mine", "sql": sql, "unit": "count", "en": "Mine"}]})


@pytest.mark.parametrize(
    ("sql", "block", "said"),
    [
        ("count(*) filter (where closed_at is null)", "account_service", "Ask 'closed_at <= as_of', or"),
        ("count(*) filter (where closed_at > as_of)", "account_service", "closed_at, which may lie after the moment"),
        ("count(*) filter (where not closed_at <= as_of)", "account_service", "closed_at, which may lie after"),
        ("count(closed_at)", "account_service", "closed_at, which may lie after"),
        ("count(*) filter (where ended_at is null or cancelled_at > as_of)", "account_contracts", "ended_at, which"),
        ("max(cancelled_at)", "customer_orders", "cancelled_at, which may lie after"),
        ("avg(satisfaction)", "account_service", "satisfaction, which may lie after"),
    ],
)
def test_what_came_after_the_moment_is_out_of_reach(sql, block, said):
    with pytest.raises(BadDefinition) as error:
        [blocks(entity, own(sql, block)) for entity in ENTITIES]
    assert str(error.value).startswith("company.yaml: feature mine: ")
    assert said in str(error.value)


@pytest.mark.parametrize(
    "sql",
    [
        "count(*) filter (where closed_at <= as_of)",
        "count(*) filter (where severe and (closed_at is null or closed_at > as_of))",
        "sum(case when coalesce(closed_at <= as_of, false) then 1 else 0 end)",
    ],
)
def test_whether_it_had_come_by_then_may_be_asked(sql):
    assert blocks("account", own(sql))
