"""Goals in words: metrics, periods, owners, values, states of pace, letters of the check."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from crm.schema import METRICS, RATIO_METRICS
from planning.goals import COMPANY, MONEY_METRICS, Goal
from planning.periods import grain_of
from serving.format import MISSING, Formats
from serving.i18n import Language
from serving.pages.desk import Desk

LETTERS = "SMART"


def metric(language: Language, name: str) -> str:
    """What a goal counts."""
    say = language.say
    named = {
        "bookings": say("Bookings"),
        "won_deals": say("Won deals"),
        "conversion_rate": say("Conversion rate"),
        "retention_rate": say("Retention rate"),
        "activities": say("Activities"),
        "new_accounts": say("New customers"),
        "customer_satisfaction": say("Customer satisfaction"),
        "market_share": say("Market share"),
        "collected": say("Payments received"),
    }
    return named.get(name, name)


def metrics(language: Language) -> list[tuple[str, str]]:
    """All metrics with their names, for a choice."""
    return [(name, metric(language, name)) for name in METRICS]


def value(f: Formats, of: str, number: float | None) -> str:
    """A target or a result in the metric's unit."""
    if number is None or number != number:
        return MISSING
    if of in MONEY_METRICS:
        return f.money_full(float(number))
    if of in RATIO_METRICS:
        return f.percent(float(number), 1)
    return f.number(float(number), 2 if of == "customer_satisfaction" else 0 if float(number) % 1 == 0 else 1)


def short(f: Formats, of: str, number: float) -> str:
    """A value for a sentence: money short."""
    return f.money(number) if of in MONEY_METRICS else value(f, of, number)


def period(desk: Desk, start: date, end: date) -> str:
    """A period by its fiscal name where it has one, else by its days."""
    f, grain = desk.formats, grain_of(start, end, desk.company)
    found = desk.company.period_of(start, grain) if grain else None
    if found is not None and grain in ("quarter", "year"):
        return f.period(found)
    days = f"{f.date(start)}–{f.date(end - timedelta(days=1), True)}"
    if found is None:
        return days
    joint = "({days})" if desk.language.code == "en" else "（{days}）"
    return (
        f"{found.name} {joint}".format(days=days)
        if desk.language.code == "en"
        else found.name + joint.format(days=days)
    )


def owner(desk: Desk, kind: str, ident: str) -> str:
    """Name of the company, a team or a person."""
    if kind == COMPANY:
        return desk.visit.shell.company
    return (desk.team_names if kind == "team" else desk.names).get(ident, ident)


def scope(desk: Desk, row: Mapping[str, Any]) -> str:
    """What a goal is narrowed to; empty where it is not."""
    product = row["product_id"]
    parts = [desk.facts.products.get(product, product) if product else "", row["product_family"], row["segment"]]
    return " · ".join(str(part) for part in parts if part)


def goal(desk: Desk, one: Goal) -> str:
    """A goal by its owner, metric, scope and period."""
    parts = [owner(desk, one.owner_kind, one.owner_id), metric(desk.language, one.metric)]
    return " · ".join([*parts, *one.scope.values(), period(desk, one.start, one.end)])


def letter(language: Language, name: str) -> str:
    """One letter of the check."""
    say = language.say
    return {
        "S": say("Specific"),
        "M": say("Measurable"),
        "A": say("Achievable"),
        "R": say("Relevant"),
        "T": say("Time-bound"),
    }[name]


def way(language: Language, name: str) -> str:
    """How a goal is split."""
    say = language.say
    return {
        "equal": say("Equal shares"),
        "history": say("By own results of the last periods"),
        "capacity": say("By working days, part time and time in the job"),
        "potential": say("By what is forecast"),
        "blend": say("A mixture"),
    }[name]


def fairness(language: Language, word: str) -> str:
    """How fair a split is."""
    say = language.say
    return {"good": say("fair to all"), "fair": say("fair enough"), "uneven": say("uneven")}[word]


def pace(language: Language, status: str) -> str:
    """Where one stands against the season's curve."""
    say = language.say
    named = {
        "ahead": say("ahead"),
        "on": say("on course"),
        "behind": say("behind"),
        "far behind": say("far behind"),
        "too early to say": say("too early to say"),
        "out of reach": say("out of reach"),
    }
    return named.get(status, MISSING)


def what(language: Language, name: str) -> str:
    """What was done to a goal."""
    say = language.say
    named = {
        "made": say("set"),
        "changed": say("changed"),
        "ended": say("ended"),
        "taken over": say("taken over from the CRM"),
        "undone": say("put back"),
    }
    return named.get(name, name)


def basis(f: Formats, text: str) -> str:
    """What a pace rests on, from its parts as `planning` names them."""
    say, found = f.language.say, []
    known = {
        "straight line: no like period of a past year": say(
            "a straight line, since no like period of a past year is on record"
        ),
        "season of the year before": say("the season of the year before"),
        "open deals as forecast": say("open deals as forecast"),
        "open deals not forecast, counted as nothing": say("open deals not forecast yet"),
        "closings go on as in the days gone": say("closings go on as in the days gone"),
    }
    for part in filter(None, text.split("; ")):
        n = next((word for word in part.split() if word.isdigit()), "")
        if part in known:
            found.append(known[part])
        elif part.startswith("season of "):
            found.append(say("the season of {n} years before", n=n))
        elif part.startswith("curves of "):
            found.append(say("the range of {n} past periods", n=n))
        else:
            raise KeyError(part)
    return say("Rests on: {parts}.", parts=("、" if f.language.code == "zh" else ", ").join(found)) if found else ""
