"""A review pack's figures in words: one section after the other, in the order of the meeting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from typing import Protocol
from urllib.parse import quote

import pandas as pd

from planning.goals import COMPANY, MONEY_METRICS, wilson
from planning.record import Result
from planning.reviews import LENGTH, OPENING, Rhythm, agenda
from serving.charts import Figure
from serving.format import MISSING, Formats
from serving.pages import facts as lake_facts
from serving.pages import goal_words, outlook, words
from serving.reviews.ahead_wording import evenness_section, next_goals_section, rehearsal_section
from serving.reviews.material import Material
from serving.reviews.pack import SILENT_DAYS, GoalLine, MixLine, Moved, Pack, Record, Risk, TalkAbout
from serving.reviews.plan_wording import funnel_section, levers_section, register_section
from serving.reviews.sheet import Cell, Section, Sheet, Table, text_cell

BLANK_LINES = 6


class OpenAction(Protocol):
    """An action of an earlier meeting, as the pack lists it."""

    @property
    def text(self) -> str: ...  # noqa: D102
    @property
    def rep_id(self) -> str: ...  # noqa: D102
    @property
    def due(self) -> date: ...  # noqa: D102
    @property
    def state(self) -> str: ...  # noqa: D102
    @property
    def carried(self) -> int: ...  # noqa: D102


def sheet_of(pack: Pack, material: Material, f: Formats, actions: Sequence[OpenAction] = ()) -> Sheet:
    """A pack in the language of `f`, in the order in which a meeting goes through it."""
    say = f.language.say
    minutes = _minutes(pack)
    parts = [
        _actions(f, material, actions),
        _goals(f, material, pack),
        _change(f, pack),
        _moved(f, pack),
        _record(f, pack),
        _deals(f, material, pack),
        register_section(f, material, pack.plan, pack.since) if pack.plan.kept else _risks(f, pack),
        *(_mixes(f, pack) if pack.rhythm != "weekly" else []),
        *(_planned(f, material, pack) if pack.rhythm != "weekly" else []),
        *(_quarterly(f, material, pack) if pack.rhythm == "quarterly" else []),
        Section("decisions", say("Decisions and actions"), (say("What was decided, who does what by when:"),), (),
                BLANK_LINES),
    ]  # fmt: skip
    timed = tuple(Section(p.key, p.title, p.lines, p.tables, p.blank, minutes.get(p.key, p.minutes)) for p in parts)
    fan = _fan(f, material, pack)
    return Sheet(
        f.language.html, title_of(f, pack.rhythm, pack.team_name), _subtitle(f, pack), _finding(f, pack), timed,
        say("Data as of {when}; ranges hold 80% of the simulated periods.", when=f.moment(pack.as_of)),
        fan.wide if fan else "", fan.title if fan else "", fan.subtitle if fan else "",
        {"minutes": say("{n} min"), "item": say("Item"), "decision": say("Decision"), "who": say("Who"),
         "by": say("By when"), "table": say("Table")},
    )  # fmt: skip


def _planned(f: Formats, material: Material, pack: Pack) -> list[Section]:
    return [funnel_section(f, material, pack.plan), levers_section(f, material, pack.plan)]


def _quarterly(f: Formats, material: Material, pack: Pack) -> list[Section]:
    looks = (next_goals_section, evenness_section, rehearsal_section)
    return [_results(f, material, pack), *(look(f, material, pack.ahead) for look in looks)]


def title_of(f: Formats, rhythm: Rhythm, team_name: str | None) -> str:
    """What a review is called."""
    say, who = f.language.say, team_name or f.language.say("whole company")
    named = {
        "weekly": say("Weekly review, {who}", who=who),
        "monthly": say("Monthly review, {who}", who=who),
        "quarterly": say("Quarterly review, {who}", who=who),
    }
    return named[rhythm]


def rhythm_name(f: Formats, rhythm: str) -> str:
    """A rhythm in a word."""
    say = f.language.say
    return {"weekly": say("Weekly"), "monthly": say("Monthly"), "quarterly": say("Quarterly")}.get(rhythm, rhythm)


def _minutes(pack: Pack) -> dict[str, int]:
    """The meeting's minutes by the money that each part is about."""
    short = [line.gap for line in pack.goals if line.owner_id == pack.team_id and line.gap is not None]
    change = abs(pack.outcome.p50 - pack.earlier.outcome.p50) if pack.outcome and pack.earlier else 0.0
    money = {
        "goals": max([-gap for gap in short if gap < 0], default=0.0),
        "change": change,
        "deals": sum(deal.stake for deal in pack.deals),
        "risks": max(
            [r.likelihood * r.money for r in pack.risks] + [r.expected_loss or 0.0 for r in pack.plan.risks],
            default=0.0,
        ),
    }
    items = agenda({k: v for k, v in money.items() if v > 0}, LENGTH[pack.rhythm] - OPENING)
    return {item.key: item.minutes for item in items}


