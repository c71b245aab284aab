"""The CRMs that can be synced: their names, and connectors with keys from the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, get_args

from crm.errors import BadInput
from serving.home import Home
from serving.settings import Settings

if TYPE_CHECKING:
    from crm.connectors import Connector
    from crm.connectors.messages import Channels
    from crm.connectors.web import Patience
    from crm.connectors.writing import Writer

CrmName = Literal["zoho", "fxiaoke", "salesforce", "hubspot", "tryton"]
CRMS: tuple[CrmName, ...] = get_args(CrmName)
TITLES: Mapping[str, str] = MappingProxyType(
    {"zoho": "Zoho CRM", "fxiaoke": "纷享销客", "salesforce": "Salesforce", "hubspot": "HubSpot", "tryton": "Tryton"}
)


class UnknownCrm(BadInput):
    """There is no connector of that name."""

    def __init__(self, crm: str) -> None:
        super().__init__("'{crm}' is no CRM that can be synced. Known: {crms}.", crm=crm, crms=", ".join(CRMS))


def connector_of(
    crm: str, settings: Settings, home: Home, calls: int | None = None, *, patience: Patience | None = None
) -> Connector:
    """The connector of a CRM with its keys from the settings.

    Parameters
    ----------
    calls : int, optional
        Calls that a run may spend; unset: the connector's own bound.
    patience : Patience, optional
        How long a call is tried; unset: as a sync does.

    Raises
    ------
    UnknownCrm
        If there is none.
    BadInput
        If a key is missing, see `serving.crm_keys`.
    """
    makers: dict[str, Callable[[Settings, Home, int | None, Patience | None], Connector]] = {
        "zoho": _zoho,
        "fxiaoke": _fxiaoke,
        "salesforce": _salesforce,
        "hubspot": _hubspot,
        "tryton": _tryton,
    }
    if crm not in makers:
        raise UnknownCrm(crm)
    return makers[crm](settings, home, calls, patience)


def writer_of(crm: str, settings: Settings, home: Home) -> Writer:
    """What writes into a CRM's deals; errors as in `connector_of`."""
    from crm.connectors.fxiaoke import Fxiaoke
    from crm.connectors.fxiaoke.writer import FxiaokeWriter
    from crm.connectors.hubspot import HubSpot
    from crm.connectors.hubspot.writer import HubSpotWriter
    from crm.connectors.salesforce import Salesforce
    from crm.connectors.salesforce.writer import SalesforceWriter
    from crm.connectors.tryton import Tryton
    from crm.connectors.tryton.writer import TrytonWriter
    from crm.connectors.zoho import Zoho
    from crm.connectors.zoho.writer import ZohoWriter

    connector = connector_of(crm, settings, home)
    if isinstance(connector, Zoho):
        return ZohoWriter(connector)
    if isinstance(connector, Fxiaoke):
        return FxiaokeWriter(connector)
    if isinstance(connector, Salesforce):
        return SalesforceWriter(connector)
    if isinstance(connector, HubSpot):
        return HubSpotWriter(connector)
    if isinstance(connector, Tryton):
        return TrytonWriter(connector)
    raise UnknownCrm(crm)


class NoMessages(BadInput):
    """A CRM that sends no messages on changes."""

    def __init__(self, crm: str) -> None:
        super().__init__("{crm} sends no messages that can be taken. Sync it often instead.", crm=TITLES.get(crm, crm))


def channels_of(crm: str, settings: Settings, home: Home) -> Channels:
    """Channels by which a CRM sends messages on changes; errors as in `connector_of`.

    Raises
    ------
    NoMessages
        If it sends none.
    """
    from crm.connectors.hubspot.webhooks import HubSpotWebhooks
    from crm.connectors.zoho import Zoho
    from crm.connectors.zoho.channels import ZohoChannels
    from serving.crm_keys import hubspot_secret

    if crm == "hubspot":
        return HubSpotWebhooks(hubspot_secret(settings))
    connector = connector_of(crm, settings, home)
    if not isinstance(connector, Zoho):
        raise NoMessages(crm)
    return ZohoChannels(connector)


def _zoho(settings: Settings, home: Home, calls: int | None, patience: Patience | None) -> Connector:
    from crm.connectors.zoho import Zoho, ZohoLimits
    from serving.crm_keys import zoho_keys

    limits = ZohoLimits(calls=calls) if calls else None
    accounts, timeline = settings.zoho_accounts, settings.zoho_timeline
    return Zoho(zoho_keys(settings), accounts=accounts, limits=limits, timeline=timeline, patience=patience)


def _fxiaoke(settings: Settings, home: Home, calls: int | None, patience: Patience | None) -> Connector:
    from crm.connectors.fxiaoke import Fxiaoke, FxiaokeLimits
    from serving.crm_keys import fxiaoke_keys

    limits = FxiaokeLimits(calls=calls) if calls else None
    keys, host = fxiaoke_keys(settings), settings.fxiaoke_host
    return Fxiaoke(keys, home.tokens, host=host, limits=limits, patience=patience)


def _salesforce(settings: Settings, home: Home, calls: int | None, patience: Patience | None) -> Connector:
    from crm.connectors.salesforce import Salesforce, SalesforceLimits
    from serving.crm_keys import salesforce_keys

    limits = SalesforceLimits(calls=calls) if calls else None
    return Salesforce(salesforce_keys(settings), limits=limits, patience=patience)


def _hubspot(settings: Settings, home: Home, calls: int | None, patience: Patience | None) -> Connector:
    from crm.connectors.hubspot import HubSpot, HubSpotLimits
    from serving.crm_keys import hubspot_keys

    limits = HubSpotLimits(calls=calls) if calls else None
    return HubSpot(hubspot_keys(settings), host=settings.hubspot_host, limits=limits, patience=patience)


def _tryton(settings: Settings, home: Home, calls: int | None, patience: Patience | None) -> Connector:
    from crm.connectors.tryton import Tryton
    from serving.crm_keys import tryton_keys

    keys = tryton_keys(settings)
    return Tryton(keys, max_calls=calls, patience=patience) if calls else Tryton(keys, patience=patience)
