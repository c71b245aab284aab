"""Writes with an Idempotency-Key: done once, answered alike by any process; never another user's answer."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from fastapi import Request
from sqlalchemy import select, update

from serving import idempotency
from serving.app import create_app
from serving.home import Home
from serving.idempotency import Answered, BadKey, Claim, KeptAnswers, KeyReused, StillAtWork, check_key
from serving.settings import Settings
from serving.store import Store
from serving.tables.idempotency import KeptAnswer
from serving.users import add_user
from tests.serving.asked import LOCAL
from tests.serving.small_site import PASSWORD

FIRST = Answered(201, [("content-type", "application/json")], b'{"n": 1}')


def test_the_first_answer_comes_back_to_the_same_request_and_none_to_another(store):
    kept = KeptAnswers(store)
    claim = kept.claim("1:a", "key", "same")
    assert isinstance(claim, Claim)
    with pytest.raises(StillAtWork):
        kept.claim("1:a", "key", "same")
    kept.keep(claim, FIRST)
    assert kept.claim("1:a", "key", "same") == FIRST
    with pytest.raises(KeyReused):
        kept.claim("1:a", "key", "other")
    assert isinstance(kept.claim("2:a", "key", "same"), Claim)


def test_what_was_released_may_be_tried_again(store):
    kept = KeptAnswers(store)
    kept.release(kept.claim("1:a", "key", "same"))
    assert isinstance(kept.claim("1:a", "key", "same"), Claim)


def test_answers_end_after_a_day_and_a_killed_process_holds_a_key_for_a_minute(store):
    kept = KeptAnswers(store)
    kept.keep(kept.claim("1:a", "done", "same"), FIRST)
    kept.claim("1:a", "killed", "same")

    def pass_time(by: timedelta) -> None:
        with store.session() as session:
            for row in session.scalars(select(KeptAnswer)):
                row.ends_at -= by

    pass_time(timedelta(seconds=59))
    assert kept.claim("1:a", "done", "same") == FIRST
    with pytest.raises(StillAtWork):
        kept.claim("1:a", "killed", "same")
    pass_time(timedelta(seconds=2))
    assert isinstance(kept.claim("1:a", "killed", "same"), Claim)
    pass_time(timedelta(hours=24) - timedelta(seconds=62))
    assert kept.claim("1:a", "done", "same") == FIRST
    pass_time(timedelta(seconds=2))
    assert isinstance(kept.claim("1:a", "done", "same"), Claim)


def test_whoever_lost_a_key_cannot_write_over_the_answer_of_the_one_who_has_it(store):
    kept = KeptAnswers(store)
    late = kept.claim("1:a", "key", "same")
    with store.session() as session:
        session.execute(update(KeptAnswer).values(ends_at=datetime.now(UTC) - timedelta(seconds=1)))
    kept.keep(kept.claim("1:a", "key", "same"), FIRST)
    kept.keep(late, Answered(200, [], b"late"))
    kept.release(late)
    assert kept.claim("1:a", "key", "same") == FIRST


@pytest.mark.parametrize("key", ["", "a" * 256, "two words", "ключ", "line\nbreak"])
def test_a_key_that_is_none_is_refused(key):
    with pytest.raises(BadKey):
        check_key(key)


@pytest.fixture
def shop(tmp_path):
    """Two apps on one store, as two processes would have it, with a route that is slow and counts."""
    home = Home(tmp_path / "home")
    home.make()
    store = Store(home.database_url)
    add_user(store, "admin@example.com", PASSWORD, "admin")
    add_user(store, "analyst@example.com", PASSWORD, "analyst")
    done: list[bytes] = []
    failing = threading.Event()
    apps = [create_app(Settings(home=home.root)) for _ in range(2)]
    for app in apps:

        @app.post("/api/v1/orders", status_code=201)
        def order(request: Request, given: dict) -> dict:
            if failing.is_set():
                raise ZeroDivisionError
            time.sleep(given.get("slow", 0))
            done.append(request.headers["authorization"].encode())
            return {"number": len(done)}

    yield Shop(apps, done, failing)
    for app in apps:
        app.state.server.store.close()
    store.close()


class Shop:
    def __init__(self, apps, done, failing):
        self.apps, self.done, self.failing = apps, done, failing
        self._tokens: dict[str, str] = {}

    def token(self, who: str) -> str:
        if who not in self._tokens:
            given = {"email": f"{who}@example.com", "password": PASSWORD}
            self._tokens[who] = self.post("/api/v1/session", given, who=None).json()["token"]
        return self._tokens[who]

    def post(self, path, given, *, key=None, who="admin", app=0) -> httpx.Response:
        headers = {"idempotency-key": key} if key is not None else {}
        if who:
            headers["authorization"] = f"Bearer {self.token(who)}"

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.apps[app], raise_app_exceptions=False, client=("127.0.0.1", 5))
            async with httpx.AsyncClient(transport=transport, base_url=LOCAL) as client:
                return await client.post(path, json=given, headers=headers)

        return asyncio.run(send())

    def order(self, **how) -> httpx.Response:
        return self.post("/api/v1/orders", how.pop("given", {}), **how)


def test_a_repeated_write_is_done_once_and_answered_alike_by_another_process(shop):
    first, again = shop.order(key="k1"), shop.order(key="k1", app=1)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json() == {"number": 1}
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert "default-src" in again.headers["content-security-policy"]
    assert first.headers["x-request-id"] != again.headers["x-request-id"]
    assert len(shop.done) == 1


def test_another_body_under_the_same_key_is_refused_and_other_keys_and_users_are_not(shop):
    assert shop.order(key="k1", given={"a": 1}).json() == {"number": 1}
    refused = shop.order(key="k1", given={"a": 2})
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    assert shop.order(key="k2", given={"a": 1}).json() == {"number": 2}
    assert shop.order(key="k1", given={"a": 1}, who="analyst").json() == {"number": 3}
    assert shop.order(given={"a": 1}).json() == {"number": 4}


def test_of_many_at_once_one_is_done_and_the_others_are_told_to_wait(shop):
    shop.token("admin")
    with ThreadPoolExecutor(8) as pool:
        wanted = [pool.submit(shop.order, key="k1", given={"slow": 1.5}, app=n % 2) for n in range(8)]
        answers = [one.result() for one in wanted]
    assert sorted({a.status_code for a in answers} - {409}) == [201]
    assert len(shop.done) == 1
    assert all(a.headers["retry-after"] == "1" for a in answers if a.status_code == 409)
    assert shop.order(key="k1", given={"slow": 1.5}).json() == {"number": 1}


def test_what_failed_unforeseen_is_tried_again_under_the_same_key(shop):
    shop.failing.set()
    assert shop.order(key="k1").status_code == 500
    shop.failing.clear()
    assert shop.order(key="k1").json() == {"number": 1}


def test_a_refusal_by_the_route_is_an_answer_too(shop):
    first = shop.post("/api/v1/orders", ["no object"], key="k1")
    again = shop.post("/api/v1/orders", ["no object"], key="k1")
    assert (first.status_code, again.status_code) == (422, 422)
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"


def test_strangers_keep_nothing_and_bad_keys_are_told(shop):
    deal = {"deal_id": "d", "stage": "Propose", "created_at": "2026-01-01T00:00:00Z"}
    assert shop.post("/api/v1/score", {"deals": [deal]}, key="k1", who=None).status_code == 401
    assert shop.order(key="two words").status_code == 400
    with shop.apps[0].state.server.store.reading() as session:
        assert session.scalars(select(KeptAnswer)).all() == []


def test_answers_that_hold_a_token_are_never_kept(shop):
    given = {"email": "admin@example.com", "password": PASSWORD}
    first = shop.post("/api/v1/session", given, key="k1", who="admin")
    assert first.json()["token"]
    given = {"name": "robot", "scopes": ["read"], "days": 1}
    made = [shop.post("/api/v1/tokens", given, key="k1") for _ in range(2)]
    assert "idempotency-replayed" not in made[1].headers
    with shop.apps[0].state.server.store.reading() as session:
        assert session.scalars(select(KeptAnswer)).all() == []


def test_a_long_request_keeps_its_key(shop, monkeypatch):
    monkeypatch.setattr(idempotency, "LEASE", timedelta(seconds=1))
    monkeypatch.setattr("serving.middleware.repeats.LEASE", timedelta(seconds=1))
    shop.token("admin")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(shop.order, key="k1", given={"slow": 3})
        time.sleep(2)
        assert shop.order(key="k1", given={"slow": 3}, app=1).status_code == 409
        assert first.result().json() == {"number": 1}
    assert len(shop.done) == 1
