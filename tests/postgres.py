"""A PostgreSQL server for the tests: the one that TEST_DATABASE_URL names, or one of our own."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import LiteralString
from uuid import uuid4

import psycopg
from psycopg import sql

INSTALLED = "/usr/lib/postgresql"

# Nothing of a test's has to outlive the server, so nothing waits for a disk or is written twice.
CARELESS = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "wal_level=minimal", "max_wal_senders=0")

LASTING = "kept between tests"
"""The `application_name` of connections that may stay open from one test to the next."""


def _memory() -> Path | None:
    folder = Path("/dev/shm")  # noqa: S108
    return folder if folder.is_dir() and shutil.disk_usage(folder).free > 2 * 10**9 else None


IN_MEMORY = _memory()
"""Where files are kept in memory, when there is such a place and it is roomy."""


def binaries() -> Path | None:
    """The folder of the newest installed server's programs, or None."""
    found = sorted(Path(INSTALLED).glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


@contextmanager
def server() -> Iterator[str | None]:
    """A URL of a server's maintenance database, for as long as the context lasts; None when there is no server."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield given
        return
    programs = binaries()
    if programs is None:
        yield None
        return
    # Debian's server refuses to run as root, so root hands it to the account that its package made.
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="blangko-pg-", dir=IN_MEMORY))
    if user:
        account = pwd.getpwnam(user)
        os.chown(folder, account.pw_uid, account.pw_gid)
    port = _free_port()
    settings = ("listen_addresses=127.0.0.1", "max_connections=200", "max_wal_size=256MB", "autovacuum=off", *CARELESS)
    options = f"-p {port} -k {folder} " + " ".join(f"-c {setting}" for setting in settings)
    data = str(folder / "data")

    def run(*command: str) -> None:
        subprocess.run(command, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL, env=_plain())

    run(str(programs / "initdb"), "-D", data, "-A", "trust", "-U", "blangko", "-E", "UTF8", "--no-sync")
    run(str(programs / "pg_ctl"), "-D", data, "-o", options, "-l", str(folder / "log"), "-w", "start")
    try:
        yield f"postgresql://blangko@127.0.0.1:{port}/postgres"
    finally:
        run(str(programs / "pg_ctl"), "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def _plain() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def database(server: str, name: str) -> str:
    """The URL of another database of a server."""
    return server.rsplit("/", 1)[0] + "/" + name


def copy(server: str, template: str, name: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        # Copying the files is quicker than logging each page of them, which is what the server does when not told.
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))


class Scratch:
    """A copy of a template database that is put back after each test: quicker than a copy for each of them.

    Rows, sequences and connections are put back. Where a test changed the tables themselves, the next one gets a new
    copy. Needs a superuser, as triggers must not stand in the way.
    """

    def __init__(self, server: str, template: str) -> None:
        self._server, self._template = server, template
        self._name = ""
        self._connection: psycopg.Connection | None = None

    def take(self) -> str:
        """The URL of a database just like the template."""
        if self._connection is None:
            self._copy()
        return database(self._server, self._name)

    def put_back(self) -> None:
        try:
            self._put_back()
        except psycopg.Error:
            self.drop()

    def drop(self) -> None:
        if self._connection is None:
            return
        self._connection.close()
        self._connection = None
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(self._name)))

    def _copy(self) -> None:
        self._name = f"blangko_{uuid4().hex[:12]}"
        copy(self._server, self._template, self._name)
        self._connection = psycopg.connect(database(self._server, self._name), autocommit=True)
        self._connection.execute("SET session_replication_role = replica; SET lock_timeout = '5s'")
        tables = self._column(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        sequences = self._column("SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'")
        self._filled_query = _each("SELECT {text} WHERE EXISTS (SELECT FROM {name})", tables)
        filled = self._column(self._filled_query)
        for name in filled:
            self._run("CREATE TEMPORARY TABLE {kept} AS SELECT * FROM {name} ORDER BY ctid", name)
        rows = "SELECT {text}, count(*), sum(hashtext(ctid::text || xmin::text)) FROM {name}"
        self._rows_query = _each(rows, filled)
        self._sequences_query = _each("SELECT {text}, last_value, is_called FROM {name}", sequences)
        self._schema = self._read(SCHEMA)
        self._rows, self._sequences = self._by_name(self._rows_query), self._by_name(self._sequences_query)

    def _put_back(self) -> None:
        connection = self._connection
        assert connection is not None
        connection.execute(END_OTHERS, (LASTING,), prepare=True)
        connection.execute(FORGET_DEADLOCKS, prepare=True)
        if self._read(SCHEMA) != self._schema:
            self.drop()
            return
        written = [name for name in self._column(self._filled_query) if name not in self._rows]
        rows, sequences = self._by_name(self._rows_query), self._by_name(self._sequences_query)
        changed = [name for name in rows if rows[name] != self._rows[name]]
        with connection.transaction():
            for name in written + changed:
                self._run("DELETE FROM {name}", name)
            for name in changed:
                self._run("INSERT INTO {name} SELECT * FROM {kept}", name)
            for name, (last_value, is_called) in self._sequences.items():
                if sequences[name] != (last_value, is_called):
                    connection.execute("SELECT setval(%s::regclass, %s, %s)", (name, last_value, is_called))
        if changed:
            self._rows = self._by_name(self._rows_query)
        self._shrink(written + changed)

    def _shrink(self, names: list[str]) -> None:
        """What was deleted still takes room; that may slow down the tests to come where it was much."""
        large = "SELECT relname FROM pg_class WHERE relname = ANY(%s) AND pg_relation_size(oid) > 65536"
        assert self._connection is not None
        for (name,) in self._connection.execute(large, (names,), prepare=True).fetchall():
            self._run("VACUUM {name}", name)

    def _by_name(self, query: sql.Composed) -> dict[str, tuple]:
        return {row[0]: row[1:] for row in self._read(query)}

    def _read(self, query: sql.SQL | sql.Composed) -> set[tuple]:
        assert self._connection is not None
        return set(self._connection.execute(query, prepare=True).fetchall())

    def _column(self, query: sql.Composed | LiteralString) -> list[str]:
        return sorted(row[0] for row in self._read(sql.SQL(query) if isinstance(query, str) else query))

    def _run(self, statement: LiteralString, name: str) -> None:
        assert self._connection is not None
        names = {"name": sql.Identifier("public", name), "kept": sql.Identifier("pg_temp", name)}
        self._connection.execute(sql.SQL(statement).format(**names))


# Backends of clients that are gone, or that a test left in the middle of something.
END_OTHERS = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
    AND NOT (application_name = %s AND state = 'idle')"""

FORGET_DEADLOCKS = """
    SELECT pg_stat_reset() FROM pg_stat_database WHERE datname = current_database() AND deadlocks > 0"""

# What changes when a table, a constraint, a trigger or a function does.
SCHEMA = sql.SQL("""
    SELECT 'class', count(*), sum(hashtext(xmin::text)) FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT 'constraint', count(*), sum(hashtext(xmin::text)) FROM pg_constraint
    UNION ALL SELECT 'trigger', count(*), sum(hashtext(xmin::text)) FROM pg_trigger
    UNION ALL SELECT 'function', count(*), sum(hashtext(xmin::text)) FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace""")


def _each(query: LiteralString, names: list[str]) -> sql.Composed:
    """One query for all: the `query` of each name, after another."""
    parts = [sql.SQL(query).format(text=sql.Literal(name), name=sql.Identifier("public", name)) for name in names]
    return sql.SQL(" UNION ALL ").join(parts)
