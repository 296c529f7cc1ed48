"""What stays quick on a country: pages over all its offices, a balance of long ago, and everything as the books grow.

Server time is that of requests inside one process, by Flask's own test client, so that it is the application's and the
database's alone. What is compared takes turns, and each figure is a median, as a machine has good and bad moments.

Growth is that of the books, not of what a page shows: a page about thirty offices takes longer than one about two,
however few movements there are. So each page is compared with itself, on a country with a long history, beside

- a book of one province alone, all its offices with the very history that they have in the large book. It answers the
  same about one of its offices and about the province; only what else stands in the tables differs, which is a hundred
  times as much.
- a book of the whole country with a short history, for the pages about the country or any of its provinces. They have
  the same lines in both, also the list of what has to be decided when it is asked for the stocks that are out: the same
  ones. What the last days say differs: with so few open days nothing is projected there, so that every level is out or
  not known, each stock has an alert that says so, and the line of 60 days is short. The whole list is another one
  there, as long as there are open cases; its figure has no limit, and says how many.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from flask import Flask, render_template_string

from inventory.bench import Figure, postgres
from inventory.bench.processes import figures_from
from inventory.domain.access import SYSTEM, Action, Role
from inventory.domain.ledger import Kind, Line

PASSWORD = "kata sandi untuk ukuran"  # noqa: S105  (of an account that is thrown away)
WATCHER = "negara@bench.test"
ITEM = "ktp-wni"
COUNTRY = "00"
EMPTY = "/bench-empty"
ROLL_UP = f"/offices/{COUNTRY}/balances?item={ITEM}"
NATIONAL = {
    "the same, one by one": f"{ROLL_UP}&all=y",
    "offices that run out": "/run-outs",
    "what needs a decision": "/alerts",
    "days left unclosed": "/closings",
    "three provinces compared": f"/compare?item={ITEM}&office=11&office=32&office=35",
}
OFFICES = 12
"""Whose pages are asked for."""
PROVINCE = "19"
"""Kepulauan Bangka Belitung: its offices have a hundred thousand movements in two years."""
COUNTRY_DAYS = 730
"""Calendar days of the country that is given."""
SETTINGS = {"BLANGKO_SECOND_FACTOR": "offered"}
WHOLE_LIST = "all that the country has to decide"


def measure(*, quick: bool, url: str | None = None) -> list[Figure]:
    """The figures on databases of a server of our own; with `url`, growth is measured up to the country in it.

    The country at `url` is one of `bench world` with COUNTRY_DAYS and seed 1. Some movements are posted there, and it
    is reviewed; the small books stand beside it, in databases that are removed, as one server is set up like itself.
    """
    books = QUICK if quick else OWN
    days = QUICK.days if url else books.days  # beside a country that is given, only its pages count
    with postgres.database(None) as address:
        figures = figures_from(["measure-country", str(days), str(5 if quick else 15)], address, SETTINGS)
        with _another(address) as past:
            figures += figures_from(["measure-past", "20000" if quick else "100000"], past, SETTINGS)
        if url:
            books = replace(books, days=COUNTRY_DAYS)
            figures_from(["measure-fill", str(books.days), COUNTRY], url, SETTINGS)
        return figures + _growth(url or address, books)


@contextmanager
def _another(address: str) -> Iterator[str]:
    """The URL of another, empty database of the server, which goes with the context."""
    import psycopg
    from psycopg import sql

    name = f"blangko_bench_{uuid4().hex[:8]}"
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield urlsplit(address)._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


# --- pages of the whole country ----------------------------------------------------------------------------------


def measure_country(app: Flask, now: datetime, days: int, rounds: int) -> list[Figure]:
    """The figures of pages over all offices, on an empty database that is filled. For a process of its own."""
    measure_fill(now, days, COUNTRY)
    with ThreadPoolExecutor(1) as apart:  # without the command's own context, which requests would share
        return apart.submit(_national_pages, app, now, rounds).result()


def _national_pages(app: Flask, now: datetime, rounds: int) -> list[Figure]:
    client = _logged_in(app, now, WATCHER, Role.VIEWER, COUNTRY)
    pages = {"national roll-up page, 8,000 offices": ROLL_UP} | NATIONAL
    taken = _in_turns({"": EMPTY} | pages, lambda path: _seconds(client, path), rounds)
    figures = []
    for number, name in enumerate(pages):
        ratio = statistics.median(page / empty for page, empty in zip(taken[name], taken[""], strict=True))
        limits: dict[str, Any] = {} if number else {"must": 5, "aim": 3}
        figures.append(Figure(f"{name}: server time / empty page", round(ratio, 2), at_most=True, **limits))
    figures.append(Figure("empty page, milliseconds", round(1000 * statistics.median(taken[""]), 2), at_most=True))
    return figures


def _in_turns(asked: dict[str, str], work: Callable[[str], float], rounds: int) -> dict[str, list[float]]:
    """What the work takes for each, one after the other, in so many rounds; the first is for warming up."""
    rows = [{name: work(each) for name, each in asked.items()} for _ in range(rounds + 1)][1:]
    return {name: [row[name] for row in rows] for name in asked}


# --- a balance of long ago ---------------------------------------------------------------------------------------


def measure_past(now: datetime, movements: int) -> list[Figure]:
    """How long the balance of a day a year ago takes, of a stock with so many movements in two years."""
    from inventory.services import balances

    code, days = _one_office(now, movements)
    long_ago = now.date() - timedelta(days=days // 2)
    work = {
        "now": lambda: balances.of_office(SYSTEM, code),
        "past": lambda: balances.as_of(SYSTEM, code, ITEM, long_ago),
    }
    taken = _in_turns({name: name for name in work}, lambda name: _timed(work[name]), 41)
    ratio = statistics.median(taken["past"]) / statistics.median(taken["now"])
    name = f"balance of a day a year ago, {movements:,} movements in the office / current balance"
    return [Figure(name, round(ratio, 2), 4, 2, at_most=True)]


def _one_office(now: datetime, movements: int) -> tuple[str, int]:
    """Its code, and the days of its history."""
    from flask_migrate import upgrade

    from inventory.services import items, ledger, offices

    upgrade()
    row = {"code": "51", "name": "Bali", "kind": "province", "parent": "", "time_zone": "Asia/Makassar"}
    offices.load(SYSTEM, [row | {"population": ""}])
    items.ensure_standard()
    key = offices.get(SYSTEM, Action.VIEW_STOCK, "51").id, items.get(ITEM).id
    days = 730
    first = now.date() - timedelta(days=days)
    lines = [_line(key, Kind.RECEIPT, "opening", 9_000_000, first)]
    reasons = ("new", "lost", "damaged", "changed_data", "moved_in")
    for number in range(movements):
        lines.append(_line(key, Kind.PRINT, reasons[number % 5], 1, first + timedelta(days=number * days // movements)))
    ledger.post_in_bulk(
        SYSTEM, now, uuid4(), "0" * 64, [key], lambda _: [(line, {}) for line in lines], document=lambda _: {}
    )
    return "51", days


# --- growth ------------------------------------------------------------------------------------------------------


def measure_fill(now: datetime, days: int, region: str) -> list[Figure]:
    """A country of so many days in all offices of a region, with its review, on an empty database that is filled or on
    one that was filled so: one figure, named for the codes of the offices with most movements."""
    from flask_migrate import upgrade

    from inventory.services import national_world, reviews

    upgrade()
    national_world.fill(SYSTEM, now, days=days, seed=1, region=region, progress=lambda _: None)
    reviews.review(SYSTEM, lambda: now, "bench")
    national_world.settle()  # a first review fills tables that were empty; what was planned for them is slow
    return [Figure(",".join(national_world.largest(OFFICES)), OFFICES)]


@dataclass(frozen=True)
class Books:
    """Calendar days of the large book and of the small one of the whole country; how often both are asked, and how many
    times each page then."""

    days: int
    few_days: int
    rounds: int
    count: int


QUICK, OWN = Books(30, 5, 2, 50), Books(60, 5, 5, 200)
"""The slowest in a hundred of fewer is the slowest of all, and says more of the moment than of the page."""


def _growth(large: str, books: Books) -> list[Figure]:
    """The slowest in a hundred of posts and of pages, on many movements beside few."""
    asked = ["measure-latency", str(books.count)]
    with _another(large) as province:
        (largest,) = figures_from(["measure-fill", str(books.days), PROVINCE], province, SETTINGS)
        alike = _slowest_of_both([*asked, largest.figure], province, large, books.rounds)
    with _another(large) as country:
        figures_from(["measure-fill", str(books.few_days), COUNTRY], country, SETTINGS)
        short = _slowest_of_both(asked, country, large, books.rounds)
    return [
        *_ratios(alike, "of its province alone"),
        *_ratios(short, f"of {books.few_days} days of the country"),
    ]


def _slowest_of_both(command: list[str], small: str, large: str, rounds: int) -> dict[str, list[list[float]]]:
    """The figures of a command, by their names: those on the small book and those on the large one, by turns."""
    found: dict[str, list[list[float]]] = {}
    for _ in range(rounds):
        for place, database in enumerate((small, large)):
            for each in figures_from(command, database, SETTINGS):
                found.setdefault(each.figure, [[], []])[place].append(each.value)
    return found


def _ratios(found: dict[str, list[list[float]]], small: str) -> list[Figure]:
    few, many = (int(statistics.median(each)) for each in found.pop("movements"))
    sizes = f"at {many:,} movements / at {few:,} {small}"
    figures = []
    if WHOLE_LIST in found:
        cases = [int(statistics.median(each)) for each in found.pop("open cases")]
        name = f"p99 of {WHOLE_LIST}, {cases[1]:,} cases / {cases[0]:,}"
        figures.append(Figure(name, _ratio(*reversed(found.pop(WHOLE_LIST))), at_most=True))
    limited = [
        Figure(f"p99 of {name}, {sizes}", _ratio(slow, quick), 1.3, 1.1, at_most=True)
        for name, (quick, slow) in found.items()
    ]
    return limited + figures


def _ratio(slow: Sequence[float], quick: Sequence[float]) -> float:
    return round(statistics.median(slow) / statistics.median(quick), 2)


def measure_latency(app: Flask, now: datetime, count: int, codes: Sequence[str]) -> list[Figure]:
    """The 99th percentile of so many posts and of each page of these offices and of their provinces, in milliseconds,
    on the country that there is; without codes, of the pages of all provinces and of the country."""
    from inventory.services import national_world

    movements = national_world.movements()
    work = partial(_of_offices, codes=codes) if codes else _of_country
    with ThreadPoolExecutor(1) as apart:  # without the command's own context, which requests would share
        found = apart.submit(work, app, now, count).result()
    return [*found, Figure("movements", movements)]


def _of_offices(app: Flask, now: datetime, count: int, codes: Sequence[str]) -> list[Figure]:
    watcher = _logged_in(app, now, WATCHER, Role.VIEWER, COUNTRY)
    keeper = _logged_in(app, now, f"gudang-{codes[0]}@bench.test", Role.STOREKEEPER, codes[0])
    posts = _posts(app, now, codes, count + len(codes))
    asked = {
        "a post": lambda _: next(posts)(),
        "an office's first page": lambda _: _get(keeper, f"/offices/{codes[0]}/today"),
        "an office's page": lambda code: _get(watcher, f"/offices/{code}"),
        "a stock card": lambda code: _get(watcher, f"/offices/{code}/stock-card/{ITEM}"),
        "a projection": lambda code: _get(watcher, f"/offices/{code}/projection/{ITEM}"),
        "what an office has to decide": lambda code: _get(watcher, f"/alerts?office={code}"),
    }
    of_province = {name: lambda code, work=work: work(_province(code)) for name, work in _of_provinces(watcher).items()}
    return _slowest(asked | of_province, codes, count)


def _of_country(app: Flask, now: datetime, count: int) -> list[Figure]:
    from inventory.services import desk, offices

    watcher = _logged_in(app, now, WATCHER, Role.VIEWER, COUNTRY)
    asked = _of_provinces(watcher) | {
        "the national roll-up": lambda _: _get(watcher, ROLL_UP),
        "what the country has to decide of stocks that are out": lambda _: _get(watcher, "/alerts?level=out"),
        WHOLE_LIST: lambda _: _get(watcher, "/alerts"),
    }
    found = _slowest(asked, [row["code"] for row in offices.official_list() if row["kind"] == "province"], count)
    with app.app_context():
        return [*found, Figure("open cases", desk.of_actor(SYSTEM, now).found)]


def _of_provinces(watcher: Any) -> dict[str, Callable[[str], None]]:
    return {
        "a province's roll-up": lambda code: _get(watcher, f"/offices/{code}/balances?item={ITEM}"),
        "offices of a province that run out": lambda code: _get(watcher, f"/offices/{code}/run-outs"),
        "what a province has to decide": lambda code: _get(watcher, f"/alerts?office={code}"),
    }


def _province(code: str) -> str:
    return code.partition(".")[0]


def _slowest(asked: Mapping[str, Callable[[str], object]], codes: Sequence[str], count: int) -> list[Figure]:
    """The 99th percentile of each, asked so many times about one code after the other, once all were asked about every
    code: a worker serves thousands of requests, and puts its statements and words together in the first of them."""
    from inventory.serving import keep_what_is_loaded

    for code in codes:
        for work in asked.values():
            work(code)
    keep_what_is_loaded()  # as a worker of the server does
    taken: dict[str, list[float]] = {name: [] for name in asked}
    for number in range(count):
        for name, work in asked.items():
            taken[name].append(_timed(lambda work=work, number=number: work(codes[number % len(codes)])))
    return [Figure(name, 1000 * statistics.quantiles(times, n=100)[-1]) for name, times in taken.items()]


def _posts(app: Flask, now: datetime, codes: Sequence[str], count: int) -> Iterator[Callable[[], object]]:
    """Calls that each post one movement: a card that arrives, so that there is always room for it."""
    from inventory.services import items, ledger, offices

    with app.app_context():
        item = items.get(ITEM).id
        ids = [offices.get(SYSTEM, Action.VIEW_STOCK, code).id for code in codes]

    def post(line: Line) -> None:
        with app.app_context():
            ledger.post(SYSTEM, now, uuid4(), [line], origin="synthetic")

    for number in range(count):
        line = _line((ids[number % len(ids)], item), Kind.RECEIPT, "supplied", 1, now.date())
        yield lambda line=line: post(line)


def _line(key: tuple[int, int], kind: Kind, reason: str, quantity: int, day: date) -> Line:
    return Line(office_id=key[0], item_id=key[1], kind=kind, reason=reason, quantity=quantity, effective_on=day)


# --- parts -------------------------------------------------------------------------------------------------------


def _logged_in(app: Flask, now: datetime, email: str, role: Role, office: str) -> Any:
    """A client whose person has logged in; the account is made when it is missing, and an empty page with the first."""
    from inventory import security
    from inventory.domain.errors import Refusal
    from inventory.services import people

    told: dict[str, Any] = {"full_name": "Bench", "role": role, "office_code": office, "given": False}
    with app.app_context(), suppress(Refusal):  # it is there already
        people.add(SYSTEM, now, email=email, password_hash=security.hashed(PASSWORD), **told)
    if "bench_empty" not in app.view_functions:
        page = "{% extends 'layout.html' %}{% block main %}{% endblock %}"
        view = security.needs(Action.SIGN_OUT)(lambda: render_template_string(page))
        app.add_url_rule(EMPTY, "bench_empty", view)
    client = app.test_client()
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get("/login").text)
    assert token
    answer = client.post("/login", data={"email": email, "password": PASSWORD, "csrf_token": token[1]})
    if answer.status_code != 302:
        raise RuntimeError(f"{email} could not log in: {answer.status_code}")
    return client


def _get(client: Any, path: str) -> None:
    answer = client.get(path)
    if answer.status_code != 200:
        raise RuntimeError(f"{path} was answered with {answer.status_code}")


def _seconds(client: Any, path: str) -> float:
    return _timed(lambda: _get(client, path))


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
