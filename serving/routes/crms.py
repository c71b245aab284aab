"""Messages that CRMs send on changes."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Path
from pydantic import BaseModel, Field

from serving.dependencies import ServerDep
from serving.documents import example
from serving.examples import TAKEN
from serving.messages import receive

router = APIRouter(prefix="/crms", tags=["jobs"])
_MESSAGE = {
    "channel_id": "1000000068001",
    "token": "0f3a…",
    "module": "Deals",
    "ids": ["4876876000000333001"],
    "operation": "update",
    "server_time": 1772366400000,
}


class Taken(BaseModel):
    """What became of a message."""

    records: Annotated[int, Field(ge=0, description="Records it names; 0 where the message came before.")]


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
