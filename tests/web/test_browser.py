"""The pages in a real browser: whole, within the policy, and no wider than a phone."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import date, time, timedelta
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import pytest
from flask import Flask

from inventory.domain import stocktakes as domain_stocktakes
from inventory.domain.access import SYSTEM
from inventory.domain.boards import Choice, Precision
from inventory.domain.ranges import parse_ranges
from inventory.domain.reports import Month
from inventory.services import (
    alerts,
    allotments,
    backtests,
    boards,
    clearing,
    closings,
    consumption,
    deliveries,
    documents,
    drafts,
    imports,
    items,
    outreach,
    records,
    reports,
    requests,
    reviews,
    service_accounts,
    stated_rates,
    stocktakes,
)
from inventory.services.allotments import SplitTerms
from inventory.services.consumption import Printed
from inventory.services.deliveries import Counted, Paper
from inventory.services.requests import Allotment
from tests.api.client import make_token
from tests.conftest import NOW, TODAY, Filling
from tests.files import csv_file
from tests.notices import fill_messages
from tests.services.test_backtests import constant, record, uneven
from tests.services.test_imports import HAD, look, use
from tests.web.serving import serving
from tests.web.test_coverage import fill_coverage
from tests.web.test_projections import facts_with_all
from tests.world import BADUNG, BLANK, DENPASAR, PASSWORD, PEOPLE, World

pytestmark = [
    pytest.mark.browser,
    # A browser that turns to the next page drops its connections, and the server of the tests then leaves files open.
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
]

HOME, OTHER_HOME = f"/offices/{DENPASAR}", f"/offices/{BADUNG}"
FOREIGN = "ktp-wna"
DISTRICT = "51.71.01"
NARROW, WIDE = {"width": 360, "height": 740}, {"width": 1280, "height": 900}

STOCK_PAGES = (
    "/offices",
    HOME,
    f"{HOME}/balances",
    f"{HOME}/deliveries",
    f"{HOME}/deliveries/1",
    f"{HOME}/requests",
    f"{HOME}/suppliers",
    "/requests/1",
    "/requests/2",
    f"{HOME}/transfers",
    "/transfers/1",
    f"{HOME}/destructions",
    f"{HOME}/spoilage-report",
    "/destructions/1",
    "/proposals/1",
    f"{HOME}/stocktakes",
    *(f"/stocktakes/{number}" for number in (1, 2)),
    "/closings",
    f"{HOME}/closings",
    f"{HOME}/closings/{TODAY}",
    f"{HOME}/stock-card/{BLANK}",
    f"{HOME}/usage/{BLANK}",
    f"{HOME}/usage/{BLANK}?step=day",
    f"{HOME}/heat",
    f"{HOME}/heat?item={BLANK}&show=spoilage",
    f"{HOME}/numbers/{BLANK}",
    f"{HOME}/numbers/kia",
    f"{HOME}/numbers",
    "/numbers",
    "/numbers?item=kia&number=A100001",
    "/alerts",
    "/alerts/1",
    f"/alerts?level=low&owner=nobody&office={DENPASAR}",
    "/run-outs",
    f"{HOME}/run-outs?item={BLANK}&day=2024-05-17",
    f"{HOME}/coverage",
    "/alert-figures",
    f"{HOME}/alert-figures",
    "/backtest",
    f"{HOME}/projection/{BLANK}",
    f"{HOME}/projection/{BLANK}?outreach=900&outreach_on=2024-05-18&late_days=5&cap=70&order=500",
    f"{HOME}/reports",
    f"{HOME}/reports?month=2024-04",
    f"{HOME}/documents",
    f"{HOME}/outreach",
    f"{HOME}/outreach?month=2024-06",
    "/outreach/1",
    "/outreach/2",
    "{link}",  # of a document, for anybody
)
DECISIONS = (
    "/stocktakes/1/correct",
    "/stocktakes/2/approve",
    "/stocktakes/2/cancel",
    "/stocktakes/4",
    "/stocktakes/4/recount",
    "/closing-exceptions/1/clear",
    f"{HOME}/closings/{TODAY}/reopen",
)
FORMS = (
    "consumption",
    "spoilage",
    "returns",
    "opening",
    "deliveries/new",
    "transfers/new",
    "destructions/new",
    "destructions/write-off",
    "requests/new",
    "stocktakes/new",
    "closings/new",
    "coverage/figures",
    "coverage/equipment",
    "coverage/files",
    "outreach/new",
)
SPLIT = f"{HOME}/allotment?mode=split&item={BLANK}&pack=10&quantity="
ALLOTMENTS = (
    f"{HOME}/allotment",
    f"{HOME}/allotment?request=1",
    f"{SPLIT}500&reserve=30",
    f"{HOME}/allotment?mode=loans&item={BLANK}&pack=10&keep_days=2",
    "/allotments/1",
)
ACCOUNT = (
    "/account",
    "/account/second-factor",
    "/account/app",
    "/account/passkeys",
    "/account/recovery-codes",
    "/confirm?next=/people/new",
)
HAND_OVERS = (f"{HOME}/deliveries/hand-over", f"{HOME}/deliveries/hand-over?request=1")
PAGES = {
    "storekeeper": (
        *STOCK_PAGES,
        "/offline",
        *ACCOUNT,
        *(f"{HOME}/today", f"{HOME}/today?item=kia"),
        f"{HOME}/transfers/new?draft=1",
        f"{HOME}/imports",
        "/imports/1",
        "/imports/2",
        "/imports/3",
        "/coverage-files/{figures}",
        "/exports",
        *(f"{HOME}/{form}" for form in FORMS),
        *HAND_OVERS,
        "/movements/{movement}/reverse",
        "/transfers/1/cancel",
        *(f"/outreach/1/{step}" for step in ("change", "call-off", "held")),
        "/outreach/2/change",
        "/day-caps/1",
        "/search?q=A100150",
        "/requests/1/cancel",
        "/requests/1/close",
    ),
    "manager": (
        *STOCK_PAGES,
        *DECISIONS,
        *(f"{HOME}/board", "/search", "/search?q=470"),
        *("/messages", "/messages/new", "/messages/change?channel={channel}", "{unsubscribe}"),
        *("/alerts/{tried}", "/requests", "/requests/1/allot", "/jobs", "/jobs/verification", "/proposals"),
        *("/audit", "/audit/mine"),
        *ALLOTMENTS,
        "/movements/{movement}/reverse",
    ),
    "other_storekeeper": (
        OTHER_HOME,
        f"{OTHER_HOME}/transfers",
        "/transfers/1",
        "/transfers/1/receive",
        "/transfers/2/receive",
        "/stocktakes/3/count",
        "/numbers?item=kia&number=A100150",
    ),
    "regional": (
        *STOCK_PAGES,
        *(
            "/alerts/{tried}",
            "/offices/51/run-outs",
            "/backtest?office=51",
            "/offices/51/balances",
            "/offices/51/heat?show=stock_out_days",
            f"/offices/51/balances?item={BLANK}&all=y&sort=store",
            f"/compare?item={BLANK}&office=51&office={DENPASAR}&office={BADUNG}&office=51.71.02&q=selatan",
            "/offices/51/run-outs/timeline",
            "/offices/51/coverage",
        ),
    ),
    "administrator": (
        *(
            "/offices",
            "/offices?q=denpasar",
            HOME,
            f"{HOME}/settings",
            "/people",
            "/people/new",
            "/people/1/second-factor",
            "/people/1/password",
            "/jobs",
        ),
        *("/offices", "/offices?q=denpasar", HOME, f"{HOME}/settings", "/people", "/people/new", "/jobs"),
        "/audit?event=&person=store",
        *("/events", "/events/new", "/events/1", "/messages/undelivered"),
        *("/service-accounts", "/service-accounts/new", "/service-accounts/{machine}"),
    ),
}
EVERYBODYS = ("/", "/change", "/help", "/account/sessions")
NOBODYS = ("/board", f"/board/{DENPASAR}?lang=id", f"/board/{BADUNG}?lang=en", "/login", "/api/v1/docs")
"""Pages for people who are not logged in."""


@pytest.fixture
def site(
    sqlite_filled: Callable[[Filling], Path], tmp_path: Path, make_app: Callable[..., Flask]
) -> Iterator[tuple[str, Any]]:
    """The app on a free loopback port with a little stock in it: its address, and what fills in its pages' own."""
    file = tmp_path / "blangko.sqlite3"
    shutil.copy(sqlite_filled(_fill), file)
    app = make_app(f"sqlite:///{file}", CLOCK=lambda: NOW, SEND_FILE_MAX_AGE_DEFAULT=3600)
    with serving(app) as address:
        yield address, FOUND


