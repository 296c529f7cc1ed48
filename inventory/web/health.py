"""For load balancers and supervisors: whether the process lives, and whether it can serve."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict
from datetime import datetime
from typing import Any

from flask import Blueprint, current_app, jsonify

from inventory import security
from inventory.domain.alerts import Level
from inventory.services import health, watchers
from inventory.services.watchers import JobState, State
from inventory.web import replica

blueprint = Blueprint("health", __name__)

log = logging.getLogger(__name__)

PLAIN = {"Content-Type": "text/plain; charset=utf-8"}
OF_A_JOB = ("level", "due_slot", "next_slot", "good_slot", "good_at", "late_since", "missed", "failed_attempts")
"""What everybody may know of a job: not its errors, which may name what is inside."""


@blueprint.get("/healthz")
@security.public
def alive() -> Any:
    return "ok\n", PLAIN


@blueprint.get("/readyz")
@security.public
def ready() -> Any:
    """200 when the database answers and is at the newest migration, with the state of the jobs beside it.

    A job that is late makes it 503 only where BLANGKO_READY_NEEDS_JOBS says so: a load balancer takes what is not
    ready out of rotation, and to take every web process away because the night's review is late would turn a missing
    figure into a missing service. Who is to know of it reads `jobs` here, the metrics, the case or the banner.
    """
    apart = replica.state(current_app)  # it changes nothing of the answer: the primary serves where it does not
    began = time.perf_counter()
    database = health.database_state(current_app.extensions["migrate"].directory)
    told: dict[str, Any] = {"status": database, "database": {"state": database, "seconds": _since(began)}}
    told |= {"replica": {"state": apart}} if apart else {}
    late = False
    if database == "ready":
        state = _watch()
        told |= _shown(state, security.now()) if state else {"jobs": None, "scheduler": None}
        late = state is None or state.level is Level.CRITICAL
    if late and current_app.config["SETTINGS"].READY_NEEDS_JOBS:
        told["status"] = "jobs late"
    return jsonify(told), 200 if told["status"] == "ready" else 503


def _watch() -> State | None:
    """The jobs' state, with the cases about them brought up to date; None when that went wrong, which is no reason for
    the process not to serve."""
    try:
        return watchers.watch(security.now(), current_app.extensions["jobs"], current_app.extensions["chores"])
    except Exception:
        log.exception("the jobs could not be looked at")
        return None


def _shown(state: State, now: datetime) -> dict[str, Any]:
    beat_at = state.schedulers.beat_at
    age = (now - beat_at).total_seconds() if beat_at else None
    scheduler = {"alive": state.schedulers.alive, "beat_at": _plain(beat_at), "age_seconds": age}
    return {"scheduler": scheduler, "jobs": {job.job: _job(job) for job in state.jobs}}


def _job(job: JobState) -> dict[str, Any]:
    values = asdict(job)
    return {name: _plain(values[name]) for name in OF_A_JOB}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _since(began: float) -> float:
    return round(time.perf_counter() - began, 4)
