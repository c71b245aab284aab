"""The page of all features, as Markdown: written from the catalogue, so that it cannot say anything else."""

from __future__ import annotations

from features.catalogue import ENTITIES, Block, Entity, Feature, blocks
from features.lineage import by_table, lineage

_HEAD = """# Features

Every number and word that the models get, as known at a moment T: a row counts from when it was recorded on.
`age` is the time since then in seconds, `days(n)` are n days in seconds. A count or sum is 0 where nothing happened;
it is missing, like everything else, where the company has no such table. ✓ marks what a person can change, † what tells
who the owner is. The last column names the tables and columns that a value rests on, keys and times among them.
Columns `x_*` of deals are features too. A company adds its own in `company.yaml` under `features`: block, name, sql,
unit, en, zh.
"""
_TITLES = {"deal": "Deals", "rep": "Reps in a quarter", "account": "Accounts"}


def as_markdown() -> str:
    """The whole page; `docs/features.md` holds it."""
    parts = [_HEAD]
    for entity in ENTITIES:
        parts.append(f"## {_TITLES[entity]}\n")
        parts += [_section(block) for block in blocks(entity)]
    return "\n".join(parts)


def _section(block: Block) -> str:
    reads = f"Reads `{block.events}` by `{block.key}`" if block.events else "Worked out on the row itself"
    recent = f", no older than {block.within} days" if block.within else ""
    rows = "\n".join(_row(block.entity, feature) for feature in block.features)
    columns = "| feature | says | unit | ✓ | SQL | rests on |\n| --- | --- | --- | --- | --- | --- |"
    return f"### {block.name}\n{reads}{recent}.\n\n{columns}\n{rows}\n"


def _row(entity: Entity, feature: Feature) -> str:
    name = f"`{feature.name}`" + ("" if feature.shown else " (for others)")
    marks = ("✓" if feature.can_act else "") + ("†" if feature.identity else "")
    reads = by_table(lineage(entity, feature.name)) or "the calendar"
    return f"| {name} | {feature.en} / {feature.zh} | {feature.unit} | {marks} | `{feature.sql}` | {reads} |"
