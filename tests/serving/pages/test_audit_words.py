"""Whatever is written into the audit can be read in both languages."""

import ast
from pathlib import Path

import pytest

import serving
from serving.i18n import language
from serving.model_changes import PROMOTED, ROLLED_BACK
from serving.pages import audit_words


def audited() -> list[tuple[str, tuple[str, ...]]]:
    """What each call of `audit` in the code says was done, with the names of its details."""
    found = []
    for file in Path(serving.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "audit" and len(node.args) == 2:
                did = node.args[1]
                if isinstance(did, ast.Constant):
                    found.append((str(did.value), tuple(k.arg for k in node.keywords if k.arg)))
    return found


def test_the_search_finds_calls():
    assert ("erase person", ("person_key",)) in audited()
    assert len(audited()) > 30


@pytest.mark.parametrize("what", sorted({what for what, _ in audited()} | {PROMOTED, ROLLED_BACK}))
def test_every_deed_has_a_word_in_chinese(what):
    assert not audit_words.deed(language("zh"), what).isascii()


@pytest.mark.parametrize("name", sorted({name for _, names in audited() for name in names}))
def test_every_detail_has_a_name_in_chinese(name):
    said = audit_words.details(language("zh"), {name: "x"})
    assert said.endswith("：x")
    assert name == "crm" or not said.removesuffix("：x").isascii()


def test_details_are_read_as_a_line():
    said = audit_words.details(
        language("en"), {"kind": "train", "params": {"what": None, "trials": 12}, "dry_run": False}
    )
    assert said == "Kind: train, Settings: (Model: —, Trials: 12), Dry run: no"
