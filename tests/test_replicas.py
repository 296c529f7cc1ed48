"""Reads from a standby: which pages, how old, and that nothing is decided or written by what stands there."""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from inventory import replicas
from inventory.bench.nodes import Node, until
from inventory.config import SettingError, load
from inventory.db import REPLICA, db, glance, is_apart, read_apart, read_here, write
from inventory.domain.errors import Refusal
from inventory.models import Office
from inventory.replicas import Outcome, Replica
from inventory.web.replica import PAGES
from tests.clusters import primary_and_standby
from tests.conftest import NOW, TODAY, _fill, _with_driver
from tests.test_pooler import pooler
from tests.web.client import log_in, send
from tests.world import BLANK, DENPASAR, World

POSTGRES = {"DATABASE_URL": "postgresql://a@b/c", "ENV": "embedded"}
FORBIDDEN = "UPDATE offices SET population = 1"
WRITES = re.compile(r"\b(INSERT|UPDATE|DELETE|MERGE|COPY|LOCK|NEXTVAL|ADVISORY)\b", re.IGNORECASE)


def test_the_setting_wants_postgresql_on_both_sides_and_is_a_secret() -> None:
    good = load(POSTGRES | {"REPLICA_URL": "postgres://a:p@b,c/d"}, {})
    assert good.REPLICA_URL == "postgresql+psycopg://a:p@/d?host=b,c&port=5432,5432"
    assert "a:p@" not in repr(good)
    for wrong in (
        {"REPLICA_URL": "postgresql://a@b/c"},
        {"REPLICA_URL": "postgresql://a@b/c", "DATABASE_URL": "sqlite:///x"},
        POSTGRES | {"REPLICA_URL": "sqlite:///x"},
        POSTGRES | {"REPLICA_LAG_SECONDS": 0},
    ):
        with pytest.raises(SettingError, match="BLANGKO_REPLICA"):
            load(wrong | {"ENV": "embedded"}, {})


def test_the_pages_are_there_and_only_read(make_app: Callable[..., Flask]) -> None:
    app = make_app("postgresql://a@127.0.0.1:9/c", REPLICA_URL="postgresql://a@127.0.0.1:9/c")
    rules = {rule.endpoint: rule for rule in app.url_map.iter_rules()}
    for page in PAGES:
        assert rules[page].methods == {"GET", "HEAD", "OPTIONS"}, page


def test_how_old_it_is_goes_by_where_the_primary_was_noted_to_be() -> None:
    now = 100.0
    replica = Replica(5, clock=lambda: now)
    replica._noted.extend([(90.0, 1000), (96.0, 2000), (99.5, 3000)])
    assert replica._outcome(True, 3000, 0) is Outcome.REPLICA
    assert replica._outcome(True, 2000, 0) is Outcome.REPLICA, "four seconds old at most"
    assert replica._outcome(True, 1999, 0) is Outcome.BEHIND, "it may be nine seconds old"
    assert replica._outcome(True, 3000, 3001) is Outcome.OWN_WRITE
    assert replica._outcome(False, 9999, 0) is Outcome.NO_STANDBY
    now = 105.0
    assert replica._outcome(True, 3000, 0) is Outcome.BEHIND, "nobody knows where the primary is by now"


def test_what_is_written_is_decided_and_written_at_the_primary(world: World) -> None:
    """While the session reads elsewhere: the engine there would not even be asked."""
    elsewhere = create_engine("sqlite://", poolclass=NullPool)  # has no table at all
    read_apart(elsewhere)
    assert is_apart()
    with pytest.raises(OperationalError):
        db.session.execute(text("SELECT count(*) FROM offices"))
    db.session.rollback()
    if db.engine.dialect.name == "postgresql":
        assert glance(text("SELECT name FROM offices WHERE code = :code"), {"code": DENPASAR}) == ("Kota Denpasar",)
    write(lambda session: session.execute(text("UPDATE offices SET population = 8 WHERE code = '51'")))
    assert not is_apart(), "what comes after a write is read where that is"
    assert db.session.scalar(text("SELECT population FROM offices WHERE code = '51'")) == 8
    read_apart(elsewhere)
    db.session.add(Office(code="99", name="Nowhere", kind="province", path="99/", time_zone="Asia/Jakarta"))
    with pytest.raises(RuntimeError, match="only read"):
        db.session.flush()
    db.session.rollback()
    read_here()
    assert db.session.scalar(text("SELECT count(*) FROM offices WHERE code = '99'")) == 0


