"""Runs blocks: the gate lets through what was known at as-of, one aggregate a feature, then one flat join.

Many rows on DuckDB get the same numbers from sorted events (`features.running`) wherever a definition allows it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb
import pyarrow as pa

from crm.schema import TABLES
from features.catalogue import Block, Feature
from features.language import SECONDS_A_DAY, BadDefinition, checked, rows_counted
from features.parts import parts_of
from features.running import Events, aggregate
from features.session import Session, better_sorted
from features.sources import FROM

_LATER = frozenset(c.name for t in TABLES.values() for c in t.columns if c.known == "later")
_CARRIED = (
    "this_start",
    "this_end",
    "period_age",
    "period_days",
    "period_left",
    "last_year_began",
    "last_year_ended",
)
_ROWS = "__rows"  # suffix of the count beside a sum


@dataclass(frozen=True, slots=True)
class _Made:
    """A block whose tables are made: what stands in that from sorted events, and whether there is one by the gate."""

    block: Block
    quick: frozenset[str]
    gated: bool


def run_blocks(
    session: Session,
    blocks: Sequence[Block],
    present: Collection[str],
    logged: Mapping[str, datetime],
    kept: set[str] | None = None,
) -> pa.Table:
    """Features of every row of the table `state`, one row each, in no order.

    Where no event passed the gate a count or sum is 0 and anything else missing; where the company has no such table,
    or did not log the field yet, counts and sums are missing too.

    Parameters
    ----------
    session : Session
        Holds `state` (key, as_of and what is known of the entity then) and the blocks' events.
    blocks : sequence of Block
        Blocks with events are aggregated one after the other; then those without are worked out on the joined row.
    present : collection of str
        Canonical tables that the company has.
    logged : mapping of str to datetime
        Fields of deals that it logs, and since when.
    kept : set of str, optional
        Where a large table is described in parts: blocks of which what rows share (the same owner at the same moment,
        say) is kept from part to part. It begins empty and is changed here.

    Raises
    ------
    BadDefinition
        If a definition is not allowed, or the engine refuses it.
    """
    gated = [block for block in blocks if block.events]
    carried = [c for c in session.columns("state") if c in _CARRIED]
    key = f"{blocks[0].entity}_id"
    made = [_aggregate(session, block, carried, kept) for block in gated]
    wide = _joined(made, present, logged)
    names = {key, "as_of", *(f.name for block in blocks for f in block.features)}
    known = [*session.columns("state"), *(f.name for block in gated for f in block.features)]
    found = _on_rows(session, wide, known, [f for block in blocks if not block.events for f in block.features], names)
    for each in made:
        session.drop(f"run_{each.block.name}")
        if not kept or each.block.name not in kept:
            session.drop(f"gate_{each.block.name}")
    session.drop("state")
    return found


def _aggregate(session: Session, block: Block, carried: Sequence[str], kept: set[str] | None) -> _Made:
    events = session.columns(block.events)
    known = frozenset(events) | {"age", "as_of"} | set(carried)
    parts = {f: checked(f.name, f.sql, known, _LATER - known, True) for f in block.features}
    wanted = {name: sql for f, checked_sql in parts.items() for name, sql in _columns(f, checked_sql).items()}
    shared = "as_of" not in events and _attach_new_points(session, block, carried, kept or ())
    asked, gated = ("new_points", f"new_{block.name}") if shared else ("state", f"gate_{block.name}")
    moving = frozenset({"age", "as_of", *carried})
    quick = {} if "as_of" in events else _by_running(session, block, asked, wanted, moving)
    slow = ", ".join(f'{sql} as "{name}"' for name, sql in wanted.items() if name not in quick)
    if slow:
        gate = _gate(block, asked, events, carried)
        try:
            session.make(gated, f"{gate} select _key, as_of, {slow} from seen group by _key, as_of")
        except session.errors:
            _name_the_culprit(session, {f: f"{gate} select {sql} from seen" for f, sql in parts.items()})
            raise
    made = _Made(block, frozenset(quick), bool(slow))
    if shared:
        return _shared(session, made, list(wanted), kept)
    if kept:
        kept.discard(block.name)
    return made


def _attach_new_points(session: Session, block: Block, carried: Sequence[str], kept: Collection[str]) -> bool:
    """Make `new_points`, each once, less those of earlier parts; False where few rows share any, so it is not worth it.

    An owner or a stage has thousands of rows at a moment, and the next part of a large table has the same again.
    """
    if block.by == f"{block.entity}_id" or not better_sorted(session, "state"):
        return False
    columns = ", ".join(f's."{c}"' for c in (block.by, "as_of", *carried))
    join = f'anti join gate_{block.name} g on g._key = s."{block.by}" and g.as_of = s.as_of'
    earlier = join if block.name in kept else ""
    session.make("new_points", f'select distinct {columns} from state s {earlier} where s."{block.by}" is not null')
    return 2 * session.rows("new_points") < session.rows("state")


def _shared(session: Session, made: _Made, names: Sequence[str], kept: set[str] | None) -> _Made:
    """Make one table by key and moment of what was worked out for `new_points` in both ways, and for earlier parts."""
    name, by = made.block.name, made.block.by
    columns = ", ".join(f'{"r" if c in made.quick else "g"}."{c}"' for c in names)
    quick = f"positional join run_{name} r" if made.quick else ""
    slow = f'left join new_{name} g on g._key = p."{by}" and g.as_of = p.as_of' if made.gated else ""
    query = f'select p."{by}" as _key, p.as_of, {columns} from new_points p {quick} {slow}'
    before = f"select * from gate_{name} union all by name " if kept and name in kept else ""
    session.make(f"gate_{name}", f"{before}({query})")
    for table in (f"run_{name}", f"new_{name}", "new_points"):
        session.drop(table)
    if kept is not None:
        kept.add(name)
    return _Made(made.block, frozenset(), True)


def _columns(feature: Feature, sql: str) -> dict[str, str]:
    rows = rows_counted(feature.sql)
    return {feature.name: sql} | ({f"{feature.name}{_ROWS}": rows} if rows else {})


def _by_running(
    session: Session, block: Block, asked: str, wanted: Mapping[str, str], moving: frozenset[str]
) -> Collection[str]:
    """Make the block's table with what needs no gate, a row for each row of a table; the names of that."""
    if not better_sorted(session, asked):
        return ()
    apart = {name: parts_of(sql, moving) for name, sql in wanted.items()}
    # A sum and its count stay together.
    taken = {
        n: parts
        for n, parts in apart.items()
        if parts and apart.get(n.removesuffix(_ROWS)) and (f"{n}{_ROWS}" not in apart or apart[f"{n}{_ROWS}"])
    }
    if not taken:
        return ()
    parts = {part.name: part for _, found in taken.values() for part in found.values()}
    events = Events(block.events, block.key, block.clock)
    try:
        table = aggregate(session.local, asked, block.by, events, list(parts.values()), block.within)
    except duckdb.Error:  # such as the greatest of days: the gate takes what has no number
        return ()
    columns = ", ".join(f'{sql} as "{name}"' for name, (sql, _) in taken.items())
    session.keep(f"run_{block.name}", table, f"select {columns} from run_{block.name}")
    return taken.keys()


