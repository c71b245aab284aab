"""What the OpenAPI document says of answers beside their models: examples, files, problems, how to sign in."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer

from serving.exports import CSV, XLSX

Responses = dict[int | str, dict[str, Any]]
_BEARER = HTTPBearer(auto_error=False, description="A token of POST /api/v1/session.")
SIGNED = [Security(_BEARER)]
_UNCHANGED: Responses = {304: {"description": "What If-None-Match names is still right."}}


def example(value: object, status: int = 200) -> Responses:
    """An answer in JSON as it may look."""
    return {status: {"content": {"application/json": {"example": value}}}}


def found_once(value: object) -> Responses:
    """An answer in JSON as it may look, or unchanged."""
    return {**example(value), **_UNCHANGED}


def listed(value: object) -> Responses:
    """A list: in JSON as it may look, as files, or unchanged."""
    texts = {CSV: {"schema": {"type": "string"}}, XLSX: {"schema": {"type": "string", "format": "binary"}}}
    return {200: {"content": {"application/json": {"example": value}, **texts}}, **_UNCHANGED}


class DocumentedApp(FastAPI):
    """An app whose document tells what writes take beside what their routes declare."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document; made once."""
        made = self.openapi_schema is None
        document = super().openapi()
        if made:
            document["components"]["schemas"].update(self.state.schemas)
            for path, methods in document["paths"].items():
                if "post" in methods and keeps_answers(path):
                    methods["post"].setdefault("parameters", []).append(_KEY)
        return document


def operation_id(route: APIRoute) -> str:
    """What a generated client calls a route: its function, with the noun where that is a verb alone."""
    noun = route.endpoint.__module__.rsplit(".", 1)[-1]
    return route.name if "_" in route.name else f"{route.name}_{noun}"


def keeps_answers(path: str) -> bool:
    """Whether answers to writes are kept for repeated ones: not where they hold passwords, tokens or links.

    Parameters
    ----------
    path : str
        With or without what comes before the noun, such as /api/v1.
    """
    return not any(f"/{word}" in path for word in ("session", "tokens", "users", "sign-in", "password"))


_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    "description": "Another one for each write: sent again within a day, the first answer comes back.",
}
