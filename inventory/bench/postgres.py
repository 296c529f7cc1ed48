"""A PostgreSQL server for a benchmark: the database that somebody gives, or a server of its own that is thrown away."""

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
OWNER = "postgres"
"""The account that Debian's package makes: the server refuses to run as root."""


def programs() -> Path:
    """The folder of the newest installed server's programs. Raises RuntimeError when there is none."""
    found = sorted(Path(INSTALLED).glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    if on_path is None:
        raise RuntimeError("no PostgreSQL server: install the package postgresql, or give --url")
    return Path(on_path).resolve().parent


def program(name: str) -> str:
    """The path of one of them. Raises RuntimeError."""
    return str(programs() / name)


@contextmanager
def database(url: str | None) -> Iterator[str]:
    """The URL of an empty database, for as long as the context lasts: `url`, or one of a server of our own.

    Our own server runs with PostgreSQL's own settings: what is committed is on the disk. Raises RuntimeError.
    """
    if url is not None:
        yield url
        return
    folder, user = Path(tempfile.mkdtemp(prefix="blangko-bench-")), OWNER if os.geteuid() == 0 else None
    if user:
        account = pwd.getpwnam(user)
        os.chown(folder, account.pw_uid, account.pw_gid)
    try:
        with _running(folder, user) as address:
            yield address
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(folder: Path, user: str | None) -> Iterator[str]:
    port, data, home = free_port(), str(folder / "data"), programs()

    def run(*command: str) -> None:
        environment = {"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8"}
        # The programs are those of the server.
        subprocess.run(  # noqa: S603
            command, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL, env=environment
        )

    run(str(home / "initdb"), "-D", data, "-A", "trust", "-U", "blangko", "-E", "UTF8")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1"
    run(str(home / "pg_ctl"), "-D", data, "-o", options, "-l", str(folder / "log"), "-w", "start")
    try:
        yield f"postgresql://blangko@127.0.0.1:{port}/postgres"
    finally:
        run(str(home / "pg_ctl"), "-D", data, "-m", "immediate", "-w", "stop")


def free_port() -> int:
    """A port of this machine at which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
