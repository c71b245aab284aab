"""The guide to a typed client, done word by word: generated from the document of a running server, then used on it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from serving.tokens import make_token
from serving.users import all_users

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
TOOL = re.search(r"openapi-python-client@([\d.]+)", GUIDE)[1]


def block(language: str) -> str:
    return re.search(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)[1]


def uv(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    settings = {**os.environ, "UV_TOOL_DIR": str(folder / "tools")}  # noqa: TID251
    tool = Path(sys.executable).with_name("uv")
    return subprocess.run([tool, *command], cwd=folder, env=settings, capture_output=True, text=True, check=False)


@pytest.mark.peers
def test_the_client_of_the_guide_is_generated_and_works(site, tmp_path):
    (tmp_path / "openapi.json").write_text(httpx.get(f"{site.address}/api/openapi.json", timeout=60).text)
    (tmp_path / "client.yaml").write_text(block("yaml"))
    generate = re.search(r"uvx (openapi-python-client@.*)", GUIDE)[1].split()
    said = uv(tmp_path, "tool", "run", *generate)
    assert said.returncode == 0, said.stderr
    assert "WARNING" not in said.stdout + said.stderr
    admin = next(user for user in all_users(site.store) if user.email == "admin@example.com")
    token = make_token(site.store, admin, "client", ["read", "write"], days=1)[1]
    script = block("python").replace("http://127.0.0.1:8000", site.address).replace("bw_...", token)
    (tmp_path / "use.py").write_text(script)
    used = uv(tmp_path, "tool", "run", "--from", f"openapi-python-client=={TOOL}", "python", "use.py")
    assert used.returncode == 0, used.stderr
    # Six deals in pages of two; d6 is won with 0.6 of 1000.
    first, second, third = used.stdout.splitlines()
    assert first == "6 open deals, the first worth 600.0"
    assert second == "bw-1 bw-1 plan of the year"
    assert "bw-1" in third
    assert "Change that one" in third
