"""What every CRM connector is: its declaration, its batches, and the sync that merges them before the cursor moves."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pyarrow as pa
import pyarrow.parquet as pq

from crm.company import Company
from crm.connectors.differences import Differences
from crm.connectors.seen import Seen
from crm.errors import BadInput, NotReady
from crm.importing import import_path
from crm.lake import Lake
from crm.mapping import BadMapping, ColumnMap, OwnKind, TableMap
from crm.mapping import Mapping as CrmMapping
from crm.people import PeopleBook
from crm.report import ImportReport
from crm.schema import TABLES

Row = Mapping[str, str | None]
State = Mapping[str, Any]
OwnFields = Mapping[str, Mapping[str, OwnKind | None]]
"""Fields that the company made, by resource and name, and what they hold; None: not said."""
Tell = Callable[[str], None]


class CrmUnreachable(NotReady):
    """The CRM does not answer, or refuses for now."""

    def __init__(self, crm: str, problem: str, mend: str) -> None:
        super().__init__(f"{crm}: {problem}. {mend} What has been merged so far is kept; the next sync goes on there.")


class CallRefused(CrmUnreachable):
    """The CRM says that this one call cannot be done; others may be."""

    def __init__(self, crm: str, problem: str, mend: str) -> None:
        super().__init__(crm, problem, mend)
        self.problem = problem


class BadCrmKey(BadInput):
    """The CRM does not accept the credentials, or they are missing."""

    def __init__(self, crm: str, problem: str, mend: str) -> None:
        super().__init__(f"{crm}: {problem}. {mend}")


class BadState(BadInput):
    """The file that says how far a sync has come cannot be used."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is no state of a sync. Delete it: the next sync reads everything again, none twice.")


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of record of a CRM.

    Parameters
    ----------
    name : str
        Mappings name its file `NAME.parquet`.
    columns : tuple of str
        Text columns that are always there; a mapping may ask for further ones.
    removes : mapping of str to str
        Canonical tables, and their column that holds this resource's identifier: such rows leave the lake when the
        CRM deletes the record.
    """

    name: str
    columns: tuple[str, ...]
    removes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a connector reads, and what the CRM itself knows of the past.

    Parameters
    ----------
    name, title : str
        Name in commands and paths; name for people.
    resources : tuple of Resource
        What is read, in the order of a first load.
    deals : tuple of str
        Resources that fill the table deals; their rows have the columns `identifier` and `modified`.
    modified : str
        Column of those resources with the time of the record's last change, ISO 8601.
    history : frozenset of str
        Columns of deals whose log the CRM gives; changes of the others are found by comparing syncs.
    mapping : Path
        The mapping that fits the CRM as it is sold.
    identifier : str
        Column of every resource with the record's key.
    own : str
        How names of the company's own kinds of records end, which a mapping may read as well; empty: none are read.
    lists : bool
        Whether the connector gives lists of all keys, see `Batch.present`; what was merged is then noted beside the
        cursor, so that nothing is taken out of the lake that did not come from this CRM.
    """

    name: str
    title: str
    resources: tuple[Resource, ...]
    deals: tuple[str, ...]
    modified: str
    history: frozenset[str]
    mapping: Path
    identifier: str = "id"
    own: str = ""
    lists: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows by resource that belong into the lake together, and the cursor once they are there.

    `gone` holds identifiers of deleted records by resource; `present` identifiers of all records that are there, for
    resources that were listed as a whole: others of them were deleted.
    """

    rows: Mapping[str, Sequence[Row]]
    state: State
    gone: Mapping[str, Sequence[str]] = field(default_factory=dict)
    present: Mapping[str, Sequence[str]] = field(default_factory=dict)


class Connector(Protocol):
    """A CRM that can be read bit by bit."""

    @property
    def declaration(self) -> Declaration:
        """What it reads."""
        ...

    def own_fields(self) -> OwnFields:
        """Fields that the company made itself and that hold numbers, choices or days: no words of people.

        Raises
        ------
        CrmUnreachable, BadCrmKey
            If the CRM does not say.
        """
        ...

    def pull(self, state: State, stop: datetime, wanted: Mapping[str, Sequence[str]]) -> Iterator[Batch]:
        """Everything that changed since `state`.

        Parameters
        ----------
        state : mapping
            Cursor of the last batch that is in the lake; empty for a first load.
        stop : datetime
            UTC; where a run has to end, so that records that change meanwhile wait for the next one.
        wanted : mapping of str to sequence of str
            Columns that the mapping reads, by resource.

        Raises
        ------
        CrmUnreachable, BadCrmKey
            If the CRM gives no rows.
        """
        ...


@runtime_checkable
class ReadsSome(Connector, Protocol):
    """A CRM that can give some records by their keys."""

    def pull_some(
        self, keys: Mapping[str, Sequence[str]], stop: datetime, wanted: Mapping[str, Sequence[str]]
    ) -> Iterator[Batch]:
        """Records by resource and key as they are now; `gone` of a batch holds keys that are not there.

        Raises
        ------
        CrmUnreachable, BadCrmKey
            If the CRM gives no rows.
        """
        ...


@dataclass(slots=True)
class SyncReport:
    """What a sync did: rows by table and what became of them, refused cells, batches, and the last cursor."""

    tables: dict[str, Counter[str]] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    batches: int = 0
    stages: dict[str, list[str]] = field(default_factory=dict)
    quarantine: str | None = None

    def add(self, report: ImportReport) -> None:
        """Count one batch."""
        self.batches += 1
        self.stages = report.stages or self.stages
        self.quarantine = report.quarantine or self.quarantine
        for name, t in report.tables.items():
            counts = {"new": t.new, "changed": t.changed, "unchanged": t.unchanged, "refused": t.refused}
            self.tables.setdefault(name, Counter()).update({**counts, "gone": t.gone})
        self.refused.update(f"{r.table}, {r.column}: {r.reason}. {r.mend}" for r in report.refusals)

    @property
    def taken(self) -> int:
        """Rows that were new, changed or seen unchanged."""
        return sum(c["new"] + c["changed"] + c["unchanged"] for c in self.tables.values())

    def lines(self) -> list[str]:
        """The report as lines to read."""
        words = ("new", "changed", "unchanged", "refused", "gone")
        out = [f"{t}: " + ", ".join(f"{c[w]:,} {w}" for w in words) for t, c in sorted(self.tables.items())]
        out += [f"refused {n:,}: {text}" for text, n in self.refused.most_common()]
        return out + ([f"refused rows are kept in {self.quarantine}"] if self.quarantine else [])


def sync(
    connector: Connector,
    *,
    lake: Lake,
    people: PeopleBook,
    quarantine: Path,
    company: Company,
    state_file: Path,
    stop: datetime,
    mapping: CrmMapping,
    progress: Tell | None = None,
) -> SyncReport:
    """Bring the lake up to the CRM.

    Each batch is merged in one cut and only then the cursor is written: a run that dies in between reads that batch
    again, which changes nothing.

    Parameters
    ----------
    connector : Connector
        Where rows come from.
    lake, people, quarantine, company
        As `crm.importing.import_path` takes them.
    state_file : Path
        JSON file that holds the cursor; made when first needed.
    stop : datetime
        UTC; records changed later wait for the next sync.
    mapping : Mapping
        Which columns fill what; its files are named after the resources. The company's own fields of deals, accounts
        and reps are read beside it, as `x_NAME`.
    progress : callable, optional
        Called with words at each batch.

    Raises
    ------
    CrmUnreachable, BadCrmKey
        If the CRM gives no rows; earlier batches stay.
    BadMapping
        If the mapping names a file that is no resource.
    BadState
        If the state file is none.
    """
    mapping, wanted = _prepared(connector, mapping, company)
    declared, report = connector.declaration, SyncReport()
    take = partial(_take, lake=lake, people=people, quarantine=quarantine, company=company)
    seen = Seen(state_file.with_suffix(".seen")) if declared.lists else None
    for batch in connector.pull(read_state(state_file), stop, wanted):
        gone = _all_gone(batch, seen)
        if any(batch.rows.values()) or any(gone.values()):
            report.add(take(declared, batch.rows, gone, mapping, wanted))
        if seen is not None:
            seen.note(_keys_of(declared, batch), gone)
        write_state(state_file, batch.state)
        if progress:
            progress(f"{report.taken:,} rows, {report.batches:,} batches")
    return report


def sync_touched(
    connector: ReadsSome,
    touched: Mapping[str, Mapping[str, bool]],
    *,
    lake: Lake,
    people: PeopleBook,
    quarantine: Path,
    company: Company,
    state_file: Path,
    stop: datetime,
    mapping: CrmMapping,
) -> SyncReport:
    """Bring some records up to the CRM, as they are there now; the cursor stays, so the next sync reads them again.

    Parameters
    ----------
    touched : mapping of str to mapping of str to bool
        By resource and key: whether the CRM said that the record was deleted. It leaves the lake if it is not there.

    Raises
    ------
    CrmUnreachable, BadCrmKey, BadMapping
        As in `sync`, which explains the other parameters too.
    """
    mapping, wanted = _prepared(connector, mapping, company)
    declared, report = connector.declaration, SyncReport()
    take = partial(_take, lake=lake, people=people, quarantine=quarantine, company=company)
    seen = Seen(state_file.with_suffix(".seen")) if declared.lists else None
    keys = {name: sorted(found) for name, found in touched.items() if name in wanted}
    for batch in connector.pull_some(keys, stop, wanted):
        gone = {n: [i for i in ids if touched.get(n, {}).get(i)] for n, ids in batch.gone.items()}
        if any(batch.rows.values()) or any(gone.values()):
            report.add(take(declared, batch.rows, gone, mapping, wanted))
        if seen is not None:
            seen.note(_keys_of(declared, batch), gone)
    return report


def _prepared(connector: Connector, mapping: CrmMapping, company: Company) -> tuple[CrmMapping, dict[str, list[str]]]:
    """The mapping with the company's own fields, and the columns it reads."""
    declared = connector.declaration
    wanted_columns(declared, mapping)  # a mapping that names what is not there is said before the CRM is asked
    written = company.write_back.get(declared.name)
    whole = with_own_fields(mapping, connector.own_fields(), but=written.fields if written else ())
    return whole, wanted_columns(declared, whole)


