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
) -> Path:
    """Write refused cells; the same import again overwrites its own file.

    Parameters
    ----------
    rows_of : callable
        Gives rows of a file by their numbers, personal values hidden; kept for the first 10,000 cells.
    """
    shown = refused[:_WHOLE_ROWS]
    rows = {file: rows_of(file, {r.row for r in shown if r.file == file}) for file in {r.file for r in shown}}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.jsonl"
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8") as out:
        for refusal in refused:
            kept: dict[str, Any] = asdict(refusal)
            kept["source_row"] = rows.get(refusal.file, {}).get(refusal.row)
            out.write(json.dumps(kept, ensure_ascii=False) + "\n")
    part.replace(path)
    return path


def read_all(folder: Path) -> list[dict[str, Any]]:
    """Every refused cell that is kept."""
    files = sorted(folder.glob("*.jsonl")) if folder.is_dir() else []
    return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
