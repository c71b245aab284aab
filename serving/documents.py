"""What the OpenAPI document says of answers beside their models: examples, files, problems, how to sign in."""

from __future__ import annotations

from typing import Any

from fastapi import Security
from fastapi.security import HTTPBearer

from serving.exports import CSV, XLSX

Responses = dict[int | str, dict[str, Any]]
_BEARER = HTTPBearer(auto_error=False, description="A token of POST /api/v1/session.")
SIGNED = [Security(_BEARER)]
_UNCHANGED: Responses = {304: {"description": "What If-None-Match names is still right."}}


def example(value: object, status: int = 200) -> Responses:
    """An answer in JSON as it may look."""
    return {status: {"content": {"application/json": {"example": value}}}}


def listed(value: object) -> Responses:
    """A list: in JSON as it may look, as files, or unchanged."""
    texts = {CSV: {"schema": {"type": "string"}}, XLSX: {"schema": {"type": "string", "format": "binary"}}}
    return {200: {"content": {"application/json": {"example": value}, **texts}}, **_UNCHANGED}