def _keys_of(declared: Declaration, batch: Batch) -> dict[str, list[str]]:
    """Keys of a batch's records by resource; rows of a log have none of their own."""
    key = declared.identifier
    return {name: [str(row[key]) for row in rows if key in row] for name, rows in batch.rows.items()}


def _all_gone(batch: Batch, seen: Seen | None) -> dict[str, list[str]]:
    """Deleted records by resource: those the CRM named, and those it no longer lists."""
    gone = {name: list(ids) for name, ids in batch.gone.items()}
    if seen is not None:
        for name, ids in batch.present.items():
            gone[name] = [*gone.get(name, []), *seen.missing(name, ids)]
    return gone


def with_own_fields(mapping: CrmMapping, fields: OwnFields, *, but: Sequence[str] = ()) -> CrmMapping:
    """The mapping with the company's own fields as columns `x_*` of tables that take such; what it reads, it keeps.

    Fields in `but` are left out: what was forecast and written into the CRM must not come back as something known.
    """
    tables = []
    for table in mapping.tables:
        read = set(_columns_read(table))
        own = fields.get(table.file.removesuffix(".parquet"), {}) if TABLES[table.table].custom else {}
        new = {n: kind for n, kind in own.items() if n not in read and n not in but}
        more = {own_name(n): ColumnMap.model_validate({"from": n, "kind": kind}) for n, kind in new.items()}
        tables.append(table.model_copy(update={"columns": {**more, **table.columns}}))
    return mapping.model_copy(update={"tables": tables})


