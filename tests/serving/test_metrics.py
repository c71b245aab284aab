"""Probes and metrics: who may ask, what is told of a running service, and that processes share their counts."""

import os
import subprocess
import sys
from datetime import UTC, datetime

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from serving.app import create_app
from serving.home import Home
from serving.jobs.queue import Queue
from serving.settings import Settings
from tests.serving.asked import LOCAL, ask
from tests.serving.small_site import fill, write_scores


@pytest.fixture
def home_of(tmp_path):
    """A new home."""
    made = Home(tmp_path / "home")
    made.make()
    return made


@pytest.fixture
def app_of(home_of):
    """Builds apps and gives back their connections in the end."""
    made: list[FastAPI] = []

    def build(**settings) -> FastAPI:
        made.append(create_app(Settings(home=home_of.root, **settings)))
        return made[-1]

    yield build
    for app in made:
        app.state.server.store.close()


def samples(text: str) -> dict[tuple[str, frozenset], float]:
    families = text_string_to_metric_families(text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def answers(text: str, route: str, status: int) -> float:
    labels = {"method": "GET", "route": route, "status": str(status)}
    return samples(text).get(("bellwether_requests_total", frozenset(labels.items())), 0)


def test_requests_are_counted_by_route_and_status_not_by_path(home_of, app_of):
    fill(home_of)
    write_scores(home_of)
    app = app_of()
    for deal in ("d1", "d2", "ann@example.com"):
        ask(app, f"/api/v1/deals/{deal}")
    ask(app, "/ann@example.com")
    text = ask(app, "/metrics").text
    # A real company: nobody is signed in, so each deal answers 401; what no route serves is one series.
    assert answers(text, "/api/v1/deals/{deal_id}", 401) == 3
    assert answers(text, "none", 404) == 1
    assert "ann@example.com" not in text
    route = frozenset({"method": "GET", "route": "/api/v1/deals/{deal_id}"}.items())
    assert samples(text)["bellwether_request_seconds_count", route] == 3


def test_metrics_tell_jobs_models_and_ages(home_of, app_of):
    fill(home_of)
    write_scores(home_of)
    app = app_of()
    queue = Queue(app.state.server.store)
    queue.ask("score", {})
    queue.cancel(queue.ask("train", {}).job_id)
    found = samples(ask(app, "/metrics").text)
    assert found["bellwether_jobs", frozenset({("state", "queued")})] == 1
    assert found["bellwether_jobs", frozenset({("state", "cancelled")})] == 1
    assert found["bellwether_jobs", frozenset({("state", "failed")})] == 0
    assert found["bellwether_model_info", frozenset({("model", "win"), ("version", "1")})] == 1
    # The scores are as of noon of 1 March 2026; the data came in during this test.
    since = (datetime.now(UTC) - datetime(2026, 3, 1, 12, tzinfo=UTC)).total_seconds()
    assert found["bellwether_scores_age_seconds", frozenset()] == pytest.approx(since, abs=30)
    assert 0 <= found["bellwether_data_age_seconds", frozenset()] < 60


@pytest.mark.parametrize(
    ("caller", "address", "headers"),
    [
        ("10.0.0.9", LOCAL, {}),
        ("127.0.0.1", "http://sales.example.com", {}),
        ("127.0.0.1", LOCAL, {"X-Forwarded-For": "10.0.0.9"}),
    ],
)
def test_strangers_learn_only_whether_it_is_ready(app_of, caller, address, headers):
    app, how = app_of(), {"caller": caller, "address": address, "headers": headers}
    assert ask(app, "/metrics", **how).status_code == 403
    assert ask(app, "/readyz", **how).json() == {"status": "ready"}
    assert ask(app, "/healthz", **how).json() == {"status": "ok"}


def test_with_a_token_set_it_is_asked_of_everybody(app_of):
    app = app_of(metrics_token="s3cret")
    assert ask(app, "/metrics").status_code == 403
    assert ask(app, "/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 403
    assert ask(app, "/metrics", headers={"Authorization": "Bearer s3cret"}).status_code == 200


def test_a_new_home_is_ready_and_says_what_it_waits_for(app_of):
    said = ask(app_of(), "/readyz")
    assert said.status_code == 200
    states = {part: told["state"] for part, told in said.json()["parts"].items()}
    assert states == {"store": "ok", "lake": "waiting", "scores": "waiting", "models": "ok"}


def test_a_store_that_is_gone_makes_it_unready_while_it_lives(app_of):
    app = app_of()
    with app.state.server.store.engine.begin() as connection:
        connection.exec_driver_sql("drop table audit")
    said = ask(app, "/readyz")
    assert (said.status_code, said.headers["retry-after"]) == (503, "5")
    assert said.json()["parts"]["store"] == {"state": "failed", "text": "OperationalError"}
    assert ask(app, "/healthz").status_code == 200


def test_a_model_that_is_being_loaded_makes_it_unready(app_of):
    app = app_of()
    app.state.server.live.state = ("loading", "the win model is being loaded")
    assert ask(app, "/readyz").status_code == 503


def test_a_home_without_a_model_says_how_to_train_one(home_of, app_of):
    fill(home_of)
    server = app_of().state.server
    server.live.warm(server.view(), server.company())
    state, text = server.live.state
    assert state == "waiting"
    assert "bellwether train" in text


def test_processes_count_together_and_the_dead_are_not_at_work(tmp_path):
    code = (
        "import sys; from pathlib import Path; from serving.settings import share_metrics\n"
        "folder = Path(sys.argv[1]); share_metrics(folder)\n"
        "from serving.metrics import Metrics; from serving.readiness import Readiness\n"
        "metrics = Metrics(folder); metrics.running.inc()\n"
        "for _ in range(int(sys.argv[2])): metrics.answered('GET', '/x', 200, 0.01)\n"
        "print(metrics.text(Readiness()).decode())\n"
    )

    def run(times: int) -> str:
        command = [sys.executable, "-c", code, str(tmp_path), str(times)]
        return subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ}).stdout  # noqa: TID251

    run(2)
    text = run(3)
    assert answers(text, "/x", 200) == 5
    assert samples(text)["bellwether_requests_running", frozenset()] == 1


def test_every_answer_carries_a_number_and_a_plain_one_is_taken_over(site):
    with httpx.Client(base_url=site.address, timeout=60) as client:
        assert client.get("/healthz", headers={"X-Request-ID": "trace-0123"}).headers["x-request-id"] == "trace-0123"
        for bad in ("short", "a" * 37, "ann@example.com", 'x"} injected'):
            assert client.get("/healthz", headers={"X-Request-ID": bad}).headers["x-request-id"] != bad
        one, two = (client.get("/nothing").headers["x-request-id"] for _ in range(2))
        assert one != two
