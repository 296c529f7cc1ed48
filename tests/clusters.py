"""PostgreSQL servers that are one test's own: stopped, crashed, started again, and standing in for each other; and a
disk for one that is soon full."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from inventory.bench.nodes import Node
from tests import postgres


class Cluster(Node):
    """A server that nobody follows. Use it as a context: it starts, and leaves nothing behind.

    `layout` are more arguments of initdb."""

    def __init__(self, *settings: str, layout: tuple[str, ...] = ()) -> None:
        _require_a_server()
        super().__init__("own", "wal_keep_size=0", *settings, home=postgres.IN_MEMORY)
        self.layout = layout

    def __enter__(self) -> Cluster:
        self.make(*self.layout)
        return self

    def signal(self, by: signal.Signals) -> None:
        """Killed, the postmaster leaves its backends to notice, and to end by themselves; by SIGQUIT it takes them with
        it, as at an immediate stop, without waiting for anything."""
        os.kill(self._postmaster(), by)

    def start_after_crash(self) -> None:
        """Start it again after a kill. Its old processes hold the memory they shared until the last has noticed."""
        for _ in range(50):
            try:
                return self.start()
            except subprocess.CalledProcessError:
                time.sleep(0.1)
        raise AssertionError(self.log[-2000:])

    def serves_again(self) -> bool:
        """Whether it takes connections; one that has given up is started. Ask again until it does: a recovery that had
        begun while what it lacks was missing may still give up after that is there."""
        if not self.is_running():
            self.start_after_crash()
        try:
            return self.ask("SELECT 1") == 1
        except psycopg.OperationalError:
            return False


def _require_a_server() -> None:
    if postgres.binaries() is None:
        if os.environ.get("CI"):
            pytest.fail("no PostgreSQL server: install one")
        pytest.skip("no PostgreSQL server: install one")


@contextmanager
def primary_and_standby(*settings: str) -> Iterator[tuple[Node, Node]]:
    """A primary, empty, and its standby, which streams and is asynchronous until it is named."""
    _require_a_server()
    with Node("here", *settings, home=postgres.IN_MEMORY) as one, Node("there", home=postgres.IN_MEMORY) as other:
        one.make()
        other.copy_from(one)
        yield one, other


class SmallDisk:
    """A file system of so many megabytes, in memory: it can be filled up, and emptied of what filled it. Use it as a
    context; where this account may mount none, the test is skipped."""

    def __init__(self, megabytes: int) -> None:
        self.megabytes = megabytes
        self.folder = Path(tempfile.mkdtemp(prefix="blangko-small-", dir=postgres.IN_MEMORY))
        self.ballast = self.folder / "ballast"

    def __enter__(self) -> SmallDisk:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={self.megabytes}m", "tmpfs", str(self.folder)]
        try:
            done = subprocess.run(mount, capture_output=True, text=True)
        except OSError as error:
            done = subprocess.CompletedProcess(mount, 1, stderr=str(error))
        if done.returncode:
            self.folder.rmdir()
            pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)
        self.folder.rmdir()

    def fill(self) -> None:
        with self.ballast.open("ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"\0" * 4096)

    def free(self) -> None:
        self.ballast.unlink()
