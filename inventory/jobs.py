"""The scheduled jobs: in a process of their own (`flask jobs`) or inside the embedded server."""

from __future__ import annotations

import logging
import os
import random
import secrets
import socket
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask, current_app

from inventory.adapters import logs, pings
from inventory.config import Config, environment_of_programs
from inventory.db import db, unavailable
from inventory.domain.notices import OfficeHours
from inventory.domain.schedules import DailyAt, Every, Schedule, WeeklyAt
from inventory.domain.watchers import BEAT_SECONDS, PATIENCE, Watched
from inventory.messages import Dispatcher
from inventory.services import (
    api_requests,
    backtests,
    backups,
    chores,
    lockout,
    messages,
    notices,
    old_messages,
    reviews,
    runs,
    seals,
    sessions,
    stock_checks,
    verification,
    watchers,
)
from inventory.services.chores import MESSAGES, OLD_LOG_INS, OLD_MESSAGES, OLD_REQUESTS, STOCK_CHECKS, Round
from inventory.services.runs import RunView
from inventory.services.sessions import Limits

if TYPE_CHECKING:
    from apscheduler.schedulers.base import BaseScheduler
    from apscheduler.triggers.base import BaseTrigger

CATCH_UP_SECONDS = 600
"""How often a scheduler looks for a slot that nobody ran: after a long pause, a failure, a clock change."""

SUNDAY = 6
CLEAR_AWAY_SECONDS = 600

HEARTBEAT = "heartbeat"

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]
Runner = Callable[[datetime, Schedule, Clock, str], RunView | None]


@dataclass(frozen=True, kw_only=True)
class Job(Watched):
    run: Runner


@dataclass(frozen=True, kw_only=True)
class Chore:
    """`work` does one round; what it returns counts as a good one unless it is a Round that says otherwise."""

    name: str
    seconds: int
    work: Callable[[Clock], object]

    @property
    def watched(self) -> Watched:
        return Watched(self.name, Every(self.seconds), grace=PATIENCE)


def init_app(app: Flask) -> None:
    """Let the pages know which jobs there are and when they are due; nothing is scheduled by it."""
    app.extensions["jobs"] = jobs_for(app.config["SETTINGS"])
    app.extensions["chores"] = [chore.watched for chore in chores_for(app.config["SETTINGS"])]


def jobs_for(settings: Config) -> list[Job]:
    """The jobs of an installation with these settings."""
    nightly = DailyAt(settings.review_time, settings.TIME_ZONE)
    often = Every(settings.REVIEW_EVERY_SECONDS) if settings.REVIEW_EVERY_SECONDS else None
    found = [
        Job(seals.SEALING, nightly, run=seals.seal_slot),
        Job(verification.VERIFICATION, nightly, run=verification.verify_slot),
        Job(backtests.BACKTEST, WeeklyAt(SUNDAY, settings.review_time, settings.TIME_ZONE), run=backtests.run_slot),
        Job(reviews.REVIEW, often or nightly, by_hand=reviews.REVIEW_BY_HAND, run=reviews.review_slot),
    ]
    if settings.BACKUP_PATH:
        plan = backups.Plan(
            folder=Path(settings.BACKUP_PATH),
            recipients=settings.backup_recipients,
            keep=settings.BACKUP_KEEP,
            environment=environment_of_programs(),
        )
        at = DailyAt(settings.backup_time, settings.TIME_ZONE)
        found.append(Job(backups.BACKUP, at, run=partial(backups.back_up_slot, plan)))
    return found


def chores_for(settings: Config) -> list[Chore]:
    """What is done every few seconds. It needs no slot and records no run: each takes what it does in the database, so
    any number of processes may do it at once, and a row every ten seconds would bury the runs that people look for."""
    found = [
        Chore(name=STOCK_CHECKS, seconds=settings.CHECK_EVERY_SECONDS, work=check_stocks),
        Chore(name=MESSAGES, seconds=settings.MESSAGES_EVERY_SECONDS, work=send_messages),
        Chore(name=OLD_MESSAGES, seconds=CLEAR_AWAY_SECONDS, work=clear_away_messages),
        Chore(name=OLD_REQUESTS, seconds=CLEAR_AWAY_SECONDS, work=clear_away_requests),
        Chore(name=OLD_LOG_INS, seconds=CLEAR_AWAY_SECONDS, work=clear_away_log_ins),
    ]
    return [chore for chore in found if chore.seconds]