FOUND: dict[str, Any] = {}
"""What the pages' addresses name, once the world is filled."""


def _fill(world: World) -> None:
    world.deliver(NOW, TODAY, 1033, bast="470/1/2024")
    world.send(NOW, TODAY, 30)
    movement = world.print(NOW, TODAY, {"new": Printed(40, served_waiting=15), "lost": Printed(3)}).movements[0]
    world.spoil(NOW, TODAY, 2)
    world.propose_destruction(NOW, TODAY, 2)
    tried = _try_projections(world)
    facts_with_all()
    _count(world)
    _send_in_files(world)
    _fill_numbers(world)
    document = _issue(world)
    world.ask(NOW, TODAY, 10_000, needed_by=TODAY, note="menjelang pemilihan")
    _answer(world, world.ask(NOW, TODAY, 500, asked={FOREIGN: 500}))
    _split(world)
    for code, precision in ((DENPASAR, Precision.TENS), (BADUNG, Precision.LEVEL)):
        chosen = Choice(on=True, item_codes=(BLANK, FOREIGN, "kia"), precision=precision, sentence="Cetak Senin–Jumat")
        boards.choose(SYSTEM, NOW, uuid4(), code, chosen, 0)
    figures = fill_coverage(world)
    _plan(world)
    link = documents.get(SYSTEM, document)[1].link
    make_token(name="Sistem antrean Denpasar")
    [machine] = service_accounts.in_reach(SYSTEM)
    FOUND.update(
        machine=machine.id, movement=movement.id, link=link, figures=figures, tried=tried, **fill_messages(world)
    )


