"""HubSpot, over version 3 of its CRM API."""

from crm.connectors.hubspot.auth import HubSpotKeys
from crm.connectors.hubspot.connector import HubSpot, HubSpotLimits

__all__ = ["HubSpot", "HubSpotKeys", "HubSpotLimits"]
