"""Refused rows, kept with their reason and the mend: one JSON Lines file for each import."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from crm.checking import Refusal

_WHOLE_ROWS = 10_000


def keep(
    folder: Path,
    refused: Sequence[Refusal],
    rows_of: Callable[[str, Iterable[int]], dict[int, dict[str, str | None]]],
    name: str,
    *,
    tables: Iterable[str],
) -> Path | None:
    """Write refused cells in place of what an earlier import of the same files refused; none, no file.

    Parameters
    ----------
    rows_of : callable
        Gives rows of a file by their numbers, personal values hidden; kept for the first 10,000 cells.
    tables : iterable of str
        What this import fills: earlier refusals of other tables stay.
    """
    path = folder / f"{name}.jsonl"
    lines = [*_of_others(path, frozenset(tables)), *_lines(refused, rows_of)]
    if not lines:
        path.unlink(missing_ok=True)
        return None
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    part.replace(path)
    return path if refused else None


def _of_others(path: Path, tables: frozenset[str]) -> list[str]:
    lines = _cells(path) if path.is_file() else []
    return [line for line in lines if json.loads(line)["table"] not in tables]


def _lines(
    refused: Sequence[Refusal], rows_of: Callable[[str, Iterable[int]], dict[int, dict[str, str | None]]]
) -> list[str]:
    shown = refused[:_WHOLE_ROWS]
    rows = {file: rows_of(file, {r.row for r in shown if r.file == file}) for file in {r.file for r in shown}}
    kept: list[dict[str, Any]] = [{**asdict(r), "source_row": rows.get(r.file, {}).get(r.row)} for r in refused]
    return [json.dumps(cell, ensure_ascii=False) for cell in kept]


def read_all(folder: Path) -> list[dict[str, Any]]:
    """Every refused cell that is kept."""
    files = sorted(folder.glob("*.jsonl")) if folder.is_dir() else []
    return [json.loads(line) for file in files for line in _cells(file)]


def read_file(folder: Path, name: str) -> list[dict[str, Any]]:
    """Refused cells of one import; none where the file is gone, as all of them were mended."""
    path = folder / f"{Path(name).name}.jsonl"
    return [json.loads(line) for line in _cells(path)] if path.is_file() else []


def drop_row(folder: Path, name: str, file: str, row: int) -> None:
    """Forget what was refused of one row, as it has been mended and taken."""
    path = folder / f"{Path(name).name}.jsonl"
    lines = _cells(path) if path.is_file() else []
    kept = [line for line in lines if (cell := json.loads(line))["file"] != file or cell["row"] != row]
    if not kept:
        path.unlink(missing_ok=True)
    elif len(kept) < len(lines):
        part = path.with_suffix(".part")
        part.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        part.replace(path)


def _cells(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1]  # a value may hold other line ends, such as U+2028
