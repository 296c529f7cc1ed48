"""The pages in a real browser: whole, within the policy, and no wider than a phone."""

from __future__ import annotations

import os
import shutil
import threading
import warnings
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from werkzeug.serving import make_server

from inventory.domain.access import SYSTEM
from inventory.domain.reports import Month
from inventory.services import consumption, deliveries, documents, records, reports, reviews
from inventory.services.consumption import Printed
from tests.conftest import NOW, TODAY
from tests.world import BADUNG, BLANK, DENPASAR, PASSWORD, PEOPLE, World

pytestmark = pytest.mark.browser

HOME, OTHER_HOME = f"/offices/{DENPASAR}", f"/offices/{BADUNG}"
NARROW, WIDE = {"width": 360, "height": 740}, {"width": 1280, "height": 900}

STOCK_PAGES = (
    "/offices",
    HOME,
    f"{HOME}/balances",
    f"{HOME}/deliveries",
    f"{HOME}/transfers",
    "/transfers/1",
    f"{HOME}/stock-card/{BLANK}",
    "/alerts",
    "/alerts/1",
    f"{HOME}/reports",
    f"{HOME}/reports?month=2024-04",
    f"{HOME}/documents",
    "{link}",  # of a document, for anybody
)
FORMS = ("consumption", "spoilage", "returns", "opening", "deliveries/new", "transfers/new")
PAGES = {
    "storekeeper": (
        *STOCK_PAGES,
        *(f"{HOME}/{form}" for form in FORMS),
        "/movements/{movement}/reverse",
        "/transfers/1/cancel",
    ),
    "other_storekeeper": (OTHER_HOME, f"{OTHER_HOME}/transfers", "/transfers/1", "/transfers/1/receive"),
    "manager": (*STOCK_PAGES, "/jobs", "/movements/{movement}/reverse"),
    "regional": (*STOCK_PAGES, "/offices/51/balances"),
    "administrator": ("/offices", "/offices?q=denpasar", HOME, f"{HOME}/settings", "/people", "/people/new", "/jobs"),
}
EVERYBODYS = ("/", "/change")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium: install the package chromium")
        warnings.warn("NO CHROMIUM: the pages are not tried in a browser", pytest.PytestWarning, stacklevel=1)
        pytest.skip("no Chromium: install the package chromium")
    from playwright.sync_api import sync_playwright

    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=quiet)
        yield browser
        browser.close()


@pytest.fixture
def site(sqlite_template: Path, tmp_path: Path, make_app: Callable[..., Flask]) -> Iterator[tuple[str, Any]]:
    """The app on a free loopback port with a little stock in it: its address, and what fills in its pages' own."""
    file = tmp_path / "blangko.sqlite3"
    shutil.copy(sqlite_template, file)
    app = make_app(f"sqlite:///{file}", CLOCK=lambda: NOW)
    with app.app_context():
        found = _fill(World(app))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", found
    server.shutdown()
    thread.join()
    server.server_close()


def _fill(world: World) -> dict[str, Any]:
    world.deliver(NOW, TODAY, 1030, bast="470/1/2024")
    world.send(NOW, TODAY, 30)
    movement = world.print(NOW, TODAY, {"new": Printed(40, served_waiting=15), "lost": Printed(3)}).movements[0]
    world.spoil(NOW, TODAY, 2)
    reviews.review(SYSTEM, lambda: NOW, "test", on=TODAY)
    april = date(2024, 4, 20)
    deliveries.record_opening(world.storekeeper, NOW, uuid4(), DENPASAR, "kia", april, 1_000, "")
    reports.issue(SYSTEM, NOW, DENPASAR, Month(2024, 4), "")
    consumption.post_spoiled(world.storekeeper, NOW, uuid4(), DENPASAR, "kia", april, {"misprint": 7})
    document = records.issue_transfer(SYSTEM, NOW, 1, "")
    return {"movement": movement.id, "link": documents.get(SYSTEM, document.id)[1].link}


