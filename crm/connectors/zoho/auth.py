"""Zoho's OAuth: data centres, and access tokens from a refresh token, in memory only."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from crm.connectors.base import BadCrmKey
from crm.connectors.tokens import ask_sign_in, refresh_form, safe_address, to_be_renewed

ACCOUNTS: Mapping[str, str] = MappingProxyType(
    {
        "us": "https://accounts.zoho.com",
        "eu": "https://accounts.zoho.eu",
        "in": "https://accounts.zoho.in",
        "au": "https://accounts.zoho.com.au",
        "cn": "https://accounts.zoho.com.cn",
        "jp": "https://accounts.zoho.jp",
        "ca": "https://accounts.zohocloud.ca",
        "sa": "https://accounts.zoho.sa",
        "uk": "https://accounts.zoho.uk",
    }
)
"""Where tokens come from, by data centre; the answer names the host of the CRM."""
_TITLE = "Zoho CRM"


@dataclass(frozen=True, slots=True)
class ZohoKeys:
    """An OAuth client of type self client or server, and its refresh token; none of them shows in a repr."""

    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    refresh_token: str = field(repr=False)
    data_centre: str = "us"


class ZohoTokens:
    """Access tokens, renewed shortly before they end; may be shared by threads.

    Parameters
    ----------
    accounts : str, optional
        Where tokens come from; unset: by the keys' data centre.

    Raises
    ------
    BadCrmKey
        If the data centre is unknown, or keys would leave this machine unencrypted.
    """

    def __init__(self, keys: ZohoKeys, accounts: str | None = None) -> None:
        if accounts is None and keys.data_centre not in ACCOUNTS:
            known = ", ".join(ACCOUNTS)
            raise BadCrmKey(_TITLE, f"there is no data centre '{keys.data_centre}'", f"Give one of {known}.")
        self._accounts = safe_address(_TITLE, accounts or ACCOUNTS[keys.data_centre])
        self._keys, self._lock = keys, threading.Lock()
        self._token, self._host, self._ends = "", "", 0.0

    def headers(self, refused: dict[str, str] | None = None) -> dict[str, str]:
        """Headers of a call; a token that was refused is renewed once, however many threads say so."""
        with self._lock:
            if time.monotonic() >= self._ends or refused == self._headers():
                self._renew()
            return self._headers()

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Zoho-oauthtoken {self._token}"}

    @property
    def host(self) -> str:
        """The CRM's address, as the newest token names it."""
        if not self._host:
            self.headers()
        return self._host

    def _renew(self) -> None:
        status, body = ask_sign_in(_TITLE, f"{self._accounts}/oauth/v2/token", data=refresh_form(self._keys))
        if "access_token" not in body or "api_domain" not in body:
            # Zoho answers 200 to wrong keys, with the reason in `error`.
            code = str(body.get("error", status))[:40]
            raise BadCrmKey(_TITLE, f"gives no token ({code})", "Check client, refresh token and data centre.")
        self._token, self._host = str(body["access_token"]), safe_address(_TITLE, str(body["api_domain"]))
        self._ends = to_be_renewed(body, 3600)
