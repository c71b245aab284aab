"""What the store or the disk cannot do at the moment, told apart: locked, full, not answering; each with its mend."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from sqlalchemy.exc import DBAPIError

_NO_ROOM = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
FULL = "The disk is full, so nothing was kept. Make room on it, then try again."
LOCKED = "The store is locked by another program, so nothing was kept. Try again; if it stays so, end that program."
SILENT = "The store does not answer at the moment, so nothing was kept. Try again in a few seconds."


def fault_of(error: BaseException) -> str:
    """What is to be said of an error that the store or the disk caused; empty for any other."""
    for cause in _causes(error):
        said = str(cause).lower()
        if (
            (isinstance(cause, OSError) and cause.errno in _NO_ROOM)
            or "disk is full" in said
            or "no space left" in said
        ):
            return FULL
        if isinstance(cause, DBAPIError):
            if "locked" in said:
                return LOCKED
            if cause.connection_invalidated or "disk i/o error" in said or _refused(said):
                return SILENT
    return ""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, then what led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _refused(said: str) -> bool:
    """Whether a server was not reached, or is about to stop or start."""
    words = ("connection", "shutting down", "starting up", "unable to open database")
    return any(word in said for word in words)
