"""Today: where am I heading, what needs me now, and what happened in the last days?"""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple
from urllib.parse import quote, urlencode

import pandas as pd
from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse

from planning.periods import SUMS
from serving.charts import Figure
from serving.dependencies import ScoresDep, ServerDep
from serving.goal_changes import Desk as GoalDesk
from serving.pages import facts, listing, outlook, plan, risk_words, words
from serving.pages.desk import Desk, DeskDep, NothingHere
from serving.pages.goals import GoalsDep
from serving.pages.outlook import COMPANY, Outcome, number
from serving.pages.rail import Rail
from serving.pages.risks import called
from serving.risk_desk import RiskDesk

router = APIRouter(include_in_schema=False)
RAIL = Rail("today", "work", 1, lambda say: say("Today"), "/today")
DAYS = 7
_MOST = 8
_PLANS = 5
_RISKY = 0.2  # from this chance to leave on a customer is named here


class Own(NamedTuple):
    """The forecast of the visitor's own level: company, team or person."""

    finding: str
    fan: Figure
    address: str


class Line(NamedTuple):
    """One thing with its reason, and where it leads."""

    text: str
    under: str
    address: str
    value: str = ""


@router.get("/")
def home() -> RedirectResponse:
    """Today is the front page."""
    return RedirectResponse("/today", status_code=303)


@router.get("/today")
def show_today(desk: DeskDep, server: ServerDep, scores: ScoresDep, goals: GoalsDep) -> HTMLResponse:
    """The own forecast, the next steps worth most, what waits, and what the last seven days brought."""
    if (missing := desk.without("deals", "today")) is not None:
        return missing
    deals = listing.open_deals(desk.frame("deals"), desk.facts.deals, desk.names, pd.Timestamp(desk.as_of))
    own = _own(desk)
    return desk.show(
        "today.html",
        "today",
        own=own,
        finding=own.finding if own else listing.finding(desk.formats, deals),
        pace=_pace(desk, goals),
        steps=_steps(desk, deals),
        waiting=[*_plans_running(desk, RiskDesk(server, desk.viewer, desk.sight, scores)), *_waiting(desk, deals)],
        happened=_happened(desk),
        happened_said=_counted(desk),
        days=DAYS,
    )


def _own(desk: Desk) -> Own | None:
    """The visitor's own outcome; None while the forecast of periods is not there, or where nobody has one."""
    level = _level(desk)
    if level is None:
        return None
    key, ident, name, address, members = level
    try:
        outcome = Outcome.of(desk.one_row("reps" if key == "rep_id" else "teams", key, ident))
    except NothingHere:
        return None
    booked = desk.booked(outcome.start, members)
    return Own(
        outlook.sentence(desk.formats, name, outcome),
        outlook.fan_of(desk.formats, outcome, booked, desk.today),
        address,
    )


def _pace(desk: Desk, goals: GoalDesk) -> Line | None:
    """How the visitor's own goal stands against the season's curve; None where it cannot be told."""
    goal = plan.leading(desk, plan.followed(goals))
    if goal is None or goal.metric not in SUMS:
        return None
    told = goals.plan.paces([goal.goal_id])[goal.goal_id]
    needed = dict(plan.needs(desk, goal, told))
    a_day = needed.get(desk.language.say("Of them on each working day left"))
    under = desk.language.say("{n} contacts a working day would close the gap.", n=a_day) if a_day else ""
    return Line(plan.sentence(desk, goal, told), under, "/plan")


def _level(desk: Desk) -> tuple[str, str, str, str, list[str] | None] | None:
    if COMPANY in desk.scored_teams:
        return "team_id", COMPANY, desk.visit.shell.company, "/forecast", None
    if team := next(iter(sorted(desk.children(COMPANY))), None):
        name = desk.team_names.get(team, team)
        return "team_id", team, name, f"/forecast/teams/{quote(team, safe='')}", desk.members(team)
    rep = desk.viewer.rep_id
    if rep is None:
        return None
    return "rep_id", rep, desk.names.get(rep, rep), f"/forecast/reps/{quote(rep, safe='')}", [rep]


def _steps(desk: Desk, deals: pd.DataFrame) -> list[Line]:
    """The suggestions of the day: those that bring most, of all deals that the visitor sees."""
    f, say = desk.formats, desk.language.say
    advice = desk.frame("advice")
    advice = advice[advice["deal_id"].isin(deals.index) & (advice["rank"] == 1) & (advice["action"] != "pause")]
    amount = deals["amount"].reindex(advice["deal_id"]).fillna(0.0).to_numpy(float)
    best = advice.assign(worth=advice["expected_uplift"].to_numpy(float) * amount)
    lines = []
    for row in best.nlargest(desk.company.advice.steps_a_day, "worth").to_dict("records"):
        deal, day = deals.loc[row["deal_id"]], listing.due(desk.today, row["due_in_days"])
        what = words.action(desk.language, str(row["action"]), desk.company)
        why = words.both(desk.language, row["reasons"])[:1]
        lines.append(
            Line(
                say("{what} by {day}", what=what, day=f.date(day)) if day else what,
                " · ".join([words.text_or(deal["name"], str(row["deal_id"])), *why]),
                f"/deals/{quote(str(row['deal_id']), safe='')}#step-1",
                f.points(number(row["expected_uplift"]), 1),
            )
        )
    return lines


