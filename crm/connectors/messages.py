"""What a CRM's message on a change says, whichever the CRM, and channels by which such messages come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from crm.errors import BadInput


class BadMessage(BadInput):
    """What came is no message of a CRM."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"This is no message of a CRM: {problem}. Only the CRM's own notifications are taken here.")


@dataclass(frozen=True, slots=True)
class Change:
    """Records that changed, by resource and keys, whether they are gone, and when by the CRM's clock."""

    resource: str
    keys: tuple[str, ...]
    gone: bool
    said_at: datetime


class Channels(Protocol):
    """Opens, prolongs and closes the channels of a CRM."""

    def open(self, channel_id: str, address: str, token: str, now: datetime) -> datetime:
        """Have messages sent to an address; gives the moment at which they end."""
        ...

    def renew(self, channel_id: str, address: str, token: str, now: datetime) -> datetime:
        """Prolong a channel, or open it anew; gives the moment at which it ends."""
        ...

    def close(self, channel_id: str) -> None:
        """End a channel; nothing happens where there is none."""
        ...
