"""Files to good rows in the lake: all tables in one merge, bad rows to the quarantine, and a report on both."""

from __future__ import annotations

import fnmatch
import hashlib
import tempfile
from collections.abc import Callable, Iterable
from collections.abc import Mapping as Map
from pathlib import Path

import duckdb
import pyarrow as pa

from crm.checking import HIDDEN, Refusal, canonical_rows, check_columns
from crm.company import Company
from crm.lake import Lake, LakeView, MergeCount, connect
from crm.mapping import BadMapping, ColumnMap, Mapping, TableMap
from crm.people import PeopleBook
from crm.quality import findings
from crm.quarantine import keep
from crm.reading import ROW, BadFile, RawTable, Source, files_in, read, stem
from crm.report import ImportReport, TableReport
from crm.schema import PERSON_KEY, TABLES, Table

Progress = Callable[[str, int, int], None]
Derive = Callable[[Map[str, pa.Table], LakeView], Map[str, pa.Table]]
"""From an import's good rows and the lake before them to further rows."""
_PERSONS = {"reps": "rep", "contacts": "contact"}


def import_path(
    path: Path,
    *,
    lake: Lake,
    people: PeopleBook,
    quarantine: Path,
    company: Company,
    mapping: Mapping | None = None,
    progress: Progress | None = None,
    derive: Derive | None = None,
    gone: Map[str, pa.Table] | None = None,
    find: bool = True,
) -> ImportReport:
    """Read a file or a folder into the lake.

    Parameters
    ----------
    path : Path
        A file, a zip archive or a folder of files, see `crm.reading.files_in`. Without a mapping each file, or sheet of
        a workbook with several, is named after its canonical table.
    lake : Lake
        Gets all good rows in one merge: a run that dies leaves it as it was.
    people : PeopleBook
        Gets names and addresses; the lake gets a random key in their place.
    quarantine : Path
        Folder for refused rows.
    mapping : Mapping, optional
        Which columns fill what.
    progress : callable, optional
        Called with a step's name, steps done, steps in all.
    derive : callable, optional
        Gives further rows, to be merged with those read.
    gone : mapping of str to pa.Table, optional
        Rows to take out of the lake in the same merge, see `crm.lake.Lake.merge`.
    find : bool
        Whether the report holds findings, for which the whole lake is read.

    Raises
    ------
    BadFile
        If a file cannot be read at all, or lacks a column that is needed.
    BadMapping
        If the mapping names a file that is not there, or one outside the folder.
    """
    tell = progress or (lambda *_: None)
    with tempfile.TemporaryDirectory() as scratch, connect() as con:
        files = files_in(Path(path), Path(scratch))
        plan = _plan(files, Path(path), mapping)
        con.execute("set preserve_insertion_order = true")
        run = _Run(con, lake, people, company, mapping, Path(scratch))
        for done, (file, tables) in enumerate(plan.items()):
            tell(f"Reading {file}", done, len(plan) + 1)
            run.take(files[file], tables)
        tell("Writing to the lake", len(plan), len(plan) + 1)
        if not any(run.read.values()) and not run.left_out:
            raise BadFile(", ".join(plan), "has a header but no rows", "Export it again with its rows.")
        rows = {name: table for name in run.parts if (table := run.arrow(name)).num_rows}
        for name, more in (derive(rows, run.view) if derive else {}).items():
            rows[name] = pa.concat_tables([rows[name], more], promote_options="default") if name in rows else more
        # The quarantine comes first: a run that dies between the two loses no refused row, and the next writes it anew.
        place = keep(quarantine, run.refused, run.rows_of, _digest(plan, files), tables=run.parts)
        counts = lake.merge(rows, source=_source(plan, mapping), gone=gone) if rows or gone else {}
        tell("Done", len(plan) + 1, len(plan) + 1)
        return _report(run, counts, lake, company, mapping, place, find=find)


def _plan(files: dict[str, Source], path: Path, mapping: Mapping | None) -> dict[str, list[TableMap]]:
    """Tables to fill from each file, in order."""
    if mapping is None:
        return {name: [] for name in _canonical(files, path)}
    plan: dict[str, list[TableMap]] = {}
    folder = path if path.is_dir() else path.parent
    for table in mapping.tables:
        found = [name for name in files if fnmatch.fnmatch(name, table.file)]
        if not found and not path.is_dir():
            continue
        if not (folder / table.file).resolve().is_relative_to(folder.resolve()):
            raise BadMapping(table.table, f"'{table.file}' lies outside the folder", "Name files of the folder alone.")
        if not found:
            raise BadMapping(table.table, f"there is no file '{table.file}'", f"Found: {', '.join(files)}.")
        for name in found:
            if path.is_dir() and not files[name].path.resolve().is_relative_to(folder.resolve()):
                raise BadMapping(table.table, f"'{name}' leads outside the folder", "Copy the file into the folder.")
            plan.setdefault(name, []).append(table)
    if not plan:
        raise BadMapping(
            mapping.name or "mapping", f"names no file like '{path.name}'", "Give the folder of the export."
        )
    return plan


