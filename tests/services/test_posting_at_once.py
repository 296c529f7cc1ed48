"""One movement in one statement: it does what the general way does, in one round trip."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest import mock
from uuid import UUID, uuid4

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text, update

from inventory.db import WRITERS_LOCK, db
from inventory.domain.access import Actor
from inventory.domain.errors import Refusal
from inventory.domain.ledger import EFFECTS, OF_DOCUMENTS, Kind, Line
from inventory.domain.ranges import parse_ranges
from inventory.models import Balance, Item
from inventory.services import consumption, items, ledger
from inventory.services.consumption import Printed
from tests.concurrent import at_once, audit
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
from tests.world import BLANK, DENPASAR, World

KINDS = sorted(key for key in EFFECTS if key[0] not in OF_DOCUMENTS)


def post(actor: Actor, line: Line, request: UUID | None = None, **said: Any) -> Any:
    return ledger.post(actor, NOW, request or uuid4(), [line], **said)


# --- the same as the general way ---------------------------------------------------------------------------------


def steps() -> st.SearchStrategy[tuple[int | None, dict[str, Any]]]:
    """What is posted, and of which earlier request it is said to be a repetition."""
    lines = st.fixed_dictionaries(
        {
            "kind_and_reason": st.sampled_from([*KINDS, *EVERYDAY * 3]),
            "quantity": st.integers(1, 60),
            "back": st.sampled_from([0, 0, 0, 1, 2, 5]),
            "served_waiting": st.sampled_from([0, 0, 1]),
            "note": st.sampled_from(["", "loket 1"]),
            "item": st.sampled_from([BLANK, BLANK, BLANK, "ktp-wna", NUMBERED]),
            "numbers": st.sampled_from(["", "", "A000001-A000005"]),
            "origin": st.sampled_from(["entered", "entered", "synthetic"]),
            "minutes": st.sampled_from([None, 1, 60]),
            "more": st.just([]) | st.lists(st.sampled_from(EVERYDAY), max_size=4),
            "more_back": st.sampled_from([0, 0, 1]),
        }
    )
    return st.tuples(st.none() | st.none() | st.integers(0, 3), lines)


def lines_of(office: int, step: dict[str, Any]) -> list[Line]:
    first = replace(line_of(office, step), note=step["note"])
    day = first.effective_on - timedelta(days=step["more_back"])
    told = {"shift": None, "served_waiting": 0, "quantity": 3, "effective_on": day, "happened_at": None, "ranges": ()}
    return [first, *(replace(first, kind=kind, reason=reason, **told) for kind, reason in step["more"])]


def line_of(office: int, step: dict[str, Any]) -> Line:
    kind, reason = step["kind_and_reason"]
    day = TODAY - timedelta(days=step["back"])
    moment = NOW - timedelta(minutes=step["minutes"]) if step["minutes"] and not step["back"] else None
    return Line(
        office_id=office,
        item_id=item_id(step["item"]),
        kind=kind,
        reason=reason,
        quantity=step["quantity"],
        effective_on=day,
        served_waiting=step["served_waiting"] if kind is Kind.PRINT else 0,
        note=step["note"],
        shift="morning" if kind is Kind.SPOIL else None,
        happened_at=moment,
        ranges=parse_ranges(step["numbers"]) if step["numbers"] else (),
    )


@ON_POSTGRESQL
@given(st.lists(steps(), min_size=5, max_size=25))
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_whatever_is_posted_has_the_same_outcome_and_leaves_the_same_books(
    world: World, script: list[tuple[int | None, dict[str, Any]]]
) -> None:
    if not db.session.scalar(select(Item.numbered).where(Item.code == NUMBERED)):
        items.keep_numbers(NUMBERED)
    here, there = office_id(DENPASAR), office_id("51.71.01")
    sent: dict[int, list[UUID]] = {here: [], there: []}
    for repeated, step in script:
        told = []
        for office in (here, there):
            known = sent[office]
            request = known[repeated] if repeated is not None and repeated < len(known) else uuid4()
            known += [] if request in known else [request]
            lines = lines_of(office, step)

            def work(lines: list[Line] = lines, request: UUID = request, origin: str = step["origin"]) -> Any:
                return ledger.post(world.storekeeper, NOW, request, lines, origin=origin)

            if office == here:
                told.append(outcome(work))
            else:
                with in_general():
                    told.append(outcome(work))
        assert plain(told[0]) == plain(told[1]), step
    assert books(here, number(sent[here])) == books(there, number(sent[there]))


@ON_POSTGRESQL
def test_what_is_simple_goes_at_once_and_all_else_in_general(world: World) -> None:
    world.deliver(NOW, TODAY - timedelta(days=1), 100)
    here, blank = office_id(DENPASAR), item_id(BLANK)
    with mock.patch.object(ledger, "write", wraps=ledger.write) as general:
        for line in (the_line(here, blank), the_line(here, blank, kind=Kind.SPOIL, reason="misprint", shift="morning")):
            post(world.storekeeper, line)
        assert general.call_count == 0
        with pytest.raises(Refusal, match="not_enough_stock"):
            post(world.storekeeper, the_line(here, blank, quantity=1000))
        assert general.call_count == 1


# --- its locks ---------------------------------------------------------------------------------------------------


@ON_POSTGRESQL
def test_it_takes_no_lock_of_movements_before_it_has_the_balance(world: World) -> None:
    """As the general way: one that had them could wait for a balance, and who has that balance for a seal, and the
    seal for the first."""
    world.deliver(NOW, TODAY, 100)
    line = the_line(office_id(DENPASAR), item_id(BLANK))
    actor, told = world.storekeeper, []
    hold = update(Balance).where(Balance.office_id == line.office_id).values(last_seq=Balance.last_seq)
    with db.engine.connect() as other, other.begin() as transaction:
        other.execute(hold)
        writer = threading.Thread(target=lambda: told.append(in_context(world.app, lambda: post(actor, line))))
        writer.start()
        waiting = text("SELECT pid FROM pg_locks WHERE NOT granted")
        pid = eventually(lambda: other.execute(waiting).scalar())
        held = other.execute(
            text("SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND pid = :pid"), {"pid": pid}
        )
        assert held.all() == [], f"neither the lock that a seal waits for ({WRITERS_LOCK}) nor a mark"
        transaction.rollback()
    writer.join(20)
    assert [each.movements[0].quantity for each in told] == [5]


@ON_POSTGRESQL
def test_of_many_that_take_the_last_blanks_as_many_succeed_as_there_are(database_url: str, crowded_app: Flask) -> None:
    with crowded_app.app_context():
        world = World(crowded_app)
        world.deliver(NOW, TODAY, 10)
        actor, line = world.storekeeper, the_line(office_id(DENPASAR), item_id(BLANK), quantity=1)
        outcomes = at_once(crowded_app, [lambda: outcome(lambda: post(actor, line))] * 16)
        codes = Counter(each[1] if isinstance(each, tuple) else "posted" for each in outcomes)
        assert codes == {"posted": 10, "not_enough_stock": 6}
        seqs = sorted(each.movements[0].seq for each in outcomes if not isinstance(each, tuple))
        assert seqs == list(range(2, 12))
        audit()


@ON_POSTGRESQL
def test_of_many_equal_requests_one_is_posted(database_url: str, crowded_app: Flask) -> None:
    with crowded_app.app_context():
        world = World(crowded_app)
        world.deliver(NOW, TODAY, 100)
        actor, line, request = world.storekeeper, the_line(office_id(DENPASAR), item_id(BLANK)), uuid4()
        outcomes = at_once(crowded_app, [lambda: post(actor, line, request)] * 16)
        assert Counter(each.replayed for each in outcomes) == {False: 1, True: 15}
        assert len({each.movements for each in outcomes}) == 1
        assert world.figures().store == 95
        audit()


# --- what it costs -----------------------------------------------------------------------------------------------


@ON_POSTGRESQL
def test_a_movement_takes_one_round_trip_and_an_entry_two(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    actor, line = world.storekeeper, the_line(office_id(DENPASAR), item_id(BLANK))
    assert round_trips(lambda: post(actor, line)) == 1
    entry = lambda: consumption.post_printed(  # noqa: E731
        actor, NOW, uuid4(), DENPASAR, BLANK, TODAY, {"new": Printed(1)}
    )
    entry()
    assert round_trips(entry) == 2
    with in_general():
        assert round_trips(lambda: post(actor, line)) > 5, "so it counts"
