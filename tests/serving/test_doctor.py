"""What the doctor finds wrong around a home, each with its mend; a check that finds nothing wrong says so."""

import os
import socket
from datetime import UTC, datetime, timedelta

import pytest

from serving.doctor import examine_here
from serving.home import Home
from tests.builders import an_activity, table_of
from tests.serving.small_site import fill, serving


@pytest.fixture(autouse=True)
def free_port(monkeypatch):
    """A port that nobody has, named by the environment."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("BELLWETHER_PORT", str(port))
    return port


def found(root, check):
    (finding,) = [f for f in examine_here(root) if f.check == check]
    return finding.state, finding.text


def test_a_taken_port_is_told_with_another(tmp_path, free_port):
    assert found(tmp_path / "none", "port")[0] == "ok"
    with socket.create_server(("127.0.0.1", free_port)) as taken:
        taken.settimeout(0.1)
        state, text = found(tmp_path / "none", "port")
    assert state == "bad"
    assert f"Port {free_port} on 127.0.0.1 is taken" in text
    assert f"--port {free_port + 1}" in text


def test_a_port_on_which_bellwether_itself_answers_is_well(tmp_path, monkeypatch):
    home = Home(tmp_path / "home")
    home.make()
    with serving(home) as address:
        monkeypatch.setenv("BELLWETHER_PORT", address.rsplit(":", 1)[1])
        assert found(home.root, "port") == ("ok", f"Bellwether answers on {address}")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("not a url", "is no database URL. Give one such as postgresql+psycopg://"),
        ("postgresql+psycopg://ann:hidden@127.0.0.1:1/none", "Check BELLWETHER_DATABASE_URL and the server."),
    ],
)
def test_a_store_that_is_wrong_or_out_of_reach_is_told_also_before_the_first_import(tmp_path, monkeypatch, url, said):
    monkeypatch.setenv("BELLWETHER_DATABASE_URL", url)
    state, text = found(tmp_path / "none yet", "store")
    assert state == "bad"
    assert said in text
    assert "hidden" not in text


def test_a_home_that_cannot_be_made_or_written_to_is_told(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    for root in (file, file / "home"):  # a file is no folder, whoever asks
        state, text = found(root, "home")
        assert state == "bad"
        assert f"{file}" in text
        assert "cannot be written to" in text
    assert found(tmp_path / "new", "home")[0] == "note"


def test_data_from_the_future_is_told_with_both_moments(tmp_path):
    home = Home(tmp_path / "home")
    home.make()
    fill(home)
    assert found(home.root, "clock")[0] == "ok"
    ahead = datetime.now(UTC) + timedelta(days=400)
    rows = {"activities": table_of("activities", [an_activity(activity_id="late", occurred_at=ahead)])}
    home.lake.merge(rows, source="test")
    state, text = found(home.root, "clock")
    assert state == "bad"
    assert f"{ahead:%Y-%m-%d %H:%M}" in text
    assert "Set the clock" in text


@pytest.mark.parametrize(
    ("name", "value", "mend"),
    [
        ("BELLWETHER_UPLOAD_MB", "much", "in megabytes"),
        ("BELLWETHER_SCORE_AT", "noon", "such as 02:00; never"),
        ("BELLWETHER_OIDC_ROLES", "{broken", 'as JSON: {"sales-leads": "manager"}'),
    ],
)
def test_a_setting_that_cannot_be_read_is_told_by_name_value_and_meaning(tmp_path, monkeypatch, name, value, mend):
    monkeypatch.setenv(name, value)
    state, text = found(tmp_path / "none", "environment")
    assert state == "bad"
    assert text.startswith(f"{name} is '{value}'. ")
    assert mend in text


def test_a_name_that_is_no_setting_is_told_with_the_nearest_one(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("BELLWETHER_")]:  # noqa: TID251
        monkeypatch.delenv(name)  # such as what CI sets for the tests
    assert found(tmp_path / "none", "environment")[0] == "ok"
    monkeypatch.setenv("BELLWETHER_UPLOD_MB", "5")
    assert found(tmp_path / "none", "environment") == (
        "note",
        "BELLWETHER_UPLOD_MB is no setting: write BELLWETHER_UPLOAD_MB.",
    )
    monkeypatch.setenv("BELLWETHER_PORT", "high")  # what cannot be read does not hide it
    state, text = found(tmp_path / "none", "environment")
    assert (state, text.startswith("BELLWETHER_PORT is 'high'. ")) == ("bad", True)
    assert text.endswith("BELLWETHER_UPLOD_MB is no setting: write BELLWETHER_UPLOAD_MB.")
