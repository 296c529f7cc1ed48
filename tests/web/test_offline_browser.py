"""Work without a network in a real browser: entries are kept, sent once, and never lost, dropped or somebody else's."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask, request
from sqlalchemy import text, update
from werkzeug.serving import make_server

from inventory.db import db, write
from inventory.domain.access import SYSTEM, Action
from inventory.domain.ranges import parse_ranges
from inventory.models import Item, Membership
from inventory.services import closings, deliveries, items, offices
from tests.conftest import NOW, TODAY, Filling
from tests.web.server import Server
from tests.web.test_server import check_books
from tests.web.wire import Wire
from tests.world import BADUNG, BLANK, DENPASAR, PASSWORD, PEOPLE, World

pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),  # as in test_browser
]

HOME = f"/offices/{DENPASAR}"
NARROW = {"width": 360, "height": 740}
PATIENCE = 20_000
STOCK = 100

TAKEN = "outbox.look().then(({ taken }) => taken !== null)"
ALL_ENTRIES = """() => new Promise((resolve, reject) => {
  const opened = indexedDB.open("blangko");
  opened.onerror = () => reject(opened.error);
  opened.onsuccess = () => {
    const read = (name) => new Promise((found) => {
      const request = opened.result.transaction(name).objectStore(name).getAll();
      request.onsuccess = () => found(request.result);
    });
    Promise.all([read("entries"), read("people"), read("state")]).then(([entries, people, state]) => {
      opened.result.close();
      resolve({ entries, people, state });
    });
  };
})"""
NEWER_FORMAT = """() => new Promise((resolve, reject) => {
  const opened = indexedDB.open("blangko", 2);
  opened.onsuccess = () => { opened.result.close(); resolve(); };
  opened.onerror = opened.onblocked = () => reject(new Error("blocked"));
})"""
UPDATED = """() => navigator.serviceWorker.ready.then(async (registration) => {
  const found = new Promise((resolve) => registration.addEventListener("updatefound", () => {
    const next = registration.installing;
    next.addEventListener("statechange", () => {
      if (["redundant", "activated"].includes(next.state)) resolve(next.state);
    });
  }));
  await registration.update().catch(() => {});
  return found;
})"""
CACHED = """async () => {
  const found = [];
  for (const name of await caches.keys()) {
    for (const request of await (await caches.open(name)).keys()) {
      found.push([name, new URL(request.url).pathname, await (await caches.match(request)).text()]);
    }
  }
  return found;
}"""


class Phone:
    """A browser on a phone, whose network can be lost; it remembers whatever went wrong on its pages."""

    def __init__(self, chromium: Any, wire: Wire, *, at: Any = None) -> None:
        self.wire = wire
        self.context = chromium.new_context(base_url=wire.address, viewport=NARROW, locale="id-ID")
        self.context.set_default_timeout(PATIENCE)
        if at is not None:
            self.context.clock.set_fixed_time(at)
        self.wrong: list[str] = []
        self.page = self.new_page()

    def __enter__(self) -> Phone:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def new_page(self) -> Any:
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("console", lambda said: self.wrong.append(said.text) if "Security Policy" in said.text else None)
        return page

    def log_in(self, name: str = "storekeeper", next_page: str = "/change") -> None:
        self.page.goto(f"/login?next={next_page}")
        self.fill_log_in(name)
        self.page.wait_for_selector("footer" if next_page == "/change" else "[data-own]:visible")

    def fill_log_in(self, name: str) -> None:
        self.page.fill("input[name=email]", PEOPLE[name][0])
        self.page.fill("input[name=password]", PASSWORD)
        self.page.press("input[name=password]", "Enter")

    def log_out(self) -> None:
        self.page.goto("/change")
        self.page.click("form[data-log-out] button")

    def install(self) -> None:
        """Log in once, as one does before leaving: from then on the pages need no network."""
        self.log_in()
        self.page.evaluate("navigator.serviceWorker.ready.then(() => {})")
        self.until_it_holds(TAKEN)

    def lose(self) -> None:
        self.context.set_offline(True)
        self.wire.cut()

    def find(self) -> None:
        self.wire.mend()
        self.context.set_offline(False)

    def open(self) -> None:
        self.page.goto("/offline")
        self.page.wait_for_selector("[data-standing]:not(:empty)")

    def keep(self, *, item: str = BLANK, kind: str = "print", note: str = "", **amounts: int) -> None:
        """Enter amounts by reason, and wait until the page says that they are kept."""
        page = self.page
        if kind != "print":
            page.check(f"[name=kind][value={kind}]")
        page.select_option("[name=item]", item)
        for reason, quantity in amounts.items():
            page.fill(f"[name={kind}-{reason}]", str(quantity))
        page.fill("[name=note]", note)
        before = self.count()
        page.click("[data-keep]")
        page.wait_for_function("(before) => document.querySelectorAll('.entries > li').length > before", arg=before)

    def count(self) -> int:
        """All entries that the page shows, whatever became of them."""
        return self.page.locator(".entries > li").count()

    def listed(self, state: str) -> list[str]:
        return self.page.locator(f"[data-list={state}] .entries > li").all_inner_texts()

    def until(self, state: str, number: int) -> None:
        self.page.wait_for_function(
            "([state, number]) => document.querySelectorAll(`[data-list=${state}] .entries > li`).length === number",
            arg=[state, number],
        )

    def until_it_holds(self, promise: str) -> None:
        """Wait for a promise of something true; the library's own waiting takes a promise itself for true."""
        for _ in range(PATIENCE // 50):
            if self.page.evaluate(promise):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(promise)

    def until_nothing_waits(self) -> None:
        self.until("waiting", 0)
        self.page.wait_for_selector("[data-standing]:has-text('Tidak ada yang menunggu')")

    def stored(self) -> Any:
        return self.page.evaluate(ALL_ENTRIES)


@dataclass
class Shop:
    """The application in this process, at NOW, behind a wire."""

    app: Flask
    wire: Wire
    answers: dict[str, Any] = field(default_factory=dict)
    """What is answered instead, by path."""
    with_cookies: set[str] = field(default_factory=set)
    """The paths that were asked for with cookies."""

    def before_request(self) -> Any:
        if request.cookies:
            self.with_cookies.add(request.full_path)
        return self.answers.get(request.path)

    def inside(self, work: Callable[[World], Any]) -> Any:
        with self.app.app_context():
            found = work(World(self.app))
            db.session.remove()
        return found

    def prints(self) -> list[int]:
        query = text("SELECT quantity FROM movements WHERE kind = 'print' ORDER BY id")
        return self.inside(lambda _: list(db.session.scalars(query)))


def _stock(world: World) -> None:
    world.deliver(NOW, TODAY, STOCK)


@pytest.fixture
def shop(sqlite_filled: Callable[[Filling], Path], tmp_path: Path, make_app: Callable[..., Flask]) -> Iterator[Shop]:
    file = tmp_path / "blangko.sqlite3"
    shutil.copy(sqlite_filled(_stock), file)
    app = make_app(f"sqlite:///{file}", CLOCK=lambda: NOW)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    with Wire(server.server_port) as wire:
        shop = Shop(app, wire)
        app.before_request_funcs.setdefault(None, []).insert(0, shop.before_request)
        thread.start()
        yield shop
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def phone(chromium: Any, shop: Shop) -> Iterator[Phone]:
    """Of the storekeeper, who was logged in when the network went away."""
    with Phone(chromium, shop.wire, at=NOW) as phone:
        phone.install()
        phone.lose()
        phone.open()
        yield phone
        assert phone.wrong == []


# --- nothing is lost, nothing is recorded twice --------------------------------------------------------------------


def work_through_a_bad_day(chromium: Any, database_url: str, folder: Path, app: Flask, entries: int) -> None:
    """Entries made without a network; it comes back and is lost three times, each time in the midst of sending, and
    once the server is killed."""
    with app.app_context():
        World(app).deliver(datetime.now(UTC), TODAY, 10_000)
        db.session.remove()
    part = entries // 5
    amounts = [number % 7 + 1 for number in range(entries)]
    with Server(database_url, folder) as server, Wire(server.port) as wire, Phone(chromium, wire) as phone:
        phone.install()
        phone.lose()
        phone.page.goto(HOME)  # no page but the offline page is there
        phone.page.wait_for_selector("[data-keep]")
        for number, quantity in enumerate(amounts):
            phone.keep(new=quantity, note=f"nomor {number}")
        phone.until("waiting", entries)

        lost = threading.Event()
        for cut in (wire.at_answer, wire.at_answer, wire.at_request):
            lost.clear()
            cut(part, lambda: (wire.cut(), lost.set()))
            phone.find()
            assert lost.wait(PATIENCE / 1000)
            phone.lose()
            phone.page.wait_for_selector("[data-standing]:has-text('Tidak ada jaringan')")
        wire.at_request(part, lambda: (server.kill(), lost.set()))
        lost.clear()
        phone.find()
        assert lost.wait(PATIENCE / 1000)
        phone.page.wait_for_selector("[data-standing]:has-text('Tidak ada jaringan')")
        assert phone.listed("waiting")
        server.start()
        phone.open()
        phone.until_nothing_waits()
        assert phone.listed("refused") == []
        assert phone.wrong == []
    query = text("SELECT quantity, note, request_id FROM movements WHERE kind = 'print' ORDER BY seq")
    with app.app_context():
        rows = db.session.execute(query).all()
        db.session.remove()
    assert [row.quantity for row in rows] == amounts, "each once, in the order of making"
    assert [row.note for row in rows] == [f"nomor {number}" for number in range(entries)]
    assert len({str(row.request_id) for row in rows}) == entries
    assert wire.posts >= entries + 2, "two answers at least were lost, and the entries sent again"
    check_books(app)


@pytest.mark.slow
def test_fifty_entries_survive_a_bad_day(
    chromium: Any, database_url: str, tmp_path: Path, make_app: Callable[..., Flask]
) -> None:
    work_through_a_bad_day(chromium, database_url, tmp_path, make_app(database_url), 50)


def test_two_tabs_send_each_entry_once(shop: Shop, phone: Phone) -> None:
    for quantity in range(1, 9):
        phone.keep(new=quantity)
    other = phone.new_page()
    other.goto("/offline")
    other.wait_for_selector("[data-list=waiting]:visible")
    phone.find()
    phone.until_nothing_waits()
    other.wait_for_function("() => document.querySelectorAll('[data-list=recorded] li').length === 8")
    assert shop.wire.posts == 8
    assert shop.prints() == list(range(1, 9))


@pytest.mark.slow
def test_a_second_press_keeps_an_entry_once(shop: Shop, phone: Phone) -> None:
    phone.page.fill("[name=print-new]", "3")
    phone.page.dblclick("[data-keep]")
    phone.until("waiting", 1)
    phone.find()
    phone.until_nothing_waits()
    assert shop.prints() == [3]


@pytest.mark.slow
@pytest.mark.parametrize(
    "answer",
    [("<h1>Welcome to our hotspot</h1>", 200), ({"state": "recorded"}, 200), ("gateway", 502), ({"state": "no"}, 500)],
    ids=["a hotspot's page", "an answer about no entry", "a gateway", "a failing server"],
)
def test_only_an_answer_about_the_entry_counts(shop: Shop, phone: Phone, answer: Any) -> None:
    phone.keep(new=4)
    phone.keep(new=5)
    shop.answers["/offline/entries"] = answer
    phone.find()
    phone.page.wait_for_selector("[data-standing]:has-text('Server tidak menjawab')")
    assert len(phone.listed("waiting")) == 2
    first, second = (entry["attempts"] for entry in phone.stored()["entries"])
    assert first >= 1
    assert second == 0, "what comes later waits its turn"
    shop.answers.clear()
    phone.page.click("[data-send]")
    phone.until_nothing_waits()
    assert shop.prints() == [4, 5]


def test_a_new_version_of_the_pages_leaves_the_outbox_whole(shop: Shop, phone: Phone) -> None:
    phone.keep(new=4, note="desa Kutuh")
    before = phone.stored()["entries"]
    shop.answers["/offline/entries"] = ("busy", 503)
    phone.find()
    phone.page.wait_for_selector("[data-standing]:has-text('Server tidak menjawab')")
    old = phone.page.evaluate("caches.keys()")
    shop.app.extensions["offline_version"] = "the-next-version"
    phone.page.evaluate("navigator.serviceWorker.ready.then((registration) => registration.update())")
    phone.until_it_holds("caches.keys().then((keys) => keys.join() === 'blangko-shell-the-next-version')")
    phone.lose()
    phone.page.reload()
    phone.until("waiting", 1)
    assert phone.page.get_attribute("html", "data-version") == "the-next-version"
    assert old != phone.page.evaluate("caches.keys()")
    after = phone.stored()["entries"]
    assert [entry | {"attempts": 0} for entry in after] == before
    shop.answers.clear()
    phone.find()
    phone.until_nothing_waits()
    assert shop.prints() == [4]


@pytest.mark.slow
def test_a_newer_format_of_the_outbox_is_left_alone_by_an_older_page(shop: Shop, phone: Phone) -> None:
    """A newer page has opened it beside this one: nothing is written in the old format, and nothing is lost."""
    phone.keep(new=4)
    phone.page.evaluate(NEWER_FORMAT)
    phone.page.click("[data-send]")
    phone.page.wait_for_selector("[data-alert]:has-text('Ada versi baru')")
    assert phone.page.is_disabled("[data-keep]")
    assert [entry["state"] for entry in phone.stored()["entries"]] == ["waiting"]
    assert shop.prints() == []


@pytest.mark.slow
def test_of_two_versions_at_once_no_mixture_is_kept(shop: Shop, phone: Phone) -> None:
    """While servers of two versions answer, a worker of one may be given the page of the other."""
    before = phone.page.evaluate("caches.keys()")
    phone.find()
    shop.app.extensions["offline_version"] = "the-next-version"
    shop.answers["/offline"] = '<html data-version="yet-another">'
    state = phone.page.evaluate(UPDATED)
    assert state == "redundant"
    assert phone.page.evaluate("caches.keys()") == before
    phone.lose()
    phone.page.reload()
    phone.keep(new=4)


# --- conflicts wait for a person -----------------------------------------------------------------------------------


def test_a_refused_entry_is_kept_until_somebody_decides(shop: Shop, phone: Phone) -> None:
    phone.keep(new=60, note="pertama")
    phone.keep(lost=50, note="kedua")
    phone.keep(damaged=3, note="ketiga")
    shop.inside(lambda world: world.print(NOW, TODAY, 55))  # the stock goes elsewhere meanwhile
    phone.find()
    phone.until("refused", 2)
    phone.until("waiting", 0)
    assert shop.prints() == [55, 3], "those after it are sent"
    first, second = phone.listed("refused")
    for words in ("pertama", "60", "Tidak cukup: 45 di gudang"):
        assert words in first
    assert "kedua" in second

    phone.lose()
    phone.page.reload()
    phone.until("refused", 2)  # without a network, too
    assert "Tidak cukup" in phone.listed("refused")[0]

    discard = "[data-list=refused] li:nth-child(2) [data-key^=discard]"
    phone.page.click(discard)
    assert phone.page.is_visible("dialog :text('Buang catatan ini?')")
    phone.page.click("dialog [value=stay]")
    assert len(phone.listed("refused")) == 2
    phone.page.click(discard)
    phone.page.keyboard.press("Escape")
    assert len(phone.listed("refused")) == 2
    phone.page.click(discard)
    phone.page.click("dialog [value=discard]")
    phone.until("refused", 1)

    phone.page.click("[data-list=refused] [data-key^=change]")
    assert phone.page.input_value("[name=print-new]") == "60"
    assert phone.page.input_value("[name=note]") == "pertama"
    phone.page.fill("[name=print-new]", "40")
    phone.page.click("[data-keep]")
    phone.until("refused", 0)
    phone.until("waiting", 1)
    phone.find()
    phone.until_nothing_waits()
    assert shop.prints() == [55, 3, 40]


@pytest.mark.slow
def test_a_refused_entry_can_be_sent_again_once_the_stock_is_there(shop: Shop, phone: Phone) -> None:
    phone.keep(new=STOCK + 10)
    phone.find()
    phone.until("refused", 1)
    phone.page.click("[data-list=refused] [data-key^=again]")
    phone.until("refused", 0)
    phone.until("refused", 1)
    shop.inside(lambda world: world.deliver(NOW, TODAY, 10))
    # The list is drawn anew once the newest figures are there: no press is meant to fall between the two.
    phone.page.wait_for_load_state("networkidle")
    phone.page.click("[data-list=refused] [data-key^=again]")
    phone.until("recorded", 1)
    assert shop.prints() == [STOCK + 10]


@pytest.mark.slow
def test_an_item_that_is_off_and_a_day_that_is_closed_are_conflicts(shop: Shop, phone: Phone) -> None:
    phone.page.fill("[name=day]", (TODAY - timedelta(days=1)).isoformat())
    phone.keep(item="ribbon", consumed=1)
    phone.page.fill("[name=day]", TODAY.isoformat())
    phone.keep(new=6)

    def change(world: World) -> None:
        closings.close(world.storekeeper, NOW, uuid4(), DENPASAR, TODAY, {BLANK: STOCK}, {BLANK: 0})
        write(lambda session: session.execute(update(Item).where(Item.code == "ribbon").values(active=False)))

    shop.inside(change)
    phone.find()
    phone.until("refused", 2)
    ribbon, closed = phone.listed("refused")
    assert "Ribbon" in ribbon, "by its name, though it is off"
    assert "Tidak ada barang" in ribbon
    assert "sudah ditutup" in closed
    assert shop.prints() == []
    phone.page.click("[data-list=refused] [data-key^=late]")
    phone.until("refused", 1)
    phone.until("recorded", 1)
    assert shop.prints() == [6]
    phone.page.click("[data-list=refused] [data-key^=discard]")
    phone.page.click("dialog [value=discard]")
    phone.until("refused", 0)


def test_what_has_left_the_phone_is_not_changed_before_its_answer(shop: Shop, phone: Phone) -> None:
    """It may be in the books; what never left may still be changed."""
    phone.keep(new=4)
    assert phone.page.locator("[data-list=waiting] [data-key]").count() == 2
    shop.wire.at_answer(1, shop.wire.cut)
    phone.find()
    phone.page.wait_for_selector("[data-list=waiting]:has-text('belum ada konfirmasi')")
    phone.lose()
    assert phone.page.locator("[data-list=waiting] [data-key]").count() == 0
    phone.find()
    phone.until_nothing_waits()
    assert shop.prints() == [4]


# --- whose they are ------------------------------------------------------------------------------------------------


def test_another_person_on_the_phone_sees_and_sends_nothing(shop: Shop, phone: Phone) -> None:
    page = phone.page
    phone.keep(new=4, note="milik gudang Denpasar")
    shop.answers["/offline/entries"] = ("busy", 503)
    phone.find()
    phone.log_out()
    page.wait_for_selector("dialog[data-leaving] :text('Catatan menunggu di ponsel ini')")
    assert page.inner_text("dialog[data-leaving] h2 b") == "1"
    page.click("dialog [value=stay]")
    page.click("form[data-log-out] button")
    page.click("dialog [value=leave]")
    page.wait_for_url("**/login*")
    shop.answers.clear()

    phone.lose()
    phone.open()
    assert "Tidak ada yang masuk" in page.inner_text("[data-standing]")
    assert page.is_hidden("[data-own]")
    assert "Denpasar" not in page.content()
    assert len(phone.stored()["entries"]) == 1, "they wait"
    assert phone.stored()["people"] == []
    phone.find()

    phone.log_in("other_storekeeper")
    phone.until_it_holds(TAKEN)
    assert page.is_hidden("[data-outbox]")
    phone.open()
    page.wait_for_selector("[data-own]:visible")
    assert phone.count() == 0
    phone.page.wait_for_selector("[data-standing]:has-text('Tidak ada yang menunggu')")
    assert "Denpasar" not in page.content()
    assert [person["name"] for person in phone.stored()["people"]] == ["Other Storekeeper"]
    assert shop.prints() == []
    assert len(phone.stored()["entries"]) == 1
    phone.log_out()  # nothing of theirs waits: nothing to warn of
    page.wait_for_url("**/login*")

    phone.log_in("storekeeper", "/offline")
    phone.until_nothing_waits()
    assert shop.prints() == [4]
    made_by = text("SELECT full_name FROM movements JOIN people ON people.id = actor_id WHERE quantity = 4")
    assert shop.inside(lambda _: db.session.scalars(made_by).all()) == ["Storekeeper"]


@pytest.mark.slow
def test_a_page_left_open_follows_who_is_logged_in(shop: Shop, phone: Phone) -> None:
    """Somebody else logs in beside it: the page turns to them, and sends nothing of the first one's."""
    phone.keep(new=4)
    shop.answers["/offline/entries"] = ("busy", 503)
    phone.find()
    phone.page.wait_for_selector("[data-standing]:has-text('Server tidak menjawab')")
    first, phone.page = phone.page, phone.new_page()
    phone.context.clear_cookies()
    phone.log_in("other_storekeeper")
    shop.answers.clear()
    first.wait_for_function("() => document.querySelectorAll('.entries > li').length === 0")
    first.evaluate("outbox.send()")
    assert shop.prints() == []
    assert "Denpasar" not in first.content()


@pytest.mark.slow
def test_an_entry_that_the_server_takes_for_somebody_elses_stays(shop: Shop, phone: Phone) -> None:
    """Who is logged in changed between asking and sending: ask once more, and do not insist."""
    phone.keep(new=4)
    shop.answers["/offline/entries"] = ({"state": "refused", "code": "entry_of_somebody_else"}, 403)
    phone.find()
    phone.page.wait_for_selector("[data-standing]:has-text('Server tidak menjawab')")
    assert (len(phone.listed("waiting")), phone.listed("refused")) == (1, [])
    assert phone.stored()["entries"][0]["attempts"] >= 2
    shop.answers.clear()
    phone.page.click("[data-send]")
    phone.until("recorded", 1)
    assert shop.prints() == [4]


def test_a_session_that_is_over_loses_nothing(shop: Shop, phone: Phone) -> None:
    phone.keep(new=4)
    phone.context.clear_cookies()
    phone.find()
    phone.page.wait_for_selector("[data-standing]:has-text('Sesi Anda sudah berakhir')")
    assert len(phone.listed("waiting")) == 1
    assert shop.wire.posts == 0
    phone.page.click("[data-log-in] a")
    phone.fill_log_in("storekeeper")
    phone.page.wait_for_selector("[data-own]:visible")
    phone.until_nothing_waits()
    assert shop.prints() == [4]


@pytest.mark.slow
def test_a_session_that_ends_in_the_midst_of_sending_loses_nothing(shop: Shop, phone: Phone) -> None:
    phone.keep(new=4)
    phone.keep(new=5)
    shop.wire.at_request(1, phone_forgets(shop))
    phone.find()
    phone.page.wait_for_selector("[data-standing]:has-text('Sesi Anda sudah berakhir')")
    shop.app.config["SECRET_KEY"] = "another key for tests, long enough to pass"
    shop.answers.clear()
    phone.page.click("[data-log-in] a")
    phone.fill_log_in("storekeeper")
    phone.page.wait_for_selector("[data-own]:visible")
    phone.until_nothing_waits()
    assert sorted(shop.prints()) == [4, 5]


def phone_forgets(shop: Shop) -> Callable[[], None]:
    """From now on the server takes no session for its own."""

    def work() -> None:
        shop.app.config["SECRET_KEY"] = "a key that nobody's session was signed with"

    return work


def test_nothing_of_the_session_and_nobodys_page_is_kept(shop: Shop, phone: Phone) -> None:
    phone.keep(new=4)
    phone.find()
    phone.until_nothing_waits()
    token = phone.page.evaluate("fetch('/offline/data').then((answer) => answer.json()).then(({ token }) => token)")
    kept = str(phone.stored())
    assert token[:20] not in kept
    assert "token" not in kept
    for name in ("/change", HOME, f"{HOME}/consumption"):
        phone.page.goto(name)
    assert "/change?" in shop.with_cookies
    assert not [path for path in shop.with_cookies if path.startswith("/offline?")]
    cached = phone.page.evaluate(CACHED)
    assert {path for _, path, _ in cached} == {
        "/offline",
        *(f"/static/{file}" for file in ("blangko.css", "offline.css", "outbox.js", "offline.js", "icon.svg")),
        "/static/vendor/pico/pico.min.css",
    }
    assert not any("Storekeeper" in body or "Denpasar" in body for *_, body in cached)


# --- what the page says --------------------------------------------------------------------------------------------


def test_the_stock_is_that_of_a_time_and_less_what_waits(phone: Phone) -> None:
    page = phone.page
    assert "15 Mei 2024" in page.inner_text("[data-as-of]")
    assert "WITA" in page.inner_text("[data-as-of]")
    assert "11" in page.inner_text("[data-as-of]")
    assert page.inner_text("[data-stock] dd") == str(STOCK)
    assert page.input_value("[name=day]") == TODAY.isoformat()
    page.fill("[name=print-new]", "4")
    assert page.inner_text("[data-left]") == str(STOCK - 4)
    phone.keep(new=4)
    phone.keep(kind="spoil", misprint=2)
    assert page.inner_text("[data-stock] dd") == str(STOCK - 6)
    assert "dikurangi yang menunggu" in page.inner_text("[data-as-of]")


@pytest.mark.slow
def test_the_day_is_the_offices_own(chromium: Any, shop: Shop) -> None:
    """Half past one at night in Denpasar is still yesterday by UTC, and by a phone that was not set."""
    with Phone(chromium, shop.wire, at=datetime(2024, 5, 14, 17, 30, tzinfo=UTC)) as phone:
        phone.install()
        phone.lose()
        phone.open()
        assert phone.page.input_value("[name=day]") == "2024-05-15"
        assert phone.page.get_attribute("[name=day]", "max") == "2024-05-15"
        draw = "window.dispatchEvent(new Event('outbox'))"
        phone.context.clock.set_fixed_time(datetime(2024, 5, 15, 17, 30, tzinfo=UTC))
        phone.page.fill("[name=print-new]", "3")
        phone.page.evaluate(draw)
        assert phone.page.input_value("[name=day]") == "2024-05-15", "not under somebody's hands"
        phone.page.fill("[name=print-new]", "")
        phone.page.evaluate(draw)
        phone.page.wait_for_function("() => document.querySelector('[name=day]').value === '2024-05-16'")
        phone.page.fill("[name=day]", "2024-05-14")
        phone.page.evaluate(draw)
        phone.keep(new=1)
        assert phone.page.input_value("[name=day]") == "2024-05-14", "what somebody chose stays"
        assert phone.stored()["entries"][0]["day"] == "2024-05-14"
        assert phone.wrong == []


@pytest.mark.slow
def test_numbers_and_a_second_office_go_along(chromium: Any, shop: Shop) -> None:
    def prepare(world: World) -> None:
        items.keep_numbers("kia")
        badung = offices.get(SYSTEM, Action.VIEW_OFFICE, BADUNG)
        person_id = world.storekeeper.person_id
        write(lambda s: s.add(Membership(person_id=person_id, office_id=badung.id, name="storekeeper")))
        kept = parse_ranges("A100001-A100050")
        deliveries.record_opening(SYSTEM, NOW, uuid4(), BADUNG, "kia", TODAY, 0, "", ranges=kept)

    shop.inside(prepare)
    with Phone(chromium, shop.wire, at=NOW) as phone:
        phone.install()
        phone.lose()
        phone.open()
        page = phone.page
        assert page.is_hidden("[name=print-new-ranges]")
        page.select_option("[name=office]", BADUNG)
        page.select_option("[name=item]", "kia")
        assert "50" in page.inner_text("[data-stock]")
        page.fill("[name=print-new-ranges]", "A100001-A100004")
        page.click("[data-keep]")
        assert page.get_attribute("[name=print-new]", "aria-invalid") == "true"
        page.fill("[name=print-new]", "4")
        page.click("[data-keep]")
        phone.until("waiting", 1)
        assert "46" in page.inner_text("[data-stock]")
        for words in ("Kabupaten Badung", "4 (A100001-A100004)"):
            assert words in phone.listed("waiting")[0]
        phone.find()
        phone.until("recorded", 1)
        assert phone.wrong == []
    where = text(
        "SELECT code, quantity FROM movements JOIN offices ON offices.id = office_id WHERE movements.kind = 'print'"
    )
    assert shop.inside(lambda _: [tuple(row) for row in db.session.execute(where)]) == [(BADUNG, 4)]


def test_what_cannot_be_right_is_not_kept(phone: Phone) -> None:
    page = phone.page
    for typed, said in (("", "sekurang-kurangnya satu"), ("1,5", "bilangan bulat"), ("99.999.999", "Paling banyak")):
        page.fill("[name=print-new]", typed)
        page.click("[data-keep]")
        assert said in page.inner_text("[data-entry]"), typed
    page.fill("[name=print-new]", "2")
    page.fill("[name=print-new-waiting]", "3")
    page.click("[data-keep]")
    assert page.get_attribute("[name=print-new-waiting]", "aria-invalid") == "true"
    assert page.evaluate("document.activeElement.name") == "print-new-waiting"
    assert phone.stored()["entries"] == []
    page.fill("[name=print-new]", "1.000")
    page.click("[data-keep]")
    phone.until("waiting", 1)
    assert "1.000" in phone.listed("waiting")[0]
    assert "3 yang tertunda" in phone.listed("waiting")[0]


def test_pages_say_what_waits(shop: Shop, phone: Phone) -> None:
    phone.keep(new=4)
    phone.keep(new=STOCK + 1)
    shop.answers["/offline/entries"] = ("busy", 503)
    phone.find()
    phone.page.goto("/change")
    phone.page.wait_for_selector("[data-outbox]:visible")
    assert phone.page.text_content("[data-count=waiting]") == "Menunggu dikirim: 2"
    assert phone.page.is_hidden("[data-count=refused]")
    shop.answers.clear()
    phone.page.reload()  # any page sends
    phone.page.wait_for_selector("[data-count=refused]:visible")
    assert phone.page.text_content("[data-count=refused]") == "Perlu diputuskan: 1"
    assert phone.page.is_hidden("[data-count=waiting]")
    phone.page.click("[data-outbox] a")
    phone.until("refused", 1)
    assert shop.prints() == [4]


def test_the_page_speaks_the_readers_language(phone: Phone) -> None:
    phone.keep(new=4)
    phone.find()
    phone.until_nothing_waits()
    phone.page.goto("/change")
    phone.page.click("button[name=language][value=en]")
    phone.page.wait_for_selector("html[lang=en]")
    phone.open()
    phone.page.wait_for_selector("html[lang=en]")
    phone.lose()
    phone.page.reload()
    phone.page.wait_for_selector("[data-standing]:has-text('No network')")
    assert phone.page.inner_text("h1") == "Without a network"
    assert "New card: 4" in phone.listed("recorded")[0]
    assert "15 May 2024" in phone.page.inner_text("[data-as-of]") or "May 15, 2024" in phone.page.inner_text(
        "[data-as-of]"
    )


def test_the_keyboard_is_enough(shop: Shop, phone: Phone) -> None:
    page = phone.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.focus("[name=print-new]")
    page.keyboard.type("7")
    page.keyboard.press("Enter")
    phone.until("waiting", 1)
    assert page.get_attribute("[data-kept]", "role") == "status"
    assert "Kartu baru: 7" in page.inner_text("[data-kept]")


# --- where it cannot work it says so -------------------------------------------------------------------------------


NO_STORAGE = "IDBFactory.prototype.open = () => { throw new DOMException('no', 'SecurityError'); };"
NO_ROOM = """
() => { IDBObjectStore.prototype.add = () => { throw new DOMException('full', 'QuotaExceededError'); }; }
"""


@pytest.mark.slow
def test_a_browser_that_keeps_nothing_is_told_so(chromium: Any, shop: Shop) -> None:
    with Phone(chromium, shop.wire, at=NOW) as phone:
        phone.context.add_init_script(NO_STORAGE)
        phone.log_in()
        phone.open()
        phone.page.wait_for_selector("[data-alert]:has-text('tidak menyimpan apa pun')")
        assert phone.page.is_hidden("[data-keep]")
        phone.log_out()
        phone.page.wait_for_url("**/login*")


@pytest.mark.slow
def test_an_entry_that_was_not_kept_is_not_said_to_be(shop: Shop, phone: Phone) -> None:
    phone.page.evaluate(NO_ROOM)
    phone.page.fill("[name=print-new]", "4")
    phone.page.click("[data-keep]")
    phone.page.wait_for_selector("[data-alert]:has-text('TIDAK tersimpan')")
    assert phone.page.input_value("[name=print-new]") == "4", "what was typed stays"
    assert phone.count() == 0
    assert phone.stored()["entries"] == []


@pytest.mark.slow
def test_without_a_service_worker_the_pages_are_as_before(chromium: Any, shop: Shop) -> None:
    context = chromium.new_context(base_url=shop.wire.address, service_workers="block", locale="id-ID")
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"/login?next={HOME}/consumption")
    page.fill("input[name=email]", PEOPLE["storekeeper"][0])
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")
    page.fill("input[name=new]", "5")
    page.click("main form button")
    assert str(STOCK - 5) in page.inner_text("[role=status]")
    page.click("form[data-log-out] button")
    page.wait_for_url("**/login*")
    assert errors == []
    context.close()
