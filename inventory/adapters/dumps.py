"""Dumps of databases and their way back: SQLite's own copy, and PostgreSQL's own programs as processes beside us.

A password reaches such a process by its environment alone: a command line can be read by everybody on the machine.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
import zlib
from collections.abc import Generator, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from inventory.adapters.archives import Whole
from inventory.domain.errors import Refusal

CHUNK = 1 << 20
GZIP = 16 + zlib.MAX_WBITS
SAID = 1_500
"""Characters of what a program said last that are passed on."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """How PostgreSQL's programs reach a database."""

    environment: Mapping[str, str]
    conninfo: str
    """What has no variable of its own; no secret is in it."""

    def __repr__(self) -> str:
        return f"Server({self.conninfo!r})"


def server_of(info: Any, environment: Mapping[str, str]) -> Server:
    """The server that a connection of psycopg is at, by its `info`: of several in the address this very one."""
    from psycopg import pq
    from psycopg.conninfo import make_conninfo

    here = {"host": info.host, "port": str(info.port), "user": info.user, "dbname": info.dbname}
    given = info.get_parameters() | {name: value for name, value in here.items() if value}
    if "hostaddr" in given:
        given["hostaddr"] = info.hostaddr
    if info.password:
        given["password"] = info.password
    variables, others = dict[str, str](), dict[str, str]()
    for option in pq.Conninfo.get_defaults():
        name = option.keyword.decode()
        # Whoever looks at the server's connections is to see which program it is.
        if name not in given or name in ("client_encoding", "application_name"):
            continue
        if option.envvar:
            variables[option.envvar.decode()] = given[name]
        elif option.dispchar != b"*":
            others[name] = given[name]
    return Server(environment={**environment, **variables}, conninfo=make_conninfo(dbname=info.dbname, **others))


def postgres_dump(server: Server, snapshot: str) -> Generator[bytes]:
    """What `pg_dump` says of the database as an exported snapshot sees it. Raises Refusal `backup_program`,
    `backup_failed`."""
    command = [_program("pg_dump", server), "--format=custom", "--no-password", f"--snapshot={snapshot}"]
    with tempfile.TemporaryFile() as said, _started([*command, f"--dbname={server.conninfo}"], server, said) as child:
        try:
            assert child.stdout is not None
            while chunk := child.stdout.read(CHUNK):
                yield chunk
            ended = child.wait()
        finally:
            child.kill()  # where nobody wants the rest
        if ended:
            raise Refusal("backup_failed", why=_told(said, f"pg_dump ended with {ended}"))


def postgres_restore(server: Server, chunks: Iterable[bytes]) -> None:
    """Have `pg_restore` put a dump into an empty database: all of it or nothing, owned by who is connected.

    Raises Refusal `backup_program`, `restore_failed`.
    """
    command = [_program("pg_restore", server), "--no-owner", "--no-privileges", "--single-transaction"]
    command += ["--exit-on-error", "--no-password", f"--dbname={server.conninfo}"]
    with tempfile.TemporaryFile() as said, _started(command, server, said) as child:
        try:
            assert child.stdin is not None
            with suppress(BrokenPipeError):  # it has said why
                into = Whole(child.stdin)
                for chunk in chunks:
                    into.write(chunk)
                child.stdin.close()
        except BaseException:
            child.kill()
            raise
        if ended := child.wait():
            raise Refusal("restore_failed", why=_told(said, f"pg_restore ended with {ended}"))


def _program(name: str, server: Server) -> str:
    found = shutil.which(name, path=server.environment.get("PATH"))
    if found is None:
        raise Refusal("backup_program", program=name)
    return found


def _started(command: list[str], server: Server, said: BinaryIO) -> subprocess.Popen[bytes]:
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL}
    if Path(command[0]).name == "pg_dump":
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE}
    # PostgreSQL's own program, with arguments of ours.
    found: Any = subprocess.Popen(command, env=dict(server.environment), stderr=said, bufsize=0, **pipes)  # noqa: S603
    return found


def _told(said: BinaryIO, otherwise: str) -> str:
    said.seek(0)
    return said.read().decode(errors="replace").strip()[-SAID:] or otherwise


def sqlite_dump(source: sqlite3.Connection, folder: Path) -> Generator[bytes]:
    """The database as the transaction of `source` sees it, copied by SQLite itself while others go on writing.

    The copy lies in the `folder` and has no name there from its first byte on: nothing of it stays, whatever happens.
    Raises sqlite3.OperationalError where it does not fit.
    """
    handle, name = tempfile.mkstemp(dir=folder, prefix=".blangko-", suffix=".copy")
    with os.fdopen(handle, "rb") as file:
        try:
            copy = sqlite3.connect(name, isolation_level=None, check_same_thread=False)
        finally:
            os.unlink(name)
        try:
            copy.execute("PRAGMA journal_mode = OFF")  # a journal would have a name
            copy.execute("PRAGMA synchronous = OFF")
            source.backup(copy)
        finally:
            copy.close()
        while chunk := file.read(CHUNK):
            yield chunk


def compressed(chunks: Iterable[bytes]) -> Generator[bytes]:
    """As gzip has it: a file of SQLite shrinks to a fifth. What PostgreSQL dumps is compressed already."""
    packer = zlib.compressobj(wbits=GZIP)
    for chunk in chunks:
        if packed := packer.compress(chunk):
            yield packed
    yield packer.flush()


def decompressed(chunks: Iterable[bytes]) -> Generator[bytes]:
    """Never more at a time than CHUNK, whatever it grows to. Raises Refusal `restore_failed`."""
    unpacker = zlib.decompressobj(wbits=GZIP)
    try:
        for chunk in chunks:
            yield unpacker.decompress(chunk, CHUNK)
            while unpacker.unconsumed_tail:
                yield unpacker.decompress(unpacker.unconsumed_tail, CHUNK)
    except zlib.error as error:
        raise Refusal("restore_failed", why=str(error)) from None
    if not unpacker.eof:
        raise Refusal("restore_failed", why="the dump has no end")


def sqlite_faults(path: Path) -> str | None:
    """What SQLite finds wrong with a file, in its first words; None when nothing is."""
    try:
        connection = sqlite3.connect(path)
        try:
            (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        return str(error)
    return None if found == "ok" else str(found)
