"""Number ranges when many take them at once, each over a connection of its own, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask

from inventory.domain.ranges import parse_ranges
from inventory.domain.transfers import Arrived
from inventory.services import deliveries, items, ledger, transfers
from tests import concurrent
from tests.concurrent import at_once, done, refused_codes
from tests.conftest import NOW, TODAY
from tests.services.numbers import (
    audit,
    deliver,
    figures,
    give_back,
    keep_numbers,
    print_cards,
    send,
    spoil,
    where,
)
from tests.world import BADUNG, BLANK, DENPASAR, World

CLIENTS = 16


@pytest.fixture
def app(crowded_app: Flask) -> Flask:
    return crowded_app


@pytest.fixture(autouse=True)
def numbered(world: World) -> None:
    keep_numbers()


def checked() -> None:
    audit()
    concurrent.audit()


def test_of_sixteen_who_print_the_same_numbers_exactly_one_does(world: World) -> None:
    deliver(world, "A0001-A1000")
    for start in (100, 200, 300):
        outcomes = at_once(world.app, [lambda s=start: print_cards(world, f"A{s:04}-A{s + 49:04}")] * CLIENTS)
        assert refused_codes(outcomes) == {"range_not_here": CLIENTS - 1}
    assert figures() == {"received": 1000, "store": 850, "printed": 150}
    checked()


def test_parts_of_one_range_taken_at_once_are_all_taken(world: World) -> None:
    deliver(world, "A0001-A1000")
    parts = [f"A{n * 60 + 1:04}-A{n * 60 + 50:04}" for n in range(CLIENTS)]
    uses = (print_cards, spoil, give_back, send)
    outcomes = at_once(world.app, [lambda part=part, use=uses[n % 4]: use(world, part) for n, part in enumerate(parts)])
    assert not refused_codes(outcomes)
    assert figures() == {"received": 1000, "sent": 200, "store": 200, "transit": 200, "printed": 200, "spoiled": 200}
    assert where()[DENPASAR, "printed"] == "A0001–A0050, A0241–A0290, A0481–A0530, A0721–A0770"
    checked()


def test_overlapping_parts_are_each_taken_by_one(world: World) -> None:
    deliver(world, "A0001-A1000")
    parts = [f"A{n * 30 + 1:04}-A{n * 30 + 50:04}" for n in range(CLIENTS)]
    outcomes = at_once(world.app, [lambda part=part: print_cards(world, part) for part in parts])
    assert set(refused_codes(outcomes)) == {"range_not_here"}
    assert figures()["printed"] == 50 * len(done(outcomes))
    assert len(done(outcomes)) >= 2
    checked()


def test_of_deliveries_that_bring_the_same_number_one_is_taken(world: World) -> None:
    """To two offices, whose balances do not hold each other up."""

    def bring(n: int, typed: str) -> Callable[[], Any]:
        who, office = (("storekeeper", DENPASAR), ("other_storekeeper", BADUNG))[n % 2]
        return lambda: deliver(world, typed, who=who, office=office)

    for turn in range(8):
        start = 1000 * turn + 1000
        typed = [f"A{start:05}-A{start + 99:05}", f"A{start + 50:05}-A{start + 149:05}"]
        outcomes = at_once(world.app, [bring(n, typed[n % 2]) for n in range(8)])
        assert refused_codes(outcomes) == {"range_known": 7}
    checked()


def test_numbers_outside_are_taken_up_once(world: World) -> None:
    deliver(world, "A0001-A0100")
    give_back(world, "A0001-A0100")
    calls: list[Callable[[], Any]] = [
        lambda: deliver(world, "A0001-A0050", who="other_storekeeper", office=BADUNG),
        lambda: deliver(world, "A0050-A0120"),
    ]
    assert refused_codes(at_once(world.app, calls * 4)) == {"range_known": 7}
    checked()


def test_a_delivery_and_a_return_reversed_at_once_do_not_both_bring_the_numbers(world: World) -> None:
    actor = world.storekeeper
    for turn in range(6):
        typed = f"A{turn:02}01-A{turn:02}50"
        deliver(world, typed)
        returned = give_back(world, typed).movements[0].id
        outcomes = at_once(
            world.app,
            [
                lambda returned=returned: ledger.reverse(actor, NOW, uuid4(), returned, "kept after all"),
                lambda typed=typed: deliver(world, typed, who="other_storekeeper", office=BADUNG),
            ],
        )
        assert len(done(outcomes)) == 1
        assert set(refused_codes(outcomes)) <= {"range_moved_on", "range_known"}
    checked()


def test_a_dispatch_races_with_a_print_of_the_same_numbers(world: World) -> None:
    deliver(world, "A0001-A1000")
    for turn in range(8):
        start = turn * 100 + 1
        typed, within = f"A{start:04}-A{start + 49:04}", f"A{start + 10:04}"
        calls: list[Callable[[], Any]] = [
            lambda typed=typed: send(world, typed),
            lambda within=within: print_cards(world, within),
        ]
        outcomes = at_once(world.app, calls)
        assert refused_codes(outcomes) == {"range_not_here": 1}
    checked()


def test_receiving_and_cancelling_a_transfer_at_once_moves_its_numbers_once(world: World) -> None:
    deliver(world, "A0001-A1000")
    receiver, sender = world.actor("other_storekeeper"), world.storekeeper
    for turn in range(5):
        typed = f"A{turn * 100 + 1:04}-A{turn * 100 + 50:04}"
        transfer_id = send(world, typed)
        came = {BLANK: Arrived(good=49, short_ranges=parse_ranges(typed[:5]))}
        calls: list[Callable[[], Any]] = [
            lambda t=transfer_id, came=came: transfers.receive(receiver, NOW, uuid4(), t, TODAY, came),
            lambda t=transfer_id: transfers.cancel(sender, NOW, uuid4(), t, TODAY, "back"),
        ]
        assert refused_codes(at_once(world.app, calls * 3)) == {"transfer_closed": 5}
    checked()


def test_the_same_posting_sent_by_sixteen_moves_the_numbers_once(world: World) -> None:
    deliver(world, "A0001-A1000")
    request = uuid4()
    outcomes = at_once(world.app, [lambda: print_cards(world, "A0100-A0149", request=request)] * CLIENTS)
    assert not refused_codes(outcomes)
    assert len({posting.movements[0].id for posting in outcomes}) == 1
    assert sum(not posting.replayed for posting in outcomes) == 1
    checked()


def test_choosing_to_keep_numbers_races_with_the_first_delivery(world: World) -> None:
    for code in ("ktp-wna", "kia", "ribbon", "film"):
        calls: list[Callable[[], Any]] = [
            lambda code=code: items.keep_numbers(code),
            lambda code=code: bring_without_numbers(world, code),
        ]
        outcomes = at_once(world.app, calls)
        assert len(done(outcomes)) == 1
        assert items.get(code).numbered == (not isinstance(outcomes[0], Exception))
    checked()


def bring_without_numbers(world: World, code: str) -> Any:
    return deliveries.record_opening(world.storekeeper, NOW, uuid4(), DENPASAR, code, TODAY, 5, "")
