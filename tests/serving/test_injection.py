"""Text that would be run: put into every field that takes text, it comes back as text and no more, or is refused.

The fields are found from the OpenAPI document, from the forms of the pages, and from the canonical tables.
"""

import csv
import io
import json
import logging
import re
import zipfile
from collections.abc import Iterator
from urllib.parse import quote, unquote

import httpx
import openpyxl
import pytest
from pypdf import PdfReader

from serving import pages
from serving.app import create_app
from serving.drawing import Figure
from serving.home import Home
from serving.logs import JsonLines
from serving.settings import Settings
from serving.store import Store
from serving.users import add_user
from tests.serving.injected import (
    AS_ADDRESS,
    ELEMENT,
    LONG,
    NULL,
    TEXTS,
    cells_of,
    forms_in,
    live_in,
    make_nasty,
    runs,
    with_text,
)
from tests.serving.injected_fields import BEFORE, EMAIL, REFUSED, SCORED, WRITES, fields_of, filled
from tests.serving.small_site import PASSWORD, Site, serving
from tests.serving.test_access_tree import _routers
from training import registry

NOTHING_KEPT = (*SCORED, "POST /scenarios")  # so a null character does no harm there


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The small company full of such texts, served."""
    home = Home(tmp_path_factory.mktemp("nasty"))
    store = Store(home.database_url)
    make_nasty(home, store)
    for _ in range(2):
        registry.log_model("win", None, tracking=home.tracking, params={}, metrics={}, tags={"verdict": "Tested."})
    add_user(store, EMAIL, PASSWORD, "admin", rep_id="r1")
    add_user(store, "m1@example.com", None, "manager", rep_id="m1")
    with serving(home) as address:
        yield Site(address, home, store)
    store.close()


@pytest.fixture(scope="module")
def document(nasty: Site) -> dict:
    return create_app(Settings(home=nasty.home.root)).openapi()


@pytest.fixture(scope="module")
def lines() -> Iterator[io.StringIO]:
    """What the service logs meanwhile."""
    out, logger = io.StringIO(), logging.getLogger("bellwether")
    handler, level = logging.StreamHandler(out), logger.level
    handler.setFormatter(JsonLines())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield out
    logger.removeHandler(handler)
    logger.setLevel(level)


def type_in(site: Site, document: dict, names: list[str], **keys: str) -> tuple[dict[tuple, int], list[str]]:
    """Put a text into each field of some operations in turn; the last status of each, and what was wrong meanwhile."""
    batch, answers, wrong = "none", {}, []
    with site.client(EMAIL) as api:
        for number, (name, at, schema) in enumerate(one for one in fields_of(document) if one[0] in names):
            (method, path), body = name.split(), WRITES[name]
            for before in BEFORE.get(name, ()):
                api.request(*before[:2], json=before[2] if len(before) > 2 else None)
            if "batch" in body and at != ("batch",):
                body = {**body, "batch": batch}
            texts = [TEXTS[number % 6], *([AS_ADDRESS] if "pattern" in schema or at[-1] == "email" else [])]
            for text in [NULL, LONG, *(t[: schema.get("maxLength", 10_000)] for t in texts)]:
                answer = api.request(method, filled(path, **keys), json=with_text(body, at, text))
                refuses = text == LONG or (text == NULL and name not in NOTHING_KEPT)
                if refuses and not (400 <= answer.status_code < 500 and len(answer.content) < 2000):
                    wrong.append(f"{name} {at}: {len(text)} characters are answered {answer.status_code}")
                if answer.headers["x-content-type-options"] != "nosniff":
                    wrong.append(f"{name} {at}: a browser may take the answer for a page")
            answers[name, at] = answer.status_code
            batch = (answer.json().get("batch") if answer.content else "") or batch
    return answers, wrong


@pytest.fixture(scope="module")
def typed(nasty: Site, document: dict, lines: io.StringIO) -> tuple[dict[tuple, int], list[str]]:
    """Each text that a user may send to the service, one that would be run."""
    return type_in(nasty, document, [name for name in WRITES if name not in SCORED])


def kept_and_refused(answers: dict[tuple, int]) -> tuple[set[tuple], set[tuple]]:
    kept = {key for key, status in answers.items() if status < 300}
    return kept, set(answers) - kept


def test_every_field_keeps_such_a_text_or_refuses_it_for_a_reason(typed):
    answers, wrong = typed
    assert not wrong
    _, refused = kept_and_refused(answers)
    assert refused == {key for key in REFUSED if key[0] not in SCORED}
    assert {status for key, status in answers.items() if status >= 500} <= {503}
    assert {key[0] for key, status in answers.items() if status >= 500} <= {"POST /scenarios"}


def test_what_is_sent_to_be_scored_is_scored_or_refused_for_a_reason(live_site, document):
    with live_site.client(EMAIL) as api:
        deal = api.get("/deals?limit=1").json()["deals"][0]["deal_id"]
    answers, wrong = type_in(live_site, document, list(SCORED), deal_id=deal)
    assert not wrong
    _, refused = kept_and_refused(answers)
    assert refused == {key for key in REFUSED if key[0] in SCORED}


# Pages that answer otherwise than with 200, and why; no page waits for a forecast, as all is scored here.
OTHERWISE = {
    "/": 303, "/plan/reports": 303,  # they lead on to the first of their pages
    "/look": 404, "/tour/1": 404,  # of the sample company alone
    "/password/none": 403,  # the link was used up
    "/sign-in/provider": 403, "/sign-in/provider/back": 403,  # no provider is set up
    "/people-data/export": 422,  # asks for a person
}  # fmt: skip


def addresses() -> list[str]:
    """Addresses of all GET pages, their parameters filled with keys of what the company has."""
    found = {r.path for router in _routers(pages) for r in router.routes if "GET" in (r.methods or ())}
    return sorted(filled(path) for path in found)


@pytest.fixture(scope="module")
def browser(nasty: Site) -> Iterator[httpx.Client]:
    headers = {"accept": "text/html", "origin": nasty.address}
    with httpx.Client(base_url=nasty.address, headers=headers, timeout=120) as client:
        form = {"email": EMAIL, "password": PASSWORD, "next": "/deals"}
        assert client.post("/sign-in", data=form).status_code == 303
        yield client


@pytest.fixture(scope="module")
def seen(browser: httpx.Client, typed: object) -> dict[str, httpx.Response]:
    """Every page after all was typed."""
    return {path: browser.get(path) for path in addresses()}


def test_pages_show_texts_as_text(seen):
    assert {p: a.status_code for p, a in seen.items() if a.status_code != 200} == OTHERWISE
    for path, answer in seen.items():
        live = live_in(answer.text) if answer.headers.get("content-type", "").startswith("text/html") else None
        assert not (live and live.found), path
        assert not [c for text in (live.files if live else ()) for c in cells_of(text) if runs(c)], path
    # The texts are really there, also those that were typed.
    for path in ("/deals/d1", "/goals/bw-1", "/reviews/1", "/risks/1", "/risks/plans/1", "/people-data", "/models"):
        assert ELEMENT in seen[path].text, path


def test_forms_take_such_texts_or_say_why_not(browser, seen):
    forms = {(form.action, *form.typed): form for answer in seen.values() for form in forms_in(answer.text)}
    forms = {key: form for key, form in forms.items() if form.typed}
    assert len(forms) > 10
    for (action, *_), form in forms.items():
        for number, name in enumerate(form.typed):
            for text in (TEXTS[number % 6], LONG, NULL):
                answer = browser.post(action, data={**form.values, name: text})
                assert answer.status_code < 500, (action, name, len(text))
                assert not live_in(answer.text).found, (action, name)
    for path in dict.fromkeys(path for path, answer in seen.items() if answer.status_code == 200):
        answer = browser.get(path)
        assert answer.status_code == 200, path
        assert not live_in(answer.text).found, path
        assert NULL not in answer.text, path
        assert LONG not in answer.text, path


def test_words_in_addresses_come_back_as_text(browser, nasty, document):
    with nasty.client(EMAIL) as api:
        for path, methods in document["paths"].items():
            takes = [p for p in methods.get("get", {}).get("parameters", ()) if '"string"' in json.dumps(p["schema"])]
            for one in takes:
                for text in (TEXTS[0], NULL):
                    where = path.removeprefix("/api/v1")
                    if one["in"] == "path":
                        where = where.replace("{" + one["name"] + "}", quote(text, safe=""))
                    given = {one["name"]: text} if one["in"] == "query" else {}
                    answer = api.get(filled(where), params=given)
                    assert answer.status_code < 500, (path, one["name"])
                    assert "text/html" not in answer.headers.get("content-type", ""), (path, one["name"])
    for path in (
        "/deals?q=",
        "/deals?stage=",
        "/leads?stage=",
        "/audit?who=",
        "/settings/company?was=",
        "/goals?owner_id=",
    ):
        answer = browser.get(path + quote(TEXTS[1]))
        assert answer.status_code < 500, path
        assert not live_in(answer.text).found, path


def file_routes(document: dict) -> list[str]:
    """GET operations that give a file with commas."""
    given = {p: m["get"]["responses"]["200"].get("content", {}) for p, m in document["paths"].items() if "get" in m}
    return sorted(path.removeprefix("/api/v1") for path, content in given.items() if "text/csv" in content)


def test_files_hold_no_formula(nasty, typed, document):
    routes = file_routes(document)
    assert {"/deals", "/accounts", "/goals", "/pace", "/risks"} <= set(routes)
    with nasty.client(EMAIL) as api:
        for path in routes:
            text = api.get(filled(path), params={"format": "csv"})
            book = api.get(filled(path), params={"format": "xlsx"})
            if "import_id" in path:  # nothing was imported here
                assert text.status_code == book.status_code == 404
                continue
            assert text.status_code == book.status_code == 200, path
            found = cells_of(text.content.decode("utf-8"))
            assert not [c for c in found if runs(c)], path
            if path in ("/deals", "/accounts"):  # the texts are there, with the apostrophe
                assert any(c.startswith("'") and "1+1" in c for c in found), path
            cells = [
                c for sheet in openpyxl.load_workbook(io.BytesIO(book.content)) for r in sheet.iter_rows() for c in r
            ]
            assert not [c.value for c in cells if c.data_type == "f" or runs(c.value)], path


def test_a_persons_file_holds_no_formula(nasty, typed):
    with nasty.client(EMAIL) as api:
        packed = zipfile.ZipFile(io.BytesIO(api.get("/people/me/export").content))
    tables = [name for name in packed.namelist() if name.endswith(".csv")]
    assert "data/deals.csv" in tables
    for name in tables:
        assert not [c for c in cells_of(packed.read(name).decode("utf-8")) if runs(c)], name


def test_packs_minutes_and_calendars_hold_texts_as_text(nasty, typed):
    with nasty.client(EMAIL) as api:
        pack = {form: api.get("/reviews/pack", params={"format": form}) for form in ("html", "pdf", "xlsx")}
        assert {answer.status_code for answer in pack.values()} == {200}
        address = api.post("/reviews/feed/tokens", json={})
        feed = httpx.get(address.json()["address"], timeout=60) if address.status_code == 201 else None
    assert ELEMENT in pack["html"].text
    assert not live_in(pack["html"].text).found
    words = "".join(page.extract_text() for page in PdfReader(io.BytesIO(pack["pdf"].content)).pages)
    assert ELEMENT in words.replace("\n", "")  # as it was typed, so nothing of it was taken for markup
    book = openpyxl.load_workbook(io.BytesIO(pack["xlsx"].content))
    assert not [c.value for sheet in book for r in sheet.iter_rows() for c in r if c.data_type == "f" or runs(c.value)]
    if feed is not None:
        unfolded = feed.text.replace("\r\n ", "").split("\r\n")
        assert all(re.match(r"[A-Z-]+[:;]", line) for line in unfolded if line)


def test_answers_are_json_that_no_browser_takes_for_a_page(nasty):
    with nasty.client(EMAIL) as api:
        answer = api.get("/deals/d1")
        assert answer.headers["content-type"].startswith("application/json")
        assert ELEMENT in answer.json()["name"]  # unchanged: who shows it escapes it


def test_no_log_line_holds_what_was_typed(typed, seen, lines):
    told = lines.getvalue()
    assert told.count("\n") > 100
    assert ELEMENT not in told
    assert all(json.loads(line)["level"] for line in told.splitlines())


def test_the_file_behind_a_figure_holds_no_formula():
    figure = Figure("t", "", "", "", ("=1+1", "n"), (), ((TEXTS[0], -2.0), (TEXTS[4], 3.0)))
    # -2.0 is a number and stays one.
    head, first, second = cells_rows(unquote(figure.csv_address.split(",", 1)[1]))
    assert (head, first) == (["'=1+1", "n"], [f"'{TEXTS[0]}", "-2.0"])
    assert not runs(second[0])


def cells_rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def test_the_parser_finds_what_is_live():
    assert live_in(f"<p>{TEXTS[0]}</p>").found
    assert live_in(f'<a title="{TEXTS[0]}">').found
    assert live_in(f'<a title="{AS_ADDRESS}">').found
    assert not live_in("<p>&lt;injected-element&gt;</p>").found
