"""The server: gunicorn with threads, its settings with their reasons, and the scheduled jobs beside it."""

from __future__ import annotations

import gc
import os
import re
import shutil
import struct
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from enum import Enum
from errno import EINVAL
from functools import partial
from itertools import count
from mmap import mmap
from select import POLLIN, poll
from selectors import EVENT_READ
from socket import MSG_DONTWAIT, MSG_PEEK, SHUT_RDWR, SO_RCVLOWAT, SO_RCVTIMEO, SO_SNDTIMEO, SOL_SOCKET
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.workers.gthread import ThreadWorker

from inventory import jobs
from inventory.web import metrics

WHOLE_SECONDS = 30
"""How long a request may take to come before its connection is closed: long, as waiting costs nothing here and some of
those who send slowly are offices on a weak network."""
STALLED_SECONDS = 15
"""How long a client may take or give nothing at all while a thread waits for it."""
MOST_PEEKED = 32_768
"""Bytes of a request that are waited for; what is larger, such as a file, is read by threads of its own."""
BULKY_AT_ONCE = 2
"""Such requests that one worker reads at the same time."""

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,15})[ \t]*(?:\r\n|\Z)", re.IGNORECASE)
_STREAMED = re.compile(rb"\r\n(?:transfer-encoding|expect):", re.IGNORECASE)
_STALLED = struct.pack("ll", STALLED_SECONDS, 0)


class Came(Enum):
    """What has come of a request: too little yet, all that a thread needs, or the beginning of much."""

    PART = "part"
    WHOLE = "whole"
    BULKY = "bulky"


class WholeRequests(ThreadWorker):
    """Gives a request to a thread once it has wholly come. Until then it lies with the kernel: any number of clients
    that send a byte now and then, as on a weak network or on purpose, hold up nobody else."""

    def init_process(self) -> None:
        self.bulky = ThreadPoolExecutor(max_workers=BULKY_AT_ONCE)
        super().init_process()

    def load_wsgi(self) -> None:
        super().load_wsgi()
        keep_what_is_loaded()

    def enqueue_req(self, conn: Any) -> None:
        if self.cfg.is_ssl or (conn.parser is not None and conn.parser.unreader.buf.getvalue()):
            super().enqueue_req(conn)  # what has come cannot be seen from here
            return
        came, size = looked_at(conn.sock)
        if came is not Came.PART:
            self._hand_over(conn, came)
            return
        conn.sock.setblocking(False)
        self._wake_at(conn, size)
        conn.timeout = time.monotonic() + WHOLE_SECONDS
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def on_pending_socket_readable(self, conn: Any, client: Any) -> None:
        came, size = looked_at(conn.sock)
        if came is Came.PART and size > conn.came:
            self._wake_at(conn, size)
            return
        self.poller.unregister(client)  # it is whole, or the client has hung up
        self.pending_conns.remove(conn)
        self._hand_over(conn, came)

    def accept(self, listener: Any) -> None:
        try:
            super().accept(listener)
        except OSError as error:
            if error.errno != EINVAL:  # another worker has heard first that this is the end
                raise

    def set_accept_enabled(self, enabled: bool) -> None:
        """At the end of all workers nobody is left in the queue: who is in it is let in, and who comes after is turned
        away at once. Left open until the last answer it would take in people whom nobody answers."""
        super().set_accept_enabled(enabled)
        if enabled or self.alive or not _ENDING[0]:
            return
        for listener in self.sockets:
            while _is_readable(listener):
                self.accept(listener)
            with suppress(OSError):
                listener.shutdown(SHUT_RDWR)

    def _cap_keepalive(self, deadline: float) -> None:
        """A worker that stops waits no longer for the rest of a request than for another one."""
        super()._cap_keepalive(deadline)  # pyright: ignore[reportAttributeAccessIssue]  (newer than its stubs)
        waiting: Any = self.pending_conns
        for conn in waiting:
            conn.timeout = min(conn.timeout, deadline)

    def _wake_at(self, conn: Any, size: int) -> None:
        conn.came = size
        with suppress(OSError):
            conn.sock.setsockopt(SOL_SOCKET, SO_RCVLOWAT, size + 1)

    def _hand_over(self, conn: Any, came: Came) -> None:
        with suppress(OSError):  # a client that is gone: the thread finds out
            conn.sock.setsockopt(SOL_SOCKET, SO_RCVLOWAT, 1)
            conn.sock.setsockopt(SOL_SOCKET, SO_RCVTIMEO, _STALLED)
            conn.sock.setsockopt(SOL_SOCKET, SO_SNDTIMEO, _STALLED)
        conn.data_ready = True
        if came is not Came.BULKY:
            super().enqueue_req(conn)
            return
        future = self.bulky.submit(self.handle, conn)
        future.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))


def keep_what_is_loaded() -> None:
    """What has been loaded stays until the process ends. To look through it again and again for objects that only hold
    each other takes a fifth of a second each time, for which whoever asks just then would wait."""
    gc.collect()
    gc.freeze()


