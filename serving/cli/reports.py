"""The verb about reports."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crm.errors import BadInput
from serving.cli.common import AsOf, HomeDir, echo_table, home_that_is, moment_of

if TYPE_CHECKING:
    from planning.report_parts import Report, Table


class ReportName(StrEnum):
    """What is reported."""

    trend = "trend"
    funnel = "funnel"
    customers = "customers"
    mix = "mix"
    win_loss = "win-loss"
    velocity = "velocity"


class BadReportFile(BadInput):
    """A report is to be written to a file of a kind that is not known."""

    def __init__(self, out: Path) -> None:
        super().__init__(f"--out is '{out}'. Give a name that ends in .csv, .xlsx or .json.")


def add_to(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("report")(show_report)


def show_report(
    name: Annotated[ReportName, typer.Argument(help="Which report.")],
    period: Annotated[
        str, typer.Option(help="month, quarter or year so far; last-month, last-quarter, last-year.")
    ] = "quarter",
    team: Annotated[str | None, typer.Option(help="team_id; with the teams below it.")] = None,
    product: Annotated[str | None, typer.Option(help="product_id, or a family of products.")] = None,
    table: Annotated[str | None, typer.Option(help="Which table to show or write as CSV; unset: the first.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="File: .csv (one table), .xlsx or .json (all tables).")
    ] = None,
    home: HomeDir = None,
    as_of: AsOf = None,
) -> None:
    """Show a report of a period beside the like days of the one before.

    Example: bellwether report funnel --period last-quarter --out funnel.xlsx
    """
    from crm.lake import newest_event
    from planning.sales import Sales
    from serving.access import Sight
    from serving.reports import Wish, chosen, report_for, shown_teams
    from serving.scores import ScoreBook

    place = home_that_is(home)
    view, company = place.lake.view(), place.company()
    sales = Sales.read(view, company, moment_of(as_of) or newest_event(view))
    person = company.people.level == "person"
    sight = Sight() if person else Sight(persons=frozenset(), least=company.people.min_group)
    scores = ScoreBook(place.scores, place.lake).newest(company).seen_at_machine(company.people)
    teams = shown_teams(sight, scores.frames.get("teams"))
    found = report_for(name.value, Wish(period, team, product), sales, company, sight, teams)
    one = chosen(found, table)
    if out is not None:
        _write(found, one, out)
        return
    span = found.window
    typer.echo(f"{found.name} {span.name}: {span.start} to before {span.end}, beside {span.start_before} to before "
               f"{span.end_before}")  # fmt: skip
    _show(one)
    others = [t.name for t in found.tables if t.name != one.name]
    for note in found.notes:
        typer.echo(note)
    if others:
        typer.echo(f"More with --table: {', '.join(others)}")


def _show(table: Table) -> None:
    from serving.reports import records

    names = list(table.columns)
    echo_table(names, [[_cell(table.columns[n], row[n]) for n in names] for row in records(table)])


def _write(found: Report, table: Table, out: Path) -> None:
    from serving.exports import as_book, as_csv
    from serving.reports import cells, plain_facts, records

    def as_json() -> bytes:
        tables = {one.name: records(one) for one in found.tables}
        text = {"name": found.name, "period": found.window.name, "facts": plain_facts(found), "tables": tables}
        return json.dumps(text, ensure_ascii=False, indent=1, default=str).encode()

    writers = {
        ".csv": lambda: as_csv(*cells(table)),
        ".xlsx": lambda: as_book({one.name: cells(one) for one in found.tables}),
        ".json": as_json,
    }
    made = writers.get(out.suffix.lower())
    if made is None:
        raise BadReportFile(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(made())
    typer.echo(f"{found.name} {found.window.name} in {out}")


def _cell(kind: str, value: Any) -> str:
    if value is None:
        return ""
    if kind in ("share", "points"):
        return f"{value:.1%}"
    if kind in ("decimal", "log", "p"):
        return f"{value:.3g}" if abs(value) < 10 else f"{value:,.1f}"
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)
