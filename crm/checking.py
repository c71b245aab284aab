"""From a file's text columns to canonical rows: mapped, parsed and checked in SQL; a bad cell says what is wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

from crm.mapping import REST, ColumnMap, Format, TableMap
from crm.reading import ROW, BadFile, RawTable
from crm.schema import LOGGED_FIELDS, TABLES, TYPE_WORDS, Column

_ISO_ZONE = r"^.*[T ].*(Z|[+-]\d\d(:?\d\d)?)$"
_MONEY_LIMIT = 10**16
_SQL_TYPES = {"number": "DOUBLE", "text": "VARCHAR"}
_YEARS = 1800, 2299  # outside of these a date is a slip
MOST_CHARACTERS = 10_000  # of a name, key or note: longer ones are a slip, and would fill pages and lists

HIDDEN = "…"
"""Stands in a report or the quarantine where a personal value was."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One cell, or one row, that could not be taken."""

    table: str
    file: str
    row: int
    column: str
    value: str
    reason: str
    mend: str

    def __str__(self) -> str:
        cell = f"{self.column} is '{self.value}'" if self.value else self.column
        return f"{self.table}, row {self.row}: {cell}: {self.reason}. {self.mend}"


def check_columns(raw: RawTable, table: TableMap) -> None:
    """See that the file has every column that the mapping names.

    Raises
    ------
    BadFile
        If one is missing.
    """
    wanted = [name for c in table.columns.values() for name in c.sources]
    wanted += [*table.where, *table.filled, *table.per, *table.order]
    for column in table.columns.values():
        wanted += list(column.where)
    for name in wanted:
        if name not in raw.columns:
            found = ", ".join(raw.columns)
            raise BadFile(
                raw.file, f"has no column '{name}'", f"Found: {found}. Mend the mapping, or its delimiter or encoding."
            )


def canonical_rows(
    con: duckdb.DuckDBPyConnection,
    raw: RawTable,
    table: TableMap,
    form: Format,
    *,
    zone: str,
    custom: Mapping[str, str],
    name: str,
) -> list[Refusal]:
    """Make the temporary table `name`: good rows, typed, one a key, with `_row`.

    Parameters
    ----------
    zone : str
        Time zone of times that name none.
    custom : mapping of str to str
        DuckDB types of `x_*` columns that the lake has already; others are what the mapping says, else numbers if all
        their values are. A column of which neither tells anything, without a value, is left out until it has one.

    Returns
    -------
    list of Refusal
        What is wrong with the rows left out, one for each bad cell.
    """
    columns = _columns_of(table)
    zone = form.time_zone or zone
    con.execute(f"create or replace temp table {name}_text as {_mapped(raw, table, form, zone)}")
    unclear = _without_values(con, f"{name}_text", [c for c in table.columns if _is_open(c, table, custom)])
    columns = [c for c in columns if c.name not in unclear]
    typed, checks = [], []
    for column in columns:
        value = _parsed(con, f"{name}_text", column, table, form, zone, custom)
        typed.append(f'{value} as "{column.name}"')
        checks += _checks(column, value, hidden=column.personal or table.columns[column.name].person)
        if (table.table, column.name) == ("deal_changes", "field"):
            checks.append(_check_logged(column, value))
    con.execute(f"""
        create or replace temp table {name}_typed as
        select {ROW}, {", ".join(typed)}, list_filter([{", ".join(checks)}], lambda x: x is not null) as _bad
        from {name}_text
    """)
    refused = _refusals(con, f"{name}_typed", raw.file, table)
    refused += _doubles(con, name, raw.file, table, [c.name for c in columns])
    return refused


def _columns_of(table: TableMap) -> list[Column]:
    known = TABLES[table.table].by_name
    return [known.get(name) or Column(name, "text", "The company's own") for name in table.columns]


def _is_open(name: str, table: TableMap, custom: Mapping[str, str]) -> bool:
    """Whether only its values can tell what a column of the company's own holds."""
    mapped = table.columns[name]
    return name.startswith("x_") and name not in custom and not mapped.kind and not mapped.person


def _without_values(con: duckdb.DuckDBPyConnection, text: str, names: list[str]) -> set[str]:
    if not names:
        return set()
    [counts] = con.sql(f"select {', '.join(f'count({_name(n)})' for n in names)} from {text}").fetchall()
    return {name for name, count in zip(names, counts, strict=True) if not count}