def _subtitle(f: Formats, pack: Pack) -> str:
    return f.language.say(
        "{since} to {today}", since=f.date(pack.since, year=True), today=f.date(pack.today, year=True)
    )


def _finding(f: Formats, pack: Pack) -> str:
    say = f.language.say
    if pack.outcome is None:
        return say("There is no forecast of this team that may be shown to you.")
    return outlook.sentence(f, pack.team_name or say("The company"), pack.outcome)


def _fan(f: Formats, material: Material, pack: Pack) -> Figure | None:
    if pack.outcome is None:
        return None
    start = pd.Timestamp(pack.outcome.start, tz=material.company.time_zone).to_pydatetime()
    rows = lake_facts.booked(material.view, material.company, start=start, until=material.as_of)
    if pack.team_id != COMPANY:
        rows = rows[rows["rep_id"].isin(material.members(pack.team_id))]
    return outlook.fan_of(f, pack.outcome, rows, pack.today)


def _actions(f: Formats, material: Material, actions: Sequence[OpenAction]) -> Section:
    say, say_n = f.language.say, f.language.say_n
    head = (say("Action"), say("Who"), say("By when"), say("State"), say("Carried over"))
    rows = tuple(
        (
            text_cell(a.text), text_cell(material.name(a.rep_id)), Cell(f.date(a.due), a.due),
            text_cell(state_name(f, a.state)), Cell(f.number(a.carried), a.carried),
        )
        for a in actions
    )  # fmt: skip
    said = say_n("{n} action is open from last time.", "{n} actions are open from last time.", len(rows))
    tables = (Table(head, rows, frozenset({4})),) if rows else ()
    return Section("actions", say("Open actions"), (said if rows else say("No action is open."),), tables)


def state_name(f: Formats, state: str) -> str:
    """State of an action."""
    say = f.language.say
    named = {"open": say("open"), "doing": say("being done"), "done": say("done"), "dropped": say("dropped")}
    return named.get(state, state)


def _goals(f: Formats, material: Material, pack: Pack) -> Section:
    say = f.language.say
    head = (say("Whose"), say("Goal of"), say("Target"), say("So far"), say("Reached"), say("Due by now"),
            say("Gap"), say("Pace"), say("Chance to reach it"))  # fmt: skip
    rows = tuple(_goal_row(f, material, line) for line in pack.goals)
    own = next((line for line in pack.goals if line.owner_id == pack.team_id and line.gap is not None), None)
    if not rows:
        said = say("No goal runs. Set one under Goals.")
    elif own is None:
        said = say("No goal of its own runs here.")
    else:
        said = say(
            "{reached} of goal reached; by today {due} was due by the season's curve: {gap}.",
            reached=f.percent(own.attainment), due=goal_words.value(f, own.metric, own.expected),
            gap=_gap(f, own),
        )  # fmt: skip
    tables = (Table(head, rows, frozenset(range(2, 9)) - {7}),) if rows else ()
    return Section("goals", say("Goal against actual"), (said,), tables)


def _gap(f: Formats, line: GoalLine) -> str:
    say, size = f.language.say, goal_words.value(f, line.metric, abs(line.gap or 0.0))
    return say("{size} behind", size=size) if (line.gap or 0.0) < 0 else say("{size} ahead", size=size)


def _goal_row(f: Formats, material: Material, line: GoalLine) -> tuple[Cell, ...]:
    said = partial(goal_words.value, f, line.metric)
    if line.owner_kind == "rep":
        name = material.name(line.owner_id)
    else:
        name = material.team_name(line.owner_id) or f.language.say("Company")
    return (
        text_cell(name), text_cell(f"{goal_words.metric(f.language, line.metric)} · {line.period}"),
        Cell(said(line.target), line.target), Cell(said(line.actual), line.actual),
        Cell(f.percent(line.attainment), line.attainment), Cell(said(line.expected), line.expected),
        Cell(said(line.gap), line.gap), text_cell(pace_name(f, line.status) if line.status else MISSING),
        Cell(f.chance(line.p_attain), line.p_attain),
    )  # fmt: skip


def pace_name(f: Formats, status: str) -> str:
    """How pace stands to the goal."""
    say = f.language.say
    named = {
        "ahead": say("ahead"), "on": say("on course"), "behind": say("behind"), "far behind": say("far behind"),
        "too early to say": say("too early to say"),
    }  # fmt: skip
    return named.get(status, status)


