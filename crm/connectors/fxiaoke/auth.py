"""Fxiaoke's access tokens: one at a time, few a minute, shared by all processes of a home through a closed file."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import uuid4

from filelock import FileLock

from crm.connectors.base import BadCrmKey, CrmUnreachable
from crm.connectors.tokens import ask_sign_in, safe_address

TITLE = "纷享销客"
CLOUDS: Mapping[str, str] = MappingProxyType(
    {
        "fxiaoke": "https://open.fxiaoke.com",
        "huawei": "https://open-hwcloud.fxiaoke.com",
        "ali": "https://open-ale.fxiaoke.com",
        "hongkong": "https://open-ksc.sharecrm.com",
        "frankfurt": "https://open-hws.fxiaoke.com",
        "northamerica": "https://open-na.sharecrm.com",
    }
)
"""Where the API is, by the cloud that the company is on."""
_EARLY = 600.0  # from so many seconds before its end on, Fxiaoke gives a new token; before, the same again
_PER_MINUTE = 10
_BUSY_CODES = (-1, -2, 30004, 50009)


@dataclass(frozen=True, slots=True)
class FxiaokeKeys:
    """An app's keys and the employee in whose name is read; the keys do not show in a repr.

    Parameters
    ----------
    user_id : str
        Employee such as 1000; what that person may see is read.
    time_zone : str
        Zone in which Fxiaoke's days begin.
    """

    app_id: str = field(repr=False)
    app_secret: str = field(repr=False)
    permanent_code: str = field(repr=False)
    user_id: str
    cloud: str = "fxiaoke"
    time_zone: str = "Asia/Shanghai"


class FxiaokeTokens:
    """Headers of calls.

    Parameters
    ----------
    folder : Path
        Where the token is kept for other processes, readable by its owner alone.
    host : str, optional
        Address of the API; unset: by the keys' cloud.
    clock : callable
        Seconds since 1970; a wall clock, since processes share what it says.

    Raises
    ------
    BadCrmKey
        If the cloud is unknown, or keys would leave this machine unencrypted.
    """

    def __init__(
        self,
        keys: FxiaokeKeys,
        folder: Path,
        host: str | None = None,
        *,
        clock: Callable[[], float] = time.time,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        if host is None and keys.cloud not in CLOUDS:
            raise BadCrmKey(TITLE, f"there is no cloud '{keys.cloud}'", f"Give one of {', '.join(CLOUDS)}.")
        self.host = safe_address(TITLE, host or CLOUDS[keys.cloud])
        self._keys, self._clock, self._pause = keys, clock, pause
        which = hashlib.sha256(f"{self.host} {keys.app_id} {keys.permanent_code}".encode()).hexdigest()[:16]
        self._file, self._lock = folder / f"fxiaoke-{which}.token", FileLock(folder / f"fxiaoke-{which}.lock")
        folder.mkdir(parents=True, exist_ok=True)
        self._kept: dict[str, Any] = {}

    def headers(self, refused: dict[str, str] | None = None) -> dict[str, str]:
        """Headers of a call; a token that was refused is renewed once, however many processes say so."""
        if refused is None and self._good(self._kept):
            return self._headers(self._kept)
        with self._lock:
            kept = self._read()
            if not self._good(kept) or refused == self._headers(kept):
                kept = self._renew(kept)
            self._kept = kept
        return self._headers(kept)

    def _good(self, kept: Mapping[str, Any]) -> bool:
        return bool(kept.get("token")) and self._clock() < kept["ends"] - _EARLY

    def _headers(self, kept: Mapping[str, Any]) -> dict[str, str]:
        if not kept.get("token"):
            return {}
        token, ea = str(kept["token"]), str(kept["ea"])
        return {"authorization": f"Bearer {token}", "x-fs-ea": ea, "x-fs-userid": self._keys.user_id}

    def _renew(self, kept: Mapping[str, Any]) -> dict[str, Any]:
        asked = self._wait_for_turn([float(at) for at in kept.get("asked", [])])
        self._write({**kept, "asked": asked})  # counted before it is sent: a process that dies has spent it too
        sent = {
            "appId": self._keys.app_id,
            "appSecret": self._keys.app_secret,
            "permanentCode": self._keys.permanent_code,
            "grantType": "app_secret",
        }
        url, trace = f"{self.host}/oauth2.0/token", {"thirdTraceId": str(uuid4())}
        status, body = ask_sign_in(TITLE, url, params=trace, json=sent)
        code = body.get("errorCode")
        if code in _BUSY_CODES:
            raise CrmUnreachable(TITLE, f"gives no token ({status}, errorCode {code})", "Try again later.")
        if code != 0 or not body.get("accessToken"):
            said = f"gives no token (errorCode {str(code)[:20]}, traceId {str(body.get('traceId'))[:80]})"
            raise BadCrmKey(TITLE, said, "Check app, secret, permanent code and cloud.")
        ends = asked[-1] + float(body.get("expiresIn", 7200))
        made = {"token": str(body["accessToken"]), "ea": str(body.get("ea", "")), "ends": ends, "asked": asked}
        self._write(made)
        return made

    def _wait_for_turn(self, asked: list[float]) -> list[float]:
        """Moments of the last minute's calls with this one, when it may go out."""
        recent = [at for at in asked if 0 <= self._clock() - at < 60]
        if len(recent) >= _PER_MINUTE:
            self._pause(60 - (self._clock() - recent[-_PER_MINUTE]))
            recent = recent[1 - _PER_MINUTE :]
        return [*recent, self._clock()]

    def _read(self) -> dict[str, Any]:
        try:
            kept = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return kept if isinstance(kept, dict) else {}

    def _write(self, kept: Mapping[str, Any]) -> None:
        part = self._file.with_suffix(".part")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(dict(kept), file)
        part.replace(self._file)
