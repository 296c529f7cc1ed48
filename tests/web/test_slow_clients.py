"""Clients that send slowly, by a weak network or on purpose, and the others beside them."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from inventory.serving import MOST_PEEKED, WHOLE_SECONDS, Came, looked_at
from tests.web.server import Browser, Server

HEAD = b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n"
LARGE = MOST_PEEKED + 1


@pytest.mark.parametrize(
    ("sent", "came"),
    [
        (b"", Came.PART),
        (b"GET / HT", Came.PART),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", Came.PART),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", Came.WHOLE),
        (HEAD, Came.PART),
        (HEAD + b"x" * 19, Came.PART),
        (HEAD + b"x" * 20, Came.WHOLE),
        (HEAD.replace(b"Content-Length: 20", b"content-LENGTH:\t20"), Came.PART),
        (HEAD.replace(b"20", b"%d" % LARGE), Came.BULKY),
        (HEAD.replace(b"20", b"9" * 30), Came.WHOLE),
        (HEAD.replace(b"Content-Length: 20", b"Transfer-Encoding: chunked"), Came.BULKY),
        (HEAD.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"), Came.BULKY),
        (b"G" * LARGE, Came.BULKY),
    ],
)
def test_what_has_come_is_seen_without_taking_it(sent: bytes, came: Came) -> None:
    here, there = socket.socketpair()
    with here, there:
        there.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * LARGE)
        here.sendall(sent)
        for _ in range(2):
            assert looked_at(there)[0] is came


def test_a_client_that_has_hung_up_is_nobody_to_wait_for() -> None:
    here, there = socket.socketpair()
    with there:
        here.close()
        assert looked_at(there) == (Came.WHOLE, 0)


@pytest.fixture(scope="module")
def server(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("slow")
    (folder / "blangko.sqlite3").write_bytes(sqlite_template.read_bytes())
    with Server(f"sqlite:///{folder / 'blangko.sqlite3'}", folder, workers=1) as server:
        yield server


@contextmanager
def dripping(port: int, message: bytes, clients: int) -> Iterator[list[socket.socket]]:
    """Clients that send the first half of a message, and then a byte ten times a second."""
    ended = threading.Event()
    sockets = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(clients)]

    def drip() -> None:
        half = len(message) // 2
        for part in (message[:half], *(message[at : at + 1] for at in range(half, len(message)))):
            for each in sockets:
                with suppress(OSError):
                    each.sendall(part)
            if ended.wait(0.1):
                return

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield sockets
    finally:
        ended.set()
        thread.join()
        for each in sockets:
            each.close()


def answered(connection: socket.socket) -> bytes:
    came = b""
    while not came.endswith(b"ok\n"):
        came += connection.recv(4096)
    return came


def alive(port: int) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=4)) as connection:
        connection.request("GET", "/healthz")
        return connection.getresponse().status


SLOW = {
    "nothing": b"",
    "head": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 4000,
    "body": HEAD.replace(b"20", b"4000") + b"x" * 900,
    "file": HEAD.replace(b"20", b"9000000") + b"x" * 900,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", SLOW)
def test_slow_clients_hold_up_nobody(server: Server, kind: str) -> None:
    """One worker, with fewer threads than there are slow clients."""
    with dripping(server.port, SLOW[kind], 60):
        time.sleep(1)
        with Browser(server.port) as browser:
            for _ in range(10):
                assert alive(server.port) == 200
            browser.log_in()
            assert browser.get("/offices/51.71")[0] == 200


@pytest.mark.slow
def test_who_is_slow_but_comes_to_an_end_is_served(server: Server) -> None:
    message = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with dripping(server.port, message, 3) as sockets:
        for each in sockets:
            assert answered(each).startswith(b"HTTP/1.1 200")
            each.sendall(message)  # on the same connection, at once
            assert answered(each).startswith(b"HTTP/1.1 200")


@pytest.mark.slow
def test_a_large_file_comes_through_whole(server: Server) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as connection:
        connection.request("POST", "/login", b"x" * 3_000_000, {"Content-Type": "application/octet-stream"})
        assert connection.getresponse().status == 400


@pytest.mark.slow
def test_who_never_comes_to_an_end_is_hung_up_on(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=3 * WHOLE_SECONDS) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\n")
        with suppress(ConnectionResetError):
            assert slow.recv(100) == b""
