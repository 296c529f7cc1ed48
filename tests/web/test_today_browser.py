"""A storekeeper's day on a phone: thumbs, keys, a network that goes away, a camera and a scanner that types."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
import zxingcpp
from flask import Flask
from sqlalchemy import create_engine, text

from inventory.domain.access import SYSTEM
from inventory.domain.ranges import parse_ranges
from inventory.services import deliveries, documents, items, records, reviews, stated_rates
from tests.conftest import NOW, TODAY, Filling
from tests.web.serving import serving
from tests.web.test_browser import NARROW, Reader
from tests.world import BLANK, DENPASAR, PASSWORD, PEOPLE, World

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")]

HOME = f"/offices/{DENPASAR}"
TODAYS = f"{HOME}/today"
FIRST, LAST = "A100301", "A100305"
FOUND: dict[str, Any] = {}


def fill(world: World) -> None:
    """Denpasar's stock of 12 September 2023, its least prints a day (Pos Bali, in reported.csv), and numbered cards."""
    before = NOW - timedelta(days=1)
    yesterday = TODAY - timedelta(days=1)
    delivery = world.deliver(before, yesterday, 1639).movements[0].delivery_id
    assert delivery is not None
    stated_rates.state(SYSTEM, before, DENPASAR, BLANK, 225, "Pos Bali, 12/09/2023")
    items.keep_numbers("kia")
    kept = parse_ranges("A100301-A100400")
    deliveries.record_opening(world.storekeeper, before, uuid4(), DENPASAR, "kia", yesterday, 0, "", ranges=kept)
    reviews.review(SYSTEM, lambda: NOW, "test", on=yesterday)
    document = records.issue_delivery(SYSTEM, NOW, delivery, "https://blangko.test")
    FOUND.update(link=documents.get(SYSTEM, document.id)[1].link, number=document.number)


@pytest.fixture
def site(
    sqlite_filled: Callable[[Filling], Path], tmp_path: Path, make_app: Callable[..., Flask]
) -> Iterator[tuple[str, Path]]:
    """The app on a free loopback port, and the file with its books."""
    file = tmp_path / "blangko.sqlite3"
    shutil.copy(sqlite_filled(fill), file)
    app = make_app(f"sqlite:///{file}", CLOCK=lambda: NOW, SEND_FILE_MAX_AGE_DEFAULT=3600)
    with serving(app) as address:
        yield address, file


def recorded(file: Path) -> list[tuple[str, int]]:
    """Reasons and quantities of what the pages recorded, as they stand in the books."""
    engine = create_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        query = "SELECT reason, quantity FROM movements WHERE kind IN ('print', 'spoil') ORDER BY id"
        found = [(row[0], row[1]) for row in connection.execute(text(query))]
    engine.dispose()
    return found


