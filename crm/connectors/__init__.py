"""Connectors: what changed in a CRM, into the lake."""

from crm.connectors.base import (
    Batch,
    Connector,
    Declaration,
    ReadsSome,
    Resource,
    SyncReport,
    sync,
    sync_touched,
)

__all__ = ["Batch", "Connector", "Declaration", "ReadsSome", "Resource", "SyncReport", "sync", "sync_touched"]
