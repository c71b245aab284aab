"""Answers to what goes wrong."""

import asyncio
import logging

import httpx

from serving.app import create_app
from serving.doctor import examine
from serving.home import Home
from serving.settings import Settings


def test_an_unforeseen_error_is_told_by_number_logged_and_as_guarded_as_any_answer(tmp_path, caplog):
    app = create_app(Settings(home=tmp_path / "home"))

    @app.get("/api/v1/broken")
    def broken():
        raise ZeroDivisionError("nobody foresaw this")

    async def ask():
        transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 5))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get("/api/v1/broken")

    with caplog.at_level(logging.ERROR):
        answer = asyncio.run(ask())
    (record,) = caplog.records
    assert answer.status_code == 500
    assert "nobody foresaw this" not in answer.text
    assert record.args[0] in answer.json()["detail"]
    assert isinstance(record.exc_info[1], ZeroDivisionError)
    assert "default-src" in answer.headers["content-security-policy"]


def test_a_home_that_is_a_file_is_told_with_its_path(tmp_path):
    place = tmp_path / "file"
    place.write_text("")
    texts = [finding.text for finding in examine(Home(place)) if finding.state == "bad"]
    assert any(str(place) in text and "Install anew" not in text for text in texts)
