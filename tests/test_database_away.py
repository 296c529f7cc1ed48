"""A database that is away for a while, under load: real servers, a PostgreSQL that is stopped, crashed and cut off."""

from __future__ import annotations

import http.client
import os
import resource
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from flask import Flask
from sqlalchemy import text

from inventory.db import ATTEMPTS, db, unavailable, write
from inventory.domain.access import SYSTEM
from inventory.domain.alerts import Level
from inventory.services import reviews, runs
from tests.clusters import Cluster
from tests.conftest import NOW, TODAY, _fill, _with_driver
from tests.notices import SENDER, MailServer, raise_alerts
from tests.test_jobs import all_slots, start_jobs
from tests.test_schedulers import until
from tests.web.client import fields
from tests.web.server import Browser, Server
from tests.web.test_server import check_books, count, in_parallel
from tests.world import BADUNG, BLANK, DENPASAR, World

DAY = TODAY.isoformat()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster() as cluster:
        _fill(cluster.url, tmp_path_factory.mktemp("instance"))
        yield cluster


@pytest.fixture
def books(cluster: Cluster, make_app: Callable[..., Flask]) -> Flask:
    """An application that looks at what the servers wrote, with blanks in the store."""
    app = make_app(_with_driver(cluster.url))
    with app.app_context():
        World(app).deliver(NOW, TODAY, 100_000, bast=f"470/{uuid4().hex[:8]}")
        db.session.remove()
    return app


class Client:
    """Prints one card after the other. What is not recorded is sent again as it was, until it is."""

    def __init__(self, port: int) -> None:
        self.browser = Browser(port)
        self.sent: set[UUID] = set()
        self.answers: Counter[int] = Counter()

    def load(self, stop: threading.Event) -> None:
        while not stop.is_set():
            request = uuid4()
            self.sent.add(request)
            while (status := self._print(request)) != 303:
                self.answers[status] += 1
                time.sleep(0.05)
            self.answers[303] += 1

    def _print(self, request: UUID) -> int:
        try:
            return self.browser.print_cards(DAY, 1, request)
        except (OSError, http.client.HTTPException):
            self.browser.connection.close()
            return 0


def recorded(app: Flask) -> list[UUID]:
    with app.app_context():
        found = db.session.scalars(text("SELECT request_id FROM movements WHERE kind = 'print'")).all()
        db.session.remove()
    return [UUID(str(each)) for each in found]


def under_load(server: Server, disturb: Callable[[], None], loaders: list[Client] | None = None) -> list[Client]:
    """Load before, during and after what `disturb` does; the clients, with what they were answered. Afterwards all go
    on."""
    loaders = loaders or [Client(server.port) for _ in range(4)]
    in_parallel([loader.browser.log_in for loader in loaders])
    stop = threading.Event()
    threads = [threading.Thread(target=loader.load, args=[stop], daemon=True) for loader in loaders]
    for thread in threads:
        thread.start()
    time.sleep(1)
    disturb()
    before = [loader.answers[303] for loader in loaders]
    until(
        lambda: all(now.answers[303] > then + 3 for now, then in zip(loaders, before, strict=True)),
        "all go on without a restart",
    )
    stop.set()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    for loader in loaders:
        loader.browser.connection.close()
    return loaders


def check_each_once(app: Flask, loaders: list[Client]) -> None:
    sent = set().union(*(loader.sent for loader in loaders))
    found = [each for each in recorded(app) if each in sent]
    assert len(found) == len(set(found)) == len(sent)
    check_books(app)


@pytest.mark.slow
def test_a_database_that_stops_and_crashes_costs_a_503_and_nothing_else(
    cluster: Cluster, books: Flask, tmp_path: Path
) -> None:
    def away() -> None:
        for stop in (lambda: cluster.stop("fast"), lambda: cluster.stop("immediate")):
            stop()
            time.sleep(2)
            cluster.start()
            time.sleep(1)

    with Server(cluster.url, tmp_path) as server:
        loaders = under_load(server, away)
        log = (tmp_path / "server.log").read_text()
    answers = sum((loader.answers for loader in loaders), Counter())
    assert set(answers) == {303, 503}, (answers, log)
    assert "the database does not serve" in log
    assert "Traceback" not in log
    check_each_once(books, loaders)


@pytest.mark.slow
def test_connections_that_are_cut_again_and_again_lose_and_double_nothing(
    cluster: Cluster, books: Flask, tmp_path: Path
) -> None:
    """In the middle of statements and of COMMIT: whoever sends the same request again finds out."""

    def cut() -> None:
        with psycopg.connect(cluster.url, autocommit=True) as connection:
            for _ in range(60):
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'blangko' AND pid <> pg_backend_pid()"
                )
                time.sleep(0.03)

    with Server(cluster.url, tmp_path) as server:
        loaders = under_load(server, cut)
    answers = sum((loader.answers for loader in loaders), Counter())
    assert set(answers) <= {303, 503}, answers
    assert "Traceback" not in (tmp_path / "server.log").read_text()
    check_each_once(books, loaders)


