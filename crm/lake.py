"""The lake: one Delta table a canonical table; a data cut names the version of each, and is published last.

A merge writes new versions of the tables it touches and then one small cut file. Readers start from the newest cut,
so a merge that dies half-way is never seen, and the next merge first puts the tables back to what the cut says.
"""

from __future__ import annotations

import glob
import json
import os
import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, write_deltalake
from filelock import FileLock, Timeout

from crm.errors import BadInput, NotFound, NotReady
from crm.schema import SEQUENCE, TABLES, arrow_schema


class LakeBusy(NotReady):
    """Another process is writing to the lake."""


class BadFolder(BadInput):
    """The lake cannot lie in such a folder: Delta's addresses take some characters of a path for something else."""

    def __init__(self, folder: Path, found: str) -> None:
        super().__init__(f"{folder}: '{found}' in a path cannot be used for the lake. Name another home: --home.")


class UnknownCut(NotFound):
    """No such data cut."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A data cut: which version of each table belongs together."""

    number: int
    tables: dict[str, int] = field(default_factory=dict)
    made_at: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class MergeCount:
    """What a merge did to one table, in rows."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    gone: int = 0


class View(Protocol):
    """Canonical tables at one moment of the lake, or in memory."""

    @property
    def present(self) -> frozenset[str]:
        """Tables that the company has."""
        ...

    def arrow(self, table: str) -> pa.Table:
        """A whole table; empty with all columns where absent."""
        ...

    def attach(self, con: duckdb.DuckDBPyConnection) -> None:
        """Create one SQL view a canonical table; absent ones are empty."""
        ...


class TableView:
    """Canonical tables held in memory: for tests, what-if, and deals sent for scoring.

    Parameters
    ----------
    tables : mapping of str to pa.Table
        Rows by canonical table; missing columns are filled with nulls, `_seq` with the row number.
    """

    def __init__(self, tables: Mapping[str, pa.Table]) -> None:
        self._tables = {name: conform(name, rows) for name, rows in tables.items()}

    @property
    def present(self) -> frozenset[str]:
        """Tables that were given."""
        return frozenset(self._tables)

    def arrow(self, table: str) -> pa.Table:
        """A whole table; empty with all columns where absent."""
        return self._tables[table] if table in self._tables else arrow_schema(table).empty_table()

    def attach(self, con: duckdb.DuckDBPyConnection) -> None:
        """Create one SQL table a canonical table."""
        for name in TABLES:
            con.register(f"_arrow_{name}", self.arrow(name))
            con.execute(f"create or replace temp table {name} as select * from _arrow_{name}")
            con.unregister(f"_arrow_{name}")


class LakeView:
    """The lake as one data cut has it."""

    def __init__(self, root: Path, cut: Cut, engine: str = "duckdb") -> None:
        self.cut = cut
        self.engine = engine
        self._root = root
        self._opened: dict[str, DeltaTable] = {}  # a version of a table never changes, and opening one takes its time

    @property
    def present(self) -> frozenset[str]:
        """Tables that have been imported."""
        return frozenset(self.cut.tables)

    def at(self, tables: Mapping[str, int]) -> LakeView:
        """The same lake at other versions of its tables."""
        return LakeView(self._root, Cut(0, dict(tables)), self.engine)

    def paths(self, table: str) -> list[str]:
        """Parquet files of a table, readable by any engine."""
        if table not in self.cut.tables:
            return []
        # Delta writes a folder's blanks and Chinese characters as %20 and the like; its files lie flat in the table.
        names = [uri.rsplit("/", 1)[-1] for uri in self._delta(table).file_uris()]
        return [str(self._root / table / name) for name in names]

    def schema(self, table: str) -> pa.Schema:
        """Arrow schema with the company's own columns."""
        if table not in self.cut.tables:
            return arrow_schema(table)
        return pa.schema(self._delta(table).schema().to_arrow())

    def arrow(self, table: str) -> pa.Table:
        """A whole table; empty with all columns where absent."""
        with connect() as con:
            self._attach(con, table)
            return con.sql(f"select * from {table}").to_arrow_table()

    def attach(self, con: duckdb.DuckDBPyConnection) -> None:
        """Create one SQL view a canonical table over its Parquet files."""
        for name in TABLES:
            self._attach(con, name)

    def keep(self, con: duckdb.DuckDBPyConnection) -> list[str]:
        """As `attach`, but the views of tables that are there stay in the connection's database file; their names."""
        names = sorted(self.present & set(TABLES))
        for name in names:
            self._attach(con, name, kind="view")
        return names

    def _attach(self, con: duckdb.DuckDBPyConnection, table: str, *, kind: str = "temp view") -> None:
        columns = ", ".join(f'cast("{f.name}" as {duck_type(f.type)}) as "{f.name}"' for f in self.schema(table))
        if paths := self.paths(table):
            files = ", ".join("'" + glob.escape(p).replace("'", "''") + "'" for p in paths)
            con.execute(
                f"create or replace {kind} {table} as select {columns} from read_parquet([{files}], union_by_name=true)"
            )
        else:
            empty = ", ".join(f'null::{duck_type(f.type)} as "{f.name}"' for f in arrow_schema(table))
            con.execute(f"create or replace {kind} {table} as select {empty} where false")

    def _delta(self, table: str) -> DeltaTable:
        if table not in self._opened:
            self._opened[table] = DeltaTable(str(self._root / table), version=self.cut.tables[table])
        return self._opened[table]


