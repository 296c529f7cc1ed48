"""Behind a pooler that lends a connection for one transaction: nothing of ours may lie in a session."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from inventory.bench.nodes import Node
from inventory.config import load
from inventory.db import engine_options
from tests import postgres
from tests.clusters import Cluster
from tests.conftest import NOW, TODAY, _fill, _with_driver
from tests.test_database_away import Client, check_each_once
from tests.test_jobs import all_slots, start_jobs
from tests.test_schedulers import until
from tests.web.server import Server
from tests.web.test_server import count, in_parallel
from tests.world import DENPASAR, World

ROOT = Path(__file__).resolve().parents[1]
POOL_SIZE = 2

OF_A_SESSION = re.compile(
    r"pg_(?:try_)?advisory_lock(?:_shared)?\s*\(|pg_advisory_unlock|\bLISTEN\s+\w+[;\"']|\bUNLISTEN\b|\bWITH HOLD\b"
    r"|\bSET SESSION\b|\bCREATE TEMP|[\"']SET (?!LOCAL\b)[a-z_]+ *(?:=|TO)|\bPREPARE \w+ AS\b|\bDISCARD ALL\b",
)


def test_nothing_is_left_in_a_session() -> None:
    """Locks, settings, listeners, temporary tables and prepared statements would stay with the server's connection,
    and meet the next transaction of somebody else. What the benchmarks do goes to the server itself."""
    found = []
    for folder in ("inventory", "migrations"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            if "bench" in file.parts:
                continue
            found += [f"{file.name}: {line}" for line in file.read_text().splitlines() if OF_A_SESSION.search(line)]
    assert found == []


def test_a_pooler_gets_no_prepared_statement_and_no_option_that_it_refuses() -> None:
    url = "postgresql+psycopg://a@b/c"
    behind = engine_options(load({"TRANSACTION_POOLER": True, "STATEMENT_SECONDS": 5}, {}), url)["connect_args"]
    assert behind["prepare_threshold"] is None
    assert "options" not in behind
    direct = engine_options(load({"STATEMENT_SECONDS": 5}, {}), url + "?connect_timeout=9&options=-c%20work_mem%3D9MB")
    assert "prepare_threshold" not in direct["connect_args"]
    assert "connect_timeout" not in direct["connect_args"]
    assert direct["connect_args"]["options"] == (
        "-c work_mem=9MB -c statement_timeout=5s -c idle_in_transaction_session_timeout=600s"
    )
    assert "connect_args" not in engine_options(load({}, {}), "sqlite:///x")


@contextmanager
def pooler(cluster: Cluster | Node, folder: Path) -> Iterator[str]:
    """Debian's pgbouncer before the cluster; its URL."""
    program = shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("no pgbouncer: install the package pgbouncer")
        pytest.skip("no pgbouncer: install the package pgbouncer")
    port = postgres._free_port()
    shipped = (ROOT / ".deploy" / "pgbouncer.ini").read_text()
    changed = {
        "blangko": f"host=127.0.0.1 port={cluster.port} dbname=postgres",
        "listen_port": port,
        "auth_type": "any",
        "auth_file": "",
        "default_pool_size": POOL_SIZE,
    }
    for name, value in changed.items():
        shipped = re.sub(rf"^{name} = .*$", f"{name} = {value}" if value else "", shipped, flags=re.MULTILINE)
    shipped = shipped.replace("dbname=postgres", "dbname=postgres user=blangko")
    file = cluster.folder / "pgbouncer.ini"
    file.write_text(shipped)
    file.chmod(0o644)
    with (folder / "pgbouncer.log").open("wb") as log:
        process = subprocess.Popen([program, str(file)], user=cluster.user, cwd=cluster.folder, stdout=log, stderr=log)
    url = f"postgresql://blangko@127.0.0.1:{port}/blangko"
    try:
        until(lambda: answers(url), "the pooler answers")
        yield url
    finally:
        process.terminate()
        process.wait()


def answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=2) as connection:
            return connection.execute("SELECT 1", prepare=False).fetchone() == (1,)
    except psycopg.OperationalError:
        return False


@pytest.mark.slow
def test_many_clients_and_the_jobs_share_two_connections(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    """Posts, pages and jobs through a pooler with as few connections as can be."""
    with ExitStack() as stack:
        cluster = stack.enter_context(Cluster())
        _fill(cluster.url, tmp_path)
        url = stack.enter_context(pooler(cluster, tmp_path))
        check_statements(url)
        app = make_app(_with_driver(cluster.url) + "?application_name=looks")
        with app.app_context():
            World(app).deliver(NOW, TODAY, 100_000)
        jobs = start_jobs(url, tmp_path, BLANGKO_CHECK_EVERY_SECONDS="1", BLANGKO_TRANSACTION_POOLER="1")
        stack.callback(jobs.wait)
        stack.callback(jobs.kill)
        server = stack.enter_context(Server(url, tmp_path, BLANGKO_TRANSACTION_POOLER="1"))
        clients = [Client(server.port) for _ in range(8)]
        in_parallel([client.browser.log_in for client in clients])
        stop = threading.Event()
        threads = [threading.Thread(target=client.load, args=[stop]) for client in clients]
        for thread in threads:
            thread.start()
        pages = [clients[0].browser.__class__(server.port) for _ in range(2)]
        in_parallel([page.log_in for page in pages])
        for page in pages:
            for path in (f"/offices/{DENPASAR}", f"/offices/{DENPASAR}/stock-card/ktp-wni", "/alerts", "/readyz"):
                for _ in range(6):  # more often than statements are prepared after
                    assert page.get(path)[0] == 200
            page.connection.close()
        until(lambda: len(all_slots(app)) >= 2, "runs of the review")
        stop.set()
        for client, thread in zip(clients, threads, strict=True):
            thread.join(60)
            client.browser.connection.close()
        total = sum((client.answers for client in clients), Counter())
        assert set(total) == {303}, (total, (tmp_path / "server.log").read_text()[-3000:])
        check_each_once(app, clients)
        until(lambda: count(app, "SELECT count(*) FROM stock_checks") == 0, "what was posted is looked at")
        assert len(backends(cluster)) <= POOL_SIZE
        log = (tmp_path / "server.log").read_text()
        assert "Traceback" not in log


def check_statements(url: str) -> None:
    """Statements that are repeated from transaction to transaction: prepared, they would be looked for where another
    connection has prepared them, or where none has."""
    assert failures(url, pooler=True) == []
    assert failures(url, pooler=False) != [], "what the setting is there for"


def failures(url: str, *, pooler: bool) -> list[str]:
    settings = load({"TRANSACTION_POOLER": pooler, "IDLE_TRANSACTION_SECONDS": 0}, {})
    engine = create_engine(_with_driver(url), **engine_options(settings, _with_driver(url)))
    found: list[str] = []

    def repeat() -> None:
        with engine.connect() as connection:
            try:
                for _ in range(60):
                    connection.execute(text("SELECT count(*) FROM offices"))
                    connection.commit()
            except DBAPIError as error:
                found.append(type(error.orig).__name__)
                connection.invalidate()

    in_parallel([repeat] * 4)
    engine.dispose()
    return found


def backends(cluster: Cluster) -> set[int]:
    """Connections of the pooler's at the server: this test's own have another user's name for the application."""
    with closing(psycopg.connect(cluster.url)) as connection:
        found = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            " AND application_name <> 'looks'"
        ).fetchall()
    return {pid for (pid,) in found}
