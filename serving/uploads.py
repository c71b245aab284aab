"""Uploaded files of an import: received up to a limit, archives unpacked only where nothing in them leads astray."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException
from starlette.types import Message

from crm.errors import BadInput
from crm.guessing import Proposal, propose
from crm.mapping import parse, shipped
from crm.reading import SUFFIXES
from crm.reading.archives import MOST_FILES, Room, TooLarge, copy, see_unpacked_size, unpack
from serving.home import Home
from serving.jobs.tasks import upload_folder

SETTINGS = "company.yaml"
_UNPACKED = 10  # an archive may hold so many times the limit of what is sent
_MEND = "Send fewer tables at once, use 'bellwether import', or raise BELLWETHER_UPLOAD_MB."


class BadUpload(BadInput):
    """The files sent cannot be taken."""


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
        raise TooLarge("The upload", limit, _MEND)
    seen = 0

    async def receive() -> Message:
        nonlocal seen
        message = await request.receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise TooLarge("The upload", limit, _MEND)
        return message

    try:
        async with Request(request.scope, receive).form(max_files=MOST_FILES, max_fields=10) as form:
            yield form
    except MultiPartException as error:
        raise BadUpload(
            "The form cannot be read: {message}. Send multipart/form-data.", message=error.message
        ) from None


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
        raise BadUpload(
            "'{mapping}' is no shipped mapping. Known: {known}; or send mapping_file.",
            mapping=mapping[:80],
            known=", ".join(shipped()),
        )
    name = secrets.token_hex(12)
    folder = upload_folder(home, name)
    (folder / "files").mkdir(parents=True)
    try:
        room = Room(limit * _UNPACKED, _MEND)
        for file in files:
            _keep(file, folder / "files", room)
        if not any(p.name != SETTINGS for p in (folder / "files").iterdir()):
            raise BadUpload(
                "No file was sent. Name the parts 'files'; CSV, TSV, Excel, JSON Lines, Parquet, or a zip of them."
            )
        if mapping_file is not None:
            with (folder / "mapping.yaml").open("wb") as out:
                copy(mapping_file.file, out, Room(1 << 20, _MEND), "The mapping")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return name


def _keep(file: UploadFile, folder: Path, room: Room) -> None:
    name = file.filename or ""
    if name.lower().endswith(".zip"):
        unpack(file.file, name, room, lambda inner: _new(folder, inner))
        return
    with _new(folder, name).open("wb") as out:
        copy(file.file, out, room, name)
    see_unpacked_size(folder / name, name, room)


def _new(folder: Path, name: str) -> Path:
    """Where a file goes; its name must be a bare one, known and new."""
    if not name or name != Path(name).name or "\\" in name or "\0" in name or name.startswith("."):
        raise BadUpload("'{name}' is no name for a file. Send it under its own name, without folders.", name=name[:80])
    if name != SETTINGS and not name.lower().endswith(SUFFIXES):
        raise BadUpload("{name} is no CSV, TSV, Excel, JSON Lines or Parquet file. Leave it out.", name=name[:80])
    if (folder / name).exists():
        raise BadUpload("There are two files {name}. Send one of them.", name=name)
    return folder / name


def proposed(home: Home, upload: str) -> Proposal:
    """The mapping that kept files ask for."""
    return propose(upload_folder(home, upload) / "files")


def keep_mapping(home: Home, upload: str, text: str) -> None:
    """Put a mapping beside files that were kept before.

    Raises
    ------
    BadMapping
        If the text is none.
    BadUpload
        If the files are kept no longer.
    """
    folder = upload_folder(home, upload)
    if not (folder / "files").is_dir():
        raise BadUpload("The files sent are kept no longer. Send them again.")
    parse(text)
    (folder / "mapping.yaml").write_text(text, encoding="utf-8")


def drop(home: Home, upload: str) -> None:
    """Delete kept files."""
    shutil.rmtree(upload_folder(home, upload), ignore_errors=True)