def _plan(world: World) -> None:
    """Outreach that is planned and called off, an event, a cap, a clearing rate and a share of digital identities."""
    saturday = TODAY + timedelta(days=3)
    world.plan_outreach(NOW, TODAY, 200, team="dua petugas", starts=time(8), ends=time(12, 30), note="bawa genset")
    called_off = world.plan_outreach(NOW, saturday, 150, place="Banjar Kaja, Kelurahan Sesetan")
    outreach.call_off(world.storekeeper, NOW, uuid4(), called_off, 1, "listrik padam")
    world.event(NOW, saturday, name="PPDB 2024/2025", kind="school_enrolment", items=("kia",), factor=1.25)
    world.cap(NOW, TODAY, 80)
    clearing.state_rate(world.storekeeper, NOW, uuid4(), DENPASAR, BLANK, 40, "rapat koordinasi 14 Mei 2024")
    clearing.state_digital(world.actor("administrator"), NOW, uuid4(), DENPASAR, 0.05, "target IKD 30 %")


def _try_projections(world: World) -> int:
    """The review and the backtest of two offices more: a district with an alert, whose id it is, and the province,
    which takes the average."""
    stated_rates.state(SYSTEM, NOW, DENPASAR, BLANK, 60, "Pos Bali, 12/05/2024")
    record("51.71.02", uneven(420, 40), left=60)
    record("51", constant(420, 200), left=30_000)
    backtests.run(SYSTEM, lambda: NOW, "test", on=TODAY)
    reviews.review(SYSTEM, lambda: NOW, "test", on=TODAY)
    return next(each.id for each in alerts.open_alerts(SYSTEM) if each.office_code == "51.71.02")


def _split(world: World) -> None:
    """A delivery split over the districts, one of which nothing is known of; one draft is dropped."""
    stated_rates.state(SYSTEM, NOW, DISTRICT, BLANK, 15, "laporan bulanan")
    manager = world.actor("manager")
    terms = SplitTerms(quantity=500, reserve=30, pack=10)
    proposal = allotments.propose_split(manager, NOW, DENPASAR, BLANK, terms)
    wanted = {(DENPASAR, DISTRICT): 320, (DENPASAR, "51.71.02"): 50}
    plan_id = allotments.save(manager, NOW, uuid4(), proposal, wanted)
    drafts.drop(manager, NOW, allotments.get(manager, plan_id).drafts[-1].id)


