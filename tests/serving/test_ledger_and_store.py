"""The store on SQLite and PostgreSQL: migrations, the ledger's chain, people, sign-in, jobs."""

import threading
from datetime import UTC, datetime

import pandas as pd
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from serving.jobs import Steps
from serving.ledger import Ledger
from serving.passwords import BadPassword
from serving.people import StorePeople, UnknownPerson
from serving.score_history import score_history
from serving.sign_in import WrongPassword, sign_in, sign_out, viewer_of
from serving.store import BadDatabaseUrl, Store, StoreUnreachable, upgrade
from serving.tables.base import Base
from serving.users import BadUser, add_user, set_password

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
FORECASTS = pd.DataFrame({"deal_id": ["d1", "d2"], "p_win_in_period": [0.25, 0.5]})


def seal(ledger, kind="issued", forecasts=FORECASTS, as_of=AS_OF, version="1"):
    return ledger.add(kind, "deal", forecasts, as_of=as_of, model_version=version, data_cut=7)


def test_the_migrations_make_the_tables_that_the_code_declares(store):
    with store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_opening_a_store_again_changes_nothing(store):
    seal(Ledger(store))
    upgrade(store.engine)
    assert Ledger(store).verify().checked == 1


def test_what_is_no_database_url_is_said_so():
    with pytest.raises(BadDatabaseUrl, match="no database URL"):
        Store("var/store.db")


def test_a_server_that_does_not_answer_is_said_so():
    with pytest.raises(StoreUnreachable, match="cannot be opened"):
        Store("postgresql+psycopg://nobody@127.0.0.1:9/none")


def test_forecasts_come_back_as_they_were_issued_and_kinds_stay_apart(store):
    ledger = Ledger(store)
    seal(ledger)
    seal(ledger, kind="reconstructed", forecasts=FORECASTS.assign(p_win_in_period=[0.1, 0.2]))
    issued, past = ledger.forecasts("issued", "deal"), ledger.forecasts("reconstructed", "deal")
    assert issued["p_win_in_period"].tolist() == [0.25, 0.5]
    assert past["p_win_in_period"].tolist() == [0.1, 0.2]
    assert issued["as_of"].unique().tolist() == [pd.Timestamp(AS_OF)]
    assert ledger.forecasts("issued", "rep").empty


def test_two_writers_at_once_make_one_chain(store):
    ledger = Ledger(store)
    failed = []

    def write():
        try:
            for _ in range(5):
                seal(ledger)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    verdict = ledger.verify()
    assert (verdict.whole, verdict.checked) == (True, 15)
    assert [row.number for row in ledger.sealed()] == list(range(1, 16))


def test_a_person_keeps_one_key_and_the_newest_name(store):
    book = StorePeople(store)
    first = book.keys_for("rep", ["r1", "r2"], [{"name": "Ann"}, {"name": "Bo"}])
    again = book.keys_for("rep", ["r2", "r1", "c1"], [{"name": "Bo B."}, {"email": "ann@example.com"}, {}])
    assert again[:2] == [first[1], first[0]]
    assert book.names() == {first[0]: "Ann", first[1]: "Bo B."}
    assert book.keys_for("contact", ["r1"], [{}])[0] not in first  # a contact may share a rep's identifier


def test_an_erased_person_leaves_no_trace_and_does_not_come_back(store):
    book = StorePeople(store)
    (key,) = book.keys_for("rep", ["Ann Name"], [{"name": "Ann Name", "email": "ann@name.example"}])
    book.erase(key)
    assert book.names() == {}
    assert book.keys_for("rep", ["Ann Name"], [{"name": "Ann Name"}]) == [key]
    assert book.names() == {}
    with store.engine.connect() as connection:
        for table in Base.metadata.sorted_tables:
            assert "Ann Name" not in str(connection.execute(table.select()).all())
    with pytest.raises(UnknownPerson):
        book.erase(key)


