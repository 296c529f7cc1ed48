"""What tests of number ranges have in common: an item whose numbers are kept, and a plain look at where they are."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select

from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.domain.ledger import PLACES
from inventory.domain.ranges import count, joined, parse_ranges, write_ranges
from inventory.models import Balance, Item, Movement, MovementRange, NumberRange, Office
from inventory.services import balances, consumption, deliveries, items, ledger, reversals, transfers, verification
from inventory.services.consumption import Printed
from inventory.services.deliveries import Handover
from inventory.services.ledger import Posting
from inventory.services.transfers import Dispatch
from tests.conftest import NOW, TODAY
from tests.world import BADUNG, BLANK, DENPASAR, World


def keep_numbers(code: str = BLANK) -> None:
    items.keep_numbers(code)


def deliver(
    world: World,
    typed: str,
    *,
    defective: str = "",
    received: int = 0,
    day: date = TODAY,
    who: str = "storekeeper",
    office: str = DENPASAR,
    request: UUID | None = None,
) -> Posting:
    request = request or uuid4()
    handover = Handover(
        bast_number=f"BAST/{request.hex[:10]}",
        bast_on=day,
        received_on=day,
        asked=None,
        received=received,
        defective=0,
        funding_source="apbn",
        supplier="Ditjen Dukcapil",
    )
    numbers = {"ranges": parse_ranges(typed), "defective_ranges": parse_ranges(defective)}
    return deliveries.record(world.actor(who), NOW, request, office, BLANK, handover, **numbers)


def print_cards(
    world: World, typed: str, quantity: int = 0, *, reason: str = "new", day: date = TODAY, request: UUID | None = None
) -> Posting:
    return consumption.post_printed(
        world.storekeeper,
        NOW,
        request or uuid4(),
        DENPASAR,
        BLANK,
        day,
        {reason: Printed(quantity)},
        ranges={reason: parse_ranges(typed)},
    )


def spoil(world: World, typed: str, *, request: UUID | None = None) -> Posting:
    return consumption.post_spoiled(
        world.storekeeper,
        NOW,
        request or uuid4(),
        DENPASAR,
        BLANK,
        TODAY,
        {},
        ranges={"misprint": parse_ranges(typed)},
    )


def give_back(world: World, typed: str, *, request: UUID | None = None) -> Posting:
    return consumption.post_returned(
        world.storekeeper, NOW, request or uuid4(), DENPASAR, BLANK, TODAY, 0, "recalled", ranges=parse_ranges(typed)
    )


def send(world: World, typed: str, *, request: UUID | None = None, **changes: Any) -> int:
    ranges = {BLANK: parse_ranges(typed)}
    return world.send(NOW, TODAY, 0, request=request, ranges=ranges, **changes)


def send_back(world: World, typed: str) -> int:
    """Badung sends to Denpasar."""
    out = Dispatch(
        receiver_code=DENPASAR,
        purpose="distribution",
        dispatched_on=TODAY,
        expected_on=TODAY,
        sent={},
        custodian="Ni Luh Kurir",
        bast_number="470/13/2024",
        ranges={BLANK: parse_ranges(typed)},
    )
    return transfers.dispatch(world.actor("other_storekeeper"), NOW, uuid4(), BADUNG, out)


def reverse(world: World, posting: Posting, line: int = 0) -> Posting:
    movement_id = posting.movements[line].id
    if reversals.needs_approval(world.storekeeper, movement_id):
        return world.reverse_receipt(NOW, movement_id)
    return ledger.reverse(world.storekeeper, NOW, uuid4(), movement_id, "a slip")


def where() -> dict[tuple[str, str], str]:
    """Office and place → the numbers there, as people write them."""
    db.session.rollback()
    rows = db.session.execute(select(NumberRange, Office.code).join(Office, Office.id == NumberRange.office_id))
    found: dict[tuple[str, str], list[Any]] = {}
    for row, office in rows:
        found.setdefault((office, row.place), []).append((row.prefix, row.width, row.first, row.last))
    return {key: write_ranges(parse_ranges(", ".join(map(typed, ranges)))) for key, ranges in found.items()}


def typed(numbers: tuple[str, int, int, int]) -> str:
    prefix, width, first, last = numbers
    return f"{prefix}{first:0{width}d}-{prefix}{last:0{width}d}"


def audit() -> None:
    """Number by number: what the history adds up to is what the quantities say, and what each place is said to hold."""
    db.session.rollback()
    numbered = set(db.session.scalars(select(Item.id).where(Item.numbered)))
    moved: dict[tuple[Any, int], int] = {}
    for row in db.session.scalars(select(MovementRange)):
        key = row.request_id, row.request_line
        moved[key] = moved.get(key, 0) + row.last - row.first + 1
    for movement in db.session.scalars(select(Movement)):
        expected = abs(movement.quantity) if movement.item_id in numbered else 0
        assert moved.pop((movement.request_id, movement.request_line), 0) == expected
    assert moved == {}
    held: dict[tuple[int, int, str], set[tuple[str, int, int]]] = {}
    seen: set[tuple[int, str, int, int]] = set()
    for row in db.session.scalars(select(NumberRange)):
        for number in range(row.first, row.last + 1):
            assert (row.item_id, row.prefix, row.width, number) not in seen
            seen.add((row.item_id, row.prefix, row.width, number))
            held.setdefault((row.office_id, row.item_id, row.place), set()).add((row.prefix, row.width, number))
    for balance in db.session.scalars(select(Balance).where(Balance.item_id.in_(numbered))):
        for place in PLACES:
            found = held.get((balance.office_id, balance.item_id, place), set())
            assert len(found) == getattr(balance, place), place
    db.session.rollback()
    assert verification.verify(SYSTEM).faults == ()


def size(typed: str) -> int:
    return count(parse_ranges(typed))


def figures(office: str = DENPASAR) -> dict[str, int]:
    found = [each.figures for each in balances.of_office(SYSTEM, office) if each.item_code == BLANK]
    return {name: value for name, value in found[0]._asdict().items() if value} if found else {}


def union(parts: Iterable[str]) -> str:
    return write_ranges(joined(sorted(each for part in parts for each in parse_ranges(part))))
