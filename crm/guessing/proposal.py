"""Which canonical table a file fills and from which of its columns, by names first and by values second."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import duckdb

from crm.guessing.values import Numbers, dates, meanings, numbers
from crm.guessing.vocabulary import GENERAL, TableWords, Vocabulary, plain, vocabularies
from crm.lake import connect
from crm.mapping import Format
from crm.reading import BadFile, files_in, read, stem
from crm.schema import TABLES, Column

Sure = Literal["known", "likely", "unsure"]
"""The CRM's own name for it and values that fit; a usual name, or one found by values; to be decided by a person."""
_SAMPLE = 2_000
_OWN_NAMES = 2  # names that are no usual words: fewer are an accident
_FEW = 60  # so many different words at most make a column of stages or kinds


@dataclass(frozen=True, slots=True)
class Proposed:
    """One canonical column: where it may come from, how sure that is, why, and what else fits."""

    column: str
    source: str | tuple[str, ...] | None
    sure: Sure
    why: str
    person: bool = False
    values: dict[str, str | None] = field(default_factory=dict)
    where: dict[str, tuple[str, ...]] = field(default_factory=dict)
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProposedTable:
    """What one file fills; `unused` columns fit nothing."""

    table: str
    file: str
    columns: tuple[Proposed, ...]
    dates: tuple[str, ...]
    numbers: Numbers | None
    doubtful_dates: tuple[str, ...]
    stages: tuple[str, ...]
    unused: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A whole mapping to be looked through: the CRM it looks like, a table a file, files that fit nothing."""

    crm: str
    tables: tuple[ProposedTable, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    header: dict[str, str]  # plain name: name in the file
    values: dict[str, list[str]]  # name in the file: different values that occur


def propose(path: Path) -> Proposal:
    """Propose a mapping for a file, a zip archive or a folder.

    Raises
    ------
    BadFile
        If nothing can be read there, or no file looks like a table that is known.
    """
    files = _look(Path(path))
    crm = _vocabulary_of(files)
    tables, unknown = [], []
    for file in files:
        table = _table_of(file, crm)
        if table is None:
            unknown.append(file.name)
        else:
            tables.append(_propose_table(file, table, crm))
    if not tables:
        raise BadFile(
            str(path), "no file looks like deals, accounts or another table", "Write a mapping, see docs/import.md."
        )
    return Proposal(crm.title, tuple(_joined(tables)), tuple(unknown))


def _look(path: Path) -> list[_File]:
    with tempfile.TemporaryDirectory() as scratch, connect() as con:
        found = []
        for place, source in enumerate(files_in(path, Path(scratch)).values()):
            raw = read(con, source, f"look_{place}", Format.model_validate({}), Path(scratch))
            values = {column: _values(con, raw.name, column) for column in raw.columns}
            found.append(_File(raw.file, {plain(c): c for c in reversed(raw.columns)}, values))
        return found


def _values(con: duckdb.DuckDBPyConnection, name: str, column: str) -> list[str]:
    quoted = '"' + column.replace('"', '""') + '"'
    rows = con.sql(f"""
        select trim({quoted}) from {name} where nullif(trim({quoted}), '') is not null
        group by 1 order by min(_row) limit {_SAMPLE}
    """).fetchall()
    return [str(row[0]) for row in rows]


def _vocabulary_of(files: Sequence[_File]) -> Vocabulary:
    """The CRM whose names explain most columns; the general words where none has names of its own among them."""
    general = vocabularies()[GENERAL]
    scores: dict[str, int] = {}
    for name, vocabulary in vocabularies().items():
        best = [max(_names_and_own(file, vocabulary), key=lambda n: len(n[0])) for file in files]
        found, own = {w for names, _ in best for w in names}, {w for _, names in best for w in names}
        if name != GENERAL and len(own) >= _OWN_NAMES:
            scores[name] = len(found) + 2 * len(own)
    first = [name for name, score in scores.items() if score == max(scores.values())]
    return vocabularies()[first[0]] if len(first) == 1 else general


def _names_and_own(file: _File, vocabulary: Vocabulary) -> list[tuple[set[str], set[str]]]:
    """By table the vocabulary's names that the file has, and those among them that are no usual words."""
    usual = vocabularies()[GENERAL].tables
    return [
        (names := _names_in(file, words), names - (_all_names(usual[table]) if table in usual else set()))
        for table, words in vocabulary.tables.items()
    ]


def _all_names(words: TableWords) -> set[str]:
    return {w.text for names in words.columns.values() for w in names}


