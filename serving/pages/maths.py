"""How does a forecast come about, down to single deals? And which deals stand behind what moved it?"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple
from urllib.parse import quote

import pandas as pd
from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from serving import waterfall
from serving.dependencies import ServerDep
from serving.ledger import Entity
from serving.pages import moves
from serving.pages.desk import Desk, DeskDep, NothingHere
from serving.pages.moves import Line
from serving.pages.outlook import COMPANY, Outcome
from serving.people_data.subjects import keys_of
from serving.people_data.views import note_looks

router = APIRouter(include_in_schema=False)
MOST = 50
Level = Literal["teams", "reps"]


class Deal(NamedTuple):
    """An open deal's line: chance times amount when won, the part that counts here, and what that makes."""

    line: Line
    chance: str
    worth: str
    share: str


class Sums(NamedTuple):
    """The three parts of an expected total with their lines."""

    closed: str
    closed_lines: list[Line]
    open: str
    deals: list[Deal]
    more: str
    more_said: str
    correction: str
    new: str
    total: str


class Subject(NamedTuple):
    """Whom a forecast is about."""

    entity: Entity
    ident: str
    title: str
    address: str
    members: list[str] | None
    outcome: Outcome


@router.get("/forecast/math")
def company_math(desk: DeskDep, every: bool = False) -> HTMLResponse:
    """How the company's expected total comes about."""
    return _math(desk, "teams", COMPANY, every=every)


@router.get("/forecast/{level}/{ident}/math")
def one_math(level: Level, ident: str, desk: DeskDep, every: bool = False) -> HTMLResponse:
    """How a team's or a person's expected total comes about."""
    return _math(desk, level, ident, every=every)


@router.get("/forecast/changes")
def company_changes(desk: DeskDep, server: ServerDep) -> HTMLResponse:
    """Every step since last week with its deals, for the company."""
    return _changes(desk, server, "teams", COMPANY)


@router.get("/forecast/{level}/{ident}/changes")
def one_changes(level: Level, ident: str, desk: DeskDep, server: ServerDep) -> HTMLResponse:
    """Every step since last week with its deals, for a team or a person."""
    return _changes(desk, server, level, ident)


def _math(desk: Desk, level: Level, ident: str, *, every: bool) -> HTMLResponse:
    if (missing := desk.without(level, "forecast")) is not None:
        return missing
    subject = _subject(desk, level, ident)
    f, say = desk.formats, desk.language.say
    return desk.show(
        "math.html",
        "forecast",
        subject=subject,
        period=f.period(desk.company.period_of(subject.outcome.start)),
        sums=_sums(desk, subject, every=every),
        finding=say(
            "{closed} closed, {open} from open deals and {new} from deals not yet created make {total}.",
            closed=f.money(subject.outcome.closed),
            open=f.money(subject.outcome.expected_open),
            new=f.money(subject.outcome.expected_new),
            total=f.money(_total(subject.outcome)),
        ),
        every=f"{subject.address}/math?every=true",
    )


def _changes(desk: Desk, server: ServerDep, level: Level, ident: str) -> HTMLResponse:
    if (missing := desk.without(level, "forecast")) is not None:
        return missing
    subject = _subject(desk, level, ident)
    found = moves.moves_of(desk, server, subject.outcome, subject.entity, ident, subject.members, lines=MOST)
    assert found is not None  # _subject is about money alone
    return desk.show(
        "changes.html",
        "forecast",
        subject=subject,
        period=desk.formats.period(desk.company.period_of(subject.outcome.start)),
        moves=found,
    )


def _subject(desk: Desk, level: Level, ident: str) -> Subject:
    """Whom a page is about, where the visitor may see it and its forecast is about money."""
    entity: Entity = "team" if level == "teams" else "rep"
    outcome = Outcome.of(desk.one_row(level, f"{entity}_id", ident))
    if not outcome.money:
        raise NothingHere
    if entity == "rep":
        note_looks(desk.store, desk.viewer, [ident], keys_of(desk.view), what="page forecast")
        title, members = desk.names.get(ident, ident), [ident]
    else:
        title = desk.visit.shell.company if ident == COMPANY else desk.team_names.get(ident, ident)
        members = desk.members(ident)  # type: ignore[assignment]
    address = "/forecast" if ident == COMPANY else f"/forecast/{level}/{quote(ident, safe='')}"
    return Subject(entity, ident, title, address, members, outcome)


def _total(outcome: Outcome) -> float:
    return outcome.closed + outcome.expected_open + outcome.expected_new


def _sums(desk: Desk, subject: Subject, *, every: bool) -> Sums:
    f, outcome = desk.formats, subject.outcome
    now = moves.now_of(desk, subject.entity, subject.ident)
    share = waterfall.shares_of(waterfall.credits_of(desk.view), subject.members)
    rows = now.deals.assign(share=share.reindex(now.deals.index).fillna(0.0))
    rows = rows.assign(part=rows["chance"] * rows["worth"] * rows["share"])
    rows = rows[rows["part"] > 0].sort_values("part", ascending=False, kind="stable")
    shown = rows if every else rows.head(MOST)
    left = rows.iloc[len(shown) :]
    text = desk.language.say_n("{n} more deal", "{n} more deals", len(left)) if len(left) else ""
    return Sums(
        f.money_full(now.closed),
        _closed(desk, outcome, share, now.closed, every=every),
        f.money_full(now.open),
        [_deal(desk, str(deal), row) for deal, row in shown.iterrows()],
        text,
        f.money_full(float(left["part"].sum())),
        moves.signed(desk, now.open - float(rows["part"].sum()), full=True),
        f.money_full(now.new),
        f.money_full(now.total),
    )


def _deal(desk: Desk, deal: str, row: Any) -> Deal:
    f = desk.formats
    return Deal(
        moves.deal_line(desk, deal, f.money_full(row["part"])),
        f.percent(row["chance"], 1),
        f.money_full(row["worth"]),
        f.percent(row["share"]) if row["share"] < 1 else "",
    )


def _closed(desk: Desk, outcome: Outcome, share: pd.Series, total: float, *, every: bool) -> list[Line]:
    """Deals won in the period with their credit, largest first; what is left of the sum last."""
    f, deals = desk.formats, desk.facts.deals
    ended = pd.to_datetime(deals["closed_at"], utc=True).dt.tz_convert(desk.company.time_zone).dt.tz_localize(None)
    won = deals[(deals["outcome"] == "won") & (deals["kind"].fillna("new") != "lead")]
    won_at = ended.reindex(won.index)
    won = won[(won_at >= pd.Timestamp(outcome.start)) & (won_at < pd.Timestamp(outcome.end))]
    credit = won["amount"].fillna(0.0).astype(float) * share.reindex(won.index).fillna(0.0)
    credit = credit[credit > 0].sort_values(ascending=False, kind="stable")
    shown = credit if every else credit.head(MOST)
    lines = [moves.deal_line(desk, str(deal), f.money_full(amount)) for deal, amount in shown.items()]
    if round(rest := total - float(shown.sum())):
        count = len(credit) - len(shown)
        text = desk.language.say_n("{n} more deal", "{n} more deals", count) if count else desk.language.say("Other")
        lines.append(Line(text, "", "", f.money_full(rest)))
    return lines
