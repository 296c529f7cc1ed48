"""A server in the long run: what its workers' memory comes to after many requests, and whether anything fails or grows
in an hour at half of what it can do. gunicorn with the settings that are shipped, but for the replacing of workers,
which would hide what they gather; PostgreSQL; the scheduled jobs beside it; everything on this machine.
"""

from __future__ import annotations

import os
import random
import re
import statistics
import sys
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from inventory.bench import Figure, load, postgres, speed
from inventory.bench.load import Asked
from inventory.bench.processes import figures_from, running
from inventory.db import let_go
from inventory.domain.access import SYSTEM, Role

OFFICES = 300
SCOPES = ("movements:write", "stock:read")
KEEPERS, WATCHERS = 8, 2
"""Offices whose storekeeper has logged in; people who look at the whole province."""
PASSWORD = "kata sandi untuk ukuran"  # noqa: S105  (of accounts that are thrown away)
CLIENTS = 8
FIRST, LAST, QUICK_LAST = 1_000, 100_000, 10_000
"""Requests after which the memory of a worker is read."""
TOP_SECONDS = 15.0
PARTS = 10
"""The soak is compared by tenths: the last with the first."""
SETTLING = 2.0
"""Seconds after which the server has seen that the clients of a tenth are gone."""
MACHINES = {"post": 60, "repeat": 5, "balances": 10}
PEOPLE = {"form": 5, "card": 5, "today": 5, "office": 4, "region": 4, "alerts": 2}
SHARES = MACHINES | PEOPLE
"""Of a hundred requests: movements by a machine, some of them sent again, and what machines read; a storekeeper's form,
and what people look at."""
POSTS = ("post", "form")
GOOD = frozenset((200, 201, 303))
CHANCE = random.Random()  # noqa: S311  (what is asked next, no secret)
SETTINGS = {"BLANGKO_API_RATE": "1000000", "BLANGKO_JOBS_IN_SERVER": "0", "BLANGKO_SECOND_FACTOR": "offered"}
SERVER = Path(__file__).parents[2] / ".deploy" / "gunicorn.conf.py"


def measure(*, minutes: float, share: float, url: str | None = None) -> list[Figure]:
    """So many minutes at this share of the top rate, on the EMPTY PostgreSQL database `url` or a server of our own.

    Raises RuntimeError without a server, or with a database that has tables.
    """
    return _apart(["measure-soak", str(minutes), str(share)], url)


def measure_memory(*, quick: bool, url: str | None = None) -> list[Figure]:
    """What one worker holds after many requests beside after few; on a database as above. Raises RuntimeError."""
    return _apart(["measure-memory", str(QUICK_LAST if quick else LAST)], url)


def _apart(command: list[str], url: str | None) -> list[Figure]:
    # Pages show more once a review has seen the first prints: none is to come between two tenths that are compared.
    long_after = {"BLANGKO_TIME_ZONE": "UTC", "BLANGKO_REVIEW_AT": f"{datetime.now(UTC) + timedelta(hours=12):%H:%M}"}
    with postgres.database(url) as address:
        speed.refuse_unless_empty(address)
        return figures_from(command, address, SETTINGS | long_after)


# --- memory ------------------------------------------------------------------------------------------------------


def measure_memory_here(last: int) -> list[Figure]:
    """The figures on the database of the environment, which is filled. For the process that `measure_memory` starts."""
    mix = _Mix(speed.fill(OFFICES, SCOPES))
    with _server(workers=1) as (port, workers):
        mix.log_in(port)
        let_go()
        held, heard = {}, load.Heard()
        for count in (FIRST, last):
            wanted = count - heard.answers
            heard.add(load.run(port, mix, clients=CLIENTS, good=GOOD, until=lambda told, n=wanted: told.asked >= n))
            held[count] = _megabytes(workers[0])
    name = f"memory of a web worker after {last:,} requests ÷ after {FIRST:,}"
    return [
        Figure(name, round(held[last] / held[FIRST], 3), 1.1, 1.05, at_most=True),
        _failed(heard),
        Figure(f"megabytes after {FIRST:,} requests", round(held[FIRST], 1)),
        Figure(f"megabytes after {last:,} requests", round(held[last], 1)),
    ]


# --- the soak ----------------------------------------------------------------------------------------------------


@dataclass
class _Reading:
    """What the processes hold at a moment."""

    worker: float
    """Megabytes of the largest worker."""
    jobs: float
    files: int
    """Open files and connections of all workers."""


def measure_soak_here(minutes: float, share: float) -> list[Figure]:
    """The figures on the database of the environment, which is filled. For the process that `measure` starts."""
    from inventory.services import national_world

    mix, part = _Mix(speed.fill(OFFICES, SCOPES)), 60 * minutes / PARTS
    before = national_world.movements()
    with _server(workers=2) as (port, workers), _jobs() as jobs:
        mix.log_in(port)
        let_go()  # a transaction that does nothing for so long is ended by the server
        whole = load.run(port, mix, clients=CLIENTS, good=GOOD, until=lambda told: told.asked >= FIRST)
        top = load.run(port, mix, clients=CLIENTS, good=GOOD, until=lambda told: told.seconds >= TOP_SECONDS)
        whole.add(top)
        pace = share * top.answers / top.seconds
        parts, readings = [], []
        for _ in range(PARTS):
            parts.append(_paced(port, mix, pace, part))
            time.sleep(SETTLING)
            readings.append(_Reading(max(map(_megabytes, workers)), _megabytes(jobs), sum(map(_open_files, workers))))
            whole.add(parts[-1])
    told = [Figure("requests a second at most", round(top.answers / top.seconds))]
    return [*_grown(parts, readings), *_kept(whole, before), *told, *_told(parts, pace)]


