"""Connecting a CRM: which keys it needs and which are given, and whether it lets us in; never a key's value."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from crm.connectors.base import OwnFields
from crm.connectors.web import Patience
from serving.crm_keys import KEYS, given
from serving.crms import TITLES, CrmName, connector_of
from serving.home import Home
from serving.settings import Settings

_QUICK = Patience(tries=2, first_wait=0.5, longest_wait=5.0, timeout=15.0)


@dataclass(frozen=True, slots=True)
class Key:
    """A setting by which a CRM is reached.

    Parameters
    ----------
    variable : str
        Name in the environment.
    name : str
        Name in the key file.
    needed : bool
        Whether nothing goes without it.
    """

    variable: str
    name: str
    what: str
    needed: bool
    given: bool


@dataclass(frozen=True, slots=True)
class Setup:
    """How far a CRM has been connected."""

    crm: CrmName
    title: str
    keys: tuple[Key, ...]
    synced_at: datetime | None
    fields: tuple[str, ...]

    @property
    def missing(self) -> tuple[Key, ...]:
        """Keys that are still to be given."""
        return tuple(key for key in self.keys if key.needed and not key.given)


def setup_of(crm: CrmName, settings: Settings, home: Home) -> Setup:
    """What is set up of a CRM.

    Raises
    ------
    BadKeyFile, OpenKeyFile
        If the key file cannot be used, or others may read it.
    """
    keys = tuple(
        Key(f"BELLWETHER_{crm}_{name}".upper(), name, _what(crm, name), needed, given(settings, crm, name))
        for name, needed in KEYS[crm].items()
    )
    cursor = home.cursors / f"{crm}.json"
    synced = datetime.fromtimestamp(cursor.stat().st_mtime, UTC) if cursor.exists() else None
    written = home.company().write_back.get(crm)
    return Setup(crm, TITLES[crm], keys, synced, tuple(written.fields) if written else ())


def reach(crm: str, settings: Settings, home: Home) -> OwnFields:
    """Sign in to a CRM and read what its deals are made of; gives the company's own fields by kind of record.

    Raises
    ------
    BadInput
        If a key is missing.
    CrmUnreachable, BadCrmKey
        If the CRM does not answer, or refuses the keys.
    """
    return connector_of(crm, settings, home, patience=_QUICK).own_fields()


def _what(crm: str, name: str) -> str:
    described = Settings.model_fields[f"{crm}_{name}"].description or ""
    return described.removeprefix(f"{TITLES[crm]}: ")
