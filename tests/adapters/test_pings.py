"""The dead-man ping against a real receiver: one that is up, one that refuses, redirects, is slow, or is down."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from inventory.adapters.pings import PingFailed, ping


class Receiver(BaseHTTPRequestHandler):
    """Answers by the path: /200, /500, /302; /slow not before the test ends, /drip a letter at a time until then."""

    seen: list[tuple[str, str | None]]
    ended: threading.Event

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers.get("User-Agent")))
        kind = self.path.split("/")[1]
        if kind == "slow":
            self.ended.wait()
        if kind == "drip":
            self._drip()
            return
        self.send_response(int(kind) if kind.isdigit() else 200)
        if kind == "302":
            self.send_header("Location", "/200/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _drip(self) -> None:
        self.wfile.write(b"HTTP/1.0 200 OK\r\n")
        while not self.ended.wait(0.05):
            try:
                self.wfile.write(b"X")
                self.wfile.flush()
            except OSError:
                return

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    seen: list[tuple[str, str | None]] = []
    ended = threading.Event()
    handler = type("Handler", (Receiver,), {"seen": seen, "ended": ended})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    ended.set()
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_receiver_that_is_up_gets_one_request_with_the_jobs_name(
    receiver: tuple[str, list[tuple[str, str | None]]],
) -> None:
    address, seen = receiver
    ping(f"{address}/200/{{job}}?from=a", "low-stock review")
    ping(f"{address}/204/secret", "daily seal")
    assert seen == [("/200/low-stock-review?from=a", "blangko"), ("/204/secret", "blangko")]


def test_a_jobs_name_cannot_leave_its_place_in_the_address(receiver: tuple[str, list[tuple[str, str | None]]]) -> None:
    address, seen = receiver
    ping(f"{address}/200/{{job}}", "a/../b?c#d")
    assert seen[0][0] == "/200/a%2F..%2Fb%3Fc%23d"


@pytest.mark.parametrize("path", ["/500", "/404", "/302"])
def test_what_is_not_a_yes_is_a_failure_and_no_redirect_is_followed(
    receiver: tuple[str, list[tuple[str, str | None]]], path: str
) -> None:
    address, seen = receiver
    with pytest.raises(PingFailed, match=f"answered {path[1:]}"):
        ping(address + path, "daily seal")
    assert [asked for asked, _ in seen] == [path]


@pytest.mark.parametrize("path", ["/slow", "/drip"])
def test_a_slow_receiver_is_left_behind(receiver: tuple[str, list[tuple[str, str | None]]], path: str) -> None:
    """Also one that sends a letter before each of the socket's timeouts."""
    with pytest.raises(PingFailed, match=r"[Tt]ime|timed out"):
        ping(receiver[0] + path, "daily seal", timeout=0.3)


def test_a_receiver_that_is_down_is_a_failure() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(PingFailed, match="refused"):
        ping(f"http://127.0.0.1:{port}/", "daily seal")


@pytest.mark.parametrize("address", ["file:///etc/hostname", "ftp://127.0.0.1/", "data:,200"])
def test_only_the_webs_own_schemes_are_fetched(address: str) -> None:
    with pytest.raises(PingFailed, match="only http"):
        ping(address, "daily seal")
