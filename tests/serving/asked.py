"""Asks an app without a server, as if from any address."""

import asyncio

import httpx
from fastapi import FastAPI

LOCAL = "http://127.0.0.1"


def ask(
    app: FastAPI, path: str, *, address: str = LOCAL, caller: str = "127.0.0.1", method: str = "GET", **given
) -> httpx.Response:
    """One request; an error that nobody foresaw is answered too."""

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(caller, 5000))
        async with httpx.AsyncClient(transport=transport, base_url=address) as client:
            return await client.request(method, path, **given)

    return asyncio.run(send())