def _waiting(desk: Desk, deals: pd.DataFrame) -> list[Line]:
    """What someone should look at: dates that passed, deals gone quiet, customers about to leave."""
    f, say_n = desk.formats, desk.language.say_n
    period = desk.company.period_of(desk.today)
    late, silent = (listing.in_view(deals, view, today=desk.today, period=period) for view in ("past", "silent"))
    said = {
        "past": say_n(
            "{n} deal is past its planned close date", "{n} deals are past their planned close date", len(late)
        ),
        "silent": say_n("{n} open deal was silent for 14 days", "{n} open deals were silent for 14 days", len(silent)),
    }
    views = {"past": late, "silent": silent}
    found = [_view_line(desk, said[view], view, rows) for view, rows in views.items() if len(rows)]
    accounts = desk.frame("accounts")
    risky = accounts[accounts["churn_probability"] >= _RISKY].sort_values("value_at_risk", ascending=False)
    if len(risky):
        first = str(risky["account_id"].iloc[0])
        name = desk.facts.accounts["name"].get(first, first)
        found.append(
            Line(
                say_n("{n} customer may leave soon", "{n} customers may leave soon", len(risky)),
                desk.language.say("Most at stake: {name}", name=name),
                "/accounts",
                f.money(float(risky["value_at_risk"].sum())),
            )
        )
    return found


def _plans_running(desk: Desk, own: RiskDesk) -> list[Line]:
    """Contingency plans that run, each with the step that is next."""
    f, found = desk.formats, []
    for view in own.plan_views():
        if view.plan.state == "started":
            who = called(desk)(view.plan.subject_kind, view.plan.subject_id)
            step = next((step for step in view.steps if step.state == "open"), None)
            under = desk.language.say(
                "{step}, due {day}", step=risk_words.steps(f).get(step.what, step.what), day=f.date(step.due)
            ) if step else desk.language.say("All steps are done.")  # fmt: skip
            title = desk.language.say(
                "Contingency plan started: {what}, {who}", what=risk_words.templates(f)[view.plan.template], who=who
            )
            found.append(Line(title, under, f"/risks/plans/{view.plan.plan_id}"))
    return found[:_PLANS]


def _view_line(desk: Desk, text: str, view: str, rows: pd.DataFrame) -> Line:
    largest = rows.sort_values("amount", ascending=False).index[0]
    return Line(
        text,
        desk.language.say("Largest: {name}", name=words.text_or(rows.at[largest, "name"], str(largest))),
        f"/deals?{urlencode({'view': view, 'sort': '-amount'})}",
        desk.formats.money(float(rows["amount"].sum())),
    )


def _counted(desk: Desk) -> str:
    """The last days in one sentence."""
    say, f, deals = desk.language.say, desk.formats, _mine(desk)
    since = pd.Timestamp(desk.as_of) - timedelta(days=DAYS)
    closed = deals[pd.to_datetime(deals["closed_at"], utc=True) > since]
    won, lost = closed[closed["outcome"] == "won"], closed[closed["outcome"] == "lost"]
    new = deals[pd.to_datetime(deals["created_at"], utc=True) > since]
    return say(
        "{won} won ({amount}), {lost} lost, {new} new.",
        won=f.number(len(won)),
        amount=f.money(float(won["amount"].sum())),
        lost=f.number(len(lost)),
        new=f.number(len(new)),
    )


def _happened(desk: Desk) -> list[Line]:
    """The largest deals that were closed or changed in the last days, with what changed."""
    deals, until = _mine(desk), pd.Timestamp(desk.as_of)
    since = until - timedelta(days=DAYS)
    changes = facts.moved(desk.view, since=since.to_pydatetime(), until=until.to_pydatetime())
    changes = changes[changes["deal_id"].isin(deals.index)]
    closed = deals[pd.to_datetime(deals["closed_at"], utc=True) > since]
    touched = deals.loc[deals.index.intersection(pd.Index(changes["deal_id"]).union(closed.index))]
    told = []
    for ident in touched["amount"].astype(float).fillna(0.0).sort_values(ascending=False, kind="stable").index[:_MOST]:
        deal = deals.loc[ident]
        told.append(
            Line(
                words.text_or(deal["name"], str(ident)),
                _what(desk, deal, changes[changes["deal_id"] == ident]),
                f"/deals/{quote(str(ident), safe='')}",
                desk.formats.money(number(deal["amount"])),
            )
        )
    return told


def _what(desk: Desk, deal: pd.Series, changes: pd.DataFrame) -> str:
    say, currency = desk.language.say, words.text_or(deal["currency"], "")
    if deal["outcome"] == "won":
        return say("Won")
    if deal["outcome"] == "lost":
        reason = words.text_or(deal["loss_reason"], "")
        return say("Lost: {reason}", reason=reason) if reason else say("Lost")
    said = [
        say(
            "{field}: {old} → {new}",
            field=words.field(desk.language, str(row.field)),
            old=words.changed(desk.formats, desk.names, str(row.field), row.was, currency),
            new=words.changed(desk.formats, desk.names, str(row.field), row.became, currency),
        )
        for row in changes.itertuples()
    ]
    return " · ".join(said)


def _mine(desk: Desk) -> pd.DataFrame:
    """Deals of those that the visitor sees, leads apart."""
    deals = desk.facts.deals
    owners = {owner: desk.sight.owner(owner) for owner in deals["owner_id"].unique()}
    return deals[deals["owner_id"].map(owners).astype(bool) & (deals["kind"].fillna("new") != "lead")]
