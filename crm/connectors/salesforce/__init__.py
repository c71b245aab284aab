"""Salesforce, over its REST API and SOQL."""

from crm.connectors.salesforce.auth import SalesforceKeys
from crm.connectors.salesforce.connector import Salesforce, SalesforceLimits

__all__ = ["Salesforce", "SalesforceKeys", "SalesforceLimits"]
