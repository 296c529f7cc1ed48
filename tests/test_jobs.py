"""Scheduled jobs: one run per slot, whatever happens to the processes that try."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text

from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.jobs import MESSAGES, Job, chores_for, do, jobs_for, run_due
from inventory.services import alerts, reviews, runs, seals
from inventory.services.runs import RunView
from tests.conftest import NOW, TODAY
from tests.notices import SENDER, MailServer
from tests.world import World

ROOT = Path(__file__).resolve().parent.parent


def the_job(app: Flask) -> Job:
    return next(job for job in jobs_for(app.config["SETTINGS"]) if job.name == reviews.REVIEW)


def all_runs(app: Flask) -> list[RunView]:
    with app.app_context():
        return runs.latest(SYSTEM)


def test_a_slot_is_run_once_and_recorded(app: Flask) -> None:
    first = run_due(app, the_job(app))
    assert first is not None
    assert first.status == "done"
    assert first.slot == datetime(2024, 5, 14, 18, 30, tzinfo=UTC)
    assert first.counts["stocks"] == 0
    assert run_due(app, the_job(app)) is None
    assert len(all_runs(app)) == 1


def test_missed_slots_come_down_to_one_run(app: Flask) -> None:
    run_due(app, the_job(app))
    app.config["CLOCK"] = lambda: NOW + timedelta(days=4)
    run = run_due(app, the_job(app))
    assert run is not None
    assert run.slots_missed == 3
    assert len(all_runs(app)) == 2


def test_a_clock_that_steps_back_repeats_nothing(app: Flask) -> None:
    run_due(app, the_job(app))
    app.config["CLOCK"] = lambda: NOW - timedelta(hours=15)
    assert run_due(app, the_job(app)) is None
    assert len(all_runs(app)) == 1


def test_a_run_that_fails_is_recorded_and_tried_again(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_options: object) -> list[object]:
        raise RuntimeError("no projection today")

    with monkeypatch.context() as patch:
        patch.setattr("inventory.services.projections.by_part", fail)
        failed = run_due(app, the_job(app))
    assert failed is not None
    assert (failed.status, failed.attempts, failed.error) == ("failed", 1, "RuntimeError: no projection today")
    again = run_due(app, the_job(app))
    assert again is not None
    assert (again.status, again.attempts, again.error) == ("done", 2, None)


def test_a_row_that_was_refused_does_not_stand_in_the_record(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_options: object) -> list[object]:
        db.session.execute(text("UPDATE offices SET name = 'hunter2', time_zone = NULL"))
        return []

    monkeypatch.setattr("inventory.services.projections.by_part", fail)
    failed = run_due(app, the_job(app))
    assert failed is not None
    assert "time_zone" in (failed.error or "")
    assert "hunter2" not in (failed.error or "")


def test_a_slot_that_keeps_failing_is_given_up(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_options: object) -> list[object]:
        raise RuntimeError("never")

    monkeypatch.setattr("inventory.services.projections.by_part", fail)
    results = [run_due(app, the_job(app)) for _ in range(5)]
    assert [run.attempts for run in results if run] == [1, 2, 3]


def test_the_nightly_seal_is_made_once(app: Flask) -> None:
    with app.app_context():
        World(app).deliver(NOW, TODAY, 10)
        db.session.remove()
    sealing = next(job for job in jobs_for(app.config["SETTINGS"]) if job.name == seals.SEALING)
    first = run_due(app, sealing)
    assert first is not None
    assert first.counts["movements"] == 1
    assert run_due(app, sealing) is None
    with app.app_context():
        assert len(seals.chain()) == 1


def test_the_review_of_a_night_sends_messages_and_records_no_run(app: Flask) -> None:
    with app.app_context():
        world = World(app)
        world.deliver(NOW, TODAY, 10)
        world.print(NOW, TODAY, 10)
        db.session.remove()
    run_due(app, the_job(app))
    with MailServer() as server:
        app.config["SETTINGS"] = replace(app.config["SETTINGS"], SMTP_URL=server.url, MAIL_FROM=SENDER)
        chore = next(chore for chore in chores_for(app.config["SETTINGS"]) if chore.name == MESSAGES)
        for _ in range(2):
            do(app, chore)
    assert sorted(mail["To"] for mail in server.mails) == [
        "gudang@denpasar.test",
        "kepala@denpasar.test",
        "provinsi@bali.test",
    ]
    assert {mail["Subject"] for mail in server.mails} == {"Blangko: Habis: Kota Denpasar, Blangko KTP-el WNI"}
    assert len(all_runs(app)) == 1


def test_messages_can_be_switched_off(app: Flask) -> None:
    assert MESSAGES in {chore.name for chore in chores_for(app.config["SETTINGS"])}
    silent = replace(app.config["SETTINGS"], MESSAGES_EVERY_SECONDS=0)
    assert MESSAGES not in {chore.name for chore in chores_for(silent)}


def test_the_libraries_that_send_are_not_imported_to_start() -> None:
    """Apprise alone takes longer to import than the rest of the start together. (`requests` comes in with the library
    of the accounts, which looks for single sign-on.)"""
    program = "import sys, wsgi, inventory.jobs\nprint(sorted({'apprise', 'aiosmtpd'} & set(sys.modules)))"
    environment = os.environ | {"BLANGKO_ENV": "embedded", "BLANGKO_SECRET_KEY": "k" * 40}
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout == "[]\n"


def test_many_at_once_open_one_alert(app: Flask) -> None:
    with app.app_context():
        world = World(app)
        world.deliver(NOW, TODAY, 10)
        world.print(NOW, TODAY, 10)
        db.session.remove()
    barrier = threading.Barrier(8)
    results: list[RunView | None] = []

    def attempt() -> None:
        barrier.wait()
        results.append(run_due(app, the_job(app)))

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(run is not None for run in results) == 1
    with app.app_context():
        assert len(alerts.open_alerts(SYSTEM)) == 1
        assert db.session.scalar(text("SELECT count(*) FROM alert_events")) == 1


def start_jobs(url: str, instance: Path, **settings: str) -> subprocess.Popen[bytes]:
    environment = os.environ | {
        "DATABASE_URL": url,
        "BLANGKO_ENV": "embedded",
        "BLANGKO_INSTANCE_PATH": str(instance),
        "BLANGKO_REVIEW_EVERY_SECONDS": "1",
        **settings,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "flask", "jobs"], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
    )


def run_for(slots: int, app: Flask, processes: list[subprocess.Popen[bytes]]) -> list[datetime]:
    """The slots that were run from when all processes were at work: while others start, one may come late."""
    deadline = time.monotonic() + slots * 1.5 + 60
    before: int | None = None
    try:
        while time.monotonic() < deadline:
            found = all_slots(app)
            if before is None and at_work(app) == len(processes):
                before = len(found)
            if before is not None and len(found) > before + slots:
                return found[before:]
            time.sleep(0.5)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    pytest.fail(f"only {len(all_slots(app))} runs")


def at_work(app: Flask) -> int:
    with app.app_context():
        found = db.session.scalar(text("SELECT count(*) FROM heartbeats"))
        db.session.remove()
    return int(found or 0)


def all_slots(app: Flask) -> list[datetime]:
    with app.app_context():
        found = [run.slot for run in runs.latest(SYSTEM, limit=10_000) if run.job == reviews.REVIEW]
        db.session.remove()
    return sorted(found)


def check_one_run_a_second(
    processes: int, slots: int, url: str, tmp_path: Path, make_app: Callable[..., Flask]
) -> None:
    started = [start_jobs(url, tmp_path) for _ in range(processes)]
    app = make_app(url)
    found = run_for(slots, app, started)[: slots + 1]
    gaps = [int((b - a).total_seconds()) - 1 for a, b in pairwise(found)]
    # On a machine too busy to run each second, a slot may come down to the next; seldom, and never twice.
    assert min(gaps) == 0, "a slot was run twice"
    assert sum(gaps) <= max(1, slots // 20), f"slots were missed: {gaps}"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_two_processes_run_each_second_once(database_url: str, tmp_path: Path, make_app: Callable[..., Flask]) -> None:
    check_one_run_a_second(2, 5, database_url, tmp_path, make_app)


@pytest.mark.alone
@pytest.mark.slow
def test_four_processes_run_sixty_slots_once(database_url: str, tmp_path: Path, make_app: Callable[..., Flask]) -> None:
    check_one_run_a_second(4, 60, database_url, tmp_path, make_app)