SAID = {"offices.home": 302, "offices.stock": 302, "boards.show": 404, "boards.data": 404, "boards.badge": 404}
"""What pages answer here, where that is not 200: with one region its table, and nobody shows a board."""


# --- a real standby ----------------------------------------------------------------------------------------------


@pytest.fixture
def pair() -> Iterator[tuple[Node, Node]]:
    with primary_and_standby() as nodes:
        yield nodes


@pytest.mark.slow
def test_regional_pages_come_from_the_standby_and_own_writes_are_read_back(
    pair: tuple[Node, Node],
    make_app: Callable[..., Flask],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    primary, standby = pair
    _fill(primary.url, tmp_path)
    monkeypatch.setattr(replicas, "REST", 0.5)

    def build(lag: int) -> Flask:
        told = {"REPLICA_URL": standby.url, "REPLICA_LAG_SECONDS": lag, "CLOCK": lambda: NOW}
        return make_app(_with_driver(primary.url), **told)

    app = build(3600)
    with app.app_context():
        World(app).deliver(NOW, TODAY, 4321)
        db.session.remove()
    asked = listen(app)
    check_own_writes(app, primary, standby)
    check_nothing_is_decided_there(app, standby)
    check_every_page(app, asked)
    check_what_breaks_off_is_read_at_the_primary(app, primary, standby, caplog)
    check_one_behind_a_pooler(make_app, primary, standby, tmp_path)
    check_one_that_lags(build(1), primary, standby)
    monkeypatch.setattr(replicas, "REST", 600)
    check_one_that_is_away(app, standby, caplog)
    assert [each for each in asked if WRITES.search(each)] == [FORBIDDEN], "which is tried on purpose"
    check_one_that_was_promoted(app, standby)
    with app.app_context():
        db.engines[REPLICA].dispose()


def listen(app: Flask) -> list[str]:
    """What the standby is asked for, from now on."""
    asked: list[str] = []
    with app.app_context():
        event.listen(db.engines[REPLICA], "before_cursor_execute", lambda _c, _k, sql, *_: asked.append(sql))
    return asked


def client_of(app: Flask, name: str) -> FlaskClient:
    client = app.test_client()
    log_in(client, name)
    return client


def stock_shown(client: FlaskClient, office: str = "51") -> set[str]:
    """The figures on the page of the region."""
    answer = client.get(f"/offices/{office}/balances?item={BLANK}&all=y")
    assert answer.status_code == 200, answer.text
    return set(re.findall(r"\d\.\d{3}", answer.text))


def outcomes(app: Flask) -> Counter[str]:
    """So far in this process, of all its applications."""
    if "counts" not in app.extensions:
        app.test_client().get("/healthz")
    counted = app.extensions["counts"].replica.collect()[0].samples
    return Counter({each.labels["outcome"]: each.value for each in counted if each.name.endswith("_total")})


@contextmanager
def paused(standby: Node) -> Iterator[None]:
    standby.ask("SELECT pg_wal_replay_pause()")
    until(lambda: standby.ask("SELECT pg_get_wal_replay_pause_state()") == "paused")
    yield
    standby.ask("SELECT pg_wal_replay_resume()")


def catch_up(primary: Node, standby: Node) -> None:
    place = primary.ask("SELECT pg_current_wal_lsn()::text")
    until(lambda: standby.ask("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", place))


def check_own_writes(app: Flask, primary: Node, standby: Node) -> None:
    catch_up(primary, standby)
    viewer, writer = client_of(app, "regional"), client_of(app, "storekeeper")
    catch_up(primary, standby)
    before = outcomes(app)
    assert "4.321" in stock_shown(viewer)
    assert outcomes(app) - before == {"replica": 1}
    with paused(standby):
        typed = {"item": BLANK, "day": TODAY.isoformat(), "new": "21"}
        answer = send(writer, f"/offices/{DENPASAR}/consumption", typed)
        assert answer.status_code == 303
        [told] = [each for each in answer.headers.getlist("Set-Cookie") if each.startswith("blangko-written=")]
        assert re.search(r"^blangko-written=\d+; .*Max-Age=3660; HttpOnly; Path=/; SameSite=Lax$", told), told
        assert "4.321" in stock_shown(viewer), "from the standby, which knows of nothing since"
        assert "4.300" in stock_shown(writer, DENPASAR), "one's own writes, from the primary"
        assert outcomes(app) - before == {"replica": 2, "own write": 1}
    catch_up(primary, standby)
    assert "4.300" in stock_shown(viewer)
    assert "4.300" in stock_shown(writer, DENPASAR)
    assert outcomes(app) - before == {"replica": 4, "own write": 1}, (
        "who wrote reads at the standby again once it is there"
    )


def check_nothing_is_decided_there(app: Flask, standby: Node) -> None:
    """A service that writes in the middle of reading at a standby for which the stock is still what it was."""
    replica: Replica = app.extensions["replica"]
    with app.app_context(), paused(standby):
        world = World(app)
        world.print(NOW, TODAY, 4200)
        for quantity in (200, 101):
            assert replica.enter() is Outcome.REPLICA
            assert db.session.scalar(text("SELECT store FROM balances")) == 4300
            with pytest.raises(Refusal):
                world.print(NOW, TODAY, quantity)
            replica.leave()
        assert replica.enter() is Outcome.REPLICA
        world.print(NOW, TODAY, 100)
        assert not is_apart()
        assert db.session.scalar(text("SELECT store FROM balances")) == 0
        replica.enter()
        with pytest.raises(DBAPIError, match="read-only"):
            db.session.execute(text(FORBIDDEN))
        replica.leave()
        db.session.remove()


def check_every_page(app: Flask, asked: list[str]) -> None:
    viewer = client_of(app, "regional")
    values: dict[str, Any] = {"code": DENPASAR, "item": BLANK}
    with app.app_context():
        until(lambda: app.extensions["replica"].enter() is Outcome.REPLICA)
        app.extensions["replica"].leave()
        db.session.remove()
    with app.test_request_context():
        rules = {rule.endpoint: rule for rule in app.url_map.iter_rules()}
        urls = {page: app.url_for(page, **{k: values[k] for k in rules[page].arguments}) for page in PAGES}
    for page, url in urls.items():
        before, there = outcomes(app)["replica"], len(asked)
        assert viewer.get(url).status_code == SAID.get(page, 200), page
        assert outcomes(app)["replica"] == before + 1, page
        assert len(asked) > there, page


def check_what_breaks_off_is_read_at_the_primary(
    app: Flask, primary: Node, standby: Node, caplog: pytest.LogCaptureFixture
) -> None:
    """Cut off, or cancelled because the primary changes what is being read; in the middle of a page."""

    def cut() -> None:
        standby.ask("SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE application_name = 'blangko'")

    def conflict() -> None:
        before = standby.ask(CANCELLED)
        primary.ask("DO $$ BEGIN LOCK TABLE offices IN ACCESS EXCLUSIVE MODE; PERFORM txid_current(); END $$")
        until(lambda: standby.ask(CANCELLED) > before)

    standby.ask("ALTER SYSTEM SET max_standby_streaming_delay = 50")
    standby.ask("SELECT pg_reload_conf()")
    viewer = client_of(app, "regional")
    for disturb, outcome, said in ((cut, "away", "no connection"), (conflict, "conflict", "busy")):
        until(lambda: ready(app)["replica"] == {"state": "serves"})
        stock_shown(viewer)
        before = outcomes(app)
        with caplog.at_level(logging.WARNING), in_the_middle(app, disturb):
            stock_shown(viewer)
        assert outcomes(app) - before == {outcome: 1}
        assert f"the replica does not serve ({said})" in caplog.text
    assert ready(app)["replica"] == {"state": "serves"}, "what was changed meanwhile is no reason to leave it alone"


CANCELLED = "SELECT sum(confl_lock) FROM pg_stat_database_conflicts"


@contextmanager
def in_the_middle(app: Flask, disturb: Callable[[], None]) -> Iterator[None]:
    """Before the third statement that the standby is asked for."""
    count = 0

    def look(*_: Any) -> None:
        nonlocal count
        count += 1
        if count == 3:
            disturb()

    with app.app_context():
        engine = db.engines[REPLICA]
    event.listen(engine, "before_cursor_execute", look)
    yield
    event.remove(engine, "before_cursor_execute", look)
    assert count >= 3


def check_one_behind_a_pooler(make_app: Callable[..., Flask], primary: Node, standby: Node, folder: Path) -> None:
    """Which knows no transaction's settings but those that come with its beginning."""
    with pooler(standby, folder) as url:
        told = {"REPLICA_URL": url, "REPLICA_LAG_SECONDS": 3600, "TRANSACTION_POOLER": True, "CLOCK": lambda: NOW}
        app = make_app(_with_driver(primary.url), **told)
        viewer = client_of(app, "regional")
        catch_up(primary, standby)
        before = outcomes(app)
        for _ in range(8):  # more often than statements are prepared after
            stock_shown(viewer)
        assert outcomes(app) - before == {"replica": 8}
        with app.app_context():
            assert app.extensions["replica"].enter() is Outcome.REPLICA
            assert db.session.scalar(text("SHOW transaction_read_only")) == "on"
            db.session.remove()
            db.engines[REPLICA].dispose()


def ready(app: Flask) -> Any:
    answer = app.test_client().get("/readyz")
    assert answer.status_code == 200
    return answer.json


def check_one_that_lags(app: Flask, primary: Node, standby: Node) -> None:
    viewer, before = client_of(app, "regional"), outcomes(app)
    with paused(standby):
        with app.app_context():
            World(app).deliver(NOW, TODAY, 7654)
            db.session.remove()
        until(lambda: "7.654" in stock_shown(viewer), 10)
        assert (outcomes(app) - before)["behind"] >= 1
        assert ready(app)["replica"] == {"state": "behind"}
    catch_up(primary, standby)
    until(lambda: ready(app)["replica"] == {"state": "serves"})
    with app.app_context():
        db.engines[REPLICA].dispose()


def check_one_that_is_away(app: Flask, standby: Node, caplog: pytest.LogCaptureFixture) -> None:
    viewer = client_of(app, "regional")
    standby.stop("immediate")
    caplog.clear()
    for _ in range(5):
        assert "7.654" in stock_shown(viewer)
    assert caplog.text.count("the replica does not serve") == 1, "it is not asked again for a while"
    assert ready(app)["replica"] == {"state": "away"}
    standby.start()
    before = outcomes(app)["replica"]
    app.extensions["replica"]._rests_until = time.monotonic()  # as if that had passed
    stock_shown(viewer)
    assert outcomes(app)["replica"] == before + 1


def check_one_that_was_promoted(app: Flask, standby: Node) -> None:
    """It may be a primary that nobody follows: whether it counts only the primary's address knows."""
    standby.promote()
    viewer, before = client_of(app, "regional"), outcomes(app)
    assert "7.654" in stock_shown(viewer)
    assert outcomes(app) - before == {"no standby": 1}
    assert ready(app)["replica"] == {"state": "away"}, "and left alone for a while"
