"""Reports: how did sales go, where are they stuck, who buys what? Each leads with its finding; files of the tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote, urlencode

import pandas as pd
from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, RedirectResponse

from crm.lake import newest_event
from planning.report_parts import Kind, Report, Table
from serving.dependencies import ScoresDep, ServerDep, ViewDep
from serving.drawing import Figure
from serving.format import MISSING, Formats
from serving.pages import report_words as words
from serving.pages.desk import Desk, DeskDep
from serving.pages.rail import Rail
from serving.pages.report_figures import bars, months, writer
from serving.reports import Wish, records, report_for, shown_teams

router = APIRouter(include_in_schema=False)
RAIL = Rail("reports", "numbers", 6, lambda say: say("Reports"), "/plan/reports")
_ROWS = 30


class Part(NamedTuple):
    """A table on the page."""

    name: str
    title: str
    heads: list[tuple[str, bool]]
    rows: list[list[tuple[str, bool]]]
    left_out: int
    csv: str


class Choice(NamedTuple):
    """One thing that can be chosen."""

    key: str
    name: str
    here: bool


@router.get("/plan/reports")
def first_report() -> RedirectResponse:
    """The sales trend is the first report."""
    return RedirectResponse("/plan/reports/trend", status_code=303)


@router.get("/plan/reports/{name}")
def show_report(
    name: str,
    desk: DeskDep,
    server: ServerDep,
    scores: ScoresDep,
    view: ViewDep,
    period: Annotated[str, Query(max_length=20)] = "quarter",
    team: Annotated[str, Query(max_length=200)] = "",
    product: Annotated[str, Query(max_length=200)] = "",
) -> HTMLResponse:
    """One report of a period, of all that the visitor sees or a part of it."""
    sales = server.selling.read(view, view.cut.number, desk.company, scores.as_of or newest_event(view))
    teams = shown_teams(desk.sight, scores.frames.get("teams"))
    wish = Wish(period, team or None, product or None)
    found = report_for(name, wish, sales, desk.company, desk.sight, teams)
    f, called = desk.formats, _called(desk, view)
    query = urlencode({k: v for k, v in (("period", period), ("team", team), ("product", product)) if v})
    names = words.report_names(f)
    return desk.show(
        "reports.html",
        "reports",
        title=names[name],
        finding=words.finding(f, found, called),
        name=name,
        tabs=[Choice(f"/plan/reports/{key}?{query}", said, key == name) for key, said in names.items()],
        periods=[Choice(key, said, key == period) for key, said in words.period_names(f).items()],
        teams=[Choice(key, said, key == team) for key, said in _teams(desk, teams)],
        products=[Choice(key, said, key == product) for key, said in _products(view)],
        span=_span(f, found),
        figure=_figure(f, found, called),
        tables=[_part(f, table, called, name, query) for table in found.tables if len(table.rows)],
        book=f"/api/v1/reports/{quote(name)}?{query}&format=xlsx",
        notes=found.notes,
    )


def _span(f: Formats, found: Report) -> str:
    span, day = found.window, pd.Timedelta(days=1).to_pytimedelta()
    return f.language.say(
        "{first} to {last}, beside {first_before} to {last_before}.",
        first=f.date(span.start), last=f.date(span.end - day), first_before=f.date(span.start_before),
        last_before=f.date(span.end_before - day),
    )  # fmt: skip


def _part(f: Formats, table: Table, called: dict[str, str], report: str, query: str) -> Part:
    names = words.SHOWN.get(table.name, " ".join(table.columns)).split()
    heads, known = words.column_names(f), words.table_names(f)
    rows = [
        [
            (cell_text(f, _kind(table, n, row), n, row[n], called), table.columns[n] not in ("text", "date"))
            for n in names
        ]
        for row in records(table)[:_ROWS]
    ]
    return Part(
        table.name,
        known.get(table.name, heads.get(table.name, table.name)),
        [(heads.get(n, n), table.columns[n] not in ("text", "date")) for n in names],
        rows,
        max(0, len(table.rows) - _ROWS),
        f"/api/v1/reports/{quote(report)}?{query}&table={quote(table.name)}&format=csv",
    )


def _kind(table: Table, name: str, row: Mapping[str, Any]) -> Kind:
    """The kind of a cell; in the parts of velocity it goes by the row: two of them are money."""
    money = table.name == "parts" and name in ("now", "before") and row["part"] in ("amount", "velocity")
    return "money" if money else table.columns[name]


def cell_text(f: Formats, kind: Kind, column: str, value: Any, called: Mapping[str, str]) -> str:
    """A cell of a report's table in words."""
    if value is None:
        return MISSING
    if column == "month":
        return f.month(value)
    if kind == "text":
        text = called.get(value) or words.values(f).get(value, value)
        return text or f.language.say("not recorded")
    if kind == "decimal":
        return (
            f.percent(value, 1)
            if 0 < abs(value) < 1
            else f.number(value, 0 if abs(value) >= 100 or value == int(value) else 1)
        )
    writers: dict[str, Callable[[Any], str]] = {
        "money": f.money_full,
        "share": (lambda v: words.signed(f, v)) if column == "change" else f.percent,
        "points": f.points,
        "date": f.date,
        "log": lambda v: f.points(v, 1),
        "p": lambda v: f"{v:.3f}",
    }
    return writers.get(kind, f.number)(value)


