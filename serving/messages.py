"""Messages of CRMs on changes: verified, taken once, queued; the records they name are read by the next job."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from crm.connectors.hubspot.webhooks import is_signed, read_events
from crm.connectors.messages import BadMessage, Change, Channels
from crm.connectors.zoho.channels import read_message
from crm.errors import NotAllowed, NotFound
from serving.jobs.queue import Queue
from serving.store import Store
from serving.tables.crm import Channel, MessageSeen, Touched
from serving.tables.people import Secret

KEPT = timedelta(days=7)
"""How long a message is known again; older ones are not taken."""
RENEW_BEFORE = timedelta(days=2)
_AHEAD = timedelta(hours=1)  # by which a CRM's clock may be before ours
_SECRET = "crm_messages"

Read = Mapping[str, Mapping[str, bool]]


class NoChannel(NotFound):
    """Nobody listens there."""

    def __init__(self) -> None:
        super().__init__("There is no such channel. Open one: bellwether listen CRM --address ADDRESS.")


class WrongToken(NotAllowed):
    """A message that does not come from the CRM."""

    def __init__(self) -> None:
        super().__init__("The message does not carry its channel's token, so it is not taken.")


class WrongSignature(NotAllowed):
    """A message that the CRM did not sign, or not lately."""

    def __init__(self) -> None:
        super().__init__(
            "The message is not signed by the app's client secret for the address that `bellwether listen` names, or "
            "not within the last 15 minutes, so it is not taken. Compare the target URL and the clocks."
        )


def receive(store: Store, crm: str, body: Mapping[str, Any], now: datetime | None = None) -> int:
    """Take a message of Zoho CRM, and ask for a job that reads what it names.

    A message that came before changes nothing, and neither does their order: records are read as they are then.

    Returns
    -------
    int
        How many records it names; 0 where it was taken before, or is older than `KEPT`.

    Raises
    ------
    BadMessage
        If it is none, or its time lies ahead by more than an hour.
    NoChannel
        If there is no such channel.
    WrongToken
        If it does not carry the channel's token.
    """
    if crm != "zoho":
        raise NoChannel
    now, message = now or datetime.now(UTC), read_message(body)
    with store.session() as session:
        if session.get(Channel, (crm, message.channel_id)) is None:
            raise NoChannel
        if not message.verified(_token(session, crm, message.channel_id)):
            raise WrongToken
        named = _take(session, crm, [message.change], body, now)
    if named:
        _ask(store, crm)
    return named


def receive_signed(
    store: Store, body: bytes, stamp: str, signature: str, *, secret: str, now: datetime | None = None
) -> int:
    """Take a message of HubSpot, whose events each count once, and ask for a job that reads what they name.

    Parameters
    ----------
    body, stamp, signature
        As `crm.connectors.hubspot.webhooks.is_signed` takes them.
    secret : str
        The app's client secret; empty: none is given.

    Returns
    -------
    int
        How many records it names; events that came before, or are older than `KEPT`, name none.

    Raises
    ------
    NoChannel
        If nobody listens to HubSpot.
    WrongSignature
        If it does not come from HubSpot, or is old.
    BadMessage
        If it is signed but no list of events.
    """
    now = now or datetime.now(UTC)
    address = next((c.address for c in open_channels(store) if c.crm == "hubspot"), None)
    if address is None or not secret:
        raise NoChannel
    if not is_signed(body, address, stamp, signature, secret=secret, now=now):
        raise WrongSignature
    try:
        said = json.loads(body)
    except ValueError:
        raise BadMessage("it is no JSON") from None
    with store.session() as session:
        # A message that is sent again may hold other events beside, so each is known by itself.
        named = sum(_take(session, "hubspot", changes, _lasting(e), now) for e, changes in read_events(said) if changes)
    if named:
        _ask(store, "hubspot")
    return named


def _lasting(event: Mapping[str, Any]) -> dict[str, Any]:
    """What stays the same when an event is sent again."""
    return {name: value for name, value in event.items() if name != "attemptNumber"}


def _take(session: Session, crm: str, changes: Sequence[Change], body: Mapping[str, Any], now: datetime) -> int:
    """Queue what a message names unless it came before; how many records that are."""
    said_at = changes[0].said_at
    if said_at > now + _AHEAD:
        raise BadMessage("its time lies ahead")
    if not _is_new(session, said_at, body, now):
        return 0
    for change in changes:
        for key in change.keys:
            _touch(session, crm, change, key, now)
    return sum(len(change.keys) for change in changes)


def touched(store: Store, crm: str) -> dict[tuple[str, str], Touched]:
    """Records that are to be read, by resource and key."""
    with store.reading() as session:
        rows = session.scalars(select(Touched).where(Touched.crm == crm)).all()
        session.expunge_all()
    return {(row.resource, row.record_id): row for row in rows}


def by_resource(rows: Mapping[tuple[str, str], Touched]) -> dict[str, dict[str, bool]]:
    """Keys by resource, with whether the CRM said that the record was deleted."""
    found: dict[str, dict[str, bool]] = {}
    for (resource, key), row in rows.items():
        found.setdefault(resource, {})[key] = row.gone
    return found


def done(store: Store, rows: Mapping[tuple[str, str], Touched]) -> None:
    """Take read records off the queue, unless a message named them again meanwhile."""
    with store.session() as session:
        for row in rows.values():
            same = (Touched.crm == row.crm, Touched.resource == row.resource, Touched.record_id == row.record_id)
            session.execute(delete(Touched).where(*same, Touched.received_at == row.received_at))


def listen(store: Store, crm: str, channels: Channels, address: str, now: datetime | None = None) -> Channel:
    """Open a channel in place of those there are.

    Raises
    ------
    NoChannelOpened, CrmUnreachable
        If the CRM opens none.
    """
    now, new = now or datetime.now(UTC), str(secrets.randbelow(9 * 10**12) + 10**12)
    with store.session() as session:
        token = _token(session, crm, new)
    # Kept first: the CRM may send at once, and a message to an unknown channel would be lost.
    with store.session() as session:
        session.add(Channel(crm=crm, channel_id=new, address=address, expires_at=now))
    try:
        until = channels.open(new, address, token, now)
    except BaseException:
        _forget(store, crm, new)
        raise
    for old in [c.channel_id for c in open_channels(store) if c.crm == crm and c.channel_id != new]:
        channels.close(old)
        _forget(store, crm, old)
    return _prolonged(store, crm, new, until)


def stop_listening(store: Store, crm: str, channels: Channels) -> int:
    """Close all channels of a CRM; how many there were."""
    found = [c.channel_id for c in open_channels(store) if c.crm == crm]
    for channel_id in found:
        channels.close(channel_id)
        _forget(store, crm, channel_id)
    return len(found)


def open_channels(store: Store) -> list[Channel]:
    """All channels."""
    with store.reading() as session:
        rows = list(session.scalars(select(Channel).order_by(Channel.crm, Channel.channel_id)))
        session.expunge_all()
    return rows


def due(store: Store, now: datetime) -> list[Channel]:
    """Channels that end soon."""
    return [c for c in open_channels(store) if c.expires_at <= now + RENEW_BEFORE]


def renew(store: Store, channels: Channels, channel: Channel, now: datetime | None = None) -> Channel:
    """Prolong a channel, and ask for a sync where it had ended: what changed meanwhile was told nobody.

    Raises
    ------
    NoChannelOpened, CrmUnreachable
        If the CRM does not prolong it.
    """
    now = now or datetime.now(UTC)
    with store.session() as session:
        token = _token(session, channel.crm, channel.channel_id)
    until = channels.renew(channel.channel_id, channel.address, token, now)
    if channel.expires_at <= now:
        Queue(store).ask("sync", {"crm": channel.crm}, how="schedule")
    return _prolonged(store, channel.crm, channel.channel_id, until)


def _prolonged(store: Store, crm: str, channel_id: str, until: datetime) -> Channel:
    with store.session() as session:
        row = session.get(Channel, (crm, channel_id))
        assert row is not None
        row.expires_at = until
        session.flush()
        session.expunge(row)
    return row


def _forget(store: Store, crm: str, channel_id: str) -> None:
    with store.session() as session:
        session.execute(delete(Channel).where(Channel.crm == crm, Channel.channel_id == channel_id))


def _token(session: Session, crm: str, channel_id: str) -> str:
    """What a channel's messages must carry: known to this store and the CRM alone; 48 characters."""
    secret = session.get(Secret, _SECRET)
    if secret is None:
        secret = Secret(name=_SECRET, value=secrets.token_hex(32))
        session.add(secret)
        session.flush()
    return hmac.new(secret.value.encode(), f"{crm} {channel_id}".encode(), hashlib.sha256).hexdigest()[:48]


def _is_new(session: Session, said_at: datetime, body: Mapping[str, Any], now: datetime) -> bool:
    """Note a message; False where it was noted before, or is too old to tell."""
    session.execute(delete(MessageSeen).where(MessageSeen.received_at < now - KEPT - _AHEAD))
    if said_at < now - KEPT:
        return False
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()
    if session.get(MessageSeen, digest) is not None:
        return False
    session.add(MessageSeen(digest=digest, received_at=now))
    return True


def _touch(session: Session, crm: str, change: Change, key: str, now: datetime) -> None:
    row = session.get(Touched, (crm, change.resource, key))
    if row is None:
        row = Touched(crm=crm, resource=change.resource, record_id=key, gone=change.gone, said_at=change.said_at)
        session.add(row)
    elif change.said_at >= row.said_at:
        row.gone, row.said_at = change.gone, change.said_at
    row.received_at = now


def _ask(store: Store, crm: str) -> None:
    """One job that waits is enough: it reads all that is queued when it begins."""
    queue, wish = Queue(store), {"crm": crm, "touched": True}
    if not any(job.state == "queued" and job.params == wish for job in queue.newest(limit=20, kinds=("sync",))):
        queue.ask("sync", wish, how="message")
