"""Tryton's sale opportunities, over its JSON-RPC."""

from crm.connectors.tryton.connector import Tryton
from crm.connectors.tryton.rpc import TrytonKeys

__all__ = ["Tryton", "TrytonKeys"]