def _names_in(file: _File, words: TableWords) -> set[str]:
    return _all_names(words) & set(file.header)


def _hits(file: _File, words: TableWords) -> int:
    return sum(any(w.text in file.header for w in names) for names in words.columns.values())


def _needed_hits(file: _File, table: str, words: TableWords) -> int:
    return sum(any(w.text in file.header for w in words.columns.get(name, ())) for name in TABLES[table].required)


def _table_of(file: _File, crm: Vocabulary) -> str | None:
    """The table whose names fit best; a file's own name counts as three columns, one that every row needs as two."""
    general = vocabularies()[GENERAL]
    name = plain(stem(file.name))
    scores: dict[str, float] = {}
    for vocabulary, weight in ((crm, 1.0), (general, 0.5)):
        for table, words in vocabulary.tables.items():
            named = any(name == f or name.startswith(f"{f} ") for f in words.files)
            score = weight * (_hits(file, words) + _needed_hits(file, table, words)) + (3 if named else 0)
            scores[table] = max(scores.get(table, 0), score)
    table = max(scores, key=lambda t: scores[t])
    return table if scores[table] >= 2 else None


def _propose_table(file: _File, table: str, crm: Vocabulary) -> ProposedTable:
    taken: dict[str, Proposed] = {}
    for column in TABLES[table].columns:
        found = _propose_column(file, table, column, crm, {_first(p) for p in taken.values()})
        if found is not None:
            taken[column.name] = found
    if table == "deals":
        taken |= _outcome_and_end(file, taken)
    _fill_key(table, taken)
    used = {s for p in taken.values() for s in ([p.source] if isinstance(p.source, str) else p.source or ())}
    times = [p for p in taken.values() if _type(table, p) in ("time", "date") and p.source]
    # Columns of one file are mostly written alike: a day past 12 in one tells day from month in all.
    together = dates([v for p in times for v in file.values[_first(p)]])
    forms = [(p, together or form) for p in times if (form := dates(file.values[_first(p)]))]
    amounts = [p for p in taken.values() if _type(table, p) in ("money", "number", "integer") and p.source]
    marks = [mark for p in amounts if (mark := numbers(file.values[_first(p)]))]
    return ProposedTable(
        table=table,
        file=file.name,
        columns=tuple(taken[c.name] for c in TABLES[table].columns if c.name in taken),
        dates=tuple(dict.fromkeys(f for _, form in forms for f in form.formats)),
        numbers=next((m for m in marks if m != Numbers(".", None)), None),
        doubtful_dates=tuple(_first(p) for p, form in forms if form.doubtful),
        stages=_open_stages(file, taken) if table == "deals" else (),
        unused=tuple(c for c in file.header.values() if c not in used),
    )


def _type(table: str, proposed: Proposed) -> str:
    return TABLES[table].by_name[proposed.column].type


def _first(proposed: Proposed) -> str:
    return proposed.source if isinstance(proposed.source, str) else (proposed.source or ("",))[0]


def _propose_column(file: _File, table: str, column: Column, crm: Vocabulary, used: set[str]) -> Proposed | None:
    unfit: list[str] = []
    general = vocabularies()[GENERAL]
    others = (v for v in vocabularies().values() if v is not crm and v is not general)
    for vocabulary in (crm, general, *others):
        words = vocabulary.tables.get(table)
        for word in words.columns.get(column.name, ()) if words else ():
            source = file.header.get(word.text)
            if source is None or (source in used and not _may_share(column)):
                continue
            whose = f"{vocabulary.title}'s name for it" if vocabulary.title else "a usual name for it"
            misfit = _misfit(file, table, column, source)
            if misfit:
                unfit.append(f"'{source}' {misfit}")
                continue
            sure: Sure = "known" if vocabulary is crm and crm.title else "likely"
            said = meanings(table, column.name, file.values[source]) if column.words else {}
            kept: dict[str, str | None] = {value: word for value, word in said.items() if value.lower() != word}
            if column.words and len(said) < len(file.values[source]):
                kept["*"] = None
            return Proposed(column.name, source, sure, whose, word.person, kept)
    return _by_values(file, column, used, unfit) if column.required else None


def _may_share(column: Column) -> bool:
    return column.type == "key" or column.name == "name"


def _misfit(file: _File, table: str, column: Column, source: str) -> str | None:
    """Why the values cannot be this column's; None where they can, and where there are none."""
    values = file.values[source]
    if not values:
        return None
    if column.type in ("time", "date") and dates(values) is None:
        return f"holds '{values[0][:40]}', no date"
    if column.type in ("money", "number", "integer") and numbers(values) is None:
        return f"holds '{values[0][:40]}', no plain number"
    if column.words and not meanings(table, column.name, values):
        return f"holds '{values[0][:40]}', none of the words known"
    return None


