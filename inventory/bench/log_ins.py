"""How long log-ins take that fail for different reasons, and those that do not: nobody is to learn from the time which
accounts there are. In one process, on a database that is thrown away, the kinds in random order one after the other."""

from __future__ import annotations

import random
import re
import statistics
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from flask import Flask

from inventory.bench import Figure
from inventory.bench.processes import figures_from
from inventory.domain.access import SYSTEM, Role

PASSWORD = "kata sandi untuk ukuran"  # noqa: S105  (of accounts that are thrown away)
KINDS = ("wrong password", "unknown account", "account shut out", "right password")
ACCOUNT_TRIES = 8
"""Tries at each account, so that none of them gets locked."""
ADDRESS_TRIES = 90
CLOSE = 0.10
"""How far medians may be apart, as a share."""


def measure(*, tries: int, url: str | None = None) -> list[Figure]:
    """The medians of so many tries of each kind, in milliseconds, and their distance to that of a wrong password. On
    SQLite, or on the EMPTY PostgreSQL database `url`."""
    return figures_from(["measure-log-in", str(tries)], url or "")


def measure_here(app: Flask, tries: int) -> list[Figure]:
    """The figures on the database of `app`, which is filled. For the process that `measure` starts."""
    _fill(tries)
    with ThreadPoolExecutor(1) as apart:  # without the command's own context, which requests would share
        return _figures(apart.submit(_times, app, tries).result())


def _figures(times: dict[str, list[float]]) -> list[Figure]:
    medians = {kind: statistics.median(times[kind]) for kind in KINDS}
    wrong = medians["wrong password"]
    found = [Figure(f"{kind}, median milliseconds", 1000 * medians[kind]) for kind in KINDS]
    spread = statistics.quantiles(times["wrong password"], n=4)
    found.append(Figure("wrong password, between its quarters, percent", 100 * (spread[2] - spread[0]) / wrong))
    for kind in KINDS[1:]:
        apart = 100 * max(abs(medians[kind] / wrong - 1), 1e-6)
        found.append(Figure(f"{kind} beside wrong password, percent apart", apart, 100 * CLOSE, 5, at_most=True))
    return found


def _fill(tries: int) -> None:
    from flask_migrate import upgrade

    from inventory.security import hashed
    from inventory.services import offices, people

    upgrade()
    now = datetime(2024, 5, 15, 3, tzinfo=UTC)
    office = {"code": "51", "name": "Bali", "kind": "province", "parent": "", "time_zone": "Asia/Makassar"}
    offices.load(SYSTEM, [office | {"population": ""}])
    password_hash = hashed(PASSWORD)
    for number in range(-(-tries // ACCOUNT_TRIES)):
        for kind in KINDS:
            if kind == "unknown account":
                continue
            told = {
                "full_name": kind,
                "role": Role.VIEWER,
                "office_code": "51",
                "password_hash": password_hash,
                "given": False,
            }
            person = people.add(SYSTEM, now, email=_email(kind, number), **told)
            if kind == "account shut out":
                people.set_active(SYSTEM, now, person.id, False)


def _times(app: Flask, tries: int) -> dict[str, list[float]]:
    order = [(kind, number) for number in range(tries) for kind in KINDS]
    random.shuffle(order)
    found: dict[str, list[float]] = defaultdict(list)
    for count, (kind, number) in enumerate([("wrong password", 10**6), *order]):
        seconds = _try(app, kind, number // ACCOUNT_TRIES, count // ADDRESS_TRIES)
        if count:  # the first one warms up
            found[kind].append(seconds)
    return found


def _try(app: Flask, kind: str, account: int, address: int) -> float:
    client = app.test_client()
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get("/login").text)
    assert token
    right = kind in ("right password", "account shut out")
    data = {"email": _email(kind, account), "password": PASSWORD if right else "bukan itu sandinya"}
    origin = {"REMOTE_ADDR": f"10.{address // 250}.{address % 250}.1"}
    begun = time.perf_counter()
    answer = client.post("/login", data=data | {"csrf_token": token[1]}, environ_overrides=origin)
    seconds = time.perf_counter() - begun
    assert answer.status_code == (302 if kind == "right password" else 200), (kind, answer.status_code)
    return seconds


def _email(kind: str, number: int) -> str:
    return f"{kind.replace(' ', '-')}-{number}@bench.test"
