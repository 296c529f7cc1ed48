"""Many movements at once: the same books, and the same refusals, as by single postings."""

from __future__ import annotations

import random
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError

from inventory.db import db
from inventory.domain.access import SYSTEM, Action
from inventory.domain.errors import Invalid, Refusal
from inventory.domain.ledger import Kind, Line
from inventory.domain.ranges import Range
from inventory.models import Balance, DailyTotal, Movement, StockCheck
from inventory.services import items, ledger, ledger_bulk, offices
from tests.concurrent import at_once, audit, refused_codes
from tests.conftest import NOW, TODAY
from tests.world import BLANK, DENPASAR, World

CODES = (DENPASAR, "51.03", "51.71.01", "51.71.02", "16.09", "94.71")
DAYS = [TODAY - timedelta(days=number) for number in range(12)]
TAKING = (*((Kind.PRINT, reason) for reason in ("new", "lost", "damaged")), (Kind.SPOIL, "misprint"))

Key = tuple[int, int]
ByKey = Mapping[Key, Sequence[Line]]


@pytest.fixture(params=[7, 100_000], ids=["in parts", "at once"])
def parts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_bulk, "AT_ONCE", request.param)


@pytest.fixture
def app(crowded_app: Flask) -> Flask:
    return crowded_app


def keys() -> list[Key]:
    places = [offices.get(SYSTEM, Action.VIEW_STOCK, code).id for code in CODES]
    return [(place, items.get(code).id) for place in places for code in (BLANK, "kia")]


def line(key: Key, kind: Kind, reason: str, quantity: int, day: date = TODAY, **more: Any) -> Line:
    return Line(office_id=key[0], item_id=key[1], kind=kind, reason=reason, quantity=quantity, effective_on=day, **more)


def drawn(seed: int, *, enough: bool = True) -> dict[Key, list[Line]]:
    """Random lines of some stocks, in no order. Without `enough`, more may be taken than is there by then."""
    dice = random.Random(seed)
    found: dict[Key, list[Line]] = {}
    for key in dice.sample(keys(), 7):
        opening = (500, DAYS[-1]) if enough else (dice.randint(25, 60), dice.choice(DAYS[-2:]))
        lines = [line(key, Kind.RECEIPT, "supplied", *opening)]
        for _ in range(dice.randrange(9)):
            quantity, day = dice.randint(1, 9), dice.choice(DAYS)
            kind, reason = dice.choice(TAKING)
            served = dice.randint(0, quantity) if kind is Kind.PRINT else 0
            lines.append(
                line(key, kind, reason, quantity, day, served_waiting=served, note=dice.choice(["", "a\tb\\N"]))
            )
        dice.shuffle(lines)
        found[key] = lines
    return found


def in_bulk(by_key: ByKey, request: UUID | None = None) -> int:
    every = [*by_key, *(key for key in keys() if key not in by_key)]
    return ledger.post_in_bulk(
        SYSTEM, NOW, request or uuid4(), "d" * 64, every, lambda key: [(each, {}) for each in by_key.get(key, ())],
        document=lambda _: {},
    )  # fmt: skip


def in_single_postings(by_key: ByKey) -> None:
    for key in sorted(by_key):
        ledger.post(SYSTEM, NOW, uuid4(), list(by_key[key]))


def books() -> dict[str, list[tuple[Any, ...]]]:
    """Everything that a posting writes, but for which request wrote it and ids."""
    own = ("id", "request_id", "request_line", "request_digest", "origin")
    columns = [column for column in Movement.__table__.c if column.name not in own]
    return {
        "movements": sorted(map(tuple, db.session.execute(select(*columns))), key=repr),
        "balances": sorted(map(tuple, db.session.execute(select(*Balance.__table__.c))), key=repr),
        "daily totals": sorted(map(tuple, db.session.execute(select(*DailyTotal.__table__.c))), key=repr),
        "to be looked at": sorted(map(tuple, db.session.execute(select(StockCheck.office_id, StockCheck.item_id)))),
    }


