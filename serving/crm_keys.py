"""Keys to CRMs: from the environment, or a file that its owner alone may read; they never reach log, error or lake."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zoneinfo import available_timezones

import yaml
from pydantic import SecretStr

from crm.connectors.fxiaoke import FxiaokeKeys
from crm.connectors.hubspot import HubSpotKeys
from crm.connectors.salesforce import SalesforceKeys
from crm.connectors.tryton import TrytonKeys
from crm.connectors.zoho import ZohoKeys
from crm.errors import BadInput, NotAllowed
from serving.settings import Settings

KEYS: Mapping[str, Mapping[str, bool]] = MappingProxyType(
    {
        "zoho": {"client_id": True, "client_secret": True, "refresh_token": True, "data_centre": False},
        "fxiaoke": {"app_id": True, "app_secret": True, "permanent_code": True, "user_id": True, "cloud": False},
        "salesforce": {"login": True, "client_id": True, "client_secret": True, "refresh_token": False},
        "hubspot": {"token": True, "client_id": False, "client_secret": False, "refresh_token": False},
        "tryton": {"url": True, "database": True, "user": True, "password": True},
    }
)
"""Keys of each CRM, and whether nothing goes without; HubSpot's token is not needed where an app's keys are given."""


class NoCrmKey(BadInput):
    """A key that a CRM needs is not given."""

    def __init__(self, crm: str, name: str) -> None:
        super().__init__(
            "{crm}: {name} is missing. Give {variable}, or {name} under {crm} in a YAML file "
            "that BELLWETHER_KEYS names.",
            crm=crm,
            name=name,
            variable=f"BELLWETHER_{crm.upper()}_{name.upper()}",
        )


class BadKeyFile(BadInput):
    """The key file cannot be used."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            "{path} {problem}. It is YAML: a CRM's name, and its keys below it.", path=path, problem=problem
        )


class OpenKeyFile(NotAllowed):
    """Others may read the key file."""

    def __init__(self, path: Path, mode: int) -> None:
        super().__init__(
            "{path} may be read by others (mode {mode:o}). Close it: chmod 600 {path}", path=path, mode=mode
        )


def zoho_keys(settings: Settings) -> ZohoKeys:
    """Keys to Zoho CRM; the environment wins over the file.

    Raises
    ------
    NoCrmKey
        If one is missing.
    BadKeyFile, OpenKeyFile
        If the file cannot be used, or others may read it.
    """
    given = _given(settings, "zoho", _needed("zoho"))
    centre = settings.zoho_data_centre or _in_file(settings, "zoho").get("data_centre", "us")
    return ZohoKeys(**given, data_centre=str(centre))


def fxiaoke_keys(settings: Settings) -> FxiaokeKeys:
    """An app's keys to Fxiaoke; errors as in `zoho_keys`."""
    given = _given(settings, "fxiaoke", _needed("fxiaoke"))
    stored = _in_file(settings, "fxiaoke")
    zone = str(stored.get("time_zone", "Asia/Shanghai"))
    if zone not in available_timezones():
        raise BadKeyFile(settings.keys or Path("keys"), f"says time_zone '{zone}' for fxiaoke, which is none")
    cloud = settings.fxiaoke_cloud or str(stored.get("cloud", "fxiaoke"))
    return FxiaokeKeys(**given, cloud=cloud, time_zone=zone)


def salesforce_keys(settings: Settings) -> SalesforceKeys:
    """A connected app of Salesforce; errors as in `zoho_keys`."""
    given = _given(settings, "salesforce", _needed("salesforce"))
    said, stored = settings.salesforce_refresh_token, _in_file(settings, "salesforce").get("refresh_token")
    return SalesforceKeys(**given, refresh_token=said.get_secret_value() if said else stored and str(stored))


def hubspot_keys(settings: Settings) -> HubSpotKeys:
    """A private app's token for HubSpot, or an app with a refresh token; errors as in `zoho_keys`."""
    if settings.hubspot_token or _in_file(settings, "hubspot").get("token"):
        return HubSpotKeys(**_given(settings, "hubspot", ("token",)))
    if settings.hubspot_refresh_token or _in_file(settings, "hubspot").get("refresh_token"):
        return HubSpotKeys(**_given(settings, "hubspot", ("client_id", "client_secret", "refresh_token")))
    raise NoCrmKey("hubspot", "token")


def hubspot_secret(settings: Settings) -> str:
    """The client secret by which HubSpot signs its messages; errors as in `zoho_keys`."""
    return _given(settings, "hubspot", ("client_secret",))["client_secret"]


def tryton_keys(settings: Settings) -> TrytonKeys:
    """Where Tryton is and who asks; errors as in `zoho_keys`."""
    return TrytonKeys(**_given(settings, "tryton", _needed("tryton")))


def given(settings: Settings, crm: str, name: str) -> bool:
    """Whether a key is given, in the environment or the file; errors of the file as in `zoho_keys`."""
    if (crm, name) == ("hubspot", "token") and given(settings, crm, "refresh_token"):
        return True
    return bool(getattr(settings, f"{crm}_{name}") or _in_file(settings, crm).get(name))


def _given(settings: Settings, crm: str, names: tuple[str, ...]) -> dict[str, str]:
    stored = _in_file(settings, crm)
    found = {}
    for name in names:
        said = getattr(settings, f"{crm}_{name}") or stored.get(name)
        value = said.get_secret_value() if isinstance(said, SecretStr) else said
        if not value:
            raise NoCrmKey(crm, name)
        found[name] = str(value)
    return found


def _needed(crm: str) -> tuple[str, ...]:
    return tuple(name for name, needed in KEYS[crm].items() if needed)


def _in_file(settings: Settings, crm: str) -> dict[str, Any]:
    path = settings.keys
    if path is None:
        return {}
    try:
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            raise OpenKeyFile(path, mode)
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadKeyFile(path, f"cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise BadKeyFile(path, "is no YAML") from None
    part = data.get(crm, {}) if isinstance(data, dict) else None
    if not isinstance(part, dict):
        raise BadKeyFile(path, f"names no keys of {crm}")
    return part
