"""The table of docs/plan.md names pages, routes and verbs that exist."""

import pkgutil
import re
from importlib import import_module
from pathlib import Path

import typer
from typer.main import get_command

from serving import pages, routes
from serving.app import API
from serving.cli import app as verbs

PAGE = Path(__file__).parents[2] / "docs" / "plan.md"


def rows():
    part = PAGE.read_text("utf-8").split("## Where to find what")[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("| ")][2:]
    return [[re.findall(r"`([^`]+)`", cell) for cell in line.strip("|").split("|")] for line in lines]


def addresses():
    """Every address that a page or a route answers."""
    found = set()
    for package, prefix in ((pages, ""), (routes, API)):
        for module in pkgutil.iter_modules(package.__path__):
            router = getattr(import_module(f"{package.__name__}.{module.name}"), "router", None)
            found |= {prefix + route.path for route in getattr(router, "routes", ())}
    return found


def test_each_page_and_route_of_the_table_exists():
    named = [address for row in rows() for cell in row[2:4] for address in cell]
    assert len(named) > 15
    assert [address for address in named if address not in addresses()] == []


def test_each_verb_of_the_table_exists():
    command = get_command(verbs)
    assert isinstance(command, typer.core.TyperGroup)
    for row in rows():
        for words in row[4]:
            place = command
            for word in words.split():
                assert word in place.commands, words
                place = place.commands[word]
