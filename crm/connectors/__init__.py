"""Connectors: what changed in a CRM, into the lake."""

from crm.connectors.base import Batch, Connector, Declaration, Resource, SyncReport, sync

__all__ = ["Batch", "Connector", "Declaration", "Resource", "SyncReport", "sync"]