def _paced(port: int, mix: _Mix, pace: float, seconds: float) -> load.Heard:
    return load.run(port, mix, clients=CLIENTS, good=GOOD, until=lambda told: told.seconds >= seconds, a_second=pace)


def _grown(parts: list[load.Heard], readings: list[_Reading]) -> list[Figure]:
    first, last = readings[0], readings[-1]
    # A worker keeps a few connections to the database, as many as it once needed at the same time.
    early, late = (max(each.files for each in half) for half in (readings[: PARTS // 2], readings[PARTS // 2 :]))
    ratios = {
        "memory of a web worker": (last.worker / first.worker, 1.1, 1.05),
        "memory of the job process": (last.jobs / first.jobs, 1.1, 1.05),
        "median time of a request": (_middle(parts[-1]) / _middle(parts[0]), 1.3, 1.1),
    }
    of_kind = {
        name: statistics.median(parts[-1].times[name]) / statistics.median(parts[0].times[name])
        for name in SHARES
        if parts[0].count(name) and parts[-1].count(name)
    }
    return [
        *(Figure(f"{n}, last tenth ÷ first", round(v, 3), must, aim, True) for n, (v, must, aim) in ratios.items()),
        *(Figure(f"of {name} alone", round(value, 3), at_most=True) for name, value in of_kind.items()),
        Figure(
            "open files of the web workers, most in the second half ÷ in the first",
            round(late / early, 3),
            1.2,
            1,
            True,
        ),
        Figure("open files of the web workers, after the first tenth", first.files),
        Figure("open files of the web workers, after the last tenth", last.files),
    ]


def _middle(heard: load.Heard) -> float:
    return statistics.median(heard.all_times)


def _failed(heard: load.Heard) -> Figure:
    """With what is wrong with most of them."""
    mostly = "".join(f", mostly {fault}" for fault, _ in heard.faults.most_common(1))
    return Figure(f"requests that failed{mostly}", heard.failed, 0, 0, at_most=True)


def _kept(whole: load.Heard, before: int) -> list[Figure]:
    """Whether all went well, and everything that was acknowledged is there, once."""
    from inventory.services import national_world, verification

    acknowledged = sum(whole.count(name) for name in POSTS)
    faults = verification.verify(SYSTEM, None).faults
    return [
        _failed(whole),
        Figure(
            "movements acknowledged and not there, or there twice",
            abs(national_world.movements() - before - acknowledged),
            0,
            0,
            True,
        ),
        Figure("faults found in the books", len(faults), 0, 0, at_most=True),
        Figure("movements acknowledged", acknowledged),
    ]


def _told(parts: list[load.Heard], pace: float) -> list[Figure]:
    times = sorted(each for part in parts for each in part.all_times)
    return [
        Figure("requests a second asked for", round(pace)),
        Figure(
            "requests a second answered", round(sum(part.answers for part in parts) / sum(p.seconds for p in parts))
        ),
        Figure("requests in all", len(times)),
        Figure("asked over a new connection, as the kept one was just closed", sum(part.anew for part in parts)),
        Figure("median milliseconds", round(1000 * times[len(times) // 2], 1)),
        Figure("99th percentile, milliseconds", round(1000 * times[len(times) * 99 // 100], 1)),
        Figure("longest, milliseconds", round(1000 * times[-1])),
        Figure("load of the machine (average of a minute)", round(os.getloadavg()[0], 2)),
    ]


# --- what is asked -----------------------------------------------------------------------------------------------


@dataclass
class _Session:
    """A browser that has logged in."""

    office: str
    cookie: str
    token: str


@dataclass
class _Mix:
    """The next request, each time another; what machines send and what browsers send."""

    stocks: speed.Stocks
    keepers: list[_Session] = field(default_factory=list)
    watchers: list[_Session] = field(default_factory=list)
    sent: deque[bytes] = field(default_factory=lambda: deque(maxlen=100))

    def __call__(self) -> Asked:
        (name,) = CHANCE.choices(list(SHARES), weights=list(SHARES.values()))
        ask: Callable[[], bytes] = getattr(self, f"_{name}")
        return Asked(name, ask())

    def log_in(self, port: int) -> None:
        """Accounts, and their sessions at the server on this port."""
        codes = [code for _, code in self.stocks.offices]
        self.keepers = [_logged_in(port, Role.STOREKEEPER, code) for code in codes[:KEEPERS]]
        self.watchers = [_logged_in(port, Role.VIEWER, "32", str(number)) for number in range(WATCHERS)]

    def _post(self) -> bytes:
        _, code = CHANCE.choice(self.stocks.offices)
        # The office's own day is that of UTC or the next one.
        reason = CHANCE.choice(("new", "lost", "damaged"))
        printed = [{"reason": reason, "quantity": 1}]
        body = {"item": speed.ITEM, "day": f"{datetime.now(UTC):%Y-%m-%d}", "printed": printed}
        headers = f"{self._bearer}Idempotency-Key: {uuid4()}\r\n"
        made = speed.request("POST", f"/api/v1/offices/{code}/movements", body, headers)
        self.sent.append(made)
        return made

    def _repeat(self) -> bytes:
        return CHANCE.choice(self.sent) if self.sent else self._balances()

    def _form(self) -> bytes:
        keeper = CHANCE.choice(self.keepers)
        told = {"csrf_token": keeper.token, "request_id": str(uuid4()), "item": speed.ITEM, "new": "1"}
        sent = urlencode(told | {"day": f"{datetime.now(UTC):%Y-%m-%d}"})
        path = f"/offices/{keeper.office}/consumption"
        kind = "Content-Type: application/x-www-form-urlencoded\r\n"
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{_cookie(keeper)}{kind}Content-Length: {len(sent)}\r\n\r\n"
        return f"{head}{sent}".encode()

    def _balances(self) -> bytes:
        _, code = CHANCE.choice(self.stocks.offices)
        return speed.request("GET", f"/api/v1/offices/{code}/balances", headers=self._bearer)

    def _card(self) -> bytes:
        return self._page(self.watchers, f"/offices/{CHANCE.choice(self.stocks.offices)[1]}/stock-card/{speed.ITEM}")

    def _today(self) -> bytes:
        keeper = CHANCE.choice(self.keepers)
        return self._page([keeper], f"/offices/{keeper.office}/today")

    def _office(self) -> bytes:
        return self._page(self.watchers, f"/offices/{CHANCE.choice(self.stocks.offices)[1]}")

    def _region(self) -> bytes:
        return self._page(self.watchers, f"/offices/32/balances?item={speed.ITEM}")

    def _alerts(self) -> bytes:
        return self._page(self.watchers, "/alerts")

    @property
    def _bearer(self) -> str:
        return f"Authorization: Bearer {self.stocks.token}\r\n"

    @staticmethod
    def _page(sessions: list[_Session], path: str) -> bytes:
        return speed.request("GET", path, headers=_cookie(CHANCE.choice(sessions)))


def _cookie(session: _Session) -> str:
    return f"Cookie: {session.cookie}\r\n"


def _logged_in(port: int, role: Role, office: str, more: str = "") -> _Session:
    from inventory.security import hashed
    from inventory.services import people

    email = f"{role.value}-{office}{more}@bench.test"
    told: dict[str, Any] = {"full_name": "Bench", "role": role, "office_code": office, "given": False}
    people.add(SYSTEM, datetime.now(UTC), email=email, password_hash=hashed(PASSWORD), **told)
    kept = CookieJar()
    # Our own server, and no proxy that the environment may name.
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(kept), urllib.request.ProxyHandler({}))
    address = f"http://127.0.0.1:{port}"
    sent = {"email": email, "password": PASSWORD, "csrf_token": _token(browser, f"{address}/login")}
    with browser.open(f"{address}/login", urlencode(sent).encode()) as answer:
        if answer.url.endswith("/login"):
            raise RuntimeError(f"{email} could not log in")
    token = _token(browser, f"{address}/account")
    return _Session(office, "; ".join(f"{each.name}={each.value}" for each in kept), token)


def _token(browser: urllib.request.OpenerDirector, url: str) -> str:
    with browser.open(url) as answer:
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', answer.read().decode())
    assert found
    return found[1]


# --- processes ---------------------------------------------------------------------------------------------------


@contextmanager
def _server(*, workers: int) -> Iterator[tuple[int, list[int]]]:
    """The port of gunicorn as it is shipped, and its workers' process ids."""
    port = postgres.free_port()
    command = [sys.executable, "-m", "gunicorn", "--config", str(SERVER), "--workers", str(workers)]
    command += ["--max-requests", "0", "--max-requests-jitter", "0", "--log-level", "error"]
    with running([*command, "--bind", f"127.0.0.1:{port}", "wsgi:app"]) as serving:
        speed.wait_for(port)
        begun_with = _children(serving.pid)
        yield port, begun_with
        if _children(serving.pid) != begun_with:
            raise RuntimeError("a worker ended")


@contextmanager
def _jobs() -> Iterator[int]:
    with running([sys.executable, "-m", "flask", "--app", "wsgi", "jobs"]) as jobs:
        yield jobs.pid
        if jobs.poll() is not None:
            raise RuntimeError("the job process ended")


def _children(process: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def _megabytes(process: int) -> float:
    """What it holds in memory."""
    held = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return held * os.sysconf("SC_PAGE_SIZE") / 1e6


def _open_files(process: int) -> int:
    return len(list(Path(f"/proc/{process}/fd").iterdir()))
