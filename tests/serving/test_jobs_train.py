"""The job that trains: after the win model it leaves effects measured on the same history, then asks for scores."""

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


@pytest.fixture
def train(tmp_path):
    """Eight reps over ten months, and a claimed job that trains the win model of them."""
    home = Home(tmp_path / "home")
    home.make()
    sample = lake_view(simulate(reps=8, months=10, seed=3))
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


def test_training_the_win_model_leaves_effects_and_asks_for_scores(train):
    work, said = train
    found = do(work).result
    assert [m["what"] for m in found["models"]] == ["win"]
    assert found["missing"] == {}
    effects = newest_effects(tracking=work.home.tracking)
    assert set(effects.table["until"]) == {newest_event(work.home.lake.view())}
    assert any(text.startswith("effects: ") for text in said)
    assert found["score_job"] == Queue(work.store).waiting("score").job_id


def test_deals_are_scored_before_their_ranges_and_again_with_them(train):
    work, _ = train

    def next_job():
        job = Queue(work.store).claim("w")
        outcome = do(replace(work, job=job, tell=lambda _text, _done: None))
        Queue(work.store).end(job.job_id, "w", "done", outcome.text, outcome.result)
        return job.kind, outcome.result

    def scored():
        return pd.read_parquet(work.home.scores / read_pointer(work.home.scores) / "deals.parquet")

    outcome = do(work)
    Queue(work.store).end(work.job.job_id, "w", "done", outcome.text, outcome.result)
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


def test_a_job_that_is_stopped_measures_and_trains_no_further(train):
    work, _ = train
    Queue(work.store).cancel(work.job.job_id)
    with pytest.raises(JobLost):
        do(work)
    with pytest.raises(registry.NoModel):
        registry.champion("win", tracking=work.home.tracking)
