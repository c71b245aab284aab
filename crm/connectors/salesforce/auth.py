"""Salesforce's OAuth: access tokens by client credentials or a refresh token, in memory only."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from crm.connectors.base import BadCrmKey
from crm.connectors.tokens import ask_sign_in, refresh_form, safe_address

TITLE = "Salesforce"


@dataclass(frozen=True, slots=True)
class SalesforceKeys:
    """A connected app of a company, which lies at its own domain; secrets do not show in a repr.

    Parameters
    ----------
    login : str
        The company's address, such as https://firm.my.salesforce.com.
    refresh_token : str, optional
        Unset: the app's client credentials, in the name of the user set for them.
    """

    login: str
    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)


class SalesforceTokens:
    """Headers of calls; may be shared by threads.

    Raises
    ------
    BadCrmKey
        If keys would leave this machine unencrypted.
    """

    def __init__(self, keys: SalesforceKeys) -> None:
        self._login = safe_address(TITLE, keys.login)
        self._keys, self._lock = keys, threading.Lock()
        self._token, self._host = "", ""

    def headers(self, refused: dict[str, str] | None = None) -> dict[str, str]:
        """Headers of a call; a session that was refused is renewed once, however many threads say so."""
        with self._lock:
            if not self._token or refused == self._headers():
                self._renew()
            return self._headers()

    @property
    def host(self) -> str:
        """Address of the company's instance, as the newest token names it."""
        if not self._host:
            self.headers()
        return self._host

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    def _renew(self) -> None:
        sent = refresh_form(self._keys)
        if not self._keys.refresh_token:
            sent = {"grant_type": "client_credentials", **{n: sent[n] for n in ("client_id", "client_secret")}}
        status, body = ask_sign_in(TITLE, f"{self._login}/services/oauth2/token", data=sent)
        if status != 200 or "access_token" not in body or "instance_url" not in body:
            code = str(body.get("error", status))[:40]
            raise BadCrmKey(TITLE, f"gives no token ({code})", "Check address, client and refresh token.")
        self._token, self._host = str(body["access_token"]), safe_address(TITLE, str(body["instance_url"]))