def outcome(work: Any, by_key: Any) -> tuple[Any, ...]:
    """The books after some work that is then taken back, or what it was refused for."""
    db.session.rollback()
    try:
        work(by_key)
    except Refusal as refusal:
        return refusal.code, refusal.facts
    return "written", books()


@pytest.mark.parametrize("seed", range(4))
def test_a_bulk_leaves_the_same_books_as_single_postings(
    world: World, parts: None, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Twice over: onto nothing, and onto books that have days after those of the lines."""
    first, second = drawn(seed), drawn(seed + 100)
    take_back(monkeypatch)
    assert outcome(one_after_the_other(in_bulk), [first, second]) == outcome(
        one_after_the_other(in_single_postings), [first, second]
    )


def one_after_the_other(work: Any) -> Any:
    return lambda many: [work(each) for each in many]


def take_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on what is written is seen by this session alone, until it is rolled back."""
    monkeypatch.setattr(ledger, "write", lambda work: work(db.session()))
    monkeypatch.setattr(ledger, "posts_at_once", lambda: False)


@pytest.mark.parametrize("seed", range(6))
def test_a_bulk_is_refused_where_single_postings_are(
    world: World, parts: None, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    bulk = drawn(seed, enough=False)
    take_back(monkeypatch)
    in_one, one_by_one = outcome(in_bulk, bulk), outcome(in_single_postings, bulk)
    assert in_one == one_by_one


def test_drawn_lines_are_sometimes_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    take_back(monkeypatch)
    codes = {outcome(in_bulk, drawn(seed, enough=False))[0] for seed in range(6)}
    assert {"not_enough_stock", "day_below_zero"} <= codes


def test_ids_and_numbers_go_up_without_a_gap(world: World, parts: None) -> None:
    before = drawn(3)
    in_bulk(before)
    request = uuid4()
    by_key = drawn(4)
    count = in_bulk(by_key, request)
    rows = db.session.execute(
        select(Movement.office_id, Movement.item_id, Movement.seq, Movement.request_line, Movement.origin)
        .where(Movement.request_id == request)
        .order_by(Movement.id)
    ).all()
    assert [row.request_line for row in rows] == list(range(1, count + 1))
    assert {row.origin for row in rows} == {"imported"}
    seqs: dict[Key, list[int]] = defaultdict(list)
    for row in rows:
        seqs[row.office_id, row.item_id].append(row.seq)
    for key, found in seqs.items():
        earlier = len(before.get(key, ()))
        assert found == list(range(earlier + 1, earlier + 1 + len(found)))
    assert sorted(seqs) == list(seqs), "stocks are written in the order of their keys"
    audit()


def test_reversals_in_a_bulk_take_off_the_days_totals(world: World, parts: None) -> None:
    key, other = keys()[:2]
    posted = ledger.post(
        SYSTEM, NOW, uuid4(), [line(key, Kind.RECEIPT, "supplied", 50), line(key, Kind.PRINT, "new", 7)]
    )
    undo = line(key, Kind.PRINT, "new", -7, reverses_id=posted.movements[1].id)
    in_bulk({key: [line(key, Kind.PRINT, "new", 3), undo], other: [line(other, Kind.RECEIPT, "supplied", 1)]})
    total = select(DailyTotal.quantity).where(
        DailyTotal.office_id == key[0], DailyTotal.item_id == key[1], DailyTotal.kind == "print"
    )
    assert db.session.scalars(total).all() == [3]
    audit()


def test_what_each_line_refers_to_is_kept(world: World, parts: None) -> None:
    world.deliver(NOW, TODAY, 5)
    delivery_id = db.session.scalars(select(Movement.delivery_id)).one()
    key, request = keys()[0], uuid4()
    lines = [
        (line(key, Kind.RECEIPT, "supplied", 1), {"delivery_id": delivery_id}),
        (line(key, Kind.PRINT, "new", 1), {}),
    ]
    ledger.post_in_bulk(
        SYSTEM, NOW, request, "d" * 64, [key], lambda _: lines, document=lambda _: {}, origin="synthetic"
    )
    found = select(Movement.delivery_id, Movement.origin).where(Movement.request_id == request).order_by(Movement.id)
    assert [tuple(row) for row in db.session.execute(found)] == [(delivery_id, "synthetic"), (None, "synthetic")]
    assert db.session.scalars(
        select(Balance.synthetic).where(Balance.office_id == key[0], Balance.item_id == key[1])
    ).one()


@pytest.mark.parametrize(
    ("kind", "reason"),
    [(Kind.COUNT, "found"), (Kind.SPOIL, "obsolete")],
    ids=["count without a stocktake", "second person"],
)
def test_triggers_and_checks_stand_in_a_bulk_too(world: World, parts: None, kind: Kind, reason: str) -> None:
    key, request = keys()[0], uuid4()
    lines = [line(key, Kind.RECEIPT, "supplied", 50), line(key, kind, reason, 1)]
    with pytest.raises(IntegrityError):
        in_bulk({key: lines, keys()[1]: [line(keys()[1], Kind.RECEIPT, "supplied", 1)]}, request)
    assert db.session.scalar(select(func.count()).select_from(Movement)) == 0
    assert not db.session.scalars(select(Balance)).all()


def test_the_same_request_cannot_be_written_twice(world: World, parts: None) -> None:
    request = uuid4()
    in_bulk(drawn(1), request)
    count = select(func.count()).select_from(Movement)
    before = db.session.scalar(count)
    with pytest.raises(IntegrityError, match="request_id"):
        in_bulk(drawn(1), request)
    assert db.session.scalar(count) == before
    audit()


def test_numbers_and_impossible_lines_are_refused_before_anything_is_written(world: World, parts: None) -> None:
    by_key = drawn(1)
    key = max(by_key)
    for wrong, code in (
        (line(key, Kind.PRINT, "new", 1, ranges=(Range("A", 4, 1, 1),)), "ranges_not_kept"),
        (line(key, Kind.PRINT, "new", 0), "quantity_not_positive"),
        (line(key, Kind.PRINT, "sold", 1), "unknown_movement"),
    ):
        with pytest.raises(Invalid, match=code):
            in_bulk(by_key | {key: [*by_key[key], wrong]})
    assert db.session.scalar(select(func.count()).select_from(Movement)) == 0
    assert db.session.scalar(text("SELECT 1")) == 1, "the connection can be used on"


def test_bulks_beside_each_other_and_beside_postings(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_bulk, "AT_ONCE", 40)
    every = keys()

    def bulk(seed: int) -> int:
        dice = random.Random(seed)
        return in_bulk(
            {key: [line(key, Kind.RECEIPT, "supplied", 2, dice.choice(DAYS)) for _ in range(30)] for key in every}
        )

    def posts(seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(12):
            some = dice.sample(every, 4)
            ledger.post(SYSTEM, NOW, uuid4(), [line(key, Kind.RECEIPT, "supplied", 3) for key in some])

    calls = [lambda seed=seed: bulk(seed) for seed in range(3)] + [lambda seed=seed: posts(seed) for seed in range(3)]
    outcomes = at_once(world.app, calls)
    assert not refused_codes(outcomes)
    assert [each for each in outcomes if isinstance(each, BaseException)] == []
    assert db.session.scalar(select(func.sum(Balance.store))) == 3 * 2 * 30 * len(every) + 3 * 12 * 4 * 3
    audit()


def test_a_seal_waits_for_a_bulk(world: World) -> None:
    if db.engine.dialect.name == "sqlite":
        pytest.skip("one write at a time anyway")
    held: list[int] = []
    key = keys()[0]

    def lines(_: Key) -> list[tuple[Line, Mapping[str, int]]]:
        return [(line(key, Kind.RECEIPT, "supplied", 1), {})]

    def progress(_: int) -> None:
        def look() -> None:
            with world.app.app_context():
                query = "SELECT count(*) FROM pg_locks WHERE mode = 'ShareLock' AND classid = 7301 AND granted"
                held.append(db.session.scalar(text(query)) or 0)

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()

    ledger.post_in_bulk(SYSTEM, NOW, uuid4(), "d" * 64, [key], lines, document=lambda _: {}, progress=progress)
    assert held == [1]
