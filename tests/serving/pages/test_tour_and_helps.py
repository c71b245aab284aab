"""The tour's five steps lead to what they talk about; every help can be told in every language."""

import re
from pathlib import Path

import pytest

import serving
from serving.i18n import LANGUAGES, language
from serving.pages.helps import HELPS, help_of
from tests.serving.pages.test_pages import text_of

TEMPLATES = Path(serving.__file__).parent / "templates"
STEPS = [
    (1, "/today", "main", "Your number"),
    (2, "/forecast", "fan", "Why it has a range"),
    (3, "/deals/", "why", "A deal's reasons"),
    (4, "/deals/", "steps", "A next step, and your answer"),
    (5, "/accuracy", "main", "How right we were"),
]


@pytest.mark.parametrize(("step", "page", "place", "title"), STEPS)
def test_a_step_stands_on_the_page_it_talks_about(site, step, page, place, title):
    with site.client() as client:
        sent = client.get(f"/tour/{step}")
        assert sent.status_code == 303
        address, _, anchor = sent.headers["location"].partition("#")
        assert address.startswith(page)
        assert anchor == place
        shown = client.get(address).text
    assert f'id="{place}"' in shown
    assert f"Step {step} of 5 {title}" in text_of(shown)
    assert "End the tour" in shown
    assert "/tour/6" not in shown


def test_the_tour_is_offered_once(site):
    with site.client() as client:
        assert "Start the tour" in client.get("/today").text
        assert "Start the tour" not in client.get("/deals").text
        client.post("/tour/end", data={"next": "/today"})
        assert "Start the tour" not in client.get("/today").text
        assert client.get("/tour/6").status_code == 404


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("key", HELPS)
def test_every_help_says_what_how_and_from_which_data(key, code):
    found = help_of(key, language(code))
    assert all(len(text) > 8 for text in found)
    english = help_of(key, language("en"))
    assert (found == english) == (code == "en")


def test_helps_that_templates_name_exist_and_none_is_left_over():
    text = "\n".join(path.read_text(encoding="utf-8") for path in TEMPLATES.glob("*.html"))
    named = set(re.findall(r'explain\("(\w+)"\)|help="(\w+)"', text))
    assert {a or b for a, b in named} == set(HELPS)


def test_every_figure_has_a_help():
    bare = [
        f"{path.name}: {call}"
        for path in TEMPLATES.glob("*.html")
        for call in re.findall(r"parts\.figure\([^)]*\)", path.read_text(encoding="utf-8"))
        if "help=" not in call and "titled=false" not in call  # those stand in a section that has the help
    ]
    assert bare == []
