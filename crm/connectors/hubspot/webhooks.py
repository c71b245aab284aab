"""HubSpot's webhooks: events on changes, several a message, signed by the app's client secret (signature version 3)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from crm.connectors.hubspot.objects import key_of
from crm.connectors.messages import BadMessage, Change

MOST_EVENTS = 100
"""Events that HubSpot sends in one message at most."""
NO_END = datetime(9999, 1, 1, tzinfo=UTC)
"""Webhooks last until they are taken out of the app."""
_FRESH = timedelta(minutes=15)  # HubSpot says to refuse what is older than five minutes; clocks may be off by ten
_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "contact": "contacts", "company": "companies", "deal": "deals", "product": "products", "lead": "leads",
        "0-1": "contacts", "0-2": "companies", "0-3": "deals", "0-7": "products",
        "0-27": "tasks", "0-46": "notes", "0-47": "meetings", "0-48": "calls", "0-49": "emails", "0-136": "leads",
    }
)  # fmt: skip
"""Kinds of records by the first word of a subscription, and by the number that general subscriptions give."""
_GONE = ("deletion", "privacyDeletion")


class HubSpotWebhooks:
    """Follows `crm.connectors.messages.Channels`; subscriptions are made in the app's settings, which has no API.

    Parameters
    ----------
    secret : str
        The app's client secret, without which no message can be verified; never kept.
    """

    def __init__(self, secret: str) -> None:
        assert secret

    def open(self, channel_id: str, address: str, token: str, now: datetime) -> datetime:
        """Nothing is asked of HubSpot; the messages have no end."""
        return NO_END

    def renew(self, channel_id: str, address: str, token: str, now: datetime) -> datetime:
        """As `open`."""
        return NO_END

    def close(self, channel_id: str) -> None:
        """Nothing is asked of HubSpot; messages are no longer taken."""


def is_signed(body: bytes, address: str, stamp: str, signature: str, *, secret: str, now: datetime) -> bool:
    """Whether a message comes from HubSpot, and lately.

    Parameters
    ----------
    body : bytes
        As it came.
    address : str
        The address to which HubSpot sends, as the app's settings have it.
    stamp, signature : str
        The headers X-HubSpot-Request-Timestamp, in milliseconds, and X-HubSpot-Signature-v3.

    References
    ----------
    HubSpot, "Validating requests": HMAC-SHA256 of method, address, body and time, in base 64.
    """
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 15):
        return False
    if abs(datetime.fromtimestamp(int(stamp) / 1000, UTC) - now) > _FRESH:
        return False
    signed = b"POST" + address.encode() + body + stamp.encode()
    wanted = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest())
    return hmac.compare_digest(wanted, signature.encode())


def read_events(events: object) -> list[tuple[Mapping[str, Any], list[Change]]]:
    """Each event of a message with what it says; nothing for kinds of records that are not read.

    Raises
    ------
    BadMessage
        If it is no list of events, or a part of one is missing or of another kind.
    """
    if not isinstance(events, list) or not 0 < len(events) <= MOST_EVENTS:
        raise BadMessage(f"it is no list of 1 to {MOST_EVENTS} events")
    return [(event, _changes(event)) for event in events]


def _changes(event: object) -> list[Change]:
    if not isinstance(event, dict):
        raise BadMessage("an event is no object")
    kind, _, what = str(event.get("subscriptionType", "")).partition(".")
    if not what:
        raise BadMessage("subscriptionType is missing")
    at = event.get("occurredAt")
    if not isinstance(at, int) or not 0 < at < 10**14:
        raise BadMessage("occurredAt is no time in milliseconds")
    said_at = datetime.fromtimestamp(at / 1000, UTC)
    resource = _KINDS.get(str(event.get("objectTypeId")) if kind == "object" else kind)
    if what == "associationChange":
        return _of_association(event, said_at)
    if resource is None:
        return []
    if what == "merge":
        first = event.get("primaryObjectId")
        stays = _keys(resource, [event.get("newObjectId") or first])
        merged = _keys(resource, [first, *_listed(event.get("mergedObjectIds"))])
        left = tuple(key for key in merged if key not in stays)
        return [Change(resource, stays, False, said_at), Change(resource, left, True, said_at)]
    return [Change(resource, _keys(resource, [event.get("objectId")]), what in _GONE, said_at)]


def _of_association(event: Mapping[str, Any], said_at: datetime) -> list[Change]:
    """Both ends of an association, where they are read: `DEAL_TO_COMPANY`, or the kinds by number."""
    first, _, second = str(event.get("associationType", "")).lower().partition("_to_")
    kinds = (event.get("fromObjectTypeId") or first, event.get("toObjectTypeId") or second)
    keys = (event.get("fromObjectId"), event.get("toObjectId"))
    ends = [(_KINDS.get(str(kind)), key) for kind, key in zip(kinds, keys, strict=True)]
    return [Change(kind, _keys(kind, [key]), False, said_at) for kind, key in ends if kind]


def _listed(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else [value]


def _keys(kind: str, values: Sequence[object]) -> tuple[str, ...]:
    numbers = [str(v) for v in values if isinstance(v, int | str)]
    if len(numbers) != len(values) or not all(n.isascii() and n.isdigit() and len(n) < 30 for n in numbers):
        raise BadMessage("a record's key is missing or no number")
    return tuple(key_of(kind, number) for number in numbers)
