"""The served application under a race, under repeats and under SIGKILL, on both databases."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import text

from inventory.db import db
from tests.conftest import NOW, TODAY
from tests.web.server import ROOT, Browser, Server
from tests.world import World

DAY = TODAY.isoformat()
WAITS = 7
"""How many moments after an acknowledgement a server is killed at, once each: it is the starts that take their time."""


@pytest.fixture
def server_app(database_url: str, make_app: Callable[..., Flask]) -> Flask:
    """An application on the server's database, to look at what the server wrote."""
    return make_app(database_url)


def stock(app: Flask, quantity: int) -> None:
    with app.app_context():
        World(app).deliver(NOW, TODAY, quantity)
        db.session.remove()


def count(app: Flask, query: str) -> int:
    with app.app_context():
        found = db.session.scalar(text(query))
        db.session.remove()
    return int(found or 0)


def check_books(app: Flask) -> None:
    """The balance, the daily totals and the movements say the same, and the sequence has no gap."""
    printed = count(app, "SELECT printed FROM balances")
    assert printed == count(app, "SELECT coalesce(sum(quantity), 0) FROM movements WHERE kind = 'print'")
    assert printed == count(app, "SELECT coalesce(sum(quantity), 0) FROM daily_totals WHERE kind = 'print'")
    assert count(app, "SELECT store FROM balances") == count(app, "SELECT received FROM balances") - printed
    assert count(app, "SELECT count(*) FROM movements") == count(app, "SELECT max(seq) FROM movements")
    assert count(app, "SELECT last_seq FROM balances") == count(app, "SELECT max(seq) FROM movements")


def in_parallel(works: list[Callable[[], None]]) -> None:
    failures: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


@pytest.mark.slow
def test_sixteen_clients_cannot_print_more_than_there_is(server_app: Flask, database_url: str, tmp_path: Path) -> None:
    stock(server_app, 200)
    statuses: list[int] = []
    with Server(database_url, tmp_path) as server, ExitStack() as open_browsers:
        browsers = [open_browsers.enter_context(Browser(server.port)) for _ in range(16)]
        in_parallel([browser.log_in for browser in browsers])

        def print_25(browser: Browser) -> None:
            statuses.extend(browser.print_cards(DAY, 1) for _ in range(25))

        in_parallel([lambda browser=browser: print_25(browser) for browser in browsers])
    assert sorted(set(statuses)) == [303, 409]
    assert statuses.count(303) == 200
    assert count(server_app, "SELECT store FROM balances") == 0
    check_books(server_app)


@pytest.mark.slow
def test_fifty_equal_posts_are_one_movement(server_app: Flask, database_url: str, tmp_path: Path) -> None:
    stock(server_app, 7)
    request = uuid4()
    statuses: list[int] = []
    with Server(database_url, tmp_path) as server, ExitStack() as open_browsers:
        browsers = [open_browsers.enter_context(Browser(server.port)) for _ in range(10)]
        in_parallel([browser.log_in for browser in browsers])

        def send_five(browser: Browser) -> None:
            statuses.extend(browser.print_cards(DAY, 7, request) for _ in range(5))

        in_parallel([lambda browser=browser: send_five(browser) for browser in browsers])
    assert statuses == [303] * 50
    assert count(server_app, "SELECT count(*) FROM movements WHERE kind = 'print'") == 1
    check_books(server_app)


def load_until_killed(browser: Browser, acknowledged: set[UUID], stop: threading.Event) -> None:
    """Post one card after the other, noting each that the server answered for, until it is gone."""
    with browser, suppress(OSError, http.client.HTTPException):
        while not stop.is_set():
            request = uuid4()
            if browser.print_cards(DAY, 1, request) == 303:
                acknowledged.add(request)


def kill_under_load(kills: int, app: Flask, server: Server) -> None:
    acknowledged: set[UUID] = set()
    with server:
        # Sessions outlive the server. Log-ins that are killed half-way would count as tries at the account.
        browsers = [Browser(server.port) for _ in range(6)]
        for browser in browsers:
            browser.log_in()
    for number in range(kills):
        server.start()
        stop = threading.Event()
        loaders = [
            threading.Thread(target=load_until_killed, args=[browser, acknowledged, stop], daemon=True)
            for browser in browsers
        ]
        for loader in loaders:
            loader.start()
        before = len(acknowledged)
        while len(acknowledged) < before + 20:
            assert any(loader.is_alive() for loader in loaders)
            time.sleep(0.01)
        time.sleep(0.013 * (number % WAITS))
        server.kill()
        stop.set()
        for loader in loaders:
            loader.join()
        check_books(app)
    with app.app_context():
        stored = db.session.scalars(text("SELECT request_id FROM movements WHERE kind = 'print'")).all()
        db.session.remove()
    found = [UUID(str(request)) for request in stored]
    assert len(found) == len(set(found))
    assert acknowledged <= set(found)


@pytest.mark.slow
def test_what_was_acknowledged_outlives_kill_after_kill(server_app: Flask, database_url: str, tmp_path: Path) -> None:
    stock(server_app, 1_000_000)
    kill_under_load(WAITS, server_app, Server(database_url, tmp_path))


def test_the_password_hash_is_ready_before_the_first_log_in(tmp_path: Path) -> None:
    """Loading it is not safe in threads: of two first log-ins at once, one was told that something had broken."""
    looking = "import inventory, passlib.hash as h; inventory.create_app(); print(h.argon2._BackendMixin__backend)"
    environment = os.environ | {"BLANGKO_ENV": "embedded", "BLANGKO_INSTANCE_PATH": str(tmp_path)}
    environment.pop("DATABASE_URL", None)
    found = subprocess.run(
        [sys.executable, "-c", looking], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "argon2_cffi"
