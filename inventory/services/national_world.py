"""A made-up country: the stocks of all offices of the official list and of some outreach teams, on their real tree.

Every movement goes through the ledger's own bulk path with the origin "synthetic". Some offices are one posting, whose
request id says which: so what was interrupted goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import lru_cache, partial
from random import Random
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import func, insert, select, text
from sqlalchemy.orm import Session

from inventory.db import db, in_batches, on_postgresql
from inventory.domain.access import Action, Actor, require
from inventory.domain.calendars import OfficeCalendar
from inventory.domain.demo_history import Profile, make_history
from inventory.domain.errors import Refusal
from inventory.domain.ledger import Line
from inventory.models import Balance, Delivery, Movement, Office
from inventory.models.offices import within
from inventory.services import calendars, demo, items, ledger, offices
from inventory.services.deliveries import Handover
from inventory.services.offices import OfficeView

AT_ONCE = 20
"""Offices whose histories are one posting."""
TEAM_OF_EVERY = 8
"""Of so many regencies and cities, one has an outreach team with blanks of its own."""
SHORTAGES_FROM = 150
"""Calendar days of a history that is long enough to be interrupted by a shortage."""
CARDS_A_DAY = 0.00045
"""Cards on an open day for each resident: Denpasar's 330 of 726,000."""

_NAMESPACE = UUID("3f2a6f54-5a3e-4f0e-8e39-0f7c3b1f2c11")

Key = tuple[int, int]
Entry = tuple[Line, Mapping[str, int]]


@dataclass(frozen=True)
class Told:
    """How far a country has come."""

    offices: int
    of: int
    movements: int
    """Written by this call."""


def fill(
    actor: Actor,
    now: datetime,
    *,
    days: int,
    seed: int,
    only: int | None = None,
    region: str = offices.ROOT_CODE,
    progress: Callable[[Told], None],
) -> Told:
    """Write what is still missing of the country with this seed: so many calendar days before `now`, or before the
    moment at which it was begun. Of the offices at and below `region`, `only` that many, spread over the list, get a
    history: the same one whichever others do.

    Raises Refusal `demo_on_real_data` when there are movements that are not made up, `demo_unfinished` when a country
    was begun with another seed, or other days or offices.
    """
    require(actor, Action.MANAGE_OFFICES, f"{offices.ROOT_CODE}/")
    _require_no_real_data()
    rows = list(offices.official_list())
    offices.load(actor, [*rows, *_teams(rows)])
    items.ensure_standard()
    chosen = _chosen(offices.get(actor, Action.VIEW_STOCK, region), only)
    name = f"{seed}/{days}/{len(chosen)}" + (f"/{region}" if region != offices.ROOT_CODE else "")
    begun = _begun(name)
    if begun is None and db.session.scalar(select(Movement.id).limit(1)) is not None:
        raise Refusal("demo_unfinished")
    plan = _Plan(actor, begun or now, days, seed, name, {item.code: item.id for item in items.active()})
    told = Told(0, len(chosen), 0)
    for number, some in enumerate(in_batches(chosen, AT_ONCE)):
        written = _write(plan, number, some)
        told = replace(told, offices=told.offices + len(some), movements=told.movements + written)
        progress(told)
    settle()
    return told


def settle() -> None:
    """Leave the database as it is after a night of its own work: PostgreSQL knows what its tables hold."""
    db.session.remove()
    connection = db.engine.raw_connection()
    driver: Any = connection.driver_connection
    driver.autocommit = True
    driver.execute("VACUUM ANALYZE")
    driver.autocommit = False
    connection.close()


def largest(count: int) -> list[str]:
    """The codes of offices with most movements of a stock, of all that there are."""
    rows = (
        select(Office.code).join(Balance, Balance.office_id == Office.id).order_by(Balance.last_seq.desc(), Office.id)
    )
    return list(dict.fromkeys(db.session.scalars(rows.limit(2 * count))))[:count]


def movements() -> int:
    """How many there are."""
    return int(db.session.scalar(select(func.sum(Balance.last_seq))) or 0)


def size() -> int:
    """Bytes of the database on PostgreSQL."""
    return db.session.scalar(text("SELECT pg_database_size(current_database())")) or 0


# --- what is there -----------------------------------------------------------------------------------------------


def _require_no_real_data() -> None:
    if not on_postgresql():
        raise ValueError("a country needs PostgreSQL")
    if db.session.scalar(select(Movement.id).where(Movement.origin != "synthetic").limit(1)) is not None:
        raise Refusal("demo_on_real_data")


def _request(name: str, number: int) -> UUID:
    return uuid5(_NAMESPACE, f"{name}/{number}")


def _begun(name: str) -> datetime | None:
    return _recorded_at(_request(name, 0))


def _recorded_at(request: UUID) -> datetime | None:
    return db.session.scalar(select(Movement.recorded_at).where(Movement.request_id == request).limit(1))