def _canonical(files: dict[str, Source], path: Path) -> list[str]:
    known = [name for name in files if stem(name) in TABLES]
    if not known:
        raise BadFile(
            str(path), f"no file is named after a table ({', '.join(files)})",
            f"Give a mapping (--mapping FILE), or name files after the tables: {', '.join(TABLES)}.",
        )  # fmt: skip
    return known


def _own_columns(raw: RawTable) -> tuple[TableMap, list[str]]:
    """A canonical file's own mapping, and the columns that fit nothing."""
    table = TABLES[stem(raw.file)]
    fits = [c for c in raw.columns if c in table.by_name or (table.custom and c.startswith("x_"))]
    for name in table.required:
        if name not in fits:
            raise BadFile(
                raw.file, f"has no column '{name}', which every row needs", f"Found: {', '.join(raw.columns)}. "
                "Add it, check the delimiter, or give a mapping.",
            )  # fmt: skip
    columns = {name: ColumnMap.model_validate({"from": name}) for name in fits}
    return TableMap(table=table.name, file=raw.file, columns=columns), [c for c in raw.columns if c not in fits]


class _Run:
    """What one import has gathered so far."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        lake: Lake,
        people: PeopleBook,
        company: Company,
        mapping: Mapping | None,
        scratch: Path,
    ) -> None:
        self.con, self.people, self.company = con, people, company
        self.mapping, self.scratch = mapping or Mapping.model_construct(tables=[]), scratch
        self.view = lake.view()
        self.parts: dict[str, list[str]] = {}
        self.read: dict[str, int] = {}
        self.refused: list[Refusal] = []
        self.ignored: dict[str, list[str]] = {}
        self._raw: dict[str, str] = {}
        self._hidden: dict[str, set[str]] = {}
        self._persons: dict[str, str] = {}
        self._shown: dict[str, set[str]] = {}
        self.left_out: dict[str, int] = {}
        self.notes: dict[str, list[str]] = {}

    def take(self, source: Source, tables: list[TableMap]) -> None:
        """Read one file, or sheet of one, and gather its good rows."""
        name = f"raw_{len(self._raw)}"
        form = self.mapping.format_of(tables[0]) if tables else Mapping.model_construct(tables=[]).format_of(_ANY)
        raw = read(self.con, source, name, form, self.scratch)
        self._raw[raw.file] = name
        if raw.notes:
            self.notes[raw.file] = list(raw.notes)
        if not tables:
            own, self.ignored[raw.file] = _own_columns(raw)
            tables = [own]
        for broken in raw.broken:
            self.refused.append(Refusal(tables[0].table, raw.file, broken.row, "row", "", broken.reason, broken.mend))
        for table in tables:
            check_columns(raw, table)
            self._take_table(raw, table)

    def _take_table(self, raw: RawTable, table: TableMap) -> None:
        part = f"part_{sum(map(len, self.parts.values()))}"
        custom = {
            f.name: "DOUBLE" if pa.types.is_floating(f.type) else "VARCHAR" for f in self.view.schema(table.table)
        }
        form = self.mapping.format_of(table)
        refused = canonical_rows(
            self.con, raw, table, form, zone=self.company.time_zone, custom=custom, name=part
        )  # fmt: skip
        self.read[table.table] = self.read.get(table.table, 0) + self._count(f"{part}_text") + len(raw.broken)
        self.refused += refused
        self._note_shown(raw, table)
        if table.filled:
            self.left_out[table.table] = self.left_out.get(table.table, 0) + self._lacking(raw, table)
        self._replace_persons(part, table)
        self.parts.setdefault(table.table, []).append(part)

    def _note_shown(self, raw: RawTable, table: TableMap) -> None:
        """Columns that may stand in the quarantine: those that are mapped, and to nothing personal by any table."""
        personal = {n for c, m in table.columns.items() if _is_personal(table.table, c, m) for n in m.sources}
        mapped = {n for m in table.columns.values() for n in m.sources}
        self._hidden.setdefault(raw.file, set()).update(personal)
        self._shown.setdefault(raw.file, set()).update(mapped)

    def _lacking(self, raw: RawTable, table: TableMap) -> int:
        lacks = " or ".join(f"""nullif(trim("{c.replace('"', '""')}"), '') is null""" for c in table.filled)
        return self._count(f"{raw.name} where {lacks}")

    def _replace_persons(self, part: str, table: TableMap) -> None:
        for column in [name for name, m in table.columns.items() if m.person]:
            names = [
                r[0]
                for r in self.con.sql(f'select distinct "{column}" from {part} where "{column}" is not null').fetchall()
            ]
            fresh = sorted(n for n in names if n not in self._persons)
            keys = self.people.keys_for("rep", fresh, [{"name": n} for n in fresh])
            self._persons.update(zip(fresh, keys, strict=True))
            pairs = pa.table({"name": list(self._persons), "person": list(self._persons.values())})
            self.con.register("_pairs", pairs)
            self.con.execute(f'update {part} set "{column}" = p.person from _pairs p where {part}."{column}" = p.name')
            self.con.unregister("_pairs")

    def arrow(self, table: str) -> pa.Table:
        """Good rows of a table from all files, persons replaced by keys, one a key."""
        names = self.parts[table]
        union = " union all by name ".join(f"select *, {i} as _part from {p}" for i, p in enumerate(names))
        key = ", ".join(f'"{k}"' for k in TABLES[table].key)
        once = f"qualify row_number() over (partition by {key} order by _part, {ROW}) = 1" if len(names) > 1 else ""
        rows = self.con.sql(
            f"select * exclude ({ROW}, _part) from (select * from ({union}) {once} order by _part, {ROW})"
        ).to_arrow_table()
        return self._without_persons(TABLES[table], rows)

    def _without_persons(self, table: Table, rows: pa.Table) -> pa.Table:
        personal = [c for c in table.personal if c in rows.column_names]
        if not table.personal:
            return rows
        ids = rows.column(table.key[0]).to_pylist()
        known = {key: name for name, key in self._persons.items()}
        details: list[dict[str, str | None]] = rows.select(personal).to_pylist() if personal else [{} for _ in ids]
        sources = [known.get(i, i) for i in ids]
        kept = [{**({"name": known[i]} if i in known else {}), **d} for i, d in zip(ids, details, strict=True)]
        keys = self.people.keys_for(_PERSONS[table.name], sources, kept)
        return rows.drop_columns(personal).append_column(PERSON_KEY, pa.array(keys, pa.string()))

    def rows_of(self, file: str, numbers: Iterable[int]) -> dict[int, dict[str, str | None]]:
        """Rows as the file has them, by number, personal values hidden."""
        self.con.register("_wanted", pa.table({"n": pa.array(sorted(numbers), pa.int64())}))
        found = self.con.sql(f"select r.* from {self._raw[file]} r join _wanted on r.{ROW} = n").to_arrow_table()
        self.con.unregister("_wanted")
        shown = self._shown.get(file, set()) - self._hidden.get(file, set())
        return {
            row.pop(ROW): {n: v if n in shown or not v else HIDDEN for n, v in row.items()} for row in found.to_pylist()
        }

    def _count(self, name: str) -> int:
        return int(self.con.sql(f"select count(*) from {name}").fetchall()[0][0])


_ANY = TableMap(table="absences", file="*", columns={c: ColumnMap.model_validate(c) for c in ("rep_id", "from", "to")})


def _is_personal(table: str, column: str, mapped: ColumnMap) -> bool:
    known = TABLES[table].by_name.get(column)
    return mapped.person or (known is not None and known.personal)


def _source(plan: dict[str, list[TableMap]], mapping: Mapping | None) -> str:
    return f"import of {', '.join(plan)}" + (f" by {mapping.name}" if mapping and mapping.name else "")


def _digest(plan: dict[str, list[TableMap]], files: dict[str, Source]) -> str:
    """The same files give the same name, whichever the mapping: what a mended one no longer refuses goes."""
    digest = hashlib.sha256()
    for name in plan:
        digest.update(name.encode())
        with files[name].path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()[:16]


def _report(
    run: _Run,
    counts: dict[str, MergeCount],
    lake: Lake,
    company: Company,
    mapping: Mapping | None,
    place: Path | None,
    *,
    find: bool,
) -> ImportReport:
    tables = {}
    for name in {**run.parts, **counts}:
        count = counts.get(name, MergeCount())
        refused = [r for r in run.refused if r.table == name]
        tables[name] = TableReport(
            read=run.read.get(name, 0), new=count.new, changed=count.changed, unchanged=count.unchanged,
            refused=len({(r.file, r.row) for r in refused}), gone=count.gone,
        )  # fmt: skip
    view = lake.view()
    stages = dict(mapping.stages) if mapping else {}
    known = company.model_copy(update={"stages": company.stages or stages})
    return ImportReport(
        tables=tables,
        refusals=run.refused,
        absent={name: table.absent for name, table in TABLES.items() if name not in view.present},
        ignored={file: names for file, names in run.ignored.items() if names},
        findings=findings(view, known) if find else [],
        quarantine=str(place) if place else None,
        stages=stages,
        left_out={name: rows for name, rows in run.left_out.items() if rows},
        notes=run.notes,
    )
