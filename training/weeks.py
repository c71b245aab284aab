"""Weeks of snapshots kept as files, one a week: what may have changed is dropped, what was cut off half-way too."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.exceptions import DeltaError
from filelock import FileLock, Timeout

from crm.company import Company
from crm.lake import LakeView
from features.definitions import definition_hash, definitions
from training.changed import BEGINNING, changed_since

_STATE, _WITH, _NAME = "state.json", b"with", "%Y%m%dT%H%M%S"


class Weeks:
    """Files of one definition and cadence, valid for one data cut.

    Every file names the weeks that were worked out together with it, and counts only while all of them are there: what
    a later run adds is then made of the same whole pieces as if nothing had been cut off.

    Parameters
    ----------
    folder : Path
        Of these files alone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._together: dict[Path, list[str]] = {}

    def read(self, week: pd.Timestamp) -> pa.Table | None:
        """The rows of a week, or None where they are to be worked out."""
        path = self._path(week)
        together = self._made_with(path)
        if not together or any(self._made_with(self.folder / name) != together for name in together):
            return None
        return pq.read_table(path).replace_schema_metadata()

    def keep(self, tables: Mapping[pd.Timestamp, pa.Table]) -> None:
        """Keep weeks that were worked out together; each file is whole or not there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        names = json.dumps([self._path(week).name for week in tables]).encode()
        for week, table in tables.items():
            part = self._path(week).with_suffix(f".{os.getpid()}.part")
            pq.write_table(table.replace_schema_metadata({_WITH: names}), part)
            part.replace(self._path(week))
            self._together.pop(self._path(week), None)

    def drop_what_changed(self, view: LakeView, company: Company) -> None:
        """Drop the weeks that may differ in a view from what they were in the one that they were made from."""
        state = self.folder / _STATE
        for part in self.folder.glob("*.part"):
            part.unlink()
        if state.exists():
            before = json.loads(state.read_text(encoding="utf-8"))
            if before == view.cut.tables:
                return
            since = _since(view.at(before), view, company)
        else:
            since = BEGINNING
        for path in self.folder.glob("*.parquet"):
            if since is not None and _week_of(path) >= since:
                path.unlink()
        # Only now: a run that is cut off before finds the old state and drops the same weeks again.
        part = state.with_suffix(f".{os.getpid()}.part")
        part.write_text(json.dumps(view.cut.tables), encoding="utf-8")
        part.replace(state)

    def _path(self, week: pd.Timestamp) -> Path:
        return self.folder / f"{week.strftime(_NAME)}.parquet"

    def _made_with(self, path: Path) -> list[str]:
        """Names of the files that were made together with one; none where it is not there."""
        if path not in self._together:
            said = pq.read_schema(path).metadata if path.exists() else {}
            self._together[path] = json.loads(said.get(_WITH, b"[]"))
        return self._together[path]


@contextmanager
def kept_weeks(folder: Path, view: LakeView, company: Company, cadence_days: int) -> Iterator[Weeks | None]:
    """The weeks kept under a folder that hold for a view; None where another process is at work on them.

    Weeks of other definitions are removed.
    """
    name = f"deals-{definition_hash(definitions(['deal'], company))}"
    mine = folder / name / f"{cadence_days}d"
    mine.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "weeks.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        yield None
        return
    try:
        for old in folder.glob("deals-*"):
            if old.name != name:
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        weeks = Weeks(mine)
        weeks.drop_what_changed(view, company)
        yield weeks
    finally:
        lock.release()


def _since(before: LakeView, now: LakeView, company: Company) -> datetime | None:
    try:
        return changed_since(before, now, company)
    except (DeltaError, duckdb.IOException, OSError):  # the old versions are gone, so what changed is not known
        return BEGINNING


def _week_of(path: Path) -> datetime:
    return datetime.strptime(path.stem, _NAME).replace(tzinfo=UTC)
