"""Reports as one viewer may see them: read once a data cut, cut down to what is seen, as tables and as files."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Lock
from typing import Any

import pandas as pd

from crm.company import Company
from crm.errors import NotFound
from crm.lake import View
from planning.report_parts import Report, Table
from planning.reports import NoSuchTable, report
from planning.sales import Sales, window
from serving.access import Sight
from serving.exports import cell


class NothingOfThat(NotFound):
    """There is no such team or product, or not for this viewer."""

    def __init__(self, kind: str, key: str) -> None:
        super().__init__("{kind}: there is no {kind} '{key}' whose figures you can see.", kind=kind, key=key[:80])


class SalesBook:
    """Business as known at a moment, kept for the newest few questions: reading it takes seconds."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[tuple[Any, ...], Sales] = OrderedDict()

    def read(self, view: View, cut: int, company: Company, moment: datetime) -> Sales:
        """What a data cut says of business up to a moment."""
        key = (cut, moment, company.model_dump_json())
        with self._lock:
            if key not in self._kept:
                self._kept[key] = Sales.read(view, company, moment)
                while len(self._kept) > 2:
                    self._kept.popitem(last=False)
            return self._kept[key]


@dataclass(frozen=True, slots=True)
class Wish:
    """Which period, and which part of the company."""

    period: str = "quarter"
    team: str | None = None
    product: str | None = None


def report_for(
    name: str, wish: Wish, sales: Sales, company: Company, sight: Sight, teams: frozenset[str] | None
) -> Report:
    """A report of what a viewer sees.

    Parameters
    ----------
    teams : frozenset of str, optional
        Teams whose figures are shown; None stands for all that the sight has.

    Raises
    ------
    NoSuchReport, NoSuchPeriod
        If it is not known.
    NothingOfThat
        If there is no such team or product to be seen.
    """
    part = sales.only(sight.owner, sight.account)
    if wish.team is not None:
        if wish.team not in sales.below or not _shown(wish.team, sight, teams):
            raise NothingOfThat("team", wish.team)
        part = part.of_team(wish.team)
    if wish.product is not None:
        if not ((sales.deals["product_id"] == wish.product) | (sales.deals["product_family"] == wish.product)).any():
            raise NothingOfThat("product", wish.product)
        part = part.of_product(wish.product)
    found = report(name, part, window(wish.period, company, sales.today))
    return replace(found, tables=tuple(_of_shown_teams(table, sight, teams) for table in found.tables))


def shown_teams(sight: Sight, scored: pd.DataFrame | None) -> frozenset[str] | None:
    """Teams whose figures a viewer may see; None: all that are seen.

    Where persons' figures are not shown, only teams that the scores show, which leave out those of too few people.
    """
    if not sight.least:
        return None
    return frozenset() if scored is None else frozenset(scored["team_id"])


def cells(table: Table) -> tuple[list[str], list[list[Any]]]:
    """Column names and cells for a file."""
    names = list(table.columns)
    rows = [[cell(_plain(value)) for value in row] for row in table.rows[names].itertuples(index=False, name=None)]
    return names, rows


def records(table: Table) -> list[dict[str, Any]]:
    """Rows as plain values; what is not known is None."""
    names = list(table.columns)
    return [
        {name: _plain(value) for name, value in zip(names, row, strict=True)}
        for row in table.rows[names].itertuples(index=False, name=None)
    ]


def chosen(found: Report, table: str | None) -> Table:
    """The table that was asked for; the report's first where none was.

    Raises
    ------
    NoSuchTable
        If the report has none of that name.
    """
    if table is None:
        return found.tables[0]
    if table not in {one.name for one in found.tables}:
        raise NoSuchTable(found, table)
    return found.table(table)


def plain_facts(found: Report) -> dict[str, Any]:
    """The figures of a report's sentence as plain values."""
    return {name: _deep(value) for name, value in found.facts.items()}


def _of_shown_teams(table: Table, sight: Sight, teams: frozenset[str] | None) -> Table:
    if table.name != "teams":
        return table
    keep = table.rows["name"].map(lambda team: _shown(team, sight, teams)).astype(bool)
    return replace(table, rows=table.rows[keep].reset_index(drop=True)) if len(table.rows) else table


def _shown(team: str, sight: Sight, teams: frozenset[str] | None) -> bool:
    if teams is not None:
        return team in teams
    return sight.team(team) if team else sight.teams is None


def _deep(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _deep(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_deep(inner) for inner in value]
    return _plain(value)


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, pd.Timestamp):
        value = value.date()
    return None if value is None or value != value or value is pd.NaT else value
