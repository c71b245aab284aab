"""The socket that the service listens on, under the server that it runs."""

import asyncio
import socket

import httpx
import uvicorn

from serving.server import listen
from serving.settings import Settings


def test_each_part_of_an_answer_is_sent_at_once(tmp_path):
    # Else the body waits until the other side has confirmed the head, which systems put off by 40 ms.
    taken = listen(Settings(home=tmp_path, host="127.0.0.1").model_copy(update={"port": 0}))  # whichever is free
    assert asyncio.run(_options_of_a_connection(taken)) == [True]


async def _options_of_a_connection(taken: socket.socket) -> list[bool]:
    """TCP_NODELAY of each connection that the server has while it answers one request."""
    found: list[bool] = []

    async def app(scope, receive, send):
        for connection in server.server_state.connections:
            one = connection.transport.get_extra_info("socket")
            found.append(bool(one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, access_log=False))
    serving = asyncio.create_task(server.serve(sockets=[taken]))
    try:
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{taken.getsockname()[1]}/")
        assert answer.status_code == 204
    finally:
        server.should_exit = True
        await serving
    return found
