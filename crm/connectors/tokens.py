"""Asking a CRM for access tokens: where keys may be sent, and what its sign-in answers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx

from crm.connectors.base import BadCrmKey, CrmUnreachable

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


_EARLY = 60.0  # seconds before its end at which a token is renewed


class RefreshKeys(Protocol):
    """An OAuth client with a refresh token."""

    @property
    def client_id(self) -> str | None:
        """The client's name."""
        ...

    @property
    def client_secret(self) -> str | None:
        """Its secret."""
        ...

    @property
    def refresh_token(self) -> str | None:
        """What access tokens are asked for by."""
        ...


def refresh_form(keys: RefreshKeys) -> dict[str, str | None]:
    """The form by which a new access token is asked for (RFC 6749, section 6)."""
    client = {"client_id": keys.client_id, "client_secret": keys.client_secret}
    return {"grant_type": "refresh_token", **client, "refresh_token": keys.refresh_token}


def to_be_renewed(body: Mapping[str, Any], lasts: float) -> float:
    """When an access token is to be renewed, by the clock `time.monotonic`.

    Parameters
    ----------
    body : mapping
        The sign-in's answer, with `expires_in` in seconds.
    lasts : float
        Seconds that such tokens last where the answer does not say.
    """
    return time.monotonic() + float(str(body.get("expires_in", lasts))) - _EARLY


def safe_address(crm: str, url: str) -> str:
    """The address without a slash at its end.

    Raises
    ------
    BadCrmKey
        If keys would leave this machine unencrypted.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise BadCrmKey(crm, f"'{url}' is not encrypted", "Use an https address.")
    return url.rstrip("/")


def ask_sign_in(crm: str, url: str, **parts: Any) -> tuple[int, dict[str, Any]]:
    """Status and JSON object of a sign-in's answer to a POST; an empty object where it is none.

    Raises
    ------
    CrmUnreachable
        If it does not answer, or is busy.
    """
    try:
        answer = httpx.post(url, timeout=60, **parts)
    except httpx.TransportError:
        raise CrmUnreachable(crm, "its sign-in does not answer", "Try again later.") from None
    if answer.status_code >= 500 or answer.status_code == 429:
        raise CrmUnreachable(crm, f"its sign-in answered {answer.status_code}", "Try again later.")
    try:
        body = answer.json()
    except ValueError:
        body = {}
    return answer.status_code, body if isinstance(body, dict) else {}
