"""Lots from the ledger's own daily totals, on both databases."""

from __future__ import annotations

from datetime import date, timedelta
from uuid import uuid4

import pytest

from inventory.domain.access import SYSTEM
from inventory.domain.errors import NotAllowed
from inventory.services import deliveries, lots
from inventory.services.deliveries import Counted, Paper
from tests.conftest import NOW, TODAY
from tests.world import BLANK, DENPASAR, World

YESTERDAY = TODAY - timedelta(days=1)


def grant(world: World, day: date, quantity: int, defective: int = 0) -> int:
    """A delivery of a regional grant; its id."""
    paper = Paper(
        bast_number=f"BAST/{uuid4().hex[:10]}",
        bast_on=day,
        received_on=day,
        funding_source="apbd",
        supplier="Pemerintah Provinsi",
    )
    counted = {BLANK: Counted(received=quantity, defective=defective)}
    posting = deliveries.record_many(world.storekeeper, NOW, uuid4(), DENPASAR, paper, counted)
    delivery_id = posting.movements[0].delivery_id
    assert delivery_id is not None
    return delivery_id


def state(world: World, day: date, quantity: int) -> int:
    delivery_id = world.deliver(NOW, day, quantity).movements[0].delivery_id
    assert delivery_id is not None
    return delivery_id


def test_the_grant_is_used_up_first_and_the_rest_is_the_store(world: World) -> None:
    old, granted = state(world, YESTERDAY, 100), grant(world, YESTERDAY, 60, defective=5)
    world.print(NOW, YESTERDAY, 20)
    assert lots.granted(world.storekeeper, DENPASAR) == {BLANK: 35}
    world.spoil(NOW, TODAY, 5)
    world.print(NOW, TODAY, 50)
    found = lots.of_deliveries(world.storekeeper, DENPASAR)
    assert found == {old: 80, granted: 0}
    assert sum(found.values()) == world.figures().store
    assert lots.granted(world.storekeeper, DENPASAR) == {BLANK: 0}


def test_what_is_entered_late_is_replayed_in_its_place(world: World) -> None:
    state(world, YESTERDAY, 100)
    world.print(NOW, YESTERDAY, 30)
    late = grant(world, YESTERDAY, 10)
    assert lots.of_deliveries(SYSTEM, DENPASAR)[late] == 0
    today = grant(world, TODAY, 10)
    assert lots.of_deliveries(SYSTEM, DENPASAR)[today] == 10


def test_a_reversed_grant_is_no_lot(world: World) -> None:
    state(world, TODAY, 100)
    delivery_id = grant(world, TODAY, 40)
    movement = deliveries_movement(delivery_id)
    world.reverse_receipt(NOW, movement)
    assert delivery_id not in lots.of_deliveries(SYSTEM, DENPASAR)
    assert lots.granted(SYSTEM, DENPASAR) == {}


def deliveries_movement(delivery_id: int) -> int:
    from sqlalchemy import text

    from inventory.db import db

    found = db.session.scalar(text("SELECT min(id) FROM movements WHERE delivery_id = :id"), {"id": delivery_id})
    assert found is not None
    return found


def test_an_office_that_never_had_a_grant_has_nothing_to_use_first(world: World) -> None:
    state(world, TODAY, 100)
    assert lots.granted(world.storekeeper, DENPASAR) == {}


def test_what_others_have_is_not_told(world: World) -> None:
    with pytest.raises(NotAllowed):
        lots.granted(world.actor("other_storekeeper"), DENPASAR)
    with pytest.raises(NotAllowed):
        lots.of_deliveries(world.actor("administrator"), DENPASAR)