def test_a_day_by_thumb_and_keys_and_without_a_network(chromium: Any, site: tuple[str, Path]) -> None:
    address, file = site
    with Reader(chromium, address, NARROW) as reader:
        page = reader.page
        reader.log_in("storekeeper")
        reader.choose("en")
        page.wait_for_url(f"**{TODAYS}")
        assert page.inner_text("nav.main [aria-current]") == "Today"

        # By thumb: the sum, what is left, and its level as colour, word and shape.
        tap(page, "new", 10, 10, 1)
        tap(page, "misprint", 1, 1, -1)
        assert page.inner_text("[data-left] output") == "1,617"
        assert page.inner_text("[data-record]") == "Record · 22"
        level = page.inner_text("[data-levels]").strip()
        page.fill("[name=lost]", "1.617")
        assert page.inner_text("[data-left] output") == "?", "a number that the server would refuse makes no sum"
        page.fill("[name=lost]", "1617")
        assert page.inner_text("[data-levels]").strip() == "Out of stock"
        page.fill("[name=lost]", "1618")
        assert page.inner_text("[data-levels]").strip() == "More than there is"

        # Refused: the same page, with all that was typed, and what is wrong.
        page.click("[data-record]")
        page.wait_for_selector("[data-entering] .flash.bad:visible")
        assert [page.input_value(f"[name={name}]") for name in ("new", "misprint", "lost")] == ["21", "1", "1618"]
        assert recorded(file) == []
        reader.wrong = [line for line in reader.wrong if "409" not in line]

        # By keys: up, down, plus and minus count; Enter records.
        page.fill("[name=lost]", "")
        page.focus("[name=damaged]")
        for key in ("ArrowUp", "PageUp", "+", "-", "ArrowDown"):
            page.keyboard.press(key)
        assert page.input_value("[name=damaged]") == "10"
        page.keyboard.press("Enter")
        page.wait_for_selector(".just")
        assert recorded(file) == [("new", 21), ("damaged", 10), ("misprint", 1)]
        assert page.inner_text("[data-levels]").strip() == level, "the stock is no better for it"
        assert "today: 21" in page.inner_text("[data-counter]:has([name=new])")

        page.click(".just button")
        page.wait_for_selector("p.flash.good:has-text('Undone')")
        assert recorded(file)[3:] == [("new", -21), ("damaged", -10), ("misprint", -1)]
        assert page.is_hidden(".just")

        # An answer that is lost on its way: the phone keeps the entry, sends it again, and it is in the books once.
        page.evaluate("navigator.serviceWorker.ready.then(() => {})")
        page.route(f"**{TODAYS}", lambda route: (route.fetch(), route.abort()))
        tap(page, "new", 1)
        tap(page, "misprint", 1)
        page.click("[data-record]")
        page.wait_for_selector("[data-kept]:not(:empty)")
        page.unroute(f"**{TODAYS}")
        wait_until_sent(page)
        assert recorded(file)[6:] == [("new", 1), ("misprint", 1)]

        # No network at all.
        page.context.set_offline(True)
        tap(page, "moved_in", 1, 1)
        tap(page, "defective", 1)
        page.click("[data-record]")
        page.wait_for_selector("[data-outbox] [data-count=waiting]:visible")
        assert "Kept on this phone" in page.inner_text("[data-kept]")
        assert page.inner_text("[data-left] output") == "1,634"
        assert page.input_value("[name=moved_in]") == ""
        page.context.set_offline(False)
        wait_until_sent(page)
        assert recorded(file)[8:] == [("moved_in", 2), ("defective", 1)]

        page.goto(TODAYS)
        assert page.inner_text("[data-left] b") == "1,634"
        assert [line for line in reader.wrong if "ERR_" not in line] == []


def tap(page: Any, name: str, *steps: int) -> None:
    for step in steps:
        page.click(f"[data-counter]:has([name={name}]) [data-step='{step}']")


SENT = "() => outbox.look().then(({entries}) => entries.every(({state}) => state === 'recorded'))"


def wait_until_sent(page: Any) -> None:
    deadline = time.monotonic() + 20
    while not page.evaluate(SENT):
        assert time.monotonic() < deadline, page.evaluate("() => outbox.look()")
        page.wait_for_timeout(50)


def test_without_scripts_numbers_are_typed_and_one_button_records(chromium: Any, site: tuple[str, Path]) -> None:
    address, file = site
    context = chromium.new_context(base_url=address, java_script_enabled=False, viewport=NARROW)
    page = context.new_page()
    page.goto(f"/login?next={TODAYS}")
    page.fill("input[name=email]", PEOPLE["storekeeper"][0])
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")
    assert page.locator("[data-step]:visible").count() == 0
    page.fill("[name=new]", "5")
    page.fill("[name=misprint]", "1")
    page.click("[data-record]")
    assert recorded(file) == [("new", 5), ("misprint", 1)]
    page.click(".just button")
    assert recorded(file)[2:] == [("new", -5), ("misprint", -1)]
    context.close()


# --- scanning ----------------------------------------------------------------------------------------------------


def picture(words: str) -> np.ndarray:
    """A bar code as a camera would see it: grey values, 640 × 480."""
    code = zxingcpp.create_barcode(words, zxingcpp.BarcodeFormat.Code128)
    bars = np.asarray(zxingcpp.write_barcode_to_image(code, scale=3))
    seen = np.full((480, 640), 230, dtype=np.uint8)
    bars = np.repeat(bars[:1], 160, axis=0)
    top, left = 160, (640 - bars.shape[1]) // 2
    seen[top : top + 160, left : left + bars.shape[1]] = np.where(bars < 128, 25, 230)
    return seen


def film(file: Path, *pictures: tuple[np.ndarray, int]) -> None:
    """Pictures as a video without colour, each for so many tenths of a second."""
    grey = np.full(2 * 320 * 240, 128, dtype=np.uint8).tobytes()
    with file.open("wb") as out:
        out.write(b"YUV4MPEG2 W640 H480 F10:1 Ip A1:1 C420jpeg\n")
        for seen, tenths in pictures:
            for _ in range(tenths):
                out.write(b"FRAME\n" + seen.tobytes() + grey)


