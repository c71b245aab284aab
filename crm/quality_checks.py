"""The checks of the quality report as data: each a query for the rows that are wrong, what it costs, and the mend.

A query gives one column, `example`, with a key of each wrong row. Its variables: `now`, the wall clock; `today`, the
newest moment of the data; `zone`, the company's time zone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from crm.schema import LOGGED_FIELDS, TABLES

_NOW, _ZONE, _UTC = "getvariable('now')", "getvariable('zone')", "'UTC'"


@dataclass(frozen=True, slots=True)
class Check:
    """One check; `{rows}` in the text stands for the number of rows found."""

    kind: str
    table: str
    column: str | None
    sql: str
    text: str
    cost: str
    mend: str


def checks(present: frozenset[str], base_currency: str) -> list[Check]:
    """Checks that the tables at hand allow, the most costly first."""
    found = [*_DEALS, *_changes(present), *_keys(), *_currencies(base_currency), *_clocks()]
    return [check for check in found if check.table in present]


_DEALS = (
    Check(
        "closed_without_time",
        "deals",
        "closed_at",
        "select deal_id as example from deals where outcome <> 'open' and closed_at is null",
        "{rows} closed deals do not say when they closed",
        "These deals are left out of training: how long they were open is not known",
        "Map the closing time, or log the change of stage in deal_changes",
    ),
    Check(
        "closed_before_created",
        "deals",
        "closed_at",
        "select deal_id as example from deals where closed_at < created_at",
        "{rows} deals closed before they were created",
        "Their length is below zero, so they are left out of training",
        "Correct created_at; deals entered after the fact need their real first day",
    ),
    Check(
        "open_with_close_time",
        "deals",
        "closed_at",
        "select deal_id as example from deals where outcome = 'open' and closed_at is not null",
        "{rows} open deals have a closing time",
        "They count as open and so in the forecast, though they may be over",
        "Map the outcome, or empty closed_at of reopened deals",
    ),
    Check(
        "overdue",
        "deals",
        "close_date",
        "select deal_id as example from deals where outcome = 'open' and close_date < getvariable('today')::date",
        "{rows} open deals are past their expected closing day",
        "The closing day says nothing about them, and dead deals swell the forecast",
        "Give each a new day, or close it as lost",
    ),
    Check(
        "won_without_amount",  # a lead that was won became a deal; its money stands there
        "deals",
        "amount",
        "select deal_id as example from deals where outcome = 'won' and coalesce(amount, 0) <= 0 "
        "and kind is distinct from 'lead'",
        "{rows} won deals have no amount above zero",
        "Won money is counted too low, and so is every forecast of money",
        "Fill in the amount they were won at",
    ),
)


def _changes(present: frozenset[str]) -> Iterator[Check]:
    if "deal_changes" not in present:
        yield Check(
            "no_changes",
            "deals",
            None,
            "select deal_id as example from deals",
            "There is no log of changes for {rows} deals",
            TABLES["deal_changes"].absent.capitalize(),
            "Import the CRM's field history as deal_changes",
        )
        return
    yield Check(
        "change_after_close",
        "deal_changes",
        "changed_at",
        "select d.deal_id as example from deal_changes c join deals d using (deal_id) "
        "where d.outcome <> 'open' and c.changed_at > d.closed_at + interval 1 day",
        "{rows} changes came more than a day after their deal had closed",
        "What was tidied up afterwards is not used; a reopened deal keeps its first closing",
        "Nothing to mend where deals were tidied up; else check closed_at",
    )
    for field in LOGGED_FIELDS:
        yield Check(
            "field_not_logged",
            "deals",
            field,
            f"select deal_id as example from deals where {field} is not null "
            f"and not exists (select 1 from deal_changes where field = '{field}')",
            f"{{rows}} deals have {field}, but no change of it is logged",
            f"What {field} was on an earlier day is not known, so models do without it",
            f"Switch on field history for {field} in the CRM and import it again",
        )


def _keys() -> Iterator[Check]:
    for table in TABLES.values():
        for column in table.columns:
            if column.refers:
                owner = table.name == "deals" and column.name == "owner_id"
                key = TABLES[column.refers].key[0]
                yield Check(
                    "unknown_owner" if owner else "dangling_key",
                    table.name,
                    column.name,
                    f'select "{column.name}" as example from {table.name} where "{column.name}" is not null and '
                    f'"{column.name}" not in (select {key} from {column.refers}) '
                    f"and exists (select 1 from {column.refers})",
                    f"{{rows}} rows of {table.name} have {column.name} that is not among {column.refers}",
                    "These deals belong to no team, and their owner has no tenure or absence"
                    if owner
                    else "They are read as if they named none",
                    f"Import the missing {column.refers}, or correct {column.name}",
                )


def _currencies(base: str) -> Iterator[Check]:
    for table in TABLES.values():
        if "currency" in table.by_name and table.name != "fx_rates":
            yield Check(
                "currency_without_rate",
                table.name,
                "currency",
                f"select currency as example from {table.name} where currency is not null "
                f"and currency not in (select currency from fx)",
                f"{{rows}} rows of {table.name} are in a currency without a rate to {base}",
                "Their amounts are not known, so they count for nothing in totals",
                "Add rates of these currencies to fx_rates, or set base_currency in company.yaml",
            )


def _clocks() -> Iterator[Check]:
    for table in TABLES.values():
        if "recorded_at" in table.by_name:
            yield Check(
                "no_recorded_at",
                table.name,
                "recorded_at",
                f'select "{table.key[0]}" as example from {table.name} '
                f"where not exists (select 1 from {table.name} where recorded_at is not null)",
                f"None of {{rows}} rows of {table.name} says when it was written down",
                "What happened is taken to be known at once; what was entered late flatters tests on the past",
                "Map the time the record was made to recorded_at",
            )
        for column in table.columns:
            if column.type == "time":
                yield from _odd_times(table.name, table.key[0], column.name)


def _odd_times(table: str, key: str, column: str) -> Iterator[Check]:
    yield Check(
        "future",
        table,
        column,
        f'select "{key}" as example from {table} where {column} > {_NOW} + interval 1 day',
        f"{{rows}} rows of {table} have {column} in the future",
        "They are not seen until then, and the newest moment of the data is wrong",
        f"Check the format and time zone of {column} in the mapping; planned events do not belong here",
    )
    yield Check(
        "midnight",
        table,
        column,
        f'select "{key}" as example from {table} where {column} is not null and (select count(*) >= 30 and '
        f"greatest({_midnights(column, _UTC)}, {_midnights(column, _ZONE)}) >= 0.98 * count(*) "
        f"from {table} where {column} is not null)",
        f"{{rows}} rows of {table} have a {column} at midnight: days, not times",
        "What came first within a day cannot be told, and hours to a reply are not known",
        f"Export {column} with its time of day",
    )


def _midnights(column: str, zone: str) -> str:
    return f"count(*) filter (where ({column} at time zone {zone})::time = time '00:00')"
