"""Seals and verification: whatever is written past the ledger is found, on both databases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from inventory.db import db
from inventory.domain import stocktakes as domain_stocktakes
from inventory.domain.access import SYSTEM
from inventory.domain.errors import NotAllowed
from inventory.domain.ranges import parse_ranges
from inventory.domain.transfers import Arrived
from inventory.services import deliveries, destructions, ledger, seals, stocktakes, transfers, verification
from inventory.services.deliveries import Counted, Paper
from inventory.services.transfers import Dispatch
from inventory.services.verification import Fault, Verified
from tests.conftest import NOW, TODAY
from tests.services.numbers import deliver, give_back, keep_numbers, print_cards, reverse, send, spoil
from tests.world import BADUNG, BLANK, DENPASAR, World

YESTERDAY = TODAY - timedelta(days=1)


def fill(world: World) -> None:
    """Deliveries of which one is reversed and one answers a request, prints, a reversal, spoilage and its destruction,
    a transfer short by three, a count short by one, and two seals."""
    world.deliver(NOW, YESTERDAY, 500, defective=5, bast="470/1")
    mistaken = world.deliver(NOW, YESTERDAY, 70, defective=7, bast="470/2").movements[0]
    world.reverse_receipt(NOW, mistaken.id)
    _answer(world, world.ask(NOW, YESTERDAY, 30))
    world.print(NOW, YESTERDAY, 40)
    wrong = world.print(NOW, TODAY, 30).movements[0]
    ledger.reverse(world.storekeeper, NOW, uuid4(), wrong.id, "typed twice")
    seal()
    world.spoil(NOW, TODAY, 3)
    world.print(NOW, TODAY, 25)
    out = Dispatch(
        receiver_code=BADUNG,
        purpose="distribution",
        dispatched_on=TODAY,
        expected_on=TODAY,
        sent={BLANK: 50},
        custodian="I Made Kurir",
        bast_number="470/1",
    )
    transfer_id = transfers.dispatch(world.storekeeper, NOW, uuid4(), DENPASAR, out)
    arrived = {BLANK: Arrived(good=45, damaged=2)}
    transfers.receive(world.actor("other_storekeeper"), NOW, uuid4(), transfer_id, TODAY, arrived)
    made = world.propose_destruction(NOW, TODAY, 2)
    destructions.approve(world.actor("manager"), NOW, uuid4(), made)
    stocktake_id, store = world.stocktake(NOW), world.figures().store
    for enter in (stocktakes.count, stocktakes.recount):
        enter(world.storekeeper, NOW, uuid4(), stocktake_id, {BLANK: domain_stocktakes.Counted(quantity=store - 1)})
    stocktakes.approve(world.actor("manager"), NOW, uuid4(), stocktake_id, {BLANK: -1})
    seal()


def _answer(world: World, delivery_request_id: int) -> None:
    paper = Paper(
        bast_number="470/3",
        bast_on=TODAY,
        received_on=TODAY,
        funding_source="apbd",
        supplier="Ditjen Dukcapil",
        delivery_request_id=delivery_request_id,
    )
    deliveries.record_many(world.storekeeper, NOW, uuid4(), DENPASAR, paper, {BLANK: Counted(received=30)})


_seals = iter(range(10_000))


def fill_numbers(world: World) -> None:
    """Numbers in every place, a reversal among them, and a seal."""
    keep_numbers()
    deliver(world, "A001-A100", defective="A099-A100")
    print_cards(world, "A001-A010")
    reverse(world, print_cards(world, "A011-A020"))
    spoil(world, "A021")
    give_back(world, "A031-A035")
    transfer_id = send(world, "A041-A050")
    arrived = Arrived(good=8, damaged_ranges=parse_ranges("A041"), short_ranges=parse_ranges("A042"))
    transfers.receive(world.actor("other_storekeeper"), NOW, uuid4(), transfer_id, TODAY, {BLANK: arrived})
    send(world, "A051-A055")
    seal()


def seal() -> None:
    at = NOW + timedelta(seconds=next(_seals))
    assert seals.seal_now(SYSTEM, lambda: at, "test").status == "done"


def verify() -> Verified:
    return verification.verify(SYSTEM)


def write_past_the_ledger(app: Flask, *statements: str, checks: Sequence[tuple[str, str]] = ()) -> None:
    """What somebody with the database's own password can do: the triggers and constraints off, then the change."""
    sqlite = db.engine.dialect.name == "sqlite"
    with db.engine.connect() as connection:
        if sqlite:
            switch_references(connection, "OFF")
            names = connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all()
            for name in names:
                connection.execute(text(f"DROP TRIGGER {name}"))
            connection.execute(text("PRAGMA ignore_check_constraints = ON"))
        else:
            connection.execute(text("SET session_replication_role = replica"))
            for table, name in (*CHECKS, *checks):
                connection.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT {name}"))
        for statement in statements:
            connection.execute(text(statement))
        connection.commit()
        if sqlite:
            connection.execute(text("PRAGMA ignore_check_constraints = OFF"))
        else:
            connection.execute(text("SET session_replication_role = origin"))
        connection.commit()
        if sqlite:
            switch_references(connection, "ON")


