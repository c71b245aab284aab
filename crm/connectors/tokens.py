"""Asking a CRM for access tokens: where keys may be sent, and what its sign-in answers."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import httpx

from crm.connectors.base import BadCrmKey, CrmUnreachable

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


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
