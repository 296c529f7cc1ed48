"""A storekeeper's today: printing and spoilage in one posting, what waits, and undo."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import func, select

from inventory.db import db
from inventory.domain.errors import Refusal
from inventory.domain.ledger import Effect
from inventory.domain.ranges import parse_ranges
from inventory.models import Movement
from inventory.services import closings, consumption, deliveries, items, ledger, today, transfers, undo
from inventory.services.consumption import Printed
from inventory.services.ledger import Posting
from tests.concurrent import at_once, audit, done, refused_codes
from tests.conftest import NOW, TODAY
from tests.world import BADUNG, BLANK, DENPASAR, World

WHY = "dibatalkan"
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def app(crowded_app: Flask) -> Flask:
    return crowded_app


def stock(world: World) -> None:
    world.deliver(NOW - DAY, TODAY - DAY, 100)
    db.session.remove()


pytestmark = pytest.mark.filled(by=stock)


def use(world: World, request: UUID | None = None, *, new: int = 30, misprint: int = 2, now: datetime = NOW) -> Posting:
    printed = {"new": Printed(new, served_waiting=min(5, new)), "lost": Printed(0)}
    said = (world.storekeeper, now, request or uuid4(), DENPASAR, BLANK, TODAY - (NOW - now))
    return consumption.post_used(*said, printed, {"misprint": misprint})


def take_back(world: World, request: UUID, *, name: str = "storekeeper", later: timedelta = MINUTE) -> Posting:
    return undo.undo(world.actor(name), NOW + later, DENPASAR, request, 10, WHY)


def movements() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(Movement)) or 0


def refused(code: str, work: Any) -> None:
    before = movements()
    with pytest.raises(Refusal) as found:
        work()
    assert found.value.code == code
    assert movements() == before


# --- one posting -------------------------------------------------------------------------------------------------


def test_what_was_printed_and_spoiled_is_one_posting_or_none(world: World) -> None:
    request = uuid4()
    posting = use(world, request)
    assert [(each.kind, each.reason, each.quantity) for each in posting.movements] == [
        ("print", "new", 30),
        ("spoil", "misprint", 2),
    ]
    assert use(world, request).replayed
    # Either part alone would be possible; both are not, and then neither is recorded.
    refused("not_enough_stock", lambda: use(world, new=60, misprint=20))
    refused("nothing_entered", lambda: use(world, new=0, misprint=0))
    assert world.figures() == Effect(received=100, store=68, printed=30, spoiled=2)
    audit()


def test_numbers_belong_to_a_reason_or_a_cause(world: World) -> None:
    items.keep_numbers("kia")
    kept = parse_ranges("A100001-A100010")
    deliveries.record_opening(world.storekeeper, NOW, uuid4(), DENPASAR, "kia", TODAY, 0, "", ranges=kept)
    numbers = {"new": parse_ranges("A100001-A100003"), "misprint": parse_ranges("A100004")}
    said = (world.storekeeper, NOW, uuid4(), DENPASAR, "kia", TODAY, {}, {})
    posting = consumption.post_used(*said, ranges=numbers)
    assert [each.quantity for each in posting.movements] == [3, 1]
    undo.undo(world.storekeeper, NOW, DENPASAR, said[2], 10, WHY)
    assert world.figures("kia") == Effect(received=10, store=10)
    assert not consumption.post_used(*said[:2], uuid4(), *said[3:], ranges=numbers).replayed  # the numbers are back


# --- what the page shows -----------------------------------------------------------------------------------------


def test_today_says_what_is_left_what_was_entered_and_what_waits(world: World) -> None:
    actor = world.storekeeper
    deliveries.record_opening(actor, NOW, uuid4(), DENPASAR, "ribbon", TODAY, 4, "")
    found = today.of_office(actor, NOW, DENPASAR, None)
    assert [left.item.code for left in found.items] == [BLANK, "ribbon"]
    assert [item.code for item in found.not_entered] == [BLANK, "ribbon"]
    assert (found.chosen.item.code, found.closed, found.waiting) == (BLANK, False, ())

    posting = use(world)
    sent = world.send(NOW, TODAY, 8)
    found = today.of_office(actor, NOW, DENPASAR, "ribbon")
    assert found.chosen.item.code == "ribbon"
    assert found.items[0].store == 60
    assert found.items[0].moved["print", "new"] == 30
    assert [item.code for item in found.not_entered] == ["ribbon"]
    waiting = today.of_office(world.actor("other_storekeeper"), NOW, BADUNG, "no-such-item").waiting
    assert [(each.id, each.sender_name) for each in waiting] == [(sent, "Kota Denpasar")]

    left = {BLANK: 60, "ribbon": 4}
    closings.close(actor, NOW, uuid4(), DENPASAR, TODAY, left, {BLANK: 30})
    assert today.of_office(actor, NOW, DENPASAR, None).closed
    assert posting.movements[0].office_id == found.office.id


def test_ones_own_entries_of_today_the_newest_first_and_only_the_newest_can_be_undone(world: World) -> None:
    first, second = uuid4(), uuid4()
    use(world, now=NOW - DAY)
    use(world, first)
    use(world, second)
    entries = undo.own_entries(world.storekeeper, NOW, DENPASAR, 10)
    assert [(each.posting, each.undo_until) for each in entries] == [(second, NOW + 10 * MINUTE), (first, None)]
    assert [(part.reason, part.quantity) for part in entries[0].parts] == [("new", 30), ("misprint", 2)]
    assert undo.own_entries(world.storekeeper, NOW, DENPASAR, 0)[0].undo_until is None
    take_back(world, second)
    entries = undo.own_entries(world.storekeeper, NOW + MINUTE, DENPASAR, 10)
    assert [(each.undone, each.undo_until is None) for each in entries] == [(True, True), (False, False)]


# --- undo --------------------------------------------------------------------------------------------------------


def test_undo_takes_all_of_the_posting_back_and_again_is_the_same(world: World) -> None:
    request = uuid4()
    use(world, request)
    posting = take_back(world, request)
    assert [each.quantity for each in posting.movements] == [-30, -2]
    assert not posting.replayed
    assert take_back(world, request, later=timedelta(hours=1)).replayed  # however late: it is done
    assert world.figures() == Effect(received=100, store=100)
    audit()


def test_undo_is_refused_to_others_later_and_where_it_would_hide_something(world: World) -> None:
    request = uuid4()
    use(world, request)
    refused("not_allowed", lambda: take_back(world, request, name="other_storekeeper"))
    refused("entry_not_found", lambda: take_back(world, uuid4()))
    refused("undo_too_late", lambda: take_back(world, request, later=timedelta(minutes=10)))
    newer = use(world, new=1, misprint=0).movements[0]
    refused("undo_not_newest", lambda: take_back(world, request))
    reverse(world, newer.id)
    refused("already_reversed", lambda: undo.undo(world.storekeeper, NOW, DENPASAR, _request_of(newer.id), 10, WHY))
    closings.close(world.storekeeper, NOW, uuid4(), DENPASAR, TODAY, {BLANK: 68}, {BLANK: 30})
    refused("undo_day_closed", lambda: take_back(world, request))
    closings.reopen(world.actor("manager"), NOW, DENPASAR, TODAY, "salah hitung")
    take_back(world, request)
    delivery = db.session.scalars(select(Movement.request_id).where(Movement.kind == "receipt")).one()
    refused("undo_other_kind", lambda: take_back(world, delivery))
    transfers_request = uuid4()
    world.send(NOW, TODAY, 5, request=transfers_request)
    refused("part_of_document", lambda: take_back(world, transfers_request))
    assert transfers.to_receive(world.actor("other_storekeeper"), BADUNG)


def test_part_of_a_posting_that_was_reversed_otherwise_keeps_the_rest_from_undo(world: World) -> None:
    request = uuid4()
    printed, _spoiled = use(world, request).movements
    reverse(world, printed.id)
    refused("already_reversed", lambda: take_back(world, request))


def test_two_presses_at_once_are_one_reversal(world: World) -> None:
    for _ in range(4):
        request = uuid4()
        use(world, request)
        outcomes = at_once(world.app, [partial(take_back, world, request)] * 4)
        assert not refused_codes(outcomes)
        assert sorted(each.replayed for each in done(outcomes)) == [False, True, True, True]
        assert world.figures() == Effect(received=100, store=100)
    audit()


def test_undo_beside_the_usual_reversal_reverses_each_movement_once(world: World) -> None:
    for _ in range(4):
        request = uuid4()
        printed = use(world, request).movements[0]
        both = partial(take_back, world, request), partial(reverse, world, printed.id)
        outcomes = at_once(world.app, both)
        assert refused_codes(outcomes) == {"already_reversed": 1}
        spoiled = world.figures().spoiled
        assert spoiled in (0, 2)
        if spoiled:
            _reverse_rest(world, request)
    assert world.figures() == Effect(received=100, store=100)
    audit()


def reverse(world: World, movement_id: int) -> Posting:
    return ledger.reverse(world.storekeeper, NOW, uuid4(), movement_id, "salah")


def _reverse_rest(world: World, request: UUID) -> None:
    rest = select(Movement.id).where(Movement.request_id == request, Movement.kind == "spoil")
    reverse(world, db.session.scalars(rest).one())


def _request_of(movement_id: int) -> UUID:
    return db.session.scalars(select(Movement.request_id).where(Movement.id == movement_id)).one()
