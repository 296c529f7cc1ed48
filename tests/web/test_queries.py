"""Pages and answers take so many queries and no more, however many rows there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event

from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.domain.ledger import PRINT_REASONS
from inventory.services import offices, reviews
from inventory.services.consumption import Printed
from tests.api.client import apart
from tests.conftest import NOW, TODAY
from tests.web.client import log_in
from tests.world import BLANK, DENPASAR, World

FEW, MORE = 3, 9
MOST = 60
"""Of one page or answer."""
NAMED = {"code": DENPASAR, "item": BLANK, "day": TODAY - timedelta(days=1)}
ELSEWHERE = ("api.boards.", "boards.", "security.", "sign_on.", "account.", "factors.", "health.", "metrics.")
"""What is for nobody in particular, or has no lists."""


def fill(world: World, rounds: Sequence[int]) -> None:
    """Some of everything, once in each round."""
    for number in rounds:
        back = timedelta(days=2 * MORE - number)
        now, day = NOW - back, TODAY - back
        world.deliver(now, day, 500, defective=2)
        world.print(now, day, {reason: Printed(2) for reason in PRINT_REASONS})
        world.spoil(now, day, 3)
        world.send(now, day, 5)
        world.ask(now, day, 100)
        world.plan_outreach(now, TODAY + timedelta(days=5 + number), 20)
        world.event(now, TODAY + timedelta(days=number))
        _team(number)


def _team(number: int) -> None:
    row = {"code": f"51.71.9{number}", "name": f"Kecamatan {number}", "kind": "district", "parent": DENPASAR}
    offices.load(SYSTEM, [row | {"time_zone": "Asia/Makassar", "population": ""}])


def review(world: World, now: datetime) -> None:
    reviews.review(SYSTEM, lambda: now, "test", on=TODAY)
    world.propose_destruction(NOW, TODAY, 1)


@pytest.fixture
def count(world: World) -> Iterator[Callable[[Callable[[], Any]], int]]:
    """How many queries some work takes."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    def counted(work: Callable[[], Any]) -> int:
        seen.clear()
        work()
        return len(seen)

    event.listen(db.engine, "before_cursor_execute", note)
    yield counted
    event.remove(db.engine, "before_cursor_execute", note)


def paths(app: Flask) -> list[str]:
    """Of every page and answer that is read, and is of no single thing."""
    adapter = app.url_map.bind("localhost")
    found = []
    for rule in app.url_map.iter_rules():
        known = rule.arguments <= NAMED.keys() and not rule.endpoint.startswith(ELSEWHERE)
        if "GET" in (rule.methods or ()) and known:
            found.append(adapter.build(rule.endpoint, {name: NAMED[name] for name in rule.arguments}))
    return sorted(found)


@pytest.mark.slow
def test_no_page_or_answer_takes_more_queries_for_more_rows(
    world: World, count: Callable[[Callable[[], Any]], int]
) -> None:
    fill(world, range(FEW))
    review(world, NOW)
    before = {(person, path): queries for person, path, queries in _all(world, count)}
    assert len([path for _, path in before if path.startswith("/api/")]) > 40
    assert len(before) > 150
    fill(world, range(FEW, MORE))
    review(world, NOW + timedelta(minutes=1))
    grown = {
        f"{person} {path}": (before[person, path], queries)
        for person, path, queries in _all(world, count)
        if queries > before.get((person, path), queries)
    }
    assert grown == {}
    assert {key: queries for key, queries in before.items() if queries > MOST} == {}


def _all(world: World, count: Callable[[Callable[[], Any]], int]) -> Iterator[tuple[str, str, int]]:
    for person in ("storekeeper", "manager", "administrator"):
        client = world.app.test_client()
        apart(lambda client=client, person=person: log_in(client, person))
        for path in paths(world.app):
            answers = []

            def get(path: str = path, client: Any = client, answers: list[Any] = answers) -> None:
                answers.append(apart(lambda: client.get(path)))

            queries = count(get)
            assert answers[0].status_code < 500, path
            if answers[0].status_code == 200:
                yield person, path, queries
