"""PostgreSQL's disk full, for real: the one with the tables, and the one with the log of what is written.

What SQLite does when its file may grow no more is in `test_database_away`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from flask import Flask

from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.services import verification
from tests import postgres
from tests.api.client import PROBLEM, Caller, make_token
from tests.api.test_movements import AT_DENPASAR, prints
from tests.clusters import Cluster, SmallDisk
from tests.concurrent import audit
from tests.conftest import NOW, TODAY, _fill
from tests.test_schedulers import until
from tests.world import World

PATIENCE = 3000
"""How many postings at most until the disk is full: a page of it takes some dozens."""


class Machine:
    """Posts prints of one card, each under a key of its own. What is not taken it keeps, to send it again as it was."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        with app.app_context():
            World(app).deliver(NOW, TODAY, 100_000)
            self.caller = Caller(app, make_token())
            db.session.remove()
        self.taken: set[str] = set()
        self.waiting: list[str] = []
        self.answers: Counter[int] = Counter()

    def post(self, key: str = "") -> int:
        key = key or str(uuid4())
        response = self.caller.post(AT_DENPASAR, prints(1) | {"note": "x" * 400}, key=key)
        self.answers[response.status_code] += 1
        if response.status_code == 201:
            self.taken.add(key)
        else:
            assert (response.status_code, response.content_type) == (503, PROBLEM), response.text
            assert response.headers["Retry-After"] == "5"
            assert response.get_json()["code"] == "not_now"
            self.waiting.append(key)
        return response.status_code

    def until_refused(self, refused: int) -> None:
        """Post on until so many were not taken."""
        for _ in range(PATIENCE):
            self.post()
            if len(self.waiting) >= refused:
                return
        raise AssertionError(f"the disk is not full: {self.answers}")

    def send_again(self) -> None:
        """What waited, and as much again."""
        waiting, self.waiting = self.waiting, []
        for key in [*waiting, *(str(uuid4()) for _ in range(20))]:
            until(lambda key=key: self.post(key) == 201, "it is taken")

    def check(self) -> None:
        """Each that was taken is there once, and nothing else."""
        with self.app.app_context():
            assert World(self.app).figures().printed == len(self.taken)
            audit()
            assert verification.verify(SYSTEM).faults == ()
            db.session.remove()


def machine_on(url: str, folder: Path, make_app: Callable[..., Flask]) -> Machine:
    _fill(url, folder)
    # As many requests as it takes, all in one moment of this clock.
    return Machine(make_app(url, TESTING=False, CLOCK=lambda: NOW, API_RATE=0))


@pytest.mark.slow
def test_tables_that_find_no_room_take_nothing_half_and_go_on_when_there_is_some(
    tmp_path: Path, make_app: Callable[..., Flask]
) -> None:
    with SmallDisk(64) as disk, Cluster() as cluster:
        with psycopg.connect(cluster.url, autocommit=True) as connection:
            connection.execute(f"CREATE TABLESPACE small LOCATION '{disk.folder}'")  # type: ignore[arg-type]
            connection.execute("CREATE DATABASE books TABLESPACE small")
        machine = machine_on(postgres.database(cluster.url, "books"), tmp_path, make_app)
        assert machine.post() == 201
        disk.fill()
        machine.until_refused(5)
        assert machine.answers[201] > 1
        machine.check()
        assert machine.caller.get("/offices").status_code == 200, "reading needs no room"
        disk.free()
        machine.send_again()
        machine.check()


def logging_to(folder: Path) -> Cluster:
    """In small pieces, so that not much has to be written until there is no room for another."""
    layout = ("--wal-segsize=1", "--waldir", str(folder))
    return Cluster("min_wal_size=2MB", "max_wal_size=4MB", layout=layout)


@pytest.mark.slow
def test_a_log_that_finds_no_room_brings_the_server_down_and_nothing_is_lost(
    tmp_path: Path, make_app: Callable[..., Flask]
) -> None:
    """As when a standby is away, for which the log is kept: the server gives up, and does so again until there is
    room. What it had acknowledged it still knows."""
    with SmallDisk(64) as disk, logging_to(disk.folder / "pg_wal") as cluster:
        machine = machine_on(cluster.url, tmp_path, make_app)
        with psycopg.connect(cluster.url, autocommit=True) as connection:
            connection.execute("SELECT pg_create_physical_replication_slot('away', true)")
        assert machine.post() == 201
        disk.fill()
        machine.until_refused(5)
        assert machine.answers[201] > 1
        assert "PANIC" in cluster.log
        disk.free()
        until(cluster.serves_again, "the server has recovered")
        machine.send_again()
        machine.check()
