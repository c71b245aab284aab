"""Accuracy: how right were the forecasts, issued and, apart, reconstructed ones, beside what was known without them?"""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd
from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from crm.company import Company
from serving import calls
from serving.accuracy import Accuracy, DealAccuracy, TotalAccuracy
from serving.charts import Figure, calibration, track_record
from serving.dependencies import Server, ServerDep
from serving.format import Formats
from serving.pages.desk import Desk, DeskDep
from serving.pages.outlook import COMPANY
from serving.pages.rail import Rail

router = APIRouter(include_in_schema=False)
RAIL = Rail("accuracy", "numbers", 2, lambda say: say("Accuracy"), "/accuracy")
MOST_SHOWN = 16
ENOUGH_BINS = 5


class Score(NamedTuple):
    """A line of a table: what was measured, ours, the rival's, how sure, and over how many."""

    name: str
    ours: str
    rival: str
    span: str
    size: str


class Section(NamedTuple):
    """All about one kind of forecasts."""

    title: str
    text: str
    finding: str
    record: Figure | None
    bins: Figure | None
    scores: list[Score]


class Caller(NamedTuple):
    """How right one person's commits were, beside the model and today's pace at the same points."""

    who: str
    about: str
    size: str
    error: str
    model: str
    pace: str
    bias: str
    worth: str


@router.get("/accuracy")
def show_accuracy(desk: DeskDep, server: ServerDep) -> HTMLResponse:
    """Forecasts against what came, of the whole company."""
    if not desk.frames and (missing := desk.without("deals", "accuracy")) is not None:
        return missing
    say = desk.language.say
    issued = _section(
        desk, server.accuracy("issued"), say("Issued forecasts"), say("As they were shown, sealed in the ledger.")
    )
    rebuilt = _section(
        desk,
        server.accuracy("reconstructed"),
        say("Reconstructed forecasts"),
        say("What models would have said on past days, each having seen only what was known then."),
    )
    sections = [section for section in (issued, rebuilt) if section is not None]
    sealed = server.ledger.sealed()
    return desk.show(
        "accuracy.html",
        "accuracy",
        finding=sections[0].finding if sections else say("No period that was forecast has ended yet."),
        waiting=_waiting(desk) if issued is None else "",
        sections=sections,
        callers=_callers(desk, server),
        ledger=desk.language.say_n(
            "{n} sealed entry in the forecast ledger; bellwether ledger verify checks the chain.",
            "{n} sealed entries in the forecast ledger; bellwether ledger verify checks the chain.",
            len(sealed),
        ),
    )


def _callers(desk: Desk, server: Server) -> list[Caller]:
    """Each person's calls of periods that are over beside model and pace, of those that the visitor may see."""
    found, f = server.accuracy("issued"), desk.formats
    table = calls.callers(calls.history(desk.store), found, desk.sight, desk.company)
    return [
        Caller(
            str((row["rep_id"] and desk.names.get(row["rep_id"], row["rep_id"])) or row["by"]),
            desk.names.get(row["entity_id"], desk.team_names.get(row["entity_id"], str(row["entity_id"]))),
            f.number(row["n"]),
            f.percent(row["error"], 1),
            f.percent(row["model_error"], 1),
            f.percent(row["naive_error"], 1),
            f.percent(row["bias"], 1),
            f.money(row["worth"]) if row["metric"] == "bookings" else f.number(row["worth"], 1),
        )
        for row in table.to_dict("records")
        if row["kind"] == "commit"
    ]


def _waiting(desk: Desk) -> str:
    end = desk.company.period_of(desk.today).end
    return desk.language.say(
        "No issued forecast can be judged yet: the first period ends on {day}.", day=desk.formats.date(end, year=True)
    )


def _section(desk: Desk, found: Accuracy, title: str, text: str) -> Section | None:
    f = desk.formats
    company = _company_rows(found.teams, desk.company)
    if not found.deals.figures and company.empty and not found.reps.figures:
        return None
    return Section(
        title,
        text,
        _finding(f, company, found),
        _record(f, company),
        _bins(f, found.deals),
        _scores(f, found),
    )


