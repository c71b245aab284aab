"""The company's settings on a page: each has words, safe ones are changed with a note in the audit and taken back."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from pydantic import BaseModel

from crm.company import Company
from serving.company_changes import EDITABLE, value_of
from serving.home import Home
from serving.pages import settings
from serving.store import Store
from serving.users import add_user
from tests.serving.pages.conftest import AS_HTML, PASSWORD
from tests.serving.small_site import fill, serving, write_scores


def keys(model: type[BaseModel], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for name, field in model.model_fields.items():
        inner = field.annotation
        below = isinstance(inner, type) and issubclass(inner, BaseModel)
        found |= keys(inner, f"{prefix}{name}.") if below else {f"{prefix}{name}"}
    return found


def test_every_setting_has_words_and_those_that_can_be_changed_exist():
    assert set(settings._described(Company)) == keys(Company)
    assert set(settings.meanings(lambda text: text)) == keys(Company)
    assert set(EDITABLE) <= keys(Company)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("settings"))
    home.make()
    fill(home)
    write_scores(home)
    home.company_file.write_text("# Ours\nname: Old  # on pages\n", encoding="utf-8")
    store = Store(home.database_url)
    for role in ("admin", "analyst"):
        add_user(store, f"{role}@example.com", PASSWORD, role)
    with serving(home) as address:

        @contextmanager
        def client(role: str) -> Iterator[httpx.Client]:
            with httpx.Client(base_url=address, headers={**AS_HTML, "origin": address}, timeout=60) as made:
                given = {"email": f"{role}@example.com", "password": PASSWORD}
                assert made.post("/sign-in", data=given).status_code == 303
                yield made

        yield home, store, client
    store.close()


def test_an_administrator_changes_a_setting_and_takes_it_back(own):
    home, _, client = own
    with client("admin") as page:
        assert "Held back" in page.get("/settings/company").text
        sent = page.post("/settings/company", data={"key": "advice.hold_back", "value": "25%"})
        assert sent.headers["location"] == "/settings/company?changed=advice.hold_back&was=0.1#advice.hold_back"
        assert value_of(home.company(), "advice.hold_back") == 0.25
        assert home.company_file.read_text().startswith("# Ours\nname: Old  # on pages\n")
        shown = page.get(sent.headers["location"]).text
        assert "&#39;Held back&#39; was changed" in shown
        assert 'name="value" value="0.1"' in shown  # what Undo sends
        page.post("/settings/company", data={"key": "advice.hold_back", "value": "0.1"})
        assert value_of(home.company(), "advice.hold_back") == 0.1
        noted = page.get("/audit?what=setting+changed").text
    assert "Before: 0.1, After: 0.25" in noted


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("advice.hold_back", "7", "advice.hold_back"),
        ("people.min_group", "many", "Give a value like the one shown before."),
        ("plan.holidays", "2026-13-01", "Give a value like the one shown before."),
        ("base_currency", "EUR", "is not changed here"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(own, key, value, said):
    home, _, client = own
    before = home.company_file.read_text()
    with client("admin") as page:
        answer = page.post("/settings/company", data={"key": key, "value": value})
    assert answer.status_code in (400, 422)
    assert said in answer.text
    assert home.company_file.read_text() == before


def test_only_administrators_see_and_change_them(own):
    _, _, client = own
    with client("analyst") as page:
        assert page.get("/settings/company").status_code in (403, 404)
        assert page.post("/settings/company", data={"key": "name", "value": "X"}).status_code in (403, 404)
        assert "/settings/company" not in page.get("/today").text
