"""Names and addresses of persons: kept outside the lake, under a random key."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Protocol

PersonKind = str  # 'rep' or 'contact'


class PeopleBook(Protocol):
    """Where personal values live; the lake holds only the keys this gives out."""

    def keys_for(self, kind: PersonKind, ids: Sequence[str], details: Sequence[Mapping[str, str | None]]) -> list[str]:
        """Store each person's details and return one lasting key a person.

        Parameters
        ----------
        kind : str
            `rep` or `contact`.
        ids : sequence of str
            Identifier of each person in the source; the same identifier always gets the same key.
        details : sequence of mapping
            Personal values by column (`name`, `email`, `phone`), newest kept.
        """
        ...


class MemoryPeopleBook:
    """A people book in memory, for trials that leave nothing behind."""

    def __init__(self) -> None:
        self.people: dict[tuple[str, str], tuple[str, dict[str, str | None]]] = {}

    def keys_for(self, kind: PersonKind, ids: Sequence[str], details: Sequence[Mapping[str, str | None]]) -> list[str]:
        """See `PeopleBook.keys_for`."""
        keys = []
        for person, values in zip(ids, details, strict=True):
            key, kept = self.people.get((kind, person), (new_person_key(), {}))
            self.people[kind, person] = key, {**kept, **values}
            keys.append(key)
        return keys


def new_person_key() -> str:
    """A random key that says nothing about the person."""
    return "p_" + secrets.token_hex(8)
