"""Every sentence of the pages stands in every language, with the same values in it."""

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import serving
from crm.errors import BadInput, Both
from planning.splitting import NoGoal
from serving.i18n import LANGUAGES, LOCALE_DIR, choose_code, language

KEYWORDS = {"say": None, "say_n": (1, 2)}
OTHERS = [babel_code for code, (babel_code, _, _) in LANGUAGES.items() if code != "en"]
Key = str | tuple[str, str]


def used_sentences() -> dict[Key, str]:
    """Each sentence in code and templates (for say_n the pair), and where it stands."""
    root = Path(serving.__file__).parent
    # Only what makes pages: elsewhere `say` may be a progress line.
    methods = [
        ("pages/**.py", "python"),
        ("reviews/**.py", "python"),
        ("charts.py", "python"),
        ("chart_parts.py", "python"),
        ("deal_charts.py", "python"),
        ("people_charts.py", "python"),
        ("format.py", "python"),
        ("templates/**.html", "jinja2"),
    ]
    found = extract_from_dir(root, methods, {"templates/**.html": {"silent": "false"}}, KEYWORDS)
    return {message: f"{file}:{line}" for file, line, message, *_ in found} | dict(sentences_of_errors())


# Rooms whose errors reach pages, and what in them answers programs and terminals alone.
ERRORS_OF = ("planning", "serving")
NOT_ON_PAGES = set(
    "backup cli demo first_start home idempotency jobs ledger messages migrations posted probes replay routes scoring "
    "server store tables_out tokens".split()
)


def sentences_of_errors() -> Iterator[tuple[str, str]]:
    """Each sentence that an error is made with, by itself or by its class, and where it stands."""
    root = Path(serving.__file__).parents[1]
    rooms = [root / room for room in ("crm", "features", "models", "planning", "training", "serving")]
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for room in rooms for path in room.rglob("*.py")}
    classes = {n.name: n for tree in trees.values() for n in ast.walk(tree) if isinstance(n, ast.ClassDef)}
    for path, tree in trees.items():
        room, *parts = path.relative_to(root).with_suffix("").parts
        if room not in ERRORS_OF or NOT_ON_PAGES.intersection(parts):
            continue
        errors = [n for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and is_error(n.name, classes)]
        own = [call for error in errors for call in ast.walk(error) if is_own_making(call)]
        plain = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and is_error(name_of(n), classes)]
        for call in [*own, *(c for c in plain if not makes_own_sentence(name_of(c), classes))]:
            if call.args and isinstance(call.args[0], ast.Constant):
                yield call.args[0].value, f"{path.name}:{call.lineno}"
            else:  # an f-string could not be looked up
                assert not any(isinstance(argument, ast.JoinedStr) for argument in call.args), f"{path}:{call.lineno}"