def _issue(world: World) -> int:
    """Last month's report, an entry that came too late for it, and a record of hand-over; that record's id."""
    april = date(2024, 4, 20)
    deliveries.record_opening(world.storekeeper, NOW, uuid4(), DENPASAR, FOREIGN, april, 1_000, "")
    reports.issue(SYSTEM, NOW, DENPASAR, Month(2024, 4), "")
    consumption.post_spoiled(world.storekeeper, NOW, uuid4(), DENPASAR, FOREIGN, april, {"misprint": 7})
    return records.issue_transfer(SYSTEM, NOW, 1, "").id


def _answer(world: World, delivery_request_id: int) -> None:
    """A part of what was asked is allotted, and a part of that comes, from a regional grant."""
    answers = {FOREIGN: Allotment(allotted=460, cartons=1)}
    requests.allot(world.actor("manager"), NOW, uuid4(), delivery_request_id, 1, answers, "sisanya bulan depan")
    paper = Paper(
        bast_number="470/3/2024",
        bast_on=TODAY,
        received_on=TODAY,
        funding_source="apbd",
        supplier="Dinas Provinsi",
        handed_over_by="I Wayan Penyerah",
        delivery_request_id=delivery_request_id,
    )
    counted = {FOREIGN: Counted(received=300, defective=3, asked=500, allotted=460, cartons=1, note="dus terbuka")}
    deliveries.record_many(world.storekeeper, NOW, uuid4(), DENPASAR, paper, counted)


def _count(world: World) -> None:
    """A closed day with differences and a late entry, and a stocktake in each state; the stock is as it was."""
    closings.close(world.storekeeper, NOW, uuid4(), DENPASAR, TODAY, {BLANK: 943}, {BLANK: 40})
    found, waiting = world.stocktake(NOW), 0
    for stocktake_id, quantity in ((found, 961), (waiting, 953)):
        of = stocktake_id or world.stocktake(NOW)
        for enter in (stocktakes.count, stocktakes.recount):
            enter(world.storekeeper, NOW, uuid4(), of, {BLANK: domain_stocktakes.Counted(quantity=quantity)})
        if of == found:
            stocktakes.approve(world.actor("manager"), NOW, uuid4(), of, {BLANK: 3})
            consumption.post_printed(
                world.storekeeper, NOW, uuid4(), DENPASAR, BLANK, TODAY, {"lost": Printed(3)}, at=time(10, 30)
            )
    for actor, office in ((world.actor("other_storekeeper"), BADUNG), (world.actor("manager"), DISTRICT)):
        for item in (BLANK, "ribbon"):
            deliveries.record_opening(SYSTEM, NOW, uuid4(), office, item, TODAY, 8, "")
        open_ = stocktakes.begin(actor, NOW, uuid4(), office)
        if office == DISTRICT:
            seven, nine = (domain_stocktakes.Counted(quantity=quantity) for quantity in (7, 9))
            stocktakes.count(actor, NOW, uuid4(), open_, {BLANK: seven, "ribbon": nine})


def _fill_numbers(world: World) -> None:
    """Child cards have their numbers kept: some used out of order, some on their way to Badung."""
    items.keep_numbers("kia")
    kept = parse_ranges("A100001-A100400, A100421-A100500")
    actor = world.storekeeper
    deliveries.record_opening(actor, NOW, uuid4(), DENPASAR, "kia", TODAY, 0, "", ranges=kept)
    used = {"new": parse_ranges("A100011-A100020")}
    consumption.post_printed(actor, NOW, uuid4(), DENPASAR, "kia", TODAY, {}, ranges=used)
    world.send(NOW, TODAY, 0, sent={}, ranges={"kia": parse_ranges("A100101-A100200")})


def _send_in_files(world: World) -> None:
    """A file that was imported, one that waits for it, and one with faults."""
    first = look("consumption", use(TODAY, 3), actor=world.storekeeper, name="pemakaian-mei-2024.csv")
    imports.run(world.storekeeper, NOW, first.id)
    look("opening", (DENPASAR, "kia", TODAY, 500), actor=world.storekeeper, name="stok awal.csv")
    wrong = (use(TODAY, "1e9"), use(office="99.99"), use(TODAY, 4))
    look("consumption", *wrong, actor=world.storekeeper, name="salah.csv")


