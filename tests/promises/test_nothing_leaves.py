"""Promise: nothing leaves. Import, train, score and serve reach for no other machine, by Python or by native code."""

import os
import subprocess
import sys

import httpx
import pytest

from tests.e2e.chain import GUARD, Calls, built


@pytest.fixture(scope="module")
def chain():
    return built()


def test_no_verb_reached_for_another_machine(chain):
    with chain.serve() as client:
        assert client.get("/api/v1/deals").status_code == 200
        assert client.get("/accuracy", headers={"accept": "text/html"}).status_code == 200
    assert chain.refused == ""
    assert chain.calls.count == 0


def test_the_guard_and_the_proxy_would_have_noticed(tmp_path):
    """Both nets catch: a Python connection elsewhere is refused and noted, a proxied request is counted."""
    (tmp_path / "sitecustomize.py").write_text(GUARD)
    code = "import socket; socket.create_connection(('192.0.2.1', 80), 1)"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "GUARD_NOTES": str(tmp_path / "notes")}  # noqa: TID251
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)
    assert done.returncode == 1
    assert "192.0.2.1" in (tmp_path / "notes").read_text()
    calls = Calls()
    with pytest.raises(httpx.HTTPError), httpx.Client(proxy=calls.address, timeout=5) as client:
        client.get("http://192.0.2.1/")
    assert calls.count == 1
