"""What a synchronous standby costs, and what happens when the primary is killed under load and the standby takes over.
PostgreSQL only, with two servers of our own.

The rates run in turns, with the standby there and without it; each failover is followed by the old primary's way back.
What was acknowledged is looked for afterwards, by the id of its request.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import statistics
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import psycopg

from inventory.bench import Figure, load, speed
from inventory.bench.nodes import Node, address, until
from inventory.bench.processes import told_by

CLIENTS = 8
OFFICES = 300
CHANCE = random.Random()  # noqa: S311  (which office is next, no secret)
SETTINGS = {"BLANGKO_API_RATE": "1000000", "BLANGKO_JOBS_IN_SERVER": "0", "BLANGKO_ENV": "embedded"}
PAUSE = 0.02
"""Seconds after which a client that was not answered well sends the same again."""


@dataclass(frozen=True)
class Size:
    failovers: int
    rounds: int
    seconds: float
    """Of each rate, and of the load before and after each kill."""


QUICK, WHOLE = Size(failovers=1, rounds=3, seconds=1.0), Size(failovers=5, rounds=5, seconds=3.0)


def measure(*, quick: bool) -> list[Figure]:
    """The figures. Raises RuntimeError without PostgreSQL's programs."""
    size = QUICK if quick else WHOLE
    try:
        with Node("one") as one, Node("two") as two:
            one.make()
            posts = Posts(**told_by(["fill-for-failover", str(OFFICES)], one.url, SETTINGS))
            two.copy_from(one)
            settings = SETTINGS | {"DATABASE_URL": address([one, two])}
            with speed.server("wsgi:app", settings) as port:
                rates = _rates(one, two, port, posts, size)
                return [*_figures_of(rates), *_failovers(one, two, port, posts, size)]
    except subprocess.CalledProcessError as error:
        raise RuntimeError(str(error)) from error


def fill_here(offices: int) -> dict[str, Any]:
    """What `Posts` needs, of this process's database, which is filled."""
    stocks = speed.fill(offices)
    return {"token": stocks.token, "person": stocks.actor.person_id, "codes": [code for _, code in stocks.offices]}