def _change(f: Formats, pack: Pack) -> Section:
    say, now = f.language.say, pack.outcome
    title = say("Forecast, and its change since the last review")
    if now is None:
        return Section("change", title, (say("There is no forecast of this team that may be shown to you."),))
    value = f.money if now.money else f.number
    if pack.earlier is None:
        said = say("This is the first forecast of this period; the next review will show what changed.")
        return Section("change", title, (said,), (_parts(f, pack),))
    was, diff = pack.earlier.outcome, now.p50 - pack.earlier.outcome.p50
    when = f.date(pack.earlier.as_of)
    moved = {
        1: say("The middle rose by {size} since {when}.", size=value(abs(diff)), when=when),
        -1: say("The middle fell by {size} since {when}.", size=value(abs(diff)), when=when),
        0: say("The middle has not changed since {when}.", when=when),
    }
    sign = 0 if value(was.p50) == value(now.p50) else 1 if diff > 0 else -1
    lines = [moved[sign]]
    if pack.earlier.kind == "reconstructed":
        lines.append(say("That forecast was reconstructed afterwards from what was known then; none had been issued."))
    return Section("change", title, tuple(lines), (_parts(f, pack),))


def _parts(f: Formats, pack: Pack) -> Table:
    """The forecast's parts, then and now."""
    say, now, was = f.language.say, pack.outcome, pack.earlier.outcome if pack.earlier else None
    assert now is not None
    full = f.money_full if now.money else (lambda x: f.number(x, 1))
    lines: list[tuple[str, float, float | None]] = [
        (say("Closed so far"), now.closed, was.closed if was else None),
        (say("From open deals"), now.expected_open, was.expected_open if was else None),
        (say("From deals not yet created"), now.expected_new, was.expected_new if was else None),
        (say("Low end of the 80% range"), now.p10, was.p10 if was else None),
        (say("Middle"), now.p50, was.p50 if was else None),
        (say("High end of the 80% range"), now.p90, was.p90 if was else None),
    ]
    head = (say("Part"), say("Then"), say("Now"), say("Change"))
    rows = [
        (text_cell(name), Cell(full(then), then), Cell(full(value), value), _signed(full, value, then))
        for name, value, then in lines
    ]
    chance = (now.p_attain, was.p_attain if was else None)
    rows.append((text_cell(say("Chance to reach the goal")), Cell(f.chance(chance[1]), chance[1]),
                 Cell(f.chance(chance[0]), chance[0]), _points(f, *chance)))  # fmt: skip
    return Table(head, tuple(rows), frozenset({1, 2, 3}))


def _signed(full: Callable[[float | None], str], now: float, then: float | None) -> Cell:
    if then is None:
        return Cell(MISSING)
    return Cell(("+" if now > then else "") + full(now - then), now - then)


def _points(f: Formats, now: float | None, then: float | None) -> Cell:
    return Cell(MISSING) if now is None or then is None else Cell(f.points(now - then), now - then)


def moved_name(f: Formats, what: Moved) -> str:
    """What happened to deals."""
    say = f.language.say
    return {
        "won": say("Won"), "lost": say("Lost"), "new": say("New"), "slipped": say("Close date put off"),
        "amount": say("Amount changed"), "silent": say("Silent {n} days", n=SILENT_DAYS),
    }[what]  # fmt: skip


def _moved(f: Formats, pack: Pack) -> Section:
    say = f.language.say
    head = (say("What happened"), say("Deals"), say("Amount, {unit}", unit=f.currency), say("Largest"))
    rows = tuple(
        (
            text_cell(moved_name(f, line.what)), Cell(f.number(line.deals), line.deals),
            Cell(f.money_full(line.amount), line.amount), text_cell("; ".join(name for _, name, _ in line.largest)),
        )
        for line in pack.moved
    )  # fmt: skip
    won = next((line for line in pack.moved if line.what == "won"), None)
    lost = next((line for line in pack.moved if line.what == "lost"), None)
    said = say(
        "Since {when}: {won} won ({amount}), {lost} lost.",
        when=f.date(pack.since), won=f.number(won.deals if won else 0), amount=f.money(won.amount if won else 0.0),
        lost=f.number(lost.deals if lost else 0),
    )  # fmt: skip
    tables = (Table(head, rows, frozenset({1, 2})),) if rows else ()
    return Section("moved", say("Deals that moved"), (said,), tables)


