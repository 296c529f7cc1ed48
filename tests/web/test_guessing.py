"""Thousands of guesses at one account: a real server of four processes, fifty addresses, a restart in between."""

from __future__ import annotations

import http.client
import os
import re
import threading
import time
from collections import Counter as Tally
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

import pytest
from flask import Flask
from sqlalchemy import select

from inventory.db import db
from inventory.domain.lockout import ALLOWANCES, Counter, most_tries
from inventory.models import LogInTries
from tests.web.server import Browser, Server
from tests.world import PASSWORD, PEOPLE

ADDRESSES = 50
GUESSES = int(os.environ.get("BLANGKO_TEST_CASES") or 500)
OWNER = PEOPLE["storekeeper"][0]
AT_ONCE = 10


class Guesser:
    """One address, with a browser's cookies and a connection that may be cut."""

    def __init__(self, port: int, number: int) -> None:
        self.port, self.address = port, f"127.0.1.{number + 1}"
        self.token, self.cookie = "", ""

    def guess(self, password: str) -> int:
        """The status of the answer; 0 when there was none."""
        try:
            if not self.token:
                page, headers = self._send("GET", None)[1:]
                self.cookie = (headers.get("Set-Cookie") or "").partition(";")[0]
                found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
                self.token = found[1] if found else ""
            data = {"email": OWNER, "password": password, "csrf_token": self.token}
            return self._send("POST", urlencode(data))[0]
        except (OSError, http.client.HTTPException):
            return 0

    def _send(self, method: str, body: str | None) -> tuple[int, str, http.client.HTTPMessage]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60, source_address=(self.address, 0))
        headers = {"Cookie": self.cookie}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(method, "/login", body, headers)
        answer = connection.getresponse()
        page = answer.read().decode()
        connection.close()
        return answer.status, page, answer.headers


def guess_all(guessers: list[Guesser], numbers: range) -> Tally[int]:
    """Ten at a time, from all addresses in turn."""
    statuses: Tally[int] = Tally()
    lock, left = threading.Lock(), iter(numbers)

    def work(own: list[Guesser]) -> None:
        for turn in range(10**9):
            with lock:
                number = next(left, None)
            if number is None:
                return
            status = own[turn % len(own)].guess(f"tebakan ke-{number}")
            with lock:
                statuses[status] += 1

    threads = [threading.Thread(target=work, args=(guessers[n::AT_ONCE],)) for n in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def tries_of(app: Flask) -> dict[str, int]:
    """Tries that were taken, by counter, the most of each."""
    with app.app_context():
        rows = db.session.execute(select(LogInTries.counter, LogInTries.tries)).all()
        db.session.remove()
    return {counter: max(tries for kind, tries in rows if kind == counter) for counter, _ in rows}


@pytest.mark.slow
def test_thousands_of_guesses_get_no_more_than_the_allowed_tries(app: Flask, database_url: str, tmp_path: Path) -> None:
    with Server(database_url, tmp_path, workers=4) as server:
        with Browser(server.port) as owner:
            owner.log_in()
            owner.post("/logout", {})
            kept = dict(owner.cookies)
        guessers = [Guesser(server.port, number) for number in range(ADDRESSES)]
        begun = time.monotonic()
        before = guess_all(guessers, range(GUESSES // 2))
        server.kill()
        server.start()
        after = guess_all(guessers, range(GUESSES // 2, GUESSES))
        allowed = most_tries(Counter.ACCOUNT, timedelta(seconds=time.monotonic() - begun))
        statuses = before + after
        evaluated = statuses[200]
        print(f"{GUESSES} guesses: {dict(statuses)}, allowed {allowed}, in {time.monotonic() - begun:.0f} s")
        assert set(statuses) == {200, 429}
        assert statuses.total() == GUESSES
        assert evaluated == allowed == ALLOWANCES[Counter.ACCOUNT].tries, "none more, and none forgotten by the restart"
        assert tries_of(app)["account"] == evaluated
        assert guessers[0].guess(PASSWORD) == 429, "not even with the right one"
        with Browser(server.port) as owner:
            owner.cookies = kept
            owner.log_in()
            assert owner.get("/offices/51.71")[0] == 200
