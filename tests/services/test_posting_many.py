"""Many movements of several stocks and days in one statement: it does what the general way does."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from unittest import mock
from uuid import UUID, uuid4

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, func, insert, select, text, update

from inventory.db import WRITERS_LOCK, db
from inventory.domain.access import SYSTEM
from inventory.domain.errors import Refusal
from inventory.domain.ledger import EFFECTS, FIGURES, Kind, Line
from inventory.domain.ranges import parse_ranges
from inventory.models import Balance, DailyTotal, Item, Movement
from inventory.services import items, ledger, ledger_many
from tests.concurrent import at_once, audit, done, refused_codes
from tests.conftest import NOW, TODAY
from tests.round_trips import round_trips
from tests.services.two_ways import (
    EVERYDAY,
    NUMBERED,
    ON_POSTGRESQL,
    books,
    eventually,
    in_context,
    in_general,
    item_id,
    number,
    office_id,
    outcome,
    plain,
    the_line,
)
from tests.world import BADUNG, BLANK, DENPASAR, World

ITEMS = (BLANK, "ktp-wna", "film")
KINDS = sorted(key for key in EFFECTS if key[0] is not Kind.COUNT)  # which needs a stocktake
NOTES = ("", "loket 1", "NULL {\"a\\b\"},\n'%s' ü")
PLACES = ((BADUNG, "51.71.01"), (DENPASAR, "51.71.02"))
"""Two offices, each with one that is given the same; the first of both comes first in the ledger's order."""


def days_ago(number: int) -> date:
    return TODAY - timedelta(days=number)


def stocked(world: World, quantity: int = 1000) -> list[tuple[int, int]]:
    """Both offices have much of every item for a long time."""
    keys = [(office_id(code), item_id(item)) for code in (BADUNG, DENPASAR) for item in ITEMS]
    told: dict[str, Any] = {"kind": Kind.RECEIPT, "reason": "supplied", "quantity": quantity}
    ledger.post(SYSTEM, NOW, uuid4(), [the_line(*key, effective_on=days_ago(60), **told) for key in keys])
    return keys


