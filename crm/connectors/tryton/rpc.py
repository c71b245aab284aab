"""Tryton's JSON-RPC: a session, and calls of a model's methods with its values as text."""

from __future__ import annotations

import base64
import threading
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import quote

import httpx

from crm.connectors.base import BadCrmKey, CrmUnreachable
from crm.connectors.tokens import safe_address
from crm.connectors.web import Patience, Web

TITLE = "Tryton"


@dataclass(frozen=True, slots=True)
class TrytonKeys:
    """Where Tryton is and who asks; the password does not show in a repr."""

    url: str
    database: str
    user: str
    password: str = field(repr=False)


class TrytonRpc:
    """Calls of one run, signed in when first needed and again when the session ends.

    Raises
    ------
    BadCrmKey
        If the password would leave this machine unencrypted.
    """

    def __init__(self, keys: TrytonKeys, *, max_calls: int, patience: Patience | None = None) -> None:
        self._keys, self._lock = keys, threading.Lock()
        self._url = f"{safe_address(TITLE, keys.url)}/{quote(keys.database)}/rpc/"
        self._session: dict[str, str] | None = None
        self._web = Web(TITLE, self._headers, max_calls=max_calls, patience=patience)

    def close(self) -> None:
        """Let go of connections."""
        self._web.close()

    def call(self, method: str, *params: Any) -> Any:
        """The result of `model.NAME.METHOD`; the last of `params` is Tryton's context."""
        return self._web.call("POST", self._url, json={"method": method, "params": list(params)})

    def clock(self) -> datetime:
        """The server's time."""
        self.call("model.sale.opportunity.fields_get", ["party"], 0, {})
        return self._web.server_time

    def _headers(self, refused: dict[str, str] | None) -> dict[str, str]:
        with self._lock:
            if self._session is None or refused == self._session:
                self._session = self._sign_in()
            return self._session

    def _sign_in(self) -> dict[str, str]:
        params = [self._keys.user, {"password": self._keys.password}]
        try:
            answer = httpx.post(self._url, json={"method": "common.db.login", "params": params}, timeout=60)
        except httpx.TransportError:
            raise CrmUnreachable(TITLE, "does not answer", "Try again later.") from None
        if answer.status_code in (401, 403, 404):
            raise BadCrmKey(TITLE, f"refused the sign-in ({answer.status_code})", "Check database, user and password.")
        if answer.status_code != 200:
            raise CrmUnreachable(TITLE, f"answered {answer.status_code} to the sign-in", "Try again later.")
        user, token = answer.json()[:2]
        said = base64.b64encode(f"{self._keys.user}:{user}:{token}".encode()).decode()
        return {"Authorization": f"Session {said}"}


def text(value: Any) -> str | None:
    """A value of Tryton as text: dates ISO 8601, times in UTC, decimals as written."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict):
        if value["__class__"] == "Decimal":
            return str(value["decimal"])
        if value["__class__"] == "date":
            return date(value["year"], value["month"], value["day"]).isoformat()
        return moment(value).isoformat()
    return str(value)


def moment(value: dict[str, Any]) -> datetime:
    """A time of Tryton, which means UTC."""
    parts = ("year", "month", "day", "hour", "minute", "second", "microsecond")
    return datetime(*(int(value[p]) for p in parts), tzinfo=UTC)  # type: ignore[misc,arg-type]


def as_tryton(value: datetime) -> dict[str, Any]:
    """A time as Tryton takes it."""
    utc = value.astimezone(UTC)
    parts = ("year", "month", "day", "hour", "minute", "second", "microsecond")
    return {"__class__": "datetime", **{p: getattr(utc, p) for p in parts}}