def own_name(field_name: str) -> str:
    """Column of the lake for a field of the company's own: `Win_Story__c` is `x_win_story`."""
    return "x_" + re.sub(r"\W+", "_", field_name.removesuffix("__c")).strip("_").lower()


def wanted_columns(declared: Declaration, mapping: CrmMapping) -> dict[str, list[str]]:
    """Columns by resource that the mapping reads, beside those the connector always has."""
    wanted = {r.name: dict.fromkeys(r.columns) for r in declared.resources}
    for table in mapping.tables:
        name = table.file.removesuffix(".parquet")
        if declared.own and name.endswith(declared.own):
            wanted.setdefault(name, dict.fromkeys((declared.identifier, declared.modified)))
        if name not in wanted:
            known = ", ".join(f"{n}.parquet" for n in wanted)
            raise BadMapping(table.table, f"{declared.title} has no '{table.file}'", f"Files: {known}.")
        wanted[name].update(dict.fromkeys(_columns_read(table)))
    return {name: list(columns) for name, columns in wanted.items()}


def _columns_read(table: TableMap) -> list[str]:
    read = [*table.where, *table.filled, *table.per, *table.order]
    for column in table.columns.values():
        read += [*column.sources, *column.where]
    return read


def _take(
    declared: Declaration,
    rows: Mapping[str, Sequence[Row]],
    gone_ids: Mapping[str, Sequence[str]],
    mapping: CrmMapping,
    wanted: Mapping[str, Sequence[str]],
    *,
    lake: Lake,
    people: PeopleBook,
    quarantine: Path,
    company: Company,
) -> ImportReport:
    gone = _gone(declared, gone_ids, mapping)
    tables = [t for t in mapping.tables if rows.get(t.file.removesuffix(".parquet"))]
    if not tables:
        counts = lake.merge({}, source=f"sync of {declared.title}", gone=gone)
        return ImportReport.of_counts(counts)
    deals = [row for name in declared.deals for row in rows.get(name, ())]
    moments = {str(row[declared.identifier]): str(row[declared.modified]) for row in deals}
    with tempfile.TemporaryDirectory() as scratch:
        for table in tables:
            name = table.file.removesuffix(".parquet")
            _write(Path(scratch) / table.file, rows[name], wanted[name])
        return import_path(
            Path(scratch),
            lake=lake,
            people=people,
            quarantine=quarantine,
            company=company,
            mapping=mapping.model_copy(update={"tables": tables, "name": declared.title}),
            derive=Differences(moments, declared.history),
            gone=gone,
            find=False,
        )


