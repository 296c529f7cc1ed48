"""Schedulers: what they leave running when a job fails, hangs or loses its database, when a clock is changed, and when
they are killed; on both databases."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from apscheduler.schedulers.background import BackgroundScheduler
from flask import Flask
from sqlalchemy import text

from inventory import jobs as jobs_module
from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.domain.alerts import Subject
from inventory.domain.schedules import DailyAt, Every, Schedule
from inventory.domain.watchers import MAX_ATTEMPTS
from inventory.jobs import Job, _trigger, beat, chores_for, do, jobs_for, run_due
from inventory.services import alerts, reviews, runs, seals, watchers
from inventory.services.runs import RunView
from tests.conftest import NOW, TODAY
from tests.test_jobs import ROOT, all_runs, start_jobs
from tests.world import World

NIGHTLY = DailyAt(time_of_day(1, 30), "Asia/Jakarta")
EACH_SECOND = Every(1)
PATIENCE = 60


def until(wanted: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := wanted():
            return found
        time.sleep(0.1)
    raise AssertionError(f"never: {what}")


def work_of(name: str, effects: Callable[..., dict[str, Any]]) -> Callable[..., RunView | None]:
    """A job that runs its slots as the real ones do, with these effects."""

    def run(slot: datetime, schedule: Schedule, clock: Callable[[], datetime], worker: str) -> RunView | None:
        return runs.run_slot(name, slot, schedule, clock, worker, effects)

    return run


def good(name: str, schedule: Schedule = EACH_SECOND) -> Job:
    return Job(name, schedule, run=work_of(name, lambda *_: {}))


def bad(name: str, schedule: Schedule = EACH_SECOND) -> Job:
    def fail(*_: Any) -> dict[str, Any]:
        raise RuntimeError("the disk is full")

    return Job(name, schedule, run=work_of(name, fail))


@contextmanager
def running(app: Flask, jobs: list[Job]) -> Iterator[BackgroundScheduler]:
    """A real scheduler with these jobs and none else, on the real clock."""
    before = app.extensions["jobs"]
    app.config["CLOCK"] = lambda: datetime.now(UTC)
    app.extensions["jobs"] = jobs
    scheduler = BackgroundScheduler(timezone=UTC)
    jobs_module.add_to(scheduler, app)
    scheduler.start()
    try:
        yield scheduler
    finally:
        scheduler.shutdown(wait=True)
        app.extensions["jobs"] = before


def runs_of(app: Flask, job: str) -> list[RunView]:
    return sorted((run for run in all_runs(app) if run.job == job), key=lambda run: run.slot)


def done(app: Flask, job: str) -> int:
    return sum(run.status == "done" for run in runs_of(app, job))


def cases(app: Flask) -> list[alerts.AlertView]:
    with app.app_context():
        found = [each for each in alerts.open_alerts(SYSTEM) if each.subject is Subject.JOB_NOT_RUN]
        db.session.remove()
    return found


def count(app: Flask, table: str) -> int:
    with app.app_context():
        found = db.session.scalar(text(f"SELECT count(*) FROM {table}"))
        db.session.remove()
    return found or 0


# --- one fails, the others go on ---------------------------------------------------------------------------------


def test_a_job_that_raises_leaves_the_others_running_and_opens_a_case(crowded_app: Flask) -> None:
    with running(crowded_app, [bad("bad"), good("fine")]):
        until(lambda: done(crowded_app, "fine") >= 3, "three runs of the one that is fine")
        [found] = until(lambda: cases(crowded_app), "a case")
    assert found.facts["jobs"] == ["bad"]
    assert {run.error for run in runs_of(crowded_app, "bad")} == {"RuntimeError: the disk is full"}


def test_the_case_is_there_as_soon_as_the_job_has_failed_and_goes_with_the_beat_after_a_good_run(app: Flask) -> None:
    app.config["CLOCK"] = lambda: NIGHTLY.latest_slot(NOW) + timedelta(minutes=1)
    before = app.extensions["jobs"]
    app.extensions["jobs"] = [bad("job", NIGHTLY)]
    try:
        for level in ("watch", "watch", "critical"):
            failed = run_due(app, bad("job", NIGHTLY))
            assert failed is not None
            assert failed.status == "failed"
            assert [each.level for each in cases(app)] == [level]
        assert run_due(app, bad("job", NIGHTLY)) is None, "it was tried as often as it may be"
        app.config["CLOCK"] = lambda: NIGHTLY.latest_slot(NOW) + timedelta(days=1, minutes=1)
        assert run_due(app, good("job", NIGHTLY)) is not None
        for chore in chores_for(app.config["SETTINGS"]):
            do(app, chore)
        beat(app, NOW)
        assert cases(app) == []
    finally:
        app.extensions["jobs"] = before


def test_a_job_that_fails_before_it_takes_its_slot_is_recorded_too(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The verification reads the books before its run is written down."""

    def broken(*_: object) -> None:
        raise RuntimeError("unreadable")

    monkeypatch.setattr("inventory.services.verification.verify", broken)
    job = next(each for each in jobs_for(app.config["SETTINGS"]) if each.name == "verification")
    found = [run_due(app, job) for _ in range(MAX_ATTEMPTS + 1)]
    assert [(run.status, run.attempts, run.error) for run in found if run] == [
        ("failed", attempt, "RuntimeError: unreadable") for attempt in range(1, MAX_ATTEMPTS + 1)
    ]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_job_that_hangs_leaves_the_others_and_the_heart_their_turn(
    crowded_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hangs at its time and again when it is looked for, and holds two threads for ever; with four such jobs the
    usual ten threads of a scheduler would soon be gone."""
    monkeypatch.setattr(jobs_module, "CATCH_UP_SECONDS", 1)
    monkeypatch.setattr(jobs_module, "BEAT_SECONDS", 1)
    released = threading.Event()
    began: list[str] = []

    def hang(*_: Any) -> RunView | None:
        began.append("hangs")
        released.wait(PATIENCE)
        return None

    hanging = [Job(f"hangs {number}", EACH_SECOND, run=hang) for number in range(6)]
    with running(crowded_app, [*hanging, good("fine")]):
        try:
            until(lambda: len(began) == 12, "all of them hang, at their time and when looked for")
            had, beaten = done(crowded_app, "fine"), last_beat(crowded_app)
            until(lambda: done(crowded_app, "fine") >= had + 3, "three more runs of the one that is fine")
            assert last_beat(crowded_app) > beaten
            assert len(began) == 12, "none is begun again while it hangs"
        finally:
            released.set()


def last_beat(app: Flask) -> datetime:
    with app.app_context():
        found = watchers.state(datetime.now(UTC), []).schedulers.beat_at
        db.session.remove()
    assert found is not None
    return found


def test_a_job_whose_connection_is_lost_is_recorded_and_done_at_the_next_try(app: Flask) -> None:
    lost: list[bool] = []

    def lose_it(session: Any, _run: int) -> dict[str, Any]:
        session.execute(text("UPDATE people SET full_name = 'half done'"))
        if not lost:
            lost.append(True)
            lose_connection(app, session)
        return {"lost": 0}

    job = Job("job", NIGHTLY, run=work_of("job", lose_it))
    app.config["CLOCK"] = lambda: NOW
    failed = run_due(app, job)
    assert failed is not None
    assert (failed.status, failed.attempts) == ("failed", 1)
    with app.app_context():
        assert db.session.scalar(text("SELECT count(*) FROM people WHERE full_name = 'half done'")) == 0
        db.session.remove()
    assert run_due(app, good("other", NIGHTLY)) is not None, "the others find a connection that works"
    again = run_due(app, job)
    assert again is not None
    assert (again.status, again.attempts) == ("done", 2)


def lose_connection(app: Flask, session: Any) -> None:
    """As by a restart of the server, or of the file's disk."""
    if db.engine.dialect.name == "sqlite":
        session.connection().connection.driver_connection.close()
    else:
        mine = session.scalar(text("SELECT pg_backend_pid()"))
        with db.engine.connect() as other:
            other.execute(text("SELECT pg_terminate_backend(:mine)"), {"mine": mine})
        time.sleep(0.2)
    session.execute(text("SELECT 1"))


def test_without_a_database_nothing_is_raised_and_the_scheduler_goes_on(
    tmp_path: Path, make_app: Callable[..., Flask], caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(f"sqlite:///{tmp_path / 'none' / 'at' / 'all.sqlite3'}")
    assert run_due(app, good("job", NIGHTLY)) is None
    beat(app, NOW)
    assert "the database did not take the run" in caplog.text
    assert "the database did not take the heartbeat" in caplog.text


# --- the ping ----------------------------------------------------------------------------------------------------


@contextmanager
def receiver(answer: int) -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(answer)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/secret/{{job}}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def with_ping(app: Flask, address: str) -> None:
    app.config["SETTINGS"] = replace(app.config["SETTINGS"], PING_URL=address)


def test_each_good_run_is_told_once_and_no_other(app: Flask) -> None:
    with receiver(200) as (address, asked):
        with_ping(app, address)
        assert run_due(app, good("good job", NIGHTLY)) is not None
        assert run_due(app, good("good job", NIGHTLY)) is None, "its slot is done"
        assert run_due(app, bad("bad job", NIGHTLY)) is not None
    assert asked == ["/secret/good-job"]


@pytest.mark.parametrize("answer", [500, 302, None])
def test_a_ping_that_is_not_taken_is_logged_and_the_run_stands(
    app: Flask, caplog: pytest.LogCaptureFixture, answer: int | None
) -> None:
    with receiver(answer or 200) as (address, _):
        if answer:
            with_ping(app, address)
            run = run_due(app, good("job", NIGHTLY))
    if answer is None:
        with_ping(app, address)  # there is nobody any more
        run = run_due(app, good("job", NIGHTLY))
    assert run is not None
    assert run.status == "done"
    assert "job: the ping was not taken" in caplog.text


# --- clocks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "start"),
    [
        ("Europe/Berlin", datetime(2024, 3, 28, 12, tzinfo=UTC)),  # 02:30 of the 31st does not exist
        ("Europe/Berlin", datetime(2024, 10, 24, 12, tzinfo=UTC)),  # 02:30 of the 27th comes twice
        ("Asia/Jakarta", datetime(2024, 3, 28, 12, tzinfo=UTC)),
        ("Asia/Makassar", datetime(2024, 3, 28, 12, tzinfo=UTC)),
        ("Asia/Jayapura", datetime(2024, 12, 29, 12, tzinfo=UTC)),
    ],
)
def test_each_local_night_has_one_run_whenever_the_scheduler_wakes(app: Flask, zone: str, start: datetime) -> None:
    """Woken when its trigger says and when it looks for what was missed, through a week of nights."""
    job = good("job", DailyAt(time_of_day(2, 30), zone))
    trigger: Any = _trigger(job.schedule)
    fired = [start]
    for _ in range(7):
        fired.append(trigger.get_next_fire_time(fired[-1], fired[-1] + timedelta(seconds=1)))
    assert all(a < b for a, b in pairwise(fired)), "a time that comes again and again would hold the scheduler up"
    looks = [start + timedelta(hours=3 * step) for step in range(8 * 7)]
    for woken in sorted([*fired, *looks]):
        app.config["CLOCK"] = lambda woken=woken: woken
        run_due(app, job)
    made = runs_of(app, "job")[1:]  # the first catches up for the night before
    assert len(made) == 7
    assert [run.slots_missed for run in made] == [0] * 7
    assert all(run.started_at == run.slot for run in made), "at its time"


def test_a_clock_an_hour_back_repeats_nothing_and_a_day_forward_misses_nothing(app: Flask) -> None:
    job, now = good("job", NIGHTLY), NIGHTLY.latest_slot(NOW) + timedelta(minutes=1)
    for step, wanted in ((0, 1), (-1, 1), (0, 1), (24, 2), (23, 2), (48, 3)):
        app.config["CLOCK"] = lambda step=step: now + timedelta(hours=step)
        run_due(app, job)
        assert len(all_runs(app)) == wanted, f"{step} hours"
    assert [run.slots_missed for run in runs_of(app, "job")] == [0, 0, 0]


def test_a_slot_missed_by_three_days_comes_down_to_one_run_that_says_so(app: Flask) -> None:
    """The scheduler of Friday's night died; it is Monday, and two look for what was missed."""
    job, now = good("job", NIGHTLY), NIGHTLY.latest_slot(NOW) + timedelta(minutes=1)
    app.config["CLOCK"] = lambda: now
    run_due(app, job)
    app.config["CLOCK"] = lambda: now + timedelta(days=4)
    with app.app_context():
        assert watchers.state(now + timedelta(days=4), [job]).jobs[0].missed == 4
        db.session.remove()
    outcomes: list[RunView | None] = []
    threads = [threading.Thread(target=lambda: outcomes.append(run_due(app, job))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [run] = [each for each in outcomes if each]
    assert (run.slots_missed, run.slot) == (3, NIGHTLY.latest_slot(now) + timedelta(days=4))
    assert len(all_runs(app)) == 2


class SteppedClock:
    """The scheduler's clock, which can be set; `datetime` as its modules call it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.step = timedelta()
        stepped = self

        class Stepped(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:
                return datetime.now(tz) + stepped.step

        for module in ("apscheduler.schedulers.base", "inventory.jobs"):
            monkeypatch.setattr(f"{module}.datetime", Stepped)


@pytest.mark.parametrize(
    "step",
    [
        timedelta(days=-1),
        pytest.param(timedelta(hours=-1), marks=pytest.mark.slow),
        pytest.param(timedelta(days=1), marks=pytest.mark.slow),
    ],
)
def test_the_heart_beats_on_when_the_clock_is_set(
    crowded_app: Flask, monkeypatch: pytest.MonkeyPatch, step: timedelta
) -> None:
    """A scheduler waits for instants: without help one set back by a day would be silent for that day."""
    clock = SteppedClock(monkeypatch)
    monkeypatch.setattr(jobs_module, "BEAT_SECONDS", 1)
    ended = threading.Event()
    beats: list[datetime] = []
    monkeypatch.setattr(jobs_module, "beat", lambda *_: beats.append(datetime.now(UTC)))
    with running(crowded_app, [good("nightly", NIGHTLY)]) as scheduler:
        keeper = threading.Thread(target=jobs_module.keep_time, args=[scheduler, ended, 0.2], daemon=True)
        keeper.start()
        try:
            until(lambda: len(beats) >= 2, "two beats")
            clock.step = step
            had = len(beats)
            until(lambda: len(beats) >= had + 3, "three beats more")
        finally:
            ended.set()
            keeper.join()


# --- real processes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_two_schedulers_beat_and_the_one_that_is_killed_falls_silent(
    database_url: str, tmp_path: Path, make_app: Callable[..., Flask]
) -> None:
    app = make_app(database_url)
    first, second = start_jobs(database_url, tmp_path), start_jobs(database_url, tmp_path)
    try:
        until(lambda: count(app, "heartbeats") == 2 and runs_of(app, reviews.REVIEW), "both beat, and a run")
        first.kill()
        first.wait()
        had = runs_of(app, reviews.REVIEW)[-1].slot
        until(lambda: runs_of(app, reviews.REVIEW)[-1].slot > had + timedelta(seconds=1), "the other goes on")
    finally:
        for process in (first, second):
            process.kill()
            process.wait()
    with app.app_context():
        workers = set(db.session.scalars(text("SELECT worker FROM heartbeats")))
        db.session.remove()
    assert {int(worker.rpartition(":")[2]) for worker in workers} == {first.pid, second.pid}
    assert len({run.slot for run in runs_of(app, reviews.REVIEW)}) == len(runs_of(app, reviews.REVIEW))


KILLED = """
import sys, time
from datetime import datetime
from inventory import create_app, jobs
from inventory.services import custody
from tests.conftest import NOW, test_settings
from pathlib import Path

def stuck(*_):
    print("in the middle", flush=True)
    time.sleep(600)

custody.findings = stuck
app = create_app(test_settings(sys.argv[1], Path(sys.argv[2])))
app.config["CLOCK"] = lambda: NOW
jobs.run_due(app, next(job for job in app.extensions["jobs"] if job.name == "low-stock review"))
"""


def test_a_scheduler_killed_in_the_middle_of_a_run_leaves_nothing_and_the_next_takes_the_slot(
    app: Flask, database_url: str, tmp_path: Path
) -> None:
    """It had written the stock's alert and projection when it was killed: neither stands, nor does its claim."""
    with app.app_context():
        world = World(app)
        world.deliver(NOW, TODAY, 10)
        world.print(NOW, TODAY, 10)
        db.session.remove()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, database_url, str(tmp_path)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "in the middle\n"
        process.kill()
    for table in ("job_runs", "alerts", "alert_events", "projections"):
        assert count(app, table) == 0, table
    job = next(each for each in jobs_for(app.config["SETTINGS"]) if each.name == reviews.REVIEW)
    run = run_due(app, job)
    assert run is not None
    assert (run.status, run.attempts, run.counts["stocks"]) == ("done", 1, 1)
    assert (count(app, "alerts"), count(app, "alert_events"), count(app, "projections")) == (1, 1, 1)
    assert seals.SEALING not in {each.job for each in all_runs(app)}
