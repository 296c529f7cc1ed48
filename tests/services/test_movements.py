"""What is new, for readers who must not miss a movement nor see one twice, however many write meanwhile."""

from __future__ import annotations

import itertools
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import event, func, select
from sqlalchemy.orm import Session

from inventory.db import db
from inventory.domain.access import SYSTEM, Actor
from inventory.domain.errors import Invalid, NotFound
from inventory.domain.ledger import Kind, Line
from inventory.models import Item, Movement, Office
from inventory.services import ledger, movements
from inventory.services.consumption import Printed
from tests.concurrent import at_once
from tests.conftest import NOW, TODAY
from tests.world import BADUNG, BLANK, DENPASAR, World

WRITERS = 8
POSTINGS = int(os.environ.get("BLANGKO_TEST_POSTINGS", "5"))
PLACES = (DENPASAR, BADUNG, "51.71.01", "51.71.02", "16.09", "94.71", "51", "16")


@pytest.fixture
def app(crowded_app: Flask) -> Flask:
    return crowded_app


class Undone(Exception):
    """What a writer does in the end after all: nothing."""


@contextmanager
def before_each_commit(act: Any) -> Iterator[None]:
    """Let `act` happen in each writer's transaction when all is written and nothing can be seen yet."""

    def hook(session: Session) -> None:
        # What only reads has nothing to commit.
        if getattr(writing, "now", False):
            act()

    event.listen(Session, "before_commit", hook)
    try:
        yield
    finally:
        event.remove(Session, "before_commit", hook)


writing = threading.local()


def receive(office_id: int, item_id: int, parts: int = 1, *, at_once: bool = False) -> list[int]:
    """A receipt of some lines; their ids. With a document behind it, or else in one statement where that goes: then it
    is not held up before its commit."""
    line = Line(
        office_id=office_id, item_id=item_id, kind=Kind.RECEIPT, reason="opening", quantity=1, effective_on=TODAY
    )
    writing.now = True
    try:
        document = None if at_once else lambda _session: {}
        posted = ledger.post(SYSTEM, NOW, uuid4(), [line] * parts, document=document)
    finally:
        writing.now = False
    return [movement.id for movement in posted.movements]


def stocks() -> list[tuple[int, int]]:
    """A stock for each writer, so that none waits for another's."""
    places = db.session.scalars(select(Office.id).where(Office.code.in_(PLACES)).order_by(Office.id)).all()
    item = db.session.scalars(select(Item.id).where(Item.code == BLANK)).one()
    return [(place, item) for place in places]


def read_on(after: int, limit: int) -> tuple[list[int], int]:
    """All that can be had now: ids, and where to go on."""
    found: list[int] = []
    while True:
        news = movements.news(SYSTEM, after, limit)
        assert news.until >= after
        found += [movement.id for movement in news.movements]
        after = news.until
        if not news.more:
            return found, after


class Crowd:
    """Writers, each at a stock of its own, of whom some dawdle and some give up; and readers until all have done."""

    def __init__(self) -> None:
        self.written: list[int] = []
        self.over = threading.Event()
        self.finished = itertools.count(1)
        self.chance = random.Random(20240515)

    def dawdle(self) -> None:
        what = self.chance.random()
        if what < 0.5:
            time.sleep(self.chance.random() * 0.02)
        elif what < 0.65:
            raise Undone

    def write(self, stock: tuple[int, int]) -> None:
        try:
            for number in range(POSTINGS):
                with suppress(Undone):
                    self.written.extend(receive(*stock, parts=1 + number % 3, at_once=number % 2 == 1))
        finally:
            if next(self.finished) == WRITERS:
                self.over.set()

    def read(self, limit: int) -> list[int]:
        seen, after = [], 0
        while True:
            last_round = self.over.is_set()
            found, after = read_on(after, limit)
            seen += found
            if last_round:
                return seen


def test_readers_miss_nothing_and_see_nothing_twice(world: World) -> None:
    crowd = Crowd()
    writers = [partial(crowd.write, stock) for stock in stocks()]
    readers = [partial(crowd.read, limit) for limit in (2, 200)]
    assert len(writers) == WRITERS
    with before_each_commit(crowd.dawdle):
        outcomes = at_once(world.app, [*writers, *readers])
    assert [outcome for outcome in outcomes if isinstance(outcome, BaseException)] == []
    there = list(db.session.scalars(select(Movement.id).order_by(Movement.id)))
    assert sorted(crowd.written) == there
    assert len(there) > WRITERS
    for seen in outcomes[-len(readers) :]:
        assert seen == there, "each once, none missed, in order"


