"""The benchmarks in the long run: every kind of request is asked and answered, and what goes wrong is counted."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from uuid import uuid4

import psycopg
import pytest
from flask import Flask
from psycopg import sql

from inventory.bench import load, soak
from inventory.bench.load import Asked
from tests import postgres


@pytest.fixture
def empty_app(
    postgres_url: str, make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> Iterator[Flask]:
    """An application on an empty database, which the processes that are started find as well."""
    name = f"blangko_{uuid4().hex[:12]}"
    settings = {"DATABASE_URL": postgres.database(postgres_url, name), "BLANGKO_ENV": "embedded"}
    settings |= {"BLANGKO_INSTANCE_PATH": str(tmp_path), **soak.SETTINGS}
    for variable, value in settings.items():
        monkeypatch.setenv(variable, value)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield make_app(settings["DATABASE_URL"])
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.mark.slow
def test_a_soak_asks_for_everything_and_counts_what_was_kept(empty_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "FIRST", 150)
    monkeypatch.setattr(soak, "OFFICES", 12)
    monkeypatch.setattr(soak, "TOP_SECONDS", 0.5)
    with empty_app.app_context():
        figures = {each.figure: each for each in soak.measure_soak_here(0.05, 0.5)}
    for name in (
        "requests that failed",
        "movements acknowledged and not there, or there twice",
        "faults found in the books",
    ):
        assert (figures[name].value, figures[name].must, figures[name].met) == (0, 0, True), figures
    assert figures["movements acknowledged"].value > 50


@pytest.mark.slow
def test_the_memory_of_a_worker_is_read_after_few_requests_and_after_many(
    empty_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soak, "FIRST", 100)
    monkeypatch.setattr(soak, "OFFICES", 12)
    with empty_app.app_context():
        ratio, failed, few, many = soak.measure_memory_here(200)
    assert (ratio.must, ratio.aim, ratio.at_most) == (1.1, 1.05, True)
    assert abs(ratio.value - many.value / few.value) < 0.01
    assert failed.figure == "requests that failed"
    assert failed.value == 0


class _Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    answered = 0

    def do_GET(self) -> None:
        if self.path == "/never" or (self.path == "/once" and self.answered):
            self.close_connection = True
            return
        self.answered += 1
        self.send_response(503 if self.path == "/bad" else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"hm")

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def _ask(path: str) -> Asked:
    return Asked(path, f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())


def test_bad_answers_are_counted_and_the_others_go_on(port: int) -> None:
    paths = iter(["/good", "/bad"] * 20)
    heard = load.run(
        port, lambda: _ask(next(paths)), clients=3, good=frozenset({200}), until=lambda told: told.asked >= 40
    )
    assert (heard.asked, heard.answers, heard.failed) == (40, 20, 20)
    assert {name: len(times) for name, times in heard.times.items()} == {"/good": 20}
    assert all(fault.startswith("/bad: 503") for fault in heard.faults)


def test_what_a_kept_connection_swallowed_is_asked_again_over_a_new_one(port: int) -> None:
    heard = load.run(port, lambda: _ask("/once"), clients=2, good=frozenset({200}), until=lambda told: told.asked >= 20)
    assert (heard.answers, heard.failed) == (20, 0)
    assert 0 < heard.anew <= 18
    heard = load.run(port, lambda: _ask("/never"), clients=2, good=frozenset({200}), until=lambda told: told.asked >= 6)
    assert (heard.answers, heard.failed, heard.anew) == (0, 6, 0)


def test_no_more_is_asked_than_the_pace_allows(port: int) -> None:
    heard = load.run(
        port,
        lambda: _ask("/good"),
        clients=4,
        good=frozenset({200}),
        until=lambda told: told.seconds >= 0.4,
        a_second=50,
    )
    assert 0 < heard.asked <= 50 * heard.seconds + 1
