"""The command line: every verb has help that ends with an example that is a real command; it starts light."""

import shlex
import subprocess
import sys

import pytest
import typer

from serving.cli import app


def verbs(command, name="bellwether"):
    if hasattr(command, "commands"):
        for part, inner in command.commands.items():
            yield from verbs(inner, f"{name} {part}")
    else:
        yield name, command


VERBS = dict(verbs(typer.main.get_command(app)))


@pytest.mark.parametrize("name", VERBS)
def test_help_ends_with_an_example_of_the_verb_itself(name):
    lines = (VERBS[name].help or "").strip().splitlines()
    assert lines[-1].startswith(f"Example: {name}")
    words = shlex.split(lines[-1].removeprefix(f"Example: {name}"))
    VERBS[name].make_context(name, words, resilient_parsing=False)  # fails on options or words it does not take


@pytest.mark.parametrize("name", VERBS)
def test_every_option_is_explained(name):
    silent = [p.name for p in VERBS[name].params if not getattr(p, "help", None) and p.name not in ("what", "version")]
    assert silent == []


def test_help_needs_no_heavy_library():
    code = (
        "import sys; sys.argv = ['bellwether', '--help']\n"
        "from serving.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('pandas', 'numpy', 'duckdb', 'mlflow', 'sqlalchemy', 'fastapi') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "[]"
