"""Signing in and out, for programs; pages have their own form."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from serving.dependencies import AddressDep, ServerDep, SignedInDep, ViewerDep, token_of
from serving.documents import example
from serving.examples import ME, TOKEN
from serving.sign_in import sign_in, sign_out

router = APIRouter(prefix="/session", tags=["service"])


class Credentials(BaseModel):
    """E-mail and password."""

    email: str
    password: str


class Token(BaseModel):
    """To be sent as `Authorization: Bearer TOKEN`."""

    token: str


class Me(BaseModel):
    """Who is asking."""

    name: str
    role: str
    rep_id: str | None
    signed_in: bool


@router.post("", status_code=201, responses=example(TOKEN, 201))
def start_session(given: Credentials, server: ServerDep, address: AddressDep) -> Token:
    """Sign in; gives a token for the API."""
    days = server.settings.session_days
    token = sign_in(server.store, given.email, given.password, address=address, days=days, label="api")
    return Token(token=token)


@router.get("", responses=example(ME))
def read_session(viewer: ViewerDep) -> Me:
    """Who is asking, and in which role."""
    return Me(name=viewer.name, role=viewer.role, rep_id=viewer.rep_id, signed_in=viewer.signed_in)


@router.delete("", status_code=204)
def end_session(request: Request, server: ServerDep, viewer: SignedInDep) -> Response:
    """Sign out: the token ends."""
    sign_out(server.store, token_of(request))
    return Response(status_code=204)
