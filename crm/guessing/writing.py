"""A proposal as the text of a mapping: what is sure as lines, what is not as comments with what could fill them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from crm.guessing.proposal import Proposal, Proposed, ProposedTable

_PLAIN = re.compile(r"[\w][\w /().%-]*[\w).%]|[\w]")


def as_yaml(proposal: Proposal) -> str:
    """The mapping as YAML to be looked through.

    A column that could not be told stands as a comment, so that an import by the mapping names it rather than fills it
    wrongly.
    """
    return "\n".join(_lines(proposal)) + "\n"


def _lines(proposal: Proposal) -> Iterator[str]:
    looks = f"looks like an export of {proposal.crm}" if proposal.crm else "of no CRM that is known by name"
    yield f"# Proposed from the files themselves: {looks}. Look through it before you import by it."
    yield "# known: the CRM's own name for it; likely: a usual name; unsure: left as a comment for you to decide."
    yield f"name: {_word(proposal.crm or 'Our CRM')}"
    stages = [s for table in proposal.tables for s in table.stages]
    if stages:
        yield "# Open stages as they occur; put them in order, first to last, and take out what is none."
        yield "stages:"
        yield f'  "*": [{", ".join(_word(s) for s in dict.fromkeys(stages))}]'
    yield "tables:"
    for table in proposal.tables:
        yield from _table(table)
    for file in proposal.unknown:
        yield f"  # {file}: fits no table that is known"


def _table(table: ProposedTable) -> Iterator[str]:
    yield f"  - table: {table.table}"
    yield f"    file: {_word(table.file)}"
    if table.dates or table.numbers:
        yield "    format:"
        for column in table.doubtful_dates:
            yield f"      # {column}: day and month could be the other way round; see that it is as you write them"
        if table.dates:
            yield f"      dates: [{', '.join(json.dumps(d, ensure_ascii=False) for d in table.dates)}]"
        if table.numbers:
            yield f'      decimal: "{table.numbers.decimal}"'
            if table.numbers.thousands:
                yield f'      thousands: "{table.numbers.thousands}"'
    yield "    columns:"
    for proposed in table.columns:
        yield from _column(proposed)
    if table.unused:
        yield f"    # not used: {', '.join(table.unused)}"


def _column(proposed: Proposed) -> Iterator[str]:
    if proposed.source is None:
        others = f"; could be: {', '.join(proposed.others)}" if proposed.others else ""
        yield f"      # {proposed.column}:  # unsure: {proposed.why}{others}"
        return
    yield f"      {proposed.column}: {_value(proposed)}  # {proposed.sure}: {proposed.why}"


def _value(proposed: Proposed) -> str:
    source = proposed.source
    origin = _word(source) if isinstance(source, str) else f"[{', '.join(_word(s) for s in source or ())}]"
    if isinstance(source, str) and not (proposed.person or proposed.values or proposed.where):
        return origin
    parts = [f"from: {origin}"]
    if proposed.person:
        parts.append("person: true")
    if proposed.values:
        pairs = ", ".join(f"{_word(k)}: {'null' if v is None else _word(v)}" for k, v in proposed.values.items())
        parts.append(f"values: {{{pairs}}}")
    if proposed.where:
        pairs = ", ".join(f"{_word(k)}: [{', '.join(map(_word, v))}]" for k, v in proposed.where.items())
        parts.append(f"where: {{{pairs}}}")
    return f"{{{', '.join(parts)}}}"


def _word(text: str) -> str:
    """A word as YAML reads it again: quoted where anything in it could mean something else."""
    plain = _PLAIN.fullmatch(text) and text.lower() not in ("null", "true", "false", "yes", "no", "on", "off")
    return text if plain and not text[0].isdigit() else json.dumps(text, ensure_ascii=False)
