"""Figures for Prometheus: jobs, alerts and the database as they are now, requests as this server has counted them."""

from __future__ import annotations

import hmac
import logging
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from flask import Blueprint, Response, current_app, g, request

from inventory import security
from inventory.config import Config, let_processes_add_up
from inventory.db import db, tell_of_connections
from inventory.security import gates, outage
from inventory.services import chores, health, watchers
from inventory.services.watchers import JobState, State

blueprint = Blueprint("metrics", __name__)

log = logging.getLogger(__name__)

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Bounds of the durations of requests."""

_FIRST = threading.Lock()
_NAME: list[str] = []
"""What this process is called among those that add up; its id where nobody has said otherwise."""


@blueprint.get("/metrics")
@security.public
def index() -> Any:
    """The exposition, for whoever has the token; without one for programs on this machine."""
    if not _may_read(current_app.config["SETTINGS"]):
        return Response("Not for everybody.\n", 401, {"WWW-Authenticate": "Bearer"}, mimetype="text/plain")
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import choose_encoder

    registry = CollectorRegistry()
    registry.register(_Jobs(security.now()))
    registry.register(_requests_of_all())
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return Response(encode(registry), content_type=content_type)


def count_as(name: str) -> None:
    """Count the requests of this process under a name that a later one may take over, with the counts."""
    _NAME.append(name)


def count_apart(outcome: str) -> None:
    """Count a page that may be read from a replica: `replica` when it was, or why not."""
    _counts().replica.labels(outcome).inc()


def _may_read(settings: Config) -> bool:
    if settings.METRICS_TOKEN:
        given = request.headers.get("Authorization", "").encode()
        return hmac.compare_digest(given, f"Bearer {settings.METRICS_TOKEN}".encode())
    return gates.from_this_machine()


# --- as it is now ------------------------------------------------------------------------------------------------


class _Jobs:
    """What the tables say at the instant of a scrape. Where they do not answer, that is what is told."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import GaugeMetricFamily

        began = time.perf_counter()
        answers = health.database_state(current_app.extensions["migrate"].directory) == "ready"
        took = time.perf_counter() - began
        up = "1 when the database answers and is at the newest migration."
        yield GaugeMetricFamily("blangko_database_up", up, float(answers))
        yield GaugeMetricFamily("blangko_database_answer_seconds", "Time of a small query.", took)
        if not answers:
            return
        state = watchers.state(self.now, current_app.extensions["jobs"], current_app.extensions["chores"])
        yield from _of_jobs(state)
        yield from _of_schedulers(state, self.now)
        told = GaugeMetricFamily("blangko_messages", "Messages: due, failing so far, given up.", labels=["state"])
        for name, count in chores.messages_by_state(self.now).items():
            told.add_metric([name], count)
        yield told
        yield from _of_queues(self.now)
        alerts = GaugeMetricFamily("blangko_open_alerts", "Open alerts.", labels=["subject", "level"])
        for (subject, level), count in sorted(watchers.open_by_subject().items()):
            alerts.add_metric([subject, level], count)
        yield alerts


def _of_queues(now: datetime) -> Iterator[Any]:
    from prometheus_client.core import GaugeMetricFamily

    waiting = GaugeMetricFamily("blangko_chore_waiting_seconds", "Age of the oldest that waits.", labels=["chore"])
    for name in (chores.MESSAGES, chores.STOCK_CHECKS):
        waiting.add_metric([name], chores.waiting(name, now).total_seconds())
    yield waiting
    yield GaugeMetricFamily("blangko_stocks_to_check", "Stocks that postings changed.", chores.stocks_to_check())