def switch_references(connection: Connection, state: str) -> None:
    """SQLite listens to this outside a transaction only, so it goes straight to the driver."""
    driver: Any = connection.connection.driver_connection
    driver.execute(f"PRAGMA foreign_keys = {state}")


CHECKS = (
    ("balances", "ck_balances_law"),
    ("movements", "ck_movements_seq"),
    ("transfer_lines", "ck_transfer_lines_accounted"),
    ("delivery_requests", "ck_delivery_requests_cancelled"),
    ("daily_totals", "ck_daily_totals_served_waiting"),
    ("proposals", "ck_proposals_second_person"),
    ("stocktake_lines", "ck_stocktake_lines_difference"),
    ("movements", "ck_movements_stocktake"),
)
PRINT = "kind = 'print' AND quantity = 25"


@pytest.mark.filled(by=fill)
def test_books_kept_by_the_ledger_agree(world: World) -> None:
    found = verify()
    assert found.faults == ()
    assert (found.movements, found.balances, found.seals) == (19, 2, 2)
    head = seals.head()
    assert head is not None
    assert found.head == head.digest
    assert verification.verify(SYSTEM, head.digest).faults == ()


CORRUPTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "changed quantity": ("daily totals", (f"UPDATE movements SET quantity = 24 WHERE {PRINT}",)),
    "changed reason": ("daily totals", (f"UPDATE movements SET reason = 'lost' WHERE {PRINT}",)),
    "changed day": ("daily totals", (f"UPDATE movements SET effective_on = '{YESTERDAY}' WHERE {PRINT}",)),
    "changed note": ("seals", (f"UPDATE movements SET note = 'nothing to see' WHERE {PRINT}",)),
    "changed actor": ("seals", (f"UPDATE movements SET actor_id = NULL WHERE {PRINT}",)),
    "deleted movement": ("sequence", (f"DELETE FROM movements WHERE {PRINT}",)),
    "deleted last movement": (
        "sequence",
        ("DELETE FROM movements WHERE id = (SELECT max(id) FROM movements)",),
    ),
    "swapped order": (
        "sequence",
        (
            "UPDATE movements SET seq = -3 WHERE seq = 3 AND office_id = (SELECT id FROM offices WHERE code = '51.71')",
            "UPDATE movements SET seq = 3 WHERE seq = 4 AND office_id = (SELECT id FROM offices WHERE code = '51.71')",
            "UPDATE movements SET seq = 4 WHERE seq = -3",
        ),
    ),
    "edited balance": ("balances", ("UPDATE balances SET store = store - 10, missing = missing + 10",)),
    "balance against the law": ("balances", ("UPDATE balances SET printed = printed + 1",)),
    "edited daily total": ("daily totals", ("UPDATE daily_totals SET quantity = quantity + 1 WHERE kind = 'print'",)),
    "deleted daily total": ("daily totals", ("DELETE FROM daily_totals WHERE kind = 'spoil'",)),
    "reversal of something else": (
        "reversals",
        ("UPDATE movements SET reverses_id = 1 WHERE kind = 'print' AND quantity < 0",),
    ),
    "edited transfer": ("transfers", ("UPDATE transfer_lines SET short = 0, received = 48",)),
    "transfer said to be cancelled": ("transfers", ("UPDATE transfers SET status = 'cancelled'",)),
    "edited breakdown of a destruction": ("destructions", ("UPDATE destruction_lines SET quantity = 1",)),
    "destruction said to be rejected": ("second person", ("UPDATE proposals SET status = 'rejected'",)),
    "destruction approved by its proposer": (
        "second person",
        ("UPDATE proposals SET decided_by_id = proposed_by_id WHERE kind = 'destruction'",),
    ),
    "changed shift": ("seals", ("UPDATE movements SET shift = 'morning' WHERE kind = 'spoil'",)),
    "edited delivery": ("deliveries", ("UPDATE deliveries SET received = 501 WHERE bast_number = '470/1'",)),
    "good ones said to be defective": (
        "deliveries",
        ("UPDATE deliveries SET defective = 6 WHERE bast_number = '470/1'",),
    ),
    "delivery said to be reversed": ("deliveries", ("UPDATE deliveries SET voided_at = recorded_at",)),
    "reversed delivery said to stand": ("deliveries", ("UPDATE deliveries SET voided_at = NULL",)),
    "delivery without movements": (
        "deliveries",
        (
            "INSERT INTO deliveries (office_id, item_id, bast_number, bast_on, received, defective, funding_source,"
            " supplier, handed_over_by, taken_over_by, note, recorded_at) SELECT office_id, item_id, '470/99', bast_on,"
            " 9, 0, 'apbn', supplier, '', '', '', recorded_at FROM deliveries WHERE bast_number = '470/1'",
        ),
    ),
    "movements moved to another delivery": (
        "deliveries",
        ("UPDATE movements SET delivery_id = (SELECT max(id) FROM deliveries) WHERE kind = 'print'",),
    ),
    "hand-over taken from its request": ("requests", ("UPDATE deliveries SET delivery_request_id = NULL",)),
    "request said to be cancelled": ("requests", ("UPDATE delivery_requests SET status = 'cancelled'",)),
    "request of another office": (
        "requests",
        ("UPDATE delivery_requests SET office_id = (SELECT id FROM offices WHERE code = '51.03')",),
    ),
    "edited difference of a count": ("stocktakes", ("UPDATE stocktake_lines SET difference = 0, book = book - 1",)),
    "count without its stocktake": ("stocktakes", ("UPDATE movements SET stocktake_id = NULL WHERE kind = 'count'",)),
    "print said to be of a stocktake": ("stocktakes", (f"UPDATE movements SET stocktake_id = 1 WHERE {PRINT}",)),
    "changed time of day": ("seals", (f"UPDATE movements SET happened_at = recorded_at WHERE {PRINT}",)),
    "deleted seal": ("seals", ("DELETE FROM seals WHERE id = (SELECT min(id) FROM seals)",)),
    "edited seal": (
        "seals",
        (f"UPDATE seals SET digest = '{'f' * 64}' WHERE id = (SELECT max(id) FROM seals)",),
    ),
    "added movement": (
        "balances",
        (
            "INSERT INTO movements (office_id, item_id, seq, kind, reason, quantity, effective_on, recorded_at,"
            " request_id, request_line, request_digest) SELECT office_id, item_id, seq + 1, 'receipt', 'supplied', 9,"
            " effective_on, recorded_at, request_id, 99, '' FROM movements WHERE id = (SELECT max(id) FROM movements)",
        ),
    ),
}


