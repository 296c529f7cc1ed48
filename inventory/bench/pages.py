"""How much the pages weigh and how long a phone waits for them: a real Chromium on the demonstration's data.

Bytes are those that travel, compressed, with headers. The slow network is WebPageTest's "Slow 3G" (400 kbit/s each way,
400 ms a round trip), the phone a processor slowed down four times; both are put on by Chromium itself. A page is usable
when its own scripts have run and a counter can be pressed.
"""

from __future__ import annotations

import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from inventory.bench import Figure
from inventory.services import demo

SLOW_3G = {"offline": False, "latency": 400, "downloadThroughput": 400_000 / 8, "uploadThroughput": 400_000 / 8}
SLOWER = 4
STOREKEEPER = demo.ACCOUNTS[0][0]
TODAY = f"/offices/{demo.ACCOUNTS[0][3]}/today"


def measure(*, quick: bool) -> list[Figure]:
    """The figures of the storekeeper's first page. Raises RuntimeError without Chromium or the demonstration."""
    from playwright.sync_api import sync_playwright

    # The worker that keeps the offline page is told of as well, and what it loads is counted.
    os.environ["PW_EXPERIMENTAL_SERVICE_WORKER_NETWORK_EVENTS"] = "1"
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        raise RuntimeError("no Chromium: install the package chromium")
    with demonstration() as address, sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=found, args=options)
        session = _log_in(browser, address)
        weights = _weights(browser, address, session)
        times = [_times(browser, address, session) for _ in range(1 if quick else 5)]
        browser.close()
    first, later = (statistics.median(each) for each in zip(*times, strict=True))
    return [
        Figure("first load, kilobytes", weights[0], must=100, aim=60, at_most=True),
        Figure("later load, kilobytes", weights[1], must=20, aim=12, at_most=True),
        Figure("first load on slow 3G with a slow phone, seconds", first, must=3, aim=2.5, at_most=True),
        Figure("later load on slow 3G with a slow phone, seconds", later, must=3, aim=1.5, at_most=True),
    ]


@contextmanager
def demonstration() -> Iterator[str]:
    """The demonstration, made in a folder that is thrown away and served by the embedded server: its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    with tempfile.TemporaryDirectory() as folder:
        settings = {"BLANGKO_ENV": "embedded", "BLANGKO_INSTANCE_PATH": folder, "BLANGKO_JOBS_IN_SERVER": "0"}
        settings["BLANGKO_SECOND_FACTOR"] = "offered"  # its passwords are published
        environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"} | settings
        flask = [sys.executable, "-m", "flask", "--app", "wsgi"]
        # The commands are this interpreter and this application.
        for command in (["demo", "--no-serve"], ["review"]):
            subprocess.run([*flask, *command], env=environment, check=True, capture_output=True)  # noqa: S603
        serving = subprocess.Popen([*flask, "serve", "--port", port], env=environment, stderr=subprocess.DEVNULL)  # noqa: S603
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(address)
            yield address
        finally:
            serving.terminate()
            serving.wait()


def _wait_for(address: str) -> None:
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"{address}/healthz"):  # noqa: S310  (our own server)
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the demonstration does not serve")


def _log_in(browser: Any, address: str) -> Any:
    """The cookies of a storekeeper who has logged in."""
    context = browser.new_context(base_url=address, service_workers="block")
    page = context.new_page()
    page.goto("/login")
    page.fill("input[name=email]", STOREKEEPER)
    page.fill("input[name=password]", demo.PASSWORD)
    page.press("input[name=password]", "Enter")
    page.wait_for_selector("footer")
    cookies = context.cookies()
    context.close()
    return cookies


def _weights(browser: Any, address: str, cookies: Any) -> tuple[float, float]:
    """Kilobytes of the first load, with what the worker keeps for later, and of the second."""
    context = browser.new_context(base_url=address, **_PHONE)
    context.add_cookies(cookies)
    loaded: list[float] = []
    context.on("requestfinished", lambda request: loaded.append(_weight(request)))
    page = context.new_page()
    weights = []
    for _ in range(2):
        loaded.clear()
        page.goto(TODAY, wait_until="networkidle")
        page.wait_for_timeout(2000)
        weights.append(sum(loaded) / 1000)
    context.close()
    return weights[0], weights[1]


def _weight(request: Any) -> float:
    sizes = request.sizes()
    return sizes["responseBodySize"] + sizes["responseHeadersSize"]


_PHONE = {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}


def _times(browser: Any, address: str, cookies: Any) -> tuple[float, float]:
    """Seconds until the first page is usable, with nothing kept and then with the styles and scripts kept."""
    context = browser.new_context(base_url=address, service_workers="block", **_PHONE)
    context.add_cookies(cookies)
    page = context.new_page()
    devtools = context.new_cdp_session(page)
    devtools.send("Network.enable")
    devtools.send("Network.emulateNetworkConditions", SLOW_3G)
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    return _seconds(page), _seconds(page)


def _seconds(page: Any) -> float:
    page.goto("about:blank")
    start = time.perf_counter()
    page.goto(TODAY, wait_until="domcontentloaded")
    # Hidden until the page's script has run.
    page.locator("main [data-step='1']:visible").first.tap(trial=True)
    page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    return time.perf_counter() - start
