"""Words for what data hold as codes: features, actions, kinds of events, bases of advice."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import pandas as pd

from crm.company import Company
from crm.errors import NotFound
from features.catalogue import OTHERS, WHO, Entity, feature
from serving.feedback import REST_DAYS
from serving.format import Formats
from serving.i18n import Language
from serving.pages.outlook import as_day, number

# Months and the like are shown as they are; only these units change how a number is written.
_MONEY_UNITS = ("base currency", "money")
_SHARE_UNITS = ("share", "probability", "rate", "share of the scale")


def reason(f: Formats, entity: Entity, company: Company, name: str, value: object, text: object) -> tuple[str, bool]:
    """A feature's sentence with its value, and whether a person can change it."""
    try:
        known = feature(entity, name, company)
    except NotFound:
        return _shown(f, name.replace("_", " "), "", value, text), False
    sentence = f.language.choose(known.en, known.zh).split(";")[0]
    if not known.sql:  # a theme has no value of its own
        return sentence, False
    text = kind(f.language, str(text)) if name == "kind" and isinstance(text, str) else text
    return _shown(f, sentence, known.unit, value, text), bool(known.can_act)


def _shown(f: Formats, sentence: str, unit: str, value: object, text: object) -> str:
    joint = "：" if f.language.code == "zh" else ": "
    said = str(text) if isinstance(text, str) and text else _value(f, unit, number(value))
    # 'Age of the deal: 35 days', but 'Days since the last contact: 3'.
    if unit == "days" and number(value) is not None and not any(day in sentence.lower() for day in ("day", "天")):
        said = f.language.say("{n} days", n=said)
    return f"{sentence}{joint}{said}"


def _value(f: Formats, unit: str, value: float | None) -> str:
    if value is None:
        return f.language.say("not known")
    if unit == "yes or no":
        return f.language.say("yes") if value else f.language.say("no")
    if unit in _MONEY_UNITS:
        return f.money(value)
    if unit in _SHARE_UNITS:
        return f.percent(value)
    if unit == "ratio":
        return f"{f.significant(value, 2)}×"
    whole = unit in ("days", "count") or math.isclose(value, round(value), abs_tol=0.05)
    return f.number(value, 0 if whole else 1)


def action(language: Language, name: str, company: Company | None = None) -> str:
    """An action as something to do; one of the company's own as the company calls it."""
    say = language.say
    for own in company.advice.actions if company else ():
        if own.name == name:
            return own.called(language.code)
    named: dict[str, str] = {
        "email": say("Write an e-mail"),
        "call": say("Call the customer"),
        "meeting": say("Meet the customer"),
        "demo": say("Show a demo"),
        "proposal": say("Send a proposal"),
        "visit": say("Visit the customer"),
        "involve_decision_maker": say("Meet a decision maker"),
        "add_contact": say("Win a second contact"),
        "requalify": say("Check whether the deal is still real"),
        "reset_close_date": say("Set a realistic close date"),
        "hand_over": say("Hand the deal to a colleague"),
        "pause": say("Wait; nothing would change this deal much now"),
    }
    return named.get(name, name.replace("_", " "))


def basis(language: Language, name: str) -> tuple[str, str]:
    """The name of what advice rests on, and what that means."""
    say = language.say
    named = {
        "association": (
            say("Association"),
            say("Seen together with winning in past deals; not proof that the step causes it."),
        ),
        "adjusted": (
            say("Adjusted estimate"),
            say("Compared with similar deals without this step; hidden reasons may remain."),
        ),
        "measured": (say("Measured"), say("Measured by holding advice back at random.")),
    }
    return named.get(name, (name, ""))


def event(language: Language, what: str, detail: str | None) -> str:
    """One entry of a timeline."""
    say = language.say
    if what in ("email", "call"):
        way = {
            ("email", "in"): say("E-mail from the customer"),
            ("email", "out"): say("E-mail to the customer"),
            ("call", "in"): say("Call from the customer"),
            ("call", "out"): say("Call to the customer"),
        }
        return way.get((what, str(detail)), say("E-mail") if what == "email" else say("Call"))
    named = {
        "meeting": say("Meeting"),
        "demo": say("Demo"),
        "proposal": say("Proposal"),
        "visit": say("Visit"),
        "note": say("Note"),
        "task": say("Task"),
        "ticket": say("Service ticket opened"),
    }
    return named.get(what, what)


