"""A server that is told to stop, or to load anew, while clients post: nobody's entry is cut off."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from flask import Flask

from tests.conftest import TODAY
from tests.web.server import ROOT, SECRET_KEY, Browser, Server
from tests.web.test_server import check_books, count, in_parallel, stock

DAY = TODAY.isoformat()


class Deployed(Server):
    """The server as it is deployed: gunicorn with the settings of `.deploy/`, which loads the application itself."""

    def start(self) -> None:
        environment = os.environ | {
            "DATABASE_URL": self.url,
            "BLANGKO_ENV": "embedded",
            "BLANGKO_SECRET_KEY": SECRET_KEY,
            "BLANGKO_INSTANCE_PATH": str(self.instance),
            "BLANGKO_SECOND_FACTOR": "offered",
            "BLANGKO_LOG_FORMAT": "json",
            "BLANGKO_METRICS_PATH": str(self.instance / "metrics"),
            "BIND": f"127.0.0.1:{self.port}",
            "WEB_CONCURRENCY": str(self.workers),
        }
        (self.instance / "metrics").mkdir(exist_ok=True)
        command = [sys.executable, "-m", "gunicorn", "--config", ".deploy/gunicorn.conf.py", "wsgi:app"]
        with (self.instance / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        self._wait_until_ready()


class Poster:
    """Posts one card after the other over a connection that is kept, and notes what cannot be explained."""

    def __init__(self, port: int) -> None:
        self.browser = Browser(port)
        self.statuses: Counter[int] = Counter()
        self.sent: set[UUID] = set()
        self.failed: list[str] = []
        self.refused = 0

    def post(self, stop: threading.Event) -> None:
        while not stop.is_set():
            request = uuid4()
            try:
                status = self._answered(request)
            except ConnectionRefusedError:
                self.refused += 1  # nothing was sent
                self.browser.connection.close()
                time.sleep(0.05)
                continue
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(repr(error))
                return
            self.statuses[status] += 1
            self.sent.add(request)
        self.browser.connection.close()

    def _answered(self, request: UUID) -> int:
        kept = self.browser.connection.sock is not None
        try:
            return self.browser.print_cards(DAY, 1, request)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            # A kept connection may be closed before a request arrives on it: as every client does, once more on a new
            # one. On a new one that is no excuse.
            self.browser.connection.close()
            if not kept:
                raise
            return self.browser.print_cards(DAY, 1, request)


def posting(server: Server, disturb: Callable[[], None]) -> list[Poster]:
    posters = [Poster(server.port) for _ in range(6)]
    in_parallel([poster.browser.log_in for poster in posters])
    stop = threading.Event()
    threads = [threading.Thread(target=poster.post, args=[stop]) for poster in posters]
    for thread in threads:
        thread.start()
    try:
        time.sleep(1)
        disturb()
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    for poster in posters:
        poster.browser.connection.close()
    return posters


def check(app: Flask, posters: list[Poster]) -> None:
    assert [poster.failed for poster in posters] == [[]] * len(posters)
    statuses = sum((poster.statuses for poster in posters), Counter())
    assert set(statuses) == {303}, statuses
    assert count(app, "SELECT count(*) FROM movements WHERE kind = 'print'") == sum(statuses.values())
    check_books(app)


on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.mark.slow
@on_postgresql
def test_a_reload_under_load_costs_nobody_an_answer(
    database_url: str, make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    app = make_app(database_url)
    stock(app, 100_000)

    def reload() -> None:
        assert server.process is not None
        server.process.send_signal(signal.SIGHUP)
        time.sleep(7)

    with Deployed(database_url, tmp_path) as server:
        posters = posting(server, reload)
    assert sum(poster.refused for poster in posters) == 0  # somebody listened all the time
    check(app, posters)
    log = (tmp_path / "server.log").read_text()
    assert '"message": "Handling signal: hup"' in log
    assert "Traceback" not in log


@pytest.mark.slow
@on_postgresql
def test_a_stop_under_load_finishes_what_is_under_way(
    database_url: str, make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    app = make_app(database_url)
    stock(app, 100_000)

    def stop() -> None:
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(40) == 0

    with Deployed(database_url, tmp_path) as server:
        posters = posting(server, stop)
        server.process = None
    assert sum(poster.refused for poster in posters) > 0
    check(app, posters)


@pytest.mark.slow
@on_sqlite
def test_a_request_that_is_under_way_is_answered_by_a_server_that_stops(
    database_url: str, make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    """Its head came before the stop, its end after it."""
    app = make_app(database_url)
    stock(app, 10)
    with Deployed(database_url, tmp_path, workers=1) as server:
        message = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as slow:
            slow.sendall(message)
            time.sleep(0.5)
            assert server.process is not None
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            slow.sendall(b"\r\n")
            assert slow.recv(4096).startswith(b"HTTP/1.1 200")
        server.process.wait(40)
        server.process = None
