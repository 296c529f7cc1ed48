"""A hundred kills: a posting, a transfer, a stocktake, an import, a review, a seal and a migration lose, in their
middle, the process that does them or the database under them. Nothing is half done, and the same request does it once.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.services import deliveries, verification
from tests import postgres
from tests.clusters import Cluster
from tests.conftest import NOW, TODAY, _fill, _pointed_at, _with_driver
from tests.killed import ITEMS, OLD_REVISION, PROGRESS, WORKS, Progress
from tests.test_database_away import Client, check_each_once, children, under_load
from tests.test_schedulers import until
from tests.web.server import Server
from tests.world import DENPASAR, World

ROOT = Path(__file__).resolve().parent.parent

OF_PROCESSES, OF_BACKENDS, OF_SERVERS, OF_WEB_WORKERS = 4, 3, 2, 6
"""How often each work loses its process on each database, and on PostgreSQL the server's process that serves it and the
whole server; and how often a web worker is killed under load, on each database."""


class Workers:
    """Processes that work on a database, one at a time."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.killed", _with_driver(url), str(folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        self.selector = selectors.DefaultSelector()
        assert self.process.stdout is not None
        self.selector.register(self.process.stdout, selectors.EVENT_READ)
        self.said = b""
        self.pid = 0
        self.progress = Progress(folder / PROGRESS)
        assert self.hear(60) == "up"

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()
        self.selector.close()

    def begin(self, work: str, number: int, url: str) -> int:
        """Have a process do this; it is about to begin. The server process of its connection, or 0."""
        assert self.process.stdin is not None
        order = {"work": work, "number": number, "url": _with_driver(url)}
        self.process.stdin.write(f"{json.dumps(order)}\n".encode())
        self.process.stdin.flush()
        pid, ready = sorted((self.hear(60), self.hear(60)))  # they come in either order
        self.pid = int(pid.removeprefix("pid "))
        assert ready.startswith("ready "), ready
        return int(ready.removeprefix("ready "))

    def end(self, seconds: float = 90) -> float | None:
        """Wait until it has ended: how long it took, or None when it was killed before it said so."""
        took = None
        while (said := self.hear(seconds)) != "ended":
            assert said.startswith("done "), said
            took = float(said.removeprefix("done "))
        self.pid = 0
        return took

    def is_lost(self) -> bool:
        """Whether the database failed the one that is at work, which then waits; otherwise it has ended."""
        said = self.hear(60)
        if said != "lost":
            assert said.startswith("done "), said
            assert self.hear(60) == "ended"
            self.pid = 0
        return said == "lost"

    def go_on(self) -> None:
        """It says that it is lost just before it stops."""
        stopped = Path(f"/proc/{self.pid}/stat")
        until(lambda: stopped.read_text().rpartition(") ")[2][0] == "T", "it stops")
        os.kill(self.pid, signal.SIGCONT)

    def do(self, work: str, number: int, url: str) -> float:
        self.begin(work, number, url)
        took = self.end()
        assert took is not None
        return took

    def kill(self) -> None:
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def hear(self, seconds: float) -> str:
        deadline = time.monotonic() + seconds
        while b"\n" not in self.said:
            left = deadline - time.monotonic()
            assert left > 0, "it says nothing any more"
            if self.selector.select(left):
                assert self.process.stdout is not None
                heard = os.read(self.process.stdout.fileno(), 4096)
                assert heard, "it is gone"
                self.said += heard
        line, _, self.said = self.said.partition(b"\n")
        return line.decode()


class Place:
    """A database with blanks in it, processes that work on it, and a look at what they left."""

    def __init__(self, url: str, folder: Path, look: Flask, copy: Callable[[str, str], str]) -> None:
        self.url, self.folder, self.look, self.copy = url, folder, look, copy
        self.postgresql = not url.startswith("sqlite")
        self.dice = random.Random(8)
        self.numbers = itertools.count(1)
        self.durations: dict[str, float] = {}
        self.old = self.copy(url, "old")
        with _pointed_at(look, self.old), look.app_context():
            downgrade(revision=OLD_REVISION)
            self.movements = movements()
            self.end_connections()
        with _pointed_at(look, self.copy(self.old, "new")), look.app_context():
            upgrade()
            self.schema = schema()
            self.end_connections()
        self.workers = Workers(url, folder)

    def end_connections(self) -> None:
        db.session.remove()
        db.engine.dispose()

    def database(self, work: str, number: int) -> str:
        """Where this work is done: a migration has a database of its own."""
        return self.copy(self.old, f"migrated_{number}") if work == "migration" else self.url

    def duration(self, work: str) -> float:
        """How long it takes when nobody disturbs it."""
        if work not in self.durations:
            took = []
            for _ in range(3):
                number = next(self.numbers)
                took.append(self.workers.do(work, number, self.database(work, number)))
            self.durations[work] = sorted(took)[1]
        return self.durations[work]

    def wait_for_a_moment(self, work: str) -> None:
        """Some moment of the work that has just begun."""
        until = time.perf_counter() + self.dice.random() * self.duration(work)
        time.sleep(max(0.0, until - time.perf_counter() - 0.001))
        while time.perf_counter() < until:
            pass

    def note_progress(self) -> None:
        """What was killed had come so far."""
        self.had_written = self.workers.progress.has_written()

    def found(self, *, heard: bool, stands: bool) -> str:
        if heard:
            return "too late"
        if stands:
            return "done unheard"
        return "taken back" if self.had_written else "nothing written yet"

    def check(self, work: str, number: int, url: str, *, done: bool | None = None) -> bool:
        """Nothing is half done, and the books are right; whether the work stands."""
        with _pointed_at(self.look, url), self.look.app_context():
            self.wait_for_silence()
            stands = WORKS[work].is_done(number)
            assert done is None or stands is done
            db.session.rollback()
            if work != "migration" or stands:
                assert verification.verify(SYSTEM).faults == ()
            if work == "migration":
                assert movements() == self.movements
                assert not stands or schema() == self.schema
        return stands

    def wait_until_it_serves(self) -> None:
        with self.look.app_context():
            self.end_connections()
            until(lambda: answer("SELECT 1") == 1, "it serves again")
            self.end_connections()

    def wait_for_silence(self) -> None:
        """What a server had begun for one that was killed, it ends: or it does not."""
        if self.postgresql:
            others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle'"
            until(lambda: answer(f"{others} AND pid <> pg_backend_pid()") == 0, "silence")


def answer(statement: str) -> Any:
    """What the database says, as soon as it serves."""
    try:
        return db.session.scalar(text(statement))
    except OperationalError:
        return None
    finally:
        db.session.remove()


def movements() -> int:
    found = db.session.scalar(text("SELECT count(*) FROM movements"))
    db.session.rollback()
    return found or 0


SCHEMA = {
    "sqlite": "SELECT type, name, sql FROM sqlite_master",
    "postgresql": """
        SELECT 'column', attrelid::regclass::text || '.' || attname,
            format_type(atttypid, atttypmod) || attnotnull || coalesce(pg_get_expr(adbin, adrelid), '')
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped
        UNION ALL SELECT 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
        UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
        UNION ALL SELECT 'trigger', tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL SELECT 'function', proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace""",
}


def schema() -> set[tuple[Any, ...]]:
    """All that the database knows of its tables. A table that is made anew has its constraints in any order."""
    rows = db.session.execute(text(SCHEMA[db.engine.dialect.name])).all()
    db.session.rollback()
    return {(*row[:2], *sorted(line.strip(" \t,") for line in (row[2] or "").splitlines())) for row in rows}


# --- the databases -----------------------------------------------------------------------------------------------


def stock(url: str, look: Flask) -> None:
    with _pointed_at(look, url), look.app_context():
        world = World(look)
        for item in ITEMS:
            deliveries.record_opening(world.storekeeper, NOW, uuid4(), DENPASAR, item, TODAY, 100_000, "counted")
        db.session.remove()
        db.engine.dispose()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, lasting_app: Callable[..., Flask]
) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("killed")
    if request.param == "sqlite":
        url, copy = f"sqlite:///{folder / 'blangko.sqlite3'}", copy_file
    else:
        url, copy = request.getfixturevalue("cluster").url, copy_database
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE blangko")
        url = postgres.database(url, "blangko")
    _fill(url, folder)
    look = lasting_app(url, SQLALCHEMY_ENGINE_OPTIONS={"pool_size": 2})
    stock(url, look)
    place = Place(url, folder, look, copy)
    with place.workers:
        yield place


