"""Reports: sales over time, funnel, customers, mix, won and lost, velocity; of a period, team or product."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from crm.lake import newest_event
from planning.report_parts import Report
from serving.dependencies import CompanyDep, ScoresDep, ServerDep, SightDep, ViewDep, ViewerDep
from serving.documents import listed
from serving.exports import Format, as_book, as_csv, file_response, format_of
from serving.plan_examples import REPORT
from serving.reports import Wish, cells, chosen, plain_facts, records, report_for, shown_teams
from serving.schemas import Moment

router = APIRouter(prefix="/reports", tags=["plan"])
Name = Annotated[
    str, Path(max_length=40, description="trend, funnel, customers, mix, win-loss or velocity.", examples=["funnel"])
]
Period = Literal["month", "quarter", "year", "last-month", "last-quarter", "last-year"]


class ReportColumn(BaseModel):
    """A column, and how its values are to be read."""

    name: str
    kind: Annotated[
        str, Field(description="text, number, decimal, money (base currency), share, points, days, date, log or p.")
    ]


class ReportTable(BaseModel):
    """A table of a report."""

    name: str
    columns: list[ReportColumn]
    rows: list[dict[str, Any]]


class ReportOut(BaseModel):
    """A report of a period as far as it has gone, beside the like days of the one before."""

    name: str
    as_of: Moment
    period: str
    start: date
    end: Annotated[date, Field(description="First day after.")]
    before_start: date
    before_end: date
    facts: Annotated[dict[str, Any], Field(description="What the report says in a sentence.")]
    notes: Annotated[list[str], Field(description="What is left out or missing, and why.")]
    tables: list[ReportTable]


class ReportWish(BaseModel):
    """Which period and part; an unknown parameter is refused."""

    model_config = ConfigDict(extra="forbid")

    period: Annotated[Period, Field(description="The running one so far, or the last whole one.")] = "quarter"
    team: Annotated[str | None, Field(max_length=200, description="team_id; with the teams below it.")] = None
    product: Annotated[str | None, Field(max_length=200, description="product_id, or a family of products.")] = None
    table: Annotated[str | None, Field(max_length=40, description="For csv: which table; unset: the first.")] = None
    format: Annotated[Format | None, Field(description="json, csv or xlsx; unset: what the Accept header asks.")] = None


@router.get("/{name}", response_model=ReportOut, responses=listed(REPORT))
def read_report(
    name: Name,
    wish: Annotated[ReportWish, Query()],
    request: Request,
    server: ServerDep,
    viewer: ViewerDep,
    sight: SightDep,
    company: CompanyDep,
    view: ViewDep,
    scores: ScoresDep,
) -> ReportOut | Response:
    """A report of the deals and customers that you may see; as JSON, one table as CSV, or all as Excel."""
    moment = scores.as_of or newest_event(view)
    sales = server.selling.read(view, view.cut.number, company, moment)
    teams = shown_teams(sight, scores.frames.get("teams"))
    found = report_for(name, Wish(wish.period, wish.team, wish.product), sales, company, sight, teams)
    form = format_of(wish.format, request.headers.get("accept", ""))
    if form == "csv":
        return file_response(as_csv(*cells(chosen(found, wish.table))), f"{name}-{found.window.name}", form)
    if form == "xlsx":
        book = as_book({table.name: cells(table) for table in found.tables})
        return file_response(book, f"{name}-{found.window.name}", form)
    return _out(found, moment)


def _out(found: Report, moment: Any) -> ReportOut:
    span = found.window
    tables = [
        ReportTable(
            name=table.name,
            columns=[ReportColumn(name=name, kind=kind) for name, kind in table.columns.items()],
            rows=records(table),
        )
        for table in found.tables
    ]
    return ReportOut(
        name=found.name, as_of=moment, period=span.name, start=span.start, end=span.end,
        before_start=span.start_before, before_end=span.end_before, facts=plain_facts(found),
        notes=list(found.notes), tables=tables,
    )  # fmt: skip
