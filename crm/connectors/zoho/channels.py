"""Zoho CRM's notification channels: messages on each change of a record, for a week at most, then to be renewed."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from crm.connectors.messages import BadMessage, Change
from crm.connectors.zoho.connector import Zoho
from crm.connectors.zoho.modules import DECLARATION, MODULES
from crm.errors import NotReady

LASTS = timedelta(days=7) - timedelta(hours=1)
"""How long a channel is asked for: a week is the most, and clocks differ."""
_EVENTS = [f"{module}.all" for module in MODULES if module != "Products"]


@dataclass(frozen=True, slots=True)
class Message:
    """What a message says, by which channel it came, and the token that it carries."""

    channel_id: str
    token: str
    change: Change

    def verified(self, token: str) -> bool:
        """Whether it carries the channel's token."""
        return hmac.compare_digest(self.token.encode(), token.encode())


class NoChannelOpened(NotReady):
    """The CRM does not open or prolong a channel."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(f"{DECLARATION.title} opens no channel ({code[:60]}). See that it can reach the address.")


class ZohoChannels:
    """Follows `crm.connectors.messages.Channels`; the key needs the scope ZohoCRM.notifications.ALL."""

    def __init__(self, crm: Zoho) -> None:
        self._crm = crm

    def open(self, channel_id: str, address: str, token: str, now: datetime) -> datetime:
        """Ask for messages to an address; gives the moment at which they end.

        Raises
        ------
        NoChannelOpened
            If Zoho gives none, with its reason.
        CrmUnreachable, BadCrmKey
            If it does not answer.
        """
        return self._ask("POST", channel_id, address, token, now)

    def renew(self, channel_id: str, address: str, token: str, now: datetime) -> datetime:
        """Prolong a channel, or open it anew where Zoho no longer has it."""
        try:
            return self._ask("PATCH", channel_id, address, token, now)
        except NoChannelOpened as error:
            if error.code != "NOT_SUBSCRIBED":
                raise
            return self._ask("POST", channel_id, address, token, now)

    def close(self, channel_id: str) -> None:
        """End a channel; nothing happens where there is none."""
        with closing(self._crm.web()) as web:
            web.call("DELETE", f"{self._crm.root}/actions/watch", params={"channel_ids": channel_id}, accept=(400,))

    def _ask(self, method: str, channel_id: str, address: str, token: str, now: datetime) -> datetime:
        until = (now + LASTS).replace(microsecond=0)
        wish = {"channel_id": channel_id, "events": _EVENTS, "channel_expiry": until.isoformat(), "token": token}
        with closing(self._crm.web()) as web:
            sent = {"watch": [{**wish, "notify_url": address}]}
            answer = web.call(method, f"{self._crm.root}/actions/watch", json=sent, accept=(400,))
        said = (answer.get("watch") or [answer])[0]
        if said.get("status") != "success":
            raise NoChannelOpened(str(said.get("code")))
        return until


def read_message(body: Mapping[str, Any]) -> Message:
    """A notification as Zoho sends it.

    Raises
    ------
    BadMessage
        If a part is missing or of another kind.
    """
    parts = {name: body.get(name) for name in ("channel_id", "token", "module", "ids", "operation", "server_time")}
    if missing := [name for name, value in parts.items() if value in (None, "", [])]:
        raise BadMessage(f"{missing[0]} is missing")
    keys, at = parts["ids"], parts["server_time"]
    if not isinstance(keys, list) or len(keys) > 1000 or not all(str(k).isdigit() and len(str(k)) < 100 for k in keys):
        raise BadMessage("ids is no list of record ids")
    if not isinstance(at, int) or not 0 < at < 10**14:
        raise BadMessage("server_time is no time in milliseconds")
    said_at = datetime.fromtimestamp(at / 1000, UTC)
    names = {name: str(parts[name])[:100] for name in ("channel_id", "token", "module", "operation")}
    change = Change(names["module"], tuple(map(str, keys)), names["operation"] == "delete", said_at)
    return Message(names["channel_id"], names["token"], change)