def copy_file(url: str, name: str) -> str:
    file = Path(url.removeprefix("sqlite:///"))
    shutil.copy(file, file.with_name(f"{name}.sqlite3"))
    return f"sqlite:///{file.with_name(f'{name}.sqlite3')}"


def copy_database(url: str, name: str) -> str:
    server, _, template = url.rpartition("/")
    postgres.copy(f"{server}/postgres", template, name)
    return f"{server}/{name}"


# --- kills -------------------------------------------------------------------------------------------------------

Kills = Counter[tuple[str, str]]
"""How many of each work: those that struck in its middle, and what they left."""


def strike(place: Place, kills: Kills, work: str, kill: Callable[[str, int], str]) -> None:
    """Until one strikes in the middle: on a machine that is busy with something else it may come too late."""
    place.duration(work)
    for _ in range(TRIES):
        found = kill(work, next(place.numbers))
        kills[work, found] += 1
        if found != "too late":
            return
        place.durations[work] *= 0.8


TRIES = 5


def tell(victim: str, kills: Kills, times: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Nearly all works lost their process so many times in their middle, many when they had written; or there was
    nothing to see."""
    in_time = sum(number for (_, found), number in kills.items() if found != "too late")
    in_doubt = sum(number for (_, found), number in kills.items() if found in ("taken back", "done unheard"))
    with capsys.disabled():
        print(f"\n{victim}: {kills.total()} kills, {in_time} in the middle, {in_doubt} with something written")
        for work in WORKS:
            print(f"  {work:10}", ", ".join(f"{n} {found}" for (of, found), n in sorted(kills.items()) if of == work))
    assert in_time >= len(WORKS) * times * 0.9
    assert in_doubt >= len(WORKS) * times / 5


def kill_process(place: Place, work: str, number: int) -> str:
    url = place.database(work, number)
    place.workers.begin(work, number, url)
    place.wait_for_a_moment(work)
    place.workers.kill()
    acknowledged = place.workers.end() is not None
    place.note_progress()
    stands = place.check(work, number, url)
    assert stands or not acknowledged, "what was acknowledged is gone"
    place.workers.do(work, number, url)
    place.check(work, number, url, done=True)
    return place.found(heard=acknowledged, stands=stands)


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_nothing_half_done(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """As when a web worker or the process of the jobs is killed; under SQLite that is the database too."""
    kills: Kills = Counter()
    for work in list(WORKS) * OF_PROCESSES:
        strike(place, kills, work, lambda work, number: kill_process(place, work, number))
    tell(f"a process on {'PostgreSQL' if place.postgresql else 'SQLite'}", kills, OF_PROCESSES, capsys)


def test_there_are_a_hundred_of_them() -> None:
    assert len(WORKS) * (2 * OF_PROCESSES + OF_BACKENDS + OF_SERVERS) + 2 * OF_WEB_WORKERS >= 100


def kill_database(place: Place, work: str, number: int, kill: Callable[[int], None]) -> str:
    """The process that does the work lives on, and sends the same again once the database serves."""
    url = place.database(work, number)
    backend = place.workers.begin(work, number, url)
    place.wait_for_a_moment(work)
    kill(backend)
    place.note_progress()
    place.wait_until_it_serves()
    lost = place.workers.is_lost()
    stands = place.check(work, number, url)
    if lost:
        place.workers.go_on()
        assert place.workers.end() is not None
    place.check(work, number, url, done=True)
    return place.found(heard=not lost, stands=stands)


VICTIMS = {"the connection's server process": OF_BACKENDS, "the whole server": OF_SERVERS}


@pytest.mark.slow
@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
@pytest.mark.parametrize("victim", VICTIMS)
def test_a_database_that_is_killed_leaves_nothing_half_done(
    place: Place, cluster: Cluster, victim: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """PostgreSQL restarts itself when one of its processes is killed; when all are, somebody starts it."""

    def kill(backend: int) -> None:
        if victim != "the whole server":
            with suppress(ProcessLookupError):  # the work was done, and its connection closed
                os.kill(backend, signal.SIGKILL)
        else:
            cluster.signal(place.dice.choice([signal.SIGKILL, signal.SIGQUIT]))
            cluster.start_after_crash()

    kills: Kills = Counter()
    for work in list(WORKS) * VICTIMS[victim]:
        strike(place, kills, work, lambda work, number: kill_database(place, work, number, kill))
    tell(victim, kills, VICTIMS[victim], capsys)


@pytest.mark.slow
def test_a_web_worker_that_is_killed_under_load_loses_and_doubles_nothing(
    database_url: str, make_app: Callable[..., Flask], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server puts another in its place; whose connection broke sends the same again."""
    app = make_app(database_url)
    with app.app_context():
        World(app).deliver(NOW, TODAY, 100_000)
        db.session.remove()
    dice = random.Random(8)
    broken: list[bool] = []

    with Server(database_url, tmp_path) as server:
        loaders = [Client(server.port) for _ in range(4)]

        def lost() -> int:
            return sum(loader.answers[0] for loader in loaders)

        assert server.process is not None
        master = server.process.pid

        def kill_workers() -> None:
            for _ in range(OF_WEB_WORKERS):
                before = lost()
                until(lambda: len(workers := children(master)) == 2 and workers, "two workers")
                time.sleep(dice.uniform(0.1, 0.4))
                os.kill(dice.choice(children(master)), signal.SIGKILL)
                time.sleep(0.1)
                broken.append(lost() > before)

        under_load(server, kill_workers, loaders)
    answers = sum((loader.answers for loader in loaders), Counter())
    assert set(answers) <= {0, 303, 503}, answers
    check_each_once(app, loaders)
    with capsys.disabled():
        print(f"\na web worker: {OF_WEB_WORKERS} kills, {sum(broken)} with a posting under way; {dict(answers)}")
    assert any(broken)
