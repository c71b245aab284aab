"""A whole home in one file, taken while it is served, and back: store, lake, models, scores, settings."""

from __future__ import annotations

import io
import json
import sqlite3
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from filelock import FileLock, Timeout
from sqlalchemy import func, select

from crm.errors import BadInput, NotAllowed
from serving import dump
from serving.home import Home, HomeBusy
from serving.store import Store, revision_of, upgrade

_FORM = 1
_MANIFEST = "manifest.json"
_MLFLOW = "mlflow.db"
# Databases go another way, locks and working places stay behind.
_NOT_FILES = ("store.db", "mlflow.db", ".lock", "-wal", "-shm", "-journal", ".part", ".token")
# A pointer before what it points to: whatever is written meanwhile, all that an earlier pointer names is taken too.
_FIRST = ("scores/current", "lake/cuts")
Tell = Callable[[str, float | None], None]


class NotEmpty(NotAllowed):
    """A backup must not be mixed with what is there."""

    def __init__(self, where: object) -> None:
        super().__init__(f"{where} holds data already. Name a new home: --home restored; or an empty database.")


class BadBackup(BadInput):
    """The file is no backup, or a damaged one."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a backup holds."""

    made_at: str
    rows: dict[str, int]
    files: int
    bytes: int


def back_up(home: Home, file: Path, tell: Tell = lambda text, done: None) -> Taken:
    """Write a home into one file, which only its owner may read, for it holds names and hashes of passwords.

    Models that are kept on an MLflow server are not in it.

    Parameters
    ----------
    file : Path
        A tar file with gzip; replaced only when the new one is whole.

    Raises
    ------
    HomeBusy
        If the lake is being written to for more than a minute.
    """
    part = file.with_name(f"{file.name}.part")
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    try:
        with TemporaryDirectory(dir=file.parent) as folder, tarfile.open(part, "w:gz", compresslevel=3) as archive:
            manifest = _add_store(home, archive, Path(folder), tell)
            manifest |= {"form": _FORM, "made_at": datetime.now(UTC).isoformat()}
            manifest["files"] = _add_files(home, archive, tell)
            _add_mlflow(home, archive, Path(folder))
            _add_bytes(archive, _MANIFEST, json.dumps(manifest).encode())
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    rows = {name: table["rows"] for name, table in manifest["tables"].items()}
    return Taken(manifest["made_at"], rows, manifest["files"], file.stat().st_size)


def restore(home: Home, file: Path, tell: Tell = lambda text, done: None) -> Taken:
    """Make a home from a backup, in another place and on another database if need be.

    Raises
    ------
    NotEmpty
        If home or store hold anything.
    BadBackup
        If the file is none, is damaged, or comes from a newer version.
    """
    if home.root.exists() and any(home.root.iterdir()):
        raise NotEmpty(home.root)
    try:
        with TemporaryDirectory(dir=file.parent) as folder, tarfile.open(file, "r:gz") as archive:
            tell("unpacking", None)
            archive.extractall(folder, filter="data")
            manifest = _manifest(Path(folder), file)
            _restore_store(home, Path(folder) / "store", manifest, tell)
            _move_files(home, Path(folder) / "home")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BadBackup(f"{file} cannot be read as a backup ({error}). Take another one.") from None
    rows = {name: table["rows"] for name, table in manifest["tables"].items()}
    return Taken(manifest["made_at"], rows, manifest["files"], file.stat().st_size)


def _add_store(home: Home, archive: tarfile.TarFile, folder: Path, tell: Tell) -> dict[str, Any]:
    store, tables = Store(home.database_url), {}
    with closing(store), dump.snapshot(store.engine) as connection, connection.begin():
        revision = revision_of(connection)
        for table in dump.tables_of(connection):
            tell(table.name, None)
            path = folder / table.name
            with path.open("wb") as out:
                rows = dump.write_table(connection, table, out)
            archive.add(path, f"store/{table.name}.jsonl")
            path.unlink()
            tables[table.name] = {"rows": rows, "columns": [column.name for column in table.columns]}
    return {"revision": revision, "tables": tables}


def _add_files(home: Home, archive: tarfile.TarFile, tell: Tell) -> int:
    tell("files", None)
    home.lake.root.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(home.lake.root / "write.lock", timeout=60):
            paths = list(_files(home))
            for path in paths:
                archive.add(path, f"home/{path.relative_to(home.root)}", recursive=False)
    except Timeout:
        raise HomeBusy(home.root) from None
    return len(paths)


def _files(home: Home) -> Iterator[Path]:
    first = [home.root / name for name in _FIRST]
    every = [p for place in first for p in ([place] if place.is_file() else sorted(place.rglob("*")))]
    every += sorted(p for p in home.root.rglob("*") if p not in set(every))
    return (p for p in every if p.is_file() and not p.name.endswith(_NOT_FILES) and not p.is_symlink())


def _add_mlflow(home: Home, archive: tarfile.TarFile, folder: Path) -> None:
    place = home.root / _MLFLOW
    if place.is_file():
        copy = folder / _MLFLOW
        with closing(sqlite3.connect(place)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        archive.add(copy, f"home/{_MLFLOW}")


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o600
    archive.addfile(info, io.BytesIO(content))


def _manifest(folder: Path, file: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        raise BadBackup(f"{file} is no backup of a home. Give a file that 'bellwether backup' wrote.") from None
    if manifest["form"] > _FORM:
        raise BadBackup(f"{file} comes from a newer version. Install that one first.")
    return manifest


def _restore_store(home: Home, folder: Path, manifest: dict[str, Any], tell: Tell) -> None:
    home.root.mkdir(parents=True, exist_ok=True)
    store = Store(home.database_url, revision=manifest["revision"])
    with closing(store):
        # All or nothing: what fails half-way leaves an empty store.
        with store.session() as session:
            connection = session.connection()
            tables = dump.tables_of(connection)
            if any(connection.scalar(select(func.count()).select_from(table)) for table in tables):
                raise NotEmpty(store.engine.url.render_as_string(hide_password=True))
            for table in tables:
                tell(table.name, None)
                told = manifest["tables"][table.name]
                with (folder / f"{table.name}.jsonl").open("rb") as source:
                    read = dump.read_table(connection, table, told["columns"], source)
                if read != told["rows"]:
                    raise BadBackup(f"Of {told['rows']} rows of {table.name} only {read} are there. Take another one.")
        upgrade(store.engine)


def _move_files(home: Home, folder: Path) -> None:
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        path.replace(home.root / path.name)
