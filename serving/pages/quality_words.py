"""Findings of data quality in the visitor's language: what was found, what it costs, and the mend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from crm.quality import Finding
from crm.schema import TABLES
from serving.format import Formats


class Said(NamedTuple):
    """A finding in three sentences."""

    text: str
    cost: str
    mend: str


def said(f: Formats, found: Finding) -> Said:
    """One finding in words; examples and shares of it stand in the report of an import."""
    column = found.column or ""
    refers = next((c.refers or "" for c in TABLES[found.table].columns if c.name == column), "")
    values = {
        "rows": f.number(found.rows),
        "table": found.table,
        "column": column,
        "refers": refers,
        "base": f.currency,
    }
    words = {**_deals(f), **_fields(f), **_tables(f)}
    return Said(*(sentence.format(**values) for sentence in words[found.kind]()))


Words = Mapping[str, Callable[[], tuple[str, str, str]]]


def _deals(f: Formats) -> Words:
    say = f.language.say
    return {
        "closed_without_time": lambda: (
            say("{rows} closed deals do not say when they closed."),
            say("These deals are left out of training: how long they were open is not known."),
            say("Map the closing time, or log the change of stage in deal_changes."),
        ),
        "closed_before_created": lambda: (
            say("{rows} deals closed before they were created."),
            say("Their length is below zero, so they are left out of training."),
            say("Correct created_at; deals entered after the fact need their real first day."),
        ),
        "open_with_close_time": lambda: (
            say("{rows} open deals have a closing time."),
            say("They count as open and so in the forecast, though they may be over."),
            say("Map the outcome, or empty closed_at of reopened deals."),
        ),
        "overdue": lambda: (
            say("{rows} open deals are past their expected closing day."),
            say("The closing day says nothing about them, and dead deals swell the forecast."),
            say("Give each a new day, or close it as lost."),
        ),
        "won_without_amount": lambda: (
            say("{rows} won deals have no amount above zero."),
            say("Won money is counted too low, and so is every forecast of money."),
            say("Fill in the amount they were won at."),
        ),
        "no_changes": lambda: (
            say("There is no log of changes for {rows} deals."),
            say("The win model uses only fields known at creation, and the deal's age."),
            say("Import the CRM's field history as deal_changes."),
        ),
        "change_after_close": lambda: (
            say("{rows} changes came more than a day after their deal had closed."),
            say("What was tidied up afterwards is not used; a reopened deal keeps its first closing."),
            say("Nothing to mend where deals were tidied up; else check closed_at."),
        ),
        "duplicate": lambda: (
            say("{rows} accounts seem to stand twice in the data."),
            say("A customer's history is split, so silence and churn look worse than they are."),
            say("Merge the doubles in the CRM."),
        ),
    }


def _fields(f: Formats) -> Words:
    say = f.language.say
    return {
        "field_not_logged": lambda: (
            say("{rows} deals have {column}, but no change of it is logged."),
            say("What {column} was on an earlier day is not known, so models do without it."),
            say("Switch on field history for {column} in the CRM and import it again."),
        ),
        "late_filled": lambda: (
            say("{column} is filled clearly more often in closed deals ({rows}) than in open ones."),
            say("It is filled in around the closing, so it would give the outcome away; models do without it."),
            say("Log changes of {column} in deal_changes, or have it filled in when the deal is opened."),
        ),
        "unknown_stage": lambda: (
            say("{rows} open deals are in a stage that company.yaml does not list."),
            say("Their place in the sales process is not known, which widens their forecasts."),
            say("Add the stages to company.yaml, or map them to listed ones."),
        ),
        "unknown_owner": lambda: (
            say("{rows} rows of {table} have {column} that is not among {refers}."),
            say("These deals belong to no team, and their owner has no tenure or absence."),
            say("Import the missing {refers}, or correct {column}."),
        ),
        "dangling_key": lambda: (
            say("{rows} rows of {table} have {column} that is not among {refers}."),
            say("They are read as if they named none."),
            say("Import the missing {refers}, or correct {column}."),
        ),
    }


def _tables(f: Formats) -> Words:
    say = f.language.say
    return {
        "currency_without_rate": lambda: (
            say("{rows} rows of {table} are in a currency without a rate to {base}."),
            say("Their amounts are not known, so they count for nothing in totals."),
            say("Add rates of these currencies to fx_rates, or set base_currency in company.yaml."),
        ),
        "no_recorded_at": lambda: (
            say("None of {rows} rows of {table} says when it was written down."),
            say("What happened is taken to be known at once; what was entered late flatters tests on the past."),
            say("Map the time the record was made to recorded_at."),
        ),
        "future": lambda: (
            say("{rows} rows of {table} have {column} in the future."),
            say("They are not seen until then, and the newest moment of the data is wrong."),
            say("Check the format and time zone of {column} in the mapping; planned events do not belong here."),
        ),
        "midnight": lambda: (
            say("{rows} rows of {table} have a {column} at midnight: days, not times."),
            say("What came first within a day cannot be told, and hours to a reply are not known."),
            say("Export {column} with its time of day."),
        ),
    }