def send_messages(clock: Clock) -> Round:
    """Make the messages that are due and send them until none is left. It is held up when a server that they go through
    is away and nothing went out."""
    settings: Config = current_app.config["SETTINGS"]
    terms = notices.Terms(
        email=bool(settings.SMTP_URL),
        escalate_after_hours=settings.ESCALATE_AFTER_HOURS,
        office_hours=OfficeHours(*settings.office_hours),
    )
    notices.fan_out(clock(), terms)
    notices.escalate(clock(), terms)
    dispatcher = Dispatcher(settings, current_app.config["SECRET_KEY"], clock)
    rounds = []
    try:
        # Chance spreads the next attempts; it keeps no secret.
        while not rounds or rounds[-1].sent:
            rounds.append(messages.deliver(clock, dispatcher.send, random.random))
    finally:
        dispatcher.close()
    away = next((each.away for each in rounds if each.away), None)
    if away and not any(each.sent for each in rounds):
        return Round(held_up=away)
    return Round(idle=not any(each.claimed for each in rounds) and messages.any_fails())


def run_due(app: Flask, job: Job) -> RunView | None:
    """Run the job's latest slot unless it is done: missed slots come down to this one. Safe to call at any time,
    from any number of processes. A failure is recorded and logged, never raised; the case about it follows at once,
    and a good run is told to whoever waits for the ping."""
    clock: Clock = app.config["CLOCK"]
    with app.app_context(), _logged_as(job.name):
        try:
            run = _run(job, clock)
        except Exception as error:
            _log_failure(error, "%s: the database did not take the run", job.name)
            return None
        finally:
            db.session.remove()
        if run is not None:
            _log(run)
    if run is not None:
        if run.status == "done":  # the next beat resolves what was open about it
            _ping(app.config["SETTINGS"].PING_URL, job.name)
        else:
            look(app)
    return run


def _run(job: Job, clock: Clock) -> RunView | None:
    started = clock()
    slot = job.schedule.latest_slot(started)
    if not runs.is_due(job.name, slot):
        return None
    try:
        return job.run(slot, job.schedule, clock, worker_name())
    except Exception as error:
        # It failed before it had begun to take its slot: that is to be seen like any other failure.
        _log_failure(error, "%s failed", job.name)
        return runs.record_failure(job.name, slot, started, clock(), worker_name(), error)


def _logged_as(job: str) -> AbstractContextManager[None]:
    """What one run of a job logs, wherever it does, carries the job's name and an id of the run's own."""
    return logs.run_of(job=job, run_id=secrets.token_hex(8), worker=worker_name())


def _log_failure(error: Exception, words: str, *names: str) -> None:
    """While the database is away each chore fails every few seconds: then one line says all there is to say."""
    reason = unavailable(error)
    if reason is None:
        log.error(words, *names, exc_info=error)
    else:
        log.error(f"{words}: the database does not serve (%s)", *names, reason)


def _ping(address: str, job: str) -> None:
    if not address:
        return
    try:
        pings.ping(address, job)
    except pings.PingFailed as failure:
        log.warning("%s: the ping was not taken: %s", job, failure)


def beat(app: Flask, started_at: datetime) -> None:
    """Say that this process's scheduler lives, and look at the jobs. What fails is logged, never raised."""
    with app.app_context():
        try:
            names = [job.name for job in app.extensions["jobs"]]
            watchers.beat(worker_name(), started_at, app.config["CLOCK"](), names)
        except Exception as error:
            _log_failure(error, "the database did not take the heartbeat")
            return
        finally:
            db.session.remove()
    look(app)


def look(app: Flask) -> None:
    """Bring the cases about the jobs up to date. What fails is logged, never raised."""
    with app.app_context():
        try:
            watchers.watch(app.config["CLOCK"](), app.extensions["jobs"], app.extensions["chores"])
        except Exception as error:
            _log_failure(error, "the jobs could not be looked at")
        finally:
            db.session.remove()


def add_to(scheduler: BaseScheduler, app: Flask) -> None:
    """Put the jobs on a scheduler: each at its time, and a look now and then for what was missed; and its heartbeat."""
    from apscheduler.executors.pool import ThreadPoolExecutor

    jobs: list[Job] = app.extensions["jobs"]
    all_chores = chores_for(app.config["SETTINGS"])
    now = datetime.now(UTC)
    # A late run is better than none, and one run is enough for many missed times: the slots decide.
    options: dict[str, Any] = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
    # A thread for each, so that jobs that hang leave the others theirs; and the heart has one to itself.
    scheduler.add_executor(ThreadPoolExecutor(2 * len(jobs) + len(all_chores) + 1))
    scheduler.add_executor(ThreadPoolExecutor(1), alias="heart")
    for job in jobs:
        scheduler.add_job(run_due, _trigger(job.schedule), args=[app, job], id=job.name, **options)
        again = {"id": f"{job.name}: catch-up", "next_run_time": now} | options
        scheduler.add_job(run_due, _trigger(Every(CATCH_UP_SECONDS)), args=[app, job], **again)
    for chore in all_chores:
        scheduler.add_job(do, _trigger(Every(chore.seconds)), args=[app, chore], id=chore.name, **options)
    heart = {"id": HEARTBEAT, "executor": "heart", "next_run_time": now} | options
    scheduler.add_job(beat, _trigger(Every(BEAT_SECONDS)), args=[app, app.config["CLOCK"]()], **heart)