@pytest.mark.slow
def test_two_bar_codes_before_the_camera_are_a_range(chromium: Any, site: tuple[str, Path], tmp_path: Path) -> None:
    address, file = site
    video = tmp_path / "camera.y4m"
    film(video, (picture(FIRST), 20), (picture(LAST), 60))
    camera = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    camera += [f"--use-file-for-fake-video-capture={video}", "--no-sandbox", "--disable-gpu"]
    browser = chromium.browser_type.launch(executable_path=shutil.which("chromium"), args=camera)
    try:
        with Reader(browser, address, NARROW) as reader:
            page = reader.page
            asked: list[str] = []
            page.on("request", lambda request: asked.append(request.url))
            reader.log_in("storekeeper")
            page.goto(f"{TODAYS}?item=kia")
            assert not [url for url in asked if "zxing" in url], "the reader is fetched when somebody scans"
            page.click("[data-numbers-of=new] .scan-ways button")
            page.wait_for_selector("[data-read]:not(:empty)", timeout=20_000)
            assert page.inner_text("[data-read]") == f"{FIRST}-{LAST}"
            page.click("[data-scanner] [data-done]")
            page.wait_for_function("() => document.querySelector('[name=new_ranges]').value !== ''")
            assert page.input_value("[name=new_ranges]") == f"{FIRST}-{LAST}\n"
            assert page.inner_text("[data-record] [data-sum] b") == "5"
            assert page.evaluate("document.querySelector('[data-scanner] video').srcObject") is None
            page.click("[data-record]")
            page.wait_for_selector(".just")
            assert recorded(file) == [("new", 5)]
            assert [url for url in asked if "zxing" in url]
            assert reader.wrong == []
    finally:
        browser.close()


DETECTOR = """() => { window.BarcodeDetector = class {
  static async getSupportedFormats() { return ["qr_code"]; }
  async detect() { return [{ rawValue: window.coded }]; }
};
navigator.mediaDevices.getUserMedia = async () => document.createElement("canvas").captureStream(5);
HTMLMediaElement.prototype.play = async () => {}; }"""
REFUSED = """() => {
  navigator.mediaDevices.getUserMedia = async () => { throw new DOMException("", "NotAllowedError"); };
}"""


def test_fields_that_can_be_scanned_into(chromium: Any, site: tuple[str, Path]) -> None:
    """The browser's own reader, the code of a document, no camera, and a scanner that types."""
    address, file = site
    with Reader(chromium, address, NARROW) as reader:
        page = reader.page
        reader.log_in("storekeeper")
        reader.choose("en")
        page.goto(f"{HOME}/deliveries/new")
        page.evaluate("link => { window.coded = link; }", FOUND["link"])
        page.evaluate(DETECTOR)
        page.click("button[aria-label^='Scan: Number of the record']")
        page.wait_for_function("() => document.querySelector('[name=bast_number]').value !== ''")
        assert page.input_value("[name=bast_number]") == FOUND["number"]
        assert page.locator("[data-scanner]:not([open])").count() == 1

        page.goto("/numbers")
        page.evaluate("number => { window.coded = number; }", FIRST.lower())
        page.evaluate(DETECTOR)
        page.click(".scan-ways button")
        page.wait_for_url(f"**number={FIRST}*")
        assert "Kota Denpasar" in page.inner_text("main dl")

        page.goto(f"{HOME}/deliveries/new?item=kia")
        page.evaluate(REFUSED)
        page.click("[data-for-numbered] .scan-ways button >> nth=0")
        page.wait_for_selector("[data-said]:has-text('may not be used')")
        page.click("[data-scanner] button[value=cancel]")
        ranges = page.locator("[name=ranges]")
        ranges.click()
        page.keyboard.type("A200001")  # by hand, and then by a scanner
        page.wait_for_timeout(300)
        for code in ("A200101", "A200105"):
            page.keyboard.type(code)
            page.keyboard.press("Enter")
        assert ranges.input_value() == "A200001\nA200101\nA200105\n"
        page.click("button:has-text('Make a range: A200101-A200105')")
        assert ranges.input_value() == "A200001\nA200101-A200105\n"
        page.click("[name=bast_number]")
        page.keyboard.type("470/12/2024")
        page.keyboard.press("Enter")
        page.wait_for_timeout(200)
        assert page.url.endswith("/deliveries/new?item=kia"), "what a scanner ends a number with sends no form"
        assert page.input_value("[name=bast_number]") == "470/12/2024"
        assert recorded(file) == []
        assert reader.wrong == []