def spread(keys: Sequence[tuple[int, int]], count: int, days: int) -> list[Line]:
    """Cards printed, in turn from each of these stocks, and on each of so many days."""
    return [
        the_line(
            *keys[place % len(keys)], quantity=1, effective_on=days_ago(place // len(keys) % days), note=str(place)
        )
        for place in range(count)
    ]


# --- the same as the general way ---------------------------------------------------------------------------------

Step = dict[str, Any]


def steps() -> st.SearchStrategy[Step]:
    line = st.fixed_dictionaries(
        {
            "kind_and_reason": st.sampled_from([*KINDS, *EVERYDAY * 4]),
            "quantity": st.integers(1, 40),
            "back": st.sampled_from([0, 0, 1, 2, 3, 5]),
            "served_waiting": st.sampled_from([0, 0, 1]),
            "note": st.sampled_from(NOTES),
            "place": st.sampled_from([0, 1]),
            "item": st.sampled_from([*ITEMS * 4, NUMBERED]),
            "numbers": st.sampled_from([*[""] * 8, "A000001-A000005"]),
            "minutes": st.sampled_from([None, None, 1]),
        }
    )
    return st.fixed_dictionaries(
        {
            "repeats": st.none() | st.none() | st.none() | st.integers(0, 3),
            "lines": st.lists(line, min_size=1, max_size=8),
            "origin": st.sampled_from(["entered", "entered", "synthetic"]),
            "document": st.sampled_from(["none", "none", "one", "expecting"]),
        }
    )


def line_of(office: int, told: dict[str, Any]) -> Line:
    kind, reason = told["kind_and_reason"]
    now = told["minutes"] and not told["back"]
    return Line(
        office_id=office,
        item_id=item_id(told["item"]),
        kind=kind,
        reason=reason,
        quantity=told["quantity"],
        effective_on=days_ago(told["back"]),
        served_waiting=told["served_waiting"] if kind is Kind.PRINT else 0,
        note=told["note"],
        shift="evening" if kind is Kind.SPOIL and told["back"] else None,
        happened_at=NOW - timedelta(minutes=told["minutes"]) if now else None,
        ranges=parse_ranges(told["numbers"]) if told["numbers"] else (),
    )


def carried_out(world: World, offices: Sequence[int], request: UUID, step: Step) -> Any:
    lines = [line_of(offices[told["place"]], told) for told in step["lines"]]
    said: dict[str, Any] = {"origin": step["origin"]}
    if step["document"] != "none":
        said["document"] = lambda _session: {}
    if step["document"] == "expecting":
        said["expecting"] = [(office, item_id(item)) for office in offices for item in ITEMS[:2]]
    return outcome(lambda: ledger.post(world.storekeeper, NOW, request, lines, **said))


@ON_POSTGRESQL
@given(st.lists(steps(), min_size=3, max_size=14))
@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_whatever_is_posted_has_the_same_outcome_and_leaves_the_same_books(world: World, script: list[Step]) -> None:
    if not db.session.scalar(select(Item.numbered).where(Item.code == NUMBERED)):
        items.keep_numbers(NUMBERED)
    here, there = ([office_id(each) for each in codes] for codes in zip(*PLACES, strict=True))
    sent: tuple[list[UUID], list[UUID]] = ([], [])
    for step in script:
        again = step["repeats"] if step["repeats"] is not None and step["repeats"] < len(sent[0]) else None
        requests = [known[again] if again is not None else uuid4() for known in sent]
        if again is None:
            for known, request in zip(sent, requests, strict=True):
                known.append(request)
        quick = carried_out(world, here, requests[0], step)
        with in_general():
            general = carried_out(world, there, requests[1], step)
        assert plain(quick) == plain(general), step
    for ours, theirs in zip(here, there, strict=True):
        assert books(ours, number(sent[0])) == books(theirs, number(sent[1]))
    audit()


@ON_POSTGRESQL
def test_what_goes_in_one_statement_is_not_done_in_general(world: World) -> None:
    """Else the comparison would be of the general way with itself."""
    keys = stocked(world)
    lines = [replace(each, note=NOTES[place % 3]) for place, each in enumerate(spread(keys, 24, 4))]
    with mock.patch.object(ledger, "_post_key", wraps=ledger._post_key) as general:
        plain_one = ledger.post(world.storekeeper, NOW, uuid4(), lines)
        ledger.post(world.storekeeper, NOW, uuid4(), lines, document=lambda _session: {}, expecting=keys[:1])
        ledger.post(world.storekeeper, NOW, uuid4(), [the_line(*keys[0], effective_on=days_ago(9))])
        assert general.call_count == 0
        with pytest.raises(Refusal, match="not_enough_stock"):
            ledger.post(world.storekeeper, NOW, uuid4(), [*lines, the_line(*keys[0], quantity=5000)])
        assert general.call_count > 0
    ids = [each.id for each in plain_one.movements]
    assert ids == sorted(ids), "the ids tell in which order a posting moved"
    rows = db.session.execute(select(Movement).where(Movement.id.in_(ids)).order_by(Movement.id)).scalars()
    for line, row, told in zip(lines, rows, plain_one.movements, strict=True):
        assert (row.note, row.effective_on, row.item_id) == (line.note, line.effective_on, line.item_id)
        assert (told.seq, told.recorded_at) == (row.seq, row.recorded_at)
    audit()


@ON_POSTGRESQL
def test_a_line_too_many_leaves_nothing_of_the_others(world: World) -> None:
    keys = stocked(world, 20)
    ledger.post(world.storekeeper, NOW, uuid4(), [the_line(*keys[0], quantity=20, effective_on=days_ago(5))])
    before = db.session.scalar(select(func.sum(Balance.last_seq)))
    received = the_line(*keys[0], kind=Kind.RECEIPT, reason="supplied", quantity=1)
    too_early = the_line(*keys[0], quantity=1, effective_on=days_ago(3))
    with pytest.raises(Refusal, match="day_below_zero") as told:
        ledger.post(world.storekeeper, NOW, uuid4(), [*spread(keys[1:], 10, 3), received, too_early])
    assert (told.value.facts["day"], told.value.facts["closing"]) == (days_ago(3), -1)
    db.session.rollback()
    assert db.session.scalar(select(func.sum(Balance.last_seq))) == before
    audit()


# --- together with others ----------------------------------------------------------------------------------------


@ON_POSTGRESQL
def test_days_that_change_while_a_posting_waits_for_the_balance_are_seen(world: World) -> None:
    """The statement began before: what it knows of the days is what they were then."""
    key = stocked(world, 100)[0]
    ledger.post(world.storekeeper, NOW, uuid4(), [the_line(*key, quantity=1)])
    lines = [the_line(*key, effective_on=days_ago(back)) for back in (9, 5)]
    told: list[Any] = []
    with db.engine.connect() as other:
        with other.begin():
            print_and_receive(other, key, 95)

            def post() -> None:
                told.append(outcome(lambda: ledger.post(world.storekeeper, NOW, uuid4(), lines)))

            writer = threading.Thread(target=lambda: in_context(world.app, post))
            writer.start()
            eventually(lambda: other.execute(text("SELECT pid FROM pg_locks WHERE NOT granted")).scalar())
        writer.join(20)
    assert [each[1] for each in told] == ["day_below_zero"]
    audit()


def print_and_receive(connection: Connection, key: tuple[int, int], quantity: int) -> None:
    """Prints, and as much received later: the balance has as much as before, the days between have not."""
    which = {"office_id": key[0], "item_id": key[1]}
    both = [("print", "new", days_ago(7)), ("receipt", "supplied", days_ago(2))]
    changed: dict[str, Any] = {name: getattr(Balance, name) + quantity for name in ("received", "printed")}
    seq = connection.scalar(
        update(Balance).filter_by(**which).values(**changed, last_seq=Balance.last_seq + 2).returning(Balance.last_seq)
    )
    assert seq is not None
    for place, (kind, reason, day) in enumerate(both):
        told = {**which, "kind": kind, "reason": reason, "quantity": quantity}
        connection.execute(insert(DailyTotal).values(**told, day=day))
        said = {"request_id": uuid4(), "request_line": 1, "request_digest": "-", "recorded_at": NOW}
        connection.execute(insert(Movement).values(**told, **said, effective_on=day, seq=seq - 1 + place))


def test_postings_of_the_same_stocks_in_every_order_wait_for_each_other_and_come_through(
    database_url: str, crowded_app: Flask
) -> None:
    with crowded_app.app_context():
        world = World(crowded_app)
        keys = stocked(world, 400)
        world.deliver(NOW, days_ago(70), 100)
        before = broken_up()

        def post(seed: int) -> int:
            dice, count = random.Random(seed), 0
            for _ in range(6):
                own = dice.sample(keys, 4) if seed % 3 else keys[:: 1 if seed % 2 else -1]
                lines = spread(own, 20, 5)
                dice.shuffle(lines)
                said: dict[str, Any] = {"document": lambda _session: {}} if seed % 4 == 0 else {}
                ledger.post(world.storekeeper, NOW, uuid4(), lines, **said)
                count += len(lines)
            return count

        outcomes = at_once(crowded_app, [lambda seed=seed: post(seed) for seed in range(8)])
        assert not refused_codes(outcomes)
        assert sum(done(outcomes)) == 8 * 6 * 20
        assert db.session.scalar(select(func.sum(Balance.printed))) == 8 * 6 * 20
        audit()
        assert broken_up() == before, "they took their locks in one order"


def broken_up() -> int:
    """Deadlocks that the server had to break up."""
    if db.engine.dialect.name == "sqlite":
        return 0
    db.session.remove()
    db.engine.dispose()  # a connection tells what it saw when it ends
    return eventually(
        lambda: [db.session.scalar(text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"))]
    )[0]


def test_of_many_that_take_the_last_of_several_stocks_as_many_succeed_as_there_are(
    database_url: str, crowded_app: Flask
) -> None:
    with crowded_app.app_context():
        world = World(crowded_app)
        keys = stocked(world, 20)
        lines = [the_line(*key, quantity=1, effective_on=days_ago(back)) for key in keys for back in (0, 3)]
        calls = [lambda turn=turn: ledger.post(world.storekeeper, NOW, uuid4(), lines[::turn]) for turn in (1, -1) * 7]
        outcomes = at_once(crowded_app, calls)
        assert Counter(refused_codes(outcomes)) == {"not_enough_stock": 4}
        assert len(done(outcomes)) == 10
        assert set(db.session.scalars(select(Balance.store))) == {0}
        audit()


@ON_POSTGRESQL
def test_of_many_equal_requests_one_is_posted(database_url: str, crowded_app: Flask) -> None:
    with crowded_app.app_context():
        world = World(crowded_app)
        lines, request = spread(stocked(world), 30, 5), uuid4()
        outcomes = at_once(crowded_app, [lambda: ledger.post(world.storekeeper, NOW, request, lines)] * 10)
        assert Counter(each.replayed for each in outcomes) == {False: 1, True: 9}
        assert len({each.movements for each in outcomes}) == 1
        audit()


@ON_POSTGRESQL
def test_it_takes_no_lock_of_movements_before_it_has_every_balance(world: World) -> None:
    """As the general way: one that had them could wait for a balance, and who has that balance for a seal, and the
    seal for the first."""
    keys = stocked(world)
    told: list[Any] = []
    last = max(keys)
    hold = update(Balance).filter_by(office_id=last[0], item_id=last[1]).values(last_seq=Balance.last_seq)
    with db.engine.connect() as other, other.begin() as transaction:
        other.execute(hold)

        def post() -> None:
            told.append(ledger.post(world.storekeeper, NOW, uuid4(), spread(keys[::-1], 24, 4)))

        writer = threading.Thread(target=lambda: in_context(world.app, post))
        writer.start()
        pid = eventually(lambda: other.execute(text("SELECT pid FROM pg_locks WHERE NOT granted")).scalar())
        held = other.execute(
            text("SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND pid = :pid"), {"pid": pid}
        )
        assert held.all() == [], f"neither the lock that a seal waits for ({WRITERS_LOCK}) nor a mark"
        transaction.rollback()
    writer.join(20)
    assert [len(each.movements) for each in told] == [24]


# --- what it costs -----------------------------------------------------------------------------------------------


@ON_POSTGRESQL
def test_fifty_movements_of_several_stocks_and_days_take_one_round_trip(world: World) -> None:
    keys, actor = stocked(world), world.storekeeper
    for some, count, days in ((keys, 50, 9), (keys[:1], 50, 50), (keys, 500, 30), (keys[:1], 50, 1)):
        lines = spread(some, count, days)
        assert round_trips(lambda lines=lines: ledger.post(actor, NOW, uuid4(), lines)) == 1
    with in_general():
        lines = spread(keys, 50, 9)
        assert round_trips(lambda: ledger.post(actor, NOW, uuid4(), lines)) > 20, "so it counts"


@ON_POSTGRESQL
def test_with_a_document_a_few_round_trips_are_enough_for_any_number(world: World) -> None:
    keys, actor = stocked(world), world.storekeeper

    def post(count: int) -> int:
        lines = spread(keys, count, 9)
        return round_trips(lambda: ledger.post(actor, NOW, uuid4(), lines, document=lambda _session: {}))

    assert post(10) == post(300) <= 3


def test_the_statement_names_no_figure_that_it_need_not() -> None:
    """A figure that a line can take from has to be looked at on every day: these are all that there are."""
    taken = {figure for effect in EFFECTS.values() for figure in FIGURES if getattr(effect, figure) < 0}
    assert set(ledger_many._CAN_RUN_OUT) == taken - {"missing"}