def keep_time(scheduler: BaseScheduler, ended: threading.Event, seconds: float = BEAT_SECONDS) -> None:
    """Put right what is waited for when the clock steps back, until `ended`.

    A scheduler waits for instants of the clock: after a step back of a day nothing that repeats at a distance — the
    heartbeat, the look for what was missed — would come for a day.
    """
    before = datetime.now(UTC)
    while not ended.wait(seconds):
        now = datetime.now(UTC)
        if now < before:
            log.warning("the clock stepped back by %s", before - now)
            for each in scheduler.get_jobs():
                each.modify(next_run_time=each.trigger.get_next_fire_time(None, now))
        before = now


def _start_keeping_time(scheduler: BaseScheduler) -> None:
    arguments = (scheduler, threading.Event())
    threading.Thread(target=keep_time, args=arguments, name="clock", daemon=True).start()


def check_stocks(clock: Clock) -> int:
    """Hold the stocks that postings changed against their alerts, until none waits; how many there were."""
    looked_at = 0
    while found := stock_checks.check_stocks(clock):
        looked_at += found
        if found < stock_checks.AT_ONCE:
            break
    return looked_at


def clear_away_messages(clock: Clock) -> int:
    """Delete the messages that are old, some at a time; how many rows went."""
    gone = 0
    while some := old_messages.clear_away(clock()):
        gone += some
    return gone


def clear_away_requests(clock: Clock) -> int:
    """Forget the API's old requests and their answers, some at a time; how many went."""
    gone = 0
    while some := api_requests.clear(clock()):
        gone += some
    return gone


def clear_away_log_ins(clock: Clock) -> int:
    """Note which sessions are over, and delete tries and sessions that are old, some at a time; how many rows."""
    gone = 0
    limits = Limits.of(current_app.config["SETTINGS"])
    while some := lockout.clear_away(clock()) + sessions.clear_away(clock(), limits):
        gone += some
    return gone


def do(app: Flask, chore: Chore) -> None:
    """A failure is logged, never raised: what was to be done waits for the next time. A good round is written down:
    when none is for too long, whoever looks at the jobs opens the case."""
    with app.app_context(), _logged_as(chore.name):
        try:
            done = chore.work(app.config["CLOCK"])
            chores.note(chore.name, app.config["CLOCK"](), done if isinstance(done, Round) else Round())
        except Exception as error:
            _log_failure(error, "%s failed", chore.name)
        finally:
            db.session.remove()


def worker_name() -> str:
    """Which process ran a job: host and process id."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}"


def start_background(app: Flask) -> BaseScheduler:
    """A scheduler in a thread of this process."""
    from apscheduler.schedulers.background import BackgroundScheduler

    scheduler = BackgroundScheduler(timezone=UTC)
    add_to(scheduler, app)
    scheduler.start()
    _start_keeping_time(scheduler)
    return scheduler


def run_forever(app: Flask) -> None:
    """A scheduler that is this process, until it is told to stop."""
    from apscheduler.schedulers.blocking import BlockingScheduler

    scheduler = BlockingScheduler(timezone=UTC)
    add_to(scheduler, app)
    _start_keeping_time(scheduler)
    scheduler.start()


def _trigger(schedule: Schedule) -> BaseTrigger:
    """Fires at the slots themselves. APScheduler's own trigger for a time of day gives the second 02:30 of a night in
    autumn again and again, so that a scheduler in such a zone would never come out of that night."""
    from apscheduler.triggers.base import BaseTrigger

    class Slots(BaseTrigger):
        def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
            return schedule.next_slot(previous_fire_time or now - timedelta(microseconds=1))

    return Slots()


def _log(run: RunView) -> None:
    if run.status == "failed":
        log.error("%s of %s failed: %s", run.job, run.slot.isoformat(), run.error)
    else:
        log.info("%s of %s: %s", run.job, run.slot.isoformat(), run.counts)
