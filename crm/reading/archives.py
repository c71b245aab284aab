"""Zip archives unpacked only where nothing in them leads astray, and never beyond a limit."""

from __future__ import annotations

import gzip
import stat
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from crm.errors import BadInput

MOST_FILES = 200
_CHUNK = 1 << 20
_PASSED_OVER = ("__MACOSX", ".DS_Store", "Thumbs.db")


class BadArchive(BadInput):
    """An archive cannot be taken."""


class TooLarge(BadInput):
    """More is packed in an archive, or was sent, than may be."""

    def __init__(self, what: str, limit: int, mend: str) -> None:
        super().__init__(f"{what} is larger than {limit / 1e6:,.0f} MB. {mend}")


@dataclass(slots=True)
class Room:
    """How many bytes may still be written; `mend` says what to do where there are more."""

    limit: int
    mend: str
    left: int = field(init=False)

    def __post_init__(self) -> None:
        self.left = self.limit

    def take(self, size: int, what: str) -> None:
        """Count bytes that are about to be written.

        Raises
        ------
        TooLarge
            If there is no room for them.
        """
        self.left -= size
        if self.left < 0:
            raise TooLarge(what, self.limit, self.mend)


def unpack(file: IO[bytes] | Path, name: str, room: Room, place_of: Callable[[str], Path]) -> None:
    """Write the files of a zip archive, those in its folders too, each where `place_of` its bare name says.

    Raises
    ------
    BadArchive
        If it is no zip archive, is locked, or holds a link, an archive, a path that leads out of it or too many files.
    TooLarge
        If it holds more than there is room for, whatever sizes it states.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            inside = [i for i in archive.infolist() if not i.is_dir() and not _passed_over(i.filename)]
            if len(inside) > MOST_FILES:
                raise BadArchive(f"{name} holds {len(inside):,} files; at most {MOST_FILES} are taken. Send fewer.")
            for item in inside:
                _unpack_one(archive, item, name, room, place_of)
    except (zipfile.BadZipFile, NotImplementedError, zlib.error, EOFError):
        raise BadArchive(f"{name} is no zip archive that can be read. Pack it again.") from None


def _unpack_one(
    archive: zipfile.ZipFile, item: zipfile.ZipInfo, name: str, room: Room, place_of: Callable[[str], Path]
) -> None:
    parts = PurePosixPath(item.filename.replace("\\", "/")).parts
    if ".." in parts or item.filename.startswith(("/", "\\")) or ":" in parts[0]:
        raise BadArchive(f"{name}: '{item.filename[:80]}' leads outside the archive. Pack the files alone.")
    if stat.S_ISLNK(item.external_attr >> 16):
        raise BadArchive(f"{name}: '{item.filename[:80]}' is a link. Pack the file itself.")
    if parts[-1].lower().endswith(".zip"):
        raise BadArchive(f"{name}: '{item.filename[:80]}' is an archive in an archive. Unpack it first.")
    if item.flag_bits & 0x1:
        raise BadArchive(f"{name} is locked by a password. Pack it without one.")
    what = f"What {name} holds"
    if item.file_size > room.left:
        raise TooLarge(what, room.limit, room.mend)
    place = place_of(parts[-1])
    with archive.open(item) as inner, place.open("wb") as out:
        copy(inner, out, room, what)  # counted, as an archive may lie about sizes
    see_unpacked_size(place, place.name, room)


def copy(source: IO[bytes], out: IO[bytes], room: Room, what: str) -> None:
    """Copy a file as long as there is room."""
    while chunk := source.read(_CHUNK):
        room.take(len(chunk), what)
        out.write(chunk)


def see_unpacked_size(path: Path, name: str, room: Room) -> None:
    """Count what a gzipped table or a workbook unpacks to: a few kilobytes may hold gigabytes.

    Raises
    ------
    BadArchive
        If it is damaged.
    TooLarge
        If there is no room for it.
    """
    lower, what = name.lower(), f"What {name} holds"
    try:
        if lower.endswith(".gz"):
            with gzip.open(path) as file:
                _count(file, room, what)
        elif lower.endswith((".xlsx", ".xlsm", ".ods")) and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for item in archive.infolist():
                    with archive.open(item) as file:
                        _count(file, room, what)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, zlib.error):
        raise BadArchive(f"{name} is damaged or locked and cannot be read. Export it again.") from None


def _count(file: IO[bytes] | gzip.GzipFile, room: Room, what: str) -> None:
    while chunk := file.read(_CHUNK):
        room.take(len(chunk), what)


def _passed_over(name: str) -> bool:
    return any(part in _PASSED_OVER or part.startswith("._") for part in PurePosixPath(name).parts)