def _of_jobs(state: State) -> Iterator[Any]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    def gauge(name: str, words: str, value: Any) -> Any:
        family = GaugeMetricFamily(f"blangko_job_{name}", words, labels=["job"])
        for job in state.jobs:
            if (told := value(job)) is not None:
                family.add_metric([job.job], told)
        return family

    yield gauge("last_success_timestamp_seconds", "When the job was last done.", _done_at)
    yield gauge("last_duration_seconds", "How long that took.", lambda job: job.seconds)
    yield gauge("overdue", "1 when the job is late by its period and grace.", lambda job: float(bool(job.late_since)))
    yield gauge("slots_missed", "Slots due since the last one done.", lambda job: job.missed)
    failed = CounterMetricFamily("blangko_job_failures", "Tries that failed.", labels=["job"])
    counts = watchers.failures()
    for job in state.jobs:
        failed.add_metric([job.job], counts[job.job])
    yield failed


def _done_at(job: JobState) -> float | None:
    return job.good_at.timestamp() if job.good_at else None


def _of_schedulers(state: State, now: datetime) -> Iterator[Any]:
    from prometheus_client.core import GaugeMetricFamily

    yield GaugeMetricFamily("blangko_schedulers_alive", "Schedulers that beat.", state.schedulers.alive)
    if state.schedulers.beat_at is not None:
        age = (now - state.schedulers.beat_at).total_seconds()
        yield GaugeMetricFamily("blangko_scheduler_heartbeat_age_seconds", "Since the newest beat of any.", age)


# --- as this server has counted ----------------------------------------------------------------------------------


@blueprint.before_app_request
def _begin() -> None:
    g.request_began = time.perf_counter()


@blueprint.after_app_request
def _count(response: Response) -> Response:
    if "request_began" in g:
        counts = _counts()
        endpoint = request.endpoint or "none"
        counts.answers.labels(endpoint, request.method, str(response.status_code)).inc()
        counts.seconds.labels(endpoint).observe(time.perf_counter() - g.request_began)
        if (reason := outage.reason()) is not None:
            counts.unavailable.labels(reason).inc()
    return response


@dataclass(frozen=True)
class _Counts:
    """This process's registry and what is in it."""

    registry: Any
    answers: Any
    seconds: Any
    unavailable: Any
    replica: Any
    connections: Any


def _counts() -> _Counts:
    found = current_app.extensions.get("counts")
    if found is None:
        with _FIRST:  # two that counted beside each other would write over each other
            found = _made(current_app.config["SETTINGS"].METRICS_PATH)
            if "counts" not in current_app.extensions:
                current_app.extensions["counts"] = found
                found.connections.set(0)  # whoever had this process's name before has none any more
                tell_of_connections(db.engine, found.connections.set)
    return found


@lru_cache(maxsize=1)
def _made(folder: str) -> _Counts:
    """With a folder the processes of a server add up in its files: the library looks for that in the environment once,
    when it is first imported."""
    if folder:
        let_processes_add_up(folder)
        from prometheus_client import values

        values.ValueClass = values.MultiProcessValue(lambda: _NAME[-1] if _NAME else os.getpid())
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

    registry = CollectorRegistry()
    labels = ["endpoint", "method", "status"]
    words = "Time until an answer was ready."
    away = "Requests that the database did not serve, by why."
    used = "Connections to the database in use."
    apart = "Pages for the replica: read there, or why from the primary."
    return _Counts(
        registry=registry,
        answers=Counter("blangko_http_requests", "Requests answered.", labels, registry=registry),
        seconds=Histogram("blangko_http_request_seconds", words, ["endpoint"], registry=registry, buckets=SECONDS),
        unavailable=Counter("blangko_database_unavailable", away, ["reason"], registry=registry),
        replica=Counter("blangko_replica_reads", apart, ["outcome"], registry=registry),
        connections=Gauge("blangko_database_connections", used, registry=registry, multiprocess_mode="sum"),
    )


def _requests_of_all() -> Any:
    folder = current_app.config["SETTINGS"].METRICS_PATH
    if not folder:
        return _counts().registry
    from prometheus_client.multiprocess import MultiProcessCollector

    return MultiProcessCollector(None, folder)
