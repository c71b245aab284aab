"""HubSpot's keys: a private app's token as it is, or access tokens by a refresh token, in memory only."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from crm.connectors.base import BadCrmKey
from crm.connectors.tokens import ask_sign_in, refresh_form, safe_address, to_be_renewed

TITLE = "HubSpot"
HOST = "https://api.hubapi.com"


@dataclass(frozen=True, slots=True)
class HubSpotKeys:
    """A private app's token, or an app with a refresh token; none of them shows in a repr."""

    token: str | None = field(default=None, repr=False)
    client_id: str | None = field(default=None, repr=False)
    client_secret: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)


class HubSpotTokens:
    """Headers of calls; may be shared by threads.

    Parameters
    ----------
    host : str, optional
        Address of the API; unset: HubSpot's.

    Raises
    ------
    BadCrmKey
        If keys would leave this machine unencrypted.
    """

    def __init__(self, keys: HubSpotKeys, host: str | None = None) -> None:
        self.host = safe_address(TITLE, host or HOST)
        self._keys, self._lock = keys, threading.Lock()
        self._token, self._ends = keys.token or "", float("inf") if keys.token else 0.0

    def headers(self, refused: dict[str, str] | None = None) -> dict[str, str]:
        """Headers of a call; a token that was refused is renewed once, however many threads say so."""
        with self._lock:
            if time.monotonic() >= self._ends or (refused == self._headers() and not self._keys.token):
                self._renew()
            return self._headers()

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    def _renew(self) -> None:
        status, body = ask_sign_in(TITLE, f"{self.host}/oauth/v1/token", data=refresh_form(self._keys))
        if status != 200 or "access_token" not in body:
            code = str(body.get("status") or status)[:40]
            raise BadCrmKey(TITLE, f"gives no token ({code})", "Check client, secret and refresh token.")
        self._token = str(body["access_token"])
        self._ends = to_be_renewed(body, 1800)
