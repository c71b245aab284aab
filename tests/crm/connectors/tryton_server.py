"""A real Tryton with sale_opportunity: installed into an environment of its own, filled over its JSON-RPC."""

import base64
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

UV = Path(sys.executable).parent / "uv"
PASSWORD = "hush-tryton-password"


@contextmanager
def tryton(root: Path) -> Iterator["TrytonAdmin"]:
    """Install, set up a database, serve it on loopback; about two minutes."""
    python = root / "env/bin/python"
    subprocess.run([UV, "venv", "-q", "--python", sys.executable, root / "env"], check=True)
    subprocess.run([UV, "pip", "install", "-q", "--python", python, "trytond-sale-opportunity>=8,<9"], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (root / "db").mkdir()
    (root / "db/bell.sqlite").touch()
    (root / "password").write_text(PASSWORD)
    conf = root / "trytond.conf"
    conf.write_text(f"[database]\nuri = sqlite://\npath = {root / 'db'}\n[web]\nlisten = 127.0.0.1:{port}\n")
    common = ["-c", conf, "-d", "bell"]
    setup = [root / "env/bin/trytond-admin", *common, "--email", "a@example.org", "-u", "sale_opportunity"]
    env = {"PATH": "/usr/bin:/bin", "TRYTONPASSFILE": str(root / "password"), "HOME": str(root)}
    subprocess.run([*setup, "--activate-dependencies"], check=True, env=env, capture_output=True)
    with (root / "log").open("w") as log:
        server = subprocess.Popen([root / "env/bin/trytond", *common], env=env, stdout=log, stderr=log)
        try:
            yield TrytonAdmin(f"http://127.0.0.1:{port}")
        finally:
            server.terminate()
            server.wait(20)


class TrytonAdmin:
    """What a user does in Tryton."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._rpc = f"{url}/bell/rpc/"
        user, token, _ = self._signed_in(time.monotonic() + 120)
        said = base64.b64encode(f"admin:{user}:{token}".encode()).decode()
        self._headers = {"Authorization": f"Session {said}"}
        self.context: dict[str, Any] = {}
        self._set_up(user)

    def _signed_in(self, until: float) -> list[Any]:
        call = {"method": "common.db.login", "params": ["admin", {"password": PASSWORD}]}
        while True:
            try:
                answer = httpx.post(self._rpc, json=call, timeout=120)
            except httpx.TransportError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.5)
                continue
            return list(answer.raise_for_status().json())

    def call(self, method: str, *params: Any) -> Any:
        call = {"method": method, "params": [*params, self.context]}
        answer = httpx.post(self._rpc, json=call, headers=self._headers, timeout=120)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def _set_up(self, user: int) -> None:
        """A company in euros, with one employee."""
        euro = {"name": "Euro", "code": "EUR", "numeric_code": "978", "symbol": "E"}
        [currency] = self.call("model.currency.currency.create", [euro])
        firm, ann = self.call("model.party.party.create", [{"name": "Our Firm"}, {"name": "Ann Secret"}])
        [self.company] = self.call("model.company.company.create", [{"party": firm, "currency": currency}])
        [self.employee] = self.call("model.company.employee.create", [{"party": ann, "company": self.company}])
        links = {"companies": [["add", [self.company]]], "company": self.company}
        links |= {"employees": [["add", [self.employee]]], "employee": self.employee}
        self.call("model.res.user.write", [user], links)
        self.context = {"company": self.company, "employee": self.employee}

    def add(self, customer: str, amount: str) -> int:
        [party] = self.call("model.party.party.create", [{"name": customer}])
        values = {"party": party, "amount": decimal(amount), "employee": self.employee, "description": customer}
        return int(self.call("model.sale.opportunity.create", [{**values, "company": self.company}])[0])

    def change(self, opportunity: int, **values: Any) -> None:
        self.call("model.sale.opportunity.write", [opportunity], values)


def decimal(text: str) -> dict[str, str]:
    return {"__class__": "Decimal", "decimal": text}
