"""Which columns of the canonical tables a feature reads: through its source's SQL, or what it is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from types import MappingProxyType

import sqlglot
from sqlglot import exp
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope

from crm.company import Company
from crm.schema import SEQUENCE, TABLES
from features.catalogue import Block, Entity, Feature, UnknownFeature, blocks, feature
from features.sources import FROM, SOURCES

Columns = frozenset[str]
_RATES = ("fx_rates.currency", "fx_rates.on_date", "fx_rates.rate_to_base")
_LOG = ("deal_changes.deal_id", "deal_changes.field", "deal_changes.changed_at", "deal_changes.recorded_at")
_VALUES = (*_LOG, "deal_changes.old_value", "deal_changes.new_value", "deals.created_at")
_PLACES = ("deals.pipeline", "deals.stage", *_VALUES)
# Tables that are made before the sources: what their columns rest on.
_HELPERS: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "fx": dict.fromkeys(("currency", "valid_from", "valid_to", "rate"), _RATES),
        "stage_places": dict.fromkeys(("pipeline", "stage", "place"), _PLACES),
    }
)


def _logged(field: str, *more: str) -> tuple[str, ...]:
    return (f"deals.{field}", *_VALUES, *more)


_MONEY = ("deals.currency", *_RATES)
_ACCOUNT = ("deals.account_id", "deals.created_at", "accounts.created_at")
_ENDS = ("deals.closed_at", "deals.outcome", "deals.kind")
_BOOKED = (*_logged("amount", *_MONEY), *_logged("owner_id"), *_ENDS)
_TARGETS = tuple(f"goals.{c.name}" for c in TABLES["goals"].columns if c.name not in ("goal_id", "parent_goal_id"))
_TEAMS = tuple(f"team_memberships.{c.name}" for c in TABLES["team_memberships"].columns)
# What a row of the state rests on, where its column is not simply that of the entity's own table.
_STATE: Mapping[Entity, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "deal": {
            "deal_id": (),
            "stage": _logged("stage", *_PLACES),
            "stage_place": _logged("stage", *_PLACES),
            "owner_id": _logged("owner_id"),
            "forecast_category": _logged("forecast_category"),
            "amount": _logged("amount", *_MONEY),
            "list_amount": ("deals.list_amount", "deals.created_at", *_MONEY),
            "close_in_days": _logged("close_date"),
            "epoch_created": ("deals.created_at",),
            "epoch_stage_since": (*_LOG, "deal_changes.new_value", "deals.pipeline"),
            "referrals_known": ("deals.created_at", "deals.referred_by_account_id"),
            **{name: (*_ACCOUNT, f"accounts.{name}") for name in ("industry", "segment", "country", "region")},
            **{name: (*_ACCOUNT, f"accounts.{name}") for name in ("employees", "annual_revenue")},
            **dict.fromkeys(("as_of", "epoch_as_of", "quarter_ends_in", "company"), ()),
        },
        "rep": {
            **dict.fromkeys(("tenure", "quarters_begun"), ("reps.hired_on",)),
            "team_id": _TEAMS,
            **dict.fromkeys(("as_of", "rep_id", "company", "this_start", "this_end"), ()),
            **dict.fromkeys(("period_age", "period_left", "period_days", "period_days_gone"), ()),
            **dict.fromkeys(("last_year_began", "last_year_ended"), ()),
        },
        "account": {"account_age": ("accounts.created_at",), "as_of": (), "account_id": ()},
    }
)
# Sources that are made of the state at other moments, not by one statement.
_MADE: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "closings": {
            "won": ("deals.outcome",),
            "amount": _logged("amount", *_MONEY, "deals.outcome"),
            "owner_id": _logged("owner_id"),
            "account_id": ("deals.account_id",),
            "product_id": ("deals.product_id",),
            "known_at": _ENDS,
            "company": (),
        },
        "open_then": {
            "owner_id": (*_logged("owner_id"), *_ENDS),
            "amount": _logged("amount", *_MONEY),
            "list_amount": ("deals.list_amount", *_MONEY),
            "close_date": _logged("close_date"),
            "days_open": ("deals.created_at",),
            "account_id": ("deals.account_id",),
            "kind": ("deals.kind",),
            "product_amount": ("deals.product_id", *_logged("amount", *_MONEY)),
            "win_rate": (*_logged("stage", *_PLACES), *_ENDS),
            "known_at": _ENDS,
        },
        "made_then": {
            "owner_id": (*_logged("owner_id"), "deals.kind"),
            "amount": _logged("amount", *_MONEY),
            "known_at": ("deals.created_at",),
        },
        "results": {
            "rep_id": _BOOKED,
            "target": (*_TARGETS, *_RATES),
            "booked": _BOOKED,
            **dict.fromkeys(("attainment", "attainments"), (*_BOOKED, *_TARGETS, *_RATES)),
            "known_at": _TARGETS,
        },
        "team_closings": {
            "team_id": (*_TEAMS, *_logged("owner_id")),
            "won": ("deals.outcome",),
            "amount": _logged("amount", *_MONEY, "deals.outcome"),
            "known_at": _ENDS,
        },
    }
)


def lineage(entity: Entity, name: str, company: Company | None = None) -> tuple[str, ...]:
    """Columns, as `table.column`, that a feature's values rest on, its keys and clocks among them; sorted.

    Raises
    ------
    UnknownFeature
        If there is no feature of that name.
    """
    chosen = blocks(entity, company)
    found = _reads(entity, chosen).get(name)
    if found is None:
        feature(entity, name, company)  # raises unless it is a custom column
        found = frozenset({f"deals.{name}"}) if entity == "deal" else None
    if found is None:
        raise UnknownFeature(f"There is no feature {name} of a {entity}. All of them: bellwether features list.")
    return tuple(sorted(found))


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
            gated |= {one.name: _gated(block, one) | by | _needed(one) for one in block.features}
    made = {
        one.name: frozenset().union(*(gated.get(c, _state_column(entity, c)) for c in _names(one.sql)))
        for block in chosen
        if not block.events
        for one in block.features
    }
    return gated | made


def _gated(block: Block, one: Feature) -> Columns:
    source = _source(block.events)
    names = {*_names(one.sql), *_names(block.clock), block.key}
    return frozenset().union(*(source.get(name, frozenset()) for name in names))


def _needed(one: Feature) -> Columns:
    # A field of deals that is not logged yet leaves its features missing.
    return frozenset(_LOG) if one.needs and one.needs not in TABLES else frozenset()


def _state_column(entity: Entity, name: str) -> Columns:
    if name in _STATE[entity]:
        return frozenset(_STATE[entity][name])
    table = f"{entity}s"
    made = (f"{table}.created_at",) if "created_at" in TABLES[table].by_name else ()
    return frozenset({f"{table}.{name}", *made})


@cache
def _source(name: str) -> Mapping[str, Columns]:
    """Columns of a source, and what each rests on."""
    if name in _MADE:
        return {column: frozenset(reads) for column, reads in _MADE[name].items()}
    if name not in SOURCES:
        return {column.name: frozenset({f"{FROM[name]}.{column.name}"}) for column in TABLES[FROM[name]].columns}
    schema: dict[str, object] = {
        t.name: {c.name: "varchar" for c in t.columns} | {SEQUENCE: "bigint"} for t in TABLES.values()
    }
    schema |= {helper: dict.fromkeys(columns, "varchar") for helper, columns in _HELPERS.items()}
    tree = qualify(
        sqlglot.parse_one(SOURCES[name], read="duckdb"), dialect="duckdb", schema=schema, validate_qualify_columns=False
    )
    root = build_scope(tree)
    assert isinstance(tree, exp.Select)
    assert root is not None
    return {column: _of_scope(root, column) for column in tree.named_selects}


def _of_scope(scope: Scope, column: str) -> Columns:
    """What one column of a select rests on: its expression, the joins of the tables in it, and what picks the rows."""
    select = scope.expression
    assert isinstance(select, exp.Select)
    said = next(one for one in select.selects if one.alias_or_name == column)
    parts = [said]
    parts += [part for name in ("where", "group") if (part := select.args.get(name))]
    if said.find(exp.Window):
        parts += select.args.get("windows") or []
    joins = {join.this.alias_or_name: join for join in select.args.get("joins") or []}
    found: set[str] = set()
    seen: set[str] = set()
    while parts:
        for one in parts.pop().find_all(exp.Column):
            found |= _of_column(scope, one)
            if one.table in joins and one.table not in seen:
                seen.add(one.table)
                parts.append(joins[one.table])
    return frozenset(found)


def _of_column(scope: Scope, column: exp.Column) -> Columns:
    source = scope.sources.get(column.table)
    if isinstance(source, Scope):
        return _of_scope(source, column.name)
    if isinstance(source, exp.Table):
        table = source.name
        return frozenset(_HELPERS[table][column.name] if table in _HELPERS else {f"{table}.{column.name}"})
    return frozenset()


@lru_cache(maxsize=1024)
def _names(sql: str) -> Columns:
    tree = sqlglot.parse_one(f"select {sql}", read="duckdb")
    return frozenset(column.name for column in tree.find_all(exp.Column))
