"""How fast movements are posted, beside what the same machine does at best: the core statement in a bare view, a bare
answer, pgbench, and rows inserted by the thousand. PostgreSQL only.

What is compared runs in turns, a few seconds each, so that whatever else the machine does hits all alike; each figure
is the median of the rounds' ratios.
"""

from __future__ import annotations

import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString
from uuid import uuid4

import psycopg
from flask import Flask

from inventory.bench import Figure, bare, load, postgres
from inventory.bench.processes import figures_from, running
from inventory.domain.access import SYSTEM, Actor, Origin
from inventory.domain.ledger import PRINT_REASONS, Kind, Line

WORKERS, CLIENTS = 2, 8
ROUNDS = 5
AT_ONCE, ROWS = 50, 1000
"""Movements of one posting; rows of one bare INSERT."""
STOCK = 1_000_000
ITEM = "ktp-wni"
CHANCE = random.Random()  # noqa: S311  (which office is next, no secret)
HTTP_STATUS = {"api": 201, "hot": 201, "core": 201, "empty": 200}
WARMING = 1.5
SUPPLIED_BEFORE = timedelta(days=60)
SPREAD, BACK = "5 items and 10 days in one post", "50 days in one post"


@dataclass(frozen=True)
class Size:
    offices: int
    seconds: float
    """Of each thing that is measured, in each round."""


def measure(*, quick: bool, url: str | None = None) -> list[Figure]:
    """The figures on the EMPTY PostgreSQL database `url`, or on a server of our own that is thrown away.

    Raises RuntimeError without a server, or with a database that has tables.
    """
    with postgres.database(url) as address:
        refuse_unless_empty(address)
        # As many requests as one account can make are not too many here: it is one machine that asks.
        settings = {"BLANGKO_API_RATE": "1000000", "BLANGKO_JOBS_IN_SERVER": "0"}
        return figures_from(["measure-speed", *(["--quick"] if quick else [])], address, settings)


def measure_here(app: Flask, *, quick: bool) -> list[Figure]:
    """The figures on the database of `app`, which is filled. For the process that `measure` starts."""
    size = Size(offices=300, seconds=1.0) if quick else Size(offices=8000, seconds=4.0)
    stocks = fill(size.offices)
    # For programs that know nothing of drivers.
    url = re.sub(r"^postgresql\+\w+:", "postgresql:", app.config["SETTINGS"].DATABASE_URL)
    rounds = {**_http_rounds(stocks, size), **_database_rounds(url, stocks, size)}
    return _figures(rounds)