@dataclass(frozen=True)
class Posts:
    """Requests that each record a movement, at any of the offices; and the ids under which they do."""

    token: str
    person: int
    codes: list[str]

    def body(self) -> bytes:
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        return json.dumps({"item": speed.ITEM, "day": day, "printed": [{"reason": "new", "quantity": 1}]}).encode()

    def path(self) -> str:
        return f"/api/v1/offices/{CHANCE.choice(self.codes)}/movements"

    def headers(self, key: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", "Idempotency-Key": key}

    def recorded_as(self, path: str, key: str) -> UUID:
        return uuid5(NAMESPACE_URL, f"blangko:{self.person}:POST:{path}:{key}")

    def whole(self) -> bytes:
        """One as it goes over the wire."""
        body = self.body()
        headers = {"Host": "127.0.0.1", **self.headers(str(uuid4())), "Content-Length": str(len(body))}
        lines = [f"POST {self.path()} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


# --- what it costs -----------------------------------------------------------------------------------------------

Rates = dict[str, list[float]]


def _rates(one: Node, two: Node, port: int, posts: Posts, size: Size) -> Rates:
    """Posts a second, in each round: with a standby that each waits for, with one that follows by itself, and alone."""
    found: Rates = {"synchronous": [], "asynchronous": [], "alone": [], "load": []}

    def run(name: str, seconds: float) -> None:
        found[name].append(load.rate(port, posts.whole, clients=CLIENTS, seconds=seconds, status=201))

    run("alone", speed.WARMING)
    found["alone"].clear()
    for _ in range(size.rounds):
        one.name_synchronous(two)
        run("synchronous", size.seconds)
        one.name_synchronous()
        run("asynchronous", size.seconds)
        two.stop("fast")
        run("alone", size.seconds)
        two.start()
        until(lambda: one.state_of(two) is not None)
        found["load"].append(os.getloadavg()[0])
    return found


def _figures_of(rates: Rates) -> list[Figure]:
    def beside(name: str) -> float:
        return statistics.median(one / other for one, other in zip(rates[name], rates["alone"], strict=True))

    return [
        Figure("posts with a synchronous standby ÷ without a standby", beside("synchronous")),
        Figure("posts with an asynchronous standby ÷ without a standby", beside("asynchronous")),
        Figure("posts a second with a synchronous standby", statistics.median(rates["synchronous"])),
        Figure("posts a second without a standby", statistics.median(rates["alone"])),
        Figure("load of the machine (average of a minute)", statistics.median(rates["load"])),
    ]


# --- when the primary dies ---------------------------------------------------------------------------------------


@dataclass
class Clients:
    """Some that post one after the other. What is not acknowledged is sent again as it was, until it is."""

    port: int
    posts: Posts
    acknowledged: dict[UUID, float] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self, meanwhile: Callable[[], None]) -> None:
        threads = [threading.Thread(target=self._post_on, daemon=True) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            meanwhile()
        finally:
            self.over.set()
            for thread in threads:
                thread.join(60)

    def _post_on(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        while not self.over.is_set():
            path, key, body = self.posts.path(), str(uuid4()), self.posts.body()
            while not self._is_acknowledged(connection, path, key, body):
                time.sleep(PAUSE)
            self.acknowledged[self.posts.recorded_as(path, key)] = time.monotonic()
        connection.close()

    def _is_acknowledged(self, connection: http.client.HTTPConnection, path: str, key: str, body: bytes) -> bool:
        try:
            connection.request("POST", path, body, self.posts.headers(key))
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return False
        return answer.status == 201


def _failovers(one: Node, two: Node, port: int, posts: Posts, size: Size) -> list[Figure]:
    outages, promotions, acknowledged = [], [], set[UUID]()
    primary, standby = one, two
    for _ in range(size.failovers):
        primary.name_synchronous(standby)
        outage, promotion, clients = _fail_over(primary, standby, Clients(port, posts), size.seconds)
        outages.append(outage)
        promotions.append(promotion)
        acknowledged |= set(clients.acknowledged)
        primary.rewind_to(standby)
        primary.follow(standby)
        primary, standby = standby, primary
        until(lambda here=primary, there=standby: here.state_of(there) is not None)
    lost, twice = _missing(primary, acknowledged)
    return [
        Figure("seconds without a post acknowledged, from SIGKILL on", statistics.median(outages)),
        Figure("the same, the longest of all failovers", max(outages)),
        Figure("of these seconds until the standby was promoted", statistics.median(promotions)),
        Figure("failovers", len(outages)),
        Figure("movements acknowledged", len(acknowledged)),
        Figure("acknowledged and lost", lost, 0, 0, at_most=True),
        Figure("acknowledged once and recorded twice", twice, 0, 0, at_most=True),
    ]


def _fail_over(primary: Node, standby: Node, clients: Clients, seconds: float) -> tuple[float, float, Clients]:
    """Kill the primary under load and promote the standby: how long nothing was acknowledged, and how much of that the
    promotion took."""
    moments: list[float] = []

    def disturb() -> None:
        time.sleep(seconds)
        moments.append(time.monotonic())
        primary.kill()
        standby.promote()
        moments.append(time.monotonic())
        until(lambda: _after(clients, moments[1]))
        time.sleep(seconds)

    clients.run(disturb)
    killed, promoted = moments
    return min(_after(clients, promoted)) - killed, promoted - killed, clients


def _after(clients: Clients, moment: float) -> list[float]:
    return [at for at in list(clients.acknowledged.values()) if at > moment]


def _missing(primary: Node, acknowledged: set[UUID]) -> tuple[int, int]:
    """How many of these are not there, and how many are there more than once."""
    with psycopg.connect(primary.url) as connection:
        rows = connection.execute("SELECT request_id FROM movements WHERE request_id = ANY(%s)", [list(acknowledged)])
        found = [request for (request,) in rows]
    return len(acknowledged - set(found)), len(found) - len(set(found))
