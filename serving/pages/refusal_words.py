"""Why a row was refused, and the mend, in the visitor's language: what files and the API say in English."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

from serving.i18n import Language

Say = Callable[..., str]


def told(language: Language, text: str) -> str:
    """A reason or a mend, as the quarantine has it, in this language; in English where it has no translation."""
    for pattern, sentence in _patterns():
        if found := pattern.fullmatch(text):
            return language.say(sentence, **found.groupdict())
    return text


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Each sentence as an expression that finds it and what stands in its places; the plain ones first."""
    said = sorted({*reasons(str), *mends(str)}, key=lambda sentence: (sentence.count("{"), sentence))
    return tuple((re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(s)), re.DOTALL), s) for s in said)


def reasons(say: Say) -> tuple[str, ...]:
    """What is wrong with a cell or a row."""
    return (
        say("is empty"),
        say("is not an identifier"),
        say("is not text"),
        say("is not a time such as 2026-02-28T14:05:00Z, or a date"),
        say("is not a date such as 2026-02-28"),
        say("is not an amount such as 1234.56"),
        say("is not a number such as 0.5"),
        say("is not a whole number"),
        say("is not one of {words}"),
        say("is below {limit}"),
        say("is above {limit}"),
        say("is longer than {limit} characters"),
        say("holds a null character"),
        say("is no field whose changes are kept"),
        say("stands in row {row} with other values"),
        say("has more columns than the header"),
        say("has fewer columns than the header"),
        say("has a quote that does not end"),
        say("cannot be split into columns"),
        say("is no JSON object"),
        say("cell {place} holds the error {value}"),
        say("cell {place} is a formula whose value was not stored"),
    )


def mends(say: Say) -> tuple[str, ...]:
    """What to do about it."""
    return (
        say("Every row needs one: fill it in, or map another column."),
        say("Mend the value."),
        say("Shorten it, or leave the column out."),
        say("Take it out of the text."),
        say("Give one of {fields} or x_*, or leave such rows out by where in the mapping."),
        say("Give one of these words, or say under values in the mapping what it means: {words}."),
        say("Give a date such as 2026-02-28, or set dates in the mapping."),
        say("Give a number such as 1234.56, or set decimal and thousands in the mapping."),
        say("Keep one of the two rows."),
        say("Mend the row, or its quotes and delimiters."),
        say("Write one object {...} a line."),
        say("Mend the cell, then save the workbook in Excel so that it keeps its values."),
    )
