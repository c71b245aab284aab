"""Text files, CSV and TSV, gzipped or not, in whatever encoding, to a table of text columns with row numbers."""

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
from charset_normalizer import from_bytes

from crm.mapping import Format
from crm.reading.base import ROW, BadFile, BrokenRow, RawTable, checked_header, count

_CHUNK = 1 << 22
_DELIMITERS = ",;\t|"
_END = "\x03"  # put behind the last row: a quote that never closes would swallow it
_UNCLOSED = "\x02"
_BLANK = re.compile(r"\n\n")
_OTHERS = ("gb18030", "big5", "cp1252")  # in this order where the bytes fit several equally well
_SAMPLE = 200_000
_MIXED = 0.2  # so many lines of UTF-8 for each other one are no accident


def read_text(con: duckdb.DuckDBPyConnection, path: Path, name: str, form: Format, scratch: Path) -> RawTable:
    """Read a delimited text file into the temporary table `name`.

    Raises
    ------
    BadFile
        If it is empty, has a double header name, another delimiter, or unreadable text.
    """
    plain = scratch / f"{name}.txt"
    text = decoded(path, plain, form.encoding)
    with plain.open(encoding="utf-8", newline="") as file:
        head = file.readline()
    if not head.strip():
        raise BadFile(path.name, "is empty", "Export it again.")
    delimiter = form.delimiter or _delimiter(head)
    header = _header(path.name, head, delimiter)
    if text.blank:
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
    rows = count(con, name)
    if broken:
        _renumber(con, name, [b.row for b in broken])
    return RawTable(name, path.name, tuple(header), rows, broken, text.notes)


def _load(con: duckdb.DuckDBPyConnection, plain: Path, name: str, header: list[str], delimiter: str) -> bool:
    """Read the text into a table; false where its last row was swallowed by a quote."""
    columns = ", ".join(f"{_text(h)}: 'VARCHAR'" for h in header)
    con.execute(f"""
        create or replace temp table {name} as
        select row_number() over () + 1 as {ROW}, * from read_csv({quoted(plain)},
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


@dataclass(frozen=True, slots=True)
class Decoded:
    """How a file was turned into UTF-8: whether it may hold blank lines, and what a reader should know."""

    blank: bool
    notes: tuple[str, ...] = ()


def decoded(path: Path, plain: Path, encoding: str | None) -> Decoded:
    """Write a file, gzipped or not, as UTF-8 with plain line ends to `plain`.

    Without an encoding: UTF-16 by its mark, else UTF-8, else what its bytes look like. Lines of two encodings in one
    file, as files that were joined have them, are each read by their own.

    Raises
    ------
    BadFile
        If it is no text, or is packed and not whole.
    """
    try:
        if encoding:
            return _written(path, plain, encoding)
        if _starts_with_mark(path):
            return _written(path, plain, "utf-16")
        try:
            return _written(path, plain, "utf-8")
        except UnicodeDecodeError:
            return _guessed(path, plain)
    except UnicodeDecodeError:
        said = encoding or f"utf-8, {', '.join(_OTHERS)}"
        raise BadFile(
            path.name, f"is not text in {said}", "Save it as UTF-8, or set encoding in the mapping."
        ) from None
    except (OSError, EOFError, zlib.error):
        raise BadFile(path.name, "is no whole gzip file", "Copy or export it again.") from None


def lines_of(plain: Path) -> Iterator[str]:
    """Lines of a text in UTF-8."""
    with plain.open(encoding="utf-8", newline="\n") as file:
        yield from file


def _written(path: Path, plain: Path, encoding: str) -> Decoded:
    blank, tail = False, ""
    with plain.open("w", encoding="utf-8", newline="") as out:
        for text in _texts(path, encoding):
            out.write(text)
            blank = blank or _BLANK.search(tail + text) is not None
            tail = text[-3:]
    return Decoded(blank)


def _starts_with_mark(path: Path) -> bool:
    with _open(path) as file:
        return file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def _guessed(path: Path, plain: Path) -> Decoded:
    good, bad, first, sample = 0, 0, 0, bytearray()
    with _open(path) as file:
        for number, line in enumerate(file, start=1):
            if line.isascii():
                continue
            if _is_utf8(line):
                good += 1
            else:
                bad, first = bad + 1, first or number
                if len(sample) < _SAMPLE:
                    sample += line
    found = from_bytes(bytes(sample), cp_isolation=list(_OTHERS))
    fits = sorted((m.chaos, _OTHERS.index(m.encoding)) for m in found if m.encoding in _OTHERS)
    if not fits:
        raise UnicodeDecodeError("utf-8", b"", 0, 0, "no encoding fits")
    other = _OTHERS[fits[0][1]]
    sure = len(fits) == 1 or fits[1][0] > fits[0][0]
    doubt = "" if sure else "; where words look wrong, set encoding in the mapping"
    if good > bad * _MIXED:
        _write_mixed(path, plain, other)
        how = "1 line is" if bad == 1 else f"{bad:,} lines are"
        return Decoded(True, (f"{how} not UTF-8, the first line {first}, and read as {other}{doubt}",))
    return Decoded(_written(path, plain, other).blank, (f"read as {other}{doubt}",))


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _write_mixed(path: Path, plain: Path, other: str) -> None:
    with _open(path) as file, plain.open("w", encoding="utf-8", newline="") as out:
        for number, line in enumerate(file):
            text = line.decode("utf-8" if _is_utf8(line) else other)
            out.write((text.removeprefix("\ufeff") if number == 0 else text).replace("\r\n", "\n").replace("\r", "\n"))


def _texts(path: Path, encoding: str) -> Iterator[str]:
    plain = codecs.getincrementaldecoder("utf-8-sig" if encoding in ("utf-8", "utf-8-sig") else encoding)()
    decoder = io.IncrementalNewlineDecoder(plain, translate=True)  # exports mix line ends
    with _open(path) as file:
        while chunk := file.read(_CHUNK):
            if b"\0" in chunk and encoding != "utf-16":
                raise BadFile(path.name, "is not text", "Give CSV, TSV, Excel (.xlsx), JSON Lines or Parquet.")
            yield decoder.decode(chunk)
        yield decoder.decode(b"", final=True)


def _open(path: Path) -> BinaryIO | gzip.GzipFile:
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")


def _delimiter(head: str) -> str:
    counts = Counter(c for c in head if c in _DELIMITERS)
    return counts.most_common(1)[0][0] if counts else ","


def _header(file: str, head: str, delimiter: str) -> list[str]:
    names = checked_header(file, next(csv.reader(io.StringIO(head), delimiter=delimiter)))
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


def quoted(path: Path) -> str:
    """A path as a literal of SQL in which no letter stands for others."""
    return _text(glob.escape(str(path)))


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