_ENDING = mmap(-1, 1)
"""1 when the server ends: seen by all its processes, as a worker cannot tell that from being replaced."""


def says_when_it_ends(arbiter: Any) -> None:
    """In the master, once it listens: have the workers know when it stops and nobody takes its place."""
    stop = arbiter.stop

    def stopping(graceful: bool = True) -> None:
        if not (arbiter.reexec_pid or arbiter.master_pid or arbiter.systemd):
            _ENDING[0] = 1
        stop(graceful)

    arbiter.stop = stopping


def _is_readable(listener: Any) -> bool:
    looked = poll()
    looked.register(listener.fileno(), POLLIN)
    return any(events == POLLIN for _, events in looked.poll(0))


def looked_at(connection: Any) -> tuple[Came, int]:
    """What has come of a request on a socket and how many bytes that is, without taking it from there."""
    try:
        data = connection.recv(MOST_PEEKED, MSG_PEEK | MSG_DONTWAIT)
    except BlockingIOError:
        return Came.PART, 0
    except OSError:
        return Came.WHOLE, 0
    if not data or len(data) == MOST_PEEKED:
        return Came.WHOLE if not data else Came.BULKY, len(data)
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return Came.PART, len(data)
    length = _LENGTH.search(head)
    missing = int(length[1]) - len(body) if length else 0
    if _STREAMED.search(head) or len(data) + missing > MOST_PEEKED:
        return Came.BULKY, len(data)
    return Came.PART if missing > 0 else Came.WHOLE, len(data)


def takes_a_number(arbiter: Any, worker: Any) -> None:
    """In the master, before a worker begins: the lowest number that no other one has."""
    taken = {each.number for each in arbiter.WORKERS.values()}
    worker.number = next(number for number in count() if number not in taken)


def counts_under_its_number(_arbiter: Any, worker: Any) -> None:
    """In the worker: it counts requests on from where the last one with this number stopped."""
    metrics.count_as(f"worker-{worker.number}")


SETTINGS: dict[str, Any] = {
    # Threads, as a request mostly waits for the database; ours begin with a request once it has wholly come.
    "worker_class": "inventory.serving.WholeRequests",
    # A worker whose main thread has said nothing for so long hangs, and is replaced. A request may take longer: what
    # bounds it is how long the database works at a statement.
    "timeout": 60,
    # What is under way when the server is told to stop or to load anew is finished. Supervisors wait a little longer.
    "graceful_timeout": 30,
    # Longer than the proxy's 60 seconds, so that it is the proxy that closes a connection in which nothing happens:
    # the other way round a request could be on its way to where nobody listens any more.
    "keepalive": 75,
    # Where the workers say that they live: a file, which on a disk may be a disk's time late.
    "worker_tmp_dir": "/dev/shm",  # noqa: S108
    # Only ProxyFix looks at what proxies say, as BLANGKO_TRUSTED_PROXIES has it: nobody is believed twice.
    "forwarded_allow_ips": "",
    "when_ready": says_when_it_ends,
    # Nothing here needs to be steered from outside.
    "control_socket_disable": True,
    # Each worker loads the application itself, so that a reload takes up what was installed meanwhile.
    "preload_app": False,
}
"""gunicorn's settings wherever it serves this application. How many workers and threads, and when they are replaced, is
said where they are started."""


class EmbeddedServer(BaseApplication):
    """Serves one application object; `options` are gunicorn's settings."""

    def __init__(self, app: Flask, options: dict[str, Any]) -> None:
        self.app = app
        self.options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self.options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        return self.app


def serve(app: Flask, *, host: str, port: int, workers: int, threads: int) -> None:
    """Serve until told to stop. With JOBS_IN_SERVER the jobs run in a thread of each worker: slots are taken once."""

    def start_jobs(_worker: Any) -> None:
        if app.config["SETTINGS"].JOBS_IN_SERVER:
            jobs.start_background(app)

    made = _let_workers_add_up(app) if workers > 1 else None

    def tidy(_arbiter: Any) -> None:  # in the master alone, after its workers
        if made:
            shutil.rmtree(made, ignore_errors=True)

    options = SETTINGS | {
        "bind": f"{host}:{port}",
        "workers": workers,
        "threads": threads,
        "pre_fork": takes_a_number,
        "post_fork": counts_under_its_number,
        "post_worker_init": start_jobs,
        "on_exit": tidy,
    }
    if not os.path.isdir(options["worker_tmp_dir"]):  # not on every system
        del options["worker_tmp_dir"]
    keep_what_is_loaded()  # before the workers begin, which then share its memory
    EmbeddedServer(app, options).run()


def _let_workers_add_up(app: Flask) -> str | None:
    """A folder in which the workers count requests together, where the settings name none; else each scrape would see
    the counts of one of them."""
    settings = app.config["SETTINGS"]
    if settings.METRICS_PATH:
        return None
    folder = tempfile.mkdtemp(prefix="blangko-metrics-")
    app.config["SETTINGS"] = replace(settings, METRICS_PATH=folder)
    return folder
