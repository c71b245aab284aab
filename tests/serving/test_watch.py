"""Watching, replaying and exporting a small company with a real model in use."""

import shutil
from decimal import Decimal

import duckdb
import pandas as pd
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from crm.lake import newest_event
from serving import watched
from serving.app import create_app
from serving.cli import app
from serving.home import Home
from serving.jobs.queue import Queue
from serving.jobs.tasks import Work, do
from serving.ledger import Ledger
from serving.replay import NothingIssued, replay
from serving.settings import Settings
from serving.store import Store
from serving.tables_out import VIEWS
from tests.serving.asked import ask
from training.retrain import Retrain

RUN = CliRunner()


@pytest.fixture(scope="module")
def home(live_home, tmp_path_factory):
    """A copy of the scored company, to which more comes afterwards."""
    place = tmp_path_factory.mktemp("watch") / "home"
    shutil.copytree(live_home.root, place)
    return Home(place)


@pytest.fixture(scope="module")
def store(home):
    made = Store(home.database_url)
    yield made
    made.close()


def run(home, *words):
    done = RUN.invoke(app, [*words, "--home", str(home.root)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_monitor_says_what_calls_for_training_and_the_figures_reach_the_metrics(home):
    said = run(home, "monitor").output
    lines = {line.split("\t")[1]: line.split("\t") for line in said.splitlines() if line.count("\t") == 3}
    assert {"schedule", "new outcomes", "feature definitions", "input drift", "calibration drift"} <= set(lines)
    # The model was made from all data there is.
    assert lines["schedule"][2] == "no"
    assert "Its data end 0 days before the newest" in lines["schedule"][3]
    made = create_app(Settings(home=home.root))
    text = ask(made, "/metrics").text
    assert 'bellwether_retrain_due{model="win",trigger="schedule"} 0.0' in text
    assert "bellwether_data_alerts 0.0" in text
    made.state.server.store.close()


def test_the_nightly_look_keeps_what_it_found_and_trains_what_is_due_where_the_policy_says_so(home, store, monkeypatch):
    (home.root / watched.FILE).unlink(missing_ok=True)
    always = Retrain(every_days=0.0, automatic=True)
    monkeypatch.setattr("serving.monitoring.retrain_policy", lambda: always)
    monkeypatch.setattr("training.retrain.retrain_policy", lambda: always)
    queue = Queue(store)
    job = queue.ask("monitor", {}, how="schedule")
    outcome = do(Work(Settings(home=home.root), home, store, job, lambda _text, _done=None: None))
    assert watched.newest(home).due == outcome.result["due"]
    assert "win" in outcome.result["due"]
    asked = [queue.find(number) for number in outcome.result["train_jobs"]]
    assert [j.params["what"] for j in asked] == outcome.result["due"]
    assert asked[0].params == {"what": "win", "like": "champion"}  # with the parameters it has
    again = do(Work(Settings(home=home.root), home, store, job, lambda _text, _done=None: None))
    assert again.result["train_jobs"] == []  # those that wait are enough
    for one in [job, *asked]:
        queue.cancel(one.job_id)


def test_what_was_issued_comes_out_again_from_the_data_of_then(home, store):
    issued = Ledger(store).sealed(kind="issued")
    day = issued[0].as_of.date()
    # Data that came afterwards must not matter: every open deal's amount is corrected.
    deals = home.lake.view().arrow("deals")
    one = pa.array([Decimal(1)] * len(deals), deals.schema.field("amount").type)
    home.lake.merge({"deals": deals.set_column(deals.column_names.index("amount"), "amount", one)}, source="later")
    found = replay(home, store, day)
    assert {c.entity for c in found} == {row.entity for row in issued}
    assert all(c.holds and c.rows == c.same and c.largest <= 1e-9 for c in found), found


def test_a_number_that_differs_is_counted(home, store, monkeypatch):
    day = Ledger(store).sealed(kind="issued")[0].as_of.date()
    import serving.replay as module

    real = module.rebuild

    def otherwise(*args):
        frames = real(*args)
        frames["deals"].loc[0, "win_probability"] += 0.25
        return frames

    monkeypatch.setattr(module, "rebuild", otherwise)
    (deal,) = [c for c in replay(home, store, day) if c.entity == "deal"]
    assert (deal.rows - deal.same, deal.holds) == (1, False)
    assert deal.largest == pytest.approx(0.25)
    assert deal.differing == ("win_probability",)


def test_a_day_without_forecasts_names_the_nearest(home, store):
    day = Ledger(store).sealed()[0].as_of.date()
    with pytest.raises(NothingIssued, match=f"no forecasts of 2001-01-01. Days nearest to it: {day}"):
        replay(home, store, pd.Timestamp("2001-01-01").date())


def test_features_scores_and_snapshots_are_written_as_parquet_and_csv(home, tmp_path):
    assert "features_deals.parquet" in run(home, "export", "features", "--out", str(tmp_path)).output
    features = pd.read_parquet(tmp_path / "features_deals.parquet")
    deals = home.lake.view().arrow("deals").to_pandas()
    assert set(features["deal_id"]) == set(deals.loc[deals["outcome"] == "open", "deal_id"])
    assert {"features_reps.parquet", "features_accounts.parquet"} <= {p.name for p in tmp_path.iterdir()}
    run(home, "export", "scores", "--out", str(tmp_path), "--format", "csv")
    scores = pd.read_csv(tmp_path / "deals.csv")
    assert scores["win_probability"].between(0, 1).all()
    run(home, "export", "snapshots", "--out", str(tmp_path))
    snapshots = pd.read_parquet(tmp_path / "snapshots.parquet")
    assert {"deal_id", "as_of", "outcome", "closed_at"} <= set(snapshots)
    assert snapshots["as_of"].max() == newest_event(home.lake.view())


def test_the_duckdb_file_answers_in_sql_and_every_view_says_what_it_is(home, tmp_path):
    file = tmp_path / "company.duckdb"
    run(home, "export", "sql", "--out", str(file))
    deals = home.lake.view().arrow("deals").to_pandas()
    with duckdb.connect(str(file), read_only=True) as con:
        comments = dict(con.sql("select view_name, comment from duckdb_views() where not internal").fetchall())
        assert all(comments[name] == says for name, (says, _) in VIEWS.items())
        for name in VIEWS:
            assert con.sql(f"select count(*) from {name}").fetchall()[0][0] > 0
        won = con.sql("select sum(won_deals) from bookings_by_month").fetchall()[0][0]
    kept = deals[(deals["outcome"] == "won") & (deals["kind"] != "lead")]
    assert won == len(kept)
    file.write_text("not a database at all")
    assert run_fails(home, file)


def run_fails(home, file):
    done = RUN.invoke(app, ["export", "sql", "--out", str(file), "--home", str(home.root)])
    return "is no DuckDB file" in str(done.exception)