def field(language: Language, name: str) -> str:
    """A logged field of a deal."""
    say = language.say
    named = {
        "stage": say("Stage"),
        "amount": say("Amount"),
        "close_date": say("Planned close date"),
        "owner_id": say("Owner"),
        "forecast_category": say("Forecast category"),
    }
    return named.get(name, name.removeprefix("x_").replace("_", " "))


def changed(f: Formats, names: Mapping[str, str], name: str, value: object, currency: str | None = None) -> str:
    """A logged value of a field as people read it; `names` by rep_id, `currency` of the deal."""
    text = text_or(value, "—")
    if name == "owner_id":
        return names.get(text, text)
    try:
        if name == "amount":
            return f.money_in(float(text), currency)
        if name == "close_date":
            return f.date(as_day(text))
    except ValueError:
        return text
    return text


def kind(language: Language, name: str | None) -> str:
    """What sort of deal it is."""
    say = language.say
    named = {
        "new": say("New business"),
        "expansion": say("Expansion"),
        "renewal": say("Renewal"),
        "lead": say("Lead"),
    }
    return named.get(name or "new", str(name))


def both(language: Language, stored: object) -> list[str]:
    """Sentences that data carry in both languages, as JSON: a list of texts or of {en, zh}."""
    if not isinstance(stored, str) or not stored:
        return []
    try:
        found: Any = json.loads(stored)
    except ValueError:
        return [stored]
    if isinstance(found, dict):
        found = found.get(language.code) or found.get("en") or []
    entries = found if isinstance(found, list) else [found]
    return [language.choose(str(e.get("en", "")), e.get("zh")) if isinstance(e, dict) else str(e) for e in entries]


def text_or(value: object, other: str) -> str:
    """A text of a frame, or another where it is missing."""
    return str(value) if isinstance(value, str) and value else other


def moment(value: object) -> datetime | None:
    """A moment of a frame; None where it is missing."""
    if value is None or value is pd.NaT:
        return None
    when = pd.Timestamp(value)
    if when is pd.NaT:
        return None
    return (when.tz_localize("UTC") if when.tzinfo is None else when).to_pydatetime()


Namer = Callable[[str, object, object], tuple[str, bool]]


def namer(f: Formats, entity: Entity, company: Company, products: Mapping[str, str]) -> Namer:
    """How `pages.reasons` shall name an entity's features; `products` gives names by product_id."""

    def name_of(name: str, value: object, text: object) -> tuple[str, bool]:
        known = products.get(text, text) if name == "product_id" and isinstance(text, str) else text
        return reason(f, entity, company, name, value, known)

    return name_of


def main_reasons(rows: pd.DataFrame, name: Namer) -> dict[str, str]:
    """The strongest reason of each entity in words, with the direction it works in."""
    shown = rows[~rows["feature"].isin([WHO.name, OTHERS.name])]
    if shown.empty:
        return {}
    strongest = shown.loc[shown["contribution"].abs().groupby(shown["entity_id"]).idxmax()]
    return {
        str(r.entity_id): ("↑ " if r.contribution > 0 else "↓ ") + name(r.feature, r.value, r.text)[0]
        for r in strongest.itertuples()
    }


def answered(language: Language, answer: str, *, wrong: str) -> str:
    """What a visitor said of a suggestion, and what follows from it; `wrong` is what is said where it is wrong."""
    say = language.say
    return {
        "done": say("You said: done. It rests for {days} days.", days=REST_DAYS),
        "helped": say("You said: helped"),
        "did_not_help": say("You said: did not help"),
        "not_now": say("You said: not now. It rests for {days} days.", days=REST_DAYS),
        "wrong": wrong,
    }.get(answer, "")
