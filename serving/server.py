"""Serves the app on one address, by one process or several; says in one line why it cannot."""

from __future__ import annotations

import errno
import socket
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from crm.errors import NotReady
from serving import logs
from serving.first_start import check_address, first_link
from serving.home import Home
from serving.jobs.beside import worker_beside
from serving.settings import Settings, share_metrics
from serving.stopping import GRACE_SECONDS, end_in_order
from serving.store import Store

if TYPE_CHECKING:
    from fastapi import FastAPI

_SILENT_SECONDS = 120  # how long a process may be too busy to say that it lives; loading a model is such a time


class PortTaken(NotReady):
    """Another program listens there."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            f"Port {port} on {host} is taken by another program. Stop it, or name another: --port {port + 1}."
        )


class BadAddress(NotReady):
    """One cannot listen there."""


def settings_for(home: Path | None, host: str | None, port: int | None, workers: int | None = None) -> Settings:
    """The settings, with what was given on the command line instead."""
    given = {"home": home, "host": host, "port": port, "workers": workers}
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
    # With the protocol named, asyncio sends each part of an answer at once. Without it the body waits until the other
    # side has confirmed the head, which systems put off by 40 ms.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
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
    logs.set_up(settings.log_format, settings.log_level)
    store = Store(Home.of(settings).database_url)
    text = say or f"Bellwether serves {Home.of(settings).root} on {address_of(settings)} (Ctrl-C ends it)"
    first = None if company.sample else first_link(store, address_of(settings))
    store.close()
    print("\n".join(filter(None, (text, first))), flush=True)  # noqa: T201
    end_in_order()
    try:
        with worker_beside(settings):
            _answer(settings, taken)
    except KeyboardInterrupt:
        pass
    finally:
        taken.close()


def app_of(settings: Settings, shared_metrics: Path | None = None) -> FastAPI:
    """The app of a process that answers requests, with its log lines as the settings have them."""
    from serving.app import create_app

    logs.set_up(settings.log_format, settings.log_level)
    return create_app(settings, warm=True, shared_metrics=shared_metrics)


def _answer(settings: Settings, taken: socket.socket) -> None:
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    how: dict[str, Any] = {
        "log_config": None, "access_log": False, "server_header": False, "proxy_headers": bool(settings.proxies),
        "forwarded_allow_ips": settings.proxies or "",
        "timeout_graceful_shutdown": GRACE_SECONDS, "timeout_worker_healthcheck": _SILENT_SECONDS,
    }  # fmt: skip
    if settings.workers == 1:
        uvicorn.Server(uvicorn.Config(app_of(settings), **how)).run(sockets=[taken])
        return
    with TemporaryDirectory(prefix="bellwether-metrics-") as folder:
        share_metrics(Path(folder))
        serve = partial(app_of, settings, Path(folder))
        Multiprocess(uvicorn.Config(serve, factory=True, workers=settings.workers, **how), sockets=[taken]).run()