def _teams(rows: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    above = [row for row in rows if row["kind"] in ("regency", "city")][::TEAM_OF_EVERY]
    return [
        {
            "code": f"{row['code']}.JB",
            "name": f"Jemput bola {row['name']} (data sintetis)",
            "kind": "outreach",
            "parent": row["code"],
            "time_zone": row["time_zone"],
            "population": "",
        }
        for row in above
    ]


def _chosen(region: OfficeView, only: int | None) -> list[OfficeView]:
    """In the order of their ids, in which a bulk takes them."""
    in_region = select(Office).where(Office.parent_id.is_not(None), within(region.path))
    below = db.session.scalars(in_region.order_by(Office.id)).all()
    step = max(len(below) / (only or len(below)), 1)
    places = sorted({int(number * step) for number in range(min(only or len(below), len(below)))})
    return [offices.view(below[place]) for place in places]


# --- histories ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Plan:
    actor: Actor
    now: datetime
    days: int
    seed: int
    name: str
    item_ids: Mapping[str, int]


def _write(plan: _Plan, number: int, some: Sequence[OfficeView]) -> int:
    """The movements of some offices, unless they are there: how many were written."""
    request = _request(plan.name, number)
    if _recorded_at(request) is not None:
        return 0
    found: dict[Key, list[Entry]] = {}

    def document(session: Session) -> dict[str, int]:
        found.clear()
        for office in some:
            for item, profile in _profiles(plan, office):
                entries = _entries(session, plan, office, item, profile)
                found[office.id, plan.item_ids[item]] = entries
        return {}

    keys = [(office.id, plan.item_ids[item]) for office in some for item, _ in _profiles(plan, office)]
    return ledger.post_in_bulk(
        plan.actor,
        plan.now,
        request,
        "0" * 64,
        keys,
        lambda key: found.get(key, []),
        document=document,
        origin="synthetic",
    )


def _profiles(plan: _Plan, office: OfficeView) -> list[tuple[str, Profile]]:
    """What an office keeps, and how it uses it up; the same for the same seed."""
    rng = Random(f"{plan.seed}/{office.code}")  # noqa: S311  (repeatable, and hides nothing)
    if office.kind not in ("regency", "city"):
        return [("ktp-wni", _profile(plan, rng, rng.uniform(3, 11)))]
    per_day = min(max((office.population or 200_000) * CARDS_A_DAY * rng.uniform(0.7, 1.3), 15), 700)
    child = replace(_profile(plan, rng, per_day / 4), reasons=demo.CHILD)
    return [("ktp-wni", _profile(plan, rng, per_day)), ("kia", child)]


def _profile(plan: _Plan, rng: Random, per_day: float) -> Profile:
    # What comes is a number of packs, and what is used before a shortage or after it must be more than one.
    pack = 50 if per_day < 60 else 500
    size = max(pack, round(5 * per_day / pack) * pack)
    long_enough = plan.days >= SHORTAGES_FROM
    ending = rng.choice((0, rng.uniform(1, 10), rng.uniform(8, 30), rng.uniform(25, 90)))
    return Profile(
        per_day=per_day,
        ends_with=round(per_day * ending),
        pack=pack,
        asks=10 * size,
        gets=(size, size, 2 * size, 2 * size, 4 * size),
        shortages=((rng.uniform(0.3, 0.7), rng.randint(2, 9)),) if long_enough and rng.random() < 0.6 else (),
        outreach_a_year=0,  # it would have to stand in the calendar of each office
        capacity=4 if per_day < 15 else 1.9,
    )


@lru_cache
def _calendar(first: date, last: date) -> OfficeCalendar:
    return OfficeCalendar(working_week="1111100", holidays=calendars.national_holidays(first.year, last.year))


def _entries(session: Session, plan: _Plan, office: OfficeView, item: str, profile: Profile) -> list[Entry]:
    """The lines of a stock; its deliveries are written, for the lines name them."""
    last = office.today(plan.now) - timedelta(days=1)
    first = last - timedelta(days=plan.days)
    history = make_history(profile, _calendar(first, last), first, last, f"{plan.seed}/{office.code}/{item}")
    item_id = plan.item_ids[item]
    found: list[tuple[list[Line], Handover | None]] = []
    for entry in history:
        line = partial(Line, office_id=office.id, item_id=item_id, effective_on=entry.day)
        found += demo.incoming(entry, office, line)
        found.append((list(demo.used_lines(entry, line)), None))
    handovers = [handover for _, handover in found if handover]
    ids = _deliveries(session, plan, (office.id, item_id), handovers)
    entries: list[Entry] = []
    for lines, handover in found:
        own = {"delivery_id": next(ids)} if handover else {}
        entries += [(line, own) for line in lines]
    return entries


def _deliveries(session: Session, plan: _Plan, key: Key, handovers: Sequence[Handover]) -> Iterator[int]:
    if not handovers:
        return iter(())
    same = {"office_id": key[0], "item_id": key[1], "recorded_at": plan.now, "recorded_by_id": None}
    rows = [{name: value for name, value in vars(each).items() if name != "received_on"} | same for each in handovers]
    return iter(session.scalars(insert(Delivery).returning(Delivery.id, sort_by_parameter_order=True), rows).all())
