"""The main job by the command line, each verb a process of its own, on a tiny company: done once for all tests.

Every process refuses and notes connections that leave this machine: Python's by a guard that is loaded at its start,
those of native libraries by a proxy address at which a listener counts whoever calls.
"""

import atexit
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import httpx

GUARD = """
import os, socket
from ipaddress import ip_address

def _stays(address):
    if not isinstance(address, tuple) or str(address[0]) in ("", "localhost"):
        return True
    try:
        return ip_address(str(address[0]).split("%")[0]).is_loopback
    except ValueError:
        return False

def _guarded(original):
    def call(self, address):
        if not _stays(address):
            with open(os.environ["GUARD_NOTES"], "a") as notes:
                notes.write(f"{address}\\n")
            raise ConnectionRefusedError(address)
        return original(self, address)
    return call

for _name in ("connect", "connect_ex"):
    setattr(socket.socket, _name, _guarded(getattr(socket.socket, _name)))
"""


class Calls:
    """Counts connections to an address that is given to native libraries as their proxy."""

    def __init__(self) -> None:
        self.count = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            self.count += 1
            connection.close()


@dataclass
class Chain:
    """Where the job was done, what each verb said, and how to run another."""

    folder: Path
    calls: Calls
    said: dict[str, subprocess.CompletedProcess[str]] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def refused(self) -> str:
        notes = self.folder / "refused"
        return notes.read_text() if notes.exists() else ""

    @property
    def environment(self) -> dict[str, str]:
        proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), self.calls.address)
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("BELLWETHER")},  # noqa: TID251
            **proxies,
            **{name.lower(): value for name, value in proxies.items()},
            "PYTHONPATH": str(self.folder / "guard"),
            "GUARD_NOTES": str(self.folder / "refused"),
            "BELLWETHER_HOME": str(self.home),
        }

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-c", "from serving.cli import main; main()", *arguments]

    def run(self, *arguments: str, typed: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            input=typed,
            stdin=subprocess.DEVNULL if typed is None else None,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def serve(self) -> "Served":
        return Served(self)


class Served:
    """`bellwether serve` on a free port, ended as by Ctrl-C."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    def __enter__(self) -> httpx.Client:
        port = free_port()
        self.process = subprocess.Popen(
            self._chain.command("serve", "--port", str(port)),
            cwd=self._chain.folder,
            env=self._chain.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline()
        assert str(port) in self.first_line, self.first_line + self.process.stdout.read()
        # Read on all the time: a server whose log nobody takes stands still once the pipe is full.
        self._rest: list[str] = []
        self._reader = threading.Thread(target=self._rest.extend, args=(self.process.stdout,), daemon=True)
        self._reader.start()
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False)
        return self._client

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self.process.send_signal(2)
        self.returncode = self.process.wait(timeout=60)
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process.stdout.close()
        self.rest = "".join(self._rest)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@cache
def built() -> Chain:
    """The chain from simulated files to scores."""
    folder = Path(tempfile.mkdtemp(prefix="bellwether-chain-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "guard").mkdir()
    (folder / "guard" / "sitecustomize.py").write_text(GUARD)
    chain = Chain(folder, Calls())
    for name, line in {
        "simulate": "simulate files --reps 4 --months 9",
        "import": "import files --report report.json",
        "train": "train",
        "score": "score --out out",
    }.items():
        done = chain.run(*line.split())
        assert done.returncode == 0, done.stderr
        assert not re.search("Traceback", done.stderr), done.stderr
        chain.said[name] = done
    return chain