def slowly(world: World, stock: tuple[int, int], held: threading.Event, go: threading.Event) -> threading.Thread:
    """A writer that has written and waits with its commit until it may `go`."""

    def wait() -> None:
        held.set()
        assert go.wait(30)

    def write() -> None:
        with world.app.app_context(), before_each_commit(wait):
            receive(*stock)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    assert held.wait(30)
    return thread


def last_visible() -> int:
    """How far a reader would go who trusts that ids can be seen in their order."""
    db.session.rollback()
    return db.session.scalar(select(func.max(Movement.id))) or 0


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_is_written_before_and_seen_after_is_not_passed_over(world: World) -> None:
    """The naive reader passes over it, which is why writers leave marks."""
    one, other = stocks()[:2]
    [first] = receive(*one)
    held, go = threading.Event(), threading.Event()
    thread = slowly(world, one, held, go)
    [later] = _aside(other)
    assert later == first + 2, "the slow writer has taken the id between"
    assert last_visible() == later, "the naive reader goes on from here, and never sees the one before"
    assert read_on(0, 10) == ([first], first)
    go.set()
    thread.join(30)
    assert read_on(first, 10) == ([first + 1, later], later)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_writer_that_gives_up_holds_nobody_back(world: World) -> None:
    one, other = stocks()[:2]
    [first] = receive(*one)

    def give_up() -> None:
        raise Undone

    with before_each_commit(give_up), pytest.raises(Undone):
        receive(*one)
    [later] = receive(*other)
    assert later == first + 2
    assert read_on(0, 10) == ([first, later], later)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_marks_are_one_for_each_transaction(world: World) -> None:
    """An import of thousands of statements must not fill the server's table of locks."""
    stock = stocks()[0]
    held, go = threading.Event(), threading.Event()
    receive(*stock)
    thread = slowly(world, stock, held, go)
    counted = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 1112296262"
    assert db.session.connection().exec_driver_sql(counted).scalar() == 1
    db.session.rollback()
    go.set()
    thread.join(30)
    assert db.session.connection().exec_driver_sql(counted).scalar() == 0


def _aside(stock: tuple[int, int]) -> list[int]:
    """A receipt that is not held up by what holds the others."""
    line = Line(
        office_id=stock[0], item_id=stock[1], kind=Kind.RECEIPT, reason="opening", quantity=1, effective_on=TODAY
    )
    return [movement.id for movement in ledger.post(SYSTEM, NOW, uuid4(), [line]).movements]


def test_what_lies_out_of_reach_is_walked_over_and_not_told(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    printed = world.print(NOW, TODAY, {"new": Printed(3), "lost": Printed(2)})
    manager, stranger = world.actor("manager"), world.actor("other_storekeeper")
    news = movements.news(manager, 0, 2)
    assert [movement.reason for movement in news.movements] == ["supplied", "new"]
    assert news.more
    rest = movements.news(manager, news.until, 2)
    assert [movement.id for movement in rest.movements] == [printed.movements[-1].id]
    assert (rest.until, rest.more) == (printed.movements[-1].id, False)
    assert movements.news(stranger, 0, 10) == movements.News((), rest.until, False)
    assert movements.news(Actor(None, "nobody"), 0, 10).movements == ()
    assert movements.last_settled() == rest.until
    with pytest.raises(Invalid, match="cursor_ahead"):
        movements.news(manager, rest.until + 1, 10)  # as after a backup was put back


def test_a_long_walk_is_cut_into_parts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.deliver(NOW, TODAY, 100)
    for _ in range(4):
        world.print(NOW, TODAY, 1)
    monkeypatch.setattr(movements, "WALKED_AT_ONCE", 2)
    stranger = world.actor("other_storekeeper")
    first = movements.news(stranger, 0, 10)
    assert (first.movements, first.until, first.more) == ((), 2, True)
    assert len(read_on(0, 10)[0]) == 5


def test_one_movement_is_shown_to_who_may_see_it(world: World) -> None:
    posted = world.deliver(NOW, TODAY, 7).movements[0]
    found = movements.get(world.actor("manager"), posted.id)
    assert (found.office_code, found.item_code, found.quantity, found.delivery_id) == (
        DENPASAR,
        BLANK,
        7,
        posted.delivery_id,
    )
    with pytest.raises(NotFound):
        movements.get(world.actor("other_storekeeper"), posted.id)
    with pytest.raises(NotFound):
        movements.get(SYSTEM, posted.id + 1)
    assert movements.of_ids(world.storekeeper, [posted.id]) == [found]
    assert movements.of_ids(world.actor("manager"), [posted.id]) == [], "only who posted it is told without a look"
