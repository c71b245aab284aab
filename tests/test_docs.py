"""What the documentation promises to name is named there."""

import re
from pathlib import Path

import pytest
import typer

from crm.mapping import ColumnMap, Format, Mapping, TableMap
from serving.cli import app

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def verbs(command, name=""):
    """Every verb with its words, such as 'models promote', and its command."""
    for word, inner in getattr(command, "commands", {}).items():
        yield from verbs(inner, f"{name} {word}".strip())
    if not hasattr(command, "commands"):
        yield name, command


LINKS = sorted(set(re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))))
VERBS = dict(verbs(typer.main.get_command(app)))


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb):
    assert f"Example: bellwether {verb}" in (VERBS[verb].help or "")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_stands_in_the_readme(verb):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    last = verb.split()[-1]
    assert f"bellwether {verb}" in readme or f"`{verb}" in readme or f"`{last}`" in readme


@pytest.mark.parametrize("link", LINKS)
def test_what_the_readme_links_to_is_there(link):
    assert (ROOT / link).exists()


@pytest.mark.parametrize("part", [Mapping, TableMap, ColumnMap, Format])
def test_every_key_of_a_mapping_stands_in_the_import_guide(part):
    guide = (DOCS / "import.md").read_text(encoding="utf-8")
    keys = [info.alias or name for name, info in part.model_fields.items()]
    assert [key for key in keys if f"`{key}`" not in guide] == []


def test_the_example_mapping_of_the_guide_is_valid():
    from crm.mapping import parse

    guide = (DOCS / "import.md").read_text(encoding="utf-8")
    example = guide.split("```yaml\n")[1].split("```")[0]
    assert [table.table for table in parse(example).tables] == ["deals", "accounts"]