def _record(f: Formats, pack: Pack) -> Section:
    say = f.language.say
    title = say("Was the last forecast right?")
    if not pack.record:
        return Section("record", title, (say("No period that was forecast is over yet."),))
    last = pack.record[-1]
    value = f.money if last.metric in MONEY_METRICS else f.number
    inside = sum(line.p10 <= line.actual <= line.p90 for line in pack.record)
    lines = [
        say(
            "{period} ended at {actual}. The forecast of {when} said {middle}; its 80% ranges held {inside} of {all} "
            "times.",
            period=last.period, actual=value(last.actual), when=f.date(pack.record[0].as_of),
            middle=value(pack.record[0].p50), inside=inside, all=len(pack.record),
        )
    ]  # fmt: skip
    if last.kind == "reconstructed":
        lines.append(say("These forecasts were reconstructed afterwards from what was known then."))
    head = (say("Forecast of"), say("80% range"), say("Middle"), say("Result"), say("Error"), say("Error of the pace"))
    rows = tuple(_record_row(f, line) for line in pack.record)
    return Section("record", title, tuple(lines), (Table(head, rows, frozenset(range(1, 6))),))


def _record_row(f: Formats, line: Record) -> tuple[Cell, ...]:
    full, short = (f.money_full, f.money) if line.metric in MONEY_METRICS else (f.number, f.number)
    errors = [abs(said - line.actual) / line.actual if line.actual else None for said in (line.p50, line.run_rate)]
    return (
        Cell(f.date(line.as_of, year=True), line.as_of.date()), text_cell(f"{short(line.p10)}–{short(line.p90)}"),
        Cell(full(line.p50), line.p50), Cell(full(line.actual), line.actual),
        *(Cell(f.percent(error, 1), error) for error in errors),
    )  # fmt: skip


def _deals(f: Formats, material: Material, pack: Pack) -> Section:
    say, say_n = f.language.say, f.language.say_n
    title = say("Deals to talk about")
    if not pack.deals:
        return Section("deals", title, (say("No open deal with an amount and a chance is here."),))
    why, step = _why(f, material, pack), _step(f, material, pack)
    head = (say("Deal"), say("Owner"), say("Stage"), say("Amount, {unit}", unit=f.currency), say("Close date"),
            say("Chance to win"), say("Why, and what next"))  # fmt: skip
    rows = tuple(_deal_row(f, material, deal, why.get(deal.deal_id, ""), step.get(deal.deal_id, ""))
                 for deal in pack.deals)  # fmt: skip
    said = say_n(
        "{n} deal where money and doubt are largest: a decision moves most there.",
        "{n} deals where money and doubt are largest: a decision moves most there.",
        len(rows),
    )
    return Section("deals", title, (said,), (Table(head, rows, frozenset({3, 4, 5})),))


def _deal_row(f: Formats, material: Material, deal: TalkAbout, why: str, step: str) -> tuple[Cell, ...]:
    say = f.language.say
    silent = ""
    if deal.silent_days is None:
        silent = say("never contacted")
    elif deal.silent_days >= SILENT_DAYS:
        silent = say("silent for {n} days", n=f.number(deal.silent_days))
    late = say("close date passed") if deal.close_date and deal.close_date < material.today else ""
    told = " · ".join(text for text in (why, silent, late, step) if text)
    return (
        text_cell(deal.name, f"/deals/{quote(deal.deal_id, safe='')}"), text_cell(material.name(deal.owner_id)),
        text_cell(deal.stage), Cell(f.money_full(deal.amount), deal.amount),
        Cell(f.date(deal.close_date), deal.close_date), Cell(f.chance(deal.chance), deal.chance), text_cell(told),
    )  # fmt: skip


def _why(f: Formats, material: Material, pack: Pack) -> dict[str, str]:
    rows = material.scores.frames.get("reasons")
    if rows is None:
        return {}
    rows = rows[(rows["entity"] == "deal") & rows["entity_id"].isin([deal.deal_id for deal in pack.deals])]
    return words.main_reasons(rows, words.namer(f, "deal", material.company, material.facts.products))


def _step(f: Formats, material: Material, pack: Pack) -> dict[str, str]:
    advice = material.scores.frames.get("advice")
    if advice is None:
        return {}
    mine = advice["deal_id"].isin([deal.deal_id for deal in pack.deals])
    first = advice[mine & (advice["rank"] == 1) & (advice["action"] != "pause")]
    return {str(r.deal_id): words.action(f.language, str(r.action), material.company) for r in first.itertuples()}


def risk_name(f: Formats, risk: Risk) -> str:
    """What could go wrong, in a few words."""
    say = f.language.say
    return {
        "target_missed": say("Goal missed: {name}", name=risk.name or say("Company")),
        "slipping": say("Deal slips out of the period: {name}", name=risk.name),
        "concentration": say("Much hangs on one deal: {name}", name=risk.name),
        "account_leaving": say("Customer leaves: {name}", name=risk.name),
    }[risk.kind]


