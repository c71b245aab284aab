"""The verbs user and token: what they print, and what holds afterwards."""

import pytest
from typer.testing import CliRunner

from serving.cli import app
from serving.home import Home
from serving.sign_in import WrongPassword, sign_in, viewer_of
from serving.store import Store
from serving.users import LastAdministrator, link_email
from tests.serving.small_site import PASSWORD


@pytest.fixture
def place(tmp_path):
    home = Home(tmp_path / "home")
    run(home, "user add ann@example.com --role admin", given=PASSWORD)
    store = Store(home.database_url)
    yield home, store
    store.close()


def run(home, words, *, given=""):
    answer = CliRunner().invoke(app, [*words.split(), "--home", str(home.root)], input=given, catch_exceptions=True)
    if answer.exception is not None and not isinstance(answer.exception, SystemExit):
        raise answer.exception
    return answer.output


def test_users_are_added_listed_changed_ended_and_let_in_again(place):
    home, store = place
    assert (
        run(home, "user add bo@example.com --role rep --rep r1", given=PASSWORD)
        == "bo@example.com can sign in as rep.\n"
    )
    said = run(home, "user change bo@example.com --role manager")
    assert said == "bo@example.com can sign in as manager.\n"
    lines = [line.split("\t")[:3] for line in run(home, "user list").splitlines()]
    assert lines == [["e-mail", "role", "rep"], ["ann@example.com", "admin", ""], ["bo@example.com", "manager", "r1"]]
    assert run(home, "user deactivate bo@example.com") == "bo@example.com can do nothing any more.\n"
    with pytest.raises(WrongPassword):
        sign_in(store, "bo@example.com", PASSWORD)
    run(home, "user activate bo@example.com")
    assert sign_in(store, "bo@example.com", PASSWORD)
    with pytest.raises(LastAdministrator):
        run(home, "user deactivate ann@example.com")


def test_a_password_is_set_or_chosen_by_a_link(place):
    home, store = place
    run(home, "user password ann@example.com", given="another password\n")
    assert sign_in(store, "ann@example.com", "another password")
    path = run(home, "user link ann@example.com").strip()
    assert link_email(store, path.removeprefix("/password/")) == "ann@example.com"


def test_a_token_is_made_listed_and_revoked(place):
    home, store = place
    secret = run(home, "token make ann@example.com --name nightly --scope read --scope write").strip()
    assert viewer_of(store, secret).scopes == {"read", "write"}
    row = run(home, "token list ann@example.com").splitlines()[1].split("\t")
    assert row[1:3] == ["nightly", "read write"]
    run(home, f"token revoke ann@example.com {row[0]}")
    assert viewer_of(store, secret) is None
