"""Transfers between offices, on both databases and with real connections where two people act at once."""

from __future__ import annotations

import threading
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from inventory.db import db
from inventory.domain.access import SYSTEM, Actor
from inventory.domain.errors import Invalid, NotAllowed, NotFound, Refusal
from inventory.domain.ledger import Effect
from inventory.domain.transfers import Arrived
from inventory.services import balances, ledger, transfers, verification
from inventory.services.transfers import Dispatch, TransferView
from tests.conftest import NOW, TODAY
from tests.world import BADUNG, BLANK, DENPASAR, World

TOMORROW = TODAY + timedelta(days=1)


def send(world: World, quantity: int = 40, *, request: UUID | None = None, **changes: Any) -> int:
    return world.send(NOW, TODAY, quantity, request=request, **changes)


def receiver(world: World) -> Actor:
    return world.actor("other_storekeeper")


def receive(
    world: World, transfer_id: int, good: int, damaged: int = 0, *, request: UUID | None = None, day: date = TODAY
) -> int:
    arrived = {BLANK: Arrived(good=good, damaged=damaged)}
    return transfers.receive(receiver(world), NOW, request or uuid4(), transfer_id, day, arrived)


def figures(office: str) -> Effect:
    found = [each for each in balances.of_office(SYSTEM, office) if each.item_code == BLANK]
    return found[0].figures if found else Effect()


def shown(world: World, transfer_id: int) -> TransferView:
    return transfers.get(world.storekeeper, NOW, transfer_id)