def _figure(f: Formats, found: Report, called: dict[str, str]) -> Figure | None:
    say = f.language.say
    first, said = found.tables[0], words.values(f)
    if not len(first.rows):
        return None
    if found.name == "trend":
        labels = [f.month(m, short=True) for m in first.rows["month"]]
        rows = pd.DataFrame({"label": labels, "value": first.rows["bookings"], "before": first.rows["year_before"]})
        best = first.rows.loc[first.rows["bookings"].astype(float).idxmax()]
        title = say("Most was booked in {month}: {amount}", month=f.month(best["month"]),
                    amount=f.money(float(best["bookings"])))  # fmt: skip
        return months(f, title=title, subtitle=say("Bookings by month, {unit}; mark: a year before", unit=f.currency),
                      rows=rows, names=(say("Month"), say("Bookings"), say("A year before")))  # fmt: skip
    label, value, before, kind, title = {
        "funnel": ("stage", "passed_30", "passed_30_before", "share", say("Passed each stage within 30 days")),
        "customers": ("segment", "amount", "", "money", say("Bought in a year by customer segment")),
        "mix": ("name", "share", "share_before", "share", say("Share of bookings by product")),
        "win-loss": ("competitor", "rate", "rate_before", "share", say("Won of closed deals by competitor")),
        "velocity": ("part", "effect", "", "log", say("What moved the velocity, in parts that add up")),
    }[found.name]
    shown = first.rows.dropna(subset=[value])
    if shown.empty:
        return None
    labels = [called.get(v) or said.get(v, v) or say("not recorded") for v in shown[label]]
    rows = pd.DataFrame({"label": labels, "value": shown[value].astype(float).to_numpy()})
    rows["before"] = shown[before].astype(float).to_numpy() if before else float("nan")
    return bars(
        f, title=_found(f, found.name, rows, kind), rows=rows, kind=kind,
        subtitle=say("{measure}; mark: the period before", measure=title) if before else title,
        names=(words.column_names(f).get(label, label), say("Now"), say("Before")),
    )  # fmt: skip


def _found(f: Formats, report: str, rows: pd.DataFrame, kind: str) -> str:
    """What the figure of a report shows, said as its title: the part that stands out."""
    say = f.language.say
    named = rows[rows["label"] != say("not recorded")]
    rows = rows if named.empty else named
    low = report in ("funnel", "win-loss")
    size = rows["value"].abs() if report == "velocity" else rows["value"]
    one = rows.loc[size.idxmin() if low else size.idxmax()]
    values = {"name": one["label"], "value": writer(f, kind)(float(one["value"]))}
    return {
        "funnel": say("Fewest pass {name} within 30 days: {value}", **values),
        "customers": say("{name} bought most in a year: {value}", **values),
        "mix": say("{name} has the largest share of bookings: {value}", **values),
        "win-loss": say("Least is won against {name}: {value}", **values),
        "velocity": say("{name} moved the velocity most: {value}", **values),
    }[report]


def _called(desk: Desk, view: Any) -> dict[str, str]:
    """What keys of products, teams and customers are called."""
    accounts = desk.facts.accounts["name"].dropna()
    return dict(_products(view)) | dict(desk.team_names) | {str(k): str(v) for k, v in accounts.items()}


def _products(view: Any) -> list[tuple[str, str]]:
    rows = view.arrow("products").select(["product_id", "name", "family"]).to_pylist()
    families = sorted({row["family"] for row in rows if row["family"]})
    return [(name, name) for name in families] + [(row["product_id"], row["name"]) for row in rows]


def _teams(desk: Desk, teams: frozenset[str] | None) -> list[tuple[str, str]]:
    seen = [t for t in desk.team_names if (t in teams if teams is not None else desk.sight.team(t))]
    return sorted(((team, desk.team_names[team]) for team in seen), key=lambda pair: pair[1])
