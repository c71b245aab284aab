"""Uploaded files of an import: received up to a limit, archives unpacked only where nothing in them leads astray."""

from __future__ import annotations

import gzip
import secrets
import shutil
import stat
import zipfile
import zlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException
from starlette.types import Message

from crm.errors import BadInput
from crm.mapping import shipped
from serving.home import Home
from serving.jobs.tasks import upload_folder

SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz", ".parquet", ".pq")
SETTINGS = "company.yaml"
_UNPACKED = 10  # an archive may hold so many times the limit of what is sent
_MOST_FILES = 200
_CHUNK = 1 << 20
_PASSED_OVER = ("__MACOSX", ".DS_Store", "Thumbs.db")


class BadUpload(BadInput):
    """The files sent cannot be taken."""


class TooLarge(BadInput):
    """More was sent, or is packed in an archive, than may be."""

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(
            f"{what} is larger than {limit / 1e6:,.0f} MB. Send fewer tables at once, use 'bellwether import', "
            "or raise BELLWETHER_UPLOAD_MB."
        )


@asynccontextmanager
async def form_of(request: Request, limit: int) -> AsyncIterator[FormData]:
    """The parts of a multipart request of at most `limit` bytes; what is sent beyond them is not read.

    Raises
    ------
    TooLarge
        If there is more.
    BadUpload
        If it is no multipart form.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise BadUpload("The request is no form with files. Send multipart/form-data with a part named 'files'.")
    told = request.headers.get("content-length", "0")
    if told.isdigit() and int(told) > limit:
        raise TooLarge("The upload", limit)
    seen = 0

    async def receive() -> Message:
        nonlocal seen
        message = await request.receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise TooLarge("The upload", limit)
        return message

    try:
        async with Request(request.scope, receive).form(max_files=_MOST_FILES, max_fields=10) as form:
            yield form
    except MultiPartException as error:
        raise BadUpload(f"The form cannot be read: {error.message}. Send multipart/form-data.") from None


def keep_upload(
    home: Home, files: Iterable[UploadFile], mapping_file: UploadFile | None, mapping: str | None, limit: int
) -> str:
    """Write uploaded files to a new folder below the home, for a worker to take up; give its name.

    Raises
    ------
    BadUpload, TooLarge
        If a file cannot be taken; nothing is left then.
    """
    if mapping is not None and mapping not in shipped():
        raise BadUpload(f"'{mapping[:80]}' is no shipped mapping. Known: {', '.join(shipped())}; or send mapping_file.")
    name = secrets.token_hex(12)
    folder = upload_folder(home, name)
    (folder / "files").mkdir(parents=True)
    try:
        room = _Room(limit * _UNPACKED)
        for file in files:
            _keep(file, folder / "files", room)
        if not any(p.name != SETTINGS for p in (folder / "files").iterdir()):
            raise BadUpload("No file was sent. Name the parts 'files'; CSV, TSV, Parquet, or a zip of them.")
        if mapping_file is not None:
            with (folder / "mapping.yaml").open("wb") as out:
                _copy(mapping_file.file, out, _Room(1 << 20), "The mapping")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return name


class _Room:
    """How many bytes may still be written."""

    def __init__(self, limit: int) -> None:
        self.limit = self.left = limit

    def take(self, size: int, what: str) -> None:
        self.left -= size
        if self.left < 0:
            raise TooLarge(what, self.limit)


def _keep(file: UploadFile, folder: Path, room: _Room) -> None:
    name = file.filename or ""
    if name.lower().endswith(".zip"):
        _unpack(file.file, name, folder, room)
        return
    with _new(folder, name).open("wb") as out:
        _copy(file.file, out, room, name)
    _see_unpacked_size(folder / name, room)


def _unpack(file: IO[bytes], name: str, folder: Path, room: _Room) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            inside = [i for i in archive.infolist() if not i.is_dir() and not _passed_over(i.filename)]
            if len(inside) > _MOST_FILES:
                raise BadUpload(f"{name} holds {len(inside):,} files; at most {_MOST_FILES} are taken. Send fewer.")
            for item in inside:
                _unpack_one(archive, item, name, folder, room)
    except (zipfile.BadZipFile, NotImplementedError, zlib.error, EOFError):
        raise BadUpload(f"{name} is no zip archive that can be read. Pack it again.") from None


def _unpack_one(archive: zipfile.ZipFile, item: zipfile.ZipInfo, name: str, folder: Path, room: _Room) -> None:
    parts = PurePosixPath(item.filename.replace("\\", "/")).parts
    if ".." in parts or item.filename.startswith(("/", "\\")) or ":" in parts[0]:
        raise BadUpload(f"{name}: '{item.filename[:80]}' leads outside the archive. Pack the files alone.")
    if stat.S_ISLNK(item.external_attr >> 16):
        raise BadUpload(f"{name}: '{item.filename[:80]}' is a link. Pack the file itself.")
    if item.flag_bits & 0x1:
        raise BadUpload(f"{name} is locked by a password. Pack it without one.")
    if item.file_size > room.left:
        raise TooLarge(f"What {name} holds", room.limit)
    place = _new(folder, parts[-1])
    with archive.open(item) as inner, place.open("wb") as out:
        _copy(inner, out, room, f"What {name} holds")  # counted, as an archive may lie about sizes
    _see_unpacked_size(place, room)


def _new(folder: Path, name: str) -> Path:
    """Where a file goes; its name must be a bare one, known and new."""
    if not name or name != Path(name).name or "\\" in name or "\0" in name or name.startswith("."):
        raise BadUpload(f"'{name[:80]}' is no name for a file. Send it under its own name, without folders.")
    if name != SETTINGS and not name.lower().endswith(SUFFIXES):
        raise BadUpload(f"{name[:80]} is no CSV, TSV or Parquet file. Leave it out.")
    if (folder / name).exists():
        raise BadUpload(f"There are two files {name}. Send one of them.")
    return folder / name


def _copy(source: IO[bytes], out: IO[bytes], room: _Room, what: str) -> None:
    while chunk := source.read(_CHUNK):
        room.take(len(chunk), what)
        out.write(chunk)


def _see_unpacked_size(path: Path, room: _Room) -> None:
    """Count what a packed table unpacks to: a few kilobytes may hold gigabytes."""
    if not path.name.lower().endswith(".gz"):
        return
    try:
        with gzip.open(path) as file:
            while chunk := file.read(_CHUNK):
                room.take(len(chunk), f"What {path.name} holds")
    except (OSError, EOFError, zlib.error):
        raise BadUpload(f"{path.name} is no gzip file that can be read. Pack it again.") from None


def _passed_over(name: str) -> bool:
    return any(part in _PASSED_OVER or part.startswith("._") for part in PurePosixPath(name).parts)
