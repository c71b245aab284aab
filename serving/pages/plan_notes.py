"""What is missing or left out of a figure of the plan, in the visitor's language."""

from __future__ import annotations

import re
from collections.abc import Callable

from serving.i18n import Language

JOINT = "; "


def notes_said(language: Language, notes: str) -> str:
    """Notes of `planning`, which are joined by '; ', in words; what is not known here stays as it is."""
    joint = "；" if language.code == "zh" else JOINT
    return joint.join(_said(language, one) for one in notes.split(JOINT)) if notes else ""


def _said(language: Language, note: str) -> str:
    say = language.say
    patterns: dict[str, Callable[[re.Match[str]], str]] = {
        r"needs market_sizes: (\d+) of (\d+) days are known": lambda m: say(
            "needs the table market_sizes: {known} of {days} days are known", known=m[1], days=m[2]
        ),
        r"needs (.+) or (.+)": lambda m: say("needs the table {one} or {other}", one=m[1], other=m[2]),
        r"needs (.+)": lambda m: say("needs the table {name}", name=m[1]),
        r"(\d+) left out: no amount or no rate to the base currency": lambda m: say(
            "{n} left out: no amount, or no rate to the base currency", n=m[1]
        ),
        r"(\d+) open deals are more than (\d+) days past their closing day": lambda m: say(
            "{n} open deals are more than {days} days past their closing day", n=m[1], days=m[2]
        ),
        r"no grade in the period": lambda m: say("no grade in the period"),
        r"no deal closed in the period": lambda m: say("no deal closed in the period"),
        r"no contract ran before the period": lambda m: say("no contract ran before the period"),
    }
    for pattern, said in patterns.items():
        if (match := re.fullmatch(pattern, note)) is not None:
            return said(match)
    return note
