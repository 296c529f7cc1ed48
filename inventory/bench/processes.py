"""Measuring in a process of its own, so that a peak of memory is that of the measured work alone."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from inventory.bench import Figure


def figures_from(command: list[str], url: str, more: Mapping[str, str] | None = None) -> list[Figure]:
    """What `flask bench COMMAND…` tells as JSON in its last line, run on a database of its own ("": SQLite), with
    `more` settings.

    Raises RuntimeError with the end of its error output when it fails.
    """
    return [Figure(**each) for each in told_by(command, url, more)]


def told_by(command: list[str], url: str, more: Mapping[str, str] | None = None) -> Any:
    """The same, whatever the JSON is. Raises RuntimeError."""
    asked = [sys.executable, "-m", "flask", "--app", "wsgi", "bench", *command]
    with tempfile.TemporaryDirectory() as folder:
        settings = {"DATABASE_URL": url, "BLANGKO_ENV": "embedded", "BLANGKO_INSTANCE_PATH": folder}
        # The command is this interpreter and this application.
        told = subprocess.run(  # noqa: S603
            asked, env=os.environ | settings | dict(more or {}), capture_output=True, text=True, check=False
        )
    if told.returncode:
        raise RuntimeError(told.stderr[-2000:])
    return json.loads(told.stdout.splitlines()[-1])


def as_told(figures: list[Figure]) -> str:
    """The line that `figures_from` reads."""
    return json.dumps([asdict(figure) for figure in figures])


@contextmanager
def running(command: list[str], settings: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[Any]]:
    """A process beside this one, with `settings` beside its own, which says nothing and ends with the context."""
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    # The commands are this interpreter and this application.
    process = subprocess.Popen(command, env=os.environ | dict(settings or {}), **quiet)  # noqa: S603
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def peak_megabytes() -> float:
    """Megabytes of memory that this process has held at most."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of wall time that some work took, and what it gave."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result
