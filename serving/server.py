"""Serves the app on one address; says in one line why it cannot."""

from __future__ import annotations

import errno
import logging
import socket
from pathlib import Path

from crm.errors import NotReady
from serving.first_start import check_address, first_link
from serving.home import Home
from serving.settings import Settings


class PortTaken(NotReady):
    """Another program listens there."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            f"Port {port} on {host} is taken by another program. Stop it, or name another: --port {port + 1}."
        )


class BadAddress(NotReady):
    """One cannot listen there."""


def settings_for(home: Path | None, host: str | None, port: int | None) -> Settings:
    """The settings, with what was given on the command line instead."""
    given = {"home": home, "host": host, "port": port}
    return Settings().model_copy(update={name: value for name, value in given.items() if value is not None})


def listen(settings: Settings) -> socket.socket:
    """Take the address before any long work, so that a taken port is told at once.

    Raises
    ------
    PortTaken
        If another program has it.
    BadAddress
        If this machine has no such address, or may not listen there.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((settings.host, settings.port))
        made.listen(128)
    except OSError as error:
        made.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(settings.host, settings.port) from None
        where = f"{settings.host}:{settings.port}"
        raise BadAddress(
            f"Cannot serve on {where} ({error.strerror or error}). Name another: --host 127.0.0.1."
        ) from None
    return made


def address_of(settings: Settings) -> str:
    """What to type into a browser."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}"


def run(settings: Settings, *, sock: socket.socket | None = None, say: str = "") -> None:
    """Serve until stopped; Ctrl-C ends it in order.

    Parameters
    ----------
    sock : socket, optional
        Taken by `listen` before.
    say : str
        Printed when requests are answered; unset: the address.
    """
    company = Home.of(settings).company()
    check_address(settings, sample=company.sample)
    taken = sock or listen(settings)
    import uvicorn

    from serving.app import create_app
    from serving.jobs.beside import worker_beside

    app = create_app(settings)
    logging.getLogger("bellwether").setLevel(logging.INFO)
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, proxy_headers=False)
    server = app.state.server
    text = say or f"Bellwether serves {server.home.root} on {address_of(settings)} (Ctrl-C ends it)"
    first = None if company.sample else first_link(server.store, address_of(settings))
    print("\n".join(filter(None, (text, first))), flush=True)  # noqa: T201
    try:
        with worker_beside(settings):
            uvicorn.Server(config).run(sockets=[taken])
    except KeyboardInterrupt:
        pass
    finally:
        taken.close()
