"""What makes more or less come to a stock has it held against its case too, although its store is the same; on both
databases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import delete, select

from inventory.db import db
from inventory.domain.access import SYSTEM
from inventory.domain.errors import Refusal
from inventory.domain.transfers import Arrived
from inventory.models import Item, Office, StockCheck
from inventory.services import deliveries, offices, requests, stock_checks, transfers
from inventory.services.deliveries import Counted, Handover, Paper
from inventory.services.requests import Allotment
from inventory.services.transfers import Dispatch
from tests.concurrent import at_once
from tests.conftest import NOW, TODAY
from tests.services.test_stock_checks import look, safe_stock, the_case
from tests.world import BADUNG, BLANK, DENPASAR, World

TEAM = "51.03.90"
RIBBON = "ribbon"


def handover(quantity: int, **changes: Any) -> Handover:
    said: dict[str, Any] = {"bast_number": f"BAST/{uuid4().hex[:8]}", "bast_on": TODAY, "received_on": TODAY}
    said |= {"asked": None, "received": quantity, "defective": 0, "funding_source": "apbn", "supplier": "Ditjen"}
    return Handover(**(said | changes))


def two_stocks(world: World) -> None:
    """Denpasar and Badung each hold 1,000 citizen blanks, and nothing waits for a look."""
    world.deliver(NOW, TODAY, 1_000)
    badung_receives(world, 1_000)
    settle()


def badung_receives(world: World, quantity: int) -> None:
    deliveries.record(world.actor("other_storekeeper"), NOW, uuid4(), BADUNG, BLANK, handover(quantity))


def settle() -> None:
    db.session.rollback()
    db.session.execute(delete(StockCheck))
    db.session.commit()


def waiting() -> set[tuple[str, str]]:
    db.session.rollback()
    query = select(Office.code, Item.code).join(StockCheck, StockCheck.office_id == Office.id)
    return {(row[0], row[1]) for row in db.session.execute(query.join(Item, Item.id == StockCheck.item_id))}


def arrived(world: World, transfer_id: int, **came: Any) -> None:
    receiver = world.actor("other_storekeeper")
    transfers.receive(receiver, NOW, uuid4(), transfer_id, TODAY, {BLANK: Arrived(**came)})


@pytest.mark.filled(by=two_stocks)
def test_a_transfer_wants_a_look_at_both_ends_when_it_goes_and_when_it_is_cancelled(world: World) -> None:
    transfer = world.send(NOW, TODAY, 100)
    assert waiting() == {(DENPASAR, BLANK), (BADUNG, BLANK)}
    settle()
    transfers.cancel(world.storekeeper, NOW, uuid4(), transfer, TODAY, "never left")
    assert waiting() == {(DENPASAR, BLANK), (BADUNG, BLANK)}


@pytest.mark.filled(by=two_stocks)
@pytest.mark.parametrize("came", [{"good": 0}, {"good": 0, "damaged": 100}, {"good": 60}])
def test_what_arrived_short_or_damaged_is_no_longer_on_its_way(world: World, came: dict[str, int]) -> None:
    transfer = world.send(NOW, TODAY, 100)
    settle()
    arrived(world, transfer, **came)
    assert (BADUNG, BLANK) in waiting()


@pytest.mark.filled(by=two_stocks)
def test_a_refused_cancellation_asks_for_nothing_and_a_repeated_one_once(world: World) -> None:
    transfer, request = world.send(NOW, TODAY, 100), uuid4()
    settle()
    for _ in range(2):
        transfers.cancel(world.storekeeper, NOW, request, transfer, TODAY, "never left")
    db.session.rollback()
    assert [row.postings for row in db.session.scalars(select(StockCheck))] == [1, 1]
    settle()
    with pytest.raises(Refusal, match="transfer_closed"):
        transfers.cancel(world.storekeeper, NOW, uuid4(), transfer, TODAY, "never left")
    assert waiting() == set()


def test_a_receiver_that_never_had_any_waits_for_its_first(world: World) -> None:
    world.deliver(NOW, TODAY, 1_000)
    settle()
    transfer = world.send(NOW, TODAY, 100)
    assert waiting() == {(DENPASAR, BLANK)}
    arrived(world, transfer, good=100)
    assert (BADUNG, BLANK) in waiting()


@pytest.mark.filled(by=two_stocks)
def test_what_comes_to_a_team_counts_for_its_office(world: World) -> None:
    row = {"code": TEAM, "name": "Jemput bola", "kind": "outreach", "parent": BADUNG, "population": ""}
    offices.load(SYSTEM, [row | {"time_zone": "Asia/Makassar"}])
    transfer = world.send(NOW, TODAY, 100, receiver_code=TEAM)
    assert waiting() == {(DENPASAR, BLANK), (BADUNG, BLANK)}
    settle()
    transfers.cancel(world.storekeeper, NOW, uuid4(), transfer, TODAY, "never left")
    assert waiting() == {(DENPASAR, BLANK), (BADUNG, BLANK)}


# --- requests ----------------------------------------------------------------------------------------------------


@pytest.mark.filled(by=two_stocks)
@pytest.mark.parametrize("end", ["cancel", "close"])
def test_each_step_of_a_request_wants_a_look_at_its_office(world: World, end: str) -> None:
    asked = world.ask(NOW, TODAY, 500)
    assert waiting() == {(DENPASAR, BLANK)}
    settle()
    requests.allot(world.actor("manager"), NOW, uuid4(), asked, 1, {BLANK: Allotment(allotted=200)})
    assert waiting() == {(DENPASAR, BLANK)}
    settle()
    with pytest.raises(Refusal, match="delivery_request_changed"):
        requests.allot(world.actor("manager"), NOW, uuid4(), asked, 1, {BLANK: Allotment(allotted=0)})
    assert waiting() == set(), "a refused one changes nothing"
    getattr(requests, end)(world.storekeeper, NOW, uuid4(), asked, 2, "the supplier has none")
    assert waiting() == {(DENPASAR, BLANK)}


@pytest.mark.filled(by=two_stocks)
def test_a_hand_over_of_nothing_but_defective_ones_wants_a_look_and_so_does_taking_it_back(world: World) -> None:
    asked = world.ask(NOW, TODAY, 500)
    settle()
    paper = Paper(
        bast_number="BAST/9",
        bast_on=TODAY,
        received_on=TODAY,
        funding_source="apbn",
        supplier="Ditjen",
        delivery_request_id=asked,
    )
    all_bad = {BLANK: Counted(received=500, defective=500)}
    posting = deliveries.record_many(world.storekeeper, NOW, uuid4(), DENPASAR, paper, all_bad)
    assert waiting() == {(DENPASAR, BLANK)}
    settle()
    world.reverse_receipt(NOW, posting.movements[0].id)
    assert waiting() == {(DENPASAR, BLANK)}


# --- what follows ------------------------------------------------------------------------------------------------


@pytest.mark.filled(by=safe_stock)
def test_a_transfer_relieves_the_receivers_case_at_once_and_its_cancellation_opens_the_next(world: World) -> None:
    badung_receives(world, 50_000)
    world.print(NOW, TODAY, 18_200)
    look()
    before = the_case()
    assert before is not None
    level, first = before.level, before.id
    assert level in ("watch", "low"), "its store outlasts the way of a delivery"
    sender = world.actor("other_storekeeper")
    out = Dispatch(
        receiver_code=DENPASAR,
        purpose="distribution",
        dispatched_on=TODAY,
        expected_on=TODAY + timedelta(days=1),
        sent={BLANK: 20_000},
        custodian="I Made Kurir",
        bast_number="470/13/2024",
    )
    transfer = transfers.dispatch(sender, NOW, uuid4(), BADUNG, out)
    stock_checks.check_stocks(lambda: NOW + timedelta(minutes=1))
    assert the_case() is None
    transfers.cancel(sender, NOW, uuid4(), transfer, TODAY, "the van broke down")
    stock_checks.check_stocks(lambda: NOW + timedelta(minutes=2))
    after = the_case()
    assert after is not None
    assert (after.level, after.facts["inbound"], after.facts["store"]) == (level, 0, 1_800)
    assert after.id != first


@pytest.mark.filled(by=two_stocks)
def test_transfers_both_ways_at_once_wait_for_nobody_in_a_circle(world: World) -> None:
    def send(way: int) -> int:
        here = World(world.app)
        if way:
            return here.send(NOW, TODAY, 5)
        out = Dispatch(
            receiver_code=DENPASAR,
            purpose="distribution",
            dispatched_on=TODAY,
            expected_on=TODAY,
            sent={BLANK: 5},
            custodian="Ni Luh Kurir",
            bast_number=uuid4().hex[:12],
        )
        return transfers.dispatch(here.actor("other_storekeeper"), NOW, uuid4(), BADUNG, out)

    outcomes = at_once(world.app, [lambda n=n: send(n % 2) for n in range(12)])
    assert all(isinstance(each, int) for each in outcomes), outcomes
    assert waiting() == {(DENPASAR, BLANK), (BADUNG, BLANK)}
    assert sum(row.postings for row in db.session.scalars(select(StockCheck))) == 24
