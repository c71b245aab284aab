"""Answers on suggestions: which of them keep a suggestion from coming again, and for how long."""

from datetime import UTC, datetime, timedelta

import pytest

from serving.access import Viewer
from serving.feedback import REST_DAYS, answers, keep_answer, not_again, take_back
from serving.users import add_user

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def viewer(store):
    return Viewer("rep", "r", add_user(store, "r@example.com", None, "rep", rep_id="r1"), "r1")


def say(store, viewer, deal, answer):
    keep_answer(store, viewer, entity_id=deal, action="demo", answer=answer, as_of=AS_OF, model_version="1")


@pytest.mark.parametrize(
    ("answer", "soon", "later"),
    [
        ("done", True, False),
        ("helped", True, False),
        ("did_not_help", True, False),
        ("not_now", True, False),
        ("wrong", True, True),
    ],
)
def test_what_was_done_or_put_off_rests_and_what_is_wrong_stays_away(store, viewer, answer, soon, later):
    say(store, viewer, "d1", answer)
    now = datetime.now(UTC)
    assert (("d1", "demo") in not_again(store, at=now + timedelta(days=REST_DAYS - 1))) is soon
    assert (("d1", "demo") in not_again(store, at=now + timedelta(days=REST_DAYS + 1))) is later
    assert ("d2", "demo") not in not_again(store, at=now)


def test_an_answer_can_be_changed_and_taken_back(store, viewer):
    say(store, viewer, "d1", "wrong")
    say(store, viewer, "d1", "not_now")
    assert answers(store, viewer, "d1", as_of=AS_OF) == {"demo": "not_now"}
    take_back(store, viewer, entity_id="d1", action="demo", as_of=AS_OF)
    assert answers(store, viewer, "d1", as_of=AS_OF) == {}
    assert not_again(store, at=datetime.now(UTC)) == frozenset()
    take_back(store, viewer, entity_id="d1", action="demo", as_of=AS_OF)  # nothing there: nothing happens
