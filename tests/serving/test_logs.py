"""Log lines: nothing that names a person or opens a door, no line of somebody else's, an object a line as JSON."""

import io
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from serving.app import create_app
from serving.logs import REQUEST, JsonLines, Lines, harmless, set_up
from serving.passwords import new_token
from serving.settings import Settings
from serving.store import Store
from tests.serving.asked import ask

TOKEN = "bw_" + new_token()
SESSION = new_token()
PRIVATE = ("ann.lee@example.com", "Ann Lee", "王芳", TOKEN, SESSION, "correct horse battery staple")


@pytest.fixture(params=[JsonLines, Lines])
def written(request):
    """A logger, and what it wrote."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(request.param())
    logger = logging.getLogger("bellwether.test")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield logger, out
    logger.removeHandler(handler)


def raise_deep() -> None:
    try:
        int("Ann Lee")
    except ValueError as error:
        raise LookupError("王芳 ann.lee@example.com") from error


def test_an_error_is_told_by_class_and_place_without_its_text(written):
    logger, out = written
    try:
        raise_deep()
    except LookupError:
        logger.exception("A request failed")
    line = out.getvalue()
    assert line.count("\n") == 1
    assert "builtins.LookupError" in line
    assert "builtins.ValueError" in line
    assert "test_logs.py" in line
    assert "raise_deep" in line
    assert not any(name in line for name in PRIVATE)


def test_mails_tokens_and_passwords_in_a_text_are_masked(written):
    logger, out = written
    logger.info("from %s by %s and %s, Authorization: Bearer abc.def", PRIVATE[0], TOKEN, SESSION)
    logger.info("postgresql+psycopg://bellwether:secret@db/bellwether cannot be reached")
    line = out.getvalue()
    assert not any(name in line for name in (*PRIVATE, "abc.def", "secret@", "bellwether:secret"))
    assert "[e-mail]" in line
    assert "postgresql+psycopg://***@db/bellwether cannot be reached" in line


@pytest.mark.parametrize(
    "plain", ["data cut 12 was published", "win 3", "/srv/lake/deals", "2026-03-01T12:00:00+00:00"]
)
def test_plain_words_stay(plain):
    assert harmless(plain) == plain


@given(st.text(max_size=200))
def test_whatever_a_client_writes_stays_on_one_line(words):
    record = logging.LogRecord("bellwether", logging.INFO, "", 0, "%s", (words,), None)
    for form in (JsonLines(), Lines()):
        line = form.format(record)
        assert line.splitlines() in ([line], [])
        assert not any(c in line for c in "\x00\x1b\u202e\u2028")
    assert json.loads(JsonLines().format(record))["text"] == harmless(words)


def test_a_line_that_pretends_to_be_another_stays_text(written):
    logger, out = written
    logger.info('x\n2026-03-01 INFO all is well {"level": "error"}\r\n\x1b[31mred')
    assert out.getvalue().count("\n") == 1


def test_the_number_of_the_request_stands_in_its_lines(written):
    logger, out = written
    mark = REQUEST.set("0123456789abcdef")
    logger.info("one")
    REQUEST.reset(mark)
    logger.info("two")
    one, two = out.getvalue().splitlines()
    assert "0123456789abcdef" in one
    assert "0123456789abcdef" not in two


def test_the_store_tells_no_values_in_its_errors(tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    with pytest.raises(Exception, match="no such table") as caught, store.reading() as session:
        session.execute(text("select * from absent where name = :name"), {"name": "Ann Lee"})
    assert "Ann Lee" not in str(caught.value)
    store.close()


def test_nothing_personal_of_a_request_reaches_the_log(tmp_path, monkeypatch):
    app = create_app(Settings(home=tmp_path / "home"))

    @app.post("/api/v1/people/{name}")
    def broken(name: str, given: dict):
        raise LookupError(f"{name} {given}")

    out = io.StringIO()
    root, known = logging.getLogger(), logging.getLogger("bellwether")
    before = root.handlers[:], known.level
    monkeypatch.setattr("sys.stderr", out)
    set_up("json", "debug")
    try:
        for name in PRIVATE:
            ask(
                app,
                f"/api/v1/people/{name}",
                method="POST",
                json={"name": name},
                headers={"authorization": f"Bearer {TOKEN}"},
            )
            ask(app, "/api/v1/deals", params={"q": name}, headers={"cookie": f"bellwether_session={SESSION}"})
            ask(app, "/api/v1/session", method="POST", json={"email": PRIVATE[0], "password": PRIVATE[-1]})
            ask(app, f"/{name}", headers={"x-request-id": name.encode(), "user-agent": name.encode()})
    finally:
        root.handlers[:] = before[0]
        known.setLevel(before[1])
        app.state.server.store.close()
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert len([line for line in lines if line["text"] == "answered"]) == 4 * len(PRIVATE)
    assert {line.get("route") for line in lines} == {
        "/api/v1/people/{name}", "/api/v1/deals", "/api/v1/session", "none", None,
    }  # fmt: skip
    assert len([line for line in lines if "LookupError" in line.get("error", "")]) == len(PRIVATE)
    assert not any(name in out.getvalue() for name in PRIVATE)
