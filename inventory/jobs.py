"""The scheduled jobs: in a process of their own (`flask jobs`) or inside the embedded server."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from apscheduler.schedulers.base import BaseScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger
from flask import Flask

from inventory.config import Config
from inventory.db import db
from inventory.domain.schedules import EPOCH, DailyAt, Every, Schedule, WeeklyAt
from inventory.services import backtests, reviews, runs, seals, stock_checks, verification
from inventory.services.runs import RunView

CATCH_UP_SECONDS = 600
"""How often a scheduler looks for a slot that nobody ran: after a long pause, a failure, a clock change."""

SUNDAY = 6
STOCK_CHECKS = "stock checks"

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]
Runner = Callable[[datetime, Schedule, Clock, str], RunView | None]


@dataclass(frozen=True)
class Job:
    name: str
    schedule: Schedule
    run: Runner


def jobs_for(settings: Config) -> list[Job]:
    """The jobs of an installation with these settings."""
    nightly = DailyAt(settings.review_time, settings.TIME_ZONE)
    often = Every(settings.REVIEW_EVERY_SECONDS) if settings.REVIEW_EVERY_SECONDS else None
    return [
        Job(seals.SEALING, nightly, seals.seal_slot),
        Job(verification.VERIFICATION, nightly, verification.verify_slot),
        Job(backtests.BACKTEST, WeeklyAt(SUNDAY, settings.review_time, settings.TIME_ZONE), backtests.run_slot),
        Job(reviews.REVIEW, often or nightly, reviews.review_slot),
    ]


def run_due(app: Flask, job: Job) -> RunView | None:
    """Run the job's latest slot unless it is done: missed slots come down to this one. Safe to call at any time,
    from any number of processes. A failure is recorded and logged, never raised."""
    clock: Clock = app.config["CLOCK"]
    with app.app_context():
        try:
            slot = job.schedule.latest_slot(clock())
            if not runs.is_due(job.name, slot):
                return None
            run = job.run(slot, job.schedule, clock, worker_name())
        except Exception:
            log.exception("%s: the database did not take the run", job.name)
            return None
        finally:
            db.session.remove()
    if run is not None:
        _log(run)
    return run


def add_to(scheduler: BaseScheduler, app: Flask) -> None:
    """Put the jobs on a scheduler: each at its time, and a look now and then for what was missed."""
    settings: Config = app.config["SETTINGS"]
    # A late run is better than none, and one run is enough for many missed times: the slots decide.
    options: dict[str, Any] = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
    for job in jobs_for(settings):
        scheduler.add_job(run_due, _trigger(job.schedule), args=[app, job], id=job.name, **options)
        catch_up = IntervalTrigger(seconds=CATCH_UP_SECONDS, timezone=UTC)
        scheduler.add_job(
            run_due, catch_up, args=[app, job], id=f"{job.name}: catch-up", next_run_time=datetime.now(UTC), **options
        )
    if settings.CHECK_EVERY_SECONDS:
        often = IntervalTrigger(seconds=settings.CHECK_EVERY_SECONDS, timezone=UTC)
        scheduler.add_job(check_stocks, often, args=[app], id=STOCK_CHECKS, **options)


def check_stocks(app: Flask) -> int:
    """Hold the stocks that postings changed against their alerts, until none waits; how many there were. Safe to call
    at any time, from any number of processes. A failure is logged, never raised: the stocks wait on."""
    looked_at = 0
    with app.app_context():
        try:
            while found := stock_checks.check_stocks(app.config["CLOCK"]):
                looked_at += found
                if found < stock_checks.AT_ONCE:
                    break
        except Exception:
            log.exception("%s: the database did not take them", STOCK_CHECKS)
        finally:
            db.session.remove()
    return looked_at


def worker_name() -> str:
    """Which process ran a job: host and process id."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}"


def start_background(app: Flask) -> BaseScheduler:
    """A scheduler in a thread of this process."""
    from apscheduler.schedulers.background import BackgroundScheduler

    scheduler = BackgroundScheduler(timezone=UTC)
    add_to(scheduler, app)
    scheduler.start()
    return scheduler


def run_forever(app: Flask) -> None:
    """A scheduler that is this process, until it is told to stop."""
    from apscheduler.schedulers.blocking import BlockingScheduler

    scheduler = BlockingScheduler(timezone=UTC)
    add_to(scheduler, app)
    scheduler.start()


def _trigger(schedule: Schedule) -> CronTrigger | IntervalTrigger:
    if isinstance(schedule, DailyAt):
        return CronTrigger(hour=schedule.at.hour, minute=schedule.at.minute, timezone=schedule.time_zone)
    if isinstance(schedule, WeeklyAt):
        hour, minute = schedule.at.hour, schedule.at.minute
        return CronTrigger(day_of_week=schedule.weekday, hour=hour, minute=minute, timezone=schedule.time_zone)
    assert isinstance(schedule, Every)
    return IntervalTrigger(seconds=schedule.seconds, start_date=EPOCH, timezone=UTC)


def _log(run: RunView) -> None:
    if run.status == "failed":
        log.error("%s of %s failed: %s", run.job, run.slot.isoformat(), run.error)
    else:
        log.info("%s of %s: %s", run.job, run.slot.isoformat(), run.counts)