class Reader:
    """A page of the browser that remembers whatever went wrong on it."""

    def __init__(self, browser: Any, address: str, size: dict[str, int]) -> None:
        self.context = browser.new_context(base_url=address, viewport=size, locale="id-ID")
        self.page = self.context.new_page()
        self.wrong: list[str] = []
        self.page.on("pageerror", lambda error: self.wrong.append(f"{self.page.url}: {error}"))
        self.page.on("console", self._note)
        self.page.on("response", self._refused)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def log_in(self, name: str) -> None:
        self.page.goto("/login")
        self.page.fill("input[name=email]", PEOPLE[name][0])
        self.page.fill("input[name=password]", PASSWORD)
        self.page.press("input[name=password]", "Enter")
        self.page.wait_for_selector("footer")

    def choose(self, language: str) -> None:
        self.page.click(f"button[name=language][value={language}]")
        self.page.wait_for_selector(f"html[lang={language}]")

    def look_at(self, path: str) -> None:
        """Open a page; note when it would scroll sideways, or has a button without a name."""
        self.page.goto(path)
        wide = self.page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        if wide[0] > wide[1]:
            self.wrong.append(f"{path}: {wide[0]} wide on a screen of {wide[1]}")
        self.wrong.extend(f"{path}: {what}" for what in self.page.evaluate(UNLABELLED))

    def _note(self, message: Any) -> None:
        if message.type in ("error", "warning"):  # a refusal by the content security policy is one of these
            self.wrong.append(f"{self.page.url}: {message.text}")

    def _refused(self, response: Any) -> None:
        if response.status >= 400:
            self.wrong.append(f"{response.url}: {response.status}")


UNLABELLED = """() => [...document.querySelectorAll("input:not([type=hidden]), select, textarea")]
  .filter((field) => !field.labels.length && !field.getAttribute("aria-label"))
  .map((field) => `no label on ${field.name}`)
  .concat(document.querySelectorAll("h1").length === 1 ? [] : ["not one h1"])
  .concat([...document.querySelectorAll("[aria-describedby]")]
    .flatMap((field) => field.getAttribute("aria-describedby").split(" "))
    .filter((id) => !document.getElementById(id)).map((id) => `nothing has the id ${id}`))"""


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["360", "1280"])
@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_whole(chromium: Any, site: tuple[str, Any], name: str, size: dict[str, int]) -> None:
    address, found = site
    with Reader(chromium, address, size) as reader:
        reader.look_at("/login")
        reader.log_in(name)
        for language in ("id", "en"):
            reader.choose(language)
            for path in (*EVERYBODYS, *PAGES[name]):
                reader.look_at(path.format(**found))
        assert reader.wrong == []


def test_a_storekeepers_day(chromium: Any, site: tuple[str, Any]) -> None:
    address, _ = site
    with Reader(chromium, address, NARROW) as reader:
        page = reader.page
        reader.log_in("storekeeper")
        reader.choose("id")

        page.click(f"a[href='{HOME}/deliveries/new']")
        page.fill("input[name=bast_number]", "470/2/2024")
        page.fill("input[name=received]", "2.000")
        page.fill("input[name=defective]", "12")
        page.click("main form button")
        assert "2.943" in page.inner_text("[role=status]")

        page.click(f"nav a[href='{HOME}/consumption']")
        assert page.input_value("input[name=day]") == TODAY.isoformat()
        page.fill("input[name=new]", "1.000")
        page.fill("input[name=lost]", "3")
        assert page.inner_text(".total output >> nth=0") == "1.003"
        assert page.inner_text(".total output >> nth=1") == "1.940"
        assert page.is_hidden("input[name=consumed]")
        page.click("main form button")
        assert "1.940" in page.inner_text("[role=status]")

        page.click(f"a[href='{HOME}/stock-card/{BLANK}'] >> nth=0")
        page.click("tbody tr:last-child a")
        page.fill("input[name=note]", "salah ketik")
        page.click("main form button")
        assert "1.943" in page.inner_text("[role=status]")
        assert "line-through" in page.eval_on_selector("tr.undone .struck", "e => getComputedStyle(e).textDecoration")
        assert "salah ketik" in page.inner_text("tbody tr:last-child")
        assert reader.wrong == []


def test_the_forms_work_without_script(chromium: Any, site: tuple[str, Any]) -> None:
    address, _ = site
    context = chromium.new_context(base_url=address, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"/login?next={HOME}/consumption")
    page.fill("input[name=email]", PEOPLE["storekeeper"][0])
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")
    page.fill("input[name=new]", "5")
    page.click("main form button")
    assert "950" in page.inner_text("[role=status]")
    context.close()


def test_the_keyboard_reaches_the_content_first(chromium: Any, site: tuple[str, Any]) -> None:
    with Reader(chromium, site[0], WIDE) as reader:
        reader.log_in("storekeeper")
        reader.look_at(HOME)
        reader.page.keyboard.press("Tab")
        assert reader.page.evaluate("document.activeElement.className") == "skip"
        reader.page.keyboard.press("Enter")
        assert reader.page.evaluate("document.activeElement.id") == "main"
        assert reader.wrong == []