def refuse_unless_empty(url: str) -> None:
    """Raises RuntimeError for a database that has tables."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        ).fetchone()
    if found:
        raise RuntimeError(f"the database is not empty: it has {found[0]}")


# --- figures -----------------------------------------------------------------------------------------------------

Rates = dict[str, list[float]]
"""What each thing did a second, in each round."""

RATIOS = (
    ("post over HTTP ÷ core statement in a bare view", "api", "core", 0.40, 0.65),
    ("post over HTTP ÷ bare answer", "api", "empty", 0.08, 0.14),
    ("post by the service ÷ pgbench's core statement, 1 connection", "service", "pgbench", 0.20, 0.35),
    (f"{AT_ONCE} movements in one post ÷ rows of {ROWS}-row INSERTs", "at once", "rows", 0.25, 0.40),
    (f"{AT_ONCE} movements of {SPREAD} ÷ the same rows", "spread", "rows", 0.25, 0.40),
    (f"{AT_ONCE} movements of {BACK} ÷ the same rows", "back", "rows", 0.25, 0.40),
    ("posts over HTTP at one office ÷ spread over all", "hot", "api", 0.5, 0.8),
)
TOLD = {
    "api": "posts a second over HTTP",
    "hot": "posts a second over HTTP at one office",
    "core": "core statements a second in a bare view",
    "empty": "bare answers a second",
    "service": "posts a second by the service, 1 connection",
    "pgbench": "core statements a second by pgbench, 1 client",
    "at once": f"movements a second, {AT_ONCE} in one post",
    "spread": f"movements a second, {AT_ONCE} of {SPREAD}",
    "back": f"movements a second, {AT_ONCE} of {BACK}",
    "rows": f"rows a second, {ROWS} in one INSERT",
    "load": "load of the machine (average of a minute)",
}


def _figures(rounds: Rates) -> list[Figure]:
    found = []
    for figure, measured, beside, must, aim in RATIOS:
        ratios = [one / other for one, other in zip(rounds[measured], rounds[beside], strict=True)]
        found.append(Figure(figure, statistics.median(ratios), must, aim))
    return found + [Figure(figure, statistics.median(rounds[name])) for name, figure in TOLD.items()]


def _in_turns(runs: dict[str, Callable[[], float]]) -> Rates:
    found: Rates = defaultdict(list)
    for _ in range(ROUNDS):
        for name, run in runs.items():
            found[name].append(run())
        found["load"].append(os.getloadavg()[0])
    return found


# --- over HTTP ---------------------------------------------------------------------------------------------------


def _http_rounds(stocks: Stocks, size: Size) -> Rates:
    with server("wsgi:app") as product, server("inventory.bench.bare:create_app()") as beside:
        ports = {"api": product, "hot": product, "core": beside, "empty": beside}
        runs = {name: _requests(name, stocks) for name in ports}

        def run(name: str, seconds: float) -> float:
            return load.rate(ports[name], runs[name], clients=CLIENTS, seconds=seconds, status=HTTP_STATUS[name])

        for name in ports:
            run(name, WARMING)
        return _in_turns({name: lambda name=name: run(name, size.seconds) for name in ports})


def _requests(name: str, stocks: Stocks) -> Callable[[], bytes]:
    if name == "empty":
        return lambda: request("GET", "/empty")
    if name == "core":
        return lambda: request(
            "POST", "/movements", {"office": CHANCE.choice(stocks.offices)[0], "item": stocks.item_id, "quantity": 1}
        )
    offices = stocks.offices[:1] if name == "hot" else stocks.offices
    bearer = f"Authorization: Bearer {stocks.token}\r\n"

    def post() -> bytes:
        _, code = CHANCE.choice(offices)
        # The office's own day is that of UTC or the next one.
        body = {"item": ITEM, "day": f"{datetime.now(UTC):%Y-%m-%d}", "printed": [{"reason": "new", "quantity": 1}]}
        return request("POST", f"/api/v1/offices/{code}/movements", body, f"{bearer}Idempotency-Key: {uuid4()}\r\n")

    return post


def request(method: str, path: str, body: Any = None, headers: str = "") -> bytes:
    """A request for a server of this machine, with `body` as JSON; each of the `headers` ends its line."""
    sent = "" if body is None else json.dumps(body)
    if sent:
        headers += f"Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n"
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n{sent}".encode()


@contextmanager
def server(application: str, settings: Mapping[str, str] | None = None) -> Iterator[int]:
    """The port of gunicorn with this application; `settings` beside what this process was started with."""
    port = postgres.free_port()
    command = [sys.executable, "-m", "gunicorn", "--no-control-socket", "--workers", str(WORKERS)]
    command += ["--bind", f"127.0.0.1:{port}", "--log-level", "error", application]
    with running(command, settings):
        wait_for(port)
        yield port


def wait_for(port: int) -> None:
    """Until the server on this port answers. Raises RuntimeError after half a minute."""
    for _ in range(300):
        try:
            load.rate(port, lambda: request("GET", "/healthz"), clients=1, seconds=0, status=0)
        except OSError:
            time.sleep(0.1)
        except RuntimeError:  # answered, with whatever status
            return
    raise RuntimeError("the server does not answer")


# --- by the database ---------------------------------------------------------------------------------------------


def _database_rounds(url: str, stocks: Stocks, size: Size) -> Rates:
    with tempfile.TemporaryDirectory() as folder, psycopg.connect(url, autocommit=True) as connection:
        script = Path(folder) / "core.sql"
        script.write_text(_pgbench_script(stocks))
        return _in_turns(
            {
                "service": lambda: _rate(lambda: _post(stocks), size.seconds),
                "pgbench": lambda: _pgbench(url, script, size.seconds),
                "at once": lambda: AT_ONCE * _rate(lambda: _post_many(stocks, 1, 1), size.seconds),
                "spread": lambda: AT_ONCE * _rate(lambda: _post_many(stocks, 5, 10), size.seconds),
                "back": lambda: AT_ONCE * _rate(lambda: _post_many(stocks, 1, 50), size.seconds),
                "rows": lambda: ROWS * _rate(lambda: _insert_rows(connection, stocks), size.seconds),
            }
        )


def _rate(work: Callable[[], Any], seconds: float) -> float:
    done, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        work()
        done += 1
    return done / (time.perf_counter() - begun)


def _post(stocks: Stocks) -> None:
    from inventory.services import consumption

    _, code = CHANCE.choice(stocks.offices)
    now = datetime.now(UTC)
    consumption.post_used(stocks.actor, now, uuid4(), code, ITEM, now.date(), {"new": consumption.Printed(1)}, {})


def _post_many(stocks: Stocks, items: int, days: int) -> None:
    """What one office used up of so many items on so many days, one by one."""
    from inventory.services import ledger

    office_id, _ = CHANCE.choice(stocks.offices)
    now = datetime.now(UTC)
    lines = [
        Line(
            office_id=office_id,
            item_id=stocks.item_ids[number % items],
            kind=Kind.PRINT,
            reason=PRINT_REASONS[number % len(PRINT_REASONS)],
            quantity=1,
            effective_on=now.date() - timedelta(days=number // items % days),
        )
        for number in range(AT_ONCE)
    ]
    ledger.post(stocks.actor, now, uuid4(), lines)


INSERT: LiteralString = """
    INSERT INTO movements (office_id, item_id, seq, kind, reason, quantity, effective_on, recorded_at, request_id,
        request_line, request_digest, origin)
    SELECT office, %(item)s, seq, 'print', 'new', 1, %(day)s, %(now)s, %(request)s, line, 'bench', 'synthetic'
    FROM unnest(%(offices)s::integer[], %(seqs)s::bigint[], %(lines)s::integer[]) AS row (office, seq, line)
