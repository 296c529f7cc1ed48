"""Clients of an HTTP server, as cheap as can be: they share the machine with what is measured."""

from __future__ import annotations

import re
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


@dataclass
class _Client:
    """One that asks, waits for the answer, and asks again; over a new connection when the server closed the last."""

    address: tuple[str, int]
    connection: socket.socket | None = None
    heard: bytes = b""

    def ask(self, request: bytes) -> socket.socket:
        if self.connection is None:
            self.connection = socket.create_connection(self.address)
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.heard = b""
        self.connection.sendall(request)
        return self.connection

    def listen(self) -> bool:
        """Take what has come; whether that is all of the answer."""
        assert self.connection is not None
        part = self.connection.recv(65536)
        self.heard += part
        head, _, body = self.heard.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        done = bool(length) and len(body) >= int(length[1])  # type: ignore[index]
        if not part and not done:
            raise RuntimeError(f"the server hung up: {self.heard[:200]!r}")
        return done

    def hang_up(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def rate(port: int, request: Callable[[], bytes], *, clients: int, seconds: float, status: int) -> float:
    """Answers a second from the server on this port of the machine, asked by so many clients for so long.

    Raises RuntimeError for an answer with another status: nothing is measured on a server that refuses.
    """
    every = [_Client(("127.0.0.1", port)) for _ in range(clients)]
    try:
        return _rate(every, request, seconds, f"HTTP/1.1 {status} ".encode())
    finally:
        for client in every:
            client.hang_up()


def _rate(every: list[_Client], request: Callable[[], bytes], seconds: float, good: bytes) -> float:
    answers = 0
    begun = time.perf_counter()
    with selectors.DefaultSelector() as selector:
        for client in every:
            selector.register(client.ask(request()), selectors.EVENT_READ, client)
        asking = len(every)
        while asking:
            for key, _ in selector.select():
                client: _Client = key.data
                if not client.listen():
                    continue
                if not client.heard.startswith(good):
                    raise RuntimeError(f"not answered with {good.decode()}: {client.heard[:500]!r}")
                answers += 1
                selector.unregister(key.fileobj)
                if b"\r\nconnection: close" in client.heard.lower():
                    client.hang_up()
                if time.perf_counter() - begun < seconds:
                    selector.register(client.ask(request()), selectors.EVENT_READ, client)
                else:
                    client.hang_up()
                    asking -= 1
    return answers / (time.perf_counter() - begun)
