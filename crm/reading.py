"""Files as they come: CSV, TSV, gzip, Parquet, in UTF-8 or GB18030, to a table of text columns with row numbers."""

from __future__ import annotations

import codecs
import csv
import glob
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import duckdb
import pyarrow as pa

from crm.errors import BadInput
from crm.mapping import Format

ROW = "_row"  # the header is row 1; blank lines do not count
_SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz", ".parquet", ".pq")
_CHUNK = 1 << 22
_DELIMITERS = ",;\t|"
_END = "\x03"  # put behind the last row: a quote that never closes would swallow it
_UNCLOSED = "\x02"
_BLANK = re.compile(r"\n\n")


class BadFile(BadInput):
    """A file cannot be read at all."""

    def __init__(self, file: str, problem: str, mend: str) -> None:
        super().__init__(f"{file}: {problem}. {mend}")


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """A row that is no row: its number, its text and what is wrong."""

    row: int
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class RawTable:
    """A file as the temporary table `name`: text columns, and the row number in `_row`."""

    name: str
    file: str
    columns: tuple[str, ...]
    rows: int
    broken: tuple[BrokenRow, ...] = ()


def files_in(path: Path) -> dict[str, Path]:
    """Readable files by name: the one file given, or those of a folder (not below it).

    Raises
    ------
    BadFile
        If there is no such path, or nothing to read in it.
    """
    path = Path(path)
    if path.is_file():
        return {path.name: path}
    if not path.is_dir():
        raise BadFile(str(path), "there is no such file or folder", "Check the path.")
    found = {p.name: p for p in sorted(path.iterdir()) if p.is_file() and p.name.lower().endswith(_SUFFIXES)}
    if not found:
        raise BadFile(str(path), "holds no CSV, TSV or Parquet file", "Give the folder that holds your export.")
    return found


def stem(name: str) -> str:
    """File name without what says its format: deals.csv.gz is deals."""
    lower = name.lower()
    for suffix in sorted(_SUFFIXES, key=len, reverse=True):
        if lower.endswith(suffix):
            return name[: -len(suffix)]
    return name


def read(con: duckdb.DuckDBPyConnection, path: Path, name: str, form: Format, scratch: Path) -> RawTable:
    """Read a file into the temporary table `name`.

    Raises
    ------
    BadFile
        If it is empty, has a double header name, another delimiter, or unreadable text.
    """
    if path.name.lower().endswith((".parquet", ".pq")):
        return _read_parquet(con, path, name)
    return _read_text(con, path, name, form, scratch)


def _read_parquet(con: duckdb.DuckDBPyConnection, path: Path, name: str) -> RawTable:
    source = f"read_parquet({_quoted(path)}, file_row_number=true)"
    try:
        columns = [row[0] for row in con.sql(f"describe select * exclude (file_row_number) from {source}").fetchall()]
        texts = ", ".join(f'"{c}"::varchar as "{c}"' for c in columns)
        con.execute(
            f"create or replace temp table {name} as select file_row_number + 2 as {ROW}, {texts} from {source}"
        )
    except duckdb.Error:
        raise BadFile(path.name, "is no Parquet file", "Export it again, or give it as CSV.") from None
    return RawTable(name, path.name, tuple(columns), _count(con, name))


def _read_text(con: duckdb.DuckDBPyConnection, path: Path, name: str, form: Format, scratch: Path) -> RawTable:
    plain = scratch / f"{name}.txt"
    blank = _decode(path, plain, form.encoding)
    with plain.open(encoding="utf-8", newline="") as file:
        head = file.readline()
    if not head.strip():
        raise BadFile(path.name, "is empty", "Export it again.")
    delimiter = form.delimiter or _delimiter(head)
    header = _header(path.name, head, delimiter)
    if blank:
        _tidy(plain, delimiter, len(header))
    _put_end(plain, head, delimiter, len(header))
    try:
        if not _load(con, plain, name, header, delimiter) or _quotes_broken(con):
            _tidy(plain, delimiter, len(header))
            _forget_rejects(con)
            _load(con, plain, name, header, delimiter)
    except duckdb.InvalidInputException:
        raise BadFile(
            path.name, "cannot be cut into rows", "Check its quotes, or set delimiter in the mapping."
        ) from None
    broken = _broken(con)
    rows = _count(con, name)
    if broken:
        _renumber(con, name, [b.row for b in broken])
    return RawTable(name, path.name, tuple(header), rows, broken)


def _load(con: duckdb.DuckDBPyConnection, plain: Path, name: str, header: list[str], delimiter: str) -> bool:
    """Read the text into a table; false where its last row was swallowed by a quote."""
    columns = ", ".join(f"{_text(h)}: 'VARCHAR'" for h in header)
    con.execute(f"""
        create or replace temp table {name} as
        select row_number() over () + 1 as {ROW}, * from read_csv({_quoted(plain)},
            delim={_text(delimiter)}, quote='"', escape='"', nullstr='', auto_detect=false, header=false, skip=1,
            columns={{{columns}}}, strict_mode=true, null_padding=false, ignore_errors=true, store_rejects=true,
            rejects_limit=0, max_line_size=16777216, parallel=false)
    """)
    first = '"' + header[0].replace('"', '""') + '"'
    ended = con.execute(f"delete from {name} where {first} = {_text(_END)}").fetchall()
    return bool(ended[0][0])


def _put_end(plain: Path, head: str, delimiter: str, columns: int) -> None:
    line_end = head[len(head.rstrip("\r\n")) :] or "\n"
    with plain.open("a", encoding="utf-8", newline="") as file:
        file.write(line_end + _END + delimiter * (columns - 1) + line_end)


