"""A small world: Bali with Denpasar, Badung and two districts, OKU Selatan in another time zone, and people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from flask import Flask

from inventory.domain.access import SYSTEM, Actor, Grant, Role
from inventory.domain.destructions import Part, Witness
from inventory.domain.errors import Refusal
from inventory.domain.ledger import FIGURES, Effect
from inventory.domain.proposals import ProposalKind
from inventory.services import (
    balances,
    caps,
    consumption,
    deliveries,
    destructions,
    events,
    items,
    offices,
    outreach,
    people,
    proposals,
    requests,
    reversals,
    stocktakes,
    transfers,
)
from inventory.services.caps import Capping
from inventory.services.consumption import Printed
from inventory.services.deliveries import Handover
from inventory.services.destructions import Record
from inventory.services.events import Happening
from inventory.services.ledger import Posting
from inventory.services.outreach import Planning
from inventory.services.requests import Asking
from inventory.services.transfers import Dispatch

OFFICES = [
    {"code": "16", "name": "Sumatera Selatan", "kind": "province", "parent": "", "time_zone": "Asia/Jakarta"},
    {
        "code": "16.09",
        "name": "Kabupaten OKU Selatan",
        "kind": "regency",
        "parent": "16",
        "time_zone": "Asia/Jakarta",
    },
    {"code": "51", "name": "Bali", "kind": "province", "parent": "", "time_zone": "Asia/Makassar"},
    {
        "code": "51.03",
        "name": "Kabupaten Badung",
        "kind": "regency",
        "parent": "51",
        "time_zone": "Asia/Makassar",
    },
    {"code": "51.71", "name": "Kota Denpasar", "kind": "city", "parent": "51", "time_zone": "Asia/Makassar"},
    {
        "code": "51.71.01",
        "name": "Denpasar Selatan",
        "kind": "district",
        "parent": "51.71",
        "time_zone": "Asia/Makassar",
    },
    {
        "code": "51.71.02",
        "name": "Denpasar Timur",
        "kind": "district",
        "parent": "51.71",
        "time_zone": "Asia/Makassar",
    },
    {"code": "94.71", "name": "Kota Jayapura", "kind": "city", "parent": "94", "time_zone": "Asia/Jayapura"},
    {"code": "94", "name": "Papua", "kind": "province", "parent": "", "time_zone": "Asia/Jayapura"},
]

PASSWORD = "kata sandi untuk uji"

PEOPLE = {
    "storekeeper": ("gudang@denpasar.test", Role.STOREKEEPER, "51.71"),
    "other_storekeeper": ("gudang@badung.test", Role.STOREKEEPER, "51.03"),
    "manager": ("kepala@denpasar.test", Role.MANAGER, "51.71"),
    "regional": ("provinsi@bali.test", Role.VIEWER, "51"),
    "viewer": ("pantau@badung.test", Role.VIEWER, "51.03"),
    "administrator": ("admin@bali.test", Role.ADMINISTRATOR, "51"),
}

BLANK = "ktp-wni"
DENPASAR = "51.71"
BADUNG = "51.03"


def build_world(now: datetime) -> None:
    from inventory.security import hashed

    offices.load(SYSTEM, [row | {"population": ""} for row in OFFICES])
    items.ensure_standard()
    password_hash = hashed(PASSWORD)
    for name, (email, role, office) in PEOPLE.items():
        people.add(
            SYSTEM,
            now,
            email=email,
            full_name=name.replace("_", " ").title(),
            role=role,
            office_code=office,
            password_hash=password_hash,
            given=False,
        )


class World:
    """What tests do with it. Call inside an application context."""

    def __init__(self, app: Flask) -> None:
        self.app = app

    def actor(self, name: str) -> Actor:
        from sqlalchemy import select

        from inventory.db import db
        from inventory.models import Person

        person = db.session.scalars(select(Person).where(Person.email == PEOPLE[name][0])).one()
        return people.actor_for(person)

    @property
    def storekeeper(self) -> Actor:
        return self.actor("storekeeper")

    def deliver(
        self,
        now: datetime,
        day: date,
        quantity: int,
        *,
        defective: int = 0,
        request: UUID | None = None,
        bast: str = "",
    ) -> Posting:
        """Blanks arrive at Denpasar."""
        handover = Handover(
            bast_number=bast or f"BAST/{uuid4().hex[:10]}",
            bast_on=day,
            received_on=day,
            asked=None,
            received=quantity,
            defective=defective,
            funding_source="apbn",
            supplier="Ditjen Dukcapil",
        )
        return deliveries.record(self.storekeeper, now, request or uuid4(), DENPASAR, BLANK, handover)

    def print(
        self, now: datetime, day: date, quantity: int | Mapping[str, Printed], *, request: UUID | None = None
    ) -> Posting:
        """Denpasar prints: a number of new cards, or a mapping by reason."""
        printed = {"new": Printed(quantity)} if isinstance(quantity, int) else quantity
        return consumption.post_printed(self.storekeeper, now, request or uuid4(), DENPASAR, BLANK, day, printed)

    def spoil(self, now: datetime, day: date, quantity: int) -> Posting:
        return consumption.post_spoiled(self.storekeeper, now, uuid4(), DENPASAR, BLANK, day, {"misprint": quantity})

    def reverse_receipt(
        self, now: datetime, movement_id: int, *, request: UUID | None = None, asked_by: str = "storekeeper"
    ) -> Posting:
        """A storekeeper asks for it, and somebody above approves; when that is refused nothing waits any more."""
        asked = reversals.ask(self.actor(asked_by), now, uuid4(), movement_id, "wrong office")
        approver = Actor(self.actor("regional").person_id, "Above", (Grant(Role.MANAGER, "00/"),))
        try:
            return reversals.approve(approver, now, request or uuid4(), asked)
        except Refusal:
            proposals.reject(approver, now, asked, "it cannot be")
            raise

    def propose_destruction(self, now: datetime, day: date, quantity: int) -> int:
        """The storekeeper's record of misprints destroyed at Denpasar; the proposal's id."""
        record = Record(
            happened_on=day,
            place="Halaman kantor",
            method="burned",
            witnesses=(Witness("Ni Made Sari", "Sekretaris"), Witness("I Wayan Adi", "Inspektorat")),
            total=quantity,
            parts=[Part(BLANK, "misprint", quantity)],
        )
        return destructions.propose(self.storekeeper, now, uuid4(), DENPASAR, ProposalKind.DESTRUCTION, record)

    def send(self, now: datetime, day: date, quantity: int, *, request: UUID | None = None, **changes: Any) -> int:
        """Denpasar sends citizen blanks to Badung, expected on the next day; the transfer's id."""
        out = Dispatch(
            **{
                "receiver_code": BADUNG,
                "purpose": "distribution",
                "dispatched_on": day,
                "expected_on": day + timedelta(days=1),
                "sent": {BLANK: quantity},
                "custodian": "I Made Kurir",
                "bast_number": "470/12/2024",
                **changes,
            }
        )
        return transfers.dispatch(self.storekeeper, now, request or uuid4(), DENPASAR, out)

    def ask(self, now: datetime, day: date, quantity: int, *, request: UUID | None = None, **changes: Any) -> int:
        """Denpasar asks for citizen blanks; the request's id."""
        asking = Asking(
            **{"supplier": "Ditjen Dukcapil", "asked_on": day, "asked": {BLANK: quantity}, "note": "", **changes}
        )
        return requests.ask(self.storekeeper, now, request or uuid4(), DENPASAR, asking)

    def plan_outreach(
        self, now: datetime, day: date, quantity: int, *, request: UUID | None = None, **changes: Any
    ) -> int:
        """Denpasar plans an outreach with citizen cards; the plan's id."""
        planning = Planning(**{"day": day, "place": "SMA Negeri 1", "expected": {BLANK: quantity}, **changes})
        return outreach.plan(self.storekeeper, now, request or uuid4(), DENPASAR, planning)

    def event(self, now: datetime, day: date, **changes: Any) -> int:
        """An event of one day in Denpasar and below; its id."""
        said = {"kind": "other", "name": "Pasar malam", "first_day": day, "last_day": day, "office_code": DENPASAR}
        return events.add(SYSTEM, now, uuid4(), Happening(**(said | changes)))

    def cap(self, now: datetime, day: date, most_a_day: int) -> int:
        """Denpasar caps its citizen cards from a day on; the cap's id."""
        capping = Capping(item_code=BLANK, most_a_day=most_a_day, first_day=day)
        return caps.add(self.storekeeper, now, uuid4(), DENPASAR, capping)

    def stocktake(self, now: datetime) -> int:
        """Denpasar's storekeeper opens a stocktake; its id."""
        return stocktakes.begin(self.storekeeper, now, uuid4(), DENPASAR)

    def figures(self, item: str = BLANK) -> Effect:
        """Denpasar's balance of an item, of citizen blanks where nothing else is said."""
        found = [b for b in balances.of_office(self.storekeeper, DENPASAR) if b.item_code == item]
        return found[0].figures if found else Effect(*(0 for _ in FIGURES))