@pytest.mark.slow
def test_one_that_idled_through_a_restart_is_served_at_once(cluster: Cluster, books: Flask, tmp_path: Path) -> None:
    """Connections that ended in the pool are left there: nobody is told 503 because of them."""
    with Server(cluster.url, tmp_path, workers=1) as server, ExitStack() as stack:
        browsers = [stack.enter_context(Browser(server.port)) for _ in range(4)]
        in_parallel([browser.log_in for browser in browsers])
        cluster.stop()
        cluster.start()
        statuses: list[int] = []
        in_parallel([lambda each=each: statuses.append(each.print_cards(DAY, 1)) for each in browsers])
    assert statuses == [303] * 4


@pytest.mark.slow
def test_the_jobs_wait_and_go_on(cluster: Cluster, books: Flask, tmp_path: Path) -> None:
    process = start_jobs(cluster.url, tmp_path, BLANGKO_CHECK_EVERY_SECONDS="1")
    try:
        until(lambda: all_slots(books), "a run")
        cluster.stop()
        time.sleep(3)
        cluster.start()
        with books.app_context():
            World(books).deliver(NOW, TODAY, 5, bast=f"471/{uuid4().hex[:8]}")
            db.session.remove()
        seen = len(all_slots(books))
        until(lambda: len(all_slots(books)) > seen + 1, "runs after the outage")
        until(lambda: count(books, "SELECT count(*) FROM stock_checks") == 0, "what waited is done")
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_primary_that_has_become_a_standby_is_left_for_the_new_one(cluster: Cluster, books: Flask) -> None:
    """Its connections lie in the pool and would refuse every write: after the first they are gone."""
    with books.app_context(), psycopg.connect(cluster.url, autocommit=True) as admin:
        write(lambda session: session.execute(text("UPDATE offices SET population = 1 WHERE code = '51'")))
        admin.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        admin.execute("SELECT pg_reload_conf()")
        until(lambda: cluster.ask("SHOW default_transaction_read_only") == "on", "it is known")
        time.sleep(0.2)  # by those too that were connected
        with pytest.raises(Exception) as refused:
            write(lambda session: session.execute(text("UPDATE offices SET population = 2 WHERE code = '51'")))
        assert unavailable(refused.value) == "read-only"
        pid = db.session.scalar(text("SELECT pg_backend_pid()"))
        db.session.remove()
        admin.execute("SET default_transaction_read_only = off")
        admin.execute("ALTER SYSTEM RESET default_transaction_read_only")
        admin.execute("SELECT pg_reload_conf()")
        until(lambda: cluster.ask("SHOW default_transaction_read_only") == "off", "it is known")
        time.sleep(0.2)
        write(lambda session: session.execute(text("UPDATE offices SET population = 3 WHERE code = '51'")))
        assert pid
        db.session.remove()


AWAY_SECONDS = int(os.environ.get("BLANGKO_TEST_AWAY_SECONDS", "10"))
"""How long the database is gone in the long outage: 60 to see a whole minute of it."""


class Typist:
    """Has a form open and keeps on sending it; looks at other pages meanwhile."""

    def __init__(self, port: int, number: int) -> None:
        self.browser, self.number, self.request = Browser(port), number, str(uuid4())
        self.answers: Counter[int] = Counter()

    def log_in(self) -> None:
        self.browser.log_in()
        page = self.browser.get(f"/offices/{DENPASAR}/consumption")[1]
        note = [f'loket "{self.number}" <b>']
        self.typed = fields(page) | {"new": ["7"], "note": note, "item": [BLANK], "request_id": [self.request]}

    def send(self) -> bool:
        """Send the form as it is; when it is not taken it comes back with all that was typed, and is kept so."""
        values = {name: found[0] for name, found in self.typed.items() if name != "csrf_token"}
        status, page = self.browser.post(f"/offices/{DENPASAR}/consumption", values)
        self.answers[status] += 1
        if status == 503:
            kept = fields(page)
            assert self.browser.headers["Retry-After"] == "5"
            assert {name: kept[name] for name in values} == {name: [value] for name, value in values.items()}
            self.typed = kept
        return status == 303

    def look(self) -> int:
        status = self.browser.get(f"/offices/{DENPASAR}")[0]
        self.answers[status] += 1
        assert status == 200 or self.browser.headers["Retry-After"] == "5"
        return status


WHOM_IT_CONCERNS = ("other_storekeeper", "viewer", "regional")
"""Of the small world, when Badung has run out."""


