"""Which columns of the canonical tables a feature reads: noted while its sources are made, over empty tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from types import MappingProxyType

import duckdb
import pandas as pd
import pyarrow as pa
import sqlglot
from sqlglot import exp
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope

from crm.company import Company
from crm.lake import TableView, connect
from crm.schema import LOGGED_FIELDS, SEQUENCE, TABLES, arrow_schema
from features.build import KEYS, attach_all
from features.catalogue import Block, Entity, Feature, UnknownFeature, blocks, feature
from features.language import columns_of
from features.session import DuckSession

Columns = frozenset[str]
_CHANGES = ("deal_id", "field", "changed_at", "recorded_at", "old_value", "new_value")
# Small tables that are not made by a query: what all of their columns rest on.
_GIVEN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "fx": ("fx_rates.currency", "fx_rates.on_date", "fx_rates.rate_to_base"),
        # The order of stages is the company's, set or read from how all deals moved: like the calendar, no column.
        **dict.fromkeys(("asked_points", "periods", "quarters", "stage_places"), ()),
    }
)


def lineage(entity: Entity, name: str, company: Company | None = None) -> tuple[str, ...]:
    """Columns, as `table.column`, that a feature's values rest on, its keys and clocks among them; sorted.

    What merely breaks ties, the order of arrival, is left out.

    Raises
    ------
    UnknownFeature
        If there is no feature of that name.
    """
    found = _reads(entity, blocks(entity, company)).get(name)
    if found is None:
        feature(entity, name, company)  # raises unless it is a custom column
        if entity != "deal":
            raise UnknownFeature(f"There is no feature {name} of a {entity}. All of them: bellwether features list.")
        found = _state_column(entity, name)
    return tuple(sorted(column for column in found if not column.endswith(SEQUENCE)))


def columns_read(entity: Entity, company: Company | None = None) -> frozenset[str]:
    """Columns, as `table.column`, that the features of an entity together rest on; of its own `x_*`, those in them."""
    return frozenset().union(*_reads(entity, blocks(entity, company)).values())


def by_table(columns: Iterable[str]) -> str:
    """Columns in words, by table: `activities (deal_id, kind), contacts (seniority)`."""
    tables: dict[str, list[str]] = {}
    for column in sorted(columns):
        table, _, name = column.partition(".")
        tables.setdefault(table, []).append(name)
    return ", ".join(f"{table} ({', '.join(names)})" for table, names in tables.items())


@lru_cache(maxsize=16)
def _reads(entity: Entity, chosen: tuple[Block, ...]) -> Mapping[str, Columns]:
    """What every feature of an entity rests on, by name."""
    gated: dict[str, Columns] = {}
    for block in chosen:
        if block.events:
            by = _state_column(entity, block.by)
            gated |= {one.name: _gated(entity, block, one) | by | _needed(one) for one in block.features}
    made = {
        one.name: frozenset().union(*(gated.get(c, _state_column(entity, c)) for c in columns_of(one.sql)))
        for block in chosen
        if not block.events
        for one in block.features
    }
    return gated | made


def _gated(entity: Entity, block: Block, one: Feature) -> Columns:
    source = _made(entity)[block.events]
    names = {*columns_of(one.sql), *columns_of(block.clock), block.key}
    return frozenset().union(*(source.get(name, frozenset()) for name in names))


def _needed(one: Feature) -> Columns:
    # A field of deals that is not logged yet leaves its features missing.
    return (
        frozenset(f"deal_changes.{c}" for c in _CHANGES[:4]) if one.needs and one.needs not in TABLES else frozenset()
    )


def _state_column(entity: Entity, name: str) -> Columns:
    custom = frozenset({f"deals.{name}", "deals.created_at"}) if name.startswith("x_") else frozenset()
    return _made(entity)["state"].get(name, custom)


@cache
def _made(entity: Entity) -> Mapping[str, Mapping[str, Columns]]:
    """Columns of the state and of each source of an entity, and what they rest on."""
    empty = TableView({"deal_changes": _one_change_a_field()})
    spine = pd.DataFrame({KEYS[entity]: ["none"], "as_of": pd.Timestamp("2026-01-01", tz="UTC")})
    spine = spine.astype({"as_of": "datetime64[us, UTC]"})
    with connect() as con:
        empty.attach(con)
        noted = _Noting(con, "UTC")
        attach_all(noted, empty, spine, entity, Company(), frozenset(), blocks(entity))
    return noted.rests


def _one_change_a_field() -> pa.Table:
    """A log in which each field that can be logged is."""
    schema, n = arrow_schema("deal_changes"), len(LOGGED_FIELDS)
    columns = {"field": list(LOGGED_FIELDS), "changed_at": [pd.Timestamp("2026-01-01", tz="UTC")] * n}
    return pa.table({name: pa.array(values, schema.field(name).type) for name, values in columns.items()})


class _Noting(DuckSession):
    """A session that also notes what the columns of each table made rest on, at the time it is made."""

    def __init__(self, con: duckdb.DuckDBPyConnection, time_zone: str) -> None:
        super().__init__(con, time_zone)
        self.rests: dict[str, Mapping[str, Columns]] = {
            table.name: {name: frozenset({f"{table.name}.{name}"}) for name in [*table.by_name, SEQUENCE]}
            for table in TABLES.values()
        }

    def make(self, name: str, query: str) -> None:
        """Make it, and note it."""
        for given in _GIVEN.keys() - self.rests.keys():
            if self._has(given):
                self.rests[given] = dict.fromkeys(self.columns(given), frozenset(_GIVEN[given]))
        noted = self._noted(query)
        super().make(name, query)
        self.rests[name] = noted

    def _has(self, table: str) -> bool:
        return bool(self.local.sql(f"select 1 from duckdb_tables() where table_name = '{table}'").fetchall())

    def _noted(self, query: str) -> dict[str, Columns]:
        schema: dict[str, object] = {table: dict.fromkeys(columns, "varchar") for table, columns in self.rests.items()}
        tree = sqlglot.parse_one(query, read="duckdb")
        root = build_scope(qualify(tree, dialect="duckdb", schema=schema, validate_qualify_columns=False))
        assert root is not None
        return {name: self._of_scope(root, place) for place, name in enumerate(_query(root).named_selects)}

    def _of_scope(self, scope: Scope, place: int) -> Columns:
        """What the column at a place of a select rests on: its expression, the joins of its tables, what picks rows."""
        if scope.set_operation_scopes:
            return frozenset().union(*(self._of_scope(one, place) for one in scope.set_operation_scopes))
        select = _query(scope)
        said = select.selects[place]
        parts = [said, *(part for name in ("where", "group", "having") if (part := select.args.get(name)))]
        if said.find(exp.Window):
            parts += select.args.get("windows") or []
        joins = {join.this.alias_or_name: join for join in select.args.get("joins") or []}
        found: set[str] = set()
        while parts:
            for one in parts.pop().find_all(exp.Column):
                found |= self._of_column(scope, one)
                if (join := joins.pop(one.table, None)) is not None:
                    parts.append(join)
        return frozenset(found)

    def _of_column(self, scope: Scope, column: exp.Column) -> Columns:
        source = scope.sources.get(column.table)
        if isinstance(source, Scope):
            names = _query(source).named_selects
            return self._of_scope(source, names.index(column.name)) if column.name in names else frozenset()
        if isinstance(source, exp.Table):
            return self.rests[source.name].get(column.name, frozenset())
        return frozenset()


def _query(scope: Scope) -> exp.Query:
    assert isinstance(scope.expression, exp.Query)
    return scope.expression