"""


def _insert_rows(connection: psycopg.Connection, stocks: Stocks) -> None:
    """Rows that no balance knows: from numbers on that no posting here reaches."""
    now = datetime.now(UTC)
    stocks.beyond += ROWS
    values = {"item": stocks.item_id, "day": now.date(), "now": now, "request": uuid4()}
    values |= {"offices": [office_id for office_id, _ in CHANCE.choices(stocks.offices, k=ROWS)]}
    values |= {"seqs": list(range(stocks.beyond, stocks.beyond + ROWS)), "lines": list(range(1, ROWS + 1))}
    connection.execute(INSERT, values, prepare=True)


def _pgbench_script(stocks: Stocks) -> str:
    first, last = stocks.offices[0][0], stocks.offices[-1][0]
    values = {"office": ":office", "item": str(stocks.item_id), "quantity": "1", "day": "current_date"}
    statement = bare.CORE.format(**values, now="now()", request="gen_random_uuid()")
    return f"\\set office random({first}, {last})\n{statement.strip()};\n"


def _pgbench(url: str, script: Path, seconds: float) -> float:
    program = postgres.program("pgbench")
    command = [program, "-n", "-M", "prepared", "-c", "1", "-T", str(max(1, round(seconds))), "-f", str(script), url]
    # The program is PostgreSQL's own.
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
    found = re.search(r"tps = ([0-9.]+)", told)
    if found is None:
        raise RuntimeError(f"pgbench: {told[-500:]}")
    return float(found[1])


# --- the data ----------------------------------------------------------------------------------------------------


@dataclass
class Stocks:
    """Offices (id, code) with plenty of these items, ITEM the first of them, and who posts there."""

    offices: list[tuple[int, str]]
    item_ids: list[int]
    actor: Actor
    token: str
    beyond: int = 1_000_000_000

    @property
    def item_id(self) -> int:
        return self.item_ids[0]


def fill(number: int, scopes: Sequence[str] = ("movements:write",)) -> Stocks:
    """So many offices with plenty of stock in the empty database, and an account of a machine with these scopes."""
    from flask_migrate import upgrade

    from inventory.services import items

    upgrade()
    items.ensure_standard()
    codes = _load_offices(number)
    token, actor = _account(scopes)
    offices, item_ids = _ids(codes)
    _supply([(office_id, item_id) for office_id, _ in offices for item_id in item_ids])
    return Stocks(offices, item_ids, actor, token)


def _load_offices(number: int) -> list[str]:
    from inventory.services import offices

    told = {"time_zone": "Asia/Jakarta", "population": ""}
    codes = [f"32.{place:05}" for place in range(1, number + 1)]
    province = {"code": "32", "name": "Jawa Barat", "kind": "province", "parent": "", **told}
    rows = [{"code": code, "name": code, "kind": "regency", "parent": "32", **told} for code in codes]
    offices.load(SYSTEM, [province, *rows])
    return codes


def _account(scopes: Sequence[str]) -> tuple[str, Actor]:
    """A machine's account that may post in the whole province: its token, and the actor that it is."""
    from inventory.security import tokens
    from inventory.services import service_accounts

    now, secret = datetime.now(UTC), tokens.new()
    made = service_accounts.make(
        SYSTEM, now, uuid4(), name="bench", purpose="bench", office_code="32", scopes=list(scopes)
    )
    told = {"name": "bench", "expires_at": now + timedelta(days=1), "prefix": secret[: tokens.SHOWN]}
    service_accounts.add_token(SYSTEM, now, uuid4(), made.id, digest=tokens.digest(secret), **told)
    bearer = service_accounts.bearer_of(now, tokens.digest(secret), Origin(way="api"))
    assert bearer is not None
    return secret, bearer.actor


def _ids(codes: Sequence[str]) -> tuple[list[tuple[int, str]], list[int]]:
    from inventory.domain.access import Action
    from inventory.services import items, offices

    found = [(offices.get(SYSTEM, Action.VIEW_OFFICE, code).id, code) for code in codes]
    first, last = found[0][0], found[-1][0]
    # pgbench draws the offices from between these two: one that is not there would cost nothing.
    assert last - first + 1 == len(found)
    return found, sorted((item.id for item in items.active()), key=lambda item_id: item_id != items.get(ITEM).id)


def _supply(keys: Sequence[tuple[int, int]]) -> None:
    from inventory.services import ledger

    now = datetime.now(UTC)
    told: dict[str, Any] = {"kind": Kind.RECEIPT, "reason": "opening", "quantity": STOCK}
    told["effective_on"] = (now - SUPPLIED_BEFORE).date()
    ledger.post_in_bulk(
        SYSTEM,
        now,
        uuid4(),
        "bench",
        keys,
        lambda key: [(Line(office_id=key[0], item_id=key[1], **told), {})],
        document=lambda _session: {},
    )