@contextmanager
def outbox(books: Flask, cluster: Cluster, process: subprocess.Popen[bytes], mail: MailServer) -> Iterator[None]:
    """An alert is raised at the very moment at which the database goes; afterwards each whom it concerns gets one
    mail about it, and before that nobody does."""
    process.send_signal(signal.SIGSTOP)
    with books.app_context():
        [event] = raise_alerts(datetime.now(UTC), Level.OUT, codes=[BADUNG])
        db.session.remove()
        db.engine.dispose()
    cluster.stop()
    process.send_signal(signal.SIGCONT)
    sent = mail.seen
    yield
    assert mail.seen == sent
    assert process.poll() is None, "the jobs live through it"
    cluster.start()
    told = f"SELECT count(*) FROM message_changes JOIN messages ON id = message_id WHERE alert_event_id = {event}"
    until(lambda: count(books, f"{told} AND status = 'sent'") == count(books, told) > 0, "each is told")
    assert count(books, told) == len(WHOM_IT_CONCERNS)
    ids = [mail["Message-ID"] for mail in mail.mails]
    assert len(ids) == len(set(ids)), "once"


@pytest.mark.slow
def test_a_database_that_is_gone_for_long_is_waited_for_by_all(cluster: Cluster, books: Flask, tmp_path: Path) -> None:
    """Pages say when to come back and keep what was typed, the outbox waits, and afterwards nobody is stuck."""
    told = {"BLANGKO_MAIL_FROM": SENDER, "BLANGKO_MESSAGES_EVERY_SECONDS": "1", "BLANGKO_PUBLIC_URL": "https://b.test"}
    with MailServer() as mail, Server(cluster.url, tmp_path) as server:
        process = start_jobs(cluster.url, tmp_path, BLANGKO_SMTP_URL=mail.url, **told)
        typists = [Typist(server.port, number) for number in range(4)]
        try:
            until(lambda: all_slots(books), "a run")
            in_parallel([typist.log_in for typist in typists])
            with outbox(books, cluster, process, mail):
                ends = time.monotonic() + AWAY_SECONDS
                in_parallel([lambda typist=typist: try_until(typist, ends) for typist in typists])
                seen = datetime.now(UTC)
            until(lambda: all(typist.send() for typist in typists), "the forms are taken")
            assert {typist.look() for typist in typists for _ in range(8)} == {200}
            until(lambda: all_slots(books)[-1] > seen, "the jobs go on")
        finally:
            process.kill()
            process.wait()
            for typist in typists:
                typist.browser.connection.close()
    for typist in typists:
        assert set(typist.answers) == {200, 303, 503}
        assert typist.answers[503] >= AWAY_SECONDS // 2
    with books.app_context():
        found = runs.latest_of(SYSTEM, reviews.REVIEW, 10_000)
        db.session.remove()
    # The slots of the outage come down to the one after it.
    assert max(run.slots_missed for run in found) >= AWAY_SECONDS // 2
    requests = recorded(books)
    assert [requests.count(UUID(typist.request)) for typist in typists] == [1] * 4
    check_books(books)


def try_until(typist: Typist, ends: float) -> None:
    while time.monotonic() < ends:
        assert not typist.send()
        assert typist.look() == 503
        time.sleep(0.5)


SAID = {
    "53100": "full",
    "53300": "too much at once",
    "57P01": "no connection",
    "57P03": "no connection",
    "25006": "read-only",
    "40001": "busy",
    "55P03": "busy",
    "57014": "too slow",
    "08006": "no connection",
    "58030": "broken disk",
    "23505": None,
    "42P01": None,
    "22003": None,
    "XX000": None,
}


def test_what_postgresql_says_is_told_apart(world: World) -> None:
    if db.engine.dialect.name == "sqlite":
        pytest.skip("what SQLite says is told apart in the pages' tests")
    for state, reason in SAID.items():
        tries = 0

        def work(session: object, state: str = state) -> None:
            nonlocal tries
            tries += 1
            session.execute(text(f"DO $$ BEGIN RAISE EXCEPTION 'said' USING ERRCODE = '{state}'; END $$"))  # type: ignore[attr-defined]

        with pytest.raises(Exception) as raised:
            write(work)
        assert unavailable(raised.value) == reason, state
        assert tries == (ATTEMPTS if state == "40001" else 1)


@pytest.mark.slow
def test_a_disk_that_fills_up_under_sqlite_keeps_the_books_whole(
    sqlite_template: Path, tmp_path: Path, make_app: Callable[..., Flask]
) -> None:
    """The server's files may grow no further for a while: every posting is whole or not at all, and it goes on."""
    file = tmp_path / "blangko.sqlite3"
    file.write_bytes(sqlite_template.read_bytes())
    app = make_app(f"sqlite:///{file}")
    with app.app_context():
        World(app).deliver(NOW, TODAY, 100_000)
        db.session.remove()
        db.engine.dispose()

    def full() -> None:
        assert server.process is not None
        workers = children(server.process.pid)
        assert workers
        for worker in workers:
            resource.prlimit(worker, resource.RLIMIT_FSIZE, (8192, resource.RLIM_INFINITY))
        time.sleep(2)
        for worker in workers:
            resource.prlimit(worker, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    with Server(f"sqlite:///{file}", tmp_path) as server:
        loaders = under_load(server, full)
    answers = sum((loader.answers for loader in loaders), Counter())
    assert set(answers) == {303, 503}, answers
    check_each_once(app, loaders)


def children(process: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
