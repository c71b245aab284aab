"""Which records of a CRM have come into the lake: so that those it no longer lists can be told from rows of files."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path


class Seen:
    """Keys of merged records by resource, in a file beside the cursor; made when first needed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, merged: Mapping[str, Sequence[str]], gone: Mapping[str, Sequence[str]]) -> None:
        """Add what was merged and take out what left the lake."""
        added = [(name, key) for name, keys in merged.items() for key in keys]
        left = [(name, key) for name, keys in gone.items() for key in keys]
        if added or left:
            with closing(self._open()) as db, db:
                db.executemany("insert or ignore into seen values (?, ?)", added)
                db.executemany("delete from seen where resource = ? and key = ?", left)

    def missing(self, resource: str, present: Sequence[str]) -> list[str]:
        """Keys of a resource that were merged and are no longer among those present."""
        there = set(present)
        with closing(self._open()) as db:
            known = db.execute("select key from seen where resource = ? order by key", (resource,))
            return [key for (key,) in known if key not in there]

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self._path)
        columns = "resource text, key text, primary key (resource, key)"
        db.execute(f"create table if not exists seen ({columns}) without rowid")
        return db
