"""Tokens that a user makes for programs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from serving import tokens
from serving.access import Scope
from serving.dependencies import PersonDep, StoreDep
from serving.documents import example
from serving.examples import NEW_TOKEN, TOKENS
from serving.tables.users import ApiToken

router = APIRouter(prefix="/tokens", tags=["users"])

TokenId = Annotated[int, Path(ge=1, le=2**31 - 1)]
Name = Annotated[str, Field(min_length=1, max_length=80, pattern=r"\S", description="What it is for.")]


class TokenRow(BaseModel):
    """What is kept of a token; never the token itself."""

    token_id: int
    name: str
    scopes: list[Scope]
    made_at: datetime
    ends_at: datetime
    used_at: Annotated[datetime | None, Field(description="Last use, to the minute.")]
    revoked_at: datetime | None


class TokenList(BaseModel):
    """One's own tokens, newest first."""

    tokens: list[TokenRow]


class GivenToken(BaseModel):
    """A token to be made."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=3)] = ["read"]
    days: Annotated[int, Field(ge=1, le=tokens.MOST_DAYS, description="Until it ends.")] = 90


class NewToken(BaseModel):
    """The token, told this once, to be sent as `Authorization: Bearer TOKEN`."""

    token: str
    kept: TokenRow


@router.get("", responses=example(TOKENS))
def list_tokens(store: StoreDep, viewer: PersonDep) -> TokenList:
    """One's own tokens, ended and revoked ones too."""
    assert viewer.user_id is not None
    return TokenList(tokens=[_row(row) for row in tokens.tokens_of(store, viewer.user_id)])


@router.post("", status_code=201, responses=example(NEW_TOKEN, 201))
def make_token(given: GivenToken, store: StoreDep, viewer: PersonDep) -> NewToken:
    """A token for a program, which never may more than oneself; needs a session, no token makes another."""
    row, secret = tokens.make_token(store, viewer, given.name, given.scopes, days=given.days)
    store.audit(viewer.name, "make token", name=row.name, scopes=row.scopes)
    return NewToken(token=secret, kept=_row(row))


@router.delete("/{token_id}", status_code=204)
def revoke_token(token_id: TokenId, store: StoreDep, viewer: PersonDep) -> Response:
    """End one of one's own tokens at once."""
    assert viewer.user_id is not None
    tokens.revoke(store, viewer.user_id, token_id)
    store.audit(viewer.name, "revoke token", token_id=token_id)
    return Response(status_code=204)


def _row(row: ApiToken) -> TokenRow:
    return TokenRow(
        token_id=row.token_id,
        name=row.name,
        scopes=row.scopes.split(),
        made_at=row.made_at,
        ends_at=row.ends_at,
        used_at=row.used_at,
        revoked_at=row.revoked_at,
    )
