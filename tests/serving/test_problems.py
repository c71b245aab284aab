"""Answers to what goes wrong."""

import logging

from serving.app import create_app
from serving.doctor import examine
from serving.home import Home
from serving.settings import Settings
from tests.serving.asked import ask


def test_an_unforeseen_error_is_told_by_number_logged_and_as_guarded_as_any_answer(tmp_path, caplog):
    app = create_app(Settings(home=tmp_path / "home"))

    @app.get("/api/v1/broken")
    def broken():
        raise ZeroDivisionError("nobody foresaw this")

    with caplog.at_level(logging.ERROR):
        answer = ask(app, "/api/v1/broken")
    (record,) = caplog.records
    assert answer.status_code == 500
    assert "nobody foresaw this" not in answer.text
    assert answer.headers["x-request-id"] in answer.json()["detail"]
    assert isinstance(record.exc_info[1], ZeroDivisionError)
    assert "default-src" in answer.headers["content-security-policy"]


def test_a_home_that_is_a_file_is_told_with_its_path(tmp_path):
    place = tmp_path / "file"
    place.write_text("")
    texts = [finding.text for finding in examine(Home(place)) if finding.state == "bad"]
    assert any(str(place) in text and "Install anew" not in text for text in texts)