class Lake:
    """Delta tables under one folder.

    Parameters
    ----------
    root : Path
        The folder, usually `lake/` of a home; made when first written to.
    engine : str
        What features are worked out with from its views, as `features.build.build` takes it.
    """

    def __init__(self, root: Path, engine: str = "duckdb") -> None:
        self.root = Path(root)
        self.engine = engine
        self._cuts = self.root / "cuts"

    def cut(self) -> Cut:
        """The newest data cut; number 0 with no tables in a new lake."""
        numbers = [int(p.stem) for p in self._cuts.glob("*.json")] if self._cuts.is_dir() else []
        return self._read_cut(max(numbers)) if numbers else Cut(0)

    def view(self) -> LakeView:
        """The lake as the newest cut has it."""
        return LakeView(self.root, self.cut(), self.engine)

    def at(self, number: int) -> LakeView:
        """The lake as an earlier cut had it.

        Raises
        ------
        UnknownCut
            If there is no cut of that number.
        """
        return LakeView(self.root, self._read_cut(number), self.engine)

    def merge(
        self, rows: Mapping[str, pa.Table], *, source: str, gone: Mapping[str, pa.Table] | None = None
    ) -> dict[str, MergeCount]:
        """Insert new rows, update changed ones by key and take out those that are gone, in all tables at once.

        Parameters
        ----------
        rows : mapping of str to pa.Table
            Rows by canonical table, keys unique within a table; columns as `schema.arrow_schema` has them,
            `_seq` filled in here, `x_*` columns kept. Columns that are not given keep their values in the lake.
        source : str
            What the rows came from, kept in the cut.
        gone : mapping of str to pa.Table, optional
            Values by canonical table: rows that have one of them in those columns leave the lake, after the merge.
            Earlier cuts keep them.

        Returns
        -------
        dict of str to MergeCount
            Rows new, changed, unchanged, gone, by table. Nothing is written where nothing differs.

        Raises
        ------
        BadFolder
            If the lake's path holds what Delta cannot take.
        LakeBusy
            If another process is writing for more than a minute.
        """
        if found := re.search(r"[\[\]^|\\]|%[0-9a-fA-F]{2}", str(self.root)):
            raise BadFolder(self.root, found[0])
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.root / "write.lock", timeout=60):
                cut = self.cut()
                self._undo_unpublished(cut)
                counts, versions = {}, dict(cut.tables)
                for name, table in rows.items():
                    given = [c for c in table.column_names if c != SEQUENCE]
                    counts[name], versions[name] = self._merge_table(name, conform(name, table), given, cut)
                for name in [n for n in gone or {} if n in versions]:
                    left, versions[name] = self._take_out(name, (gone or {})[name], versions[name])
                    counts[name] = replace(counts.get(name, MergeCount()), gone=left)
                if versions != cut.tables:
                    self._publish(Cut(cut.number + 1, versions, datetime.now(UTC).isoformat(), source))
                return counts
        except Timeout:
            raise LakeBusy("The lake is being written to by another process. Try again when it is done.") from None

    def count(self, rows: Mapping[str, pa.Table]) -> dict[str, MergeCount]:
        """What `merge` would do with rows, by table; nothing is written."""
        cut, counts = self.cut(), {}
        for name, table in rows.items():
            if name not in cut.tables:
                counts[name] = MergeCount(new=table.num_rows)
                continue
            given = [c for c in table.column_names if c != SEQUENCE]
            fresh, changed = self._differing(name, conform(name, table), given, cut)
            same = table.num_rows - fresh.num_rows - changed.num_rows
            counts[name] = MergeCount(fresh.num_rows, changed.num_rows, same)
        return counts

    def _differing(self, name: str, table: pa.Table, given: list[str], cut: Cut) -> tuple[pa.Table, pa.Table]:
        with connect() as con:
            LakeView(self.root, cut)._attach(con, name)
            con.register("incoming", table)
            return _what_differs(con, name, table, given)

    def _merge_table(self, name: str, table: pa.Table, given: list[str], cut: Cut) -> tuple[MergeCount, int]:
        path = str(self.root / name)
        if name not in cut.tables:
            write_deltalake(path, table, mode="overwrite", schema_mode="overwrite")
            return MergeCount(new=table.num_rows), DeltaTable(path).version()
        delta = DeltaTable(path)
        fresh, changed = self._differing(name, table, given, cut)
        count = MergeCount(fresh.num_rows, changed.num_rows, table.num_rows - fresh.num_rows - changed.num_rows)
        if changed.num_rows:
            on = " and ".join(f't."{k}" is not distinct from s."{k}"' for k in TABLES[name].key)
            values = {f'"{c}"': f's."{c}"' for c in given}
            _widen(delta, changed)
            delta = DeltaTable(path)
            delta.merge(changed, on, source_alias="s", target_alias="t").when_matched_update(values).execute()
        if fresh.num_rows:
            write_deltalake(path, fresh, mode="append", schema_mode="merge")
        return count, DeltaTable(path).version()

    def _take_out(self, name: str, values: pa.Table, version: int) -> tuple[int, int]:
        values = pa.table({c: values.column(c).cast(pa.string()) for c in values.column_names})
        on = " and ".join(f't."{c}" = s."{c}"' for c in values.column_names)
        with connect() as con:
            LakeView(self.root, Cut(0, {name: version}))._attach(con, name)
            con.register("incoming", values)
            found = con.sql(f"select count(*) from {name} t semi join incoming s on {on}").fetchall()[0][0]
            values = con.sql("select distinct * from incoming").to_arrow_table()
        if not found:
            return 0, version
        path = str(self.root / name)
        DeltaTable(path).merge(values, on, source_alias="s", target_alias="t").when_matched_delete().execute()
        return int(found), DeltaTable(path).version()

    def _undo_unpublished(self, cut: Cut) -> None:
        for folder in self.root.iterdir():
            if folder.name in TABLES and folder.is_dir() and DeltaTable.is_deltatable(str(folder)):
                delta, version = DeltaTable(str(folder)), cut.tables.get(folder.name)
                if version is not None and delta.version() != version:
                    delta.restore(version)
                    cut.tables[folder.name] = delta.version()

    def _publish(self, cut: Cut) -> None:
        self._cuts.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=self.root, delete=False, encoding="utf-8") as file:
            json.dump(asdict(cut), file)
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(self._cuts / f"{cut.number:08d}.json")

    def _read_cut(self, number: int) -> Cut:
        try:
            return Cut(**json.loads((self._cuts / f"{number:08d}.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise UnknownCut(f"There is no data cut {number}. The newest is {self.cut().number}.") from None


def connect(threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection in memory, in UTC, that loads nothing from outside."""
    con = duckdb.connect(config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"})
    con.execute("set TimeZone = 'UTC'")
    with suppress(duckdb.InvalidInputException):  # in a notebook there is none, and turning it off is refused
        con.execute("set enable_progress_bar = false")  # a bar would stand in a server's log
    if threads:
        con.execute(f"set threads = {threads}")
    return con


def conform(name: str, table: pa.Table) -> pa.Table:
    """Give a table the columns, types and order of the lake; custom columns kept, missing ones null.

    Raises
    ------
    BadInput
        If a column is neither canonical nor `x_*`, or a value does not fit its type.
    """
    custom = {f.name: f.type for f in table.schema if f.name.startswith("x_")}
    schema = arrow_schema(name, custom)
    if unknown := sorted(set(table.column_names) - set(schema.names)):
        raise BadInput(f"{name}: {unknown[0]} is no column of the lake. Known: {', '.join(schema.names)}, x_*.")
    columns = []
    for item in schema:
        if item.name in table.column_names:
            columns.append(_cast(name, table.column(item.name), item))
        elif item.name == SEQUENCE:
            columns.append(pa.array(range(table.num_rows), pa.int64()))
        else:
            columns.append(pa.nulls(table.num_rows, item.type))
    return pa.table(columns, schema=schema)


def newest_event(view: View) -> datetime:
    """The newest moment in the data: the default as-of.

    Raises
    ------
    NotReady
        If the view holds no dated rows.
    """
    clocks = {
        "deals": "created_at, closed_at",
        "deal_changes": "changed_at, recorded_at",
        "activities": "occurred_at, recorded_at",
        "orders": "ordered_at, recorded_at",
        "payments": "paid_at, recorded_at",
        "tickets": "opened_at, closed_at",
        "surveys": "asked_at",
    }
    with connect() as con:
        view.attach(con)
        newest = [
            con.sql(f"select max(greatest({columns})) from {name}").fetchall()[0][0]
            for name, columns in clocks.items()
            if name in view.present
        ]
    moments = [m for m in newest if m is not None]
    if not moments:
        raise NotReady("The lake holds no dated rows. Import a company's data first: bellwether import PATH.")
    return max(moments)


def _cast(table: str, values: pa.ChunkedArray, item: pa.Field) -> pa.ChunkedArray:
    if values.type == item.type:
        return values
    try:
        if pa.types.is_dictionary(values.type):
            values = values.cast(values.type.value_type)
        if pa.types.is_timestamp(values.type) and pa.types.is_timestamp(item.type) and values.type.tz is None:
            return pc.assume_timezone(values.cast(pa.timestamp("us")), "UTC")
        if pa.types.is_decimal(item.type) and pa.types.is_floating(values.type):
            values = pc.round(values, ndigits=2)
            return values.cast(pa.decimal128(38, 2), safe=False).cast(item.type)
        return values.cast(item.type)
    except pa.ArrowInvalid as error:
        raise BadInput(f"{table}: {item.name} does not fit {item.type}: {error}. Check that column.") from None


def _what_differs(
    con: duckdb.DuckDBPyConnection, name: str, table: pa.Table, given: list[str]
) -> tuple[pa.Table, pa.Table]:
    key = TABLES[name].key
    on = " and ".join(f'i."{k}" is not distinct from l."{k}"' for k in key)
    known = {c[0] for c in con.sql(f"describe {name}").fetchall()}
    kept = [c for c in table.column_names if c != SEQUENCE]
    same = " and ".join(
        f'i."{c}" is not distinct from l."{c}"' if c in known else f'i."{c}" is null' for c in given if c not in key
    )
    start = con.sql(f"select coalesce(max({SEQUENCE}), -1) + 1 from {name}").fetchall()[0][0]
    columns = ", ".join(f'i."{c}"' for c in kept)
    fresh = con.sql(
        f"select {columns}, {start} + row_number() over (order by i.{SEQUENCE}) - 1 as {SEQUENCE} "
        f"from incoming i anti join {name} l on {on} order by i.{SEQUENCE}"
    ).to_arrow_table()
    changed = con.sql(
        f"select {columns}, l.{SEQUENCE} from incoming i join {name} l on {on} where not ({same or 'true'})"
    ).to_arrow_table()
    return fresh.cast(table.schema), changed.cast(table.schema)


def _widen(delta: DeltaTable, table: pa.Table) -> None:
    """Add the company's new `x_*` columns before a merge, which cannot add them itself."""
    known = set(pa.schema(delta.schema().to_arrow()).names)
    if set(table.column_names) - known:
        write_deltalake(delta, table.slice(0, 0), mode="append", schema_mode="merge")


def duck_type(kind: pa.DataType) -> str:
    """What DuckDB calls an Arrow type of the tables."""
    if pa.types.is_timestamp(kind):
        return "timestamptz"
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision}, {kind.scale})"
    if pa.types.is_date(kind):
        return "date"
    if pa.types.is_integer(kind):
        return "bigint"
    if pa.types.is_floating(kind):
        return "double"
    return "boolean" if pa.types.is_boolean(kind) else "varchar"