class Reader:
    """A page of the browser that remembers whatever went wrong on it."""

    def __init__(self, browser: Any, address: str, size: dict[str, int], **of_context: Any) -> None:
        self.context = browser.new_context(base_url=address, viewport=size, locale="id-ID", **of_context)
        self.page = self.context.new_page()
        self.wrong: list[str] = []
        self.page.on("pageerror", lambda error: self.wrong.append(f"{self.page.url}: {error}"))
        self.page.on("console", self._note)
        self.page.on("response", self._refused)

    def __enter__(self) -> Self:
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
        """Open a page; note when it would scroll sideways on a phone or a desk, or has a button without a name."""
        self.page.goto(path)
        if path == "/offline":  # its script draws it, after asking what the phone keeps
            self.page.wait_for_selector("[data-standing]:not(:empty)")
        # To change the size is slow: the next page is opened at the one that this page ends with.
        for size in sorted((NARROW, WIDE), key=lambda size: size != self.page.viewport_size):
            self.page.set_viewport_size(size)
            (width, needed, there), wrong = self.page.evaluate(CARDS_AND_LABELS if size == NARROW else ONLY_WIDTHS)
            assert width == size["width"]
            if needed > there:
                self.wrong.append(f"{path}: {needed} wide on a screen of {there}")
            self.wrong.extend(f"{path}: {what}" for what in wrong)

    def _note(self, message: Any) -> None:
        if message.type in ("error", "warning"):  # a refusal by the content security policy is one of these
            self.wrong.append(f"{self.page.url}: {message.text}")

    def _refused(self, response: Any) -> None:
        if response.status >= 400:
            self.wrong.append(f"{response.url}: {response.status}")


WIDTHS = "[window.innerWidth, document.documentElement.scrollWidth, document.documentElement.clientWidth]"
STACKS = """() => [...document.querySelectorAll("table.stacks")].flatMap((table) => {
  const cells = [...table.querySelectorAll("tbody td")];
  return [
    ...(table.scrollWidth > table.parentElement.clientWidth ? ["a table of cards scrolls sideways: " + cells
      .filter((cell) => cell.scrollWidth > cell.clientWidth).map((cell) => cell.innerText).join("; ")] : []),
    ...cells.filter((cell) => !cell.matches("[data-label], .words")).map((cell) => `no label on ${cell.innerText}`),
    ...cells.filter((cell) => cell.matches(".nothing") && cell.checkVisibility()).map(() => "an empty line"),
  ];
})"""
UNLABELLED = """() => [...document.querySelectorAll("input:not([type=hidden]), select, textarea")]
  .filter((field) => !field.labels.length && !field.matches("[aria-label], [aria-labelledby]"))
  .map((field) => `no label on ${field.name}`)
  .concat(document.querySelectorAll("h1").length === 1 ? [] : ["not one h1"])
  .concat(["aria-describedby", "aria-labelledby"].flatMap((name) => [...document.querySelectorAll(`[${name}]`)]
    .flatMap((field) => field.getAttribute(name).split(" ")))
    .filter((id) => !document.getElementById(id)).map((id) => `nothing has the id ${id}`))"""
ONLY_WIDTHS = f"[{WIDTHS}, []]"
CARDS_AND_LABELS = f"[{WIDTHS}, [...({STACKS})(), ...({UNLABELLED})()]]"


