"""The job that trains: after the win model it leaves effects measured on the same history, then asks for scores."""

from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import ANY

import pandas as pd
import pytest

from crm.lake import newest_event
from crm.simulate import lake_view, simulate
from serving.home import Home
from serving.jobs.queue import JobLost, Queue
from serving.jobs.tasks import Work, do
from serving.scores import read_pointer
from serving.settings import Settings
from serving.store import Store
from training import registry
from training.effects import newest_effects


@pytest.fixture(scope="module")
def sample():
    return lake_view(simulate(reps=8, months=10, seed=3))


@contextmanager
def claimed(sample, folder):
    """Eight reps over ten months, a claimed job that trains the win model of them, and what it says."""
    home = Home(folder)
    home.make()
    home.lake.merge({name: sample.arrow(name) for name in sample.present}, source="test")
    store = Store(home.database_url)
    queue = Queue(store)
    queue.ask("train", {"what": "win", "trials": 0})
    job = queue.claim("w")
    said = []

    def tell(text, done):
        said.append(text)
        queue.tell(job.job_id, "w", text, done)

    yield Work(Settings(home=home.root), home, store, job, tell), said
    store.close()


@pytest.fixture(scope="module")
def trained(sample, tmp_path_factory):
    """The job done once for the tests that look at what it left: work, what it said and gave, what waits then."""
    with claimed(sample, tmp_path_factory.mktemp("trained") / "home") as (work, said):
        outcome = do(work)
        waits = Queue(work.store).waiting("score").job_id
        Queue(work.store).end(work.job.job_id, "w", "done", outcome.text, outcome.result)
        yield work, said, outcome.result, waits


def test_training_the_win_model_leaves_effects_and_asks_for_scores(trained):
    work, said, found, waits = trained
    assert [m["what"] for m in found["models"]] == ["win"]
    assert found["missing"] == {}
    effects = newest_effects(tracking=work.home.tracking)
    assert set(effects.table["until"]) == {newest_event(work.home.lake.view())}
    assert any(text.startswith("effects: ") for text in said)
    assert found["score_job"] == waits


def test_deals_are_scored_before_their_ranges_and_again_with_them(trained):
    work, *_ = trained

    def next_job():
        job = Queue(work.store).claim("w")
        outcome = do(replace(work, job=job, tell=lambda _text, _done: None))
        Queue(work.store).end(job.job_id, "w", "done", outcome.text, outcome.result)
        return job.kind, outcome.result

    def scored():
        return pd.read_parquet(work.home.scores / read_pointer(work.home.scores) / "deals.parquet")

    assert next_job()[0] == "score"
    first = scored()
    assert first["win_probability"].notna().all()
    assert first["win_probability_low"].isna().all()

    kind, made = next_job()
    assert (kind, made["made"]) == ("ranges", True)
    assert next_job() == ("score", ANY)
    second = scored()
    assert (second["win_probability_low"] < second["win_probability"]).all()
    assert (second["win_probability"] < second["win_probability_high"]).all()
    pd.testing.assert_series_equal(second["win_probability"], first["win_probability"])
    assert Queue(work.store).claim("w") is None  # nothing is left to do


def test_a_job_that_is_stopped_measures_and_trains_no_further(sample, tmp_path):
    with claimed(sample, tmp_path / "home") as (work, _):
        Queue(work.store).cancel(work.job.job_id)
        with pytest.raises(JobLost):
            do(work)
        with pytest.raises(registry.NoModel):
            registry.champion("win", tracking=work.home.tracking)
