"""A home with 40,000 scored deals, the service on it, a bare FastAPI app on the same store, and a light client."""

import json
import os
import selectors
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from serving.home import Home
from serving.scores import swap_pointer
from serving.store import Store
from serving.tokens import make_token
from serving.users import add_user, find_user
from tests.bench.big_company import LAST, big_company
from tests.builders import at

DEALS = 40_000
AS_OF = at(LAST.isoformat())
# As many as the models of the sample company give a deal.
REASONS, POINTS = 90, 20


def a_home(folder: Path) -> Home:
    """The lake of a large company, and score files with a row for each of its deals, as large as real ones."""
    home = Home(folder)
    home.make()
    stages = "stages: {'*': [Qualify, Demo, Quote, Terms]}"
    home.company_file.write_text(f"base_currency: EUR\n{stages}\npeople: {{level: person}}\n", encoding="utf-8")
    company = big_company(DEALS)
    rows = {name: company.arrow(name).drop_columns("_seq") for name in sorted(company.present)}
    home.lake.merge(rows, source="bench")
    folder = home.scores / "first"
    folder.mkdir(parents=True)
    for name, frame in score_files().items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    meta = {"as_of": AS_OF.isoformat(), "data_cut": 1, "models": {"win": "1"}, "notes": {}, "missing": {}}
    (folder / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
    swap_pointer(home.scores, "first")
    return home


def score_files() -> dict[str, pd.DataFrame]:
    """Made-up scores of every deal."""
    rng, ids = np.random.default_rng(0), np.array([f"d{i}" for i in range(DEALS)])
    chance = rng.random(DEALS)
    deals = pd.DataFrame({"deal_id": ids, "as_of": AS_OF, "win_probability": chance})
    deals["win_probability_low"], deals["win_probability_high"] = chance / 2, (1 + chance) / 2
    deals["expected_amount"], deals["expected_close_date"] = chance * 50_000, date(2026, 3, 20)
    deals["p_win_in_period"], deals["p_lose_in_period"], deals["p_slip"] = chance / 2, (1 - chance) / 2, 0.5
    deals["model_version"] = "1"
    reasons = pd.DataFrame({"entity": "deal", "entity_id": np.repeat(ids, REASONS)})
    reasons["feature"] = np.tile([f"feature_number_{n}" for n in range(REASONS)], DEALS)
    reasons["value"], reasons["text"] = rng.random(len(reasons)), None
    reasons["text"] = reasons["text"].astype("str")
    reasons["contribution"] = rng.normal(0, 0.01, len(reasons))
    reasons["base_value"], reasons["prediction"] = 0.4, np.repeat(chance, REASONS)
    curves = pd.DataFrame({"deal_id": np.repeat(ids, POINTS), "day": np.tile(np.arange(POINTS) * 7.0, DEALS)})
    curves["won"], curves["lost"] = rng.random(len(curves)) / 3, rng.random(len(curves)) / 3
    step = {"rank": 1, "action": "call", "due_in_days": 7, "expected_uplift": 0.02, "uplift_low": -0.01}
    step |= {"uplift_high": 0.05, "basis": "association", "reasons": "[]", "contact_id": None, "expected_value": 20.0}
    advice = pd.DataFrame({"deal_id": ids}).assign(**step, model_version="1")
    return {"deals": deals, "leads": deals.head(0), "reasons": reasons, "curves": curves, "advice": advice}


def a_token(home: Home) -> str:
    """A token of an administrator for programs."""
    store = Store(home.database_url)
    add_user(store, "admin@example.com", None, "admin")
    _, token = make_token(store, find_user(store, "admin@example.com"), "bench", ["read"], days=1)
    store.close()
    return token


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@dataclass
class Process:
    """A server in a process of its own."""

    port: int
    process: psutil.Process

    def cpu(self) -> float:
        """Seconds of processor that it has used."""
        used = self.process.cpu_times()
        return used.user + used.system

    def rss_mb(self) -> float:
        """Memory that it holds."""
        return self.process.memory_info().rss / 1e6


@contextmanager
def started(*command: str, log: Path, **settings: str):
    """Start a server that takes `--port`, with settings of the environment; wait until it accepts connections."""
    port = free_port()
    with log.open("wb") as out:
        words = [sys.executable, *command, "--port", str(port)]
        made = subprocess.Popen(words, stdout=out, stderr=out, env={**os.environ, **settings})  # noqa: TID251
        try:
            give_up = time.monotonic() + 180
            while True:
                assert made.poll() is None, log.read_text()
                assert time.monotonic() < give_up, log.read_text()
                try:
                    Client(port).get("/healthz", {})
                    break
                except OSError:
                    time.sleep(0.1)
            yield Process(port, psutil.Process(made.pid))
        finally:
            made.terminate()
            made.wait(60)


@dataclass
class Round:
    """What some requests took."""

    requests: int
    seconds: float
    cpu: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def cpu_ms(self) -> float:
        return self.cpu / self.requests * 1000


class Client:
    """HTTP over kept connections by plain sockets: so little work of its own that the servers are the limit."""

    def __init__(self, port: int) -> None:
        self._port = port

    def get(self, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        """One request on a connection of its own."""
        with socket.create_connection(("127.0.0.1", self._port)) as one:
            one.sendall(_request("GET", path, headers | {"connection": "close"}))
            head, body = _answer(one)
        return int(head.split()[1]), body

    def times(self, requests: list[bytes]) -> list[float]:
        """Seconds of each of some requests, one after the other on one connection."""
        took = []
        with socket.create_connection(("127.0.0.1", self._port)) as one:
            for request in requests:
                began = time.perf_counter()
                one.sendall(request)
                head, _ = _answer(one)
                took.append(time.perf_counter() - began)
                assert head.split()[1] == b"200", head
        return took

    def load(self, server: Process, requests: list[bytes], connections: int = 4) -> Round:
        """Send requests over several connections at once."""
        waiting, done = list(reversed(requests)), 0
        began, cpu = time.perf_counter(), server.cpu()
        with selectors.DefaultSelector() as ready:
            for _ in range(connections):
                one = socket.create_connection(("127.0.0.1", self._port))
                one.sendall(waiting.pop())
                ready.register(one, selectors.EVENT_READ)
            while done < len(requests):
                for key, _ in ready.select():
                    head, _ = _answer(key.fileobj)
                    assert head.split()[1] == b"200", head
                    done += 1
                    if waiting:
                        key.fileobj.sendall(waiting.pop())
            took = Round(len(requests), time.perf_counter() - began, server.cpu() - cpu)
            for key in list(ready.get_map().values()):
                key.fileobj.close()
        return took


def _request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    if body:
        headers = headers | {"content-length": str(len(body)), "content-type": "application/json"}
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", *(f"{k}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def signed(path: str, token: str, body: bytes = b"") -> bytes:
    """A request with a token, as it goes over the wire."""
    return _request("POST" if body else "GET", path, {"authorization": f"Bearer {token}"}, body)


def _answer(one: socket.socket) -> tuple[bytes, bytes]:
    got = b""
    while b"\r\n\r\n" not in got:
        part = one.recv(1 << 16)
        if not part:
            raise ConnectionError("closed without an answer")
        got += part
    head, _, body = got.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    while len(body) < length:
        body += one.recv(1 << 18)
    return head, body


def rows_like(home: Home, bodies: dict[str, str]) -> None:
    """Put a table into the store with a text as large as our answer under each deal's key, and one a list's row."""
    store = Store(home.database_url)
    with store.engine.begin() as connection:
        for table, body in bodies.items():
            connection.exec_driver_sql(f"create table {table} (deal_id varchar(40) primary key, body text not null)")
            rows = [(f"d{i}", body) for i in range(DEALS)]
            connection.exec_driver_sql(f"insert into {table} values (?, ?)", rows)
    store.close()