def _write(path: Path, rows: Sequence[Row], columns: Sequence[str]) -> None:
    data = {c: pa.array([row.get(c) for row in rows], pa.string()) for c in columns}
    pq.write_table(pa.table(data), path)


def _gone(declared: Declaration, ids: Mapping[str, Sequence[str]], mapping: CrmMapping) -> dict[str, pa.Table]:
    by_table: dict[str, pa.Table] = {}
    removes = {r.name: r.removes for r in declared.resources}
    for name, found in ids.items():
        places = removes[name] if name in removes else _own_removes(name, declared, mapping)
        for table, column in places.items() if found else ():
            more = pa.table({column: pa.array(found, pa.string())})
            by_table[table] = pa.concat_tables([by_table[table], more]) if table in by_table else more
    return by_table


def _own_removes(name: str, declared: Declaration, mapping: CrmMapping) -> dict[str, str]:
    """What a company's own kind of record takes along: rows that have its key for theirs."""
    found = {}
    for table in mapping.tables:
        key = TABLES[table.table].key[0]
        if table.file == f"{name}.parquet" and table.columns[key].sources == [declared.identifier]:
            found[table.table] = key
    return found


def read_state(path: Path) -> State:
    """The cursor; empty before the first sync.

    Raises
    ------
    BadState
        If the file holds something else.
    """
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        raise BadState(path) from None
    if not isinstance(state, dict):
        raise BadState(path)
    return state


def write_state(path: Path, state: State) -> None:
    """Replace the cursor in one step, on disk before it counts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        json.dump(state, file)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(path)
