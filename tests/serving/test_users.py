"""Users, tokens, one-time links and waits after wrong passwords, on SQLite and PostgreSQL."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from serving.passwords import BadPassword
from serving.sign_in import WrongPassword, sign_in, viewer_of
from serving.store import Store
from serving.tables.base import Base
from serving.tables.users import ApiToken, FailedTries, OneTimeLink
from serving.tokens import BadToken, UnknownToken, make_token, revoke, tokens_of
from serving.tries import TooManyTries, Try, wait
from serving.users import (
    BadUser,
    LastAdministrator,
    LinkEnded,
    UnknownUser,
    add_user,
    all_users,
    change_user,
    link_email,
    make_link,
    read_user,
    use_link,
)

PASSWORD = "a long password"


@pytest.fixture
def ann(store: Store) -> int:
    return add_user(store, "ann@example.com", PASSWORD, "admin")


def later(store: Store, table: type[Base], column: str, by: timedelta) -> None:
    """Move a moment of every row into the past, as if time had gone by."""
    kept = getattr(table, column)
    with store.session() as session:
        for row in session.query(table):
            session.execute(update(table).where(_same(table, row)).values({kept: getattr(row, column) - by}))


def _same(table, row):
    (key,) = table.__table__.primary_key
    return key == getattr(row, key.name)


def test_whoever_is_ended_can_do_nothing_from_then_on_and_can_come_back(store, ann):
    bo = add_user(store, "bo@example.com", PASSWORD, "rep", rep_id="r1")
    session = sign_in(store, "bo@example.com", PASSWORD)
    _, token = make_token(store, read_user(store, bo), "script", ["read"], days=1)
    change_user(store, bo, active=False)
    assert (viewer_of(store, session), viewer_of(store, token)) == (None, None)
    with pytest.raises(WrongPassword):
        sign_in(store, "bo@example.com", PASSWORD)
    change_user(store, bo, active=True)
    assert viewer_of(store, session) is None  # that session is over for good
    assert viewer_of(store, token).user_id == bo
    assert [u.email for u in all_users(store)] == ["ann@example.com", "bo@example.com"]


def test_a_changed_role_counts_at_once(store, ann):
    bo = add_user(store, "bo@example.com", PASSWORD, "rep", rep_id="r1")
    session = sign_in(store, "bo@example.com", PASSWORD)
    change_user(store, bo, role="manager", rep_id="m1")
    viewer = viewer_of(store, session)
    assert (viewer.role, viewer.rep_id) == ("manager", "m1")
    change_user(store, bo, role="rep")  # the rep stays as it was
    assert (viewer_of(store, session).role, viewer_of(store, session).rep_id) == ("rep", "m1")


def test_the_last_administrator_stays(store, ann):
    for change in ({"active": False}, {"role": "analyst"}):
        with pytest.raises(LastAdministrator):
            change_user(store, ann, **change)
    assert (read_user(store, ann).role, read_user(store, ann).ended_at) == ("admin", None)
    add_user(store, "bo@example.com", PASSWORD, "admin")
    assert change_user(store, ann, active=False).ended_at is not None


def test_a_user_cannot_be_changed_into_one_that_cannot_be(store, ann):
    with pytest.raises(BadUser, match="--rep"):
        change_user(store, add_user(store, "bo@example.com", PASSWORD, "analyst"), role="rep")
    with pytest.raises(UnknownUser):
        change_user(store, 4711, role="admin")


def test_a_link_lets_its_user_choose_a_password_once(store, ann):
    bo = add_user(store, "bo@example.com", None, "analyst")
    with pytest.raises(WrongPassword):
        sign_in(store, "bo@example.com", "")
    link = make_link(store, bo)
    assert link_email(store, link) == "bo@example.com"
    with pytest.raises(BadPassword):
        use_link(store, link, "short")
    assert use_link(store, link, "chosen by bo") == "bo@example.com"
    assert viewer_of(store, sign_in(store, "bo@example.com", "chosen by bo")).user_id == bo
    with pytest.raises(LinkEnded):
        use_link(store, link, "chosen by eve")


def test_a_link_ends_after_an_hour_with_a_newer_one_and_with_its_user(store, ann):
    bo = add_user(store, "bo@example.com", None, "analyst")
    old, new = make_link(store, bo), make_link(store, bo)
    with pytest.raises(LinkEnded):
        link_email(store, old)
    later(store, OneTimeLink, "ends_at", timedelta(minutes=59))
    assert link_email(store, new) == "bo@example.com"
    later(store, OneTimeLink, "ends_at", timedelta(minutes=2))
    with pytest.raises(LinkEnded):
        link_email(store, new)
    last = make_link(store, bo)
    change_user(store, bo, active=False)
    with pytest.raises(LinkEnded):
        use_link(store, last, PASSWORD)


def test_the_first_administrators_link_works_only_while_there_are_no_users(store):
    link = make_link(store)
    assert link_email(store, link) is None
    with pytest.raises(BadUser):
        use_link(store, link, PASSWORD, email="ann")
    assert use_link(store, link, PASSWORD, email="Ann@example.com") == "ann@example.com"
    assert viewer_of(store, sign_in(store, "ann@example.com", PASSWORD)).role == "admin"
    with pytest.raises(LinkEnded):
        link_email(store, make_link(store))


def test_a_link_used_by_two_at_once_serves_one(store, ann):
    link, outcomes = make_link(store, add_user(store, "bo@example.com", None, "analyst")), []

    def use(password):
        try:
            outcomes.append(use_link(store, link, password))
        except LinkEnded:
            outcomes.append(None)

    threads = [threading.Thread(target=use, args=(f"password number {n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes, key=str) == [None, None, None, "bo@example.com"]


def test_a_token_has_the_scopes_it_was_made_for_and_never_more_than_its_user(store, ann):
    user = read_user(store, ann)
    row, secret = make_token(store, user, "nightly export", ["read", "admin"], days=30)
    viewer = viewer_of(store, secret)
    assert (viewer.user_id, viewer.role, viewer.scopes, viewer.by_token) == (ann, "admin", {"read", "admin"}, True)
    bo = add_user(store, "bo@example.com", PASSWORD, "analyst")
    with pytest.raises(BadToken, match="cannot give admin"):
        make_token(store, read_user(store, bo), "too much", ["read", "admin"], days=30)
    change_user(store, bo, role="admin")
    change_user(store, ann, role="analyst")
    assert viewer_of(store, secret).scopes == {"read"}  # less, now that the role is less
    assert (row.ends_at - row.made_at) == timedelta(days=30)


@pytest.mark.parametrize("given", [{"scopes": [], "days": 1}, {"scopes": ["root"], "days": 1}])
def test_a_token_without_known_scopes_is_refused(store, ann, given):
    with pytest.raises(BadToken, match="scopes"):
        make_token(store, read_user(store, ann), "x", **given)


@pytest.mark.parametrize("days", [0, 367])
def test_a_token_ends_within_a_year(store, ann, days):
    with pytest.raises(BadToken, match=f"{days} is out of range"):
        make_token(store, read_user(store, ann), "x", ["read"], days=days)


def test_revoked_and_ended_tokens_stand_for_nobody(store, ann):
    user = read_user(store, ann)
    one, first = make_token(store, user, "one", ["read"], days=1)
    _, second = make_token(store, user, "two", ["read"], days=1)
    with pytest.raises(UnknownToken):
        revoke(store, ann + 1, one.token_id)  # somebody else's
    assert viewer_of(store, first) is not None
    revoke(store, ann, one.token_id)
    assert viewer_of(store, first) is None
    later(store, ApiToken, "ends_at", timedelta(hours=23))
    assert viewer_of(store, second) is not None
    later(store, ApiToken, "ends_at", timedelta(hours=2))
    assert viewer_of(store, second) is None
    assert [row.name for row in tokens_of(store, ann)] == ["two", "one"]


def test_a_token_tells_when_it_was_last_used(store, ann):
    _, secret = make_token(store, read_user(store, ann), "x", ["read"], days=1)
    assert tokens_of(store, ann)[0].used_at is None
    before = datetime.now(UTC)
    viewer_of(store, secret)
    used = tokens_of(store, ann)[0].used_at
    assert before <= used <= datetime.now(UTC)
    viewer_of(store, secret)
    assert tokens_of(store, ann)[0].used_at == used  # written once a minute at most
    later(store, ApiToken, "used_at", timedelta(minutes=2))
    viewer_of(store, secret)
    assert tokens_of(store, ann)[0].used_at > used


def test_the_token_itself_is_not_kept(store, ann):
    _, secret = make_token(store, read_user(store, ann), "x", ["read"], days=1)
    link = make_link(store, ann)
    with store.engine.connect() as connection:
        kept = str([connection.execute(table.select()).all() for table in Base.metadata.sorted_tables])
    assert secret not in kept
    assert secret.removeprefix("bw_") not in kept
    assert link not in kept


def test_the_wait_doubles_up_to_a_quarter_of_an_hour():
    # Free tries: none waits. From there 5 s, 10 s, 20 s ... and never above 900 s.
    assert [wait(n, 5).total_seconds() for n in (1, 4, 5, 6, 7, 12, 13, 99)] == [0, 0, 5, 10, 20, 640, 900, 900]


def five_wrong(store, email):
    for _ in range(5):
        with pytest.raises(WrongPassword):
            sign_in(store, email, "wrong password", address="192.0.2.1")


@pytest.mark.parametrize("email", ["ann@example.com", "nobody@example.com"])
def test_the_fifth_wrong_password_makes_known_and_unknown_wait_alike(store, ann, email):
    five_wrong(store, email)
    with pytest.raises(TooManyTries) as caught:
        sign_in(store, email, PASSWORD, address="192.0.2.2")  # from anywhere, and though it is the right one
    assert 4 <= caught.value.seconds <= 5


def test_another_process_knows_of_the_wait(store, ann):
    five_wrong(store, "ann@example.com")
    other = Store(store.engine.url.render_as_string(hide_password=False))
    with pytest.raises(TooManyTries):
        sign_in(other, "ann@example.com", PASSWORD)
    other.close()


def test_after_the_wait_the_right_password_counts_and_all_is_forgotten(store, ann):
    five_wrong(store, "ann@example.com")
    later(store, FailedTries, "wait_until", timedelta(seconds=6))
    assert sign_in(store, "ann@example.com", PASSWORD, address="192.0.2.1")
    with pytest.raises(WrongPassword):
        sign_in(store, "ann@example.com", "wrong password")


def test_an_address_that_tries_many_users_waits(store):
    for n in range(30):
        Try(f"user{n}@example.com", "192.0.2.1").begin(store)
    with pytest.raises(TooManyTries):
        Try("user99@example.com", "192.0.2.1").begin(store)
    Try("user99@example.com", "192.0.2.2").begin(store)  # another address is heard


def test_right_passwords_never_make_an_address_wait(store):
    for n in range(40):
        attempt = Try(f"user{n}@example.com", "192.0.2.1")
        attempt.begin(store)
        attempt.was_right(store)


def test_guesses_made_all_at_once_are_all_counted(store):
    heard = []

    def guess():
        try:
            Try("ann@example.com", "192.0.2.1").begin(store)
            heard.append(True)
        except TooManyTries:
            heard.append(False)

    threads = [threading.Thread(target=guess) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (heard.count(True), len(heard)) == (5, 12)


def test_what_is_kept_of_tries_names_nobody(store):
    Try("ann@example.com", "192.0.2.1").begin(store)
    with store.engine.connect() as connection:
        kept = str(connection.execute(FailedTries.__table__.select()).all())
    assert "ann" not in kept
    assert "192.0.2.1" not in kept
