"""Runs blocks on DuckDB: the gate lets through what was known at as-of, one aggregate a feature, then one flat join."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import duckdb

from crm.schema import TABLES
from features.catalogue import Block, Feature
from features.language import checked
from features.sources import FROM

_LATER = frozenset(c.name for t in TABLES.values() for c in t.columns if c.known == "later")


def run_blocks(
    con: duckdb.DuckDBPyConnection, blocks: Sequence[Block], present: Collection[str]
) -> duckdb.DuckDBPyRelation:
    """Features of every row of the table `state`, one row each, in no order.

    Parameters
    ----------
    con : DuckDBPyConnection
        Holds `state` (key, as_of and what is known of the entity then) and the blocks' events.
    blocks : sequence of Block
        Blocks with events are aggregated one after the other; then those without are worked out on the joined row.
    present : collection of str
        Canonical tables that the company has; a count on another is missing, not 0.
    """
    gated = [block for block in blocks if block.events]
    for block in gated:
        _aggregate(con, block)
    _join(con, gated, present)
    return con.sql(_on_rows(con, [f for block in blocks if not block.events for f in block.features]))


def _aggregate(con: duckdb.DuckDBPyConnection, block: Block) -> None:
    events = _columns(con, block.events)
    carried = [c for c in ("this_start", "this_end", "period_age") if c in _columns(con, "state")]
    known = frozenset(events) | {"age", "as_of"} | set(carried)
    parts = ", ".join(f'{checked(f.name, f.sql, known, _LATER - known, True)} as "{f.name}"' for f in block.features)
    points = ", ".join([f'"{block.by}" as _key', "as_of", *carried])
    seen = ", ".join(["p.*", *(f'e."{c}"' for c in events if c not in ("as_of", *carried))])
    # Events that stand for one as-of (a pipeline as it was then) are matched with that one alone.
    moment = "e.as_of = p.as_of" if "as_of" in events else f"e.{block.clock} <= p.as_of"
    con.execute(f"""
        create or replace temp table block_{block.name} as
        with points as (select distinct {points} from state where "{block.by}" is not null),
        seen as (
            select {seen}, date_diff('microsecond', e.{block.clock}, p.as_of) / 1e6 as age
            from points p join {block.events} e on e."{block.key}" = p._key and {moment}
        )
        select _key, as_of, {parts} from seen group by _key, as_of
    """)


def _join(con: duckdb.DuckDBPyConnection, blocks: Sequence[Block], present: Collection[str]) -> None:
    columns, joins = ["s.*"], []
    for block in blocks:
        alias = f"b_{block.name}"
        joins.append(
            f'left join block_{block.name} {alias} on {alias}._key = s."{block.by}" and {alias}.as_of = s.as_of'
        )
        columns += [_filled(alias, f, FROM[block.events] in present) for f in block.features]
    con.execute(f"create or replace temp table wide as select {', '.join(columns)} from state s {' '.join(joins)}")


def _filled(alias: str, feature: Feature, present: bool) -> str:
    value = f'{alias}."{feature.name}"'
    adds_up = feature.unit == "count" or feature.sql.startswith("sum(") and "/" not in feature.sql
    if not adds_up:
        return f'{value} as "{feature.name}"'
    return f'{f"coalesce({value}, 0)" if present else "null::double"} as "{feature.name}"'


def _on_rows(con: duckdb.DuckDBPyConnection, features: Sequence[Feature]) -> str:
    wide = _columns(con, "wide")
    known = frozenset(wide)
    made = {f.name: checked(f.name, f.sql, known, _LATER - known, False) for f in features}
    kept = ", ".join(f'"{c}"' for c in wide if c not in made)
    added = "".join(f', {sql} as "{name}"' for name, sql in made.items())
    return f"select {kept}{added} from wide"


def _columns(con: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    return [row[0] for row in con.sql(f"describe {table}").fetchall()]