def _mapped(raw: RawTable, table: TableMap, form: Format, zone: str) -> str:
    conditions = [_among(name, words) for name, words in table.where.items()]
    conditions += [f"nullif(trim({_name(c)}), '') is not null" for c in table.filled]
    where = f"where {' and '.join(conditions)}" if conditions else ""
    order = ", ".join(
        [*(f"coalesce({_time(_name(c), form.dates, zone)}::varchar, {_name(c)})" for c in table.order), ROW]
    )
    group = ", ".join(_name(c) for c in table.per)
    within = any(c.pick == "previous" for c in table.columns.values())
    parts = []
    for name, column in table.columns.items():
        value = _origin(column, form)
        if column.pick == "previous":
            value = f"lag({value}) over ({f'partition by {group}' if group else ''} order by {order})"
        elif table.per and not within:
            only = " and ".join(_among(c, words) for c, words in column.where.items())
            picked = f"arg_{'max' if column.pick == 'last' else 'min'}({value}, ({order}))"
            value = f"{picked} filter (where {only})" if only else picked
        elif column.where:
            value = f"case when {' and '.join(_among(c, words) for c, words in column.where.items())} then {value} end"
        parts.append(f"{_otherwise(value, column)} as {_name(name)}")
    grouped = f"group by {group}" if table.per and not within else ""
    row = f"min({ROW}) as {ROW}" if grouped else ROW
    return f"select {row}, {', '.join(parts)} from {raw.name} {where} {grouped} order by {ROW}"


def _origin(column: ColumnMap, form: Format) -> str:
    if column.constant is not None:
        return _text(_word(column.constant))
    value = " || '|' || ".join(f"trim({_name(c)})" for c in column.sources)
    missing = ", ".join(_text(w) for w in {"", *form.missing})
    value = f"case when {value} in ({missing}) then null else {value} end"
    if column.values:
        cases = " ".join(f"when {_text(k)} then {_literal(v)}" for k, v in column.values.items() if k != REST)
        rest = _literal(column.values[REST]) if REST in column.values else value
        word = f"case {value} {cases or 'when null then null'} else {rest} end"
        value = f"case when {value} is not null then {word} end"
    return f"{_text(column.prefix)} || {value}" if column.prefix else value


def _otherwise(value: str, column: ColumnMap) -> str:
    return f"coalesce({value}, {_text(_word(column.otherwise))})" if column.otherwise is not None else value


def _literal(value: object) -> str:
    return "null" if value is None else _text(_word(value))


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _parsed(
    con: duckdb.DuckDBPyConnection,
    text: str,
    column: Column,
    table: TableMap,
    form: Format,
    zone: str,
    custom: Mapping[str, str],
) -> str:
    raw, mapped = _name(column.name), table.columns[column.name]
    formats = mapped.dates or form.dates
    if column.name.startswith("x_"):
        number = _number(raw, form)
        said = "text" if mapped.person else mapped.kind or ""
        kind = custom.get(column.name) or _SQL_TYPES.get(said)
        if kind is None:
            odd = con.sql(f"select count(*) filter ({raw} is not null and {number} is null) from {text}").fetchall()
            kind = "VARCHAR" if odd[0][0] else "DOUBLE"
        return number if kind == "DOUBLE" else raw
    by_type = {
        "time": lambda: _time(raw, formats, zone),
        "date": lambda: _date(raw, formats),
        "money": lambda: (
            f"case when abs({_number(raw, form)}) < {_MONEY_LIMIT} then ({_number(raw, form)})::decimal(18, 2) end"
        ),
        "number": lambda: _number(raw, form),
        "integer": lambda: (
            f"case when {_number(raw, form)} = floor({_number(raw, form)}) then ({_number(raw, form)})::bigint end"
        ),
        "word": lambda: f"case when lower({raw}) in ({_words(column)}) then lower({raw}) end",
    }
    return by_type.get(column.type, lambda: raw)()


def _words(column: Column) -> str:
    return ", ".join(_text(w) for w in column.words)


def _time(raw: str, formats: list[str], zone: str) -> str:
    moment = f"({_local(raw, formats)}) at time zone {_text(zone)}"
    zoned = f"regexp_matches({raw}, '{_ISO_ZONE}') and {_looks_iso(raw)}"
    return _plausible(f"case when {zoned} then try_cast({raw} as timestamptz) else {moment} end")


def _date(raw: str, formats: list[str]) -> str:
    return _plausible(f"try_cast(({_local(raw, formats)}) as date)")


def _local(raw: str, formats: list[str]) -> str:
    """A time as the clock on the wall shows it; ISO 8601 is read beside any format, as it can mean one thing only."""
    iso = f"case when {_looks_iso(raw)} then try_cast({raw} as timestamp) end"
    return f"coalesce({_strptime(raw, formats)}, {iso})" if formats else iso


def _looks_iso(raw: str) -> str:
    """Keeps out words such as epoch or infinity, which the engine also takes for times."""
    return f"regexp_matches({raw}, '^\\d{{4}}[-/]\\d{{1,2}}[-/]\\d{{1,2}}')"


def _plausible(moment: str) -> str:
    return f"case when year({moment}) between {_YEARS[0]} and {_YEARS[1]} then {moment} end"


def _strptime(raw: str, formats: list[str]) -> str:
    return f"try_strptime({raw}, [{', '.join(_text(f) for f in formats)}])"


