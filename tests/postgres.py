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

INSTALLED = "/usr/lib/postgresql"

# Nothing of a test's has to outlive the server, so nothing waits for a disk or is written twice.
CARELESS = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "wal_level=minimal", "max_wal_senders=0")


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
    settings = ("listen_addresses=127.0.0.1", "max_connections=200", "max_wal_size=256MB", *CARELESS)
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
