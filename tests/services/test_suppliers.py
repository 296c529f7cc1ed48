"""The suppliers' fill rates and waits, on both databases."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest

from inventory.domain.access import SYSTEM, Actor
from inventory.domain.errors import Invalid, NotAllowed
from inventory.services import deliveries, requests, suppliers
from inventory.services.deliveries import Counted, Paper
from inventory.services.requests import Allotment, Asking
from inventory.services.suppliers import Performance, Supplier
from tests.conftest import NOW, TODAY
from tests.world import BADUNG, BLANK, DENPASAR, World

MAY, APRIL = date(2024, 5, 1), date(2024, 4, 1)
MONDAY = date(2024, 5, 6)
"""Of the week before TODAY's; Thursday the 9th and Friday the 10th are days off (Ascension)."""


def hand_over(world: World, day: date, received: int, *, office: str = DENPASAR, **changes: Any) -> int:
    """A record of hand-over of citizen blanks; its movement's id."""
    counted = Counted(received=received, **{k: changes.pop(k) for k in ("asked", "allotted") if k in changes})
    paper = Paper(
        **{
            "bast_number": f"BAST/{uuid4().hex[:10]}",
            "bast_on": day,
            "received_on": day,
            "funding_source": "apbn",
            "supplier": "Ditjen Dukcapil",
            **changes,
        }
    )
    actor = world.storekeeper if office == DENPASAR else world.actor("other_storekeeper")
    return deliveries.record_many(actor, NOW, uuid4(), office, paper, {BLANK: counted}).movements[0].id


def found(actor: Actor = SYSTEM, office: str = DENPASAR, since: date = APRIL) -> dict[str, Supplier]:
    return {each.name: each for each in suppliers.performance(actor, office, since, TODAY)[1]}


def test_hand_overs_that_say_what_was_asked_count_by_month(world: World) -> None:
    hand_over(world, APRIL, 2_000, asked=10_000)
    hand_over(world, TODAY, 3_000, asked=4_000, allotted=3_000)
    hand_over(world, TODAY, 70)
    [supplier] = found().values()
    of_month = dict(supplier.months)
    assert list(of_month) == [MAY, APRIL]
    assert (of_month[APRIL].fill_rate, of_month[APRIL].fill_rate_of_allotted) == (0.2, None)
    assert of_month[MAY] == Performance(
        asked=4_000, received=3_000, allotted=3_000, received_of_allotted=3_000, hand_overs=2, days=None
    )
    assert (supplier.total.asked, supplier.total.received, supplier.total.hand_overs) == (14_000, 5_000, 3)


def test_a_request_counts_once_it_is_closed_however_many_hand_overs_it_took(world: World) -> None:
    asked = world.ask(NOW, MONDAY, 1_000)
    hand_over(world, MONDAY + timedelta(days=1), 300, asked=1_000, delivery_request_id=asked)
    [supplier] = found().values()
    assert (supplier.total.asked, supplier.total.hand_overs, supplier.total.fill_rate) == (0, 1, None)
    allotted = {BLANK: Allotment(allotted=800)}
    requests.allot(world.actor("manager"), NOW, uuid4(), asked, 2, allotted)
    hand_over(world, TODAY, 100, asked=700, delivery_request_id=asked)
    version = requests.get(SYSTEM, NOW, asked).request.version
    requests.close(world.storekeeper, NOW, uuid4(), asked, version, "nothing more")
    [supplier] = found().values()
    total = supplier.total
    assert (total.asked, total.allotted, total.received, total.hand_overs) == (1_000, 800, 400, 2)
    assert (total.fill_rate, total.fill_rate_of_allotted) == (0.4, 0.5)
    # One came after one working day; the other after Tuesday, Wednesday, Monday, Tuesday and Wednesday: five.
    assert total.days == 3.0


def test_names_that_differ_in_case_are_one_supplier(world: World) -> None:
    hand_over(world, TODAY, 5, asked=10, supplier="Ditjen Dukcapil")
    hand_over(world, TODAY, 5, asked=10, supplier=" DITJEN dukcapil ")
    hand_over(world, TODAY, 5, asked=30, supplier="Provinsi Bali")
    totals = {name.lower(): each.total.asked for name, each in found().items()}
    assert totals == {"ditjen dukcapil": 20, "provinsi bali": 30}
    assert [each.total.asked for each in suppliers.performance(SYSTEM, DENPASAR, APRIL, TODAY)[1]] == [30, 20]
    assert [name.lower() for name in deliveries.supplier_names(world.storekeeper)] == [
        "ditjen dukcapil",
        "provinsi bali",
    ]
    assert deliveries.supplier_names(world.actor("other_storekeeper")) == []


def test_what_was_reversed_or_cancelled_or_lies_outside_is_left_out(world: World) -> None:
    movement = hand_over(world, TODAY, 5, asked=10)
    world.reverse_receipt(NOW, movement)
    asked = world.ask(NOW, TODAY, 10)
    requests.cancel(world.storekeeper, NOW, uuid4(), asked, 1, "not needed")
    hand_over(world, date(2024, 1, 2), 5, asked=10)
    assert found() == {}
    assert found(since=date(2024, 1, 2))["Ditjen Dukcapil"].total.asked == 10


def test_an_office_above_sees_those_below_and_no_others(world: World) -> None:
    hand_over(world, TODAY, 5, asked=10)
    hand_over(world, TODAY, 5, asked=100, office=BADUNG)
    theirs = Asking(supplier="Ditjen Dukcapil", asked_on=TODAY, asked={BLANK: 7})
    requests.ask(world.actor("other_storekeeper"), NOW, uuid4(), BADUNG, theirs)
    assert found(world.actor("regional"), "51")["Ditjen Dukcapil"].total.asked == 110
    assert found(world.actor("manager"))["Ditjen Dukcapil"].total.asked == 10
    with pytest.raises(NotAllowed):
        found(world.actor("manager"), "51")


def test_a_period_is_bounded(world: World) -> None:
    with pytest.raises(Invalid, match="period_backwards"):
        found(since=TODAY + timedelta(days=1))
    with pytest.raises(Invalid, match="period_too_long"):
        found(since=TODAY - timedelta(days=732))
