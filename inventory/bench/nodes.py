"""PostgreSQL servers that follow each other: a primary, its standby, and what happens to them. On this machine's
loopback alone, for benchmarks and tests; what is in them is thrown away."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from inventory.bench import postgres

SETTINGS = (
    "listen_addresses=127.0.0.1",
    "max_connections=60",
    "autovacuum=off",
    "wal_retrieve_retry_interval=200ms",  # how long a standby may doze that is asked to take over
    "wal_keep_size=128MB",  # a node that was away finds what it missed
    "dynamic_shared_memory_type=mmap",  # in the folder, where nothing of a killed server stays behind
)


class Node:
    """One server, known to the others by its `name`; its port stays the same through everything. As a context it leaves
    nothing behind."""

    def __init__(self, name: str, *settings: str, home: Path | None = None) -> None:
        self.programs, self.name, self.settings = postgres.programs(), name, (*SETTINGS, *settings)
        self.user = postgres.OWNER if os.geteuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix=f"blangko-{name}-", dir=home))
        self.data = self.folder / "data"
        self.port = postgres.free_port()
        if self.user:
            account = pwd.getpwnam(self.user)
            os.chown(self.folder, account.pw_uid, account.pw_gid)

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_running():
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def url(self) -> str:
        return f"postgresql://blangko@127.0.0.1:{self.port}/postgres"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    # --- starting and ending ---

    def make(self, *layout: str) -> None:
        """A cluster of its own, running; `layout` are more arguments of initdb."""
        access = ("-A", "trust", "-U", "blangko", "-E", "UTF8")
        self.run("initdb", "-D", self.data, *access, "--no-sync", "-k", *layout)  # pg_rewind needs checksums
        # Where the programs find them too that are given no command line, such as the recovery before a rewind.
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(
                f"{name} = '{value}'\n" for name, _, value in (each.partition("=") for each in self.settings)
            )
        self.start()

    def copy_from(self, primary: Node) -> None:
        """A standby of the primary, running and streaming; asynchronous until it is named."""
        self.run("pg_basebackup", "-D", self.data, "-d", primary.url, "-X", "stream", "-c", "fast", "--no-sync")
        self.follow(primary)

    def follow(self, primary: Node) -> None:
        """Start as the primary's standby."""
        told = f"primary_conninfo = '{self._conninfo(primary)}'\nrecovery_target_timeline = 'latest'\n"
        self._write("postgresql.auto.conf", told)
        self._write("standby.signal", "")
        self.start()

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder}"
        self.run("pg_ctl", "-D", self.data, "-o", options, "-l", self.folder / "log", "-w", "start")

    def stop(self, mode: str = "fast") -> None:
        self.run("pg_ctl", "-D", self.data, "-m", mode, "-w", "stop")

    def kill(self) -> None:
        """SIGKILL to all its processes at once."""
        first = self._postmaster()
        for each in (first, *_children(first)):
            try:
                os.kill(each, signal.SIGKILL)
            except ProcessLookupError:
                continue
        until(lambda: not Path(f"/proc/{first}").exists() or _is_zombie(first))
        # They name a process that may not have been taken leave of yet, and the next start would wait for it.
        for lock in (self.data / "postmaster.pid", *self.folder.glob(".s.PGSQL.*")):
            lock.unlink(missing_ok=True)

    def is_running(self) -> bool:
        try:
            os.kill(self._postmaster(), 0)
        except (OSError, ValueError, IndexError):
            return False
        return True

    # --- standing in for another ---

    def name_synchronous(self, *standbys: Node) -> None:
        """Have each commit wait for the first of these that is there; without any, for nobody."""
        names = f"FIRST 1 ({', '.join(each.name for each in standbys)})" if standbys else ""
        self.ask(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")  # type: ignore[arg-type]
        self.ask("SELECT pg_reload_conf()")
        until(lambda: self.ask("SHOW synchronous_standby_names") == names)
        until(lambda: not standbys or "sync" in {self.state_of(each) for each in standbys})

    def state_of(self, standby: Node) -> str | None:
        """`sync`, `potential` or `async`; None for one that does not follow."""
        return self.ask("SELECT sync_state FROM pg_stat_replication WHERE application_name = %s", standby.name)

    def promote(self) -> None:
        """Make a standby the primary; back when it can be written to."""
        self.ask("SELECT pg_promote(true, 60)")

    def rewind_to(self, primary: Node) -> None:
        """Throw away what this node alone has, so that it can follow the primary that was promoted beside it. Without a
        checkpoint there first the two seem to have the same past, and nothing is thrown away."""
        primary.ask("CHECKPOINT")
        self.run("pg_rewind", "-D", self.data, f"--source-server={primary.url}", "--no-sync")

    def ask(self, statement: LiteralString, *values: Any) -> Any:
        """The first column of a statement's first row, or None."""
        with psycopg.connect(self.url, autocommit=True, connect_timeout=5, application_name="looks") as connection:
            asked = connection.execute(statement, values or None)
            row = asked.fetchone() if asked.description else None
        return row[0] if row else None

    def _conninfo(self, primary: Node) -> str:
        return f"host=127.0.0.1 port={primary.port} user=blangko application_name={self.name}"

    def _write(self, name: str, text: str) -> None:
        file = self.data / name
        file.write_text(text)
        if self.user:
            shutil.chown(file, self.user, self.user)

    def run(self, program: str, *arguments: str | Path) -> None:
        """One of PostgreSQL's own programs. Raises CalledProcessError."""
        environment = {"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8"}
        command = [str(self.programs / program), *map(str, arguments)]
        # The programs are those of the server; what they say goes into a file, as servers go on holding it.
        with (self.folder / "programs.log").open("ab") as said:
            subprocess.run(  # noqa: S603
                command, check=True, user=self.user, cwd=self.folder, stdout=said, stderr=said, env=environment
            )

    def _postmaster(self) -> int:
        return int((self.data / "postmaster.pid").read_text().splitlines()[0])


def address(nodes: Iterable[Node]) -> str:
    """libpq's address of several servers: whichever of them is the primary."""
    hosts = ",".join(f"127.0.0.1:{node.port}" for node in nodes)
    return f"postgresql://blangko@{hosts}/postgres?target_session_attrs=read-write"


def until(done: Any, seconds: float = 30) -> None:
    """Wait until `done()`. Raises RuntimeError."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise RuntimeError("it did not come about")
        time.sleep(0.02)


def _children(process: int) -> list[int]:
    try:
        return [int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except FileNotFoundError:
        return []


def _is_zombie(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
