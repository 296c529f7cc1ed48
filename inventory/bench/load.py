"""Clients of an HTTP server, as cheap as can be: they share the machine with what is measured."""

from __future__ import annotations

import re
import selectors
import socket
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


@dataclass
class _Client:
    """One that asks, waits for the answer, and asks again; over a new connection when the server closed the last."""

    address: tuple[str, int]
    connection: socket.socket | None = None
    heard: bytes = b""
    asked: bytes = b""
    is_kept: bool = False
    """The connection has brought an answer before: the server may have closed it meanwhile."""

    def ask(self, request: bytes) -> socket.socket:
        self.heard, self.asked = b"", request
        if self.connection is not None and _is_closed(self.connection):
            self.hang_up()
        if self.connection is None:
            self.connection = socket.create_connection(self.address)
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection.sendall(request)
        return self.connection

    def ask_anew(self) -> socket.socket | None:
        """The same over a new connection, where a kept one was closed without a word; None where none was kept. It is
        what every browser and proxy does: a server cannot close what is idle without a request ever crossing it."""
        if not self.is_kept or self.heard:
            return None
        self.hang_up()
        return self.ask(self.asked)

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
        self.is_kept = self.is_kept or done
        return done

    def hang_up(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None
            self.is_kept = False


def _is_closed(connection: socket.socket) -> bool:
    """Whether the server has closed a connection on which nothing is awaited."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


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
    answers, begun = 0, time.perf_counter()
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


# --- at a pace, and counted --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """A request, and what it is counted as."""

    name: str
    request: bytes


@dataclass
class Heard:
    """What came of many requests."""

    asked: int = 0
    seconds: float = 0.0
    """That it took, so far."""
    times: dict[str, array[float]] = field(default_factory=dict[str, "array[float]"])
    """Seconds of each that was answered well, by what it is counted as."""
    anew: int = 0
    """How many had to be asked over a new connection, as the server had closed the kept one just then."""
    faults: Counter[str] = field(default_factory=Counter[str])
    """What went wrong with the others, and how often."""

    @property
    def answers(self) -> int:
        return sum(map(len, self.times.values()))

    @property
    def all_times(self) -> list[float]:
        """Seconds of each that was answered well, ascending."""
        return sorted(each for some in self.times.values() for each in some)

    def count(self, name: str) -> int:
        """How many of that name were answered well."""
        return len(self.times.get(name, ()))

    @property
    def failed(self) -> int:
        return self.faults.total()

    def add(self, more: Heard) -> None:
        """Put what came of more requests to it."""
        self.asked += more.asked
        self.seconds += more.seconds
        self.anew += more.anew
        for name, times in more.times.items():
            self.times.setdefault(name, array("d")).extend(times)
        self.faults += more.faults


def run(
    port: int,
    request: Callable[[], Asked],
    *,
    clients: int,
    good: frozenset[int],
    until: Callable[[Heard], bool],
    a_second: float | None = None,
) -> Heard:
    """What comes of requests by so many clients, at most so many `a_second`, until the answers so far are enough. An
    answer with another status than the good ones is a fault, as is a connection that breaks; the client goes on."""
    heard, begun = Heard(), time.perf_counter()
    waiting = deque(_Client(("127.0.0.1", port)) for _ in range(clients))
    asking: dict[int, tuple[_Client, str, float]] = {}
    with selectors.DefaultSelector() as selector:
        while asking or not until(heard):
            heard.seconds = time.perf_counter() - begun
            while waiting and not until(heard) and _due(heard, a_second):
                client, asked, since = waiting.popleft(), request(), time.perf_counter()
                heard.asked += 1
                connection = client.ask(asked.request)
                selector.register(connection, selectors.EVENT_READ)
                asking[connection.fileno()] = client, asked.name, since
            for key, _ in selector.select(_until_due(heard, a_second, bool(waiting))):
                client, name, since = asking[key.fd]
                fault = _fault(client, good)
                if fault == "":
                    continue
                selector.unregister(key.fileobj)
                del asking[key.fd]
                again = client.ask_anew() if fault else None
                if again is not None:
                    heard.anew += 1
                    selector.register(again, selectors.EVENT_READ)
                    asking[again.fileno()] = client, name, since
                    continue
                _count(heard, name, fault, since)
                if fault or b"\r\nconnection: close" in client.heard.lower():
                    client.hang_up()
                waiting.append(client)
    for client in waiting:
        client.hang_up()
    return heard


def _due(heard: Heard, a_second: float | None) -> bool:
    return a_second is None or heard.asked < heard.seconds * a_second


def _until_due(heard: Heard, a_second: float | None, free: bool) -> float | None:
    """Seconds until the next request is to be made, where somebody is free to make it."""
    if not free or a_second is None:
        return None
    return max(0.0, heard.asked / a_second - heard.seconds) + 0.0005


def _fault(client: _Client, good: frozenset[int]) -> str | None:
    """What is wrong with the answer; "" while it has not wholly come."""
    try:
        if not client.listen():
            return ""
    except (OSError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"
    status = client.heard[9:12].decode(errors="replace")
    return (
        None if status.isdigit() and int(status) in good else f"{status} {client.heard[-200:].decode(errors='replace')}"
    )


def _count(heard: Heard, name: str, fault: str | None, since: float) -> None:
    if fault:
        heard.faults[f"{name}: {fault}"] += 1
    else:
        heard.times.setdefault(name, array("d")).append(time.perf_counter() - since)