def _quotes_broken(con: duckdb.DuckDBPyConnection) -> bool:
    return bool(con.sql("select 1 from reject_errors where error_type = 'UNQUOTED VALUE' limit 1").fetchall())


def _forget_rejects(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("truncate table reject_errors")
    con.execute("truncate table reject_scans")


def _tidy(plain: Path, delimiter: str, columns: int) -> None:
    """Leave out blank lines between rows, and make a row with a quote that does not end one that is refused.

    Refused rows would count blank lines, rows that are read would not. A row with such a quote goes as far as the line
    in which the quote stands, so that it takes no row behind it along.
    """
    with plain.open(encoding="utf-8", newline="") as file:
        text = file.read()
    mark = re.escape(delimiter)
    cell = rf'(?>"[^"]*+(?:""[^"]*+)*+"(?=[{mark}\n]|\Z)|(?!")[^{mark}\n]*+)'
    row = re.compile(rf"{cell}(?:{mark}{cell})*+(?:\n|\Z)")
    whole_cells = re.compile(rf"(?:{cell}{mark})*+")
    refused = _UNCLOSED + f"{delimiter}x" * (columns + 1) + "\n"
    with plain.open("w", encoding="utf-8", newline="") as file:
        start = 0
        while start < len(text):
            found = row.match(text, start)
            if found:
                stop = found.end()
                file.write("" if found[0] == "\n" else found[0])
            else:
                before = whole_cells.match(text, start)
                stop = text.find("\n", before.end() if before else start) + 1 or len(text)
                file.write(refused)
            start = stop


def _decode(path: Path, plain: Path, encoding: str | None) -> bool:
    """Write the file as UTF-8; true where it may hold blank lines."""
    candidates = [encoding] if encoding else ["utf-8", "gb18030"]
    for candidate in candidates:
        try:
            blank, tail = False, ""
            with plain.open("w", encoding="utf-8", newline="") as out:
                for text in _texts(path, candidate):
                    out.write(text)
                    blank = blank or _BLANK.search(tail + text) is not None
                    tail = text[-3:]
            return blank
        except UnicodeDecodeError:
            continue
        except (OSError, EOFError, zlib.error):
            raise BadFile(path.name, "is no whole gzip file", "Copy or export it again.") from None
    said = " or ".join(candidates)
    raise BadFile(path.name, f"is not text in {said}", "Save it as UTF-8, or set encoding in the mapping.")


def _texts(path: Path, encoding: str) -> Iterator[str]:
    plain = codecs.getincrementaldecoder("utf-8-sig" if encoding in ("utf-8", "utf-8-sig") else encoding)()
    decoder = io.IncrementalNewlineDecoder(plain, translate=True)  # exports mix line ends
    with _open(path) as file:
        while chunk := file.read(_CHUNK):
            if b"\0" in chunk and encoding != "utf-16":
                raise BadFile(path.name, "is not text", "Give CSV, TSV or Parquet; save Excel sheets as CSV.")
            yield decoder.decode(chunk)
        yield decoder.decode(b"", final=True)


def _open(path: Path) -> BinaryIO | gzip.GzipFile:
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")


def _delimiter(head: str) -> str:
    counts = Counter(c for c in head if c in _DELIMITERS)
    return counts.most_common(1)[0][0] if counts else ","


def _header(file: str, head: str, delimiter: str) -> list[str]:
    names = [n.strip() for n in next(csv.reader(io.StringIO(head), delimiter=delimiter))]
    doubled = [n for n, times in Counter(names).items() if times > 1]
    if doubled:
        raise BadFile(file, f"has two columns named '{doubled[0]}'", "Rename one of them in the file.")
    if any(not n for n in names):
        raise BadFile(file, f"column {names.index('') + 1} has no name", "Give it one in the file's first row.")
    if len(names) == 1 and any(c in names[0] for c in _DELIMITERS):
        raise BadFile(file, f"no column is split at '{delimiter}'", "Set delimiter in the mapping.")
    return names


def _broken(con: duckdb.DuckDBPyConnection) -> tuple[BrokenRow, ...]:
    found = con.sql("select line, csv_line, error_type, error_message from reject_errors order by line").fetchall()
    _forget_rejects(con)
    seen: dict[int, BrokenRow] = {}
    for line, text, kind, _ in found:
        reason = _REASONS["UNQUOTED VALUE"] if _UNCLOSED in (text or "") else _REASONS.get(kind)
        seen.setdefault(line, BrokenRow(int(line), text or "", reason or "cannot be split into columns"))
    return tuple(seen.values())


_REASONS = {
    "TOO MANY COLUMNS": "has more columns than the header",
    "MISSING COLUMNS": "has fewer columns than the header",
    "UNQUOTED VALUE": "has a quote that does not end",
}


def _renumber(con: duckdb.DuckDBPyConnection, name: str, broken: list[int]) -> None:
    """Rows behind a broken one keep their number in the file."""
    con.register("_broken", pa.table({"line": pa.array(broken, pa.int64())}))
    con.execute(f"""
        create or replace temp table {name} as
        with places as (select line, row_number() over (order by line) as k from _broken),
             gaps as (select line - k + 1 as after_rows, max(k) as k from places group by 1)
        select r.* replace (r.{ROW} + coalesce(g.k, 0) as {ROW}) from {name} r
        asof left join gaps g on r.{ROW} >= g.after_rows
    """)
    con.unregister("_broken")


def _count(con: duckdb.DuckDBPyConnection, name: str) -> int:
    return int(con.sql(f"select count(*) from {name}").fetchall()[0][0])


def _quoted(path: Path) -> str:
    return _text(glob.escape(str(path)))


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
