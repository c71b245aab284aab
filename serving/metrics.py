"""Figures of the running service for Prometheus: requests by route, jobs, age of data and scores, models in use."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from serving.readiness import Readiness
from serving.watched import Watched

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
JOB_STATES = ("queued", "running", "done", "failed", "cancelled")


class Metrics:
    """Counts what this process answers; tells it together with what its sister processes answered.

    Parameters
    ----------
    shared : Path, optional
        Folder through which several processes share their counts; the one that `serving.settings.share_metrics` named
        before they were started.
    """

    def __init__(self, shared: Path | None = None) -> None:
        self._shared = shared
        self._registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self._answers = Counter("bellwether_requests", "Requests answered.", labels, registry=self._registry)
        self._seconds = Histogram(
            "bellwether_request_seconds",
            "Time to answer, from first byte in to last byte out.",
            labels[:2],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.running = Gauge(
            "bellwether_requests_running", "Requests at work.", registry=self._registry, multiprocess_mode="livesum"
        )

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self._answers.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def text(self, readiness: Readiness) -> bytes:
        """All figures in Prometheus' text form."""
        counts = self._registry
        if self._shared is not None:
            _forget_dead(self._shared)
            counts = CollectorRegistry()
            MultiProcessCollector(counts, path=str(self._shared))  # type: ignore[no-untyped-call]
        state = CollectorRegistry()
        state.register(_State(readiness))
        return generate_latest(counts) + generate_latest(state)


class _State(Collector):
    """What store and lake tell, the same from every process."""

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness

    def collect(self) -> Iterable[Metric]:
        """The figures as they are now; what cannot be told is left out."""
        state = self._readiness
        ready = GaugeMetricFamily("bellwether_ready", "Whether a part works: 1 or 0.", labels=["part"])
        for check in state.checks:
            ready.add_metric([check.part], float(check.state in ("ok", "waiting")))
        yield ready
        jobs = GaugeMetricFamily("bellwether_jobs", "Jobs by state.", labels=["state"])
        for name in dict.fromkeys((*JOB_STATES, *state.jobs)):
            jobs.add_metric([name], state.jobs.get(name, 0))
        yield jobs
        models = GaugeMetricFamily(
            "bellwether_model_info", "Models that made the newest scores.", labels=["model", "version"]
        )
        for name, version in state.models.items():
            models.add_metric([name, version], 1)
        yield models
        yield from _watched(state.watched)
        for name, text, moment in (
            ("bellwether_scores_age_seconds", "Since the moment of the newest scores.", state.scored_at),
            ("bellwether_data_age_seconds", "Since data last came into the lake.", state.imported_at),
        ):
            if moment is not None:
                yield GaugeMetricFamily(name, text, value=(datetime.now(UTC) - moment).total_seconds())


def _watched(found: Watched | None) -> Iterable[Metric]:
    """What `bellwether monitor` found last."""
    if found is None:
        return
    labels = ["model", "trigger"]
    due = GaugeMetricFamily("bellwether_retrain_due", "Whether it is time to train again: 1 or 0.", labels=labels)
    value = GaugeMetricFamily("bellwether_retrain_value", "What is watched, in its own unit.", labels=labels)
    for trigger in found.triggers:
        due.add_metric([trigger.what, trigger.name], float(trigger.due))
        value.add_metric([trigger.what, trigger.name], trigger.value)
    yield due
    yield value
    yield GaugeMetricFamily("bellwether_data_alerts", "Fields and tables that stopped coming.", value=len(found.alerts))


def _forget_dead(folder: Path) -> None:
    """Requests at work in a process that was killed are not at work any more."""
    for pid in {int(path.stem.rsplit("_", 1)[1]) for path in folder.glob("gauge_live*_*.db")}:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid, path=str(folder))  # type: ignore[no-untyped-call]
