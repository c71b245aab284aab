"""The table of docs/plan.md names pages, routes and verbs that exist."""

import re
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from serving.app import create_app
from serving.cli import app as verbs
from serving.home import Home
from serving.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "plan.md"


def rows():
    part = PAGE.read_text("utf-8").split("## Where to find what")[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("| ")][2:]
    return [[re.findall(r"`([^`]+)`", cell) for cell in line.strip("|").split("|")] for line in lines]


@pytest.fixture(scope="module")
def addresses(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("home"))
    home.make()
    app = create_app(Settings(home=home.root))
    yield {getattr(route, "path", "") for route in app.routes}
    app.state.server.store.close()


def test_each_page_and_route_of_the_table_exists(addresses):
    named = [address for row in rows() for cell in row[2:4] for address in cell]
    assert len(named) > 15
    assert [address for address in named if address not in addresses] == []


def test_each_verb_of_the_table_exists():
    command = get_command(verbs)
    assert isinstance(command, typer.core.TyperGroup)
    for row in rows():
        for words in row[4]:
            place = command
            for word in words.split():
                assert word in place.commands, words
                place = place.commands[word]