def test_a_storekeepers_day(chromium: Any, site: tuple[str, Any]) -> None:
    address, _ = site
    with Reader(chromium, address, NARROW) as reader:
        page = reader.page
        reader.log_in("storekeeper")
        reader.choose("id")

        page.click(f".tiles a[href^='{HOME}/deliveries/new']")
        page.fill("input[name=bast_number]", "470/2/2024")
        page.fill("input[name=received]", "2.000")
        page.fill("input[name=defective]", "12")
        page.click("main form > button")
        assert "2.943" in page.inner_text("[role=status]")

        page.click(f".tasks a[href='{HOME}/consumption']")
        assert page.input_value("input[name=day]") == TODAY.isoformat()
        page.fill("input[name=new]", "1.000")
        page.fill("input[name=lost]", "3")
        assert page.inner_text(".total output >> nth=0") == "1.003"
        assert page.inner_text(".total output >> nth=1") == "1.940"
        assert page.is_hidden("input[name=consumed]")
        page.click("main form button")
        assert "1.940" in page.inner_text("[role=status]")

        page.click(f"a[href='{HOME}/stock-card/{BLANK}'] >> nth=0")
        page.click(".card tbody tr:last-child a")
        page.fill("input[name=note]", "salah ketik")
        page.click("main form button")
        assert "1.943" in page.inner_text("[role=status]")
        assert "line-through" in page.eval_on_selector("tr.undone .struck", "e => getComputedStyle(e).textDecoration")
        assert "salah ketik" in page.inner_text(".card tbody tr:last-child")
        assert reader.wrong == []


def test_a_spreadsheet_is_sent_in_corrected_and_recorded(chromium: Any, site: tuple[str, Any]) -> None:
    def file(name: str, data: bytes) -> Any:
        return {"name": name, "mimeType": "text/csv", "buffer": data}

    with Reader(chromium, site[0], NARROW) as reader:
        page = reader.page
        reader.log_in("storekeeper")
        reader.choose("id")
        page.goto(HOME)
        page.click(f"a[href='{HOME}/imports']")
        page.set_input_files("input[type=file]", file("besar.csv", b"a" * 10_000_001))
        assert page.is_visible("[data-too-large]")
        page.click("main form button")
        assert page.url.endswith("/imports"), "a file that is too large does not travel"

        page.check("input[value=opening]")
        page.set_input_files("input[type=file]", file("stok.csv", csv_file(HAD, (DENPASAR, "ribbon", TODAY, "1,639"))))
        assert page.is_hidden("[data-too-large]")
        page.click("main form button")
        page.wait_for_selector("h1:has-text('stok.csv')")
        assert page.inner_text("tbody tr:first-child th") == "2"
        assert "1.639" in page.inner_text("tbody tr:first-child")

        page.click("main > p a")
        page.check("input[value=opening]")
        page.set_input_files("input[type=file]", file("stok.csv", csv_file(HAD, (DENPASAR, "ribbon", TODAY, "1.639"))))
        page.click("main form button")
        page.wait_for_selector("h1:has-text('stok.csv')")
        page.click("main form button")
        page.wait_for_selector("[role=status]:has-text('1')")
        page.goto(HOME)
        assert "1.639" in page.inner_text("main")
        assert reader.wrong == []


def test_a_picture_zooms_by_keyboard_and_fetches_what_it_needs_only_then(chromium: Any, site: tuple[str, Any]) -> None:
    with Reader(chromium, site[0], NARROW) as reader:
        page = reader.page
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        reader.log_in("storekeeper")
        page.goto(f"{HOME}/stock-card/{FOREIGN}")
        assert not [url for url in asked if "uplot" in url or url.endswith("series.json")]
        page.press("[data-zoom]", "Enter")
        page.wait_for_selector(".zoomed canvas")
        assert len([url for url in asked if "uPlot" in url]) == 2
        whole = page.inner_text(".zoomed [role=status]")
        assert "20 April 2024" in whole
        page.keyboard.press("+")
        nearer = page.inner_text(".zoomed [role=status]")
        page.keyboard.press("ArrowRight")
        later = page.inner_text(".zoomed [role=status]")
        assert len({whole, nearer, later}) == 3
        page.click("[data-do=all]")
        assert page.inner_text(".zoomed [role=status]") == whole
        for size in (NARROW, WIDE):
            page.set_viewport_size(size)
            assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
        page.keyboard.press("Escape")
        assert not page.is_visible(".zoomed")
        assert page.evaluate("document.activeElement.matches('[data-zoom]')")
        # Nothing was refused by the policy, although the library places its parts by styles of their own.
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
        reader.page.set_viewport_size(WIDE)
        reader.page.keyboard.press("Tab")
        assert reader.page.evaluate("document.activeElement.className") == "skip"
        reader.page.keyboard.press("Enter")
        assert reader.page.evaluate("document.activeElement.id") == "main"
        assert reader.wrong == []
