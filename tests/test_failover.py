"""A primary that dies under load and a synchronous standby that takes over: real servers, PostgreSQL on loopback."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from flask import Flask
from sqlalchemy import make_url

from inventory.bench.nodes import Node, address, until
from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.services import verification
from tests.clusters import primary_and_standby
from tests.conftest import NOW, TODAY, _fill, _with_driver
from tests.test_database_away import Client, check_each_once, recorded
from tests.web.server import Browser, Server
from tests.web.test_server import in_parallel
from tests.world import World

DAY = TODAY.isoformat()
A_WHILE = 1.5
"""Seconds in which a posting would long have been answered, and a statement is given up by the setting below."""
IMPATIENT = {"BLANGKO_STATEMENT_SECONDS": "1", "BLANGKO_LOCK_SECONDS": "1"}


class Witness(Client):
    """One that also notes which requests it was told were recorded, and when."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.acknowledged: dict[UUID, float] = {}

    def _print(self, request: UUID) -> int:
        status = super()._print(request)
        if status == 303:
            self.acknowledged[request] = time.monotonic()
        return status


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_when_the_primary_dies(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    """SIGKILL, promotion, and the old primary's way back; one world for all of it, as filling it takes longest."""
    with primary_and_standby() as (old, new):
        _fill(old.url, tmp_path)
        old.name_synchronous(new)
        url = address([old, new])
        books = make_app(_with_driver(url))
        with books.app_context():
            World(books).deliver(NOW, TODAY, 100_000)
            db.session.remove()
        with Server(url, tmp_path, 2, **IMPATIENT) as server:
            witnesses = through_a_failover(server, old, new)
            check_all_there(books, witnesses)
            check_the_same_again_records_nothing(books, witnesses[0], new)
            log = (tmp_path / "server.log").read_text()
            assert "the database does not serve" in log
            assert "Traceback" not in log
            db_away(books)
            check_one_that_comes_back_unfenced(url, old, new, server)
            come_back(old, new)
            check_acknowledged_only_while_both_are_there(books, server, old, new)
        with books.app_context():
            assert verification.verify(SYSTEM).faults == ()
            db.session.remove()


def through_a_failover(server: Server, old: Node, new: Node) -> list[Witness]:
    witnesses = [Witness(server.port) for _ in range(4)]
    in_parallel([each.browser.log_in for each in witnesses])
    stop = threading.Event()
    threads = [threading.Thread(target=each.load, args=[stop], daemon=True) for each in witnesses]
    for thread in threads:
        thread.start()
    until(lambda: all(len(each.acknowledged) > 30 for each in witnesses))
    old.kill()
    killed = time.monotonic()
    new.promote()
    promoted = time.monotonic()
    until(lambda: all(sum(at > promoted for at in list(each.acknowledged.values())) > 30 for each in witnesses))
    stop.set()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    for each in witnesses:
        each.browser.connection.close()
    first = min(at for each in witnesses for at in each.acknowledged.values() if at > promoted)
    total = sum(len(each.acknowledged) for each in witnesses)
    print(f"{total} acknowledged; promoted after {promoted - killed:.2f} s, no writes for {first - killed:.2f} s")
    return witnesses


def check_all_there(books: Flask, witnesses: list[Witness]) -> None:
    """What was acknowledged, before and after; what was sent again until it was, once."""
    db_away(books)
    acknowledged = set[UUID]().union(*(each.acknowledged for each in witnesses))
    assert acknowledged - set(recorded(books)) == set()
    answers = sum((each.answers for each in witnesses), Counter())
    assert set(answers) <= {303, 503}, answers
    check_each_once(books, list(witnesses))
    with books.app_context():
        assert verification.verify(SYSTEM).faults == ()
        db.session.remove()


def check_the_same_again_records_nothing(books: Flask, witness: Witness, new: Node) -> None:
    before = len(recorded(books))
    last = list(witness.acknowledged)[-1]
    for request in [*list(witness.acknowledged)[:5], last]:
        assert witness.browser.print_cards(DAY, 1, request) == 303
    witness.browser.connection.close()
    assert len(recorded(books)) == before == new.ask("SELECT count(*) FROM movements WHERE kind = 'print'")


def check_one_that_comes_back_unfenced(url: str, old: Node, new: Node, server: Server) -> None:
    """The trap: it stands first in the address, and takes writes. That its commits wait for a standby which follows
    somebody else keeps them from being acknowledged; reads would be answered from the past. So it must not come back;
    where it does, processes that know the new one do without."""
    old.start()
    new.ask("SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE application_name = 'blangko'")
    with Browser(server.port) as browser:
        assert {browser.get("/readyz")[0] for _ in range(4)} == {503}
        assert (
            "is a primary of timeline 1, and there is one of 2: fence it"
            in (server.instance / "server.log").read_text()
        )
    with psycopg.connect(url, autocommit=True, application_name="looks") as connection:
        assert connection.info.port == old.port, "the first that takes writes"
        waits = threading.Thread(target=_write_at, args=[connection], daemon=True)
        waits.start()
        waits.join(A_WHILE)
        assert waits.is_alive(), "acknowledged by a primary that is none any more"
        assert old.ask("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == 1
        old.stop("immediate")
        waits.join(10)
    assert not waits.is_alive()
    with Browser(server.port) as browser:
        assert browser.get("/readyz")[0] == 200
    assert new.ask("SELECT population FROM offices WHERE code = '51'") != 7


def _write_at(connection: psycopg.Connection) -> None:
    with pytest.raises(psycopg.OperationalError):
        connection.execute("UPDATE offices SET population = 7 WHERE code = '51'")


def come_back(old: Node, new: Node) -> None:
    old.rewind_to(new)
    old.follow(new)
    until(lambda: new.state_of(old) is not None)
    assert new.state_of(old) == "async", "until it is named"
    new.name_synchronous(old)
    assert new.state_of(old) == "sync"


def check_acknowledged_only_while_both_are_there(books: Flask, server: Server, old: Node, new: Node) -> None:
    """A limit of time for statements does not cut the waiting short, which would acknowledge what one server has."""
    with Browser(server.port) as browser:
        browser.log_in()
        assert browser.print_cards(DAY, 1) == 303
        old.stop("immediate")
        request, answers = uuid4(), list[int]()
        waits = threading.Thread(target=lambda: answers.append(browser.print_cards(DAY, 1, request)), daemon=True)
        waits.start()
        waits.join(A_WHILE)
        assert not answers
        assert request not in recorded(books), "nobody sees what is not safe yet"
        old.start()
        waits.join(30)
        assert answers == [303]
    assert request in recorded(books)
    until(lambda: new.ask("SELECT pg_current_wal_lsn() <= replay_lsn FROM pg_stat_replication"))
    assert old.ask("SELECT count(*) FROM movements WHERE request_id = %s", request) == 1


def db_away(books: Flask) -> None:
    """Leave connections behind that a server took with it."""
    with books.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.mark.slow
def test_a_backup_is_made_of_whichever_server_is_the_primary(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    from inventory.services import backups

    with primary_and_standby() as (one, other):
        _fill(one.url, tmp_path)
        app = make_app(_with_driver(address([other, one])))
        with app.app_context():
            made = backups.back_up(SYSTEM, NOW, tmp_path, [], {"PATH": "/usr/bin:/bin"})
            assert make_url(app.config["SQLALCHEMY_DATABASE_URI"]).query["port"] == f"{other.port},{one.port}"
            assert made.manifest.rows["offices"] > 0
            db.session.remove()
