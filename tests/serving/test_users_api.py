"""Users and tokens over the API: who may, what is told, and what a token's scopes let through."""

import pytest

from serving.home import Home
from serving.store import Store
from serving.tables.audit import AuditEntry
from serving.users import add_user
from tests.serving.small_site import PASSWORD, Site, fill, serving, write_scores


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A served company of this file alone, for users come and go here."""
    home = Home(tmp_path_factory.mktemp("users"))
    home.make()
    fill(home)
    write_scores(home)
    store = Store(home.database_url)
    add_user(store, "admin@example.com", PASSWORD, "admin")
    add_user(store, "analyst@example.com", PASSWORD, "analyst")
    add_user(store, "r1@example.com", PASSWORD, "rep", rep_id="r1")
    with serving(home) as address:
        yield Site(address, home, store)
    store.close()


def by_token(site, email, scopes):
    with site.client(email) as client:
        made = client.post("/tokens", json={"name": "script", "scopes": scopes, "days": 1}).json()
        client.headers["authorization"] = f"Bearer {made['token']}"
        return made, client.headers


def test_a_user_is_invited_chooses_a_password_and_is_ended(site):
    with site.client("admin@example.com") as admin, site.client() as other:
        given = {"email": "Bo@example.com", "role": "rep", "rep_id": "r3"}
        made = admin.post("/users", json=given)
        assert made.status_code == 201
        user, link = made.json()["user"], made.json()["link"]
        assert (user["email"], user["role"], user["active"], user["has_password"]) == (
            "bo@example.com",
            "rep",
            True,
            False,
        )
        answer = other.post(link, data={"password": "chosen by bo", "again": "chosen by bo"})
        assert answer.status_code == 303
        other.cookies.clear()  # a program from here on
        signed = other.post("/session", json={"email": "bo@example.com", "password": "chosen by bo"})
        other.headers["authorization"] = f"Bearer {signed.json()['token']}"
        assert {d["deal_id"] for d in other.get("/deals").json()["deals"]} == {"d4"}  # r3's
        assert admin.get(f"/users/{user['user_id']}").json()["has_password"] is True
        changed = admin.patch(f"/users/{user['user_id']}", json={"rep_id": "r2"})
        assert changed.json()["rep_id"] == "r2"
        assert {d["deal_id"] for d in other.get("/deals").json()["deals"]} == {"d3"}  # r2's, at once
        assert admin.patch(f"/users/{user['user_id']}", json={"active": False}).json()["active"] is False
        assert other.get("/deals").status_code == 401
        assert [u["email"] for u in admin.get("/users").json()["users"]][:2] == [
            "admin@example.com",
            "analyst@example.com",
        ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"email": "cy@example.com", "role": "rep", "rep_id": "nobody"}, "There is no rep 'nobody'"),
        ({"email": "cy@example.com", "role": "manager"}, "tell which rep"),
        ({"email": "admin@example.com", "role": "admin"}, "already"),
    ],
)
def test_a_user_that_cannot_be_is_refused(site, given, said):
    with site.client("admin@example.com") as admin:
        answer = admin.post("/users", json=given)
        assert answer.status_code == 400
        assert said in answer.json()["detail"]


def test_the_last_administrator_cannot_be_ended(site):
    with site.client("admin@example.com") as admin:
        (me,) = [u["user_id"] for u in admin.get("/users").json()["users"] if u["email"] == "admin@example.com"]
        answer = admin.patch(f"/users/{me}", json={"active": False})
        assert (answer.status_code, "last administrator" in answer.json()["detail"]) == (400, True)


@pytest.mark.parametrize("email", ["analyst@example.com", "r1@example.com"])
@pytest.mark.parametrize(
    ("method", "path", "given"),
    [
        ("GET", "/users", None),
        ("GET", "/users/1", None),
        ("POST", "/users", {"email": "cy@example.com", "role": "admin"}),
        ("PATCH", "/users/1", {"role": "admin"}),
        ("POST", "/users/1/link", None),
    ],
)
def test_only_administrators_see_and_change_users(site, email, method, path, given):
    with site.client(email) as client:
        answer = client.request(method, path, json=given)
        assert answer.status_code == 403
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_token_does_what_its_scopes_say(site):
    feedback = {"answer": "helped"}
    tried = {}
    for scopes in (["read"], ["read", "write"], ["write"], ["read", "write", "admin"]):
        _, headers = by_token(site, "admin@example.com", scopes)
        with site.client() as client:
            client.headers = headers
            tried[" ".join(scopes)] = [
                client.get("/deals").status_code,
                client.post("/deals/d1/advice/1/feedback", json=feedback).status_code,
                client.get("/users").status_code,
            ]
    assert tried == {
        "read": [200, 403, 403],
        "read write": [200, 204, 403],
        "write": [403, 403, 403],  # a change answers with what it changed, so it needs both
        "read write admin": [200, 204, 200],
    }


def test_a_missing_scope_is_told_with_the_mend(site):
    _, headers = by_token(site, "r1@example.com", ["read"])
    with site.client() as client:
        client.headers = headers
        answer = client.post("/deals/d1/advice/1/feedback", json={"answer": "helped"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "This token lacks the scope 'write'. Make one that has it, or sign in yourself."


def test_a_token_shows_what_its_user_may_see_and_ends_when_revoked(site):
    made, headers = by_token(site, "r1@example.com", ["read"])
    with site.client("r1@example.com") as user, site.client() as program:
        program.headers = headers
        assert {d["deal_id"] for d in program.get("/deals").json()["deals"]} == {"d1", "d2"}
        (listed,) = [t for t in user.get("/tokens").json()["tokens"] if t["token_id"] == made["kept"]["token_id"]]
        assert (listed["scopes"], listed["used_at"] is not None, "token" in listed) == (["read"], True, False)
        assert user.delete(f"/tokens/{listed['token_id']}").status_code == 204
        answer = program.get("/deals")
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_nobody_sees_or_revokes_anothers_token(site):
    made, _ = by_token(site, "r1@example.com", ["read"])
    token_id = made["kept"]["token_id"]
    with site.client("admin@example.com") as admin:
        assert token_id not in [t["token_id"] for t in admin.get("/tokens").json()["tokens"]]
        forbidden, absent = admin.delete(f"/tokens/{token_id}"), admin.delete("/tokens/999999")
        assert forbidden.status_code == absent.status_code == 404
        said = [absent.json()["detail"].replace("token 999999.", ""), forbidden.json()["detail"]]
        assert said[0] == said[1].replace(f"token {token_id}.", "")


def test_a_token_cannot_make_or_list_tokens(site):
    _, headers = by_token(site, "admin@example.com", ["read", "write", "admin"])
    with site.client() as client:
        client.headers = headers
        assert client.get("/tokens").status_code == 403
        assert client.post("/tokens", json={"name": "x"}).status_code == 403


def test_a_rep_cannot_give_the_scope_admin(site):
    with site.client("r1@example.com") as client:
        answer = client.post("/tokens", json={"name": "x", "scopes": ["admin"]})
        assert (answer.status_code, "cannot give admin" in answer.json()["detail"]) == (400, True)


def test_what_administrators_and_users_did_is_noted(site):
    with site.store.reading() as session:
        noted = {(entry.who, entry.what) for entry in session.query(AuditEntry)}
    assert {
        ("admin@example.com", "add user"),
        ("admin@example.com", "change user"),
        ("admin@example.com", "make password link"),
        ("r1@example.com", "make token"),
        ("r1@example.com", "revoke token"),
    } <= noted


def test_wrong_passwords_are_slowed_down_and_say_when_to_come_back(site):
    with site.client() as client:
        said = [client.post("/session", json={"email": "dee@example.com", "password": "x"}) for _ in range(6)]
    assert [answer.status_code for answer in said] == [401] * 5 + [429]
    assert 1 <= int(said[-1].headers["retry-after"]) <= 5


def chunks(megabytes):
    for _ in range(megabytes):
        yield b" " * 1_000_000


@pytest.mark.parametrize("body", [b" " * 10_000_001, "chunked"])
@pytest.mark.parametrize("path", ["/session", "/score", "/users", "/deals/d1/advice/1/feedback"])
def test_a_body_above_the_limit_is_refused_on_every_route(site, path, body):
    with site.client("admin@example.com") as client:
        answer = client.post(
            path,
            content=chunks(11) if body == "chunked" else body,
            headers={"content-type": "application/json"},
        )
    assert answer.status_code == 413
    assert answer.json()["detail"] == "What was sent is larger than 10 MB. Send less at once."


def test_a_body_at_the_limit_is_read(site):
    with site.client() as client:
        given = b'{"email": "fay@example.com", "password": "x"}'
        answer = client.post("/session", content=given.ljust(10_000_000), headers={"content-type": "application/json"})
    assert answer.status_code == 401
