"""Whatever people do with deliveries, transfers, counts, destructions and reversals: every blank is accounted for.

A plain model says what the figures of two offices must be after each step; in all offices together there is what was
supplied less what was returned, and in transit is what the open transfers say.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from flask import Flask
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import func, insert, select

from inventory.db import db
from inventory.domain.access import SYSTEM, Actor, Grant, Role
from inventory.domain.destructions import Part, Witness
from inventory.domain.errors import Refusal
from inventory.domain.ledger import FIGURES
from inventory.domain.offices import OfficeSettings
from inventory.domain.proposals import ProposalKind
from inventory.domain.stocktakes import Counted
from inventory.domain.transfers import Arrived
from inventory.models import Balance, Office, Transfer, TransferLine
from inventory.services import (
    consumption,
    deliveries,
    destructions,
    items,
    ledger,
    proposals,
    requests,
    reversals,
    stocktakes,
    transfers,
    verification,
)
from inventory.services import deliveries as hand_overs
from inventory.services.consumption import Printed
from inventory.services.deliveries import Paper
from inventory.services.destructions import Record
from inventory.services.requests import Allotment, Asking
from inventory.services.transfers import Dispatch
from tests.conftest import NOW, TODAY
from tests.world import BLANK, World

WITNESSES = (Witness("Ni Made Sari", "Sekretaris"), Witness("I Wayan Adi", "Inspektorat"))
EMPTY: dict[str, int] = dict.fromkeys(FIGURES, 0)


@dataclass
class Desk:
    """An office of its own with a storekeeper, and what the model says that it holds."""

    code: str
    id: int
    storekeeper: Actor
    figures: dict[str, int] = field(default_factory=lambda: dict(EMPTY))
    misprints: int = 0
    obsolete: int = 0
    damaged: int = 0
    defective: int = 0

    def move(self, **changes: int) -> None:
        for figure, by in changes.items():
            self.figures[figure] += by


@dataclass
class Country:
    """Two offices under one, and the manager and the second manager of both."""

    desks: tuple[Desk, Desk]
    manager: Actor
    item_id: int

    _numbers: ClassVar[Iterator[int]] = itertools.count(1)

    @classmethod
    def open(cls) -> Country:
        world = World(None)  # type: ignore[arg-type]
        top = db.session.scalars(select(Office).where(Office.code == "51.71")).one()
        people = [world.actor(name).person_id for name in ("storekeeper", "other_storekeeper")]
        desks = []
        for person in people:
            number = next(cls._numbers)
            path = f"{top.path}z.{number}/"
            row = {"code": f"z.{number}", "name": "Uji", "kind": "district", "parent_id": top.id, "path": path}
            row |= {"time_zone": "Asia/Makassar", "active": True, **vars(OfficeSettings())}
            office_id = db.session.execute(insert(Office).values(row).returning(Office.id)).scalar_one()
            actor = Actor(person, "Gudang", (Grant(Role.STOREKEEPER, path),))
            desks.append(Desk(str(row["code"]), office_id, actor))
        db.session.commit()
        return cls((desks[0], desks[1]), world.actor("manager"), items.get(BLANK).id)


some = st.integers(1, 40)
side = st.sampled_from([0, 1])
pick = st.integers(0, 10**6)


class CustodyMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.country = Country.open()
        self.clock: datetime = NOW
        self.supplied = self.returned = 0
        self.under_way: dict[int, tuple[int, int]] = {}
        self.proposed: list[tuple[int, Callable[[], None], Callable[[], bool], Callable[..., Any]]] = []
        self.receipts: list[tuple[int, int, int, int]] = []
        self.prints: list[tuple[int, int, int]] = []

    def desk(self, which: int) -> Desk:
        return self.country.desks[which]

    def tick(self) -> datetime:
        self.clock += timedelta(seconds=20)
        return self.clock

    def expect(self, possible: bool, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Do it; when the model says that it cannot be, it is refused and nothing changes."""
        if not possible:
            with pytest.raises(Refusal):
                work()
            return
        done(work())

    # Deliveries.

    @rule(at=side, good=st.integers(0, 60), defective=st.integers(0, 4), asked=st.booleans())
    def receive_a_delivery(self, at: int, good: int, defective: int, asked: bool) -> None:
        desk, now = self.desk(at), self.tick()
        if not good + defective:
            return
        request = self._asked_and_allotted(desk, good + defective) if asked else None
        paper = Paper(
            bast_number=f"470/{uuid4()}",
            bast_on=TODAY,
            received_on=TODAY,
            funding_source="apbd" if asked else "apbn",
            supplier="Ditjen Dukcapil",
            delivery_request_id=request,
        )
        counted = {BLANK: hand_overs.Counted(received=good + defective, defective=defective)}
        posting = deliveries.record_many(desk.storekeeper, now, uuid4(), desk.code, paper, counted)
        desk.move(received=good + defective, store=good, spoiled=defective)
        desk.defective += defective
        self.supplied += good + defective
        self.receipts.append((at, posting.movements[0].id, good, defective))

    def _asked_and_allotted(self, desk: Desk, quantity: int) -> int:
        asking = Asking(supplier="Ditjen Dukcapil", asked_on=TODAY, asked={BLANK: quantity + 5}, note="")
        made = requests.ask(desk.storekeeper, self.clock, uuid4(), desk.code, asking)
        requests.allot(self.country.manager, self.clock, uuid4(), made, 1, {BLANK: Allotment(allotted=quantity)}, "")
        return made

    @rule(which=pick)
    def take_a_delivery_back(self, which: int) -> None:
        if not self.receipts:
            return
        at, movement, good, defective = self.receipts[which % len(self.receipts)]
        desk, now = self.desk(at), self.tick()
        asked = reversals.ask(desk.storekeeper, now, uuid4(), movement, "wrong office")
        there = desk.figures["store"] >= good and desk.figures["spoiled"] >= defective

        def done(_posting: Any) -> None:
            desk.move(received=-good - defective, store=-good, spoiled=-defective)
            desk.defective -= defective
            self.supplied -= good + defective
            self.receipts.remove((at, movement, good, defective))

        self.expect(there, lambda: reversals.approve(self.country.manager, now, uuid4(), asked), done)
        if not there:
            proposals.reject(self.country.manager, now, asked, "the blanks are used")

    # Consumption.

    @rule(at=side, quantity=some)
    def print_cards(self, at: int, quantity: int) -> None:
        desk, now = self.desk(at), self.tick()
        printed = {"new": Printed(quantity)}

        def done(posting: Any) -> None:
            desk.move(store=-quantity, printed=quantity)
            self.prints.append((at, posting.movements[0].id, quantity))

        self.expect(
            desk.figures["store"] >= quantity,
            lambda: consumption.post_printed(desk.storekeeper, now, uuid4(), desk.code, BLANK, TODAY, printed),
            done,
        )

    @rule(which=pick)
    def take_a_print_back(self, which: int) -> None:
        if not self.prints:
            return
        at, movement, quantity = self.prints.pop(which % len(self.prints))
        desk = self.desk(at)
        ledger.reverse(desk.storekeeper, self.tick(), uuid4(), movement, "typed twice")
        desk.move(store=quantity, printed=-quantity)

    @rule(at=side, quantity=some)
    def spoil(self, at: int, quantity: int) -> None:
        desk, now = self.desk(at), self.tick()

        def done(_posting: Any) -> None:
            desk.move(store=-quantity, spoiled=quantity)
            desk.misprints += quantity

        spoiled = {"misprint": quantity}
        self.expect(
            desk.figures["store"] >= quantity,
            lambda: consumption.post_spoiled(
                desk.storekeeper, now, uuid4(), desk.code, BLANK, TODAY, spoiled, shift="morning"
            ),
            done,
        )

    @rule(at=side, quantity=some)
    def give_back(self, at: int, quantity: int) -> None:
        desk, now = self.desk(at), self.tick()

        def done(_posting: Any) -> None:
            desk.move(store=-quantity, sent=quantity)
            self.returned += quantity

        self.expect(
            desk.figures["store"] >= quantity,
            lambda: consumption.post_returned(
                desk.storekeeper, now, uuid4(), desk.code, BLANK, TODAY, quantity, "wrong series"
            ),
            done,
        )

    # Transfers.

    @rule(at=side, quantity=some)
    def send(self, at: int, quantity: int) -> None:
        desk, other, now = self.desk(at), self.desk(1 - at), self.tick()
        out = Dispatch(
            receiver_code=other.code,
            purpose="distribution",
            dispatched_on=TODAY,
            expected_on=TODAY,
            sent={BLANK: quantity},
            custodian="I Made Kurir",
            bast_number="470/1",
        )

        def done(transfer_id: int) -> None:
            desk.move(store=-quantity, transit=quantity)
            self.under_way[transfer_id] = (at, quantity)

        self.expect(
            desk.figures["store"] >= quantity,
            lambda: transfers.dispatch(desk.storekeeper, now, uuid4(), desk.code, out),
            done,
        )

    @rule(which=pick, damaged=st.integers(0, 3), off=st.integers(-3, 3))
    def receive_a_transfer(self, which: int, damaged: int, off: int) -> None:
        if not self.under_way:
            return
        transfer_id = sorted(self.under_way)[which % len(self.under_way)]
        at, sent = self.under_way.pop(transfer_id)
        came = max(0, sent + off)
        damaged = min(damaged, came)
        desk, other = self.desk(at), self.desk(1 - at)
        arrived = {BLANK: Arrived(good=came - damaged, damaged=damaged)}
        transfers.receive(other.storekeeper, self.tick(), uuid4(), transfer_id, TODAY, arrived)
        desk.move(transit=-sent, sent=came, missing=sent - came)
        other.move(received=came, store=came - damaged, spoiled=damaged)
        other.damaged += damaged

    @rule(which=pick)
    def cancel_a_transfer(self, which: int) -> None:
        if not self.under_way:
            return
        transfer_id = sorted(self.under_way)[which % len(self.under_way)]
        at, sent = self.under_way.pop(transfer_id)
        desk = self.desk(at)
        transfers.cancel(desk.storekeeper, self.tick(), uuid4(), transfer_id, TODAY, "the road is closed")
        desk.move(transit=-sent, store=sent)

    # Destructions and write-offs.

    @rule(at=side, quantity=some, cause=st.sampled_from(["misprints", "obsolete", "damaged", "defective"]))
    def destroy(self, at: int, quantity: int, cause: str) -> None:
        desk, now = self.desk(at), self.tick()
        name = {"misprints": "misprint", "damaged": "arrived_damaged"}.get(cause, cause)
        lying = getattr(desk, cause)

        def done(proposal_id: int) -> None:
            destructions.approve(self.country.manager, now, uuid4(), proposal_id)
            desk.move(spoiled=-quantity, destroyed=quantity)
            setattr(desk, cause, lying - quantity)

        self.expect(lying >= quantity, lambda: self._propose(desk, now, ProposalKind.DESTRUCTION, name, quantity), done)

    @rule(at=side, quantity=some)
    def write_off(self, at: int, quantity: int) -> None:
        desk, now = self.desk(at), self.tick()
        made = self._propose(desk, now, ProposalKind.WRITE_OFF, "obsolete", quantity)

        def done(_posting: Any) -> None:
            desk.move(store=-quantity, spoiled=quantity)
            desk.obsolete += quantity

        self.expect(
            desk.figures["store"] >= quantity,
            lambda: destructions.approve(self.country.manager, now, uuid4(), made),
            done,
        )

    def _propose(self, desk: Desk, now: datetime, kind: ProposalKind, cause: str, quantity: int) -> int:
        parts = [Part(BLANK, cause, quantity)]
        record = Record(
            happened_on=TODAY, place="Halaman", method="burned", witnesses=WITNESSES, total=quantity, parts=parts
        )
        return destructions.propose(desk.storekeeper, now, uuid4(), desk.code, kind, record)

    # Stocktakes.

    @rule(at=side, off=st.integers(-5, 5), printed=st.integers(0, 3))
    def count(self, at: int, off: int, printed: int) -> None:
        """Count, print a few while the count waits, and approve the difference."""
        desk = self.desk(at)
        if desk.figures == EMPTY:
            return
        made = stocktakes.begin(desk.storekeeper, self.tick(), uuid4(), desk.code)
        counted = max(0, desk.figures["store"] + off)
        difference = counted - desk.figures["store"]
        for enter in (stocktakes.count, *([stocktakes.recount] if difference else [])):
            enter(desk.storekeeper, self.tick(), uuid4(), made, {BLANK: Counted(quantity=counted)})
        if printed:
            self.print_cards(at, printed)
        now, shown = self.tick(), {BLANK: difference}
        self.expect(
            desk.figures["store"] + difference >= 0,
            lambda: stocktakes.approve(self.country.manager, now, uuid4(), made, shown),
            lambda _view: desk.move(store=difference, missing=-difference),
        )
        if desk.figures["store"] + difference < 0 and difference < 0:
            self._cancel_if_open(made)

    def _cancel_if_open(self, made: int) -> None:
        if stocktakes.get(self.country.manager, self.clock, made).status == "counted":
            stocktakes.cancel(self.country.manager, self.tick(), made, "the blanks are used")

    # What must hold.

    @invariant()
    def each_office_holds_what_the_model_says_and_obeys_the_law(self) -> None:
        for desk in self.country.desks:
            row = db.session.get(Balance, (desk.id, self.country.item_id), populate_existing=True)
            found = {figure: getattr(row, figure) for figure in FIGURES} if row else EMPTY
            assert found == desk.figures
            places = ("store", "transit", "printed", "spoiled", "destroyed", "missing")
            assert found["received"] - found["sent"] == sum(found[place] for place in places)

    @invariant()
    def all_offices_together_hold_what_was_supplied_less_what_was_returned(self) -> None:
        held = sum(
            desk.figures[place]
            for desk in self.country.desks
            for place in ("store", "transit", "printed", "spoiled", "destroyed", "missing")
        )
        assert held == self.supplied - self.returned

    @invariant()
    def in_transit_is_what_the_open_transfers_say(self) -> None:
        ids = [desk.id for desk in self.country.desks]
        open_ = db.session.scalar(
            select(func.coalesce(func.sum(TransferLine.sent), 0))
            .join(Transfer, Transfer.id == TransferLine.transfer_id)
            .where(Transfer.status == "dispatched", Transfer.sender_id.in_(ids))
        )
        assert open_ == sum(desk.figures["transit"] for desk in self.country.desks)
        assert open_ == sum(sent for _, sent in self.under_way.values())

    def teardown(self) -> None:
        db.session.rollback()
        assert verification.verify(SYSTEM).faults == ()


def run(app: Flask, examples: int) -> None:
    with app.app_context():
        run_state_machine_as_test(
            CustodyMachine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=30,
                deadline=None,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
            ),
        )
        db.session.remove()


def test_every_blank_is_accounted_for(world: World) -> None:
    run(world.app, 8)


@pytest.mark.slow
def test_every_blank_is_accounted_for_at_length(world: World) -> None:
    run(world.app, 50)