def _number(raw: str, form: Format) -> str:
    plain = raw
    if form.thousands:
        # Marks must part groups of three: 1,2 is more likely a decimal comma than twelve.
        mark, point = re.escape(form.thousands), re.escape(form.decimal)
        grouped = _text(f"[+-]?\\d{{1,3}}({mark}\\d{{3}})+({point}\\d+)?")
        fits = f"not contains({raw}, {_text(form.thousands)}) or regexp_full_match({raw}, {grouped})"
        plain = f"case when {fits} then replace({raw}, {_text(form.thousands)}, '') end"
    if form.decimal == ",":
        plain = f"case when contains({plain}, '.') then null else replace({plain}, ',', '.') end"
    shape = r"[+-]?\d*\.?\d+([eE][+-]?\d+)?"
    return f"case when regexp_full_match({plain}, '{shape}') then try_cast({plain} as double) end"


def _checks(column: Column, value: str, *, hidden: bool) -> list[str]:
    raw = _name(column.name)
    shown = f"'{HIDDEN}'" if hidden else raw
    found = []
    if column.required:
        found.append((f"{raw} is null", "''", "is empty", "Every row needs one: fill it in, or map another column."))
    wants = "one of " + ", ".join(column.words) if column.words else TYPE_WORDS[column.type]
    found.append((f"{raw} is not null and {value} is null", shown, f"is not {wants}", _mend(column)))
    if column.low is not None:
        found.append((f"{value} < {column.low}", shown, f"is below {column.low:g}", "Mend the value."))
    if column.high is not None:
        found.append((f"{value} > {column.high}", shown, f"is above {column.high:g}", "Mend the value."))
    if column.type in ("text", "key"):
        start = shown if hidden else f"left({raw}, 100)"
        long = f"is longer than {MOST_CHARACTERS:,} characters"
        found.append((f"length({raw}) > {MOST_CHARACTERS}", start, long, "Shorten it, or leave the column out."))
        found.append((f"contains({raw}, chr(0))", start, "holds a null character", "Take it out of the text."))
    return [_check(column.name, *parts) for parts in found]


def _check_logged(column: Column, value: str) -> str:
    known = ", ".join(_text(f) for f in LOGGED_FIELDS)
    odd = f"{value} not in ({known}) and not starts_with({value}, 'x_')"
    mend = f"Give one of {', '.join(LOGGED_FIELDS)} or x_*, or leave such rows out by where in the mapping."
    return _check(column.name, odd, _name(column.name), "is no field whose changes are kept", mend)


def _check(column: str, condition: str, cell: str, reason: str, mend: str) -> str:
    return (
        f"case when {condition} then {{'column': {_text(column)}, 'value': {cell}, 'reason': {_text(reason)}, "
        f"'mend': {_text(mend)}}} end"
    )


def _mend(column: Column) -> str:
    if column.words:
        return f"Give one of these words, or say under values in the mapping what it means: {', '.join(column.words)}."
    if column.type in ("time", "date"):
        return "Give a date such as 2026-02-28, or set dates in the mapping."
    if column.type in ("money", "number", "integer"):
        return "Give a number such as 1234.56, or set decimal and thousands in the mapping."
    return "Mend the value."


def _refusals(con: duckdb.DuckDBPyConnection, typed: str, file: str, table: TableMap) -> list[Refusal]:
    rows = con.sql(
        f"select {ROW}, b.column, b.value, b.reason, b.mend from "
        f"(select {ROW}, unnest(_bad) as b from {typed} where len(_bad) > 0) order by {ROW}"
    ).fetchall()
    return [Refusal(table.table, file, int(r), c, v or "", reason, mend) for r, c, v, reason, mend in rows]


def _doubles(
    con: duckdb.DuckDBPyConnection, name: str, file: str, table: TableMap, columns: list[str]
) -> list[Refusal]:
    """Keep the first row of a key; the same row again is dropped, another one with that key is refused."""
    key = [c for c in TABLES[table.table].key if c in columns]
    keys, values = ", ".join(_name(c) for c in key), ", ".join(_name(c) for c in columns)
    con.execute(f"""
        create or replace temp table {name} as
        select {ROW}, {values} from {name}_typed where len(_bad) = 0
        qualify row_number() over (partition by {keys} order by {ROW}) = 1
    """)
    shown = [f"'{HIDDEN}'" if table.columns[c].person else f"t.{_name(c)}::varchar" for c in key]
    same = " and ".join(f"t.{_name(c)} is not distinct from k.{_name(c)}" for c in columns)
    on = " and ".join(f"t.{_name(c)} is not distinct from k.{_name(c)}" for c in key)
    rows = con.sql(f"""
        select t.{ROW}, k.{ROW}, concat_ws(', ', {", ".join(shown)})
        from {name}_typed t join {name} k on {on} where len(t._bad) = 0 and t.{ROW} <> k.{ROW} and not ({same})
        order by t.{ROW}
    """).fetchall()
    return [
        Refusal(
            table.table, file, int(row), ", ".join(key), value, f"stands in row {first} with other values",
            "Keep one of the two rows.",
        )
        for row, first, value in rows
    ]  # fmt: skip


def _among(column: str, words: list[str]) -> str:
    tests = [f"{_name(column)} glob {_text(w)}" if "*" in w else f"{_name(column)} = {_text(w)}" for w in words]
    return f"({' or '.join(tests)})"


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