def test_a_token_stands_for_its_user_until_sign_out(store):
    number = add_user(store, "Ann@Example.com", "a long password", "manager", rep_id="r1")
    token = sign_in(store, "ann@example.com", "a long password")
    viewer = viewer_of(store, token)
    assert (viewer.user_id, viewer.role, viewer.rep_id, viewer.signed_in) == (number, "manager", "r1", True)
    sign_out(store, token)
    assert viewer_of(store, token) is None


def test_neither_password_nor_token_is_kept_readable(store):
    add_user(store, "ann@example.com", "a long password", "admin")
    token = sign_in(store, "ann@example.com", "a long password")
    with store.engine.connect() as connection:
        kept = str([connection.execute(table.select()).all() for table in Base.metadata.sorted_tables])
    assert token not in kept
    assert "a long password" not in kept


def test_a_token_ends_when_its_days_are_over(store):
    add_user(store, "ann@example.com", "a long password", "admin")
    token = sign_in(store, "ann@example.com", "a long password", days=0)
    assert viewer_of(store, token) is None


def test_a_wrong_password_and_an_unknown_user_are_told_in_the_same_words(store):
    add_user(store, "bo@example.com", "a long password", "admin")
    said = []
    for email in ("bo@example.com", "nobody@example.com"):
        with pytest.raises(WrongPassword) as caught:
            sign_in(store, email, "another password")
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_a_new_password_ends_all_sessions(store):
    add_user(store, "ann@example.com", "a long password", "admin")
    token = sign_in(store, "ann@example.com", "a long password")
    set_password(store, "ann@example.com", "another password")
    assert viewer_of(store, token) is None
    assert viewer_of(store, sign_in(store, "ann@example.com", "another password"))


@pytest.mark.parametrize(
    ("email", "password", "role", "rep", "said"),
    [
        ("ann", "a long password", "admin", None, "no e-mail"),
        ("ann@example.com", "short", "admin", None, "5 characters"),
        ("ann@example.com", "a long password", "boss", None, "rep, manager, analyst, admin"),
        ("ann@example.com", "a long password", "rep", None, "--rep"),
    ],
)
def test_a_user_that_cannot_be_is_refused_with_the_mend(tmp_path, email, password, role, rep, said):
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    with pytest.raises((BadUser, BadPassword), match=said):
        add_user(store, email, password, role, rep_id=rep)
    store.close()


def test_an_e_mail_is_given_once(store):
    add_user(store, "ann@example.com", "a long password", "admin")
    with pytest.raises(BadUser, match="already"):
        add_user(store, "ANN@example.com", "a long password", "admin")


def test_steps_show_what_is_done_what_failed_and_what_is_left(store):
    steps = Steps(store)
    steps.plan(["one", "two", "three"])
    with steps.running("one"):
        steps.tell("one", "half way", 0.5)
        assert (steps.all()[0].state, steps.all()[0].done, steps.all()[0].text) == ("running", 0.5, "half way")
    with pytest.raises(UnknownPerson), steps.running("two"):
        raise UnknownPerson("p_1")
    assert [s.state for s in steps.all()] == ["done", "failed", "waiting"]
    assert "p_1" in steps.all()[1].text
    steps.plan(["one", "two"])  # as after a restart: what is done stays so, the rest begins anew
    assert [(s.name, s.state) for s in steps.all()] == [("one", "done"), ("two", "waiting")]


def test_one_deals_forecasts_come_back_the_first_of_each_day_and_kinds_marked(store):
    ledger = Ledger(store)
    later, next_day = AS_OF.replace(hour=20), AS_OF.replace(day=2)
    seal(ledger, forecasts=FORECASTS.assign(win_probability=[0.1, 0.9]))
    seal(ledger, forecasts=FORECASTS.assign(win_probability=[0.2, 0.9]), as_of=later)
    seal(ledger, forecasts=FORECASTS.assign(win_probability=[0.3, 0.9]), as_of=next_day)
    seal(ledger, kind="reconstructed", forecasts=FORECASTS, as_of=AS_OF.replace(month=1))
    found = score_history(ledger, "d1")
    assert found["kind"].tolist() == ["reconstructed", "issued", "issued"]
    assert found["win_probability"].tolist()[1:] == [0.1, 0.3]  # not the second run of the first day
    assert score_history(ledger, "d9").empty
