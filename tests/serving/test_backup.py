"""Backups: every row comes back as it was, on either database; a home comes back whole, though it was being written."""

import io
import json
import stat
import tarfile
import threading

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext

from serving.backup import BadBackup, NotEmpty, back_up, restore
from serving.home import Home
from serving.ledger import Ledger
from serving.store import Store, UnknownRevision, upgrade
from serving.tables.base import Base
from serving.tables.users import User
from serving.users import add_user
from tests.serving.every_table import fill_every_table, rows_of
from tests.serving.small_site import fill, write_scores
from tests.serving.test_ledger_and_store import seal
from training.tracking import EXPERIMENT, client_of


@pytest.fixture
def place(tmp_path, store):
    """A home whose store is the one of the fixture: SQLite or PostgreSQL."""
    home = Home(tmp_path / "home", database_url=store.engine.url.render_as_string(hide_password=False))
    home.make()
    fill(home)
    write_scores(home)
    return home


def test_every_row_comes_back_on_another_database(place, store, tmp_path):
    fill_every_table(store)
    before = rows_of(store)
    assert all(len(rows) == 2 for rows in before.values())
    taken = back_up(place, tmp_path / "kept.tar.gz")
    assert taken.rows == dict.fromkeys(before, 2)
    restored = Home(tmp_path / "restored")  # on SQLite, wherever it came from
    restore(restored, tmp_path / "kept.tar.gz")
    other = Store(restored.database_url)
    assert rows_of(other) == before
    other.close()


def test_rows_of_sqlite_come_back_on_postgresql_which_goes_on_counting(postgres, tmp_path):
    home = Home(tmp_path / "home")
    home.make()
    first = Store(home.database_url)
    fill_every_table(first)
    before = rows_of(first)
    first.close()
    back_up(home, tmp_path / "kept.tar.gz")
    restored = Home(tmp_path / "restored", database_url=postgres)
    restore(restored, tmp_path / "kept.tar.gz")
    store = Store(postgres)
    try:
        assert rows_of(store) == before
        assert add_user(store, "new@example.com", None, "admin") == 3  # after the two that were there
        with pytest.raises(NotEmpty):
            restore(Home(tmp_path / "again", database_url=postgres), tmp_path / "kept.tar.gz")
    finally:
        with store.engine.begin() as connection:
            connection.exec_driver_sql("drop schema public cascade; create schema public")
        store.close()


def test_a_home_comes_back_with_lake_scores_and_settings(tmp_path):
    home = Home(tmp_path / "home")
    home.make()
    fill(home)
    write_scores(home)
    file = tmp_path / "kept.tar.gz"
    back_up(home, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    restored = Home(tmp_path / "restored")
    restore(restored, file)
    assert restored.lake.cut() == home.lake.cut()
    for table in home.lake.view().present:
        assert restored.lake.view().arrow(table).equals(home.lake.view().arrow(table))
    files = {p.relative_to(home.root): p.read_bytes() for p in home.scores.rglob("*") if p.is_file()}
    assert files == {p.relative_to(restored.root): p.read_bytes() for p in restored.scores.rglob("*") if p.is_file()}
    assert restored.company_file.read_bytes() == home.company_file.read_bytes()


def test_models_are_found_where_they_are_now(tmp_path):
    home = Home(tmp_path / "home")
    home.make()
    client = client_of(home.tracking)
    place = (home.root / "artifacts").as_uri()
    run = client.create_run(client.create_experiment(EXPERIMENT, artifact_location=place))
    client.log_text(run.info.run_id, "what the model is", "model.txt")
    back_up(home, tmp_path / "kept.tar.gz")
    home.root.rename(tmp_path / "gone")
    restored = Home(tmp_path / "restored")
    restore(restored, tmp_path / "kept.tar.gz")
    client = client_of(restored.tracking)
    assert client.get_run(run.info.run_id).info.artifact_uri.startswith((restored.root / "artifacts").as_uri())
    folder = client.download_artifacts(run.info.run_id, "", str(tmp_path))
    assert "what the model is" in (tmp_path / folder / "model.txt").read_text()


def test_a_backup_taken_while_the_ledger_is_written_is_whole(place, store, tmp_path):
    ledger, done = Ledger(store), threading.Event()

    def write():
        while not done.is_set():
            seal(ledger)

    for _ in range(3):
        seal(ledger)
    thread = threading.Thread(target=write)
    thread.start()
    try:
        taken = back_up(place, tmp_path / "kept.tar.gz")
    finally:
        done.set()
        thread.join()
    restored = Home(tmp_path / "restored")
    restore(restored, tmp_path / "kept.tar.gz")
    other = Store(restored.database_url)
    verdict = Ledger(other).verify()
    assert (verdict.whole, verdict.checked) == (True, taken.rows["ledger"])
    other.close()


def test_nothing_is_restored_into_what_is_there(tmp_path):
    home = Home(tmp_path / "home")
    home.make()
    back_up(home, tmp_path / "kept.tar.gz")
    with pytest.raises(NotEmpty, match="holds data already"):
        restore(home, tmp_path / "kept.tar.gz")


def _tar(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


@pytest.mark.parametrize("kind", ["text", "cut off", "another tar", "leads astray", "newer"])
def test_what_is_no_whole_backup_is_refused(tmp_path, kind):
    file = tmp_path / "kept.tar.gz"
    home = Home(tmp_path / "home")
    home.make()
    back_up(home, file)
    if kind == "text":
        file.write_text("not a backup")
    elif kind == "cut off":
        file.write_bytes(file.read_bytes()[:-200])
    elif kind == "another tar":
        _tar(file, {"letter.txt": b"dear reader"})
    elif kind == "leads astray":
        _tar(file, {"../outside.txt": b"out", "manifest.json": b"{}"})
    else:
        _tar(file, {"manifest.json": json.dumps({"form": 99}).encode()})
    with pytest.raises(BadBackup):
        restore(Home(tmp_path / "restored"), file)
    assert not (tmp_path / "outside.txt").exists()


def test_a_form_of_the_tables_that_is_not_known_is_said_so(tmp_path):
    with pytest.raises(UnknownRevision, match="9999"):
        Store(f"sqlite:///{tmp_path / 'store.db'}", revision="9999")


def test_migrations_go_down_and_up_with_rows_in_every_table(store):
    fill_every_table(store)
    users = rows_of(store)["users"]
    for target in ("0002", "0001"):
        _alembic(store, command.downgrade, target)
    upgrade(store.engine)
    with store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    # What the first form has of a user is still there.
    with store.reading() as session:
        kept = [(u.user_id, u.email, u.role, u.password_hash) for u in session.query(User).order_by(User.user_id)]
    columns = [c.name for c in User.__table__.columns]
    wanted = [columns.index(name) for name in ("user_id", "email", "role", "password_hash")]
    assert kept == [tuple(row[place] for place in wanted) for row in users]
    _alembic(store, command.downgrade, "base")
    upgrade(store.engine)
    assert rows_of(store)["users"] == []


def _alembic(store, what, target):
    config = Config()
    config.set_main_option("script_location", "serving/migrations")
    with store.engine.begin() as connection:
        config.attributes["connection"] = connection
        what(config, target)
