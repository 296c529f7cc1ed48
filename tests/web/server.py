"""A real server in a process of its own, and a client that talks to it as a browser would."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from email.message import Message
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode
from uuid import UUID, uuid4

from tests.world import BLANK, DENPASAR, PASSWORD, PEOPLE

ROOT = Path(__file__).resolve().parents[2]
SECRET_KEY = "a key for tests only, long enough to pass"


class Server:
    """`flask serve` on a database of the tests; every process of it can be killed at once."""

    def __init__(self, url: str, instance: Path, workers: int = 2, **settings: str) -> None:
        self.url, self.instance, self.workers, self.settings = url, instance, workers, settings
        self.port = _free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = os.environ | {
            "DATABASE_URL": self.url,
            "BLANGKO_ENV": "embedded",
            "BLANGKO_SECRET_KEY": SECRET_KEY,
            "BLANGKO_INSTANCE_PATH": str(self.instance),
            "BLANGKO_JOBS_IN_SERVER": "0",
            "BLANGKO_SECOND_FACTOR": "offered",
            **self.settings,
        }
        command = [sys.executable, "-m", "flask", "serve", "--port", str(self.port), "--workers", str(self.workers)]
        with (self.instance / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        self._wait_until_ready()

    def kill(self) -> None:
        """SIGKILL, master and workers: nothing gets to finish anything."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
                    connection.request("GET", "/readyz")
                    if connection.getresponse().status == 200:
                        return
            except OSError:
                pass
            time.sleep(0.1)
        raise AssertionError((self.instance / "server.log").read_text())


# Every device here is new: sixteen tries at one account at the same moment would be more than are let through.
ONE_LOG_IN_AT_A_TIME = threading.Lock()


class Browser:
    """Cookies, one connection, and the hidden token of the pages."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.cookies: dict[str, str] = {}
        self.token = ""
        self.headers: Message = Message()
        """Those of the last answer."""

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def log_in(self, name: str = "storekeeper") -> None:
        with ONE_LOG_IN_AT_A_TIME:
            self.get("/login")
            status, page = self.post("/login", {"email": PEOPLE[name][0], "password": PASSWORD})
        assert status == 302, f"log-in refused with {status}: {page}"
        self.get(f"/offices/{DENPASAR}/consumption")
        self.connection.close()  # the server does not keep it while others take their turn; the next request opens it

    def print_cards(self, day: str, quantity: int, request_id: UUID | None = None) -> int:
        """Post a day's new cards; the status: 303 when recorded, 409 when refused."""
        values = {"item": BLANK, "day": day, "new": str(quantity), "request_id": str(request_id or uuid4())}
        return self.post(f"/offices/{DENPASAR}/consumption", values)[0]

    def get(self, path: str) -> tuple[int, str]:
        return self._send("GET", path, None)

    def post(self, path: str, values: Mapping[str, str]) -> tuple[int, str]:
        return self._send("POST", path, urlencode({**values, "csrf_token": self.token}))

    def _send(self, method: str, path: str, body: str | None) -> tuple[int, str]:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self.connection.request(method, path, body, headers)
        response = self.connection.getresponse()
        text = response.read().decode()
        self.headers = response.headers
        for header in response.headers.get_all("Set-Cookie") or ():
            self.cookies.update({name: morsel.value for name, morsel in SimpleCookie(header).items()})
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', text)
        if token:
            self.token = token.group(1)
        return response.status, text


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