@pytest.mark.filled(by=fill)
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_what_is_written_past_the_ledger_is_found_and_left_alone(world: World, name: str) -> None:
    check, statements = CORRUPTIONS[name]
    write_past_the_ledger(world.app, *statements)
    found = verify()
    assert check in {fault.check for fault in found.faults}, found.faults
    assert verify() == found


PRINTED = "place = 'printed'"
NUMBER_CORRUPTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "changed place": ("number places", (f"UPDATE number_ranges SET place = 'destroyed' WHERE {PRINTED}",)),
    "numbers moved to another place": (
        "number balances",
        (
            f"UPDATE number_ranges SET first = 2 WHERE {PRINTED}",
            "UPDATE number_ranges SET place = 'store', first = 1, last = 1, office_id = 1 WHERE place = 'missing'",
        ),
    ),
    "deleted range": ("number places", ("DELETE FROM number_ranges WHERE place = 'missing'",)),
    "another office": (
        "number places",
        (f"UPDATE number_ranges SET office_id = (SELECT id FROM offices WHERE code = '16.09') WHERE {PRINTED}",),
    ),
    "longer range": ("number balances", ("UPDATE number_ranges SET last = 150 WHERE last = 100",)),
    "numbers of a print exchanged": (
        "number places",
        ("UPDATE movement_ranges SET first = 22, last = 31 WHERE first = 1 AND last = 10",),
    ),
    "history of a print shortened": ("number sums", ("UPDATE movement_ranges SET last = 9 WHERE last = 10",)),
    "history of another item": (
        "number sums",
        ("UPDATE movement_ranges SET item_id = (SELECT id FROM items WHERE code = 'kia') WHERE last = 10",),
    ),
    "deleted history": ("number sums", ("DELETE FROM movement_ranges WHERE last = 10",)),
    "history that is sealed": (
        "seals",
        ("UPDATE movement_ranges SET first = 22, last = 31 WHERE first = 1 AND last = 10",),
    ),
    "reversal of other numbers": (
        "number sums",
        (
            "UPDATE movement_ranges SET first = 1, last = 10 WHERE first = 11 AND last = 20 AND request_id ="
            " (SELECT request_id FROM movements WHERE reverses_id IS NOT NULL)",
        ),
    ),
    "handed over to nobody": (
        "number places",
        ("UPDATE number_ranges SET place = 'outside' WHERE place = 'transit'",),
    ),
    "numbers no longer kept": ("number sums", ("UPDATE items SET numbered = false",)),
}


