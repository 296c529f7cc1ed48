"""PostgreSQL servers that are one test's own: stopped, crashed, started again, and standing in for each other; and a
disk for one that is soon full."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from inventory.bench.nodes import Node
from tests import postgres

SETTINGS = ("listen_addresses=127.0.0.1", "max_connections=60", "autovacuum=off")


class Cluster:
    """`port` stays the same through stops and starts. Use it as a context: it starts, and leaves nothing behind.

    `layout` are more arguments of initdb."""

    def __init__(self, *settings: str, layout: tuple[str, ...] = ()) -> None:
        programs = postgres.binaries()
        if programs is None:
            if os.environ.get("CI"):
                pytest.fail("no PostgreSQL server: install one")
            pytest.skip("no PostgreSQL server: install one")
        self.programs, self.settings, self.layout = programs, (*SETTINGS, *settings), layout
        self.user = "postgres" if os.geteuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="blangko-own-pg-", dir=postgres.IN_MEMORY))
        self.port = postgres._free_port()
        self.url = f"postgresql://blangko@127.0.0.1:{self.port}/postgres"
        if self.user:
            account = pwd.getpwnam(self.user)
            os.chown(self.folder, account.pw_uid, account.pw_gid)

    def __enter__(self) -> Cluster:
        self._run("initdb", "-D", self.data, "-A", "trust", "-U", "blangko", "-E", "UTF8", "--no-sync", *self.layout)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_running():
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def data(self) -> str:
        return str(self.folder / "data")

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} " + " ".join(f"-c {setting}" for setting in self.settings)
        self._run("pg_ctl", "-D", self.data, "-o", options, "-l", str(self.folder / "log"), "-w", "start")

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "-D", self.data, "-m", mode, "-w", "stop")

    def kill(self, by: signal.Signals = signal.SIGKILL) -> None:
        """A signal to the postmaster. Killed, its backends notice, and end by themselves; by SIGQUIT it takes them with
        it, as at an immediate stop, without waiting for anything."""
        os.kill(self._postmaster(), by)

    def start_after_crash(self) -> None:
        """Start it again after a kill. Its old processes hold the memory they shared until the last has noticed."""
        for _ in range(50):
            try:
                return self.start()
            except subprocess.CalledProcessError:
                time.sleep(0.1)
        raise AssertionError((self.folder / "log").read_text()[-2000:])

    def is_running(self) -> bool:
        try:
            os.kill(self._postmaster(), 0)
        except (OSError, ValueError):
            return False
        return True

    def _postmaster(self) -> int:
        return int((Path(self.data) / "postmaster.pid").read_text().splitlines()[0])

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), *arguments]
        subprocess.run(
            command, check=True, user=self.user, cwd=self.folder, stdout=subprocess.DEVNULL, env=postgres._plain()
        )


@contextmanager
def primary_and_standby(*settings: str) -> Iterator[tuple[Node, Node]]:
    """A primary, empty, and its standby, which streams and is asynchronous until it is named."""
    if postgres.binaries() is None:
        if os.environ.get("CI"):
            pytest.fail("no PostgreSQL server: install one")
        pytest.skip("no PostgreSQL server: install one")
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