def _risks(f: Formats, pack: Pack) -> Section:
    say, say_n = f.language.say, f.language.say_n
    title = say("Risks")
    if not pack.risks:
        return Section("risks", title, (say("The forecast shows no risk that is worth the meeting's time."),))
    head = (say("Risk"), say("Chance"), say("Money at stake, {unit}", unit=f.currency),
            say("Chance times money, {unit}", unit=f.currency))  # fmt: skip
    rows = tuple(
        (
            text_cell(risk_name(f, r)), Cell(f.chance(r.likelihood), r.likelihood),
            Cell(f.money_full(r.money), r.money),
            Cell(f.money_full(r.likelihood * r.money), r.likelihood * r.money),
        )
        for r in pack.risks
    )  # fmt: skip
    said = say_n("{n} risk; sums of several say nothing, since they overlap.",
                 "{n} risks; sums of several say nothing, since they overlap.", len(rows))  # fmt: skip
    return Section("risks", title, (said,), (Table(head, rows, frozenset({1, 2, 3})),))


def _results(f: Formats, material: Material, pack: Pack) -> Section:
    """The plan's own record of the last quarter."""
    say = f.language.say
    title = say("Is the plan working?")
    goals = [r for r in pack.results if r.part == "goal" and r.attainment is not None]
    if not pack.results:
        return Section("results", title, (say("No goal of the last quarter is on record for you."),))
    reached = sum((r.attainment or 0) >= 1 for r in goals)
    said = say("{n} of {all} goals of the last quarter were reached.", n=f.number(reached), all=f.number(len(goals)))
    head = (say("What"), say("Target"), say("Result"), say("Reached"), say("Quarter before"))
    rows = tuple(_result_row(f, material, one) for one in pack.results)
    return Section("results", title, (said,), (Table(head, rows, frozenset({1, 2, 3, 4})),))


def _result_row(f: Formats, material: Material, one: Result) -> tuple[Cell, ...]:
    value = partial(goal_words.value, f, one.metric)
    return (
        text_cell(result_name(f, material, one)), Cell(value(one.target), one.target),
        Cell(value(one.result), one.result),
        Cell(f.percent(one.attainment), one.attainment), Cell(value(one.before), one.before),
    )  # fmt: skip


def result_name(f: Formats, material: Material, one: Result) -> str:
    """What a result is about: whose goal of what, or the product or segment."""
    scope = material.facts.products.get(one.scope, one.scope)
    if one.part != "goal":
        return scope
    owner = material.team_name(one.owner_id) if one.owner_kind == "team" else None
    parts = (owner or f.language.say("Company"), goal_words.metric(f.language, one.metric), scope)
    return " · ".join(part for part in parts if part)


def _mixes(f: Formats, pack: Pack) -> list[Section]:
    say = f.language.say
    mix = [_mix_row(f, line, products=True) for line in pack.products]
    head = (say("Product"), say("Won"), say("Lost"), say("Won, {unit}", unit=f.currency),
            say("As long before, {unit}", unit=f.currency), say("Win rate (90% range)"))  # fmt: skip
    products = Table(head, tuple(mix), frozenset({1, 2, 3, 4, 5}))
    rivals = Table(
        (say("Competitor"), say("Won"), say("Lost"), say("Won, {unit}", unit=f.currency), say("Win rate (90% range)")),
        tuple(_mix_row(f, line, products=False) for line in pack.competitors), frozenset({1, 2, 3, 4}),
    )  # fmt: skip
    none = say("No deal was closed in this time.")
    return [
        Section("products", say("By product"), () if mix else (none,), (products,) if mix else ()),
        Section("competitors", say("Won and lost by competitor"), () if pack.competitors else (none,),
                (rivals,) if pack.competitors else ()),
    ]  # fmt: skip


def _mix_row(f: Formats, line: MixLine, *, products: bool) -> tuple[Cell, ...]:
    say, n = f.language.say, line.won + line.lost
    low, high = wilson(line.won, n)
    rate = say("{rate} ({range})", rate=f.percent(line.won / n), range=f.percent_range(low, high)) if n >= 5 else (
        say("too few"))  # fmt: skip
    before = [Cell(f.money_full(line.amount_before), line.amount_before)] if products else []
    return (
        text_cell(line.name or say("not recorded")), Cell(f.number(line.won), line.won),
        Cell(f.number(line.lost), line.lost), Cell(f.money_full(line.amount), line.amount), *before, text_cell(rate),
    )  # fmt: skip
