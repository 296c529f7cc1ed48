"""What a day's tasks take on a phone, in touches and keys: as the README says."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask

from inventory.services import deliveries, transfers
from inventory.services.transfers import Dispatch
from tests.conftest import NOW, TODAY, Filling
from tests.web.serving import serving
from tests.web.test_browser import NARROW, Reader
from tests.web.test_today_browser import FIRST
from tests.web.test_today_browser import fill as fill_today
from tests.world import BADUNG, BLANK, DENPASAR, World

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
]

README = Path(__file__).resolve().parents[2] / "README.md"
MOST_FOR_A_DAY = 8


def fill(world: World) -> None:
    """Today's stock, with its alert, and a transfer from Badung that waits."""
    fill_today(world)
    sender = world.actor("other_storekeeper")
    deliveries.record_opening(sender, NOW, uuid4(), BADUNG, BLANK, TODAY, 100, "")
    out = Dispatch(
        receiver_code=DENPASAR,
        purpose="distribution",
        dispatched_on=TODAY,
        expected_on=TODAY,
        sent={BLANK: 30},
        custodian="I Made Kurir",
        bast_number="470/7/2024",
    )
    transfers.dispatch(sender, NOW, uuid4(), BADUNG, out)


@pytest.fixture
def address(sqlite_filled: Callable[[Filling], Path], tmp_path: Path, make_app: Callable[..., Flask]) -> Iterator[str]:
    file = tmp_path / "blangko.sqlite3"
    shutil.copy(sqlite_filled(fill), file)
    app = make_app(f"sqlite:///{file}", CLOCK=lambda: NOW, SEND_FILE_MAX_AGE_DEFAULT=3600)
    with serving(app) as address:
        yield address


class Hand:
    """Does what a hand does with a phone, and counts. It sees only what is shown."""

    def __init__(self, page: Any) -> None:
        self.page, self.count = page, 0

    def touch(self, selector: str, times: int = 1) -> None:
        for _ in range(times):
            self.page.locator(selector).locator("visible=true").first.click()
            self.count += 1

    def type(self, words: str) -> None:
        """Into whatever has the focus."""
        self.page.keyboard.type(words, delay=60)  # as people type, not as a scanner does
        self.count += len(words)

    def into(self, name: str, words: str) -> None:
        self.touch(f"[name='{name}']")
        self.type(words)

    def enter(self) -> None:
        self.page.keyboard.press("Enter")
        self.count += 1

    def said(self, words: str) -> None:
        """The task is done only when the page says so."""
        self.page.wait_for_selector(f"main:has-text({words!r})")


def tile(page: str) -> str:
    return f".tiles a[href*='{page}']"


def step(name: str, by: int) -> str:
    return f"[data-counter]:has([name={name}]) [data-step='{by}']"


def consumption(hand: Hand) -> None:
    hand.touch(step("new", 10))
    hand.touch(step("new", 1), times=2)
    hand.into("lost", "3")
    hand.touch(step("misprint", 1))
    hand.touch("[data-record]")
    hand.said("Recorded: 16")


def spoilage(hand: Hand) -> None:
    hand.touch(step("misprint", 1), times=2)
    hand.touch("[data-record]")
    hand.said("Recorded: 2")


def undo(hand: Hand) -> None:
    hand.touch(".just button")
    hand.said("Undone")


def delivery(hand: Hand) -> None:
    hand.touch(tile("/deliveries/new"))
    hand.into("bast_number", "470/9")
    hand.into("received", "2000")
    hand.enter()
    hand.said("2,000")


def transfer_out(hand: Hand) -> None:
    hand.touch(tile("/transfers/new"))
    hand.into("receiver", "51.71.01")  # a phone shows its keyboard only after a touch, wherever the focus is
    hand.into(f"sent-{BLANK}", "250")
    hand.into("custodian", "Made")
    hand.into("bast_number", "470/10")
    hand.enter()
    hand.said("The blanks are on their way.")


def receive(hand: Hand) -> None:
    hand.touch(tile("/receive"))
    hand.into(f"good-{BLANK}", "30")
    hand.enter()
    hand.said("The transfer is received.")


def count(hand: Hand) -> None:
    hand.touch(tile("/stocktakes/new"))
    hand.touch("main form > button")
    hand.page.wait_for_url("**/count")
    hand.touch("main form input[inputmode=numeric]")
    hand.type("3405")
    hand.enter()
    hand.page.wait_for_selector("[role=status]")


def close(hand: Hand) -> None:
    hand.touch(tile("/closings/new"))
    hand.into(f"left-{BLANK}", "3405")
    hand.into(f"printed-{BLANK}", "15")
    hand.into("left-kia", "100")
    hand.into("printed-kia", "0")
    hand.enter()
    hand.said("The day is closed")


def ask(hand: Hand) -> None:
    hand.touch(tile("/requests/new"))
    hand.touch(f"[name='asked-{BLANK}']")
    hand.page.keyboard.press("Control+A")
    hand.count += 1
    hand.type("5000")
    hand.enter()
    hand.said("The request is recorded.")


def stock_card(hand: Hand) -> None:
    hand.touch(tile("/stock-card/"))
    hand.page.wait_for_url(f"**/stock-card/{BLANK}")


def number(hand: Hand) -> None:
    hand.touch(tile("/numbers"))
    hand.into("number", FIRST)
    hand.enter()
    hand.said("Its way")


def acknowledge(hand: Hand) -> None:
    hand.touch("nav.main a[href='/alerts']")
    hand.touch("main table a[href^='/alerts/']")
    hand.touch("form[action$='/seen'] button")
    hand.said("Seen by")


TASKS: dict[str, tuple[str, Callable[[Hand], None]]] = {
    "record a day's consumption: 12 new, 3 lost, 1 misprint": ("storekeeper", consumption),
    "record spoilage: 2 misprints": ("storekeeper", spoilage),
    "undo the last entry": ("storekeeper", undo),
    "record a delivery of 2,000 with its BAST number": ("storekeeper", delivery),
    "send 250 to a district, with carrier and BAST number": ("storekeeper", transfer_out),
    "receive a transfer of 30": ("storekeeper", receive),
    "close the day with two items": ("storekeeper", close),
    "count the stock of one item": ("storekeeper", count),
    "ask for a delivery of 5,000": ("storekeeper", ask),
    "look up the stock card": ("storekeeper", stock_card),
    "find where a number is": ("storekeeper", number),
    "say as a manager that an alert is seen": ("manager", acknowledge),
}


def promised() -> dict[str, int]:
    """The table of the README."""
    part = README.read_text(encoding="utf-8").split("## Daily tasks, counted")[1].split("\n## ")[0]
    return {task: int(number) for task, number in re.findall(r"^\| (.+?) \| ([0-9]+) \|$", part, re.MULTILINE)}


def test_tasks_take_as_much_as_the_readme_says(chromium: Any, address: str) -> None:
    counted: dict[str, int] = {}
    for person in ("storekeeper", "manager"):
        with Reader(chromium, address, NARROW) as reader:
            reader.log_in(person)
            reader.choose("en")
            for task, (whose, do) in TASKS.items():
                if whose == person:
                    reader.page.goto("/")
                    hand = Hand(reader.page)
                    do(hand)
                    counted[task] = hand.count
            assert reader.wrong == []
    assert counted == promised()
    assert counted["record a day's consumption: 12 new, 3 lost, 1 misprint"] <= MOST_FOR_A_DAY