def _gate(block: Block, asked: str, events: Collection[str], carried: Sequence[str]) -> str:
    points = ", ".join([f'"{block.by}" as _key', "as_of", *carried])
    seen = ", ".join(["p.*", *(f'e."{c}"' for c in events if c not in ("as_of", *carried))])
    return f"""
        with points as (select distinct {points} from {asked} where "{block.by}" is not null),
        seen as (
            select {seen}, date_diff('microsecond', e.{block.clock}, p.as_of) / 1e6 as age
            from points p join {block.events} e on e."{block.key}" = p._key and {_moment(block, events)}
        )
    """


def _moment(block: Block, events: Collection[str]) -> str:
    # Events that stand for one as-of (a pipeline as it was then) are matched with that one alone.
    if "as_of" in events:
        return "e.as_of = p.as_of"
    known = f"e.{block.clock} <= p.as_of"
    if block.within is None:
        return known
    return f"{known} and epoch(e.{block.clock}) >= epoch(p.as_of) - {block.within * SECONDS_A_DAY}"


def _joined(made: Sequence[_Made], present: Collection[str], logged: Mapping[str, datetime]) -> str:
    columns = ["s.*"]
    for each in made:
        if FROM[each.block.events] in present:
            columns += [_filled(each, f, present, logged) for f in each.block.features]
        else:
            columns += [f'null::double as "{f.name}"' for f in each.block.features]
    # Tables from sorted events have a row for each of the state's, in its order.
    aligned = [f"positional join run_{each.block.name} r_{each.block.name}" for each in made if each.quick]
    gated = [
        f'left join gate_{name} g_{name} on g_{name}._key = s."{each.block.by}" and g_{name}.as_of = s.as_of'
        for each in made
        if each.gated and (name := each.block.name)
    ]
    return f"(select {', '.join(columns)} from state s {' '.join([*aligned, *gated])}) wide"


def _filled(made: _Made, feature: Feature, present: Collection[str], logged: Mapping[str, datetime]) -> str:
    alias = f"{'r' if feature.name in made.quick else 'g'}_{made.block.name}"
    value, needs = f'{alias}."{feature.name}"', feature.needs
    if needs and needs not in present and needs not in logged:
        return f'null::double as "{feature.name}"'
    if feature.unit == "count":
        value = f"coalesce({value}, 0)"
    elif rows_counted(feature.sql):
        # A sum of nothing is 0; a sum of unknown amounts is not known.
        value = f'case when coalesce({alias}."{feature.name}{_ROWS}", 0) = 0 then 0 else {value} end'
    if needs in logged:
        value = f"case when s.as_of >= timestamptz '{logged[needs].isoformat()}' then {value} end"
    return f'{value} as "{feature.name}"'


def _on_rows(
    session: Session, wide: str, columns: Sequence[str], features: Sequence[Feature], wanted: Collection[str]
) -> pa.Table:
    known = frozenset(columns)
    made = {f: checked(f.name, f.sql, known, _LATER - known, False) for f in features}
    names = {f.name for f in features}
    kept = [f'"{c}"' for c in columns if (c in wanted and c not in names) or c.startswith("x_")]
    chosen = ", ".join([*kept, *(f'{sql} as "{f.name}"' for f, sql in made.items())])
    try:
        return session.fetch(f"select {chosen} from {wide}")
    except session.errors:
        _name_the_culprit(session, {f: f"select {sql} from {wide}" for f, sql in made.items()})
        raise


def _name_the_culprit(session: Session, queries: dict[Feature, str]) -> None:
    for rows in (" limit 0", ""):  # first what cannot be read at all, then what fails on some row
        for feature, query in queries.items():
            try:
                session.fetch(query + rows)
            except session.errors as error:
                problem = "the engine cannot use it ({})".format(str(error).split("\n")[0].split("Error: ", 1)[-1])
                mend = "Check columns, types and brackets."
                raise BadDefinition(feature.name, feature.sql, problem, mend) from None
