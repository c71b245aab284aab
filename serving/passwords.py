"""Passwords: hashed with Argon2, and checked in the same time whether or not there is such a user."""

from __future__ import annotations

import hashlib
import secrets
from functools import cache

from crm.errors import BadInput

LEAST, MOST = 10, 1000


class BadPassword(BadInput):
    """The password cannot be used."""


def hash_password(password: str) -> str:
    """What is kept of a password.

    Raises
    ------
    BadPassword
        If it is too short to be safe, or so long that hashing it would take long.
    """
    if not LEAST <= len(password) <= MOST:
        raise BadPassword(
            "The password has {n} characters. Give {least} to {most}.",
            n=len(password),
            least=LEAST,
            most=MOST,
        )
    return _hasher().hash(password)


def is_right(password: str, kept: str | None) -> bool:
    """Whether a password is the kept one; takes as long where none is kept, so that time tells nothing."""
    if len(password) > MOST:
        return False
    return _hasher().verify(password, kept or _nobodys_hash()) and bool(kept)


def new_token() -> str:
    """A token nobody can guess."""
    return secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """What is kept of a token, which is random and long enough to need no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


class _Hasher:
    """Argon2; imported when first used, since not every command needs it."""

    def __init__(self) -> None:
        from pwdlib import PasswordHash

        self._inner = PasswordHash.recommended()

    def hash(self, password: str) -> str:
        return self._inner.hash(password)

    def verify(self, password: str, kept: str) -> bool:
        return self._inner.verify(password, kept)


@cache
def _hasher() -> _Hasher:
    return _Hasher()


@cache
def _nobodys_hash() -> str:
    return _hasher().hash(secrets.token_hex(16))
