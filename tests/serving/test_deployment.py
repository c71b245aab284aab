"""The container file, and the systemd unit and compose file of docs/running.md: they fit the program and each other."""

import configparser
import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from serving.app import create_app
from serving.cli import app
from serving.settings import Settings
from tests.serving.asked import ask

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "running.md").read_text("utf-8")
CONTAINER = (ROOT / "Containerfile").read_text("utf-8")
NAMES = {f"BELLWETHER_{name.upper()}" for name in Settings.model_fields}


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", DOCS, re.DOTALL)
    return found


def environment(text: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in text.split())


@pytest.fixture(scope="module")
def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.optionxform = str
    parser.read_string(block("ini"))
    return parser


def test_every_setting_that_they_give_is_one(unit):
    (line,) = re.findall(r"^ENV (.*)$", CONTAINER, re.MULTILINE)
    given = [environment(line), environment(unit["Service"]["Environment"])]
    given += [yaml.safe_load(block("yaml"))["services"]["bellwether"]["environment"]]
    assert {name for one in given for name in one} <= NAMES
    for one in given:
        plain = {name.removeprefix("BELLWETHER_").lower(): value for name, value in one.items() if "$" not in value}
        Settings(**plain)


def test_what_they_start_is_a_verb_with_such_options(unit):
    assert unit["Service"]["ExecStart"].split()[1:] == ["serve", "--workers", "2"]
    assert 'CMD ["bellwether", "serve", "--workers", "2"]' in CONTAINER
    shown = CliRunner().invoke(app, ["serve", "--help"])
    assert (shown.exit_code, "--workers" in shown.output) == (0, True)


def test_container_and_compose_file_name_the_same_folder_port_and_probe(tmp_path):
    service = yaml.safe_load(block("yaml"))["services"]["bellwether"]
    assert service["build"]["dockerfile"] == "Containerfile"
    assert service["volumes"] == ["data:/data"]
    assert re.search(r"^VOLUME /data$", CONTAINER, re.MULTILINE)
    assert [port.rsplit(":", 1)[1] for port in service["ports"]] == re.findall(
        r"^EXPOSE (\d+)$", CONTAINER, re.MULTILINE
    )
    probe = re.search(r"127\.0\.0\.1:8000(/\w+)", CONTAINER)[1]
    assert (
        ask(create_app(Settings(home=tmp_path)), probe).status_code == 200
    )  # a new home waits for its data, and is well


def test_both_wait_longer_than_the_service_takes_to_end(unit):
    # Requests at work are answered for up to 30 seconds.
    assert int(unit["Service"]["TimeoutStopSec"]) > 30
    assert int(yaml.safe_load(block("yaml"))["services"]["bellwether"]["stop_grace_period"].removesuffix("s")) > 30


def test_every_file_that_the_container_copies_by_name_is_there():
    named = [word for line in re.findall(r"^COPY (.*)$", CONTAINER, re.MULTILINE) for word in line.split()[:-1]]
    assert named == ["requirements.txt", "."]
    assert all((ROOT / name).exists() for name in named)
