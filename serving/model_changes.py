"""Putting a version of a model in use, by API or page: who may, and what is noted of it."""

from __future__ import annotations

from serving.access import Viewer, may_change_models
from serving.dependencies import Server
from training import registry

PROMOTED, ROLLED_BACK = "promote model", "roll back model"


def promote(server: Server, viewer: Viewer, what: registry.What, version: str, why: str) -> None:
    """Put a version in use, whatever the gate said.

    Raises
    ------
    NotYours
        Unless the viewer is an analyst or administrator.
    UnknownVersion
        If there is no such version.
    """
    may_change_models(viewer)
    registry.promote(what, version, tracking=server.home.tracking)
    _note(server, viewer, PROMOTED, what, version, why)


def roll_back(server: Server, viewer: Viewer, what: registry.What, why: str) -> str:
    """Put back the version that the one in use replaced, and give its number.

    Raises
    ------
    NotYours
        Unless the viewer is an analyst or administrator.
    NoModel, UnknownVersion
        If there is none in use, or it replaced none.
    """
    may_change_models(viewer)
    version = registry.roll_back(what, tracking=server.home.tracking)
    _note(server, viewer, ROLLED_BACK, what, version, why)
    return version


def _note(server: Server, viewer: Viewer, did: str, what: str, version: str, why: str) -> None:
    server.store.audit(viewer.name, did, model=what, version=version, why=why)
    server.live.forget()
