"""The network between a browser and a server, to be lost and found at a chosen moment."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress


class Wire:
    """Carries connections on a port of its own to a server's; whoever uses it has one address, whatever happens.

    `at_request` and `at_answer` do something when the nth POST from now on has been passed on to the server, or has
    been answered by it: that answer is then not passed back.
    """

    def __init__(self, server_port: int) -> None:
        self.server_port = server_port
        self.posts = 0
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._plans: dict[tuple[str, int], Callable[[], object]] = {}
        self.port = 0
        self.mend()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    def mend(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(64)
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=[listener], daemon=True).start()

    def cut(self) -> None:
        """Nothing goes through any more, and what is on its way is lost."""
        listener, self._listener = self._listener, None
        with self._lock:
            there, self._open = self._open, set()
        for each in (listener, *there):
            if each is not None:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()

    def at_request(self, number: int, work: Callable[[], object]) -> None:
        self._plans["request", self.posts + number] = work

    def at_answer(self, number: int, work: Callable[[], object]) -> None:
        self._plans["answer", self.posts + number] = work

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self.server_port))
                except OSError:
                    near.close()
                    continue
                with self._lock:
                    self._open |= {near, far}
                current = [0]  # the number of the POST that this connection carries
                threading.Thread(target=self._there, args=[near, far, current], daemon=True).start()
                threading.Thread(target=self._back, args=[far, near, current], daemon=True).start()

    def _there(self, near: socket.socket, far: socket.socket, current: list[int]) -> None:
        with suppress(OSError):
            while data := near.recv(65_536):
                if data.startswith(b"POST /offline/entries "):
                    with self._lock:
                        self.posts += 1
                        current[0] = self.posts
                far.sendall(data)
                self._do("request", current[0])
        self._end(near, far)

    def _back(self, far: socket.socket, near: socket.socket, current: list[int]) -> None:
        with suppress(OSError):
            while data := far.recv(65_536):
                if self._do("answer", current[0]):
                    break
                near.sendall(data)
        self._end(near, far)

    def _do(self, when: str, number: int) -> bool:
        with self._lock:
            work = self._plans.pop((when, number), None)
        if work is not None:
            work()
        return work is not None

    def _end(self, *both: socket.socket) -> None:
        with self._lock:
            self._open -= set(both)
        for each in both:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
