"""What the watchers show: readiness, metrics, the banner, the page of the jobs and the case; on both databases."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.domain.watchers import GRACE, PATIENCE
from inventory.jobs import Job, run_due
from inventory.services import alerts, chores, runs, watchers
from inventory.services.chores import Round
from tests.conftest import NOW, TODAY
from tests.web.client import in_language, log_in
from tests.web.server import Server
from tests.world import DENPASAR, World

DAY = timedelta(days=1)
HOME = f"/offices/{DENPASAR}"


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def logged_in(app: Flask, name: str, language: str = "en") -> FlaskClient:
    client = app.test_client()
    log_in(client, name)
    in_language(client, language)
    return client


def jobs(app: Flask) -> list[Job]:
    return app.extensions["jobs"]


def run_all(app: Flask) -> None:
    for job in jobs(app):
        found = run_due(app, job)
        assert found is not None, job.name
        assert found.status == "done", job.name


def later(app: Flask, by: timedelta) -> None:
    app.config["CLOCK"] = lambda: NOW + by
    setting(app, SESSION_HOURS=10_000, IDLE_MINUTES=600_000)  # nobody is logged out by the leap


def fail(app: Flask, name: str = "daily seal") -> None:
    with app.app_context():
        job = next(each for each in jobs(app) if each.name == name)
        slot = job.schedule.latest_slot(app.config["CLOCK"]())
        runs.record_failure(name, slot, slot, slot, "test", RuntimeError("secret path"))
        db.session.remove()


def setting(app: Flask, **changes: Any) -> None:
    app.config["SETTINGS"] = replace(app.config["SETTINGS"], **changes)


# --- readiness ---------------------------------------------------------------------------------------------------


def test_readiness_tells_how_the_jobs_stand(app: Flask, client: FlaskClient) -> None:
    run_all(app)
    with app.app_context():
        watchers.beat("a:1", NOW, NOW - timedelta(seconds=20), [])
        db.session.remove()
    told = client.get("/readyz").get_json()
    assert told["status"] == told["database"]["state"] == "ready"
    assert told["scheduler"] == {
        "alive": 1,
        "beat_at": (NOW - timedelta(seconds=20)).isoformat(),
        "age_seconds": 20.0,
    }
    assert set(told["jobs"]) == {job.name for job in (*jobs(app), *app.extensions["chores"])}
    assert told["jobs"]["daily seal"]["level"] == "ok"
    assert told["jobs"]["daily seal"]["good_slot"] == "2024-05-14T18:30:00+00:00"


def test_a_late_job_leaves_the_process_ready_unless_the_settings_ask_for_it(app: Flask, client: FlaskClient) -> None:
    run_all(app)
    later(app, 2 * DAY)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.get_json()["status"]) == (200, "ready")
    assert answer.get_json()["jobs"]["low-stock review"]["level"] == "critical"
    setting(app, READY_NEEDS_JOBS=True)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.get_json()["status"]) == (503, "jobs late")
    assert client.get("/healthz").status_code == 200


def test_readiness_opens_the_case_when_no_scheduler_lives(app: Flask, client: FlaskClient) -> None:
    run_all(app)
    later(app, 2 * DAY)
    client.get("/readyz")
    client.get("/readyz")
    with app.app_context():
        found = [alert for alert in alerts.open_alerts(SYSTEM) if alert.subject == "job_not_run"]
    assert len(found) == 1
    assert "low-stock review" in found[0].facts["late"]


def test_readiness_names_no_error_and_no_process(app: Flask, client: FlaskClient) -> None:
    fail(app)
    with app.app_context():
        watchers.beat("inner-host:4711", NOW, NOW, [])
        db.session.remove()
    told = client.get("/readyz").text
    assert "secret path" not in told
    assert "inner-host" not in told


def test_a_look_that_fails_does_not_take_the_process_away(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no look today")

    monkeypatch.setattr("inventory.services.watchers.state", broken)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.get_json()["jobs"]) == (200, None)


def test_messages_that_are_not_sent_are_seen_by_machines_and_by_administrators(app: Flask, client: FlaskClient) -> None:
    run_all(app)
    with app.app_context():
        chores.note("messages", NOW, Round(held_up="the server of secret.test is away"))
        chores.note("stock checks", NOW, Round())
        World(app).deliver(NOW, TODAY, 10)
        db.session.remove()
    later(app, PATIENCE + timedelta(seconds=9))
    assert client.get("/readyz").get_json()["jobs"]["messages"]["level"] == "ok"
    later(app, PATIENCE + timedelta(seconds=10))
    answer = client.get("/readyz")
    told = answer.get_json()["jobs"]["messages"]
    assert (answer.status_code, told["level"]) == (200, "critical")
    assert told["late_since"] == (NOW + PATIENCE + timedelta(seconds=10)).isoformat()
    assert "secret.test" not in answer.text
    found = samples(client.get("/metrics").text)
    assert found["blangko_job_overdue", (("job", "messages"),)] == 1
    assert found["blangko_messages", (("state", "due"),)] == 0
    assert found["blangko_open_alerts", (("level", "critical"), ("subject", "job_not_run"))] == 1
    page = logged_in(app, "manager").get("/jobs").text
    assert "Sending of messages" in page
    assert "the server of secret.test is away" in page
    assert "Not done in time: " in logged_in(app, "regional").get("/alerts").text
    setting(app, READY_NEEDS_JOBS=True)
    assert client.get("/readyz").status_code == 503


# --- metrics -----------------------------------------------------------------------------------------------------


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_tell_of_jobs_schedulers_alerts_and_the_database(app: Flask, client: FlaskClient) -> None:
    run_all(app)
    later(app, DAY)
    fail(app)
    fail(app)
    with app.app_context():
        watchers.beat("a:1", NOW, NOW + DAY - timedelta(seconds=20), [])
        db.session.remove()
    client.get("/readyz")
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain; version=")
    found = samples(answer.text)
    seal, review = (("job", "daily seal"),), (("job", "low-stock review"),)
    assert found["blangko_job_last_success_timestamp_seconds", seal] == NOW.timestamp()
    assert found["blangko_job_last_duration_seconds", review] == 0
    assert found["blangko_job_failures_total", seal] == 2
    assert found["blangko_job_failures_total", review] == 0
    assert found["blangko_job_overdue", seal] == 1, "a day and two hours after its last good slot"
    assert found["blangko_job_slots_missed", seal] == 1
    assert found["blangko_schedulers_alive", ()] == 1
    assert found["blangko_scheduler_heartbeat_age_seconds", ()] == 20
    assert found["blangko_open_alerts", (("level", "critical"), ("subject", "job_not_run"))] == 1
    assert found["blangko_database_up", ()] == 1
    assert 0 < found["blangko_database_answer_seconds", ()] < 5


def test_metrics_count_requests_by_endpoint_and_answer(app: Flask, client: FlaskClient) -> None:
    def counted() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        return samples(client.get("/metrics").text)

    before = counted()
    client.get("/healthz")
    client.get("/healthz")
    client.get("/no/such/page/as/this")
    client.get("/no/such/page/as/that")
    after = counted()

    def more(endpoint: str, status: str) -> float:
        key = ("blangko_http_requests_total", (("endpoint", endpoint), ("method", "GET"), ("status", status)))
        return after.get(key, 0) - before.get(key, 0)

    assert more("health.alive", "200") == 2
    assert more("none", "404") == 2, "what is not there has no label of its own: nobody can fill the memory with names"
    assert more("metrics.index", "200") == 1
    timed = "blangko_http_request_seconds_count", (("endpoint", "health.alive"),)
    assert after[timed] - before.get(timed, 0) == 2


def test_metrics_tell_what_waits_and_how_many_connections_are_in_use(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        World(app).deliver(NOW, TODAY, 100)
        db.session.remove()
    app.config["CLOCK"] = lambda: NOW + timedelta(minutes=3)
    found = samples(client.get("/metrics").text)
    assert found["blangko_stocks_to_check", ()] == 1
    assert found["blangko_chore_waiting_seconds", (("chore", "stock checks"),)] == 180
    assert found["blangko_chore_waiting_seconds", (("chore", "messages"),)] == 0
    # The one with which the scrape itself looks.
    assert found["blangko_database_connections", ()] == 1


@pytest.mark.parametrize(
    ("headers", "address", "status"),
    [
        ({}, "127.0.0.1", 200),
        ({}, "::1", 200),
        ({}, "10.0.0.9", 401),
        ({}, "", 401),
        ({"X-Forwarded-For": "203.0.113.9"}, "127.0.0.1", 401),
        ({"Forwarded": "for=203.0.113.9"}, "127.0.0.1", 401),
    ],
)
def test_without_a_token_only_this_machine_reads_metrics(
    app: Flask, client: FlaskClient, headers: dict[str, str], address: str, status: int
) -> None:
    answer = client.get("/metrics", headers=headers, environ_base={"REMOTE_ADDR": address})
    assert answer.status_code == status
    assert ("blangko_" in answer.text) == (status == 200)


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ("Bearer a token of some length", 200),
        ("Bearer a token of some lengt", 401),
        ("Basic a token of some length", 401),
        ("Bearer ", 401),
        ("Bearer é", 401),
        (None, 401),
    ],
)
def test_with_a_token_metrics_ask_for_it_everywhere(
    app: Flask, client: FlaskClient, given: str | None, status: int
) -> None:
    setting(app, METRICS_TOKEN="a token of some length")
    headers = {"Authorization": given} if given is not None else {}
    for address in ("127.0.0.1", "10.0.0.9"):
        answer = client.get("/metrics", headers=headers, environ_base={"REMOTE_ADDR": address})
        assert answer.status_code == status
        assert status == 200 or answer.headers["WWW-Authenticate"] == "Bearer"


def test_metrics_of_a_broken_database_say_that_it_is_down(tmp_path: Path, make_app: Callable[..., Flask]) -> None:
    client = make_app(f"sqlite:///{tmp_path / 'empty.sqlite3'}").test_client()
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert samples(answer.text)["blangko_database_up", ()] == 0
    assert "blangko_job_overdue" not in answer.text


def test_the_workers_of_a_server_add_up_their_requests(database_url: str, tmp_path: Path) -> None:
    """Whichever worker answers the scrape, it tells of all of them."""
    with Server(database_url, tmp_path, workers=3) as server:

        def get(path: str) -> str:
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=30) as answer:
                return answer.read().decode()

        threads = [threading.Thread(target=lambda: [get("/healthz") for _ in range(10)]) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        key = ("blangko_http_requests_total", (("endpoint", "health.alive"), ("method", "GET"), ("status", "200")))
        assert [samples(get("/metrics"))[key] for _ in range(8)] == [60] * 8


# --- pages -------------------------------------------------------------------------------------------------------

PAGES = ("/alerts", HOME, f"{HOME}/balances")


def test_the_banner_tells_how_old_the_review_is(app: Flask) -> None:
    run_all(app)
    slot_and_grace = timedelta(hours=15, minutes=30) + GRACE  # NOW is 8½ hours after the slot
    for name, language, words in (
        ("regional", "en", "The low-stock review is late."),
        ("regional", "id", "Pemeriksaan stok menipis terlambat."),
    ):
        client = logged_in(app, name, language)
        later(app, slot_and_grace - timedelta(seconds=1))
        assert [words in client.get(path).text for path in PAGES] == [False] * 3
        later(app, slot_and_grace)
        assert [words in client.get(path).text for path in PAGES] == [True] * 3
    later(app, timedelta(hours=30, minutes=59))
    assert "May 15, 2024 10:00 WIB, 30 hours ago" in " ".join(logged_in(app, "regional").get("/alerts").text.split())
    later(app, 4 * DAY)
    assert "4 days ago" in logged_in(app, "regional").get("/alerts").text


def test_the_banner_is_for_those_who_may_see_alerts_on_the_pages_that_the_review_feeds(app: Flask) -> None:
    run_all(app)
    later(app, 2 * DAY)
    words = "The low-stock review is late."
    storekeeper = logged_in(app, "storekeeper")
    page = storekeeper.get(HOME).text
    assert words in page
    assert "Tell your administrator." in page
    assert 'href="/jobs"' in logged_in(app, "manager").get("/alerts").text
    assert words not in storekeeper.get(f"{HOME}/consumption").text
    administrator = logged_in(app, "administrator")
    assert words not in administrator.get(HOME).text
    assert words not in app.test_client().get("/login").text


def test_the_banner_says_that_there_never_was_a_review(app: Flask) -> None:
    with app.app_context():
        World(app).deliver(NOW, TODAY, 10)
        db.session.remove()
    client = logged_in(app, "regional")
    words = "The low-stock review has never run."
    assert words not in client.get("/alerts").text
    later(app, GRACE)
    assert words in client.get("/alerts").text


def test_the_page_of_the_jobs_tells_how_each_stands(app: Flask) -> None:
    client = logged_in(app, "manager")
    assert "No scheduler has run yet." in client.get("/jobs").text
    run_all(app)
    with app.app_context():
        watchers.beat("a:1", NOW, NOW, [])
        db.session.remove()
    page = client.get("/jobs").text
    assert "1 scheduler is running" in page
    assert page.count("On time") == len(jobs(app))
    later(app, DAY)
    fail(app)
    page = client.get("/jobs").text
    assert "No scheduler is running" in page
    assert "Late" in page


@pytest.mark.parametrize(("language", "words"), [("en", "Not done in time: "), ("id", "Tidak selesai tepat waktu: ")])
def test_the_case_says_which_jobs_are_late(app: Flask, client: FlaskClient, language: str, words: str) -> None:
    run_all(app)
    later(app, 2 * DAY)
    client.get("/readyz")
    with app.app_context():
        [found] = [alert for alert in alerts.open_alerts(SYSTEM) if alert.subject == "job_not_run"]
    reader = logged_in(app, "regional", language)
    assert words in reader.get("/alerts").text
    assert words in reader.get(f"/alerts/{found.id}").text
    names = {"en": "Daily seal, Low-stock review, Verification", "id": "Segel harian, Pemeriksaan stok menipis, "}
    assert words + names[language] in reader.get(f"/alerts/{found.id}").text
