"""Log lines, for people or as JSON: the request they belong to, and nothing that came from a person or names one."""

from __future__ import annotations

import json
import logging
import re
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal

REQUEST: ContextVar[str] = ContextVar("request", default="")
"""Number of the request at work, in its own thread as well."""

LogFormat = Literal["human", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]
_EMAIL = re.compile(r"[^\s@<>\"'=(\[,;:/*]+@[^\s@<>\"')\],;]+")
_SECRET = re.compile(r"\bbw_[\w-]+|(?i:\bbearer\s+\S+)|(?<![\w/.-])(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{32,}(?![\w/.-])")
_URL_PASSWORD = re.compile(r"(?<=://)[^\s/@]+@")
_Info = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def set_up(form: LogFormat, level: LogLevel) -> None:
    """Send all log lines of this process to its error output, in one form."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else Lines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("bellwether").setLevel(level.upper())


def harmless(text: str) -> str:
    """A text without e-mails, passwords and tokens, on one line and without characters that steer a terminal."""
    for pattern, instead in ((_URL_PASSWORD, "***@"), (_SECRET, "[token]"), (_EMAIL, "[e-mail]")):
        text = pattern.sub(instead, text)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class _Plain(logging.Formatter):
    """What both forms share: an error is told by its classes and places, for its text may hold anything."""

    def formatException(self, ei: _Info) -> str:  # noqa: N802 - logging's name
        """Class of the error and where it was raised, innermost last; then those of what caused it."""
        found, error, lines = set[int](), ei[1], list[str]()
        while error is not None and id(error) not in found:
            found.add(id(error))
            frames = traceback.extract_tb(error.__traceback__)
            places = " > ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames)
            lines.append(f"{type(error).__module__}.{type(error).__qualname__} at {places}")
            error = error.__cause__ or error.__context__
        return " | because of ".join(lines)

    def told(self, record: logging.LogRecord) -> dict[str, object]:
        """What a record says, by name."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        said: dict[str, object] = {"at": moment, "level": record.levelname.lower(), "logger": record.name}
        said["text"] = harmless(record.getMessage())
        if number := REQUEST.get():
            said["request"] = number
        said |= getattr(record, "fields", {})
        if record.exc_info:
            said["error"] = harmless(self.formatException(record.exc_info))
        return said


class Lines(_Plain):
    """A line for people: time, level, text, then what else is known."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        said = self.told(record)
        rest = " ".join(f"{name}={value}" for name, value in said.items() if name not in ("at", "level", "text"))
        return f"{said['at']} {str(said['level']).upper():7} {said['text']}  {rest}"


class JsonLines(_Plain):
    """A line of JSON for programs that gather logs."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return json.dumps(self.told(record), ensure_ascii=False, default=str)