def name_of(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def is_own_making(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "super().__init__"


def is_error(name: str, classes: dict[str, ast.ClassDef]) -> bool:
    bases = [ast.unparse(base) for base in classes[name].bases] if name in classes else []
    return name == "BellwetherError" or any(is_error(base, classes) for base in bases if base != name)


def makes_own_sentence(name: str, classes: dict[str, ast.ClassDef]) -> bool:
    """Whether a class, or one that it comes from, makes its sentence itself."""
    if name == "BellwetherError" or name not in classes:
        return False
    made = any(is_own_making(node) for node in ast.walk(classes[name]))
    return made or any(makes_own_sentence(ast.unparse(base), classes) for base in classes[name].bases)


def catalogue(babel_code: str) -> Catalog:
    with (LOCALE_DIR / babel_code / "LC_MESSAGES" / "messages.po").open("rb") as source:
        return read_po(source, locale=babel_code)


def fields(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


@pytest.fixture(scope="module")
def used() -> dict[Key, str]:
    return used_sentences()


def test_the_search_finds_sentences_of_code_and_of_templates(used):
    assert "Data as of {when}" in used  # base.html
    assert ("{n} other reason", "{n} other reasons") in used  # reasons.py
    assert "Closed so far" in used  # outlook.py
    assert "Goals are set by managers and administrators." in used  # raised in goals_one.py
    assert "{email} is no user here. Ask an administrator to add this e-mail address." in used  # a class of oidc.py


@pytest.mark.parametrize("babel_code", OTHERS)
def test_no_sentence_is_untranslated(used, babel_code):
    have = {m.id if isinstance(m.id, str) else tuple(m.id): m for m in catalogue(babel_code) if m.id}
    missing = [f"{where}: {key}" for key, where in used.items() if key not in have or not any(have[key].string)]
    unsure = [key for key, m in have.items() if m.fuzzy]
    assert not missing
    assert not unsure


@pytest.mark.parametrize("babel_code", OTHERS)
def test_no_translation_is_left_over(used, babel_code):
    assert [
        m.id for m in catalogue(babel_code) if m.id and (m.id if isinstance(m.id, str) else tuple(m.id)) not in used
    ] == []


@pytest.mark.parametrize("babel_code", OTHERS)
def test_translations_use_only_the_values_that_are_given(babel_code):
    for message in catalogue(babel_code):
        originals = [message.id] if isinstance(message.id, str) else list(message.id)
        texts = [message.string] if isinstance(message.string, str) else list(message.string)
        given = fields(originals[-1])
        for text in texts:
            assert fields(text) <= given, message.id


def test_chinese_text_has_chinese_marks():
    # Half-width marks between Chinese characters are a slip of the keyboard.
    messages = [message.string for message in catalogue("zh_Hans")]
    texts = [text for string in messages for text in ([string] if isinstance(string, str) else string)]
    assert any("，" in text for text in texts)
    assert [text for text in texts if re.search(r"[\u4e00-\u9fff][,;:?!()]", text)] == []


def test_a_sentence_with_values_is_said_in_the_visitors_language():
    assert language("en").say("Data as of {when}", when="Nov 24") == "Data as of Nov 24"
    assert language("zh").say("Data as of {when}", when="11月24日") == "数据截至11月24日"


def test_an_error_is_told_in_the_visitors_language_with_what_is_in_it():
    error = BadInput("levers.{place}.kind: {problem}", place=0, problem=NoGoal())
    assert str(error).startswith("levers.0.kind: There is no goal of the company for bookings.")
    assert language("en").tell(error) == str(error)
    assert language("zh").tell(error) == language("zh").tell(NoGoal())  # the place says nothing on a page
    assert language("zh").tell(NoGoal()).startswith("没有公司的签约额目标")
    pair = BadInput(
        "{field}: {finding} {mend}", field="target", finding=Both("Low.", "偏低。"), mend=Both("Mend.", "请改。")
    )
    assert (str(pair), language("zh").tell(pair)) == ("target: Low. Mend.", "偏低。请改。")
    assert language("zh").tell(BadInput("A sentence {without} translation", without="x")) == "A sentence x translation"
    # What a visitor typed is never taken for a place of its own.
    assert language("zh").tell(BadInput("target: {text}", text="{mend}")) == "target: {mend}"


def test_english_counts_and_chinese_does_not():
    one, many = "{n} other reason", "{n} other reasons"
    assert [language("en").say_n(one, many, n) for n in (1, 2)] == ["1 other reason", "2 other reasons"]
    assert [language("zh").say_n(one, many, n) for n in (1, 2)] == ["其他1项因素", "其他2项因素"]


@pytest.mark.parametrize(
    ("wished", "accepted", "expected"),
    [
        ("zh", "en", "zh"),  # what one chose wins over what the browser says
        ("xx", "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        (None, "fr, en;q=0.4, zh;q=0.6", "zh"),  # by weight, not by place
        (None, "de", "en"),
        (None, "zh;q=much", "en"),
        (None, None, "en"),
    ],
)
def test_which_language_a_visitor_gets(wished, accepted, expected):
    assert choose_code(wished, accepted) == expected


def test_data_in_both_languages_fall_back_to_english():
    assert language("zh").choose("Age", "年龄") == "年龄"
    assert language("zh").choose("Age", None) == "Age"
    assert language("en").choose("Age", "年龄") == "Age"