def test_what_is_under_way_is_in_nobodys_store_and_nowhere_lost(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    send(world)
    assert figures(DENPASAR) == Effect(received=100, store=60, transit=40)
    assert figures(BADUNG) == Effect()
    with pytest.raises(Refusal, match="not_enough_stock"):
        world.print(NOW, TODAY, 61)


def test_every_card_sent_is_accounted_for_line_by_line(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    transfer_id = send(world)
    receive(world, transfer_id, 35, 2)
    assert figures(DENPASAR) == Effect(received=100, sent=37, store=60, missing=3)
    assert figures(BADUNG) == Effect(received=37, store=35, spoiled=2)
    line = shown(world, transfer_id).lines[0]
    assert (line.sent, line.received, line.short, line.damaged) == (40, 35, 3, 2)


def test_more_than_was_sent_is_recorded_as_over_until_the_sender_explains_it(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    transfer_id = send(world)
    receive(world, transfer_id, 42, 1)
    assert figures(DENPASAR) == Effect(received=100, sent=43, store=60, missing=-3)
    assert figures(BADUNG) == Effect(received=43, store=42, spoiled=1)
    line = shown(world, transfer_id).lines[0]
    assert (line.sent, line.received, line.short, line.damaged, line.over) == (40, 42, 0, 1, 3)
    assert verification.verify(SYSTEM).faults == ()


def test_the_database_accounts_for_every_card_of_a_transfer(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    receive(world, send(world), 35, 2)
    for wrong in ("short = 4", "received = 40", "short = 0, received = 36", "damaged = -1, received = 38"):
        with pytest.raises(IntegrityError, match="accounted"):
            db.session.execute(text(f"UPDATE transfer_lines SET {wrong}"))
        db.session.rollback()


def test_a_transfer_is_closed_once(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    transfer_id = send(world)
    request = uuid4()
    receive(world, transfer_id, 40, request=request)
    assert receive(world, transfer_id, 40, request=request) == transfer_id
    with pytest.raises(Refusal, match="transfer_closed"):
        receive(world, transfer_id, 40)
    with pytest.raises(Refusal, match="transfer_closed"):
        transfers.cancel(world.storekeeper, NOW, uuid4(), transfer_id, TODAY, "too late")
    assert figures(BADUNG).store == 40
    assert figures(DENPASAR) == Effect(received=100, sent=40, store=60)


def test_a_cancelled_transfer_goes_back_into_the_store(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    transfer_id = send(world, note="two boxes")
    with pytest.raises(Invalid, match="cancel_needs_reason"):
        transfers.cancel(world.storekeeper, NOW, uuid4(), transfer_id, TODAY, " ")
    transfers.cancel(world.storekeeper, NOW, uuid4(), transfer_id, TODAY, " the road is flooded ")
    assert shown(world, transfer_id).note == "two boxes · the road is flooded"
    assert figures(DENPASAR) == Effect(received=100, store=100)
    with pytest.raises(Refusal, match="transfer_closed"):
        receive(world, transfer_id, 40)


def test_a_dispatch_sent_again_is_one_transfer(world: World) -> None:
    world.deliver(NOW, TODAY, 40)
    request = uuid4()
    first = send(world, 40, request=request)
    assert send(world, 40, request=request) == first
    with pytest.raises(Refusal, match="request_id_reused"):
        send(world, 40, request=request, receiver_code="16.09")
    assert figures(DENPASAR) == Effect(received=40, transit=40)
    assert len(transfers.of_office(world.storekeeper, NOW, DENPASAR)) == 1


def test_a_part_of_a_transfer_is_not_reversed_by_itself(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    send(world)
    out = db.session.scalar(text("SELECT id FROM movements WHERE kind = 'dispatch'"))
    with pytest.raises(Refusal, match="part_of_document"):
        ledger.reverse(world.storekeeper, NOW, uuid4(), out, "wrong")


def test_each_end_acts_for_itself(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    transfer_id = send(world)
    with pytest.raises(NotAllowed):
        transfers.receive(world.storekeeper, NOW, uuid4(), transfer_id, TODAY, {BLANK: Arrived(good=40)})
    with pytest.raises(NotAllowed):
        transfers.cancel(receiver(world), NOW, uuid4(), transfer_id, TODAY, "mine")
    assert transfers.get(receiver(world), NOW, transfer_id).custodian == "I Made Kurir"
    with pytest.raises(NotFound):
        transfers.get(world.actor("administrator"), NOW, transfer_id)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"receiver_code": DENPASAR}, "same_office"),
        ({"receiver_code": "99"}, "office_not_found"),
        ({"sent": {}}, "nothing_entered"),
        ({"purpose": "gift"}, "purpose_unknown"),
        ({"custodian": " "}, "custodian_missing"),
        ({"bast_number": ""}, "bast_number_missing"),
        ({"expected_on": TODAY - timedelta(days=1)}, "expected_before_dispatch"),
        ({"purpose": "loan"}, "loan_needs_due_date"),
        ({"due_on": TOMORROW}, "loan_needs_due_date"),
        ({"dispatched_on": TOMORROW}, "day_in_future"),
        ({"repays_id": 99}, "loan_not_found"),
        ({"sent": {BLANK: 101}}, "not_enough_stock"),
    ],
)
def test_a_dispatch_that_cannot_be_is_refused(world: World, changes: dict[str, Any], code: str) -> None:
    world.deliver(NOW, TODAY, 100)
    with pytest.raises(Refusal, match=code):
        send(world, **changes)
    assert figures(DENPASAR) == Effect(received=100, store=100)


def test_a_transfer_is_overdue_after_the_day_it_was_expected(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    transfer_id = send(world)
    assert transfers.overdue(world.storekeeper, NOW + timedelta(days=1)) == []
    late = transfers.overdue(receiver(world), NOW + timedelta(days=2))
    assert [each.id for each in late] == [transfer_id]
    assert transfers.overdue(world.actor("administrator"), NOW + timedelta(days=2)) == []
    receive(world, transfer_id, 40)
    assert transfers.overdue(world.storekeeper, NOW + timedelta(days=2)) == []


def test_a_loan_is_owed_until_it_is_given_back(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    loan = send(world, 40, purpose="loan", due_on=TODAY + timedelta(days=30))
    assert transfers.owed(world.storekeeper, NOW, DENPASAR) == []
    receive(world, loan, 38, 2)
    for office, actor in ((DENPASAR, world.storekeeper), (BADUNG, receiver(world))):
        assert [left for _, left in transfers.owed(actor, NOW, office)] == [{BLANK: 38}]
    back = Dispatch(
        receiver_code=DENPASAR,
        purpose="return",
        dispatched_on=TODAY,
        expected_on=TOMORROW,
        sent={BLANK: 30},
        custodian="Ni Luh Kurir",
        bast_number="470/13/2024",
        repays_id=loan,
    )
    returned = transfers.dispatch(receiver(world), NOW, uuid4(), BADUNG, back)
    transfers.receive(world.storekeeper, NOW, uuid4(), returned, TODAY, {BLANK: Arrived(good=30)})
    assert [left for _, left in transfers.owed(world.storekeeper, NOW, DENPASAR)] == [{BLANK: 8}]


def test_of_ten_who_receive_and_cancel_at_once_one_does(app: Flask) -> None:
    with app.app_context():
        world = World(app)
        world.deliver(NOW, TODAY, 100)
        transfer_id = send(world)
        db.session.remove()
    barrier = threading.Barrier(10)
    outcomes: list[str] = []

    def act(number: int) -> None:
        with app.app_context():
            world = World(app)
            actor = receiver(world) if number % 2 else world.storekeeper
            barrier.wait()
            try:
                if number % 2:
                    transfers.receive(actor, NOW, uuid4(), transfer_id, TODAY, {BLANK: Arrived(good=40)})
                else:
                    transfers.cancel(actor, NOW, uuid4(), transfer_id, TODAY, "back")
                outcomes.append("done")
            except Refusal as refusal:
                outcomes.append(refusal.code)
            finally:
                db.session.remove()

    threads = [threading.Thread(target=act, args=[number]) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["done"] + ["transfer_closed"] * 9
    with app.app_context():
        assert figures(DENPASAR).store + figures(BADUNG).store == 100
        assert figures(DENPASAR).transit == 0


def test_the_database_refuses_a_transfer_that_does_not_add_up(world: World) -> None:
    world.deliver(NOW, TODAY, 100)
    send(world)
    for change in ("received = 39, short = 0, damaged = 0", "received = 41, short = -1, damaged = 0", "received = 40"):
        with pytest.raises(IntegrityError, match="accounted"):
            db.session.execute(text(f"UPDATE transfer_lines SET {change}"))
        db.session.rollback()