@pytest.mark.filled(by=fill_numbers)
def test_books_with_numbers_agree(world: World) -> None:
    assert verify().faults == ()


@pytest.mark.filled(by=fill_numbers)
@pytest.mark.parametrize("name", NUMBER_CORRUPTIONS)
def test_numbers_written_past_the_ledger_are_found_and_left_alone(world: World, name: str) -> None:
    check, statements = NUMBER_CORRUPTIONS[name]
    write_past_the_ledger(world.app, *statements)
    found = verify()
    assert check in {fault.check for fault in found.faults}, found.faults
    assert verify() == found


@pytest.mark.filled(by=fill_numbers)
def test_the_first_wrong_number_is_named(world: World) -> None:
    write_past_the_ledger(world.app, f"UPDATE number_ranges SET place = 'destroyed' WHERE {PRINTED}")
    expected = Fault(
        check="number places",
        row=f"office {DENPASAR}, item {BLANK}, A001–A010",
        what="it is said to be destroyed, its movements say otherwise",
    )
    assert expected in verify().faults


@pytest.mark.filled(by=fill)
def test_the_first_wrong_row_is_named(world: World) -> None:
    write_past_the_ledger(world.app, f"UPDATE movements SET quantity = 24 WHERE {PRINT}")
    expected = Fault(
        check="daily totals",
        row=f"office {DENPASAR}, item {BLANK}, {TODAY} print new",
        what="it says 25 (0 waited), its movements say 24",
    )
    assert expected in verify().faults


@pytest.mark.filled(by=fill)
def test_a_head_kept_elsewhere_must_stand_in_the_chain(world: World) -> None:
    kept = "ab" * 32
    assert [fault.check for fault in verification.verify(SYSTEM, kept).faults] == ["seals"]


@pytest.mark.filled(by=fill)
def test_history_sealed_anew_is_told_by_the_head_that_was_kept(world: World) -> None:
    head = seals.head()
    assert head is not None
    write_past_the_ledger(world.app, f"UPDATE movements SET note = 'forged' WHERE {PRINT}", "DELETE FROM seals")
    seal()
    assert verify().faults == ()
    assert [fault.check for fault in verification.verify(SYSTEM, head.digest).faults] == ["seals"]


@pytest.mark.filled(by=fill)
def test_sealing_again_adds_nothing(world: World) -> None:
    before = seals.head()
    seal()
    assert seals.head() == before


@pytest.mark.filled(by=fill)
@pytest.mark.parametrize("statement", ["UPDATE seals SET movements = 1", "DELETE FROM seals"])
def test_the_database_refuses_to_change_a_seal(world: World, statement: str) -> None:
    with pytest.raises(DBAPIError, match="append-only"):
        db.session.execute(text(statement))
    db.session.rollback()


def test_a_storekeeper_neither_seals_nor_verifies(world: World) -> None:
    with pytest.raises(NotAllowed):
        verification.verify(world.storekeeper)
    with pytest.raises(NotAllowed):
        seals.seal_now(world.storekeeper, lambda: NOW, "test")
