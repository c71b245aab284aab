"""Messages that CRMs send on changes."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, Path, Request
from pydantic import BaseModel, Field

from serving.crm_keys import given, hubspot_secret
from serving.dependencies import ServerDep
from serving.documents import example
from serving.examples import TAKEN
from serving.messages import receive, receive_signed

router = APIRouter(prefix="/crms", tags=["jobs"])
_MESSAGE = {
    "channel_id": "1000000068001",
    "token": "0f3a…",
    "module": "Deals",
    "ids": ["4876876000000333001"],
    "operation": "update",
    "server_time": 1772366400000,
}

_EVENT = {
    "eventId": 1,
    "subscriptionType": "deal.propertyChange",
    "objectId": 512,
    "occurredAt": 1772366400000,
    "propertyName": "dealstage",
}


class Taken(BaseModel):
    """What became of a message."""

    records: Annotated[int, Field(ge=0, description="Records it names; 0 where the message came before.")]


async def _sent(request: Request) -> bytes:
    """The body as it came: a signature is of its bytes."""
    return await request.body()


@router.post("/hubspot/messages", status_code=202, responses=example(TAKEN, 202))
def take_events(
    events: Annotated[list[dict[str, Any]], Body(examples=[[_EVENT]])],
    sent: Annotated[bytes, Depends(_sent)],
    server: ServerDep,
    signature: Annotated[str, Header(alias="X-HubSpot-Signature-v3", max_length=100)] = "",
    stamp: Annotated[str, Header(alias="X-HubSpot-Request-Timestamp", max_length=20)] = "",
) -> Taken:
    """Take HubSpot's events on records that changed; without sign-in, but signed by the app's client secret.

    The records are read again and the deals among them scored anew, by a job. An event that comes a second time changes
    nothing, nor does the order in which events come.
    """
    secret = hubspot_secret(server.settings) if given(server.settings, "hubspot", "client_secret") else ""
    return Taken(records=receive_signed(server.store, sent, stamp, signature, secret=secret))


@router.post("/{crm}/messages", status_code=202, responses=example(TAKEN, 202))
def take_message(
    crm: Annotated[str, Path(max_length=20, description="The CRM, such as zoho.")],
    message: Annotated[dict[str, Any], Body(examples=[_MESSAGE])],
    server: ServerDep,
) -> Taken:
    """Take a CRM's message that records changed; without sign-in, but with the token of the channel it came by.

    The records are read again and the deals among them scored anew, by a job. The same message a second time changes
    nothing, nor does the order in which messages come.
    """
    return Taken(records=receive(server.store, crm, message))
