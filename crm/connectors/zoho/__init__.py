"""Zoho CRM, API version 8."""

from crm.connectors.zoho.auth import ACCOUNTS, ZohoKeys
from crm.connectors.zoho.connector import Zoho, ZohoLimits

__all__ = ["ACCOUNTS", "Zoho", "ZohoKeys", "ZohoLimits"]