def _by_values(file: _File, column: Column, used: set[str], unfit: list[str]) -> Proposed:
    """A column that every row needs and no name gave: candidates by their values, for a person to choose from."""
    free = [c for c in file.header.values() if c not in used]
    others = tuple(c for c in free if file.values[c] and _could_be(column, file.values[c]))
    why = "; ".join(dict.fromkeys(unfit)) or "no column has a name that is known"
    return Proposed(column.name, None, "unsure", why, others=others[:6])


def _could_be(column: Column, values: list[str]) -> bool:
    if column.type in ("time", "date"):
        return dates(values) is not None
    if column.type in ("money", "number", "integer"):
        return numbers(values) is not None
    words = 1 < len(values) <= _FEW and dates(values) is None and numbers(values) is None
    return column.type == "key" or words


def _outcome_and_end(file: _File, taken: dict[str, Proposed]) -> dict[str, Proposed]:
    """Outcome from the stage where no column tells it, and the closing day of deals that ended."""
    made: dict[str, Proposed] = {}
    outcome, stage = taken.get("outcome"), taken.get("stage")
    if (outcome is None or outcome.source is None) and stage and isinstance(stage.source, str):
        ends = {v: w for v, w in meanings("deals", "outcome", file.values[stage.source]).items() if w != "open"}
        if set(ends.values()) == {"won", "lost"}:
            why = f"'{stage.source}' has stages for won and lost"
            made["outcome"] = Proposed("outcome", stage.source, "likely", why, values={**ends, "*": "open"})
    elif outcome and isinstance(outcome.source, str) and "*" in outcome.values:
        made["outcome"] = Proposed(
            "outcome", outcome.source, "likely", f"{outcome.why}; words not known are taken as open",
            values={**outcome.values, "*": "open"},
        )  # fmt: skip
    told, close = made.get("outcome", outcome), taken.get("close_date")
    if "closed_at" not in taken and told and isinstance(told.source, str) and close and isinstance(close.source, str):
        said = meanings("deals", "outcome", file.values[told.source])
        ended = tuple(v for v, w in said.items() if w in ("won", "lost"))
        if ended:
            why = f"'{close.source}' of deals that ended"
            made["closed_at"] = Proposed("closed_at", close.source, "likely", why, where={told.source: ended})
    return made


def _fill_key(table: str, taken: dict[str, Proposed]) -> None:
    """The name where there is no column of identifiers; of a deal, the name and the customer together."""
    column = TABLES[table].key[0]
    key = taken.get(column)
    if key is None or key.source is not None or "name" not in taken or taken["name"].source is None:
        return
    names = ("name", "account_id") if table == "deals" else ("name",)
    parts = tuple(dict.fromkeys(_first(taken[n]) for n in names if n in taken and taken[n].source))
    why = "no column of identifiers; two of one name would be one"
    source = parts[0] if len(parts) == 1 else parts
    taken[column] = Proposed(column, source, "likely", why, person=table == "reps", others=key.others)


def _open_stages(file: _File, taken: dict[str, Proposed]) -> tuple[str, ...]:
    stage = taken.get("stage")
    if stage is None or not isinstance(stage.source, str):
        return ()
    values = file.values[stage.source]
    ends = {v for v, w in meanings("deals", "outcome", values).items() if w != "open"}
    return tuple(v for v in values if v not in ends)[:_FEW]


def _joined(tables: list[ProposedTable]) -> list[ProposedTable]:
    """Where deals know a customer by name, customers go by their name too, or nothing would meet."""
    by_name = {
        _first(p) for t in tables if t.table != "accounts" for p in t.columns if p.column == "account_id" and p.source
    }
    joined = []
    for table in tables:
        names = {p.column: p for p in table.columns}
        own = names.get("name")
        if table.table == "accounts" and own and _first(own) in by_name and _first(names["account_id"]) not in by_name:
            key = Proposed("account_id", own.source, "likely", "other files know customers by this name")
            columns = tuple(key if p.column == "account_id" else p for p in table.columns)
            joined.append(_with_columns(table, columns))
        else:
            joined.append(table)
    return joined


def _with_columns(table: ProposedTable, columns: tuple[Proposed, ...]) -> ProposedTable:
    return ProposedTable(
        table.table, table.file, columns, table.dates, table.numbers, table.doubtful_dates, table.stages, table.unused
    )