def _company_rows(teams: TotalAccuracy, company: Company) -> pd.DataFrame:
    """The company's own totals of the quarter each forecast was made in, leading metric, oldest first."""
    rows = teams.rows
    if rows.empty:
        return rows
    own = rows[rows["team_id"] == COMPANY]
    quarters = [company.period_of(when.tz_convert(company.time_zone).date()) for when in own["as_of"]]
    starts, ends = (pd.to_datetime(own[name]).dt.date for name in ("period_start", "period_end"))
    same = [(q.start, q.end) == days for q, days in zip(quarters, zip(starts, ends, strict=True), strict=True)]
    own = own[same]
    metric = "bookings" if (own["metric"] == "bookings").any() else "won_deals"
    return own[own["metric"] == metric].sort_values("as_of")


def _finding(f: Formats, company: pd.DataFrame, found: Accuracy) -> str:
    say = f.language.say
    if len(company):
        actual = company["actual"].abs().sum() or 1.0
        inside = ((company["actual"] >= company["p10"]) & (company["actual"] <= company["p90"])).sum()
        return say(
            "The company's forecast missed by {error} on average, today's pace by {rival}; "
            "its 80% ranges held {inside} of {all} results.",
            error=f.percent((company["p50"] - company["actual"]).abs().sum() / actual),
            rival=f.percent((company["run_rate"] - company["actual"]).abs().sum() / actual),
            inside=int(inside),
            all=len(company),
        )
    figures = found.deals.figures
    if not figures:
        return ""
    values = {
        "skill": f.percent(figures["skill"]),
        "range": f.percent_range(figures["skill_low"], figures["skill_high"]),
    }
    if figures["skill_low"] > 0:
        return say("Deal forecasts explain {skill} of what the base rate leaves open (90% range {range}).", **values)
    return say("Deal forecasts were no better than the base rate: {skill} (90% range {range}).", **values)


def _record(f: Formats, company: pd.DataFrame) -> Figure | None:
    if company.empty or company["metric"].iloc[0] != "bookings":
        return None
    say, shown = f.language.say, company.tail(MOST_SHOWN)
    labels = [f.date(when.to_pydatetime(), year=True) for when in shown["as_of"]]
    above = int((shown["p50"] > shown["actual"]).sum())
    return track_record(
        f,
        title=say("{n} of {all} forecasts were above the result", n=above, all=len(shown)),
        subtitle=say("Company total of the quarter by day of the forecast: 80% range, its middle, the result as a bar"),
        forecasts=shown.assign(label=labels)[["label", "p10", "p50", "p90", "actual"]],
    )


def _bins(f: Formats, deals: DealAccuracy) -> Figure | None:
    if len(deals.bins) < ENOUGH_BINS:
        return None
    bins, say = deals.bins, f.language.say
    inside = int(((bins["realised"] >= bins["low"]) & (bins["realised"] <= bins["high"])).sum())
    title = say("{n} of {all} groups came true as said, within chance", n=inside, all=len(bins))
    return calibration(f, title=title, bins=bins)


def _scores(f: Formats, found: Accuracy) -> list[Score]:
    say = f.language.say
    scores = []
    if figures := found.deals.figures:
        scores.append(
            Score(
                say("Deals: gain over the base rate (log loss)"),
                f.percent(figures["skill"], 1),
                f.percent(0.0, 1),
                f.percent_range(figures["skill_low"], figures["skill_high"]),
                f.number(figures["rows"]),
            )
        )
        scores.append(
            Score(
                say("Deals: said on average, and came true"),
                f.percent(figures["mean_forecast"], 1),
                f.percent(figures["realised_share"], 1),
                "—",
                f.number(figures["rows"]),
            )
        )
    scores += _total_scores(f, say("People: mean error of the middle"), say("People: ranges that held"), found.reps)
    scores += _total_scores(f, say("Teams: mean error of the middle"), say("Teams: ranges that held"), found.teams)
    return scores


def _total_scores(f: Formats, error: str, coverage: str, found: TotalAccuracy) -> list[Score]:
    figures = found.figures
    if "error" not in figures:
        return []
    size = f.number(figures["rows"])
    span = f.percent_range(figures["error_low"], figures["error_high"])
    held = f.percent_range(figures["coverage_low"], figures["coverage_high"])
    return [
        Score(error, f.percent(figures["error"], 1), f.percent(figures["rival_error"], 1), span, size),
        Score(coverage, f.percent(figures["coverage"], 1), f.percent(0.8), held, size),
    ]
